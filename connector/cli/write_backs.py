"""`connector write-backs`: see what is written to the practice system, what waits and why, and act on it."""

from __future__ import annotations

import sys

import click

from connector.cli.context import actor, find_location, opened
from connector.cli.counts import Count
from connector.cli.filled import FILLED
from connector.cli.identifiers import WRITE_BACK
from connector.cli.output import dollars, json_option, print_json, print_table, visible
from connector.ledger.write_back import queue
from connector.ledger.write_back.models import WriteBack
from connector.ledger.write_back.states import WAITING, WriteBackState
from connector.use_cases.books.connection_troubles import connection_trouble, retry_connection
from connector.use_cases.books.work_write_backs import work_write_backs
from connector.use_cases.members.list_members import names_of

WHY = {
    WriteBackState.UNLINKED: "Link the member: see `connector links list --location SLUG`.",
    WriteBackState.READY: "Post it by hand: `connector write-backs post`.",
    WriteBackState.QUEUED: "It goes out with the next run.",
}
"""What to say of a state that needs no further reason."""

STATES = click.Choice([state.value for state in WriteBackState])


@click.group("write-backs")
def write_backs() -> None:
    """The queue to the practice system."""


@write_backs.command("list")
@click.option("--location", "slug", required=True, help="Short name of the location.")
@click.option("--state", multiple=True, type=STATES, help="Only these states; by default all that wait.")
@click.option("--limit", default=100, show_default=True, type=Count(1, 10_000))
@json_option
def list_all(slug: str, state: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List write-backs, the oldest first, with the reason why each stands where it stands."""
    states = [WriteBackState(name) for name in state] or list(WAITING)
    with opened() as context:
        location = find_location(context, slug)
        with context.database.read() as session:
            rows = queue.listed(session, location.id, states, limit)
        names = names_of(context, (row.member_id for row in rows))
        trouble = connection_trouble(context, location)
    if as_json:
        print_json([{**_document(row), "member_id": row.member_id, "name": names[row.member_id]} for row in rows])
    else:
        cells = [
            (
                r.id,
                names[r.member_id],
                r.entry_date,
                r.leg,
                dollars(r.amount_cents),
                r.state,
                r.pms_entry_id or "",
                r.reason or _why(r),
            )
            for r in rows
        ]
        columns = ("Write-back", "Name", "Date", "What", "Amount", "State", "PMS number", "Why")
        print_table(f"Write-backs of {slug}", columns, cells, right=(4,))
        if len(rows) == limit:
            click.echo(f"Only the first {limit} are shown: --limit shows more.")
        if trouble:
            click.echo(visible(trouble))


@write_backs.command("show")
@click.argument("write_back_id", type=WRITE_BACK)
@json_option
def show(write_back_id: str, as_json: bool) -> None:
    """Show one write-back with every step it took."""
    with opened() as context, context.database.read() as session:
        row = queue.find(session, write_back_id)
        steps = queue.steps(session, row.id)
    if as_json:
        history = [
            {"at": s.at, "before": s.before, "after": s.after, "actor": s.actor, "reason": s.reason} for s in steps
        ]
        print_json({**_document(row), "steps": history})
    else:
        cells = [(f"{s.at:%Y-%m-%d %H:%M:%S} UTC", s.before or "", s.after, s.actor, s.reason or "") for s in steps]
        print_table(f"{row.id}, reference {row.reference}", ("When", "From", "To", "By", "Why"), cells)


@write_backs.command("work")
@click.option("--location", "slug", type=FILLED, help="Only this location.")
@json_option
def work(slug: str | None, as_json: bool) -> None:
    """Send and settle what is due now, as the daemon does by itself."""
    with opened(sends=True) as context:
        tallies = work_write_backs(context, None if slug is None else find_location(context, slug).id)
    if as_json:
        print_json(
            {name: {"sent": t.sent, "confirmed": t.confirmed, "problem": t.problem} for name, t in tallies.items()}
        )
    elif not tallies:
        click.echo("Nothing is due here, or another process of this installation is at it.")
    for name, tally in tallies.items() if not as_json else ():
        click.echo(f"{name}: {tally.sent} sent, {tally.confirmed} confirmed.")
        if tally.problem:
            click.echo(f"Problem: {visible(tally.problem)}", err=True)
    if any(tally.problem for tally in tallies.values()):
        sys.exit(1)


@write_backs.command("retry")
@click.option("--location", "slug", required=True, help="Short name of the location.")
@json_option
def retry(slug: str, as_json: bool) -> None:
    """Try a practice system that is left alone because it kept failing with the next run, without waiting longer."""
    with opened() as context:
        waited = retry_connection(context, find_location(context, slug))
    if as_json:
        print_json({"location": slug, "retried": waited})
    elif waited:
        click.echo(f"The practice system of {slug} is tried with the next run.")
    else:
        click.echo(f"Nothing holds the practice system of {slug} up: it is asked with each run.")


@write_backs.command("post")
@click.argument("write_back_id", type=WRITE_BACK)
@json_option
def post(write_back_id: str, as_json: bool) -> None:
    """Post to Ledger: send a write-back that waits for a person."""
    with opened() as context, context.database.unit_of_work() as session:
        queue.post_by_person(session, write_back_id, context.clock.now(), actor())
    _done(write_back_id, "is queued and goes out with the next run", as_json)


@write_backs.command("mark-recorded")
@click.argument("write_back_id", type=WRITE_BACK)
@click.option("--undo", is_flag=True, help="Take the mark back.")
@json_option
def mark_recorded(write_back_id: str, undo: bool, as_json: bool) -> None:
    """Mark Recorded: note that the amount was typed into the practice system by hand."""
    verb = queue.undo_recorded if undo else queue.mark_recorded
    with opened() as context, context.database.unit_of_work() as session:
        verb(session, write_back_id, context.clock.now(), actor())
    _done(write_back_id, "is no longer marked" if undo else "is marked as recorded by hand", as_json)


def _why(row: WriteBack) -> str:
    if row.after_id and row.state is WriteBackState.QUEUED:
        return "It goes out once what was entered with the former patient is taken out there."
    return WHY.get(row.state, "")


def _document(row: WriteBack) -> dict[str, object]:
    names = (
        "id",
        "reference",
        "leg",
        "amount_cents",
        "currency",
        "entry_date",
        "state",
        "sent_to_patient_id",
        "pms_entry_id",
    )
    return {**{name: getattr(row, name) for name in names}, "attempts": row.attempts, "reason": row.reason}


def _done(write_back_id: str, what: str, as_json: bool) -> None:
    if as_json:
        print_json({"id": write_back_id, "done": True})
    else:
        click.echo(f"Write-back {write_back_id} {what}.")
