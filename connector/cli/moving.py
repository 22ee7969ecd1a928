"""`connector links move`: what was entered with a wrong patient goes to the right one, after a person's yes."""

from __future__ import annotations

from collections.abc import Sequence

import click

from connector.cli.context import actor, find_location, opened
from connector.cli.identifiers import MEMBER
from connector.cli.output import confirm, dollars, json_option, print_json, print_table
from connector.use_cases.books.move_entries import Misplaced, Survey, move_entries, survey


@click.command()
@click.argument("member_id", type=MEMBER)
@click.option("--location", "slug", required=True, help="Short name of the location.")
@click.option("--yes", is_flag=True, help="Do not ask before the entries are moved.")
@json_option
def move(member_id: str, slug: str, yes: bool, as_json: bool) -> None:
    """Move what was entered for MEMBER_ID with a former patient to the patient linked now.

    Each payment is reversed with the one and entered with the other. No money is moved.
    """
    with opened() as context:
        location = find_location(context, slug)
        found = survey(context, location, member_id)
        if not as_json:
            _show(found)
        if not (found.movable or found.unsettled):
            if as_json:
                print_json(_document(found))
            return
        if not yes:
            question = f"Move {_sum(found.movable)} to the patient {found.patient_id}?"
            if found.unsettled:
                question = f"Move {_sum(found.movable)} to the patient {found.patient_id}, and what is not settled too?"
            confirm(question, as_json=as_json)
        found = move_entries(context, location, member_id, actor())
    if as_json:
        print_json(_document(found))
    else:
        click.echo(f"Moving {_sum(found.movable)}: see `connector write-backs list --location {slug}`.")


def _show(found: Survey) -> None:
    kinds = (
        ("to move", found.movable),
        ("not settled: follows by itself", found.unsettled),
        ("recorded by hand: move it by hand", found.by_hand),
    )
    rows = [
        (item.paid_on, item.reference, item.patient_id, dollars(item.amount.cents), what)
        for what, items in kinds
        for item in items
    ]
    columns = ("Date", "Reference", "Patient", "Amount", "What")
    print_table(f"With others than the patient {found.patient_id}", columns, rows, right=(3,))


def _sum(items: Sequence[Misplaced]) -> str:
    entries = "1 payment" if len(items) == 1 else f"{len(items)} payments"
    return f"{entries} of together {dollars(sum(item.amount.cents for item in items))}"


def _document(found: Survey) -> dict[str, object]:
    kinds = {"moved": found.movable, "unsettled": found.unsettled, "by_hand": found.by_hand}
    return {"patient_id": found.patient_id, **{kind: [_item(one) for one in items] for kind, items in kinds.items()}}


def _item(item: Misplaced) -> dict[str, object]:
    return {
        "payment_id": item.payment_id,
        "paid_on": item.paid_on,
        "reference": item.reference,
        "patient_id": item.patient_id,
        "amount_cents": item.amount.cents,
    }
