"""The location that tests work at: Leura Dental in the Blue Mountains, on Sydney's time."""

from __future__ import annotations

from collections.abc import Mapping

from connector.billing.clinics import Location
from connector.use_cases.context import Context
from connector.use_cases.practice.set_up_location import add_location


def added_leura(context: Context, pms_settings: Mapping[str, str]) -> Location:
    """Add it, with the starter plans, on top of an Open Dental office."""
    location_id = add_location(
        context,
        slug="leura",
        name="Leura Dental",
        timezone="Australia/Sydney",
        currency="aud",
        pms="open_dental",
        pms_settings=pms_settings,
    )
    with context.database.read() as session:
        return session.get_one(Location, location_id)
