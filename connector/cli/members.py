"""`connector members`: let members sign up, list and find them.

The rest of a membership's life is in `joining`, `editing`, `leaving` and `member_sheet`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

import click

from connector.billing.agreements.contracts import AgreementStatus
from connector.billing.agreements.schedule import Frequency
from connector.cli import editing, joining, leaving, member_sheet
from connector.cli.context import find_location, location_of_member, opened
from connector.cli.counts import Count
from connector.cli.dates import DAY
from connector.cli.identifiers import CONTRACT, MEMBER
from connector.cli.output import console, dollars, json_option, print_json, print_table, visible
from connector.errors import DomainError, EdgeError
from connector.money import Money
from connector.use_cases.members.enrol_member import invite_member
from connector.use_cases.members.list_members import MemberLine, find_members, members_page
from connector.use_cases.payment_plans.agree_payment_plan import start_payment_plan

FREQUENCIES = click.Choice([frequency.value for frequency in Frequency])
STATUSES = [status.value for status in AgreementStatus if status is not AgreementStatus.COMPLETED]
"""Of contracts; only payment plans are completed."""


@click.group()
def members() -> None:
    """Members and their contracts."""


for _command in (
    joining.add,
    joining.add_dependent,
    joining.drop,
    joining.promote,
    joining.refer,
    joining.change,
    leaving.suspend,
    leaving.reactivate,
    leaving.cancel,
    member_sheet.show,
    editing.edit,
):
    members.add_command(_command)


@members.command("list")
@click.option("--location", "slug", required=True, help="Short name of the location.")
@click.option("--status", type=click.Choice(STATUSES), help="Only those whose contract is in this state.")
@click.option("--limit", default=100, show_default=True, type=Count(1, 100_000))
@json_option
def list_all(slug: str, status: str | None, limit: int, as_json: bool) -> None:
    """List members with their contracts, and the patient whom each is linked to."""
    with opened() as context:
        wanted = AgreementStatus(status) if status else None
        lines, total = members_page(context, find_location(context, slug), limit, wanted)
    _print(f"Members of {slug}", lines, total - len(lines), as_json)


@members.command("find")
@click.argument("text")
@click.option("--location", "slug", required=True, help="Short name of the location.")
@click.option("--limit", default=100, show_default=True, type=Count(1, 100_000), help="People at most.")
@json_option
def find(text: str, slug: str, limit: int, as_json: bool) -> None:
    """Find people by TEXT: a part of the name, of the e-mail address or of the telephone number."""
    with opened() as context:
        lines, people = find_members(context, find_location(context, slug), text, limit)
    _print(f"Found at {slug}", lines, people - len({line.member_id for line in lines}), as_json)


def _print(title: str, lines: Sequence[MemberLine], more: int, as_json: bool) -> None:
    if as_json:
        print_json([asdict(line) for line in lines])
        return
    columns = ("Member", "Name", "Position", "Contract", "Plan", "Price", "Status", "Next due", "Patient")
    rows = [
        (
            line.member_id,
            line.name,
            line.position,
            line.contract_id,
            f"{line.plan}, {line.frequency}" if line.contract_id else "no contract",
            dollars(line.price_cents) if line.contract_id else "",
            line.status,
            line.next_due or "",
            line.pms_patient_id or "not linked",
        )
        for line in lines
    ]
    print_table(title, columns, rows, right=(5,))
    if more:
        click.echo(f"... and {more} more; --limit shows more.")


@members.command("payment-plan")
@click.argument("member_id", type=MEMBER)
@click.option("--total", required=True, help="Sum of all instalments, e.g. 1200.00.")
@click.option("--instalments", required=True, type=Count(1, 260), help="How many.")
@click.option("--frequency", type=FREQUENCIES, default="fortnightly", show_default=True)
@click.option("--first-due", required=True, type=DAY, help="Date of the first one.")
@json_option
def payment_plan(
    member_id: str, total: str, instalments: int, frequency: str, first_due: datetime, as_json: bool
) -> None:
    """Start instalments without interest that MEMBER_ID, who pays, has agreed to at the desk.

    Nobody is asked any more: to let the payer read and accept it by link, use `connector payment-plans propose`.
    """
    with opened() as context:
        location = location_of_member(context, member_id)
        amount = Money.parse(total, location.currency)
        plan_id = start_payment_plan(context, member_id, amount, instalments, Frequency(frequency), first_due.date())
    if as_json:
        print_json({"id": plan_id, "total_cents": amount.cents, "instalments": instalments})
    else:
        click.echo(f"Payment plan {plan_id}: {amount} in {instalments} instalments, the first on {first_due:%d/%m/%Y}.")


@members.command("invite")
@click.argument("contract_id", type=CONTRACT)
@json_option
def invite(contract_id: str, as_json: bool) -> None:
    """Open the page of CONTRACT_ID on which the patient authorises a card or bank account, or gives another one.

    Nothing is sent: the page is for the desk. To send a link, use `connector patient-links send CONTRACT_ID`.
    """
    with opened(stripe=True) as context:
        try:
            page = invite_member(context, contract_id)
        except EdgeError as error:
            raise DomainError(str(error)) from None
    if as_json:
        print_json({"contract_id": contract_id, "url": page.url})
    else:
        console().print(
            "Let the patient open this page, which is valid for a day; "
            f"`connector patient-links send {contract_id}` sends a link instead:"
        )
        click.echo(visible(page.url))
