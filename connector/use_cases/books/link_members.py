"""Link members to patients: automatically where there is no doubt, otherwise into the review queue; and by a person.

A new link releases the member's waiting write-backs in the same unit of work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from connector import ids
from connector.billing.clinics import Location
from connector.billing.members import Member
from connector.database.engine import Database
from connector.database.sums import summed
from connector.errors import DomainError, EdgeError
from connector.ledger.write_back.models import WriteBack
from connector.ledger.write_back.queue import CONNECTOR, assign_patient
from connector.ledger.write_back.states import WriteBackState
from connector.matching.decision import Candidate, Decision, Outcome, decide
from connector.matching.models import LinkReview, PatientLink, ReviewOutcome
from connector.matching.person import Person, person_of
from connector.matching.queries import queries_for
from connector.pms_adapters.port import PmsAdapter
from connector.use_cases.context import Context

log = structlog.get_logger()


@dataclass
class LinkReport:
    """What a matching run decided."""

    linked: int = 0
    review: int = 0
    none: int = 0
    problem: str | None = None

    def count(self, outcome: Outcome) -> None:
        match outcome:
            case Outcome.LINK:
                self.linked += 1
            case Outcome.REVIEW:
                self.review += 1
            case Outcome.NONE:
                self.none += 1


def link_members(
    context: Context, location: Location, progress: Callable[[int, int], None] | None = None
) -> LinkReport:
    """Decide on all members of the location that were not examined yet. Stops when the practice system is away."""
    report = LinkReport()
    adapter = context.pms.of(location)
    members = _unexamined(context.database, location)
    for number, member in enumerate(members, start=1):
        try:
            decision = examine(adapter, member)
        except EdgeError as error:
            report.problem = str(error)
            return report
        report.count(_keep(context, location, member, decision))
        if progress:
            progress(number, len(members))
    return report


def examine(adapter: PmsAdapter, member: Member) -> Decision:
    """Search the practice system for a member and decide; keeps nothing. Raises EdgeError when it is away."""
    return decide(person_of_member(member), list(_search(adapter, member).values()))


def _search(adapter: PmsAdapter, member: Member) -> dict[str, Person]:
    """The patients that could be the member, by their ids."""
    queries = queries_for(person_of_member(member))
    return {patient.id: person_of(patient) for query in queries for patient in adapter.find_patients(query)}


def person_of_member(member: Member) -> Person:
    """The member as one side of a comparison."""
    return Person(
        id=member.id,
        given_name=member.given_name,
        family_name=member.family_name,
        date_of_birth=member.date_of_birth,
        email=member.email,
        phones=(member.phone,) if member.phone else (),
        address=member.address,
        suburb=member.suburb,
        state=member.state,
        postcode=member.postcode,
    )


def link_by_person(context: Context, location: Location, member_id: str, patient_id: str, actor: str) -> int:
    """Link on a person's word; returns how many write-backs were released. Raises DomainError when it cannot be."""
    _require_member(context.database, location, member_id)
    if context.pms.of(location).get_patient(patient_id) is None:
        raise DomainError(f"There is no patient {patient_id!r} in the practice system: search it again.")
    try:
        with context.database.unit_of_work() as session:
            return _link(session, context, location, member_id, patient_id, actor, decision=None)
    except IntegrityError:
        raise DomainError(
            "This member or this patient is linked already: end that link first with "
            f"`connector links unlink --location {location.slug}`."
        ) from None


def unlink_by_person(context: Context, location: Location, member_id: str, actor: str) -> None:
    """End a member's link. What was posted stays where it is; what was never sent waits for a new link."""
    _require_member(context.database, location, member_id)
    now = context.clock.now()
    with context.database.unit_of_work() as session:
        link = _live(session, member_id)
        if link is None:
            raise DomainError(f"The member {member_id} is not linked: there is nothing to end.")
        link.ended_at, link.ended_by = now, actor
        assign_patient(session, member_id, None, now, actor)
        review = session.get(LinkReview, member_id)
        if review is None:
            # Without a row the next matching run would link it again by itself, against the person's word.
            review = LinkReview(
                member_id=member_id, location_id=location.id, candidates=[], weights_version="", examined_at=now
            )
            session.add(review)
        review.outcome, review.resolved_at = ReviewOutcome.REVIEW, None
    log.info("link.ended", member_id=member_id, actor=actor)


@dataclass(frozen=True, repr=False)
class ReviewItem:
    """A member of the review queue, with what depends on the decision. Has no repr: the name is personal."""

    member_id: str
    name: str
    outcome: str
    candidates: int
    best: float | None
    waiting_cents: int


def review_queue(context: Context, location: Location, limit: int) -> list[ReviewItem]:
    """Undecided members, the one with the most money waiting first."""
    waiting = summed(WriteBack.amount_cents)
    query = (
        select(LinkReview, Member.given_name, Member.family_name, waiting)
        .join(Member, Member.id == LinkReview.member_id)
        .outerjoin(
            WriteBack, (WriteBack.member_id == LinkReview.member_id) & (WriteBack.state == WriteBackState.UNLINKED)
        )
        .where(LinkReview.location_id == location.id, LinkReview.resolved_at.is_(None))
        .group_by(LinkReview.member_id, Member.given_name, Member.family_name)
        .order_by(waiting.desc(), LinkReview.member_id)
        .limit(limit)
    )
    with context.database.read() as session:
        return [
            ReviewItem(
                review.member_id,
                f"{given} {family}",
                review.outcome.value,
                len(review.candidates),
                review.candidates[0]["probability"] if review.candidates else None,
                cents,
            )
            for review, given, family, cents in session.execute(query)
        ]


@dataclass(frozen=True, repr=False)
class Examination:
    """One member with the candidates, for a person who decides. Has no repr: the people are personal."""

    member: Person
    decision: Decision
    patients: dict[str, Person]


def candidates_of(context: Context, location: Location, member_id: str) -> Examination:
    """Examine one member again. Raises EdgeError when the practice system is away."""
    member = _require_member(context.database, location, member_id)
    patients = _search(context.pms.of(location), member)
    person = person_of_member(member)
    return Examination(person, decide(person, list(patients.values())), patients)


def _keep(context: Context, location: Location, member: Member, decision: Decision) -> Outcome:
    """Commit the decision; a patient who is linked already makes an automatic link a review."""
    if decision.patient_id is not None:
        try:
            with context.database.unit_of_work() as session:
                _link(session, context, location, member.id, decision.patient_id, CONNECTOR, decision)
        except IntegrityError:
            log.info("link.patient_taken", member_id=member.id)
        else:
            return Outcome.LINK
    outcome = ReviewOutcome.NONE if decision.outcome is Outcome.NONE else ReviewOutcome.REVIEW
    with context.database.unit_of_work() as session:
        session.add(
            LinkReview(
                member_id=member.id,
                location_id=location.id,
                outcome=outcome,
                candidates=[shown(candidate) for candidate in decision.candidates],
                weights_version=decision.weights_version,
                examined_at=context.clock.now(),
            )
        )
    return Outcome(outcome.value)


def shown(candidate: Candidate) -> dict[str, object]:
    """A candidate as plain values, without anything personal."""
    return {
        "patient_id": candidate.patient_id,
        "probability": round(candidate.probability, 6),
        "reasons": [f"{reason.text} ({reason.bits:+.1f})" for reason in candidate.reasons if reason.bits],
        "hazards": sorted(hazard.value for hazard in candidate.hazards),
    }


def _link(
    session: Session,
    context: Context,
    location: Location,
    member_id: str,
    patient_id: str,
    actor: str,
    decision: Decision | None,
) -> int:
    now = context.clock.now()
    session.add(
        PatientLink(
            id=ids.new_id("lnk"),
            location_id=location.id,
            member_id=member_id,
            pms_patient_id=patient_id,
            linked_at=now,
            linked_by=actor,
            probability=decision.candidates[0].probability if decision else None,
            weights_version=decision.weights_version if decision else None,
        )
    )
    session.flush()
    review = session.get(LinkReview, member_id)
    if review is not None:
        review.resolved_at = now
    released = assign_patient(session, member_id, patient_id, now, actor)
    log.info("link.made", member_id=member_id, actor=actor, released=released)
    return released


def _live(session: Session, member_id: str) -> PatientLink | None:
    return session.scalar(select(PatientLink).where(PatientLink.member_id == member_id, PatientLink.ended_at.is_(None)))


def _unexamined(database: Database, location: Location) -> list[Member]:
    linked = select(PatientLink.member_id).where(PatientLink.ended_at.is_(None))
    query = (
        select(Member)
        .where(
            Member.location_id == location.id, Member.id.not_in(linked), Member.id.not_in(select(LinkReview.member_id))
        )
        .order_by(Member.created_at, Member.id)
    )
    with database.read() as session:
        return list(session.scalars(query))


def _require_member(database: Database, location: Location, member_id: str) -> Member:
    with database.read() as session:
        member = session.get(Member, member_id)
    if member is None or member.location_id != location.id:
        raise DomainError(
            f"Location {location.slug!r} has no member {member_id!r}: "
            f"see `connector links list --location {location.slug}`."
        )
    return member
