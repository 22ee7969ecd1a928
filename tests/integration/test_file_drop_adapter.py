"""The file drop on a real folder, with what practices and power cuts do to files."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from connector.clock import MovableClock
from connector.errors import DomainError, EdgeError, NotSent, OutcomeUnknown, Rejected, UnexpectedResponse
from connector.money import Money
from connector.pms_adapters.file_drop import ADAPTER, client
from connector.pms_adapters.port import ConnectionContext, PmsAdapter
from connector.pms_adapters.records import PatientQuery, PaymentCommand, ReversalCommand

DAY = date(2026, 3, 2)
CONTEXT = ConnectionContext("aud", "Australia/Sydney", MovableClock(datetime(2026, 3, 2, tzinfo=UTC)))
ACKS = "reference,pms_entry_id,patient_id,amount,entry_date\r\n"
PATIENTS = (
    "id,given_name,family_name,date_of_birth,phone\r\nP7,Ada,Ferris,1988-03-09,0491570156\r\nP8,Bo,Lindgren,,\r\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("outbox", "acks", "day-sheets"):
        (tmp_path / name).mkdir()
    put(tmp_path / "patients.csv", PATIENTS)
    return tmp_path


@pytest.fixture
def adapter(folder: Path) -> PmsAdapter:
    return ADAPTER.open({"folder": str(folder)}, CONTEXT)


def put(path: Path, text: str, encoding: str = "utf-8") -> None:
    path.write_bytes(text.encode(encoding))


def payment(reference: str = "SP7", cents: int = 2050, currency: str = "aud") -> PaymentCommand:
    return PaymentCommand(reference, "P7", Money(cents, currency), DAY, "Card", "dues")


def outbox(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "outbox").iterdir() if path.is_file())


def test_a_payment_is_one_file_however_often_it_is_written(folder: Path, adapter: PmsAdapter) -> None:
    """A repeat is a success, and no draft is left behind."""
    for _ in range(3):
        assert adapter.record_payment(payment()).entry_id is None

    assert outbox(folder) == ["SP7.csv"]


def test_many_writers_of_one_payment_leave_one_file(folder: Path, adapter: PmsAdapter) -> None:
    """The name is taken whole or not at all, so nobody sees half a file."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: adapter.record_payment(payment()), range(40)))

    assert outbox(folder) == ["SP7.csv"]


def test_a_file_that_the_practice_has_moved_is_not_written_again(folder: Path, adapter: PmsAdapter) -> None:
    """Importers move what they have done with."""
    adapter.record_payment(payment())
    (folder / "outbox" / "done").mkdir()
    (folder / "outbox" / "SP7.csv").rename(folder / "outbox" / "done" / "SP7.csv")

    adapter.record_payment(payment())

    assert outbox(folder) == []


@pytest.mark.parametrize("place", ["outbox", "outbox/done"])
def test_a_reference_with_other_content_is_rejected(folder: Path, adapter: PmsAdapter, place: str) -> None:
    """A reference stands for one entry only, and what is published stays."""
    adapter.record_payment(payment())
    (folder / place).mkdir(exist_ok=True)
    (folder / "outbox" / "SP7.csv").rename(folder / place / "SP7.csv")
    before = (folder / place / "SP7.csv").read_bytes()

    with pytest.raises(Rejected) as caught:
        adapter.record_payment(payment(cents=2051))

    assert (folder / place / "SP7.csv").read_bytes() == before
    assert "20.5" not in str(caught.value)


def test_a_reversal_is_a_file_of_its_own(folder: Path, adapter: PmsAdapter) -> None:
    """Of any part of the amount."""
    adapter.record_payment(payment())

    adapter.record_reversal(ReversalCommand("SP7-R", "E1", "P7", Money(50, "aud"), DAY, "Card", "part"))

    assert outbox(folder) == ["SP7-R.csv", "SP7.csv"]


@pytest.mark.parametrize("command", [payment("../SP7"), payment(cents=0), payment(currency="nzd")])
def test_an_impossible_payment_is_rejected(folder: Path, adapter: PmsAdapter, command: PaymentCommand) -> None:
    """Nothing is written, inside the folder or outside."""
    with pytest.raises(Rejected):
        adapter.record_payment(command)

    assert outbox(folder) == []


def test_a_share_that_is_gone_means_not_sent_and_a_later_write_succeeds(folder: Path, adapter: PmsAdapter) -> None:
    """Nothing was written, and nothing counts as absent."""
    away = folder.with_name("away")
    folder.rename(away)

    with pytest.raises(NotSent):
        adapter.record_payment(payment())
    with pytest.raises(NotSent):
        adapter.find_entries(["P7"], DAY)
    with pytest.raises(NotSent):
        adapter.get_patient("P7")

    away.rename(folder)
    adapter.record_payment(payment())
    assert outbox(folder) == ["SP7.csv"]


def test_a_disk_that_fails_before_publishing_means_not_sent(
    folder: Path, adapter: PmsAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The draft is removed and the repeat succeeds."""

    def fail(*_: object) -> None:
        raise OSError(28, "full")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        with pytest.raises(NotSent):
            adapter.record_payment(payment())
    assert outbox(folder) == []

    adapter.record_payment(payment())
    assert outbox(folder) == ["SP7.csv"]


def test_a_disk_that_does_not_confirm_the_name_leaves_the_outcome_unknown(
    folder: Path, adapter: PmsAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file may vanish with the power; a repeat is safe."""

    def fail(_: Path) -> None:
        raise OSError(5, "input/output")

    with monkeypatch.context() as broken:
        broken.setattr(client, "_sync_folder", fail)
        with pytest.raises(OutcomeUnknown):
            adapter.record_payment(payment())

    adapter.record_payment(payment())
    assert outbox(folder) == ["SP7.csv"]


def test_an_acknowledged_payment_is_found(folder: Path, adapter: PmsAdapter) -> None:
    """Over all files, once each, whatever its ledger date, and also one that stands with another patient."""
    put(folder / "acks" / "1.csv", ACKS + "sp7,E1,P7,20.50,2026-02-27\r\nSP8,E2,P8,5,2026-03-02\r\n")
    put(folder / "acks" / "2.csv", "\ufeff" + ACKS + "sp7,E1,P7,20.50,2026-02-27\r\n\r\nSP9,E3,P7,-1.5,2026-03-02\r\n")
    put(folder / "acks" / "notes.txt", "not for us")

    entries = adapter.find_entries(["P7"], DAY)

    assert [(entry.id, entry.amount.cents, set(entry.references)) for entry in entries] == [
        ("E1", 2050, {"SP7"}),
        ("E2", 500, {"SP8"}),
        ("E3", -150, {"SP9"}),
    ]


BROKEN = {
    "half-written": (ACKS + "SP7,E1,P7,20.50,2026-03-0", "half-written"),
    "cut at a comma": (ACKS + "SP7,E1,P7,2", "half-written"),
    "a value missing": (ACKS + "SP7,E1,P7,20.50\r\n", "line 2"),
    "a value too many": (ACKS + "SP7,E1,P7,20,50,2026-03-02\r\n", "line 2"),
    "a blank id": (ACKS + "SP7,,P7,20.50,2026-03-02\r\n", "line 2"),
    "a broken date": (ACKS + "SP7,E1,P7,20.50,2026-03-02\r\nSP8,E2,P7,20.50,tomorrow\r\n", "line 3"),
    "a broken amount": (ACKS + "SP7,E1,P7,lots,2026-03-02\r\n", "line 2"),
    "an open quote": (ACKS + 'SP7,E1,P7,20.50,"2026-03-02\r\n', "line 2"),
    "no header": ("SP7,E1,P7,20.50,2026-03-02\r\n", "line 1"),
    "a doubled column": (ACKS.replace("amount", "reference,amount"), "line 1"),
    "nothing": ("", "half-written"),
    "two meanings": (ACKS + "SP7,E1,P7,20.50,2026-03-02\r\nSP7,E1,P7,20.51,2026-03-02\r\n", "line 3"),
}


@pytest.mark.parametrize(("content", "word"), BROKEN.values(), ids=BROKEN)
def test_a_broken_acknowledgement_raises_with_its_place_and_without_its_content(
    folder: Path, adapter: PmsAdapter, content: str, word: str
) -> None:
    """Leaving it out would make an entry look absent."""
    put(folder / "acks" / "a.csv", content)

    with pytest.raises(UnexpectedResponse) as caught:
        adapter.find_entries(["P7"], DAY)

    assert "a.csv" in str(caught.value)
    assert word in str(caught.value)
    assert not any(text in str(caught.value) for text in ("P7", "SP7", "lots", "20,"))


def test_a_wrong_encoding_is_named_by_its_line(folder: Path, adapter: PmsAdapter) -> None:
    """Exports from older programs are not UTF-8."""
    put(folder / "patients.csv", PATIENTS + "P9,Zoë,Müller,,\r\n", "latin-1")

    with pytest.raises(UnexpectedResponse, match=r"patients\.csv, line 4"):
        adapter.find_patients(PatientQuery(given_name="Ada"))


def test_the_day_sheet_is_read_in_the_order_of_the_file(folder: Path, adapter: PmsAdapter) -> None:
    """With and without a reference."""
    header = "pms_entry_id,patient_id,amount,entry_date,reference,staff\r\n"
    put(folder / "day-sheets" / "2026-03-02.csv", header + "E9,P8,7,2026-03-02,,x\r\nE1,P7,20.50,2026-03-02,sp7,y\r\n")

    sheet = adapter.read_day_sheet(DAY)

    assert sheet.business_date == DAY
    assert [(entry.id, set(entry.references)) for entry in sheet.entries] == [("E9", set()), ("E1", {"SP7"})]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "put it into the folder 'day-sheets'"),
        ("pms_entry_id,patient_id,amount,entry_date\nE1,P7,5,2026-03-01\n", "another day"),
        ("pms_entry_id,patient_id,amount,entry_date\nE1,P7,5,2026-03-02\nE1,P7,5,2026-03-02\n", "line 3"),
    ],
    ids=["missing", "another day", "repeated"],
)
def test_a_day_sheet_that_cannot_be_trusted_raises(
    folder: Path, adapter: PmsAdapter, content: str | None, word: str
) -> None:
    """A missing file is not an empty day."""
    if content is not None:
        put(folder / "day-sheets" / "2026-03-02.csv", content)

    with pytest.raises(UnexpectedResponse, match=word):
        adapter.read_day_sheet(DAY)


def test_patients_are_found_and_got(adapter: PmsAdapter) -> None:
    """From the practice's list; an empty query finds nobody."""
    assert [patient.id for patient in adapter.find_patients(PatientQuery(family_name="ferr"))] == ["P7"]
    assert adapter.find_patients(PatientQuery()) == []
    ada = adapter.get_patient("P7")
    assert ada
    assert (ada.date_of_birth, ada.phones) == (date(1988, 3, 9), ("0491570156",))
    assert adapter.get_patient("P9") is None
    assert adapter.active_patients({"P7", "P9"}) == {"P7"}


def test_the_probe_names_what_is_missing_and_creates_nothing(folder: Path, adapter: PmsAdapter) -> None:
    """One sentence each."""
    assert adapter.probe().ok
    (folder / "acks").rmdir()
    (folder / "outbox").rmdir()
    (folder / "patients.csv").unlink()

    problems = adapter.probe().problems

    assert len(problems) == 3
    assert all(name in " ".join(problems) for name in ("outbox", "acks", "patients.csv"))
    assert sorted(path.name for path in folder.iterdir()) == ["day-sheets"]


@pytest.mark.parametrize("settings", [{}, {"folder": ""}, {"folder": "drop"}, {"folder": "/x", "colour": "red"}])
def test_settings_are_checked_when_a_connection_is_opened(settings: dict[str, str]) -> None:
    """A relative folder would depend on where the daemon was started."""
    with pytest.raises(DomainError):
        ADAPTER.open(settings, CONTEXT)


def test_no_repr_or_error_shows_a_person(folder: Path, adapter: PmsAdapter) -> None:
    """Not even that of a line that was read."""
    put(folder / "patients.csv", PATIENTS + "P9,Zoe,Nowak,31/12/1999,\r\n")

    with pytest.raises(EdgeError) as caught:
        adapter.get_patient("P9")
    lines = client.read_lines(folder / "patients.csv", ("id",), ("given_name",))

    assert not any(text in f"{caught.value} {adapter!r} {lines!r}" for text in ("Zoe", "Nowak", "1999", "Ferris"))
