"""`connector payment-plans`: agree on a fixed total in instalments without interest, and change when it is paid."""

from __future__ import annotations

from datetime import datetime

import click

from connector.billing.agreements.contracts import AgreementStatus
from connector.billing.agreements.instalment_terms import FREQUENCIES, PlanOffer
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.schedule import Frequency
from connector.cli.context import actor, find_location, location_of_member, opened
from connector.cli.counts import COUNT
from connector.cli.dates import DAY
from connector.cli.filled import FILLED
from connector.cli.identifiers import MEMBER, PAYMENT_PLAN
from connector.cli.output import confirm, dollars, json_option, print_json, print_table
from connector.cli.payment_plan_templates import template
from connector.money import Money
from connector.use_cases.members.list_members import names_of
from connector.use_cases.payment_plans.agree_payment_plan import TemplateChoice, accept_for_payer, propose_payment_plan
from connector.use_cases.payment_plans.change_payment_plan import change_payday, pause_plan, resume_plan
from connector.use_cases.payment_plans.end_payment_plan import archive_payment_plan, cancel_payment_plan
from connector.use_cases.payment_plans.list_payment_plans import list_payment_plans, show_payment_plan
from connector.use_cases.payment_plans.pay_plan_early import pay_early, pay_off

FREQUENCY = click.Choice([frequency.value for frequency in FREQUENCIES])


@click.group("payment-plans")
def payment_plans() -> None:
    """Payment plans: a total in instalments, without interest."""


payment_plans.add_command(template)


@payment_plans.command("propose")
@click.argument("member_id", type=MEMBER)
@click.option("--total", required=True, help="Sum of deposit and instalments, e.g. 1200.00.")
@click.option("--template", "template_name", help="Name of the template; without it the plan is personal.")
@click.option("--months", type=COUNT, help="Length of a plan from a template.")
@click.option("--instalments", type=COUNT, help="How many, of a personal plan.")
@click.option("--frequency", type=FREQUENCY, default="monthly", show_default=True)
@click.option("--first-due", type=DAY, help="Date of the first instalment of a personal plan.")
@click.option("--deposit", type=FILLED, help="Part of the total that is due on acceptance of a personal plan.")
@click.option("--setup-fee", type=FILLED, help="Due on acceptance of a personal plan, beside the total.")
@click.option("--description", default="", help="What it is for, on the invoices.")
@json_option
def propose(
    member_id: str,
    total: str,
    template_name: str | None,
    months: int | None,
    instalments: int | None,
    frequency: str,
    first_due: datetime | None,
    deposit: str | None,
    setup_fee: str | None,
    description: str,
    as_json: bool,
) -> None:
    """Propose a plan to MEMBER_ID, who gets a link to read and accept it."""
    with opened() as context:
        currency = location_of_member(context, member_id).currency
        wanted: TemplateChoice | PlanOffer
        if template_name is not None:
            if months is None or (instalments, first_due, deposit, setup_fee) != (None,) * 4:
                raise click.UsageError("A plan from a template takes --total, --months and --frequency.")
            wanted = TemplateChoice(template_name, Money.parse(total, currency), months, Frequency(frequency))
        else:
            if months is not None or instalments is None or first_due is None:
                raise click.UsageError("A personal plan takes --total, --instalments, --frequency and --first-due.")
            wanted = PlanOffer(
                total=Money.parse(total, currency),
                deposit=Money.parse("0" if deposit is None else deposit, currency),
                setup_fee=Money.parse("0" if setup_fee is None else setup_fee, currency),
                count=instalments,
                frequency=Frequency(frequency),
                first_due=first_due.date(),
            )
        proposed = propose_payment_plan(context, member_id, wanted, actor(), description)
    offer = proposed.offer
    if as_json:
        print_json(
            {
                "id": proposed.plan_id,
                "total_cents": offer.total.cents,
                "deposit_cents": offer.deposit.cents,
                "setup_fee_cents": offer.setup_fee.cents,
                "instalments": offer.count,
                "first_due": offer.first_due,
                "warning": proposed.warning,
            }
        )
        return
    click.echo(f"Payment plan {proposed.plan_id}: {offer.total} in {offer.count} instalments waits for its payer.")
    if proposed.warning:
        click.echo(f"Note: {proposed.warning}")


@payment_plans.command("accept")
@click.argument("plan_id", type=PAYMENT_PLAN)
@json_option
def accept(plan_id: str, as_json: bool) -> None:
    """Start PLAN_ID for a payer who accepts it at the desk and has a payment method on file."""
    with opened() as context:
        plan = accept_for_payer(context, plan_id, actor())
    _tell(plan, as_json, f"Payment plan {plan_id} is active.")


@payment_plans.command("list")
@click.option("--location", "slug", required=True, help="Short name of the location.")
@click.option("--status", type=click.Choice([status.value for status in AgreementStatus]), help="Only these.")
@click.option("--archived", is_flag=True, help="Those that were put away, instead of the others.")
@json_option
def list_all(slug: str, status: str | None, archived: bool, as_json: bool) -> None:
    """List payment plans with their progress (instalments paid of all) and balance, which includes the set-up fee."""
    with opened() as context:
        wanted = AgreementStatus(status) if status else None
        plans = list_payment_plans(context, find_location(context, slug), wanted, archived=archived)
        names = names_of(context, (plan.member_id for plan in plans))
    if as_json:
        print_json([plan.document() | {"name": names[plan.member_id]} for plan in plans])
        return
    columns = ("Plan", "Name", "Status", "Total", "Set-up fee", "Progress", "Balance", "Next due")
    rows = [
        (
            plan.id,
            names[plan.member_id],
            plan.status,
            dollars(plan.total_cents),
            dollars(plan.setup_fee_cents) if plan.setup_fee_cents else "",
            str(plan.progress),
            dollars(plan.progress.balance.cents),
            plan.next_due or "",
        )
        for plan in plans
    ]
    print_table(f"Payment plans of {slug}", columns, rows, right=(3, 4, 6))


@payment_plans.command("show")
@click.argument("plan_id", type=PAYMENT_PLAN)
@json_option
def show(plan_id: str, as_json: bool) -> None:
    """Show PLAN_ID with its whole schedule; number 0 is the deposit with the set-up fee."""
    with opened() as context:
        plan = show_payment_plan(context, plan_id)
    if as_json:
        print_json(plan.document(schedule=True))
        return
    balance = dollars(plan.progress.balance.cents)
    fee = f" and a set-up fee of {dollars(plan.setup_fee_cents)}" if plan.setup_fee_cents else ""
    click.echo(f"{plan_id}, {plan.status}: {dollars(plan.total_cents)}{fee}, {plan.progress} paid, balance {balance}.")
    rows = [
        (row.number, row.due, dollars(row.amount.cents), row.invoice_number or "", row.status) for row in plan.schedule
    ]
    print_table("Schedule", ("Number", "Due", "Amount", "Invoice", "Status"), rows, right=(0, 2, 3))


@payment_plans.command("pay-early")
@click.argument("plan_id", type=PAYMENT_PLAN)
@click.option("--count", type=COUNT, default=1, show_default=True, help="How many instalments.")
@json_option
def early(plan_id: str, count: int, as_json: bool) -> None:
    """Invoice the next instalments of PLAN_ID today; the next run collects them."""
    with opened() as context:
        issued = pay_early(context, plan_id, count, actor())
    cents = sum(item.draft.total.cents for item in issued)
    if as_json:
        print_json({"id": plan_id, "invoiced_cents": cents, "invoice_ids": [item.id for item in issued]})
    else:
        click.echo(f"{count} of {plan_id} invoiced, {dollars(cents)} in all: the next `connector run-due` collects it.")


@payment_plans.command("pay-off")
@click.argument("plan_id", type=PAYMENT_PLAN)
@json_option
def off(plan_id: str, as_json: bool) -> None:
    """Invoice all that remains of PLAN_ID today, as one; the next run collects it."""
    with opened() as context:
        issued = pay_off(context, plan_id, actor())
        schedule = show_payment_plan(context, plan_id).schedule
    cents = issued.draft.total.cents
    unpaid = {row.invoice_number: row.status for row in schedule if row.owed and row.number < issued.draft.period}
    if as_json:
        document = {"id": plan_id, "invoiced_cents": cents, "invoice_ids": [issued.id]}
        print_json(document | {"unpaid_besides": sorted(number for number in unpaid if number)})
        return
    click.echo(f"The rest of {plan_id}, {dollars(cents)}, is invoiced: the next `connector run-due` collects it.")
    for number, status in unpaid.items():
        click.echo(f"Invoice {number} of the plan is {status} besides, and is not part of this.")


@payment_plans.command("change-payday")
@click.argument("plan_id", type=PAYMENT_PLAN)
@click.argument("day", type=DAY, metavar="DAY")
@json_option
def payday(plan_id: str, day: datetime, as_json: bool) -> None:
    """Move the next instalment of PLAN_ID to DAY, as its payer asked; the later ones follow from there."""
    with opened() as context:
        plan = change_payday(context, plan_id, day.date(), actor())
    _tell(plan, as_json, f"The next instalment of {plan_id} is due on {plan.next_due}.")


@payment_plans.command("pause")
@click.argument("plan_id", type=PAYMENT_PLAN)
@click.option("--until", required=True, type=DAY, help="No instalment before that day.")
@json_option
def pause(plan_id: str, until: datetime, as_json: bool) -> None:
    """Take nothing more of PLAN_ID for a while (hardship); it goes on by itself."""
    with opened() as context:
        plan = pause_plan(context, plan_id, until.date(), actor())
    _tell(plan, as_json, f"Payment plan {plan_id} is paused until {plan.next_due}.")


@payment_plans.command("resume")
@click.argument("plan_id", type=PAYMENT_PLAN)
@json_option
def resume(plan_id: str, as_json: bool) -> None:
    """Go on with PLAN_ID before its pause ends."""
    with opened() as context:
        plan = resume_plan(context, plan_id, actor())
    _tell(plan, as_json, f"Payment plan {plan_id} goes on; the next instalment is due on {plan.next_due}.")


@payment_plans.command("cancel")
@click.argument("plan_id", type=PAYMENT_PLAN)
@click.option("--yes", is_flag=True, help="Do not ask; needed with --json.")
@json_option
def cancel(plan_id: str, yes: bool, as_json: bool) -> None:
    """Charge nothing more of PLAN_ID, and give up what is unpaid."""
    with opened() as context:
        if not yes:
            balance = dollars(show_payment_plan(context, plan_id).progress.balance.cents)
            confirm(f"Cancel {plan_id} for good? Its balance of {balance} is not charged any more.", as_json=as_json)
        voided = cancel_payment_plan(context, plan_id, actor())
    if as_json:
        print_json({"id": plan_id, "status": "cancelled", "voided": voided})
    else:
        click.echo(f"Payment plan {plan_id} is cancelled; nothing is owed any more on {voided} invoices.")


@payment_plans.command("archive")
@click.argument("plan_id", type=PAYMENT_PLAN)
@json_option
def archive(plan_id: str, as_json: bool) -> None:
    """Put PLAN_ID away, which is completed or cancelled."""
    with opened() as context:
        archive_payment_plan(context, plan_id, actor())
    if as_json:
        print_json({"id": plan_id, "archived": True})
    else:
        click.echo(f"Payment plan {plan_id} is archived.")


def _tell(plan: PaymentPlan, as_json: bool, sentence: str) -> None:
    if as_json:
        print_json({"id": plan.id, "status": plan.status.value, "next_due": plan.next_due})
    else:
        click.echo(sentence)
