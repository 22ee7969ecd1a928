"""The Open Dental adapter against a simulated office over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import pytest
import uvicorn

from connector.clock import MovableClock
from connector.errors import (
    AccessDenied,
    DomainError,
    EdgeError,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    UnexpectedResponse,
    Unsupported,
)
from connector.money import Money
from connector.pms_adapters.manifest import ReversalStyle
from connector.pms_adapters.open_dental.adapter import OpenDental, OpenDentalAdapter
from connector.pms_adapters.open_dental.settings import OpenDentalSettings
from connector.pms_adapters.port import ConnectionContext, PmsAdapter
from connector.pms_adapters.records import PatientQuery, PaymentCommand, PmsEntry, ReversalCommand
from connector.sandbox.open_dental import OfficeOptions, create_app

TODAY = date(2026, 3, 2)
ADA, ADAM, BO = "1001", "1002", "1003"
"""The sandbox numbers patients in file order."""
NOON = datetime(2026, 3, 2, 1, tzinfo=UTC)
CONTEXT = ConnectionContext("aud", "Australia/Sydney", MovableClock(NOON))
PATIENTS = """id,given_name,family_name,date_of_birth,address,suburb,state,postcode,email,phone
A1,Ada,Ferris,1988-03-09,1 Quay St,Sydney,NSW,2000,ada@example.com,0491570156
A2,Adam,Ferris,1986-01-01,1 Quay St,Sydney,NSW,2000,,
A3,Bo,Lindgren,,2 Hill Rd,Perth,WA,6000,,
"""
REVERSALS = {"refund": ReversalStyle.FULL_ONLY, "negative_payment": ReversalStyle.ENTRY, "none": ReversalStyle.NONE}


@dataclass
class Office:
    """A running sandbox and its control endpoints."""

    address: str

    def control(self, name: str, **fields: object) -> Mapping[str, object]:
        response = httpx.post(f"{self.address}/_sandbox/{name}", json=fields, trust_env=False)
        response.raise_for_status()
        found: Mapping[str, object] = response.json()
        return found

    def forget_faults(self) -> None:
        httpx.delete(f"{self.address}/_sandbox/faults", trust_env=False).raise_for_status()

    def rows(self) -> list[Mapping[str, object]]:
        headers = {"Authorization": "ODFHIR sandbox-developer/sandbox-office", "Content-Type": "application/json"}
        address = f"{self.address}/api/v1/payments"
        found: list[Mapping[str, object]] = httpx.get(address, headers=headers, trust_env=False).json()
        return found

    def settings(self, **changes: str) -> dict[str, str]:
        keys = {"developer_key": "sandbox-developer", "customer_key": "sandbox-office"}
        return {"base_url": f"{self.address}/api/v1", **keys, "mode": "service", **changes}


@contextmanager
def running(folder: Path, options: OfficeOptions) -> Iterator[Office]:
    (folder / "patients.csv").write_text(PATIENTS, encoding="utf-8")
    app = create_app(folder / "office.db", folder / "patients.csv", options)
    ready = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
            await super().startup(sockets)  # type: ignore[arg-type]
            ready.set()

    server = Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        office = Office(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}")
        office.control("clock", now=NOON.isoformat())
        yield office
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with running(tmp_path, OfficeOptions()) as found:
        yield found


Connect = Callable[..., PmsAdapter]


@pytest.fixture
def connect(office: Office) -> Iterator[Connect]:
    """Opens connections that retry reads without waiting and are closed after the test."""
    opened: list[OpenDentalAdapter] = []

    def open_one(**changes: str) -> PmsAdapter:
        settings = OpenDentalSettings.parse(office.settings(**changes))
        opened.append(OpenDentalAdapter(settings, CONTEXT, sleep=lambda _: None))
        return opened[-1]

    yield open_one
    for adapter in opened:
        adapter.close()


def payment(reference: str = "SP7K2Q", patient_id: str = ADA, cents: int = 3900, **changes: object) -> PaymentCommand:
    fields = {"entry_date": TODAY, "payment_type": "Credit Card", "note": "dues\nMar 2026", **changes}
    return PaymentCommand(reference, patient_id, Money(cents, "aud"), **fields)  # type: ignore[arg-type]


def reversal(original: str | None, reference: str = "SP7K2Q-R", cents: int = 3900) -> ReversalCommand:
    return ReversalCommand(reference, original or "", ADA, Money(cents, "aud"), TODAY, "Credit Card", "given back")


def found(adapter: PmsAdapter, reference: str, patient_id: str = ADA) -> list[PmsEntry]:
    return [entry for entry in adapter.find_entries([patient_id], TODAY) if reference in entry.references]


@pytest.mark.parametrize("cents", [1, 99, 3900, 60, 99_999_999])
def test_a_payment_is_found_again_by_its_reference_to_the_cent(connect: Connect, cents: int) -> None:
    """The receipt's number, the entry and the day sheet agree."""
    adapter = connect()

    receipt = adapter.record_payment(payment(cents=cents))

    (entry,) = found(adapter, "SP7K2Q")
    assert (entry.id, entry.patient_id, entry.amount) == (receipt.entry_id, ADA, Money(cents, "aud"))
    assert (entry.entry_date, entry.foreign) == (TODAY, False)
    assert adapter.read_day_sheet(TODAY).entries == (entry,)


def test_the_payment_shows_the_reference_twice_and_the_type_by_name(office: Office, connect: Connect) -> None:
    """Staff may retype one of the two places; a line break in the note would come back as a space."""
    connect(payment_type="Check").record_payment(payment(payment_type="No such method"))

    (row,) = office.rows()
    assert (row["CheckNum"], row["PayNote"], row["payType"]) == ("SP7K2Q", "SP7K2Q dues Mar 2026", "Check")
    office.control("staff", action="retype_check_number", PayNum=row["PayNum"], CheckNum="cash")
    assert found(connect(), "SP7K2Q")


def test_a_missing_configured_payment_type_is_reported_and_nothing_is_written(office: Office, connect: Connect) -> None:
    """Guessing a type would put money into the wrong deposit."""
    adapter = connect(payment_type="Barter")

    with pytest.raises(Rejected):
        adapter.record_payment(payment(payment_type="No such method"))

    assert office.rows() == []
    assert "payment_type" in adapter.probe().problems[0]


@pytest.mark.parametrize(
    "command",
    [
        payment(reference="X" * 26),
        payment(reference="has space"),
        payment(reference=""),
        payment(cents=0),
        payment(cents=-5),
        payment(patient_id="../1"),
        payment(patient_id="99999"),
        payment(entry_date=date(2026, 3, 9)),
    ],
    ids=["long", "space", "empty", "zero", "negative", "path", "no such patient", "future"],
)
def test_an_impossible_payment_is_rejected_and_writes_nothing(
    office: Office, connect: Connect, command: PaymentCommand
) -> None:
    """Too long a reference would be cut off silently and never be found again."""
    with pytest.raises(Rejected):
        connect().record_payment(command)

    assert office.rows() == []


WRITE_FAULTS: dict[str, tuple[dict[str, object], type[EdgeError], int]] = {
    "answer lost": ({"kind": "reset_after"}, OutcomeUnknown, 1),
    "never handled": ({"kind": "reset_before"}, OutcomeUnknown, 0),
    "answer cut": ({"kind": "truncate"}, OutcomeUnknown, 1),
    "login page": ({"kind": "html_200"}, OutcomeUnknown, 0),
    "504 and done": ({"kind": "status_after", "status": 504}, OutcomeUnknown, 1),
    "429": ({"kind": "rate_limit"}, OutcomeUnknown, 0),
    "409": ({"kind": "status_before", "status": 409}, OutcomeUnknown, 0),
    "401": ({"kind": "status_before", "status": 401}, AccessDenied, 0),
    "404": ({"kind": "status_before", "status": 404}, Rejected, 0),
    "another payment": (
        {"kind": "status_before", "status": 201, "body": '{"PayNum": 1, "PatNum": 2, "PayAmt": "39"}'},
        OutcomeUnknown,
        0,
    ),
    "no number": ({"kind": "status_before", "status": 201, "body": "{}"}, OutcomeUnknown, 0),
}


@pytest.mark.parametrize(("fault", "kind", "written"), WRITE_FAULTS.values(), ids=WRITE_FAULTS)
def test_a_disturbed_write_has_its_class_and_reading_tells_what_happened(
    office: Office, connect: Connect, fault: dict[str, object], kind: type[EdgeError], written: int
) -> None:
    """One send, whatever comes back; the next call recovers."""
    adapter = connect()
    office.control("faults", **fault, method="POST", path="/api/v1/payments")

    with pytest.raises(kind):
        adapter.record_payment(payment())

    assert len(found(adapter, "SP7K2Q")) == written
    assert adapter.record_payment(payment(reference="NEXT")).entry_id


@pytest.mark.parametrize("fault", [{"kind": "html_200"}, {"kind": "rate_limit"}, {"kind": "reset_before"}])
def test_an_unclear_read_before_the_write_means_not_sent(
    office: Office, connect: Connect, fault: dict[str, object]
) -> None:
    """Nothing was written while the payment types could not be read."""
    office.control("faults", **fault, method="GET", path="*definitions", count=3)

    with pytest.raises(NotSent):
        connect().record_payment(payment())

    assert office.rows() == []


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "status_before", "status": 500}, OutcomeUnknown),
        ({"kind": "status_before", "status": 401}, AccessDenied),
        ({"kind": "status_before", "status": 404}, Rejected),
        ({"kind": "rate_limit"}, RateLimited),
        ({"kind": "html_200"}, UnexpectedResponse),
        ({"kind": "truncate"}, OutcomeUnknown),
        ({"kind": "status_before", "status": 200, "body": "{}"}, UnexpectedResponse),
        ({"kind": "status_before", "status": 200, "body": '[{"PayNum": 1}]'}, UnexpectedResponse),
    ],
    ids=str,
)
def test_a_disturbed_read_raises_instead_of_showing_less(
    office: Office, connect: Connect, fault: dict[str, object], kind: type[EdgeError]
) -> None:
    """An empty answer would look like a payment that is not there."""
    adapter = connect()
    adapter.record_payment(payment())
    office.control("faults", **fault, method="GET", path="*/payments", count=3)

    with pytest.raises(kind):
        adapter.find_entries([ADA], TODAY)

    office.forget_faults()
    assert found(adapter, "SP7K2Q")


def test_a_relay_that_lost_the_office_leaves_the_write_in_doubt(office: Office, connect: Connect) -> None:
    """In remote mode 400 may mean that the office did not answer in time; a sentence about a field is a refusal."""
    adapter = connect(mode="remote")
    adapter.probe()
    office.control("faults", kind="status_after", status=400, body="No response in time.", method="POST", path="*")

    with pytest.raises(OutcomeUnknown):
        adapter.record_payment(payment())
    with pytest.raises(Rejected):
        adapter.record_payment(payment(reference="LATER", entry_date=date(2026, 3, 9)))

    assert found(adapter, "SP7K2Q")
    office.control("econnector", down=True)
    with pytest.raises(NotSent):
        connect(mode="remote").record_payment(payment())
    assert "eConnector" in connect(mode="remote").probe().problems[0]


def test_a_write_that_lands_after_its_504_is_found_within_the_declared_window(office: Office, connect: Connect) -> None:
    """The worst that the relay can do: absent at first, there a minute later."""
    adapter = connect()
    office.control("late-writes", count=1, delay_seconds=59)

    with pytest.raises(OutcomeUnknown):
        adapter.record_payment(payment())

    assert found(adapter, "SP7K2Q") == []
    office.control("clock", now=(NOON + adapter.manifest.settle_window).isoformat())
    assert len(found(adapter, "SP7K2Q")) == 1


def test_payments_made_from_several_threads_all_arrive_once(connect: Connect) -> None:
    """As many at a time as the manifest allows."""
    adapter = connect()
    references = [f"REF{number:02d}" for number in range(24)]

    with ThreadPoolExecutor(adapter.manifest.concurrency) as pool:
        receipts = list(pool.map(lambda reference: adapter.record_payment(payment(reference)), references))

    entries = adapter.find_entries([ADA], TODAY)
    assert {entry.id for entry in entries} == {receipt.entry_id for receipt in receipts}
    assert sorted(min(entry.references) for entry in entries) == references


def test_lists_are_read_to_their_end_even_when_the_mode_is_wrong(office: Office, connect: Connect) -> None:
    """The sandbox caps pages at 100 rows; a connection that expects 1000 must not stop there."""
    for _ in range(205):
        office.control("staff", action="add_payment", PatNum=ADAM, PayAmt="5.00")

    for mode in ("service", "remote"):
        adapter = connect(mode=mode)
        assert len(adapter.find_entries([ADAM], TODAY)) == 205
        assert len(adapter.find_entries([ADA, ADAM, BO], TODAY)) == 205
        assert len(adapter.read_day_sheet(TODAY).entries) == 205


def test_only_the_patients_asked_for_are_shown(office: Office, connect: Connect) -> None:
    """By patient and by office list alike, and office rows are foreign."""
    for number in (ADA, ADAM, BO):
        office.control("staff", action="add_payment", PatNum=number, PayAmt="5.00")
    adapter = connect()

    for asked in ([ADA], [ADA, ADAM], [ADA, ADAM, "4"]):
        entries = adapter.find_entries(asked, TODAY)
        assert {entry.patient_id for entry in entries} == set(asked) - {"4"}
        assert all(entry.foreign for entry in entries)
    assert adapter.find_entries([], TODAY) == []


def test_the_day_sheet_shows_back_dated_entries_and_leaves_other_days_out(office: Office, connect: Connect) -> None:
    """Rows are found by entry date and kept by ledger date."""
    office.control("staff", action="add_payment", PatNum=ADA, PayAmt="1.00", PayDate="2026-02-27")
    office.control("staff", action="add_payment", PatNum=ADA, PayAmt="2.00", PayDate="2026-03-01")
    office.control("staff", action="add_payment", PatNum=ADA, PayAmt="3.00", PayDate="2026-03-04")

    sheets = [connect().read_day_sheet(date(2026, 3, day)) for day in (1, 2, 4)]

    assert [[entry.amount.cents for entry in sheet.entries] for sheet in sheets] == [[200], [], [300]]


def test_a_refund_carries_our_reference_and_leaves_the_payment(office: Office, connect: Connect) -> None:
    """Both are on the day sheet, each under its own reference."""
    adapter = connect()
    original = adapter.record_payment(payment()).entry_id

    receipt = adapter.record_reversal(reversal(original))

    sheet = adapter.read_day_sheet(TODAY).entries
    assert [(entry.amount.cents, entry.references) for entry in sheet] == [
        (3900, frozenset({"SP7K2Q"})),
        (-3900, frozenset({"SP7K2Q-R"})),
    ]
    assert sheet[1].id == receipt.entry_id
    assert office.rows()[1]["CheckNum"] == "SP7K2Q-R"


REFUND_FAULTS: dict[str, tuple[dict[str, object], type[EdgeError] | None, int]] = {
    "answer lost": ({"kind": "reset_after", "method": "POST", "path": "*Refund"}, OutcomeUnknown, 1),
    "504 and not done": (
        {"kind": "status_before", "status": 504, "method": "POST", "path": "*Refund"},
        OutcomeUnknown,
        0,
    ),
    "refused": ({"kind": "status_before", "status": 400, "method": "POST", "path": "*Refund"}, Rejected, 0),
    "announcing fails": ({"kind": "status_before", "status": 503, "method": "PUT"}, NotSent, 0),
    "marking fails": ({"kind": "status_before", "status": 503, "method": "PUT", "skip": 1}, None, 1),
    "marking is not confirmed": ({"kind": "reset_after", "method": "PUT", "skip": 1}, None, 1),
}


@pytest.mark.parametrize("copies", [False, True], ids=["blank texts", "copied texts"])
@pytest.mark.parametrize(("fault", "kind", "written"), REFUND_FAULTS.values(), ids=REFUND_FAULTS)
def test_an_interrupted_refund_is_recognised_and_never_made_twice(
    office: Office, connect: Connect, fault: dict[str, object], kind: type[EdgeError] | None, written: int, copies: bool
) -> None:
    """The announcement on the payment tells whose refund it is, though the refund itself bears no mark of ours."""
    office.control("options", refund_copies_reference=copies)
    adapter = connect()
    original = adapter.record_payment(payment()).entry_id
    office.control("faults", **fault)

    with pytest.raises(kind) if kind else nullcontext():
        adapter.record_reversal(reversal(original))
    assert len(found(adapter, "SP7K2Q-R")) == written

    adapter.record_reversal(reversal(original))
    (entry,) = found(adapter, "SP7K2Q-R")
    assert entry.amount == Money(-3900, "aud")
    assert [row.amount.cents for row in found(adapter, "SP7K2Q")] == [3900]
    assert len(office.rows()) == 2


def test_a_refund_is_not_made_when_it_might_be_the_second(office: Office, connect: Connect) -> None:
    """The API would refund again and again; a refund by staff, or another reversal of ours, stops it."""
    adapter = connect()
    first, second = (adapter.record_payment(payment(reference=name)).entry_id for name in ("PAY1", "PAY2"))
    adapter.record_reversal(reversal(first, "REV1"))

    with pytest.raises(Rejected):
        adapter.record_reversal(reversal(first, "REV2"))
    adapter.record_reversal(reversal(second, "REV3"))
    third = adapter.record_payment(payment(reference="PAY3")).entry_id
    office.control("staff", action="add_payment", PatNum=ADA, PayAmt="-39.00")
    with pytest.raises(Rejected):
        adapter.record_reversal(reversal(third, "REV4"))

    assert [len(found(adapter, name)) for name in ("REV1", "REV2", "REV3", "REV4")] == [1, 0, 1, 0]


def test_a_refund_of_a_part_or_of_nothing_is_refused(office: Office, connect: Connect) -> None:
    """The engine then asks a person."""
    adapter = connect()
    original = adapter.record_payment(payment()).entry_id

    with pytest.raises(Unsupported):
        adapter.record_reversal(reversal(original, cents=1000))
    with pytest.raises(Rejected):
        adapter.record_reversal(reversal("999999"))

    assert len(office.rows()) == 1


def test_negative_payments_reverse_any_part_where_the_office_takes_them(office: Office, connect: Connect) -> None:
    """One request that carries the reference; an office that refuses it is left unchanged."""
    adapter = connect(reversals="negative_payment")
    original = adapter.record_payment(payment()).entry_id

    with pytest.raises(Rejected):
        adapter.record_reversal(reversal(original, cents=1000))
    office.control("options", negative_payments=True)
    adapter.record_reversal(reversal(original, cents=1000))

    assert [entry.amount.cents for entry in found(adapter, "SP7K2Q-R")] == [-1000]


@pytest.mark.parametrize(("setting", "style"), REVERSALS.items())
def test_the_connection_declares_how_it_reverses(connect: Connect, setting: str, style: ReversalStyle) -> None:
    """What is switched off raises Unsupported."""
    adapter = connect(reversals=setting)

    assert adapter.manifest.reversal_style is style
    if style is ReversalStyle.NONE:
        with pytest.raises(Unsupported):
            adapter.record_reversal(reversal("1"))


def test_patients_are_found_and_got(office: Office, connect: Connect) -> None:
    """Names are prefixes, the other fields narrow; archived ones are inactive and deleted ones are gone."""
    adapter = connect()

    names = [patient.given_name for patient in adapter.find_patients(PatientQuery(family_name="ferr"))]
    (ada,) = adapter.find_patients(PatientQuery(family_name="Ferris", date_of_birth=date(1988, 3, 9)))
    assert names == ["Ada", "Adam"]
    assert (ada.id, ada.email, ada.phones) == (ADA, "ada@example.com", ("0491570156",))
    assert [patient.id for patient in adapter.find_patients(PatientQuery(phone="0491 570 156"))] == [ADA]
    assert adapter.find_patients(PatientQuery()) == []
    lindgren = adapter.get_patient(BO)
    assert lindgren
    assert (lindgren.date_of_birth, lindgren.guarantor_id, lindgren.postcode) == (None, BO, "6000")
    office.control("staff", action="archive_patient", PatNum=ADAM)
    archived = adapter.get_patient(ADAM)
    assert archived
    assert not archived.active
    office.control("staff", action="delete_patient", PatNum=BO)
    assert adapter.get_patient(BO) is None
    assert adapter.get_patient("99999") is None


def test_the_adapter_works_with_an_office_that_refuses_unknown_parameters(office: Office, connect: Connect) -> None:
    """Some versions answer 400 to a parameter that others ignore."""
    office.control("options", strict_query_keys=True, quoted_errors=True)
    adapter = connect()

    adapter.record_payment(payment())

    assert adapter.probe().ok
    assert found(adapter, "SP7K2Q")
    assert adapter.find_patients(PatientQuery(given_name="Ada", email="ada@example.com"))
    with pytest.raises(Rejected):
        connect(mode="remote").record_payment(payment(entry_date=date(2026, 3, 9)))


PROBES: dict[str, tuple[dict[str, object], dict[str, str], str]] = {
    "wrong key": ({}, {"customer_key": "other"}, "keys"),
    "key disabled": ({"key_enabled": False}, {}, "keys"),
    "no payments": ({"permissions": ["ApiReadAll"]}, {}, "ApiPayments"),
    "old": ({"program_version": "23.3.10.0"}, {}, "23.3.11"),
    "no refunds": ({"program_version": "24.4.27.0"}, {}, "24.4.28"),
    "unknown type": ({}, {"payment_type": "Barter"}, "payment_type"),
    "not the API": ({}, {"base_url": "http://127.0.0.1:9/api/v1"}, "reached"),
}


@pytest.mark.parametrize(("options", "settings", "word"), PROBES.values(), ids=PROBES)
def test_the_probe_names_each_problem_in_a_sentence(
    office: Office, connect: Connect, options: dict[str, object], settings: dict[str, str], word: str
) -> None:
    """Nothing raises, nothing is written, and the keys are not shown."""
    office.control("options", **options)

    report = connect(**settings).probe()

    assert len(report.problems) == 1
    assert word in report.problems[0]
    assert "sandbox" not in report.problems[0]


def test_the_probe_of_a_sound_office_tells_its_version(connect: Connect, office: Office) -> None:
    """An office without refunds by API is sound when reversals are switched off."""
    assert (connect().probe().version, connect().probe().ok) == ("25.4.48.0", True)
    office.control("options", program_version="24.1.0.0")
    assert connect(reversals="none").probe().ok


def test_no_error_shows_a_key_or_a_person(office: Office, connect: Connect) -> None:
    """Errors name status, method and resource only, and no repr shows settings or patients."""
    adapter = connect(customer_key="secret-of-office", developer_key="secret-of-vendor")

    with pytest.raises(AccessDenied) as denied:
        adapter.find_patients(PatientQuery(family_name="Ferris", email="ada@example.com"))
    with pytest.raises(Rejected) as rejected:
        connect().record_payment(payment(patient_id="987654", note="for Ada Ferris"))
    (ada,) = connect().find_patients(PatientQuery(email="ada@example.com"))

    shown = f"{denied.value} {rejected.value} {adapter!r} {ada!r} {OpenDentalSettings.parse(office.settings())!r}"
    assert not any(word in shown for word in ("Ferris", "example.com", "987654", "secret", "sandbox-"))


def test_the_factory_opens_without_any_call_and_refuses_incomplete_settings(office: Office) -> None:
    """Settings are checked by the manifest first."""
    adapter = OpenDental().open(office.settings(base_url="http://127.0.0.1:9/api/v1"), CONTEXT)
    adapter.close()

    with pytest.raises(DomainError, match="customer_key"):
        OpenDental().open({"base_url": "http://x", "developer_key": "d"}, CONTEXT)
    with pytest.raises(DomainError, match="colour"):
        OpenDental().open(office.settings(colour="red"), CONTEXT)
