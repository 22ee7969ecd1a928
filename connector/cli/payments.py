"""`connector payments`: see what was paid, and give money back."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import click

from connector.billing.collecting.charges import RefundRequest, RefundState
from connector.cli.context import actor, find_location, opened
from connector.cli.counts import Count
from connector.cli.dates import DAY
from connector.cli.filled import FILLED
from connector.cli.identifiers import INVOICE, MEMBER, PAYMENT
from connector.cli.output import confirm, dollars, json_option, print_json, print_table
from connector.errors import DomainError, EdgeError
from connector.money import Money
from connector.use_cases.collection.list_payments import list_payments, show_payment
from connector.use_cases.collection.record_desk_payment import DeskMethod, owed_on, record_desk_payment
from connector.use_cases.context import Context
from connector.use_cases.members.list_members import names_of
from connector.use_cases.returns.record_bank_refund import record_bank_refund
from connector.use_cases.returns.record_bounced import record_bounced
from connector.use_cases.returns.refund_payment import refund_payment
from connector.use_cases.returns.refundable import check_refund, find_payment

_SAID = {
    RefundState.REQUESTED: "is asked for; Stripe has not answered yet",
    RefundState.PENDING: "is on its way and takes some business days",
    RefundState.SUCCEEDED: "is given back",
    RefundState.CANCELLED: "was called off by Stripe, because the debit failed",
}


@click.group()
def payments() -> None:
    """Payments and refunds."""


@payments.command("list")
@click.option("--location", "slug", required=True, help="Short name of the location.")
@click.option("--from", "start", type=DAY, default=None, help="First business date.")
@click.option("--to", "end", type=DAY, default=None, help="Last business date.")
@click.option("--member", "member_id", type=MEMBER, help="Only of this payer.")
@click.option("--limit", default=100, show_default=True, type=Count(1, 10_000))
@json_option
def list_all(
    slug: str, start: datetime | None, end: datetime | None, member_id: str | None, limit: int, as_json: bool
) -> None:
    """List payments, the newest first."""
    first, last = (day.date() if day else None for day in (start, end))
    with opened() as context:
        found = list_payments(context, find_location(context, slug), first, last, member_id, limit)
        names = names_of(context, (row.member_id for row in found))
    if as_json:
        print_json([{**asdict(row), "name": names[row.member_id]} for row in found])
        return
    rows = [
        (r.business_date, r.id, names[r.member_id], r.method_kind, *map(dollars, (r.amount_cents, r.returned_cents)))
        for r in found
    ]
    columns = ("Date", "Payment", "Name", "With", "Amount", "Given back")
    print_table(f"Payments of {slug}", columns, rows, right=(4, 5))
    if len(found) == limit:
        click.echo(f"Only the first {limit} are shown: --limit shows more.")


@payments.command("show")
@click.argument("payment_id", type=PAYMENT)
@json_option
def show(payment_id: str, as_json: bool) -> None:
    """Show one payment: attempts, fees, what went back, and how it stands in the practice system."""
    with opened() as context:
        history = show_payment(context, payment_id)
    if as_json:
        print_json(asdict(history))
        return
    head = history.payment
    click.echo(
        f"Payment {head.id} of {dollars(head.amount_cents)} on {head.business_date:%d/%m/%Y}, {head.method_kind}."
    )
    fees = f"Stripe kept {dollars(head.fee_cents)}, the platform's fee is {dollars(history.platform_fee_cents)}."
    click.echo(f"{fees} {dollars(history.refundable_cents)} can be refunded.")
    tries = [(a.id, a.debit_on, a.origin, a.state, a.failure_code or "") for a in history.attempts]
    print_table(f"Attempts for {head.invoice_id}", ("Attempt", "On", "Because of", "State", "Failure"), tries)
    if history.returns:
        given = [
            (r["business_date"], r["kind"], r["processor_id"], dollars(r["amount_cents"]), r["undone_on"] or "")
            for r in history.returns
        ]
        print_table("Given back", ("Date", "What", "At Stripe", "Amount", "Undone on"), given, right=(3,))
    if history.refund_requests:
        asked = [
            (r["id"], dollars(r["amount_cents"]), r["state"], r["actor"], r["reason"], r["failure"] or "")
            for r in history.refund_requests
        ]
        print_table("Asked for", ("Refund", "Amount", "State", "By", "Reason", "Failure"), asked, right=(1,))
    written = [
        (w["entry_date"], w["reference"], w["leg"], dollars(w["amount_cents"]), w["state"]) for w in history.write_backs
    ]
    print_table("In the practice system", ("Date", "Reference", "What", "Amount", "State"), written, right=(3,))


@payments.command("refund")
@click.argument("payment_id", type=PAYMENT)
@click.option("--amount", type=FILLED, help="E.g. 20.50; by default all that is left of it.")
@click.option("--reason", default="", help="For your own records.")
@click.option("--yes", is_flag=True, help="Do not ask before the money goes.")
@json_option
def refund(payment_id: str, amount: str | None, reason: str, yes: bool, as_json: bool) -> None:
    """Give a payment back, all or in part, to the card or account that it came from."""
    with opened(stripe=True) as context:
        with context.database.read() as session:
            payment = find_payment(session, payment_id)
            wanted = None if amount is None else Money.parse(amount, payment.currency)
            sum_ = check_refund(session, payment, wanted, context.clock.now())
        if not yes:
            confirm(f"Give {sum_} of the payment {payment_id} back through Stripe?", as_json=as_json)
        request = _asked(context, payment_id, sum_, reason)
    if request.state is RefundState.FAILED:
        raise DomainError(f"The refund of {sum_} failed ({request.failure}): nothing was given back.")
    if as_json:
        print_json({"id": request.id, "state": request.state, "amount_cents": sum_.cents})
    else:
        click.echo(f"The refund {request.id} of {sum_} {_SAID[request.state]}.")


@payments.command("record-refund")
@click.argument("payment_id", type=PAYMENT)
@click.option("--amount", required=True, help="What was given back, e.g. 20.50.")
@click.option("--on", type=DAY, required=True, help="The day on which it was given back.")
@click.option("--note", default="", help="For your own records, e.g. the bank's number.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def record_refund(payment_id: str, amount: str, on: datetime, note: str, yes: bool, as_json: bool) -> None:
    """Note a refund that was paid from the practice's own bank account. Moves no money."""
    with opened() as context:
        with context.database.read() as session:
            sum_ = Money.parse(amount, find_payment(session, payment_id).currency)
        question = (
            f"Note that {sum_} of the payment {payment_id} were paid back from your bank? No money moves by this."
        )
        if not yes:
            confirm(question, as_json=as_json)
        returned = record_bank_refund(context, payment_id, sum_, on.date(), note, actor())
    if as_json:
        print_json({"id": returned.id, "amount_cents": sum_.cents, "business_date": returned.business_date})
    else:
        click.echo(f"Noted: {sum_} were given back, in the books of {returned.business_date:%d/%m/%Y}.")


@payments.command("bounced")
@click.argument("payment_id", type=PAYMENT)
@click.option("--on", type=DAY, required=True, help="The day on which it went back.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def bounced(payment_id: str, on: datetime, yes: bool, as_json: bool) -> None:
    """Note that PAYMENT_ID, made at the practice, did not go through, e.g. a cheque: it is owed again."""
    with opened() as context:
        if not yes:
            question = f"Note that the payment {payment_id} did not go through? No money moves by this."
            confirm(question, as_json=as_json)
        returned = record_bounced(context, payment_id, on.date(), actor())
    if as_json:
        print_json({"id": returned.id, "amount_cents": returned.amount_cents, "business_date": returned.business_date})
    else:
        gone = Money(returned.amount_cents, returned.currency)
        click.echo(f"Noted: {gone} are owed again, in the books of {returned.business_date:%d/%m/%Y}.")


@payments.command("record")
@click.argument("invoice_id", type=INVOICE)
@click.option("--by", "way", required=True, type=click.Choice([method.name.lower() for method in DeskMethod]))
@click.option("--on", type=DAY, required=True, help="The day on which it was paid.")
@click.option("--note", default="", help="For your own records, e.g. the number of the cheque.")
@click.option("--in-pms", is_flag=True, help="It stands in the practice system already: mark it recorded.")
@click.option("--anyway", is_flag=True, help="Although a debit is under way, which may arrive as well.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def record(
    invoice_id: str, way: str, on: datetime, note: str, in_pms: bool, anyway: bool, yes: bool, as_json: bool
) -> None:
    """Note that INVOICE_ID, by id or printed number, was paid at the practice. Moves no money."""
    method = DeskMethod[way.upper()]
    with opened() as context:
        if not yes:
            question = f"Note that the {owed_on(context, invoice_id)} of {invoice_id} were paid ({method.value})?"
            confirm(f"{question} No money moves by this.", as_json=as_json)
        payment = record_desk_payment(
            context, invoice_id, method, on.date(), actor(), note=note, in_pms=in_pms, anyway=anyway
        )
    document = {"id": payment.id, "amount_cents": payment.amount_cents, "business_date": payment.business_date}
    if as_json:
        print_json(document)
        return
    click.echo(f"Noted: {payment.amount} were paid, in the books of {payment.business_date:%d/%m/%Y}.")
    if not in_pms:
        click.echo("It waits for Post to Ledger: see `connector write-backs list --location SLUG`.")


def _asked(context: Context, payment_id: str, amount: Money, reason: str) -> RefundRequest:
    try:
        return refund_payment(context, payment_id, amount, reason, actor())
    except EdgeError as error:
        raise DomainError(
            f"The refund of {amount} is noted, but Stripe has not confirmed it yet; it is asked for again by itself, "
            f"so do not ask a second time. {error}"
        ) from None
