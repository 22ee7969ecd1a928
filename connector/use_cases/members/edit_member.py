"""Correct what is known of a person: name, birth date, and how to reach them."""

from __future__ import annotations

from collections.abc import Mapping

from connector.billing.activity import remember
from connector.billing.clinics import Location
from connector.billing.members import Member
from connector.clock import business_date
from connector.errors import DomainError
from connector.use_cases.context import Context
from connector.use_cases.members.new_person import checked

EDITABLE = (
    *("given_name", "family_name", "date_of_birth", "gender", "email", "phone"),
    *("address", "suburb", "state", "postcode"),
)
"""Fields of a person that staff may correct, by their names in a file of members."""
EDITED = "Member Edited"
"""The history's name for it."""


def edit_member(context: Context, member_id: str, changes: Mapping[str, str], *, actor: str) -> list[str]:
    """Correct fields of EDITABLE, each given as text, an empty one to forget it; returns the fields that are new.

    The history keeps which fields were changed, and never what they hold. Raises DomainError, and then changes nothing.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        member = session.get(Member, member_id, with_for_update=True)
        if member is None:
            raise DomainError(f"There is no member {member_id!r}: see `connector members find`.")
        location = session.get_one(Location, member.location_id)
        known = {name: str(getattr(member, name) or "") for name in EDITABLE}
        row = checked({**known, **changes}, business_date(now, location.zone))
        # Only what was asked for is touched: what is known already may be written in an older form.
        changed = [name for name in EDITABLE if name in changes and getattr(member, name) != getattr(row, name)]
        for name in changed:
            setattr(member, name, getattr(row, name))
        if changed:
            remember(
                session,
                member_id,
                EDITED,
                now,
                location_id=location.id,
                actor=actor,
                fields=", ".join(changed),
            )
    return changed
