"""`connector members show`: everything about one member on one screen."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import date
from typing import Any

import click

from connector.billing.invoices import Invoice
from connector.billing.members import PaymentMethod
from connector.cli.context import location_of_member, opened
from connector.cli.identifiers import MEMBER_OR_CONTRACT
from connector.cli.output import console, dollars, json_option, print_json, print_table, visible
from connector.use_cases.invoices.invoice_document import invoice_number
from connector.use_cases.members.member_money import Entry
from connector.use_cases.members.show_benefits import BenefitLine
from connector.use_cases.members.show_member import MemberSheet, show_member

BENEFIT_COLUMNS = ("Benefit", "Codes", "Used", "Available", "Year")


@click.command()
@click.argument("any_id", type=MEMBER_OR_CONTRACT, metavar="MEMBER|CONTRACT")
@json_option
def show(any_id: str, as_json: bool) -> None:
    """Show a member, or the account holder of a contract: people, prices, benefits, what is open and what happened."""
    with opened() as context:
        sheet = show_member(context, any_id)
        zone = location_of_member(context, sheet.member.id).zone
    if as_json:
        print_json(_document(sheet))
        return
    _print_head(sheet)
    people = [
        (
            line.member_id,
            line.name,
            line.position,
            line.plan,
            dollars(line.price_cents),
            dollars(-line.discount_cents),
            f"until {line.leaves_on:%d/%m/%Y}" if line.leaves_on else "",
        )
        for line in sheet.people
    ]
    print_table("People", ("Member", "Name", "Position", "Plan", "Price", "Discount", ""), people, right=(4, 5))
    print_table("Benefits", BENEFIT_COLUMNS, map(benefit_row, sheet.benefits))
    invoices = [
        (invoice_number(row), row.kind, row.due_date, dollars(row.amount_cents), row.status)
        for row in sheet.open_invoices
    ]
    print_table("Open invoices", ("Invoice", "For", "Due", "Amount", "Status"), invoices, right=(3,))
    coming = [(one.on, one.subject, dollars(one.cents)) for one in sheet.coming]
    print_table("Payments to come", ("On", "For", "Amount"), coming, right=(2,))
    history = [
        (f"{entry.at.astimezone(zone):%d/%m/%Y %H:%M}", entry.action, _details(entry), entry.actor)
        for entry in sheet.history
    ]
    print_table("Activity", ("When", "What", "Details", "By"), history)


def benefit_row(line: BenefitLine) -> tuple[object, ...]:
    """A benefit as a row of BENEFIT_COLUMNS."""
    quantity = line.annual_quantity or "unlimited"
    available = f"from {line.available_from:%d/%m/%Y}" if line.state == "waiting" else line.state.replace("_", " ")
    year = f"{line.year_start:%d/%m/%Y} to the day before {line.year_end:%d/%m/%Y}"
    return line.title, ", ".join(line.codes), f"{line.used} of {quantity}", available, year


def _print_head(sheet: MemberSheet) -> None:
    member, contract, method = sheet.member, sheet.contract, sheet.method
    born = f"{member.date_of_birth:%d/%m/%Y}" if member.date_of_birth else "not known"
    until = f", ends on {contract.ends_on:%d/%m/%Y}" if contract.ends_on else ""
    locked = f"{contract.lock_in_until:%d/%m/%Y}" if contract.lock_in_until else "none"
    facts = (
        ("Member", f"{member.id}, {member.given_name} {member.family_name}"),
        ("Born", born),
        ("Contact", ", ".join(filter(None, (member.email, member.phone))) or "none"),
        ("Patient", sheet.pms_patient_id or "not linked"),
        ("Contract", f"{contract.id}, {contract.frequency}, {contract.status}{until}"),
        ("Other contracts", ", ".join(sheet.other_contract_ids) or "none"),
        ("Lock-in until", locked),
        ("Next payment", _next_text(sheet)),
        ("Pays with", _method_text(method)),
    )
    for name, value in facts:
        console().print(f"{name:<16}{visible(value)}")


def _next_text(sheet: MemberSheet) -> str:
    if sheet.coming:
        # What falls on one day may be for several agreements, and is one sum to the payer.
        first = sheet.coming[0].on
        same_day = [one for one in sheet.coming if one.on == first]
        subjects = ", ".join(one.subject for one in same_day)
        return f"{dollars(sum(one.cents for one in same_day))} on {first:%d/%m/%Y} for {subjects}"
    if sheet.next_amount_cents is None:
        return "none"
    start = sheet.contract.next_due
    return f"{dollars(sheet.next_amount_cents)} {f'on {start:%d/%m/%Y}' if start else 'on signing'}"


def _method_text(method: PaymentMethod | None) -> str:
    if method is None:
        return "nothing yet"
    expiry = f", expires {method.expiry_month:02d}/{method.expiry_year}" if method.expiry_month else ""
    return f"{method.kind} ending in {method.last4}{expiry}"


def _details(entry: Entry) -> str:
    return ", ".join(
        f"amount {dollars(value)}" if name == "amount_cents" else f"{name} {_detail(value)}"
        for name, value in entry.detail.items()
    )


def _detail(value: object) -> object:
    """What the history keeps; it keeps days as text, which people read as all the others on the screen."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return f"{date.fromisoformat(value):%d/%m/%Y}"
    return value


def _document(sheet: MemberSheet) -> dict[str, Any]:
    member, contract, method = sheet.member, sheet.contract, sheet.method
    return {
        "member": _fields(
            member, "id", "given_name", "family_name", "date_of_birth", "email", "phone", "address", "suburb", "state"
        ),
        "pms_patient_id": sheet.pms_patient_id,
        "contract": _fields(
            contract, "id", "status", "frequency", "anchor", "next_due", "lock_in_until", "frozen_at", "ends_on"
        ),
        "other_contract_ids": sheet.other_contract_ids,
        "next_amount_cents": sheet.next_amount_cents,
        "coming": [asdict(one) for one in sheet.coming],
        "people": [asdict(line) for line in sheet.people],
        "benefits": [asdict(line) for line in sheet.benefits],
        "open_invoices": [_invoice(invoice) for invoice in sheet.open_invoices],
        "method": _fields(method, "kind", "brand", "last4", "expiry_month", "expiry_year") if method else None,
        "history": [asdict(entry) for entry in sheet.history],
    }


def _invoice(invoice: Invoice) -> dict[str, Any]:
    return {
        **_fields(invoice, "id", "kind", "due_date", "amount_cents", "status"),
        "number": invoice_number(invoice),
    }


def _fields(row: object, *names: str) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}
