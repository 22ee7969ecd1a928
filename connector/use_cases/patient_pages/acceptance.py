"""What a payer has accepted, and on which page of the processor they went on from it, as the history tells it.

Between acceptance and a saved payment method lie minutes to a day, in which staff may revoke the link or change what
is due. Whoever completes the page asks here whether it still counts.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from connector.billing.activity import Activity
from connector.use_cases.patient_pages.link_history import ACCEPTED, PAGE_OPENED, REVOKED, newest_first, remember_once
from connector.use_cases.patient_pages.link_subject import LinkSubject
from connector.use_cases.patient_pages.show_signup import Dues


def page_opened(session: Session, subject: LinkSubject, page_id: str, amounts: str, now: datetime) -> None:
    """Remember that the payer went on to that page of the processor. `amounts`: what they were shown, '' if fixed."""
    detail = {"page_id": page_id} | ({"amounts": amounts} if amounts else {})
    whose = {"location_id": subject.location.id, "member_id": subject.member_id}
    remember_once(session, subject.id, PAGE_OPENED, now, **whose, **detail)


def was_revoked(session: Session, subject_id: str, page_id: str) -> bool:
    """Whether the link was revoked after the payer had gone on to that page. A page that staff opened has no link."""
    opened = _opening(session, subject_id, page_id)
    revoked = newest_first(session, subject_id, REVOKED)
    return bool(opened and revoked and revoked[0].sequence > opened.sequence)


def shown_amounts(session: Session, subject_id: str, page_id: str) -> str:
    """The amounts that the payer was shown before that page; empty when nothing was shown by us."""
    opened = _opening(session, subject_id, page_id)
    return str(opened.detail.get("amounts", "")) if opened else ""


def is_dearer(session: Session, contract_id: str, found: Dues) -> bool:
    """Whether a contract comes to more now than its payer accepted last; never if that was not here."""
    accepted = newest_first(session, contract_id, ACCEPTED)
    if not accepted:
        return False
    then = accepted[0].detail
    return bool(
        found.frequency.value != then["frequency"]
        or found.first.cents > then["first_cents"]
        or found.later.cents > then["later_cents"]
        or found.afterwards.cents > then["afterwards_cents"]
    )


def _opening(session: Session, subject_id: str, page_id: str) -> Activity | None:
    return next(
        (row for row in newest_first(session, subject_id, PAGE_OPENED) if row.detail["page_id"] == page_id), None
    )
