"""The stand-in for Stripe: every charge succeeds, cards at once and bank debits after two business days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import select

from connector.billing.agreements.payment_requests import PaymentHold
from connector.billing.clinics import Location
from connector.billing.collecting.charges import AttemptState, Charge, ChargeAttempt, ReturnKind
from connector.billing.members import MethodKind
from connector.billing.processor import (
    AccountReport,
    AuthorisedMethod,
    ChargeReport,
    ChargeStatus,
    EventKind,
    HostedPage,
    ListedCharge,
    Movement,
    PayoutReport,
    ProcessorEvent,
    ReturnReport,
    Settlement,
)
from connector.clock import Clock, business_date
from connector.database.engine import Database
from connector.database.seal import SEAL, Seal
from connector.errors import NotSent
from connector.money import Money

NOBODY_ASKED = "A rehearsal asks nobody outside."
DEBIT_DAYS = 2
"""Business days until a bank debit is final (Stripe: BECS timing)."""


class RehearsedProcessor:
    """Answers from the copied database. What was under way when the copy was made is assumed to succeed."""

    reads = 0

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._debits: dict[str, datetime] = {}
        """When each debit under way becomes final."""
        with database.read() as session:
            under_way = (
                select(Charge.processor_id, ChargeAttempt.sent_at, Location)
                .join(ChargeAttempt, ChargeAttempt.charge_id == Charge.id)
                .join(Location, Location.id == Charge.location_id)
                .where(ChargeAttempt.state == AttemptState.PROCESSING)
            )
            for processor_id, sent_at, location in session.execute(under_way):
                self._debits[str(processor_id)] = _final(location, sent_at or clock.now())

    def write_seal(self, _key: str, text: str, _kept_as: str | None = None) -> str:
        return text

    def read_seal(self, _kept_as: str) -> str | None:
        with self._database.read() as session:
            return session.get_one(Seal, SEAL).text

    def create_customer(self, _key: str, member_id: str) -> str:
        return f"cus_rehearsed_{member_id}"

    def prepare_charge(
        self,
        _key: str,
        _customer_id: str,
        _amount: Money,
        charge_id: str,
        _invoice_id: str,
        _location_id: str,
        *,
        manual_capture: bool = False,  # noqa: ARG002  (the port calls by name)
        application_fee: Money | None = None,  # noqa: ARG002
        description: str | None = None,  # noqa: ARG002
    ) -> str:
        return f"pi_rehearsed_{charge_id}"

    def confirm_charge(self, _key: str, processor_id: str, method: AuthorisedMethod, _amount: Money) -> ChargeReport:
        if method.kind is not MethodKind.BECS:
            return self.read_charge(processor_id)
        with self._database.read() as session:
            charge = session.scalars(select(Charge).where(Charge.processor_id == processor_id)).one()
            location = session.get_one(Location, charge.location_id)
        self._debits[processor_id] = _final(location, self._clock.now())
        return ChargeReport(processor_id, ChargeStatus.PROCESSING)

    def present_charge(
        self, key: str, processor_id: str, method: AuthorisedMethod, amount: Money, _return_url: str
    ) -> ChargeReport:
        return self.confirm_charge(key, processor_id, method, amount)

    def read_charge(self, processor_id: str) -> ChargeReport:
        now = self._clock.now()
        if self._debits.get(processor_id, now) > now:
            return ChargeReport(processor_id, ChargeStatus.PROCESSING)
        with self._database.read() as session:
            charge = session.scalar(select(Charge).where(Charge.processor_id == processor_id))
            hold = session.scalar(select(PaymentHold).where(PaymentHold.processor_id == processor_id))
        if charge is None and hold is not None:
            over = hold.capture_before is not None and hold.capture_before <= now
            status = ChargeStatus.CANCELLED if over else ChargeStatus.AUTHORISED
            return ChargeReport(processor_id, status, capture_before=hold.capture_before)
        if charge is None:
            raise NotSent(NOBODY_ASKED)
        settlement = Settlement(f"py_{processor_id}", charge.amount, Money.zero(charge.currency), now)
        return ChargeReport(processor_id, ChargeStatus.SUCCEEDED, settlement=settlement)

    def events_since(self, _instant: datetime) -> Iterator[ProcessorEvent]:
        now = self._clock.now()
        for processor_id in [known for known, final in self._debits.items() if final <= now]:
            del self._debits[processor_id]
            event_id = f"evt_{processor_id}"
            yield ProcessorEvent(event_id, EventKind.CHARGE, "payment_intent.succeeded", processor_id, now)

    def open_enrolment(
        self,
        _key: str,
        _customer_id: str,
        agreement_id: str,
        _currency: str,
        *,
        return_url: str | None = None,  # noqa: ARG002  (the port calls by name)
        message: str | None = None,  # noqa: ARG002
        expires_at: datetime | None = None,  # noqa: ARG002
    ) -> HostedPage:
        return HostedPage(f"cs_rehearsed_{agreement_id}", "https://pages.invalid/rehearsed")

    def read_method(self, _method_id: str) -> AuthorisedMethod | None:
        raise NotSent(NOBODY_ASKED)

    def mandate_active(self, _mandate_id: str) -> bool:
        return True

    def check_account(self) -> AccountReport:
        raise NotSent(NOBODY_ASKED)

    def read_enrolment(self, _session_id: str) -> tuple[str, AuthorisedMethod] | None:
        return None

    def attach_method(self, _key: str, _customer_id: str, _method_id: str) -> AuthorisedMethod:
        raise NotSent(NOBODY_ASKED)

    def capture_charge(
        self,
        _key: str,
        processor_id: str,
        _amount: Money,
        application_fee: Money | None = None,  # noqa: ARG002
    ) -> ChargeReport:
        return self.read_charge(processor_id)

    def cancel_charge(self, _key: str, processor_id: str) -> ChargeReport:
        return ChargeReport(processor_id, ChargeStatus.CANCELLED)

    def refund_charge(
        self, _key: str, _processor_id: str, _amount: Money, _refund_id: str | None = None
    ) -> ReturnReport:
        raise NotSent(NOBODY_ASKED)

    def verify_webhook(self, _payload: bytes, _signature: str, _now: datetime) -> ProcessorEvent:
        raise NotSent(NOBODY_ASKED)

    def charges_since(self, _instant: datetime) -> Iterator[ListedCharge]:
        return iter(())

    def returns_since(self, _instant: datetime) -> Iterator[tuple[ReturnKind, str]]:
        return iter(())

    def payouts_since(self, _instant: datetime) -> Iterator[str]:
        return iter(())

    def read_return(self, _kind: ReturnKind, _processor_id: str) -> ReturnReport:
        raise NotSent(NOBODY_ASKED)

    def read_payout(self, _processor_id: str) -> PayoutReport:
        raise NotSent(NOBODY_ASKED)

    def movements(self, _start: datetime, _end: datetime) -> Iterator[Movement]:
        return iter(())


def _final(location: Location, submitted: datetime) -> datetime:
    """When a bank debit that was submitted then is final."""
    day = business_date(submitted, location.zone)
    return submitted + (location.calendar.add_business_days(day, DEBIT_DAYS) - day)
