"""The front desk at the command line: finding and correcting people, and seeing all of their money."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from connector.billing.activity import Activity
from connector.billing.agreements.contracts import AgreementStatus, Contract
from connector.billing.agreements.schedule import Frequency
from connector.billing.members import Member
from connector.cli.main import cli
from connector.use_cases.members.add_member import Joining, add_member
from connector.use_cases.members.enrol_dependent import enrol_dependent
from connector.use_cases.members.new_person import PersonDetails
from tests.support.commands import command, document
from tests.support.practice import Practice

HERE = ("--location", "leura")


def asked(practice: Practice, *arguments: str, given: str = "") -> Result:
    """The command in this process, with what somebody types when asked."""
    return CliRunner(env=practice.environment()).invoke(cli, arguments, input=given, standalone_mode=False)


def test_a_person_is_corrected_and_the_history_says_which_fields(practice: Practice) -> None:
    """New values are measured as those of a new person; the history holds no value."""
    person = practice.enrol(None)
    edit = ("members", "edit", person.member_id)

    changes = ("--family-name", "Ferris-Bell", "--phone", "0412 345 678", "--born", "1961-02-03", "--suburb", "Leura")
    done = document(practice, *edit, *changes)
    same = command(practice, *edit, "--suburb", "Leura")
    cleared = document(practice, *edit, "--phone", "")

    assert done["changed"] == ["family_name", "date_of_birth", "phone", "suburb"]
    assert "nothing was changed" in same.out
    assert cleared["changed"] == ["phone"]
    (member,) = practice.all(Member)
    assert (member.given_name, member.family_name, member.date_of_birth) == ("Ada", "Ferris-Bell", date(1961, 2, 3))
    assert (member.phone, member.suburb, member.email) == ("", "Leura", "ada.ferris@example.com")
    entries = [row for row in practice.all(Activity) if row.action == "Member Edited"]
    assert [row.detail for row in entries] == [
        {"fields": "family_name, date_of_birth, phone, suburb"},
        {"fields": "phone"},
    ]
    assert all(row.actor.startswith("person:") for row in entries)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--email", "nobody"), 1, "--email: This is not an e-mail address"),
        (("--given-name", ""), 1, "--given-name: The name is missing"),
        (("--born", "2030-01-01"), 1, "--born: "),
        (("--phone", "12"), 1, "--phone: This cannot be a telephone number"),
        (("--address", "4242 4242 4242 4242"), 1, "This holds a card number"),
        ((), 2, "Say what to change"),
    ],
)
def test_what_cannot_be_known_of_a_person_changes_nothing(
    practice: Practice, options: tuple[str, ...], code: int, words: str
) -> None:
    """The sentence names the option, and not even a good value beside the bad one is kept."""
    person = practice.enrol(None)

    beside = ("--suburb", "Katoomba") if options else ()
    refused = command(practice, "members", "edit", person.member_id, *options, *beside)

    assert (refused.code, words in refused.err) == (code, True)
    assert practice.all(Member)[0].suburb == ""


def test_people_are_found_by_name_address_and_number(practice: Practice) -> None:
    """In any case and without accents; people without a membership, too."""
    ada, ben = practice.enrol(None), practice.enrol(None)
    document(practice, "members", "edit", ada.member_id, "--given-name", "Zoë", "--phone", "0412 345 678")
    with practice.context.database.unit_of_work() as session:
        session.add(
            Member(
                id="mem_payer",
                location_id=practice.location.id,
                external_id="payer",
                given_name="Pat",
                family_name="Payer",
                created_at=practice.clock.now(),
            )
        )

    def found(text: str, *options: str) -> list[str]:
        return [line["member_id"] for line in document(practice, "members", "find", text, *HERE, *options)]

    assert found("ZOE ferr") == found("0412345678") == found("412 345") == [ada.member_id]
    assert found("BEN.ferris@") == [ben.member_id]
    assert found("payer") == ["mem_payer"]
    assert found("Ferris") == [ada.member_id, ben.member_id]
    assert found("Nobody") == []
    assert (
        "... and 1 more; --limit shows more."
        in command(practice, "members", "find", "ferris", *HERE, "--limit", "1").out
    )
    assert "no contract" in command(practice, "members", "find", "payer", *HERE).out
    assert "Say what to look for" in command(practice, "members", "find", " ", *HERE).err


def test_a_list_of_members_that_was_cut_says_so(practice: Practice) -> None:
    """With how many are not shown; a whole list says nothing."""
    for _ in range(3):
        practice.enrol(None, linked=False)

    cut = command(practice, "members", "list", *HERE, "--limit", "1")
    whole = command(practice, "members", "list", *HERE, "--limit", "3")

    assert cut.out.endswith("... and 2 more; --limit shows more.\n")
    assert "more" not in whole.out


def test_lists_name_people(practice: Practice) -> None:
    """Tables show the name; documents have the id, and the name beside it."""
    person = practice.enrol()
    document(practice, "payment-plans", "propose", person.member_id, "--total", "600", "--instalments", "6",
             "--first-due", "2026-09-15")  # fmt: skip
    document(practice, "payment-requests", "add", person.member_id, "--amount", "50")
    document(practice, "holds", "request", person.member_id, "--amount", "80")
    plan = command(practice, "run-due", "--dry-run")
    practice.charge()

    assert "Ada Ferris" in plan.out
    lists = ("invoices list", "payments list", "payment-plans list", "payment-requests list", "holds list",
             "write-backs list")  # fmt: skip
    for words in lists:
        rows = document(practice, *words.split(), *HERE)
        assert {(row["member_id"], row["name"]) for row in rows} == {(person.member_id, "Ada Ferris")}, words
        table = command(practice, *words.split(), *HERE).out
        assert "Ada Ferris" in table, words
        assert person.member_id not in table, words


def test_the_sheet_shows_the_money_of_all_agreements(practice: Practice) -> None:
    """Invoices of plans are open there, its next instalment is among what comes, and payments stand in the timeline."""
    person = practice.paid()
    plan = ("--total", "600", "--instalments", "6", "--first-due", "2026-09-15")
    plan_id = document(practice, "members", "payment-plan", person.member_id, *plan)["id"]
    document(practice, "payment-plans", "pay-early", plan_id)

    sheet = document(practice, "members", "show", person.member_id)
    table = command(practice, "members", "show", person.member_id)

    (owed,) = sheet["open_invoices"]
    assert (owed["kind"], owed["amount_cents"]) == ("instalment", 10_000)
    assert [(one["on"], one["subject"]) for one in sheet["coming"]] == [
        ("2026-09-01", owed["number"]),
        ("2026-09-29", plan_id),
        ("2026-10-01", person.contract_id),
    ]
    assert sheet["next_amount_cents"] == 2_990
    assert f"Next payment    100.00 on 01/09/2026 for {owed['number']}" in table.out
    taken = [entry for entry in sheet["history"] if entry["action"] == "Payment Taken"]
    assert [entry["detail"]["amount_cents"] for entry in taken] == [2_990]
    assert command(practice, "invoices", "show", owed["number"]).code == 0
    assert "29/09/2026" in table.out and not re.search(r"\d{4}-\d\d-\d\d", table.out)


def test_whoever_is_added_is_invited_by_the_next_messages(
    practice: Practice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command says so, and sending says of whom it has no number that this is why."""
    monkeypatch.setenv("CONNECTOR_DATA_DIR", str(tmp_path / "data"))
    someone = ("--plan", "Essential", "--given-name", "Mia", "--family-name", "Lee", "--email", "mia@example.org")
    added = command(practice, "members", "add", *HERE, *someone)

    sent = command(practice, "messages", "send")

    assert "The invitation waits: the daemon, or `connector messages send`, sends it." in added.out
    assert sent.out == "1 sent, 0 not true any more, 1 without an address or number, 0 to be tried again, 0 failed.\n"


def test_a_failed_first_charge_is_listed_with_the_way_on(practice: Practice) -> None:
    """The membership has not begun, so nothing else would tell of it; the sheet's timeline shows the refusal."""
    person = practice.enrol("pm_card_chargeCustomerFail")

    run = command(practice, "run-due")
    (line,) = document(practice, "recoveries", "list", *HERE)
    table = command(practice, "recoveries", "list", *HERE)
    sheet = document(practice, "members", "show", person.member_id)

    assert [row.status for row in practice.all(Contract)] == [AgreementStatus.FAILED]
    assert "1 was declined: see `connector recoveries list --location SLUG`." in run.out
    assert (line["agreement_id"], line["next_step"], line["amount_cents"]) == (
        person.contract_id,
        "invite_again",
        2_990,
    )
    assert "`connector members invite CONTRACT`" in table.out
    assert "_" not in table.out.replace(line["invoice_id"], "").replace(person.contract_id, "")
    assert "Charge Failed" in [entry["action"] for entry in sheet["history"]]
    practice.sign_up(person, "pm_card_visa")
    practice.charge()
    assert document(practice, "recoveries", "list", *HERE) == []


def test_a_contract_with_dependents_is_refused_before_anybody_is_asked(practice: Practice) -> None:
    """And where nothing is owed, nobody is asked to charge it."""
    holder = add_member(
        practice.context,
        "leura",
        PersonDetails("Ada", "Ferris", email="ada@example.com"),
        Joining("Essential", Frequency.MONTHLY),
        actor="test",
    )
    child = PersonDetails("Bo", "Ferris")
    enrol_dependent(practice.context, holder.contract_id, "Essential", child, actor="test")
    cancel = ("members", "cancel", holder.contract_id)

    refused = asked(practice, *cancel)
    no = asked(practice, *cancel, "--cancel-dependents", given="n\n")

    assert "1 person depends" in str(refused.exception)
    assert refused.output == ""
    assert f"Cancel {holder.contract_id}? [y/N]" in no.output
    assert practice.all(Contract)[0].status is AgreementStatus.PENDING


def test_a_payment_plan_is_cancelled_only_on_a_yes(practice: Practice) -> None:
    """A machine says --yes, a person sees what is given up."""
    person = practice.paid()
    plan = ("--total", "600", "--instalments", "6", "--first-due", "2026-09-15")
    plan_id = document(practice, "members", "payment-plan", person.member_id, *plan)["id"]

    machine = command(practice, "payment-plans", "cancel", plan_id, "--json")
    no = asked(practice, "payment-plans", "cancel", plan_id, given="n\n")

    assert "add --yes" in machine.out
    assert "Its balance of 600.00 is not charged any more." in no.output
    assert document(practice, "payment-plans", "show", plan_id)["status"] == "active"


def test_a_round_may_begin_with_a_sweep(practice: Practice) -> None:
    """What was found is said first; a dry run asks nobody, and says that it has read no news."""
    swept = command(practice, "run-due", "--sweep")
    found = document(practice, "run-due", "--sweep")["sweep"]
    rehearsed = command(practice, "run-due", "--dry-run")
    both = command(practice, "run-due", "--dry-run", "--sweep")

    assert swept.out.startswith("Swept 0 objects on Stripe's lists, and found nothing that its news had missed.\n")
    assert found == {"listed": 0, "missed": [], "complete": True, "problems": []}
    assert rehearsed.out.endswith("None.\nStripe's news is not read in a dry run.\n")
    assert both.code == 2


def test_matching_says_how_many_wait_for_a_person(practice: Practice) -> None:
    """Not only those of this run."""
    practice.enrol(None, linked=False)
    document(practice, "members", "add", *HERE, "--plan", "Essential", "--given-name", "Zed", "--family-name", "Zzyzx",
             "--no-invite")  # fmt: skip

    first = document(practice, "links", "match", *HERE)
    again = command(practice, "links", "match", *HERE)

    assert (first["linked"], first["in_review"]) == (0, 2)
    assert "In the review queue now: 2; see `connector links list --location SLUG`." in again.out


def test_members_are_readable_in_a_narrow_terminal(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 80 columns each member is a block of lines, in which no word is torn."""
    one, two = practice.enrol(None), practice.enrol(None)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")

    shown = command(practice, "members", "list", *HERE).out.splitlines()

    assert shown[:4] == [
        "Members of leura",
        f"Member    {one.member_id}",
        "Name      Ada Ferris",
        "Position  holder",
    ]
    assert f"Contract  {two.contract_id}" in shown
    assert max(map(len, shown)) <= 80
