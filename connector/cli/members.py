"""`connector import-members` and `connector members`: bring members in and let them sign up."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from connector.billing.schedule import Frequency
from connector.cli.context import find_location, location_of_member, mailer, opened
from connector.cli.output import console, dollars, json_option, print_json, print_table, visible
from connector.errors import DomainError, EdgeError
from connector.money import Money
from connector.use_cases.context import Context
from connector.use_cases.enrol_member import adopt_method, invite_member, start_payment_plan
from connector.use_cases.import_members import ImportReport
from connector.use_cases.import_members import import_members as load
from connector.use_cases.list_members import list_members
from connector.use_cases.send_invitations import send_invitations

FREQUENCIES = click.Choice([frequency.value for frequency in Frequency])
SHOWN = 20


@click.command("import-members")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--location", "slug", required=True, help="Short name of the location.")
@click.option("--plan", required=True, help="Membership plan of all rows.")
@click.option("--frequency", type=FREQUENCIES, default="monthly", show_default=True, help="For rows that name none.")
@click.option("--no-invite", is_flag=True, help="Do not ask the members to sign up.")
@json_option
def import_members(file: Path, slug: str, plan: str, frequency: str, no_invite: bool, as_json: bool) -> None:
    """Import members from FILE (CSV). Bad rows are refused with line and reason; running it again changes nothing."""
    with opened() as context:
        report = load(
            context, file, location_slug=slug, plan_name=plan, frequency=Frequency(frequency), invite=not no_invite
        )
        adopted, problems = _adopt(context, report)
        invitations = send_invitations(context, mailer(), report.to_invite)
        problems += invitations.problems
    if as_json:
        refusals = [{"line": r.line, "column": r.column, "reason": r.reason} for r in report.refusals]
        counts = {"imported": report.imported, "unchanged": report.unchanged, "refused": report.refused}
        print_json(
            {**counts, "activated": adopted, "invited": invitations.sent, "refusals": refusals, "problems": problems}
        )
    else:
        click.echo(f"{report.imported} imported, {report.unchanged} unchanged, {report.refused} refused.")
        if report.refusals:
            rows = [(r.line, r.column or "", r.reason) for r in report.refusals[:SHOWN]]
            print_table("Refused rows", ("Line", "Column", "Reason"), rows, right=(0,))
            if len(report.refusals) > SHOWN:
                click.echo(f"... and {len(report.refusals) - SHOWN} more; --json lists all.")
        if adopted:
            click.echo(f"{adopted} contracts started with the payment method that the file names.")
        if invitations.sent:
            click.echo(f"{invitations.sent} members are invited; the messages are in the folder outbox.")
        for problem in problems:
            click.echo(f"Problem: {visible(problem)}", err=True)
    if problems:
        sys.exit(1)


def _adopt(context: Context, report: ImportReport) -> tuple[int, list[str]]:
    """Start the contracts whose payment method exists at Stripe already. One that is refused stays pending."""
    adopted, problems = 0, []
    for contract_id, method_id in report.to_adopt:
        try:
            adopt_method(context, contract_id, method_id)
            adopted += 1
        except EdgeError as error:
            problems.append(f"The contract {contract_id} stays pending. {error}")
    return adopted, problems


@click.group()
def members() -> None:
    """Members and their contracts."""


@members.command("list")
@click.option("--location", "slug", required=True, help="Short name of the location.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 100_000))
@json_option
def list_all(slug: str, limit: int, as_json: bool) -> None:
    """List members with their contracts, and the patient whom each is linked to."""
    with opened() as context:
        lines = list_members(context, find_location(context, slug), limit)
    if as_json:
        print_json([asdict(line) for line in lines])
        return
    columns = ("Member", "Name", "Contract", "Plan", "Price", "Status", "Next due", "Patient")
    rows = [
        (
            line.member_id,
            line.name,
            line.contract_id,
            f"{line.plan}, {line.frequency}",
            dollars(line.price_cents),
            line.status,
            line.next_due or "",
            line.pms_patient_id or "not linked",
        )
        for line in lines
    ]
    print_table(f"Members of {slug}", columns, rows, right=(4,))


@members.command("payment-plan")
@click.argument("member_id")
@click.option("--total", required=True, help="Sum of all instalments, e.g. 1200.00.")
@click.option("--instalments", required=True, type=click.IntRange(1, 260), help="How many.")
@click.option("--frequency", type=FREQUENCIES, default="fortnightly", show_default=True)
@click.option("--first-due", required=True, type=click.DateTime(["%Y-%m-%d"]), help="Date of the first one.")
@json_option
def payment_plan(
    member_id: str, total: str, instalments: int, frequency: str, first_due: datetime, as_json: bool
) -> None:
    """Agree with MEMBER_ID on a fixed total in instalments, without interest."""
    with opened() as context:
        location = location_of_member(context, member_id)
        amount = Money.parse(total, location.currency)
        plan_id = start_payment_plan(context, member_id, amount, instalments, Frequency(frequency), first_due.date())
    if as_json:
        print_json({"id": plan_id, "total_cents": amount.cents, "instalments": instalments})
    else:
        click.echo(f"Payment plan {plan_id}: {amount} in {instalments} instalments, the first on {first_due:%d/%m/%Y}.")


@members.command("invite")
@click.argument("contract_id")
@json_option
def invite(contract_id: str, as_json: bool) -> None:
    """Open the page of CONTRACT_ID on which the patient authorises a card or bank account, or gives another one."""
    with opened(stripe=True) as context:
        try:
            page = invite_member(context, contract_id)
        except EdgeError as error:
            raise DomainError(str(error)) from None
    if as_json:
        print_json({"contract_id": contract_id, "url": page.url})
    else:
        console().print("Let the patient open this page; it is valid for a day:")
        click.echo(visible(page.url))
