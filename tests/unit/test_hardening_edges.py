"""What comes from files, adapters and Stripe may be anything: it becomes one of our errors and stays where it is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import respx
from pydantic import SecretStr

from connector.billing.clinics import Location
from connector.billing.members import MethodKind
from connector.billing.processor import AuthorisedMethod
from connector.billing.stripe import StripeProcessor
from connector.billing.stripe.client import word
from connector.cli.sandbox import _state_file
from connector.database.engine import Database, DatabaseUnavailable
from connector.database.lock import InstanceLock
from connector.errors import DomainError, EdgeError, NotSent, OutcomeUnknown, Rejected, UnexpectedResponse
from connector.files import NotAnOrdinaryFile, open_ordinary, private_file, private_folder
from connector.messaging.mailer import Mail, OutboxMailer
from connector.money import Money
from connector.pms_adapters.file_drop import client
from connector.pms_adapters.transport import decode_json
from connector.sandbox.stripe.store import Store
from connector.settings import StripeSettings
from connector.use_cases.containment import contained

ADDRESS = "http://127.0.0.1:9"
DAY = datetime(2026, 3, 2, tzinfo=UTC)
CARD = AuthorisedMethod(MethodKind.CARD, "pm_1", None, "4242")
PRICE = Money(2_990, "aud")


@pytest.fixture
def processor() -> Iterator[StripeProcessor]:
    settings = StripeSettings(secret_key=SecretStr("sk_test_x"), api_base=ADDRESS)
    with closing(StripeProcessor(settings)) as opened:
        yield opened


@pytest.fixture
def location() -> Location:
    return Location(id="loc", slug="leura", name="Leura")


@pytest.mark.parametrize("text", ["1e999999999999999999999", "-1.5E+99999999999999999999", "[" * 200_000])
def test_json_that_nobody_can_mean_is_a_value_error(text: str) -> None:
    """The adapters turn that into an answer that was not understood."""
    with pytest.raises(ValueError, match="JSON"):
        decode_json(text.encode())


@pytest.mark.parametrize("error", [NotSent("It is away."), DomainError("It has no key.")])
def test_an_expected_trouble_of_a_location_is_told_as_it_is(location: Location, error: Exception) -> None:
    """The sentence was written for people."""
    told: list[str] = []

    with contained(location, told.append):
        raise error

    assert told == [str(error)]


def test_an_unexpected_trouble_of_a_location_is_told_by_its_class(location: Location) -> None:
    """What it says may be personal."""
    told: list[str] = []

    with contained(location, told.append):
        raise KeyError("Ada Ferris")

    assert told == ["The work for the location 'leura' failed (KeyError): see the log."]


@pytest.mark.parametrize("error", [DatabaseUnavailable("The disk is full."), CancelledError(), SystemExit(1)])
def test_what_concerns_all_locations_is_not_contained(location: Location, error: BaseException) -> None:
    """Going on would only fail again, location by location."""
    told: list[str] = []

    with pytest.raises(type(error)), contained(location, told.append):
        raise error

    assert told == []


READS: dict[str, Callable[[StripeProcessor], object]] = {
    "read_charge": lambda p: p.read_charge("pi_1"),
    "read_enrolment": lambda p: p.read_enrolment("cs_1"),
    "read_payout": lambda p: p.read_payout("po_1"),
    "events_since": lambda p: list(p.events_since(DAY)),
    "movements": lambda p: list(p.movements(DAY, DAY)),
}
WRITES: dict[str, Callable[[StripeProcessor], object]] = {
    "create_customer": lambda p: p.create_customer("k", "mem_1"),
    "open_enrolment": lambda p: p.open_enrolment("k", "cus_1", "con_1", "aud"),
    "attach_method": lambda p: p.attach_method("k", "cus_1", "pm_1"),
    "prepare_charge": lambda p: p.prepare_charge("k", "cus_1", PRICE, "ch", "inv", "loc"),
    "confirm_charge": lambda p: p.confirm_charge("k", "pi_1", CARD, PRICE),
}


@pytest.mark.parametrize("call", READS.values(), ids=READS)
@respx.mock
def test_a_read_of_unexpected_shape_is_an_unexpected_response(
    processor: StripeProcessor, call: Callable[[StripeProcessor], object]
) -> None:
    """An object without its fields, whatever the library makes of it."""
    respx.route().respond(200, json={"object": "list", "data": [{"object": "x"}], "has_more": False})

    with pytest.raises(UnexpectedResponse):
        call(processor)


@pytest.mark.parametrize("call", WRITES.values(), ids=WRITES)
@respx.mock
def test_a_write_answered_in_an_unexpected_shape_is_in_doubt(
    processor: StripeProcessor, call: Callable[[StripeProcessor], object]
) -> None:
    """It was answered with 200, so it may have been carried out."""
    respx.route().respond(200, json={"object": "x"})

    with pytest.raises(OutcomeUnknown):
        call(processor)


@respx.mock
def test_an_unknown_state_after_a_confirmation_is_in_doubt(processor: StripeProcessor) -> None:
    """The same answer to a read is only not understood."""
    respx.route().respond(200, json={"id": "pi_1", "object": "payment_intent", "status": "dreaming"})

    with pytest.raises(OutcomeUnknown):
        processor.confirm_charge("k", "pi_1", CARD, PRICE)
    with pytest.raises(UnexpectedResponse):
        processor.read_charge("pi_1")


@respx.mock
def test_a_list_that_repeats_itself_ends(processor: StripeProcessor) -> None:
    """A server that always has more of the same would keep the daemon for ever."""
    event = {
        "id": "evt_1",
        "object": "event",
        "type": "payout.paid",
        "created": 1,
        "data": {"object": {"id": "po_1", "object": "payout"}},
    }
    route = respx.route().respond(200, json={"object": "list", "url": "/v1/events", "data": [event], "has_more": True})

    with pytest.raises(UnexpectedResponse, match="repeats itself"):
        list(processor.events_since(DAY))

    assert route.call_count == 2


@pytest.mark.parametrize("code", ["a b", "card\x1b[2J", "x" * 65, "", "Zoë", 7])
@respx.mock
def test_a_refusals_code_is_quoted_only_if_it_is_a_word(processor: StripeProcessor, code: object) -> None:
    """It is shown to people and stored, so it is no place for anything else."""
    error = {"error": {"type": "invalid_request_error", "code": code, "message": "Ada Ferris"}}
    respx.route().respond(400, json=error, headers={"Request-Id": "req one"})

    with pytest.raises(Rejected) as caught:
        processor.create_customer("k", "mem_1")

    assert "code none, request none" in str(caught.value)
    assert word("resource_missing") == "resource_missing"


def test_new_folders_and_the_database_belong_to_their_owner_alone(tmp_path: Path) -> None:
    """Keys and people are in them; a folder that exists keeps its rights."""
    tmp_path.chmod(0o755)
    file = tmp_path / "one" / "two" / "connector.sqlite3"

    with closing(Database(f"sqlite:///{file.as_posix()}")) as database, database.unit_of_work() as session:
        session.connection().exec_driver_sql("CREATE TABLE t (x)")
        found = {path.name: rights(path) for path in file.parent.iterdir()}
    OutboxMailer(tmp_path / "new" / "outbox", "a@b.invalid").send(Mail("c@d.invalid", "s", "t"))

    shown = rights(tmp_path, file.parent.parent, file.parent, tmp_path / "new", tmp_path / "new" / "outbox")
    assert shown == owner_only(0o755, 0o700, 0o700, 0o700, 0o700)
    assert found.keys() >= {"connector.sqlite3", "connector.sqlite3-wal"}
    assert set(map(tuple, found.values())) == {tuple(owner_only(0o600))}


def test_a_sandboxs_database_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    """Whoever tries the connector out may have loaded real people."""
    file = _state_file(tmp_path / "sandbox.sqlite3", "stripe")

    with closing(Store(file)):
        found = rights(*tmp_path.iterdir())

    assert set(found) == set(owner_only(0o600))


def rights(*paths: Path) -> list[int]:
    """Windows has other rights, which follow the folder; there is nothing to compare."""
    return [path.stat().st_mode & 0o777 for path in paths if os.name != "nt" and path.exists()]


def owner_only(*modes: int) -> list[int]:
    return [mode for mode in modes if os.name != "nt"]


def test_a_private_file_leaves_alone_what_exists(tmp_path: Path) -> None:
    """Also through a link that leads to nothing yet."""
    (tmp_path / "old").write_text("kept", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    private_folder(tmp_path)

    private_file(tmp_path / "old")
    private_file(tmp_path / "link")
    private_file(tmp_path / "no-such-folder" / "file")

    assert (tmp_path / "old").read_text(encoding="utf-8") == "kept"
    assert (tmp_path / "target").read_bytes() == b""
    assert rights(tmp_path / "target") == owner_only(0o600)


def make_pipe(path: Path) -> None:
    """A named pipe that nobody writes to."""
    subprocess.run([sys.executable, "-c", f"import os; os.mkfifo({str(path)!r})"], check=True)


@pytest.mark.parametrize("make", [make_pipe, Path.mkdir], ids=["pipe", "folder"])
def test_only_ordinary_files_are_read(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A pipe would keep the daemon waiting for ever; none of the two is opened for longer than a look."""
    path = tmp_path / "SP7.csv"
    make(path)

    with pytest.raises(NotAnOrdinaryFile):
        open_ordinary(path)
    with pytest.raises(UnexpectedResponse, match="not an ordinary file"):
        client.read_lines(path, ("id",))
    with pytest.raises(Rejected, match="not an ordinary file"):
        client.read_published(path)


def test_a_file_that_is_too_long_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte more than allowed is enough to know."""
    monkeypatch.setattr(client, "MAX_FILE_BYTES", 10)
    (tmp_path / "a.csv").write_bytes(b"id\n" + b"1\n" * 100)

    with pytest.raises(UnexpectedResponse, match="is larger than 10 bytes"):
        client.read_lines(tmp_path / "a.csv", ("id",))
    assert len(client.read_published(tmp_path / "a.csv") or b"") == 11


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"process 4711", "process 4711"),
        (b"process 4711\x1b[2J", "an unknown process"),
        (b"\xff\xfe", "an unknown process"),
        (b"you: run rm -rf", "an unknown process"),
        (None, "an unknown process"),
    ],
)
def test_the_holder_of_the_lock_is_shown_only_in_our_own_words(tmp_path: Path, text: bytes | None, shown: str) -> None:
    """The file lies in a folder where others may write."""
    first, second = InstanceLock(tmp_path / "db"), InstanceLock(tmp_path / "db")
    first.acquire()
    holder = tmp_path / "db.holder"
    holder.unlink()
    if text is not None:
        holder.write_bytes(text)

    with pytest.raises(DomainError) as refused:
        second.acquire()
    first.release()

    assert f"({shown})" in str(refused.value)


def test_two_names_of_one_database_have_one_lock(tmp_path: Path) -> None:
    """Otherwise two daemons would work on the same file."""
    (tmp_path / "db").touch()
    (tmp_path / "other").symlink_to(tmp_path / "db")
    first = InstanceLock(tmp_path / "db")
    first.acquire()

    with pytest.raises(DomainError):
        InstanceLock(tmp_path / "other").acquire()

    first.release()


@pytest.mark.parametrize("url", ["nonsense", "postgresql://u@h:port/x", "://", "sqlite:/x"])
def test_a_malformed_address_of_a_database_is_one_sentence(url: str) -> None:
    """Without the address, which may hold a password."""
    with pytest.raises(DomainError, match="CONNECTOR_DATABASE__URL"):
        Database(url)


def test_ids_in_the_practices_files_are_printable() -> None:
    """They come back in tables and messages."""
    from connector.pms_adapters.file_drop import mapping

    values = {
        "pms_entry_id": "E1",
        "patient_id": "P7",
        "amount": "5",
        "entry_date": "2026-03-02",
        "reference": "SP7",
        **dict.fromkeys(("id", "given_name", "family_name", *mapping.PATIENT_EXTRAS), ""),
    }
    for column, read in (
        ("pms_entry_id", lambda line: mapping.ack(line, "aud")),
        ("patient_id", lambda line: mapping.ack(line, "aud")),
        ("reference", lambda line: mapping.ack(line, "aud")),
        ("patient_id", lambda line: mapping.day_sheet_entry(line, "aud", date(2026, 3, 2))),
        ("id", mapping.patient),
    ):
        read(client.Line("a.csv, line 2", values))
        with pytest.raises(EdgeError, match=f"^a.csv, line 2, has a {column} with unprintable"):
            read(client.Line("a.csv, line 2", {**values, column: "P\x1b[2J7"}))
