"""What the history tells of a payer on a link: what was accepted, what was opened and given, and what was revoked.

The history never holds a phone number, so it tells only that one was given, and whether anybody has changed it since.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector.billing.activity import Activity, remember
from connector.billing.agreements.contracts import AgreementStatus, Contract

EDITED = "Member Edited"
ACCEPTED = "Terms Accepted"
PAGE_OPENED = "Payment Page Opened"
REVOKED = "Link Revoked"


def newest_first(session: Session, subject_id: str, action: str) -> Sequence[Activity]:
    """All that was remembered of it under that name."""
    query = select(Activity).where(Activity.subject_id == subject_id, Activity.action == action)
    return session.scalars(query.order_by(Activity.sequence.desc())).all()


def remember_once(
    session: Session, subject_id: str, action: str, now: datetime, *, location_id: str, member_id: str, **detail: Any
) -> None:
    """Remember what a payer did on a link, unless it is what they did last, and the link was not revoked since.

    Another phone number is always news.
    """
    last = next(iter(newest_first(session, subject_id, action)), None)
    is_repeat = last is not None and "phone_given" not in detail and last.detail | detail == last.detail
    if last is None or not is_repeat or _is_after(newest_first(session, subject_id, REVOKED), last):
        remember(session, subject_id, action, now, location_id=location_id, actor=f"member:{member_id}", **detail)


def gave_phone(session: Session, contract_id: str) -> bool:
    """Whether the payer's phone number is the one that came with the acceptance of a contract that has not begun."""
    contract = session.get_one(Contract, contract_id)
    if contract.status is not AgreementStatus.PENDING:
        return False
    accepted = newest_first(session, contract_id, ACCEPTED)
    given = next((row for row in accepted if "phone_given" in row.detail), None)
    if given is None:
        return False
    edits = newest_first(session, contract.member_id, EDITED)
    by_staff = [row for row in edits if "phone" in row.detail["fields"].split(", ")]
    return not _is_after([*by_staff, *newest_first(session, contract_id, REVOKED)], given)


def _is_after(rows: Sequence[Activity], earlier: Activity) -> bool:
    return any(row.sequence > earlier.sequence for row in rows)
