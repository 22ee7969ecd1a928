"""Open Dental behind the port: which requests each call makes, in which order, and what their outcomes mean."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from itertools import islice

import httpx

from connector.clock import zone
from connector.errors import (
    AccessDenied,
    EdgeError,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    UnexpectedResponse,
    Unsupported,
)
from connector.money import Money
from connector.pms_adapters.manifest import Manifest
from connector.pms_adapters.open_dental import mapping, reversals
from connector.pms_adapters.open_dental.client import OpenDentalClient
from connector.pms_adapters.open_dental.manifest import MANIFEST, manifest_for
from connector.pms_adapters.open_dental.mapping import Payment
from connector.pms_adapters.open_dental.period import ClosedPeriod
from connector.pms_adapters.open_dental.probe import examine, payment_types
from connector.pms_adapters.open_dental.settings import OpenDentalSettings, Reversals
from connector.pms_adapters.pace import Deadline
from connector.pms_adapters.port import ConnectionContext
from connector.pms_adapters.records import (
    DaySheet,
    PatientQuery,
    PaymentCommand,
    PmsEntry,
    PmsPatient,
    ProbeReport,
    Receipt,
    ReversalCommand,
)
from connector.pms_adapters.registry import check_settings
from connector.pms_adapters.transport import NotFound

FEW_PATIENTS = 2
"""Up to here one list per patient is read; beyond, the office's list is the shorter way."""
CLOCK_OVERLAP = timedelta(days=1)
"""DateEntry is set by the office's own clock, which need not agree with ours on the day."""
FORWARD_DATED = timedelta(days=31)
"""How long before its ledger date a payment may have been entered and still be found for the day sheet."""


class OpenDental:
    """The factory that the entry point names."""

    manifest = MANIFEST

    def open(self, settings: Mapping[str, str], context: ConnectionContext) -> OpenDentalAdapter:
        """Check the settings and prepare a connection, without any call. Raises DomainError."""
        check_settings(self.manifest, settings)
        return OpenDentalAdapter(OpenDentalSettings.parse(settings), context)


class OpenDentalAdapter:
    """One office. Safe to use from several threads."""

    def __init__(
        self,
        settings: OpenDentalSettings,
        context: ConnectionContext,
        sleep: Callable[[float], None] = time.sleep,
        network: httpx.BaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._manifest = manifest_for(settings)
        self._currency = context.currency
        self._client = OpenDentalClient(settings, sleep, network)
        self._payment_types: Mapping[str, int] | None = None
        self._patient_pages = 0
        """So many pages the office's list of patients has at least, as far as it was read."""
        self._period = ClosedPeriod(self._client, context.clock, zone(context.timezone))

    @property
    def manifest(self) -> Manifest:
        """The facts of this connection, which depend on its mode and on how it reverses."""
        return self._manifest

    def close(self) -> None:
        """Give up the connections."""
        self._client.close()

    def probe(self) -> ProbeReport:
        """Check address, keys, version, permissions and payment type, with reads only."""
        return examine(self._client, self._settings, self._deadline())

    def find_patients(self, query: PatientQuery) -> Sequence[PmsPatient]:
        """Patients by the office's own search, without archived and deceased ones; none for an empty query."""
        search = mapping.patient_search(query)
        if not search:
            return []
        return [mapping.patient(row) for row in self._client.pages("patients", "PatNum", search, self._deadline())]

    def get_patient(self, patient_id: str) -> PmsPatient | None:
        """The full record; None when there is no such patient or it was deleted."""
        try:
            row = self._client.row("patients", mapping.id_number(patient_id), self._deadline())
        except NotFound:
            return None
        return None if mapping.text(row, "PatStatus") == mapping.DELETED else mapping.patient(row)

    def active_patients(self, patient_ids: Collection[str]) -> Collection[str]:
        """Those whom the office's list shows as active, where it is the shorter way; the others are read one by one.

        The list proves who is there, and not who is gone: its rows shift when somebody is deleted meanwhile.
        """
        wanted = set(patient_ids)
        active = self._listed_as_active(wanted)
        singly = (self.get_patient(patient_id) for patient_id in sorted(wanted - active))
        return active | {patient.id for patient in singly if patient and patient.active}

    def find_entries(self, patient_ids: Collection[str], since: date) -> Sequence[PmsEntry]:
        """All payments of these patients entered since the day before `since`, in the order of their numbers."""
        patients = {mapping.id_number(patient_id) for patient_id in patient_ids}
        if not patients:
            return []
        deadline = self._deadline()
        start = since - CLOCK_OVERLAP
        if len(patients) <= FEW_PATIENTS:
            # A patient may have been deleted, or the address may lead elsewhere: then only the office's own list tells.
            with suppress(NotFound):
                rows = [row for number in sorted(patients) for row in self._payments(deadline, number, start)]
                return self._entries(rows, deadline)
        rows = [row for row in self._payments(deadline, start=start) if row.patient in patients]
        return self._entries(rows, deadline)

    def read_day_sheet(self, business_date: date) -> DaySheet:
        """All payments dated on that day. The API filters by entry date only, so a longer period is read."""
        deadline = self._deadline()
        rows = self._payments(deadline, start=business_date - FORWARD_DATED)
        return DaySheet(
            business_date, tuple(self._entries([row for row in rows if row.pay_date == business_date], deadline))
        )

    def record_payment(self, command: PaymentCommand) -> Receipt:
        """POST one payment that carries the reference in CheckNum and at the start of PayNote."""
        self._check(command.reference, command.amount)
        prepayment = {"isPrepayment": "true"} if command.prepayment else {}
        receipt = self._post(command, command.amount, prepayment)
        if self._settings.backup_provider:
            self._provide(receipt, mapping.id_number(command.patient_id))
        return receipt

    def _provide(self, receipt: Receipt, patient: int) -> None:
        """Open Dental gives each split the patient's own provider; those without one get the backup provider.

        The payment stands by now, so whatever fails here leaves only the provider open.
        """
        deadline = self._deadline()
        with suppress(EdgeError):
            wanted = {"PatNum": patient, "PayNum": int(receipt.entry_id or 0)}
            splits = self._client.rows("paysplits", wanted, deadline)
            for row in splits:
                if str(mapping.number(row, "PayNum")) == receipt.entry_id and mapping.number(row, "ProvNum") == 0:
                    number = mapping.number(row, "SplitNum")
                    self._client.change("paysplits", number, {"ProvNum": self._settings.backup_provider}, deadline)

    def record_reversal(self, command: ReversalCommand) -> Receipt:
        """Take a payment back in the way that the setting `reversals` names. Raises Unsupported for others."""
        self._check(command.reference, command.amount)
        if self._settings.reversals is Reversals.NEGATIVE_PAYMENT:
            return self._post(command, -command.amount, {})
        if self._settings.reversals is Reversals.NONE:
            raise Unsupported("Reversals are switched off for this connection: enter it in Open Dental by hand.")
        return self._refund(command)

    def _post(self, command: PaymentCommand | ReversalCommand, amount: Money, extra: Mapping[str, object]) -> Receipt:
        deadline = self._deadline()
        patient = mapping.id_number(command.patient_id)
        with _before_the_write():
            self._period.demand_open(command.entry_date, deadline)
            pay_type = self._payment_type(command.payment_type, deadline)
        body = {
            "PatNum": patient,
            "PayAmt": amount.decimal,
            "PayDate": command.entry_date.isoformat(),
            "isPatientPreferred": "true",
            **mapping.marking(command.reference, command.note),
            **({} if pay_type is None else {"PayType": pay_type}),
            **extra,
        }
        try:
            answer = self._client.create("payments", body, deadline)
        except Rejected:
            # The office may have renumbered or removed a payment type since they were read.
            self._payment_types = None
            with suppress(NotSent), _before_the_write():
                self._period.demand_open(command.entry_date, deadline, anew=True)
            raise
        return _receipt(answer, patient, amount)

    def _refund(self, command: ReversalCommand) -> Receipt:
        deadline = self._deadline()
        patient, number = mapping.id_number(command.patient_id), mapping.id_number(command.original_entry_id)
        with _before_the_write():
            history = self._payments(deadline, patient=patient)
            done = next((row for row in history if command.reference.upper() in _reversal_marks(row, history)), None)
            if done:
                return Receipt(str(done.number))
            _check_refundable(command, number, history)
            self._client.change("payments", number, {"BankBranch": command.reference}, deadline)
        receipt = _receipt(
            self._client.create("payments/Refund", {"PayNum": number}, deadline), patient, -command.amount
        )
        self._mark(receipt, command, deadline)
        return receipt

    def _mark(self, receipt: Receipt, command: ReversalCommand, deadline: Deadline) -> None:
        """Write the reference on the refund for people to see; the announcement identifies it without that."""
        try:
            marks = mapping.marking(command.reference, command.note)
            self._client.change("payments", int(receipt.entry_id or 0), marks, deadline)
        except (NotSent, OutcomeUnknown, Rejected, AccessDenied):
            return

    def _listed_as_active(self, wanted: Collection[str]) -> set[str]:
        """Who is found as active within as many pages as cost less than reading all of them one by one."""
        most = len(wanted) // self._settings.mode.patients_per_page
        if self._patient_pages > most:
            return set()
        active: set[str] = set()
        # An office that does not offer the list refuses it.
        with suppress(Rejected):
            pages = self._client.pages_one_by_one("patients/Simple", self._deadline)
            for number, page in enumerate(islice(pages, most), 1):
                known = (mapping.patient(row) for row in page if mapping.text(row, "PatNum") in wanted)
                active.update(patient.id for patient in known if patient.active)
                if len(active) == len(wanted):
                    return active
                self._patient_pages = max(self._patient_pages, number + 1)
        return active

    def _payments(self, deadline: Deadline, patient: int | None = None, start: date | None = None) -> list[Payment]:
        params: dict[str, str | int] = {} if patient is None else {"PatNum": patient}
        if start:
            params["DateEntry"] = start.isoformat()
        rows = [
            mapping.payment(row, self._currency) for row in self._client.pages("payments", "PayNum", params, deadline)
        ]
        # The API ignores filters that it does not know in its version, so they are applied once more.
        return [
            row
            for row in rows
            if row.pay_type != mapping.INCOME_TRANSFER
            and (patient is None or row.patient == patient)
            and (start is None or row.entry_date >= start)
        ]

    def _entries(self, rows: Collection[Payment], deadline: Deadline) -> list[PmsEntry]:
        reversing = sorted({row.patient for row in rows if row.amount.cents < 0})
        histories = {patient: self._payments(deadline, patient=patient) for patient in reversing}
        ordered = sorted(rows, key=lambda row: row.number)
        return [reversals.entry(row, histories.get(row.patient, ())) for row in ordered]

    def _payment_type(self, wanted: str, deadline: Deadline) -> int | None:
        """The DefNum for that method; None leaves the choice to the office's preference."""
        types = self._payment_types
        if types is None:
            types = self._payment_types = payment_types(self._client, deadline)
        found = types.get(wanted.strip().casefold())
        fallback = self._settings.payment_type
        if found is None and fallback:
            found = types.get(fallback.casefold())
            if found is None:
                self._payment_types = None
                raise Rejected(
                    "The office has no payment type named in the setting 'payment_type': correct the setting."
                )
        return found

    def _check(self, reference: str, amount: Money) -> None:
        fits = reference.isascii() and reference.isprintable() and " " not in reference
        if not fits or not 0 < len(reference) <= MANIFEST.reference_length:
            raise Rejected("The reference does not fit into Open Dental's CheckNum, so nothing was sent.")
        if amount.cents <= 0 or amount.currency != self._currency:
            raise Rejected("The amount is not a positive one in the office's currency, so nothing was sent.")

    def _deadline(self) -> Deadline:
        return Deadline(self._manifest.call_deadline.total_seconds())


def _reversal_marks(row: Payment, history: Sequence[Payment]) -> frozenset[str]:
    return reversals.references(row, history) if row.amount.cents < 0 else frozenset()


def _check_refundable(command: ReversalCommand, number: int, history: Sequence[Payment]) -> None:
    """Raise unless the payment is there, whole, and certainly not taken back yet: the API refunds twice when asked."""
    original = next((row for row in history if row.number == number), None)
    if original is None:
        raise Rejected("Open Dental does not show the payment to be reversed for this patient: look for it by hand.")
    if original.amount != command.amount:
        raise Unsupported("Open Dental refunds whole payments only: enter this part by hand.")
    if original.announced not in ("", command.reference.upper()):
        raise Rejected("The payment's Bank-Branch field is in use, perhaps by an earlier reversal: look at it by hand.")
    if reversals.unexplained(original, history):
        raise Rejected("The patient has a refund of this amount already that is not ours: decide by hand.")


def _receipt(answer: object, patient: int, amount: Money) -> Receipt:
    try:
        return Receipt(str(mapping.created_number(answer, patient, amount)))
    except UnexpectedResponse as surprise:
        raise OutcomeUnknown(f"{surprise} Look before repeating it.") from None


@contextmanager
def _before_the_write() -> Iterator[None]:
    """Whatever stays unclear in here, the payment or refund itself was not sent."""
    try:
        yield
    except (OutcomeUnknown, RateLimited, UnexpectedResponse) as error:
        raise NotSent(f"{error} The entry itself was not sent.") from None
