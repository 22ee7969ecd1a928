"""Set up a location: the clinic, its practice system, and the plans that it sells."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.clinics import Clinic, Location, location_by_slug
from connector.billing.plans import MembershipPlan, PlanPrice
from connector.billing.schedule import Frequency
from connector.clock import zone
from connector.errors import DomainError
from connector.money import Money, known_currency
from connector.pms_adapters.port import ConnectionContext
from connector.pms_adapters.registry import adapter
from connector.use_cases.context import Context

STARTER_PLANS = {
    "Essential": {
        Frequency.WEEKLY: 690,
        Frequency.FORTNIGHTLY: 1_380,
        Frequency.MONTHLY: 2_990,
        Frequency.ANNUALLY: 33_900,
    },
    "Comprehensive": {
        Frequency.WEEKLY: 990,
        Frequency.FORTNIGHTLY: 1_980,
        Frequency.MONTHLY: 4_290,
        Frequency.ANNUALLY: 48_900,
    },
    "Premium": {
        Frequency.WEEKLY: 1_490,
        Frequency.FORTNIGHTLY: 2_980,
        Frequency.MONTHLY: 6_450,
        Frequency.ANNUALLY: 73_500,
    },
}
"""Three plans that every new location starts with, in cents, so that members can be imported at once."""

NAME_MAX = 100
"""Characters."""


def add_location(
    context: Context,
    *,
    slug: str,
    name: str,
    timezone: str,
    currency: str,
    pms: str,
    pms_settings: Mapping[str, str],
    clinic: str = "",
) -> str:
    """Add a location with the starter plans; returns its id. Raises DomainError, and then adds nothing."""
    if not slug or not slug.replace("-", "").isalnum() or not slug.isascii() or slug != slug.lower():
        raise DomainError(f"{slug!r} cannot be a short name: use lower-case letters, digits and hyphens.")
    _check_name("location", name)
    _check_name("clinic", clinic or name)
    zone(timezone)
    currency = known_currency(currency)
    # Opening makes no call; it checks that the adapter exists and has the settings that it needs.
    adapter(pms).open(pms_settings, ConnectionContext(currency, timezone, context.clock)).close()
    now = context.clock.now()
    location_id = ids.new_id("loc")
    try:
        with context.database.unit_of_work() as session:
            owner = _clinic(session, clinic or name, context)
            session.add(
                Location(
                    id=location_id,
                    clinic_id=owner.id,
                    slug=slug,
                    name=name,
                    timezone=timezone,
                    currency=currency,
                    pms_adapter=pms,
                    pms_settings=dict(pms_settings),
                    created_at=now,
                )
            )
            session.flush()
            for plan, prices in STARTER_PLANS.items():
                _add_plan(
                    session, context, location_id, plan, {key: Money(cents, currency) for key, cents in prices.items()}
                )
    except IntegrityError:
        raise DomainError(f"There is a location {slug!r} already: choose another short name.") from None
    return location_id


def add_plan(context: Context, *, location_slug: str, name: str, prices: Mapping[Frequency, str]) -> str:
    """Add a membership plan; returns its id. Raises DomainError when it exists already or has no price."""
    _check_name("plan", name)
    if not prices:
        raise DomainError("A plan needs at least one price, e.g. --price monthly=29.90.")
    with context.database.read() as session:
        location = location_by_slug(session, location_slug)
    amounts = {frequency: Money.parse(text, location.currency) for frequency, text in prices.items()}
    if any(amount.cents <= 0 for amount in amounts.values()):
        raise DomainError("The price of a plan must be above zero.")
    try:
        with context.database.unit_of_work() as session:
            return _add_plan(session, context, location.id, name, amounts)
    except IntegrityError:
        raise DomainError(f"Location {location_slug!r} has a plan {name!r} already: choose another name.") from None


def _check_name(what: str, name: str) -> None:
    """Names are shown in tables, messages and reports, so they are one short line."""
    if not name.strip():
        raise DomainError(f"A {what} needs a name.")
    if len(name) > NAME_MAX or not name.isprintable():
        raise DomainError(f"The name of a {what} is one line of at most {NAME_MAX} printable characters: shorten it.")


def _clinic(session: Session, name: str, context: Context) -> Clinic:
    clinic = session.scalar(select(Clinic).where(Clinic.name == name))
    if clinic is None:
        clinic = Clinic(id=ids.new_id("cli"), name=name, created_at=context.clock.now())
        session.add(clinic)
        session.flush()
    return clinic


def _add_plan(
    session: Session, context: Context, location_id: str, name: str, prices: Mapping[Frequency, Money]
) -> str:
    plan = MembershipPlan(id=ids.new_id("pln"), location_id=location_id, name=name, created_at=context.clock.now())
    plan.prices = [
        PlanPrice(plan_id=plan.id, frequency=key, amount_cents=amount.cents) for key, amount in prices.items()
    ]
    session.add(plan)
    session.flush()
    return plan.id
