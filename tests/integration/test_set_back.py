"""A database that was restored from a backup, and a copy that runs beside its original."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pysqlite3.dbapi2 as sqlite
import pytest
from sqlalchemy import select

from connector.billing.agreements.contracts import Cover
from connector.billing.collecting.charges import Charge, Payment, ReturnedPayment
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.database import installation as installations
from connector.database.engine import Database
from connector.database.installation import installation
from connector.database.seal import CHANGE_AFTER, LOOK_AGAIN_AFTER, Seal, SealWatch
from connector.errors import DomainError, EdgeError
from connector.ledger.write_back.states import WriteBackState
from connector.messaging.models import Message
from connector.use_cases.books.close_day import close_day
from connector.use_cases.books.link_members import link_by_person, unlink_by_person
from connector.use_cases.collection.run_due import run_due
from connector.use_cases.continuity.require_current import SET_BACK, require_current
from connector.use_cases.continuity.resume import Resumption, resume
from connector.use_cases.returns.refund_payment import refund_payment
from tests.support.post import Post
from tests.support.practice import Practice


def saved(practice: Practice, name: str = "backup.sqlite3") -> Path:
    """A consistent copy of the database as it is now."""
    assert practice.context.database.path is not None
    copy = practice.context.database.path.with_name(name)
    with closing(sqlite.connect(practice.context.database.path)) as live, closing(sqlite.connect(copy)) as kept:
        live.backup(kept)
    return copy


def working_on(practice: Practice, file: Path) -> Practice:
    """A process that has just been started on that file, beside whatever else runs."""
    database = Database(f"sqlite:///{file.as_posix()}")
    return replace(practice, context=replace(practice.context, database=database, seal_watch=SealWatch()))


def set_back(practice: Practice, backup: Path) -> None:
    """Somebody puts the backup in the place of the database and starts the program again."""
    file = practice.context.database.path
    assert file is not None
    practice.context.database.close()
    for leftover in ("-wal", "-shm"):
        file.with_name(file.name + leftover).unlink(missing_ok=True)
    shutil.copy(backup, file)
    practice.context = working_on(practice, file).context


def resumed(practice: Practice) -> Resumption:
    return resume(practice.context, "person:mia")


@pytest.fixture
def month_later(practice: Practice) -> Practice:
    """A practice set back to where it was a month ago: two cards, a bank debit and a card without funds since then."""
    for method in ("pm_card_visa", "pm_card_mastercard", "pm_becs_success", "pm_card_declineTwice_insufficient_funds"):
        practice.enrol(method, adopted=True)
    practice.work()
    practice.advance(days=4)
    practice.work()
    backup = saved(practice)
    for _ in range(31):
        practice.advance(days=1)
        practice.work()
    set_back(practice, backup)
    return practice


def test_a_database_that_was_set_back_sends_nothing_until_a_person_resumes(month_later: Practice) -> None:
    practice = month_later
    before = len(practice.stripe_listed("payment_intents")), len(practice.pms_rows())

    for _ in range(3):
        practice.advance(hours=1)
        assert SET_BACK in practice.charge()
        practice.write()

    assert (len(practice.stripe_listed("payment_intents")), len(practice.pms_rows())) == before


def test_what_was_done_since_the_backup_is_adopted_and_not_done_again(month_later: Practice) -> None:
    practice = month_later
    taken = len(practice.stripe_charges())
    practice.charge()

    report = resumed(practice)

    assert (report.done, report.strangers, report.problems) == (True, [], [])
    assert report.adopted > 0
    practice.work()
    practice.settle()
    assert len(practice.stripe_charges()) == taken == len(practice.all(Payment))
    assert {row.status for row in practice.all(Invoice)} == {InvoiceStatus.COMPLETED}
    practice.assert_all_written()


def test_after_that_the_work_goes_on_as_ever(month_later: Practice) -> None:
    practice = month_later
    practice.charge()
    assert resumed(practice).done
    taken = len(practice.stripe_charges())

    for _ in range(35):
        practice.advance(days=1)
        assert practice.charge() == []
        practice.write()

    assert len(practice.stripe_charges()) > taken
    practice.settle()
    practice.assert_all_written()


def test_resuming_may_be_interrupted_anywhere_and_said_again(month_later: Practice) -> None:
    practice = month_later
    practice.charge()
    failed = 0
    for answered in range(40):
        practice.stripe.post("faults", path="/v1/*", kind="reset_before", skip=answered, count=None)
        try:
            done = resumed(practice).done
        except EdgeError:
            done = False
        practice.stripe_well_again()
        if done:
            break
        failed += 1

    assert 5 < failed < 39
    practice.work()
    practice.settle()
    practice.assert_all_written()


def test_a_refund_since_the_backup_is_learnt_and_reversed_once(practice: Practice) -> None:
    practice.enrol()
    practice.work()
    backup = saved(practice)
    practice.advance(hours=3)
    (payment,) = practice.all(Payment)
    refund_payment(practice.context, payment.id, payment.amount, "", "front desk")
    practice.work()
    practice.settle()
    set_back(practice, backup)
    practice.advance(days=1)
    with pytest.raises(DomainError, match="connector resume"):
        refund_payment(practice.context, payment.id, payment.amount, "", "front desk")

    assert resumed(practice).done
    practice.work()
    practice.settle()

    assert [row.amount_cents for row in practice.all(ReturnedPayment)] == [payment.amount_cents]
    practice.assert_all_written()


def test_a_member_who_was_linked_to_another_patient_meanwhile_gets_no_second_entry(practice: Practice) -> None:
    """The entry is found where it stands, and a person may move it."""
    person = practice.enrol(adopted=True)
    other = practice.enrol(None, linked=False)
    practice.work()
    backup = saved(practice)
    practice.advance(days=31)
    practice.work()
    practice.settle()
    before = len(practice.pms_rows())
    set_back(practice, backup)
    practice.advance(days=1)
    practice.charge()
    assert resumed(practice).done
    unlink_by_person(practice.context, practice.location, person.member_id, "front desk")
    link_by_person(practice.context, practice.location, person.member_id, other.patient_id, "front desk")

    practice.work()
    practice.settle()

    assert len(practice.pms_rows()) == before
    practice.assert_all_written()


def test_a_payment_for_somebody_who_joined_after_the_backup_is_named(practice: Practice) -> None:
    practice.enrol()
    practice.work()
    backup = saved(practice)
    practice.advance(hours=2)
    practice.enrol()
    practice.work()
    set_back(practice, backup)
    practice.advance(days=31)
    practice.charge()

    report = resumed(practice)

    newest = practice.stripe_listed("payment_intents")[-1]["id"]
    assert ([listed.processor_id for listed in report.strangers], report.done) == ([newest], True)


def test_a_backup_of_a_few_minutes_ago_asks_for_the_same_things_under_the_same_names(practice: Practice) -> None:
    """Too short a time for another seal; Stripe's keys and our reference bring the same payment and the same entry."""
    practice.enrol()
    backup = saved(practice)
    practice.work()
    before = practice.stripe_listed("payment_intents"), practice.pms_rows()
    set_back(practice, backup)
    practice.advance(minutes=5)

    practice.work()
    practice.settle()

    after = practice.stripe_listed("payment_intents"), practice.pms_rows()
    assert [row["id"] for row in after[0]] == [row["id"] for row in before[0]]
    assert len(after[1]) == len(before[1]) == 1
    practice.assert_all_written()


def test_of_two_copies_that_run_the_one_that_began_last_works_and_the_other_stops(practice: Practice) -> None:
    for _ in range(2):
        practice.enrol()
    practice.work()
    copy = working_on(practice, saved(practice, "copy.sqlite3"))
    practice.advance(days=31)

    assert copy.charge() == []
    practice.advance(minutes=5)

    assert practice.charge() == [SET_BACK]
    assert copy.charge() == []
    copy.write()
    assert practice.write().problem is None or practice.write().problem == SET_BACK
    copy.settle()
    copy.assert_all_written()
    copy.context.database.close()


def test_a_copy_that_was_made_some_time_ago_is_refused_at_its_first_step(practice: Practice) -> None:
    practice.paid()
    copy = working_on(practice, saved(practice, "copy.sqlite3"))
    practice.advance(days=1)
    practice.enrol()
    practice.work()

    assert SET_BACK in copy.charge() or copy.write().problem == SET_BACK
    practice.advance(minutes=5)
    assert practice.charge() == []
    practice.assert_exactly_once()
    copy.context.database.close()


def test_a_folder_copied_to_another_machine_is_refused_until_a_person_resumes(
    practice: Practice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even when nothing was done since."""
    monkeypatch.setattr(installations, "machine_number", lambda: "at the practice")
    practice.context = replace(practice.context, installation=installation(tmp_path / "data"))
    practice.enrol()
    practice.charge()
    monkeypatch.setattr(installations, "machine_number", lambda: "elsewhere")
    practice.advance(minutes=5)

    assert practice.charge() == [SET_BACK]
    assert practice.write().problem == SET_BACK
    assert resumed(practice).done
    practice.advance(minutes=1)
    practice.work()
    practice.assert_all_written()


def test_messages_and_the_close_of_a_day_wait_as_well(month_later: Practice, tmp_path: Path) -> None:
    practice = month_later
    practice.charge()
    post = Post(practice, tmp_path)

    told = post.send()
    with pytest.raises(DomainError, match="connector resume"):
        close_day(practice.context, practice.location, practice.today - timedelta(days=1))

    assert (told.problems, told.sent, post.mail.given) == ([SET_BACK], 0, 0)
    assert practice.all(Message) != []


def test_while_stripe_is_away_only_a_process_that_has_seen_the_seal_goes_on(practice: Practice) -> None:
    practice.enrol()
    practice.charge()
    other = working_on(practice, practice.context.database.path or Path())
    practice.stripe.post("faults", method="GET", path="/v1/customers/*", kind="reset_before", count=None)
    practice.advance(minutes=5)

    assert other.write().problem is not None
    assert practice.pms_rows() == []
    assert practice.write().problem is None
    assert len(practice.pms_rows()) == 1
    other.context.database.close()


def test_a_seal_that_somebody_removed_at_stripe_is_made_anew(practice: Practice) -> None:
    practice.paid()
    (seal,) = practice.all(Seal)
    key = {"Authorization": "Bearer sk_test_practice"}
    practice.stripe.client.delete(f"{practice.stripe.address}/v1/customers/{seal.kept_as}", headers=key)
    for _ in range(3):
        practice.advance(hours=1)
        require_current(practice.context)

    assert practice.all(Seal)[0].kept_as not in (None, seal.kept_as)


def test_a_change_of_the_seal_whose_answer_is_lost_is_no_break(practice: Practice) -> None:
    practice.paid()
    (seal,) = practice.all(Seal)
    for kind in ("reset_before", "reset_after"):
        practice.clock.advance(CHANGE_AFTER)
        practice.stripe.post("faults", method="POST", path="/v1/customers/*", kind=kind, count=None)
        require_current(practice.context)
        practice.stripe_well_again()
    practice.clock.advance(LOOK_AGAIN_AFTER)
    require_current(practice.context)

    assert practice.all(Seal)[0].text != seal.text
    assert practice.all(Seal)[0].next_text is None


def test_there_is_nothing_to_resume_while_all_is_well(practice: Practice) -> None:
    practice.paid()
    with pytest.raises(DomainError, match="nothing to resume"):
        resumed(practice)
    assert run_due(practice.context).problems == []
    assert practice.states() == [WriteBackState.QUEUED]
    assert len(practice.all(Charge)) == 1


def test_a_price_that_was_changed_after_the_backup_makes_nobody_pay_a_period_twice(practice: Practice) -> None:
    """What was taken is the other amount: the rest is told as owed or as too much, and nothing is taken by itself."""
    person = practice.enrol(adopted=True)
    practice.work()
    backup = saved(practice)
    with practice.context.database.unit_of_work() as session:
        cover = session.scalars(select(Cover).where(Cover.contract_id == person.contract_id)).one()
        cover.price_cents += 500
    practice.advance(days=31)
    practice.work()
    set_back(practice, backup)
    practice.advance(days=2)
    practice.charge()

    assert resumed(practice).done
    practice.work()
    practice.settle()

    assert len(practice.stripe_charges()) == len(practice.all(Payment)) == 2
    practice.assert_exactly_once()
