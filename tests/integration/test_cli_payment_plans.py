"""Payment plans as staff handle them at the command line: templates, proposals, changes, and every slip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.billing.activity import Activity
from connector.billing.agreements.payment_plans import PaymentPlan, PaymentPlanTemplate
from connector.billing.agreements.schedule import Frequency
from connector.billing.invoices import Invoice
from connector.messaging.models import Message
from tests.support.commands import command, document
from tests.support.practice import Practice
from tests.support.practice_setup import running_practice
from tests.support.requests import invoices

PLANS = "payment-plans"
HERE = ("--location", "leura")
LIMITS = (*HERE, "--min", "500", "--max", "15000", "--months", "6", "--months", "12")
PERSONAL = ("--total", "1200", "--instalments", "12", "--first-due", "2026-09-15")


def payer(practice: Practice, method: str | None = "pm_card_visa") -> str:
    """A member whose membership is paid for the year; returns the id."""
    person = practice.enrol(method, frequency=Frequency.ANNUALLY)
    practice.work()
    return person.member_id


def test_a_plan_goes_from_its_template_to_the_last_instalment(practice: Practice) -> None:
    """Template, proposal, acceptance, look, early payment, pay-off: each step tells where the plan stands."""
    member_id = payer(practice)
    more = ("--deposit-percent", "20", "--setup-fee", "25", "--start-after-days", "14", "--description", "Aligners")
    document(practice, PLANS, "template", "add", "Aligners", *LIMITS, *more)
    (offered,) = document(practice, PLANS, "template", "list", *HERE)
    assert (offered["months"], offered["frequencies"], offered["setup_fee_cents"]) == ([6, 12], ["monthly"], 2_500)

    proposed = document(
        practice, PLANS, "propose", member_id, "--template", "Aligners", "--total", "2400", "--months", "6"
    )
    listed = command(practice, PLANS, "list", *HERE).out
    told = command(practice, PLANS, "show", proposed["id"]).out
    accepted = document(practice, PLANS, "accept", proposed["id"])
    practice.work()
    shown = document(practice, PLANS, "show", proposed["id"])

    assert "Set-up fee" in listed and "25.00" in listed
    assert "2,400.00 and a set-up fee of 25.00, 0/6 paid, balance 2,425.00." in told
    assert (proposed["deposit_cents"], proposed["instalments"], proposed["warning"]) == (48_000, 6, None)
    assert (accepted["status"], accepted["next_due"]) == ("active", "2026-09-01")
    assert (shown["progress"], shown["balance_cents"], shown["description"]) == ("0/6", 192_000, "Aligners")
    assert [row["due"] for row in shown["schedule"]][:3] == ["2026-09-01", "2026-09-15", "2026-10-15"]
    assert document(practice, PLANS, "pay-early", proposed["id"])["invoiced_cents"] == 32_000
    assert document(practice, PLANS, "pay-off", proposed["id"])["invoiced_cents"] == 160_000
    practice.work()
    (line,) = document(practice, PLANS, "list", *HERE, "--status", "completed")
    assert (line["id"], line["progress"], line["balance_cents"]) == (proposed["id"], "6/6", 0)
    assert sum(row.amount_cents for row in invoices(practice)) == 242_500
    document(practice, PLANS, "archive", proposed["id"])
    assert document(practice, PLANS, "list", *HERE) == []
    assert len(document(practice, PLANS, "list", *HERE, "--archived")) == 1
    practice.assert_exactly_once()


def test_days_are_changed_and_a_plan_is_ended(practice: Practice) -> None:
    """What people read is the same as what machines read, and who did it is remembered."""
    plan_id = document(practice, PLANS, "propose", payer(practice), *PERSONAL)["id"]
    document(practice, PLANS, "accept", plan_id)

    moved = document(practice, PLANS, "change-payday", plan_id, "2026-09-20")
    paused = document(practice, PLANS, "pause", plan_id, "--until", "2026-11-01")
    table = command(practice, PLANS, "list", *HERE)
    shown = command(practice, PLANS, "show", plan_id)
    resumed = document(practice, PLANS, "resume", plan_id)
    cancelled = document(practice, PLANS, "cancel", plan_id, "--yes")

    assert [step["next_due"] for step in (moved, paused, resumed)] == ["2026-09-20", "2026-11-01", "2026-09-20"]
    assert all(part in table.out for part in (plan_id, "suspended", "0/12", "1,200.00", "01/11/2026"))
    assert all(part in shown.out for part in ("20/11/2026", "20/10/2027", "100.00", "planned"))
    assert cancelled == {"id": plan_id, "status": "cancelled", "voided": 0}
    done = [
        row.action for row in practice.all(Activity) if row.subject_id == plan_id and row.actor.startswith("person:")
    ]
    assert done == [
        "Payment Plan Proposed",
        "Payment Plan Accepted At The Desk",
        "Payday Changed",
        "Payment Plan Paused",
        "Payment Plan Resumed",
        "Payment Plan Cancelled",
    ]


def test_what_is_unpaid_besides_is_named_when_a_plan_is_paid_off(practice: Practice) -> None:
    """An instalment that was paid early waits for the next run, and is no part of the rest."""
    plan_id = document(practice, PLANS, "propose", payer(practice), *PERSONAL)["id"]
    document(practice, PLANS, "accept", plan_id)
    document(practice, PLANS, "pay-early", plan_id)
    number = practice.all(Invoice)[-1].number

    done = command(practice, PLANS, "pay-off", plan_id)

    assert "1,100.00, is invoiced" in done.out
    assert f"Invoice {number} of the plan is open besides" in done.out


def test_a_template_for_members_is_refused_to_others(practice: Practice) -> None:
    """A membership that has not begun does not count."""
    document(practice, PLANS, "template", "add", "Loyal", *LIMITS, "--only-for-members")
    choice = ("--template", "Loyal", "--total", "1200", "--months", "12")

    refused = command(practice, PLANS, "propose", payer(practice, None), *choice)

    assert (refused.code, "only for members with an active membership" in refused.err) == (1, True)
    assert document(practice, PLANS, "propose", payer(practice), *choice)["instalments"] == 12


def test_an_archived_template_is_not_offered_and_its_name_stays_taken(practice: Practice) -> None:
    """Plans that were made of it go on under its name."""
    document(practice, PLANS, "template", "add", "Braces", *LIMITS)
    document(practice, PLANS, "template", "archive", "Braces", *HERE)

    again = command(practice, PLANS, "template", "add", "Braces", *LIMITS)
    gone = command(practice, PLANS, "template", "archive", "Braces", *HERE)
    table = command(practice, PLANS, "template", "list", *HERE)

    assert "already, or was: choose another name" in again.err
    assert "offers no template 'Braces': add one with" in gone.err
    assert (again.code, gone.code, "None." in table.out) == (1, 1, True)


def test_fees_near_the_limit_are_a_warning_and_no_refusal(practice: Practice) -> None:
    """The fees of all plans of one payer within a year count together."""
    member_id = payer(practice)

    first = document(practice, PLANS, "propose", member_id, *PERSONAL, "--setup-fee", "100")
    third = document(practice, PLANS, "propose", member_id, *PERSONAL, "--setup-fee", "70")
    document(practice, PLANS, "cancel", third["id"], "--yes")
    second = command(practice, PLANS, "propose", member_id, *PERSONAL, "--setup-fee", "80")

    assert (first["warning"], third["warning"]) == (None, None)
    assert second.code == 0
    assert "come to 180.00 AUD" in second.out
    assert "not legal advice" in second.out


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[tuple[Practice, dict[str, str]]]:
    """A practice with a template and an active plan, for mistakes that change nothing; with the ids."""
    with running_practice(tmp_path_factory.mktemp("bench"), template) as practice:
        member_id = payer(practice)
        document(practice, PLANS, "template", "add", "Braces", *LIMITS)
        plan_id = document(practice, PLANS, "propose", member_id, *PERSONAL)["id"]
        document(practice, PLANS, "accept", plan_id)
        yield practice, {"MEMBER": member_id, "PLAN": plan_id}


CHOICE = ("--template", "Braces", "--total", "1200", "--months", "12")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("template", "add", "Braces", *LIMITS), 1, "There is a template 'Braces' already"),
        (("template", "add", " ", *LIMITS), 1, "The name of a template is one line"),
        (("template", "add", "X", *LIMITS, "--description", "x" * 201), 1, "at most 200 printable characters"),
        (("template", "add", "X", *LIMITS, "--setup-fee", "1.005"), 1, "not an amount in whole cents"),
        (("template", "add", "X", *LIMITS, "--frequency", "annually"), 2, "is not one of"),
        (("template", "add", "X", *HERE, "--min", "500", "--max", "400", "--months", "6"), 1, "smallest total"),
        (("template", "archive", "None", *HERE), 1, "offers no template 'None': choose one of Braces"),
        (("propose", "mem_none", *PERSONAL), 1, "no member 'mem_none'"),
        (("propose", "MEMBER", *CHOICE, "--template", "None"), 1, "offers no template 'None'"),
        (("propose", "MEMBER", *CHOICE, "--total", "499.99"), 1, "is for totals from 500.00 AUD"),
        (("propose", "MEMBER", *CHOICE, "--months", "7"), 1, "does not have 7 months"),
        (("propose", "MEMBER", *CHOICE, "--frequency", "weekly"), 1, "is not weekly: choose one of monthly"),
        (("propose", "MEMBER", *CHOICE, "--deposit", "5"), 2, "A plan from a template takes"),
        (("propose", "MEMBER", "--total", "1200"), 2, "A personal plan takes"),
        (("propose", "MEMBER", *PERSONAL, "--total", "0"), 1, "must be above zero"),
        (("propose", "MEMBER", *PERSONAL, "--total", "-1"), 1, "must be above zero"),
        (("propose", "MEMBER", *PERSONAL, "--total", "1.005"), 1, "not an amount in whole cents"),
        (("propose", "MEMBER", *PERSONAL, "--total", "1000000"), 1, "is too large: the limit is 999,999.99"),
        (("propose", "MEMBER", *PERSONAL, "--total", "5.99"), 1, "Instalments of 0.49 AUD are too small"),
        (("propose", "MEMBER", *PERSONAL, "--instalments", "0"), 1, "1 to 260 instalments, not 0"),
        (("propose", "MEMBER", *PERSONAL, "--instalments", "261"), 1, "1 to 260 instalments, not 261"),
        (("propose", "MEMBER", *PERSONAL, "--instalments", "121"), 1, "more than ten years away"),
        (("propose", "MEMBER", *PERSONAL, "--first-due", "2026-08-31"), 1, "cannot lie in the past"),
        (("propose", "MEMBER", *PERSONAL, "--first-due", "9999-12-31"), 2, "from 2000 to 2199: check the year"),
        (("propose", "MEMBER", *PERSONAL, "--first-due", "15/09/2026"), 2, "does not match the format"),
        (("propose", "MEMBER", *PERSONAL, "--deposit", "1200"), 1, "The deposit must be less than the total"),
        (("accept", "pp_none"), 1, "no payment plan 'pp_none'"),
        (("accept", "PLAN"), 1, "is active: it cannot be accepted any more"),
        (("pay-early", "PLAN", "--count", "0"), 1, "pay 1 to 12 early"),
        (("pay-early", "PLAN", "--count", "13"), 1, "pay 1 to 12 early"),
        (("pay-off", "pp_none"), 1, "no payment plan 'pp_none'"),
        (("change-payday", "PLAN", "2026-08-31"), 1, "cannot lie in the past"),
        (("change-payday", "PLAN", "2026-10-16"), 1, "at most one period later, 2026-10-15"),
        (("pause", "PLAN", "--until", "2026-09-01"), 1, "a later day than today"),
        (("pause", "PLAN", "--until", "2036-09-02"), 1, "check the year of 2036-09-02"),
        (("resume", "PLAN"), 1, "is active, not paused"),
        (("archive", "PLAN"), 1, "only one that is over is archived"),
        (("show", "pp_none"), 1, "no payment plan 'pp_none'"),
        (("list", "--location", "nowhere"), 1, "no location 'nowhere'"),
    ],
)
def test_a_refusal_is_one_sentence_and_changes_nothing(
    bench: tuple[Practice, dict[str, str]], arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    """No plan, template, invoice or message comes of a slip, and nothing is remembered."""
    practice, ids = bench

    def counts() -> list[int]:
        return [len(practice.all(model)) for model in (PaymentPlan, PaymentPlanTemplate, Message, Activity)]

    before = counts()

    done = command(practice, PLANS, *(ids.get(word, word) for word in arguments))

    assert (done.code, done.out) == (code, "")
    assert sentence in done.err
    assert code == 2 or done.err.count("\n") == 1
    assert (counts(), invoices(practice)) == (before, [])
    (plan,) = practice.all(PaymentPlan)
    assert (plan.status.value, f"{plan.next_due}") == ("active", "2026-09-15")


def test_the_older_command_still_agrees_a_plan_at_the_desk(practice: Practice) -> None:
    """It starts at once, as it always did."""
    made = document(practice, "members", "payment-plan", payer(practice), *PERSONAL)

    (line,) = document(practice, PLANS, "list", *HERE)
    assert (line["id"], line["status"], line["frequency"], line["instalments"]) == (
        made["id"],
        "active",
        "fortnightly",
        12,
    )
