"""Leave a household: a dependent is dropped from a contract, or becomes the account holder of a new one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from connector.billing.activity import remember
from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.agreements.schedule import first_due_from
from connector.billing.clinics import Location
from connector.billing.members import Member
from connector.billing.offers.plan_changes import PlanChange, PlanChangeStatus
from connector.billing.offers.plans import MembershipPlan, PlanVersion
from connector.billing.prices.pricing import Position
from connector.clock import business_date
from connector.use_cases.context import Context
from connector.use_cases.members.add_member import queue_invitation
from connector.use_cases.members.draft_contract import draft_contract, draft_cover
from connector.use_cases.members.memberships import NOT_BEGUN, contract_for, dependent_cover, require
from connector.use_cases.members.new_person import reach
from connector.use_cases.patient_pages.revoke_links import Contact
from connector.use_cases.plans.apply_plan_changes import accepted_changes
from connector.use_cases.plans.decide_plan_change import withdraw_open_change

_MAY_LEAVE = tuple(status for status in AgreementStatus if status is not AgreementStatus.CANCELLED)


def drop_dependent(context: Context, contract_id: str, member_id: str, *, actor: str) -> date | None:
    """The dependent is not billed any more from the next invoice on, whose other prices follow.

    Returns the first day without cover; None when nothing has begun. Raises DomainError for anybody else.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        contract, location = contract_for(session, contract_id)
        require(contract, _MAY_LEAVE, "changed")
        cover = dependent_cover(session, contract, member_id)
        _end_covers(session, [cover], contract.next_period, now, actor)
        remember(
            session, contract.id, "Dependent Dropped", now, location_id=location.id, actor=actor, member_id=member_id
        )
        return contract.next_due


def promote_dependent(
    context: Context, contract_id: str, member_id: str, *, actor: str, email: str = "", phone: str = ""
) -> str:
    """Give the dependent a pending contract of their own and invite them; returns its id.

    It begins when what is paid for here is over. `email` and `phone` replace what is known. Raises DomainError.
    """
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        contract, location = contract_for(session, contract_id)
        require(contract, _MAY_LEAVE, "changed")
        cover = dependent_cover(session, contract, member_id)
        today = business_date(now, location.zone)
        reach(session, session.get_one(Member, member_id), Contact(email, phone), today, now, actor)
        return found_household(session, location, contract, [cover], _free_from(contract, today), now, actor).id


def found_household(
    session: Session,
    location: Location,
    old: Contract,
    covers: Sequence[Cover],
    start: date | None,
    now: datetime,
    actor: str,
) -> Contract:
    """A pending contract of these dependents, the first of whom is its holder; they end on the old one by its start.

    Plans, prices and starts are carried over, so waiting times and benefit years go on; a set-up fee that was charged,
    or is owed there, is not charged again. So is a change of plan that was accepted: until they end there its periods
    are billed as agreed. Raises DomainError when the new holder cannot be invited.
    """
    begun = old.status not in NOT_BEGUN
    end_period = old.next_period
    if begun and old.anchor and start:
        end_period = max(end_period, first_due_from(old.anchor, old.frequency, start)[0])
    accepted = accepted_changes(session, [old.id])
    moves = [_Move(cover, end_period, *accepted.get(cover.id, (0, None))) for cover in covers]
    # Who moves has been a member before: nothing is charged before the start, and the first charge begins nothing.
    contract, moved = _draft(session, location, old, moves, now, start=start, adopted=old.adopted or begun)
    # A pause is not billed: a fee that would come with one of its periods is still to come.
    billed_until = old.next_period if old.status is AgreementStatus.SUSPENDED else end_period
    for fresh, before in zip(moved, covers, strict=True):
        fresh.starts_on = before.starts_on
        fresh.setup_fee_cents = before.setup_fee_cents if before.from_period >= billed_until else 0
    session.add(contract)
    session.flush()
    session.add_all(moved)
    session.flush()
    for move, fresh in zip(moves, moved, strict=True):
        move.take_along(fresh)
    _end_covers(session, covers, end_period, now, actor)
    member = session.get_one(Member, contract.member_id)
    queue_invitation(session, location, contract, member, "promoted", now)
    detail = {"member_id": member.id, "from_contract_id": old.id}
    remember(session, contract.id, "Membership Created", now, location_id=location.id, actor=actor, **detail)
    detail = {"member_id": member.id, "to_contract_id": contract.id}
    remember(session, old.id, "Dependent Promoted", now, location_id=location.id, actor=actor, **detail)
    return contract


@dataclass(frozen=True, slots=True)
class _Move:
    """One person who goes on elsewhere, with a change of plan that was accepted and has not taken effect."""

    cover: Cover
    end_period: int
    """The first period that is billed there."""
    begins: int
    change: PlanChange | None

    @property
    def signed(self) -> Cover | PlanChange:
        """What says the plan and the price of the first period there."""
        return self.change if self.change and self.begins <= self.end_period else self.cover

    def take_along(self, fresh: Cover) -> None:
        """A change that would not have counted before the end counts on the new cover, at once or on its day."""
        if self.change and self.begins >= self.end_period:
            self.change.cover_id = fresh.id
            if self.begins == self.end_period:
                self.change.status = PlanChangeStatus.APPLIED


def _draft(
    session: Session,
    location: Location,
    old: Contract,
    moves: Sequence[_Move],
    now: datetime,
    *,
    start: date | None,
    adopted: bool,
) -> tuple[Contract, list[Cover]]:
    """The contract with a cover for each of them, the holder's first, at the price that is signed for the start."""
    holder, *others = moves
    offer = _offer(session, holder.signed)
    contract, cover = draft_contract(
        location, holder.cover.member_id, offer, old.frequency, now, start=start, adopted=adopted
    )
    covers = [cover]
    for move in others:
        offer = _offer(session, move.signed)
        covers.append(draft_cover(contract, move.cover.member_id, Position.DEPENDENT, offer, now))
    for fresh, move in zip(covers, moves, strict=True):
        fresh.price_cents = move.signed.price_cents
    return contract, covers


def _free_from(contract: Contract, today: date) -> date | None:
    """The first day that is neither paid nor owed there; the agreed start, if any, of what has not begun."""
    if contract.status in NOT_BEGUN or contract.anchor is None or contract.next_due is None:
        return contract.anchor
    return first_due_from(contract.anchor, contract.frequency, max(today, contract.next_due))[1]


def _offer(session: Session, signed: Cover | PlanChange) -> tuple[MembershipPlan, PlanVersion]:
    version = session.get_one(PlanVersion, signed.plan_version_id)
    return session.get_one(MembershipPlan, version.plan_id), version


def _end_covers(session: Session, covers: Sequence[Cover], period: int, now: datetime, actor: str) -> None:
    """They end before that period. A change of plan that was accepted for an earlier one takes effect until then."""
    accepted = accepted_changes(session, [cover.contract_id for cover in covers])
    for cover in covers:
        cover.until_period = period
    session.flush()
    for cover in covers:
        begins, _ = accepted.get(cover.id, (period, None))
        if begins >= period:
            withdraw_open_change(session, cover.id, now, actor=actor, because="left")
