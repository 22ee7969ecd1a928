"""Templates of payment plans: what a practice offers, and no longer offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.activity import remember
from connector.billing.agreements.asking import described
from connector.billing.agreements.instalment_terms import checked_template
from connector.billing.agreements.payment_plans import PaymentPlanTemplate
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.intake.card_numbers import without_card_number
from connector.errors import DomainError
from connector.money import Money
from connector.use_cases.context import Context

NAME_MAX = 100


@dataclass(frozen=True, slots=True)
class TemplateLimits:
    """The limits within which plans are agreed."""

    smallest: Money
    largest: Money
    months: Sequence[int]
    frequencies: Sequence[Frequency]
    deposit_percent: int
    setup_fee: Money
    start_after_days: int
    only_for_members: bool


def add_template(
    context: Context, location: Location, name: str, limits: TemplateLimits, description: str, actor: str
) -> str:
    """Offer a template; returns its id. Raises DomainError for limits that allow nothing, or a name that is taken."""
    name, now = name.strip(), context.clock.now()
    if not name or len(name) > NAME_MAX or not name.isprintable():
        raise DomainError(f"The name of a template is one line of at most {NAME_MAX} printable characters.")
    without_card_number(name)
    template = PaymentPlanTemplate(
        id=ids.new_id("ppt"),
        location_id=location.id,
        name=name,
        description=described(description),
        only_for_members=limits.only_for_members,
        min_total_cents=limits.smallest.cents,
        max_total_cents=limits.largest.cents,
        months=sorted(set(limits.months)),
        frequencies=list(dict.fromkeys(frequency.value for frequency in limits.frequencies)),
        deposit_percent=limits.deposit_percent,
        setup_fee_cents=limits.setup_fee.cents,
        start_after_days=limits.start_after_days,
        created_at=now,
    )
    checked_template(template)
    with context.database.unit_of_work() as session:
        if _by_name(session, location, name):
            raise DomainError(f"There is a template {name!r} already, or was: choose another name.")
        session.add(template)
        remember(session, template.id, "Payment Plan Template Created", now, location_id=location.id, actor=actor)
    return template.id


def archive_template(context: Context, location: Location, name: str, actor: str) -> None:
    """Offer it no longer; plans that were made of it go on. Raises DomainError for an unknown name."""
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        template = offered_template(session, location, name)
        template.archived_at = now
        remember(session, template.id, "Payment Plan Template Archived", now, location_id=location.id, actor=actor)


def offered_templates(session: Session, location: Location) -> Sequence[PaymentPlanTemplate]:
    """What is offered now, by name."""
    query = select(PaymentPlanTemplate).where(
        PaymentPlanTemplate.location_id == location.id, PaymentPlanTemplate.archived_at.is_(None)
    )
    return session.scalars(query.order_by(PaymentPlanTemplate.name)).all()


def offered_template(session: Session, location: Location, name: str) -> PaymentPlanTemplate:
    """The template of that name. Raises DomainError when it is not offered."""
    template = _by_name(session, location, name)
    if template is None or template.archived_at is not None:
        known = ", ".join(row.name for row in offered_templates(session, location))
        add = f"add one with `connector payment-plans template add --location {location.slug}`"
        advice = f"choose one of {known}" if known else add
        raise DomainError(f"The location {location.slug!r} offers no template {name!r}: {advice}.")
    return template


def _by_name(session: Session, location: Location, name: str) -> PaymentPlanTemplate | None:
    return session.scalar(
        select(PaymentPlanTemplate).where(
            PaymentPlanTemplate.location_id == location.id, PaymentPlanTemplate.name == name
        )
    )
