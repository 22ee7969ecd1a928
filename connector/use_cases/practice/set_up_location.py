"""Set up a location: the clinic, its practice system, and the plans that it sells."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Clinic, Location, LocationStatus, location_by_slug
from connector.billing.intake.card_numbers import without_card_number
from connector.billing.intake.cells import FORMULA
from connector.billing.intake.member_cells import NO_PLAN
from connector.billing.offers.plan_files import STARTERS, starter
from connector.billing.offers.plan_terms import PlanTerms, terms_of
from connector.billing.offers.plans import MembershipPlan, PlanVersion
from connector.clock import business_date, zone
from connector.errors import DomainError
from connector.money import Money, known_currency
from connector.pms_adapters.port import ConnectionContext
from connector.pms_adapters.registry import adapter
from connector.unseen import is_printable
from connector.use_cases.context import Context
from connector.use_cases.plans.offer_plan import check_days

SETUP = "connector"
"""The author of the plans that every new location starts with, so that members can be imported at once."""

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
    status: LocationStatus = LocationStatus.ACTIVE,
) -> str:
    """Add a location with the starter plans; returns its id. Raises DomainError, and then adds nothing.

    `status`: pending as long as nobody has asked the payment account.
    """
    if not slug or not slug.replace("-", "").isalnum() or not slug.isascii() or slug != slug.lower():
        raise DomainError(f"{slug!r} cannot be a short name: use lower-case letters, digits and hyphens.")
    without_card_number(slug)
    name = _named("location", name)
    clinic = _named("clinic", clinic or name)
    zone(timezone)
    currency = known_currency(currency)
    # Opening makes no call; it checks that the adapter exists and has the settings that it needs.
    adapter(pms).open(pms_settings, ConnectionContext(currency, timezone, context.clock)).close()
    now = context.clock.now()
    location_id = ids.new_id("loc")
    try:
        with context.database.unit_of_work() as session:
            owner = _clinic(session, clinic, context)
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
                    status=status,
                    created_at=now,
                )
            )
            session.flush()
            for plan in STARTERS:
                save_plan(session, location_id, plan.title(), starter(plan), SETUP, now)
    except IntegrityError:
        raise DomainError(f"There is a location {slug!r} already: choose another short name.") from None
    return location_id


def add_plan(
    context: Context, *, location_slug: str, name: str, terms: PlanTerms, actor: str = SETUP, closed: bool = False
) -> str:
    """Add a membership plan; returns its id. `closed` allows one whose days of sign-up have passed.

    Raises DomainError when the location has one of that name already, whatever its capital and small letters.
    """
    name = _named("plan", name)
    if name.casefold() == NO_PLAN:
        raise DomainError(f"A plan cannot be named {NO_PLAN!r}: lists of members mean by it that there is no plan.")
    with context.database.unit_of_work() as session:
        location = location_by_slug(session, location_slug)
        check_days(terms, business_date(context.clock.now(), location.zone), closed=closed)
        # Whoever adds a plan waits here, so that two do not find the same name free.
        session.refresh(location, with_for_update=True)
        for taken in session.scalars(select(MembershipPlan.name).where(MembershipPlan.location_id == location.id)):
            if taken.casefold() == name.casefold():
                raise DomainError(f"Location {location_slug!r} has a plan {taken!r} already: choose another name.")
        return save_plan(session, location.id, name, terms, actor, context.clock.now())


def prices_only(prices: Mapping[Frequency, str], currency: str) -> PlanTerms:
    """The terms of a plan that has prices and nothing else. Raises DomainError for prices that cannot be."""
    if not prices:
        raise DomainError("A plan needs at least one price, e.g. --price monthly=29.90.")
    return terms_of({"prices": {key.value: Money.parse(text, currency).cents for key, text in prices.items()}})


def _named(what: str, name: str) -> str:
    """The name with single spaces. It is shown in tables, messages and reports, so it is one short line.

    It also comes back from exports, so it is nothing that a spreadsheet would run as a formula.

    Raises DomainError for what is none.
    """
    if not name.strip():
        raise DomainError(f"A {what} needs a name.")
    if name.lstrip(" ").startswith(FORMULA):
        raise DomainError(f"The name of a {what} starts like a formula of a spreadsheet (=, +, -, @): correct it.")
    name = " ".join(filter(None, name.split(" ")))
    if len(name) > NAME_MAX or not is_printable(name):
        raise DomainError(f"The name of a {what} is one line of at most {NAME_MAX} printable characters: shorten it.")
    without_card_number(name)
    return name


def _clinic(session: Session, name: str, context: Context) -> Clinic:
    clinic = session.scalar(select(Clinic).where(Clinic.name == name))
    if clinic is None:
        clinic = Clinic(id=ids.new_id("cli"), name=name, created_at=context.clock.now())
        session.add(clinic)
        session.flush()
    return clinic


def save_plan(session: Session, location_id: str, name: str, terms: PlanTerms, actor: str, now: datetime) -> str:
    """A new plan with its first version, in the caller's unit of work; returns its id."""
    plan = MembershipPlan(id=ids.new_id("pln"), location_id=location_id, name=name, version=1, created_at=now)
    session.add(plan)
    session.flush()
    session.add(
        PlanVersion(
            id=ids.new_id("plv"),
            plan_id=plan.id,
            number=1,
            document=terms.model_dump(mode="json"),
            actor=actor,
            created_at=now,
        )
    )
    session.flush()
    return plan.id
