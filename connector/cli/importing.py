"""`connector import-members` and `connector import-payment-plans`: take over what began on another platform."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from connector.billing.agreements.schedule import Frequency
from connector.billing.intake.csv_rows import Columns, RefusedRow
from connector.billing.intake.member_cells import FORMS, TEXTS
from connector.billing.intake.member_file import COLUMNS as MEMBER_FILE
from connector.billing.intake.payment_plan_file import COLUMNS as PLAN_FILE
from connector.cli.context import open_if_ready, opened, outbox, senders
from connector.cli.filled import FILLED
from connector.cli.output import console, fail, json_option, print_json, print_table, visible
from connector.errors import AccessDenied, EdgeError, NotSent
from connector.use_cases.context import Context
from connector.use_cases.members.adopt_method import adopt_method
from connector.use_cases.messages.send_invitations import InvitationReport, send_invitations
from connector.use_cases.transfer.import_members import ImportReport
from connector.use_cases.transfer.import_members import import_members as load_members
from connector.use_cases.transfer.import_payment_plans import PlanImportReport
from connector.use_cases.transfer.import_payment_plans import import_payment_plans as load_payment_plans

FREQUENCIES = click.Choice([frequency.value for frequency in Frequency])
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
SHOWN = 20
TOLD_EVERY = 5_000
"""Rows between two lines of progress; small files are done before there is anything to tell."""


def _columns(file: Columns, names: Sequence[str]) -> str:
    """For the help: all columns that the file may have."""
    others = [name for name in names if name not in file.required]
    return f"Columns in any order: {', '.join(file.required)}; optional: {', '.join(others)}. Others are ignored."


@click.command("import-members", epilog=_columns(MEMBER_FILE, (*TEXTS, *FORMS)))
@click.argument("file", type=FILE)
@click.option("--location", "slug", required=True, help="Short name of the location.")
@click.option("--plan", type=FILLED, help="Membership plan of rows that name none.")
@click.option("--frequency", type=FREQUENCIES, default="monthly", show_default=True, help="For rows that name none.")
@click.option("--no-invite", is_flag=True, help="Write to nobody: neither invite nor ask for balances.")
@json_option
def import_members(file: Path, slug: str, plan: str | None, frequency: str, no_invite: bool, as_json: bool) -> None:
    """Import members from FILE (CSV). Bad rows are refused with line and reason; running it again changes nothing.

    It ends with exit code 1 when a row was refused; the good rows are in all the same.

    A row with a customer and a payment method at Stripe goes on without any sign-up, from the day in next_due.
    """
    with opened() as context:
        if not no_invite:
            open_if_ready(context, slug)
        report = load_members(
            context,
            file,
            location_slug=slug,
            plan_name=plan or "",
            frequency=Frequency(frequency),
            invite=not no_invite,
            progress=_progress("rows read"),
        )
        adopted, problems = _adopt(context, report)
        invitations = send_invitations(context, *senders(context), report.to_invite)
        problems += invitations.problems
    if as_json:
        print_json(_document(report, adopted, invitations, problems))
    else:
        _show(report, adopted, invitations)
        for problem in problems:
            click.echo(f"Problem: {visible(problem)}", err=True)
    _end(report.refusals, problems, as_json=as_json)


@click.command("import-payment-plans", epilog=_columns(PLAN_FILE, sorted(PLAN_FILE.known)))
@click.argument("file", type=FILE)
@click.option("--location", "slug", required=True, help="Short name of the location.")
@json_option
def import_payment_plans(file: Path, slug: str, as_json: bool) -> None:
    """Import payment plans from FILE (CSV): what is left of each goes on here. Import the members first.

    Bad rows are refused with line and reason; running it again changes nothing. It ends with exit code 1 when a row was
    refused; the good rows are in all the same.
    """
    with opened() as context:
        report = load_payment_plans(context, file, location_slug=slug, progress=_progress("rows read"))
    if as_json:
        without = [{"line": line, "member_id": member_id} for line, member_id in report.without_method]
        counts = {"imported": report.imported, "unchanged": report.unchanged, "refused": len(report.refusals)}
        rows = {"refusals": _rows(report.refusals), "without_method": without}
        print_json({**counts, **rows, "ignored_columns": report.ignored})
    else:
        _show_plans(report)
    _end(report.refusals, as_json=as_json)


def _adopt(context: Context, report: ImportReport) -> tuple[int, list[str]]:
    """Start the contracts whose payment method exists at Stripe already. One that is refused stays pending.

    When Stripe is away the rest is left for the next run.
    """
    adopted, problems = 0, []
    tell = _progress("payment methods adopted")
    for done, adoption in enumerate(report.to_adopt):
        try:
            adopt_method(context, adoption)
            adopted += 1
        except (NotSent, AccessDenied) as error:
            left = len(report.to_adopt) - done
            problems.append(f"{error} {left} contracts stay pending: repeat the import.")
            break
        except EdgeError as error:
            what = f"the contract {adoption.contract_id} stays pending" if adoption.contract_id else "nothing was kept"
            problems.append(f"Line {adoption.line}: {what}. {error}")
        tell(done + 1)
    return adopted, problems


def _progress(what: str) -> Callable[[int], None]:
    """Tells on a terminal, and only about long files; other programs read one document at the end."""
    terminal = console(err=True).is_terminal
    told = 0

    def tell(done: int) -> None:
        nonlocal told
        if terminal and done // TOLD_EVERY > told:
            told = done // TOLD_EVERY
            click.echo(f"{done:,} {what} ...", err=True)

    return tell


def _document(
    report: ImportReport, adopted: int, invitations: InvitationReport, problems: list[str]
) -> dict[str, object]:
    return {
        "imported": report.imported,
        "unchanged": report.unchanged,
        "refused": report.refused,
        "activated": adopted,
        "invited": invitations.sent,
        "balances_asked": report.asked,
        "balances_not_asked": report.not_asked,
        "refusals": _rows(report.refusals),
        "ignored_columns": report.ignored,
        "differences": [{"line": row.line, "columns": row.columns} for row in report.differences],
        "problems": problems,
    }


def _show(report: ImportReport, adopted: int, invitations: InvitationReport) -> None:
    click.echo(f"{report.imported} imported, {report.unchanged} unchanged, {report.refused} refused.")
    _show_ignored(report.ignored)
    _show_refusals(report.refusals)
    for difference in report.differences[:SHOWN]:
        click.echo(f"{str(difference).capitalize()}: nothing was changed.")
    if len(report.differences) > SHOWN:
        click.echo(f"... and {len(report.differences) - SHOWN} more; --json lists all.")
    if report.differences:
        click.echo("Change who is in already with `connector members`.")
    if adopted:
        click.echo(f"{adopted} contracts started with the payment method that the file names.")
    if invitations.sent:
        folder = outbox()
        where = f"; the messages are in the folder {visible(str(folder))}" if folder else ""
        click.echo(f"{invitations.sent} members are invited{where}.")
    elif report.imported and not report.to_invite and not report.to_adopt:
        click.echo("Nobody was invited: `connector patient-links send CONTRACT` does so when it is time.")
    if report.asked:
        click.echo(f"{len(report.asked)} balances are asked for with the next messages that go out.")
    if report.not_asked:
        click.echo(
            f"{len(report.not_asked)} balances are not asked for yet: send their links with "
            "`connector patient-links send`; `connector payment-requests list --location SLUG` shows their ids."
        )


def _show_ignored(columns: Sequence[str]) -> None:
    if columns:
        named = visible(", ".join(columns))
        click.echo(f"Ignored {'the column' if len(columns) == 1 else 'the columns'} {named}: see --help for all names.")


def _show_plans(report: PlanImportReport) -> None:
    click.echo(f"{report.imported} imported, {report.unchanged} unchanged, {len(report.refusals)} refused.")
    _show_ignored(report.ignored)
    _show_refusals(report.refusals)
    for line, member_id in report.without_method[:SHOWN]:
        click.echo(f"Line {line}: the payer {member_id} has no payment method yet, so nobody can be charged.")


def _end(refusals: Sequence[RefusedRow], problems: Sequence[str] = (), *, as_json: bool) -> None:
    """What was refused or went wrong a script must notice, too; the report is printed by then, and is the document."""
    if refusals and not as_json:
        rows = "1 row was" if len(refusals) == 1 else f"{len(refusals)} rows were"
        fail(f"{rows} refused: correct the file and import it again, which leaves what is in as it is.", as_json=False)
    if refusals or problems:
        sys.exit(1)


def _show_refusals(refusals: Sequence[RefusedRow]) -> None:
    if refusals:
        rows = [(r.line, r.column, r.reason) for r in refusals[:SHOWN]]
        print_table("Refused rows", ("Line", "Column", "Reason"), rows, right=(0,))
        if len(refusals) > SHOWN:
            click.echo(f"... and {len(refusals) - SHOWN} more; --json lists all.")


def _rows(refusals: Sequence[RefusedRow]) -> list[dict[str, object]]:
    return [{"line": r.line, "column": r.column, "reason": r.reason} for r in refusals]
