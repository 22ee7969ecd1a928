"""Leaving: everything comes out as files, and another installation goes on from them to the cent and the day."""

from __future__ import annotations

import json
import stat
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import func, select

from connector.billing.activity import Activity
from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import AttemptState, ChargeAttempt
from connector.billing.intake.cells import guarded, unguarded
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.links import LinkKind, SecureLink, mint
from connector.billing.members import Member, PaymentMethod
from connector.errors import DomainError
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message
from connector.money import Money
from connector.use_cases.collection.read_news import read_news
from connector.use_cases.collection.run_due import run_due
from connector.use_cases.members.suspend_member import reactivate_member, suspend_member
from connector.use_cases.payment_plans.agree_payment_plan import start_payment_plan
from connector.use_cases.payment_plans.change_payment_plan import pause_plan, resume_plan
from connector.use_cases.practice.location_settings import activate_location, pause_location
from connector.use_cases.practice.set_up_location import add_location
from connector.use_cases.tables import METADATA
from connector.use_cases.transfer import export_everything as module
from connector.use_cases.transfer.export_everything import README, export_everything
from connector.use_cases.transfer.import_payment_plans import import_payment_plans
from tests.support.leaving import (
    add_dependent,
    adopt,
    end_contract,
    future_bills,
    new_installation,
    read_csv,
    set_price,
)
from tests.support.postgres import PostgresServer
from tests.support.practice import KEY, Practice
from tests.support.practice_setup import running_practice


def settle_days(practice: Practice, days: int) -> None:
    for _ in range(days):
        practice.advance(days=1)
        assert practice.charge() == []


@pytest.fixture
def leaving(practice: Practice) -> Practice:
    """A practice with a family, a bank debit, own prices, month ends, and payment plans that are half paid."""
    practice.advance(days=60)  # To 31 October: no later month has the same last day.
    family = practice.enrol("pm_card_visa")
    bank = practice.enrol("pm_becs_success", frequency=Frequency.WEEKLY)
    payer = practice.enrol("pm_card_visa")
    assert practice.charge() == []
    end_contract(practice, payer.contract_id)
    set_price(practice, bank.contract_id, 777)
    add_dependent(practice, family.contract_id, "Ina", 1_234)
    for person, first in ((payer, date(2026, 10, 31)), (bank, date(2026, 11, 2))):
        total = Money(10_005, "aud")
        start_payment_plan(practice.context, person.member_id, total, 10, Frequency.FORTNIGHTLY, first)
    settle_days(practice, 34)
    third = start_payment_plan(
        practice.context, bank.member_id, Money(9_000, "aud"), 3, Frequency.MONTHLY, date(2026, 12, 31)
    )
    pause_plan(practice.context, third, date(2027, 2, 10), "person:mia")
    return practice


def test_another_installation_goes_on_exactly_where_this_one_stops(
    leaving: Practice, template: Path, tmp_path: Path
) -> None:
    """The same amounts on the same days from the same customers for half a year, and nobody is asked anything."""
    practice, folder = leaving, tmp_path / "export"
    expected = future_bills(practice.context, tmp_path / "a", days=180)
    charged_by_first = len(practice.stripe_charges())

    report = export_everything(practice.context, folder, stop=True, actor="person:mia")
    with new_installation(practice, template, tmp_path) as other:
        imported, problems = adopt(other, folder / "members.csv")
        plans = import_payment_plans(other, folder / "payment-plans.csv", location_slug="leura")
        again, _ = adopt(other, folder / "members.csv")
        plans_again = import_payment_plans(other, folder / "payment-plans.csv", location_slug="leura")

        assert (imported.imported, imported.refusals, problems) == (4, [], [])
        assert (again.imported, again.unchanged, again.differences, again.to_adopt) == (0, 4, [], [])
        assert (plans.refusals, plans.without_method, plans_again.imported) == ([], [], 0)
        assert imported.to_invite == again.to_invite == []
        assert report.stopped == 5
        assert len(expected) > 30
        assert future_bills(other, tmp_path / "b", days=180) == expected

        for _ in range(8):
            practice.advance(days=1)
            assert practice.charge() == []  # The old installation is still there, and only reads.
            assert (run_due(other).problems, read_news(other).problems) == ([], [])
        with other.database.read() as session:
            assert set(session.scalars(select(Message.kind))) <= {MessageKind.RECEIPT}, "Nobody is asked for anything."
            due = session.scalars(select(Invoice).where(Invoice.status == InvoiceStatus.COMPLETED)).all()
            billed = {
                (session.get_one(Member, invoice.member_id).processor_customer_id, invoice.amount_cents)
                for invoice in due
            }
        fresh = practice.stripe_charges()[charged_by_first:]
        assert fresh
        assert billed <= {(charge["customer"], charge["amount"]) for charge in fresh}
        assert len({charge["metadata"]["invoice_id"] for charge in fresh}) == len(fresh)


def test_stopping_ends_all_billing_once_the_files_are_there(leaving: Practice, tmp_path: Path) -> None:
    """Agreements are suspended with their reason, what is pending cannot be accepted any more, and nothing is due."""
    practice = leaving
    waiting = practice.enrol(None)
    with practice.context.database.unit_of_work() as session:
        link = mint(
            session,
            LinkKind.SIGNUP,
            waiting.contract_id,
            waiting.member_id,
            practice.clock.now(),
            practice.clock.now().replace(year=2027),
        )

    report = export_everything(practice.context, tmp_path / "export", stop=True, actor="person:mia")
    second = export_everything(practice.context, tmp_path / "again", stop=True, actor="person:mia")

    told = [row for row in practice.all(Activity) if row.action == "Exported"]
    assert (report.stopped, second.stopped) == (6, 0)
    assert {row.actor for row in told} == {"person:mia"}
    assert {contract.status for contract in practice.all(Contract)} == {
        AgreementStatus.SUSPENDED,
        AgreementStatus.CANCELLED,
    }
    assert {plan.status for plan in practice.all(PaymentPlan)} == {AgreementStatus.SUSPENDED}
    assert AttemptState.PLANNED not in {attempt.state for attempt in practice.all(ChargeAttempt)}
    assert link
    (minted,) = practice.all(SecureLink)
    assert minted.ended_because == "exported"
    assert not [row for row in read_csv(tmp_path / "export/tables/secure_link.csv") if row.get("token_hash")]
    before = len(practice.stripe_listed("payment_intents"))
    settle_days(practice, 20)
    assert len(practice.stripe_listed("payment_intents")) == before
    for name in ("members.csv", "payment-plans.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "export" / name).read_bytes()


def test_what_was_handed_over_does_not_go_on_here_by_mistake(leaving: Practice, tmp_path: Path) -> None:
    """Two installations would charge; a person who insists may reactivate, after which it is here again."""
    practice, context = leaving, leaving.context
    contract_id = next(row.id for row in practice.all(Contract) if row.status is AgreementStatus.ACTIVE)
    plan_id = practice.all(PaymentPlan)[0].id
    export_everything(context, tmp_path / "export", stop=True)
    before = [*(row.status for row in practice.all(Contract)), *(row.status for row in practice.all(PaymentPlan))]
    pause_location(context, "leura", "person:mia")

    handed_over = "the new installation charges for it now"
    with pytest.raises(DomainError, match=handed_over):
        reactivate_member(context, contract_id, actor="person:mia")
    with pytest.raises(DomainError, match=handed_over):
        resume_plan(context, plan_id, "person:mia")
    with pytest.raises(DomainError, match=handed_over):
        activate_location(context, "leura", "person:mia")
    assert [
        *(row.status for row in practice.all(Contract)),
        *(row.status for row in practice.all(PaymentPlan)),
    ] == before

    activate_location(context, "leura", "person:mia", override=True)
    reactivate_member(context, contract_id, actor="person:mia", override=True)
    suspend_member(context, contract_id, actor="person:mia")
    reactivate_member(context, contract_id, actor="person:mia")


def test_who_has_not_signed_is_taken_over_to_be_asked_again(practice: Practice, template: Path, tmp_path: Path) -> None:
    """No day that the import would refuse, and no card that would begin what was never paid; again after the stop."""
    failed, pending = practice.enrol("pm_card_decline_insufficient_funds"), practice.enrol(None)
    assert practice.charge() == []
    settle_days(practice, 40)

    export_everything(practice.context, tmp_path / "export", stop=True)
    export_everything(practice.context, tmp_path / "again")
    with new_installation(practice, template, tmp_path) as other:
        imported, problems = adopt(other, tmp_path / "export/members.csv")

    rows = read_csv(tmp_path / "export/members.csv")
    assert [(row["next_due"], row["cycle_from"], row["stripe_payment_method"]) for row in rows] == [("", "", "")] * 2
    assert (imported.refusals, problems, imported.to_adopt, len(imported.to_invite)) == ([], [], [], 2)
    for name in ("members.csv", "by-hand.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "export" / name).read_bytes()
    listed = {row["agreement_id"]: row["what"] for row in read_csv(tmp_path / "export/by-hand.csv")}
    assert {failed.contract_id, pending.contract_id} <= set(listed)
    assert "`connector patient-links send CONTRACT`" in listed[failed.contract_id]


def test_what_the_import_cannot_take_is_listed(leaving: Practice, tmp_path: Path) -> None:
    """A pending contract, an overdue one and what is paused are told by id, with what is to be done."""
    practice = leaving
    paused, pending = practice.enrol("pm_card_visa"), practice.enrol(None)
    unpaid = practice.enrol("pm_card_decline_insufficient_funds", adopted=True)
    assert practice.charge() == []
    with practice.context.database.unit_of_work() as session:
        session.get_one(Contract, paused.contract_id).status = AgreementStatus.SUSPENDED

    report = export_everything(practice.context, tmp_path / "export")

    listed = {(row["agreement_id"], row["what"]) for row in read_csv(tmp_path / "export/by-hand.csv")}
    rows = {row["id"]: row for row in read_csv(tmp_path / "export/members.csv")}
    assert (paused.contract_id, "suspended by staff, so it is not in members.csv") in listed
    assert any(
        agreement == pending.contract_id
        and "not signed yet" in what
        and "`connector patient-links send CONTRACT`" in what
        for agreement, what in listed
    )
    assert report.by_hand == len(listed) >= 2
    owing = practice.all(Member)[-1]
    assert owing.id == unpaid.member_id
    assert Money.parse(rows[owing.external_id]["balance"], "aud").cents == practice.all(Invoice)[-1].amount_cents
    assert practice.all(Invoice)[-1].status is InvoiceStatus.OVERDUE


def test_every_table_is_there_without_secrets(practice: Practice, tmp_path: Path) -> None:
    """Each row of each table is in its file, for the owner's eyes, with texts that no spreadsheet runs."""
    person = practice.paid()
    evil = "=HYPERLINK(\"x\"),'1',\r\n+61 \N{TOOTHBRUSH} 李"
    with practice.context.database.unit_of_work() as session:
        session.get_one(Member, person.member_id).address = evil
        session.get_one(Member, person.member_id).suburb = "'t Hooft"
    folder, told = tmp_path / "export", list[str]()

    report = export_everything(practice.context, folder, progress=lambda name, _rows: told.append(name))

    with practice.context.database.read() as session:
        for table in METADATA.sorted_tables:
            count = session.scalar(select(func.count()).select_from(table))
            assert (
                report.rows[f"tables/{table.name}.csv"] == count == len(read_csv(folder / f"tables/{table.name}.csv"))
            )
    (member,) = read_csv(folder / "tables/member.csv")
    (location,) = read_csv(folder / "tables/location.csv")
    assert (unguarded(member["address"]), unguarded(member["suburb"])) == (evil, "'t Hooft")
    assert (member["address"][0], member["suburb"]) == ("'", "'t Hooft")
    assert set(json.loads(location["pms_settings"])) == {"base_url"}
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    for secret in (*list(practice.location.pms_settings.values())[1:], KEY):
        assert secret.encode() not in everything
    assert set(told) == set(report.rows)
    readme = (folder / README).read_text(encoding="utf-8")
    assert all(name in readme for name in report.rows)
    for words in ("connector plans edit", "not_expected_in_pms", "connector patient-links send"):
        assert words in readme
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (folder, *folder.rglob("*"))} <= {0}


@pytest.mark.parametrize("text", ["=1", "'=1", "''+", "'t Hooft", "", "-5", "@x", "\tx", "x", "''t", "＝1"])
def test_the_guard_against_formulas_can_be_taken_off(text: str) -> None:
    """Nothing that a spreadsheet runs is left, and nothing is lost."""
    assert unguarded(guarded(text)) == text
    assert not guarded(text).startswith(("=", "+", "-", "@", "\t"))


def test_one_location_alone_leaves_out_what_belongs_to_others(practice: Practice, tmp_path: Path) -> None:
    """Rows are found through what they point to; with several locations each has files of its own to import."""
    practice.paid()
    add_location(
        practice.context,
        slug="perth",
        name="Perth Dental",
        timezone="Australia/Perth",
        currency="aud",
        pms="open_dental",
        pms_settings=practice.location.pms_settings,
    )

    of_one = export_everything(practice.context, tmp_path / "leura", slug="leura")
    of_other = export_everything(practice.context, tmp_path / "perth", slug="perth")
    of_all = export_everything(practice.context, tmp_path / "all")

    for table in ("invoice_line", "cover", "posting", "payment_method", "charge_attempt", "member"):
        name = f"tables/{table}.csv"
        assert (of_one.rows[name], of_other.rows[name]) == (of_all.rows[name], 0)
        assert of_all.rows[name] > 0
    assert of_one.rows["tables/plan_version.csv"] == of_other.rows["tables/plan_version.csv"] == 3
    assert (of_one.rows["members.csv"], of_other.rows["members.csv"]) == (1, 0)
    assert (of_all.rows["members-leura.csv"], of_all.rows["members-perth.csv"]) == (1, 0)
    with pytest.raises(DomainError, match="no location 'bondi'"):
        export_everything(practice.context, tmp_path / "bondi", slug="bondi")
    assert not (tmp_path / "bondi").exists()


def test_a_folder_that_holds_something_is_refused(practice: Practice, tmp_path: Path) -> None:
    """Neither a file nor a folder with files is written to."""
    (tmp_path / "export").mkdir()
    (tmp_path / "export/note.txt").write_text("mine", encoding="utf-8")

    for folder in (tmp_path / "export", tmp_path / "export/note.txt"):
        with pytest.raises(DomainError, match="not an empty folder"):
            export_everything(practice.context, folder)

    assert (tmp_path / "export/note.txt").read_text(encoding="utf-8") == "mine"


def test_billing_that_goes_on_meanwhile_is_noticed_and_nothing_stops(
    leaving: Practice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that are out of date would charge a period twice, so they go again."""
    practice = leaving

    def written_while_billing_goes_on(*arguments: object) -> None:
        with practice.context.database.unit_of_work() as session:
            session.scalars(select(Contract).where(Contract.status == AgreementStatus.ACTIVE)).first().step()  # type: ignore[union-attr]

    monkeypatch.setattr(module, "_write_import", written_while_billing_goes_on)
    with pytest.raises(DomainError, match="while the files were written"):
        export_everything(practice.context, tmp_path / "export", stop=True)

    assert not (tmp_path / "export").exists()
    assert AgreementStatus.SUSPENDED not in {contract.status for contract in practice.all(Contract)}


def test_billing_that_is_behind_is_finished_before_it_is_stopped(leaving: Practice, tmp_path: Path) -> None:
    """A due date in the past would be refused by the other installation."""
    leaving.advance(days=40)

    with pytest.raises(DomainError, match="run `connector run-due` first"):
        export_everything(leaving.context, tmp_path / "export", stop=True)

    assert leaving.all(PaymentMethod)
    assert leaving.all(Cover)


def test_a_postgresql_database_is_exported_from_one_view(postgres: PostgresServer, tmp_path: Path) -> None:
    """The same files come out before and after the stop."""
    with running_practice(tmp_path, database_url=postgres.new_database()) as practice:
        practice.paid()

        report = export_everything(practice.context, tmp_path / "first", slug="leura", stop=True)
        again = export_everything(practice.context, tmp_path / "second")

        assert (report.stopped, report.rows["members.csv"], again.rows["members.csv"]) == (1, 1, 1)
        first, second = (tmp_path / name / "members.csv" for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
