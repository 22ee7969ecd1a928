"""`connector messages`: what was and will be sent to members and staff."""

from __future__ import annotations

import sys
from datetime import date

import click

from connector.cli.context import actor, find_location, opened, senders
from connector.cli.counts import Count
from connector.cli.identifiers import MESSAGE
from connector.cli.output import json_option, print_json, print_table, visible
from connector.messaging.kinds import CHANNELS, Channel, MessageKind
from connector.messaging.models import Message, MessageState
from connector.messaging.texts import render
from connector.money import Money
from connector.use_cases.messages.list_messages import list_messages, resend_message
from connector.use_cases.messages.send_messages import send_messages

_DAY = date(2030, 1, 31)
_AMOUNT = Money(4_900, "aud")
SAMPLE: dict[str, object] = {
    "given_name": "Alex",
    "practice": "Your Practice",
    "person": "Sam",
    "plan": "Essential",
    "url": "https://pay.example.org/l/EXAMPLE",
    "number": "PRACTICE-000042",
    "hold_id": "hold_EXAMPLE",
    "amount": _AMOUNT,
    "old_amount": Money(4_500, "aud"),
    "method": "card",
    "last4": "4242",
    "card_expiry": "12/2029",
    "frequency": "monthly",
    "is_plan": False,
    "about": "",
    "changes": [("Sam", "Essential", Money(4_500, "aud"), _AMOUNT)],
    "parts": [],
    "count": 1,
    "contract_ids": ["con_EXAMPLE"],
    "expires_on": _DAY,
    "retry_on": _DAY,
    "due_on": _DAY,
    "paid_on": _DAY,
    "effective_on": _DAY,
    "paused_on": _DAY,
    "ends_on": _DAY,
}
"""What a preview says in place of what a message would."""


@click.group()
def messages() -> None:
    """Messages to members and staff."""


@messages.command("list")
@click.option("--location", "slug", required=True, help="Short name of the location.")
@click.option("--state", type=click.Choice([state.value for state in MessageState]), help="Only these.")
@click.option("--limit", default=100, show_default=True, type=Count(1, 100_000))
@json_option
def list_all(slug: str, state: str | None, limit: int, as_json: bool) -> None:
    """List messages, the newest first: what they are about, and what became of them."""
    with opened() as context:
        found = list_messages(context, find_location(context, slug), MessageState(state) if state else None, limit)
    if as_json:
        print_json([_document(row) for row in found])
        return
    columns = ("Message", "Kind", "By", "About", "State", "Not before", "Reason")
    rows = [
        (row.id, row.kind.value, row.channel.value, row.subject_id, row.state.value, _when(row), row.failure or "")
        for row in found
    ]
    print_table(f"Messages of {slug}", columns, rows)


def _when(row: Message) -> str:
    return f"{row.not_before:%d/%m/%Y %H:%M} UTC" if row.state is MessageState.QUEUED else ""


def _document(row: Message) -> dict[str, object]:
    return {
        "id": row.id,
        "kind": row.kind.value,
        "channel": row.channel.value,
        "member_id": row.member_id,
        "staff_user_id": row.staff_user_id,
        "subject_id": row.subject_id,
        "state": row.state.value,
        "not_before": row.not_before,
        "attempts": row.attempts,
        "failure": row.failure,
        "sent_at": row.sent_at,
        "created_at": row.created_at,
    }


@messages.command("send")
@json_option
def send(as_json: bool) -> None:
    """Send every message whose time has come."""
    with opened() as context:
        tally = send_messages(context, *senders(context))
    if as_json:
        print_json(vars(tally))
    else:
        click.echo(
            f"{tally.sent} sent, {tally.dropped} not true any more, {tally.unreachable} without an address or number, "
            f"{tally.later} to be tried again, {tally.failed} failed."
        )
        for problem in tally.problems:
            click.echo(f"Problem: {visible(problem)}", err=True)
    if tally.problems:
        sys.exit(1)


@messages.command("resend")
@click.argument("message_id", type=MESSAGE)
@json_option
def resend(message_id: str, as_json: bool) -> None:
    """Send MESSAGE_ID once more. It says what is true by then, and is dropped when nothing of it is."""
    with opened() as context:
        resend_message(context, message_id, actor())
    if as_json:
        print_json({"id": message_id, "state": MessageState.QUEUED.value})
    else:
        click.echo(f"The message {message_id} is queued; the daemon, or `connector messages send`, sends it.")


@messages.command("preview")
@click.argument("kind", type=click.Choice([kind.value for kind in MessageKind]))
@json_option
def preview(kind: str, as_json: bool) -> None:
    """Show the texts of KIND with made-up values."""
    chosen = MessageKind(kind)
    shown = {channel: render(chosen, channel, SAMPLE) for channel in Channel if channel in CHANNELS[chosen]}
    if as_json:
        print_json({channel.value: {"subject": subject, "text": text} for channel, (subject, text) in shown.items()})
        return
    for channel, (subject, text) in shown.items():
        click.echo(f"--- {channel.value} ---")
        if subject:
            click.echo(f"Subject: {subject}\n")
        click.echo(text)
