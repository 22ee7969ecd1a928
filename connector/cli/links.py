"""`connector links`: match members with patients, and decide on those that no machine should decide on."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from connector.cli.context import actor, find_location, opened
from connector.cli.counts import Count
from connector.cli.identifiers import MEMBER
from connector.cli.moving import move
from connector.cli.output import console, json_option, print_json, print_table, visible
from connector.errors import DomainError, EdgeError
from connector.matching.decision import Candidate
from connector.matching.person import Person
from connector.use_cases.books.link_members import (
    LinkReport,
    candidates_of,
    link_by_person,
    link_members,
    review_queue,
    shown,
    unlink_by_person,
)
from connector.use_cases.books.move_entries import survey

SHOWN_FROM = 0.001
"""Candidates below this probability would only distract."""
QUEUE_MAX = 100_000

location_option = click.option("--location", "slug", required=True, help="Short name of the location.")


@click.group()
def links() -> None:
    """The links between members and patients."""


links.add_command(move)


@links.command("match")
@location_option
@json_option
def match(slug: str, as_json: bool) -> None:
    """Look for the patients of all members that were not examined yet; link those beyond doubt."""
    with opened() as context:
        location = find_location(context, slug)
        if as_json or not console(err=True).is_terminal:
            report = link_members(context, location)
        else:
            report = _with_progress(lambda progress: link_members(context, location, progress))
        waiting = len(review_queue(context, location, QUEUE_MAX))
    if as_json:
        decided = {"linked": report.linked, "review": report.review, "none": report.none}
        print_json({**decided, "in_review": waiting, "problem": report.problem})
    else:
        click.echo(f"{report.linked} linked, {report.review} to review, {report.none} without any likely patient.")
        if waiting:
            click.echo(f"In the review queue now: {waiting}; see `connector links list --location SLUG`.")
    if report.problem:
        click.echo(f"Stopped: {visible(report.problem)}", err=True)
        sys.exit(1)


def _with_progress(work: Callable[[Callable[[int, int], None]], LinkReport]) -> LinkReport:
    from rich.progress import Progress

    with Progress(console=console(err=True), transient=True) as bar:
        task = bar.add_task("Matching members", total=None)
        return work(lambda done, total: bar.update(task, completed=done, total=total))


@links.command("list")
@location_option
@click.option("--limit", default=100, show_default=True, type=Count(1, 10_000))
@json_option
def list_all(slug: str, limit: int, as_json: bool) -> None:
    """The review queue: members without a link, the one with the most money waiting first."""
    with opened() as context:
        items = review_queue(context, find_location(context, slug), limit)
    if as_json:
        print_json([vars(item) for item in items])
    else:
        rows = [
            (
                i.member_id,
                i.name,
                i.outcome,
                i.candidates,
                f"{i.best:.3f}" if i.best else "",
                f"{i.waiting_cents / 100:,.2f}",
            )
            for i in items
        ]
        print_table(
            f"To review at {slug}",
            ("Member", "Name", "Decision", "Candidates", "Best", "Money waiting"),
            rows,
            right=(3, 4, 5),
        )


@links.command("candidates")
@click.argument("member_id", type=MEMBER)
@location_option
@json_option
def candidates(member_id: str, slug: str, as_json: bool) -> None:
    """Search the practice system again for one member and show the ranked candidates with reasons."""
    with opened() as context:
        try:
            found = candidates_of(context, find_location(context, slug), member_id)
        except EdgeError as error:
            raise DomainError(str(error)) from None
    decision = found.decision
    if as_json:
        print_json({"decision": decision.outcome.value, "candidates": [shown(c) for c in decision.candidates]})
        return
    likely = [c for c in decision.candidates if c.probability >= SHOWN_FROM]
    rows = [
        (c.patient_id, _name(found.patients[c.patient_id]), f"{c.probability:.3f}", _reasons(c), sorted(c.hazards))
        for c in likely
    ]
    title = f"Candidates for {_name(found.member)}: {decision.outcome.value}"
    print_table(title, ("Patient", "Name and birth date", "Probability", "Reasons", "Why not by itself"), rows)


def _name(person: Person) -> str:
    return f"{person.given_name} {person.family_name}, {person.date_of_birth or 'birth date unknown'}"


def _reasons(candidate: Candidate) -> list[str]:
    return [f"{reason.text} ({reason.bits:+.1f})" for reason in candidate.reasons if reason.bits]


@links.command("link")
@click.argument("member_id", type=MEMBER)
@click.argument("patient_id")
@location_option
@json_option
def link(member_id: str, patient_id: str, slug: str, as_json: bool) -> None:
    """Link MEMBER_ID to the patient PATIENT_ID; waiting payments go out by themselves."""
    with opened() as context:
        location = find_location(context, slug)
        try:
            released = link_by_person(context, location, member_id, patient_id, actor())
        except EdgeError as error:
            raise DomainError(str(error)) from None
        left = survey(context, location, member_id)
    elsewhere = len(left.movable) + len(left.unsettled) + len(left.by_hand)
    if as_json:
        linked = {"member_id": member_id, "patient_id": patient_id, "released": released}
        print_json({**linked, "with_former_patients": elsewhere})
    else:
        click.echo(f"Linked; {released} waiting payments are released.")
        if elsewhere:
            click.echo(
                f"Payments with a former patient: {elsewhere}; move them with "
                f"`connector links move {member_id} --location {slug}`."
            )


@links.command("unlink")
@click.argument("member_id", type=MEMBER)
@location_option
@json_option
def unlink(member_id: str, slug: str, as_json: bool) -> None:
    """End the link of MEMBER_ID. What was posted stays where it is."""
    with opened() as context:
        unlink_by_person(context, find_location(context, slug), member_id, actor())
    if as_json:
        print_json({"member_id": member_id, "unlinked": True})
    else:
        click.echo("The link is ended; what was not sent yet waits for a new one.")
