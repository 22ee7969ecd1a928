"""What cannot be taken back is asked about first. With --json nobody can be asked, so it needs --yes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from connector.billing.activity import Activity
from connector.billing.agreements.contracts import Contract, Cover
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import Payment, RefundRequest, ReturnedPayment
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.offers.plan_changes import PlanChange
from connector.billing.offers.plan_files import write
from connector.cli.main import cli
from connector.money import Money
from connector.use_cases.books.link_members import link_by_person, unlink_by_person
from connector.use_cases.payment_plans.agree_payment_plan import start_payment_plan
from tests.support.commands import command, document
from tests.support.plan_changes import monthly
from tests.support.practice import Enrolled, Practice
from tests.support.practice_setup import running_practice

HERE = ("--location", "leura")
ASKING: dict[str, tuple[tuple[str, ...], str]] = {
    "export": (("{folder}/export", "--and-stop"), "This installation will bill nobody any more"),
    "links move": (("{member}", *HERE), "Move 1 payment of together 29.90 to the patient {patient}?"),
    "members cancel": (("{contract}",), "Owed: 0.00 AUD. Repeat with --yes to cancel."),
    "members change-plan": (
        ("{contract}", "{member}", "--plan", "Premium"),
        "From 01/10/2026: 64.50 AUD instead of 29.90 AUD.",
    ),
    "payment-plans cancel": (("{plan}",), "Its balance of 90.00 is not charged any more."),
    "payments bounced": (
        ("{payment}", "--on", "2026-09-01"),
        "Note that the payment {payment} did not go through?",
    ),
    "payments record": (
        ("{invoice}", "--by", "cash", "--on", "2026-09-01"),
        "Note that the 64.50 AUD of {invoice} were paid",
    ),
    "payments refund": (("{payment}",), "Give 29.90 AUD of the payment {payment} back through Stripe?"),
    "payments record-refund": (
        ("{payment}", "--amount", "29.90", "--on", "2026-09-01"),
        "Note that 29.90 AUD of the payment {payment} were paid back",
    ),
    "plans migrate": (("Essential", *HERE), "Announce version 2 of Essential to 1 members?"),
}
"""Every command that asks, with what it needs and what it says before it acts."""


@dataclass(frozen=True, slots=True)
class Shop:
    """A practice, and the ids that the commands need."""

    practice: Practice
    names: dict[str, str]

    def state(self) -> list[object]:
        """All that these commands might change."""
        kinds = (Activity, Contract, Cover, PaymentPlan, PlanChange, RefundRequest, ReturnedPayment)
        return [
            {column.key: getattr(row, column.key) for column in row.__table__.columns}
            for kind in kinds
            for row in self.practice.all(kind)
        ]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Shop]:
    """A member who has paid, with a payment plan, on the older version of a plan."""
    folder = tmp_path_factory.mktemp("shop")
    with running_practice(folder, template) as running:
        person: Enrolled = running.paid(linked=False)
        (payment,) = running.all(Payment)
        running.enrol("pm_card_decline_insufficient_funds", plan="Premium", linked=False, adopted=True)
        assert running.charge() == []
        running.link(person)
        running.write()
        unlink_by_person(running.context, running.location, person.member_id, "front desk")
        stranger = str(int(person.patient_id) + 5)
        link_by_person(running.context, running.location, person.member_id, stranger, "front desk")
        (owed,) = (invoice for invoice in running.all(Invoice) if invoice.status is InvoiceStatus.OVERDUE)
        first = running.today.replace(month=10)
        total = Money(9_000, "aud")
        plan_id = start_payment_plan(running.context, person.member_id, total, 3, Frequency.MONTHLY, first)
        (folder / "plan.toml").write_text(write(monthly(3_490)), encoding="utf-8")
        document(running, "plans", "edit", "Essential", *HERE, "--file", str(folder / "plan.toml"))
        names = {
            "contract": person.contract_id,
            "member": person.member_id,
            "patient": stranger,
            "payment": payment.id,
            "invoice": owed.id,
            "plan": plan_id,
            "folder": str(folder),
        }
        yield Shop(running, names)


def asking(group: click.Group, before: str = "") -> set[str]:
    """The names of all commands with the option --yes."""
    found: set[str] = set()
    for name in group.list_commands(click.Context(group)):
        one = group.get_command(click.Context(group), name)
        if isinstance(one, click.Group):
            found |= asking(one, f"{before}{name} ")
        elif one is not None and any("--yes" in option.opts for option in one.params):
            found.add(f"{before}{name}")
    return found


def test_every_command_that_asks_is_looked_at() -> None:
    """Whoever adds one adds it to the table above."""
    assert asking(cli) == set(ASKING)


@pytest.mark.parametrize("name", ASKING)
def test_with_json_nothing_is_done_without_yes(shop: Shop, name: str) -> None:
    """The refusal says what would be done, and that --yes does it."""
    arguments, terms = ASKING[name]
    before = shop.state()

    done = command(shop.practice, *name.split(), *(argument.format(**shop.names) for argument in arguments), "--json")

    assert (done.code, done.err) == (1, "")
    assert terms.format(**shop.names) in done.document["error"]
    assert "--yes" in done.document["error"]
    assert shop.state() == before
    assert not (Path(shop.names["folder"]) / "export").exists()


def test_with_yes_a_plan_is_changed_in_json(shop: Shop) -> None:
    """The document says from when on, and what it costs."""
    ids = (shop.names["contract"], shop.names["member"])

    done = document(shop.practice, "members", "change-plan", *ids, "--plan", "Premium", "--yes")

    assert (done["old_cents"], done["new_cents"], done["needs_acceptance"]) == (2_990, 6_450, True)
    assert [row.id for row in shop.practice.all(PlanChange)] == [done["plan_change_id"]]
