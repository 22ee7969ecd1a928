"""Queue a message, in the unit of work that gives the reason for it. `send_messages` hands it over later."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from connector import ids
from connector.billing.clinics import Location
from connector.database.inserts import insert_if_new
from connector.messaging.kinds import CHANNELS, MessageKind
from connector.messaging.models import URGENT, Message, MessageState
from connector.messaging.window import send_at


def queue_message(
    session: Session,
    location: Location,
    kind: MessageKind,
    subject_id: str,
    occasion: str,
    now: datetime,
    *,
    member_id: str | None = None,
    staff_user_id: str | None = None,
    urgent: bool = False,
    **detail: int | str | None,
) -> None:
    """Queue it on every channel that its kind has; a second one for the same subject and occasion is no message.

    Goes to the member, else to the staff user, else to the location. Waits for the location's send window unless it is
    `urgent`, because somebody waits for it, and stays so. `detail`: cents and dates (ISO) that are to be said as
    decided.
    """
    policy, calendar = location.policy, location.calendar
    window = (policy.send_from_hour, policy.send_until_hour)
    not_before = now if urgent else send_at(now, location.zone, *window, calendar.is_business_day)
    rows = [
        {
            "id": ids.new_id("msg"),
            "location_id": location.id,
            "member_id": member_id,
            "staff_user_id": staff_user_id,
            "kind": kind,
            "channel": channel,
            "subject_id": subject_id,
            "reason_key": f"{kind}:{subject_id}:{occasion}:{channel}",
            "detail": detail | ({URGENT: True} if urgent else {}),
            "state": MessageState.QUEUED,
            "not_before": not_before,
            "attempts": 0,
            "created_at": now,
        }
        for channel in sorted(CHANNELS[kind])
    ]
    session.execute(insert_if_new(session, Message), rows)
