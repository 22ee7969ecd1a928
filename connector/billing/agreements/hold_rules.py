"""What becomes of a hold when Stripe reports on it. Reports may come twice, late, or in the wrong order."""

from __future__ import annotations

from datetime import datetime, timedelta

from connector.billing.agreements.payment_requests import HoldStatus
from connector.billing.processor import ChargeReport, ChargeStatus

WARN_BEFORE = timedelta(hours=48)
"""Staff are told so long before a hold ends by itself."""
OPEN_REQUEST = (HoldStatus.REQUESTED, HoldStatus.FAILED)
"""The payer may give a card; of a declined one, another."""
UNDER_WAY = (HoldStatus.AUTHORISING, HoldStatus.AUTHORISED, HoldStatus.CAPTURING, HoldStatus.RELEASING)


def after_report(
    status: HoldStatus, report: ChargeReport, capture_before: datetime | None, now: datetime
) -> HoldStatus:
    """The status that follows. Money that was taken always counts, whoever took it; nothing else undoes an end."""
    match report.status:
        case ChargeStatus.SUCCEEDED:
            return HoldStatus.CAPTURED if report.settlement else status
        case ChargeStatus.AUTHORISED if status in (HoldStatus.AUTHORISING, *OPEN_REQUEST):
            return HoldStatus.AUTHORISED
        case ChargeStatus.OPEN if status is HoldStatus.AUTHORISING and report.failure_code:
            return HoldStatus.FAILED
        case ChargeStatus.CANCELLED:
            return _after_end(status, expired=capture_before is not None and now >= capture_before)
    return status


def _after_end(status: HoldStatus, *, expired: bool) -> HoldStatus:
    match status:
        case HoldStatus.RELEASING:
            return HoldStatus.RELEASED
        case HoldStatus.AUTHORISED | HoldStatus.CAPTURING:
            # Before its time only a person at Stripe's dashboard can have ended it.
            return HoldStatus.EXPIRED if expired else HoldStatus.RELEASED
        case HoldStatus.AUTHORISING:
            return HoldStatus.FAILED
    return status


def charge_id_of(hold_id: str) -> str:
    """The id of the charge that a hold may become. Stripe is told it from the beginning: our mark is made of it."""
    return f"ch_{hold_id.partition('_')[2]}"


def check_at(capture_before: datetime, warned: bool) -> datetime:
    """When an authorised hold is looked at next: to warn, then to see that it has ended."""
    return capture_before if warned else capture_before - WARN_BEFORE


def expires_in(capture_before: datetime, now: datetime) -> str:
    """The time that is left, e.g. '6 d 4 h', '35 min', or 'ended'."""
    minutes = int((capture_before - now).total_seconds() // 60)
    if minutes < 0:
        return "ended"
    days, hours = divmod(minutes // 60, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
