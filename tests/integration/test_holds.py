"""Holds over HTTP: reserved once, taken once or let go, and never charged by the passing of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connector.billing.activity import Activity
from connector.billing.agreements.payment_requests import HoldStatus
from connector.billing.agreements.schedule import Frequency
from connector.billing.collecting.charges import AttemptState, ChargeAttempt, Payment
from connector.billing.invoices import InvoiceKind, InvoiceStatus
from connector.billing.processor import ChargeStatus
from connector.errors import DomainError, EdgeError
from connector.ledger.write_back.models import WriteBack
from connector.ledger.write_back.states import WriteBackState
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message
from connector.use_cases.books.verify_ledger import verify_ledger
from connector.use_cases.requests.hold_payment import authorise_hold
from connector.use_cases.requests.settle_hold import capture_hold, on_hold_news, release_hold
from connector.use_cases.requests.work_holds import work_holds
from tests.support.commands import command, document
from tests.support.practice import Enrolled, Practice
from tests.support.practice_setup import running_practice
from tests.support.requests import STAFF, aud, dies, give, held, hold_for, hold_of, invoices, method_of

CONFIRM, CAPTURE, CANCEL = (f"/v1/payment_intents/*/{verb}" for verb in ("confirm", "capture", "cancel"))
RETURN = "https://pay.leura.example/back"
HELD = 12_000


@pytest.fixture
def payer(practice: Practice) -> Enrolled:
    """Somebody with a card, whose membership is paid for the year."""
    person = practice.enrol(frequency=Frequency.ANNUALLY)
    practice.work()
    return person


def authorised(practice: Practice, payer: Enrolled) -> str:
    """A hold that the card's bank has granted."""
    hold_id = hold_for(practice, payer, HELD)
    authorise_hold(practice.context, hold_id, method_of(practice, payer), RETURN)
    assert held(practice) is HoldStatus.AUTHORISED
    return hold_id


def disturb(practice: Practice, path: str, **fault: object) -> None:
    """Our next requests of that kind, and the library's repeats of them, go wrong."""
    practice.stripe.post("faults", **{"method": "POST", "path": path, "count": 3, **fault})


def pass_minutes(practice: Practice, minutes: int = 6) -> list[str]:
    """Time passes and the connector works on holds; returns the problems met."""
    practice.advance(minutes=minutes)
    return work_holds(practice.context).problems


def intents(practice: Practice) -> list[dict[str, Any]]:
    """The payment objects of holds at Stripe."""
    return [row for row in practice.stripe_listed("payment_intents") if row["capture_method"] == "manual"]


def taken(practice: Practice) -> list[int]:
    """Cents of the payments of holds, as Stripe shows them."""
    return [row["amount_received"] for row in intents(practice) if row["amount_received"]]


def assert_explained(practice: Practice) -> None:
    """What Stripe took of holds is what is to be written, under the mark that Stripe was told, and the book adds up."""
    at_stripe = {
        row["metadata"]["charge_id"].replace("ch_", "SP"): row["amount_received"]
        for row in intents(practice)
        if row["amount_received"]
    }
    marks = {row.reference: row.amount_cents for row in practice.all(WriteBack) if not row.automatic}
    assert marks == at_stripe
    assert verify_ledger(practice.context).faults == []


def test_a_hold_is_asked_for_by_email_and_sms_at_once(practice: Practice, payer: Enrolled) -> None:
    """The message has the amount and the day until which the link is good, and says that nothing is charged now."""
    hold_id = hold_for(practice, payer, HELD)

    asked = [row for row in practice.all(Message) if row.subject_id == hold_id]

    assert {row.kind for row in asked} == {MessageKind.HOLD_REQUEST}
    assert {row.channel.value for row in asked} == {"email", "sms"}
    detail = {"amount_cents": HELD, "expires_on": "2026-09-15", "urgent": True}
    assert all(row.detail == detail and row.not_before == practice.clock.now() for row in asked)
    assert (held(practice), invoices(practice), intents(practice)) == (HoldStatus.REQUESTED, [], [])


@pytest.mark.parametrize(("part", "cents"), [(None, HELD), (7_550, 7_550)])
def test_a_captured_hold_becomes_an_invoice_and_a_payment_that_waits_for_a_person(
    practice: Practice, payer: Enrolled, part: int | None, cents: int
) -> None:
    """Of a part the rest is released; the write-back waits for Post to Ledger."""
    hold_id = authorised(practice, payer)
    assert invoices(practice) == []

    status = capture_hold(practice.context, hold_id, aud(part) if part else None, STAFF)

    (invoice,) = invoices(practice)
    (payment,) = [row for row in practice.all(Payment) if row.invoice_id == invoice.id]
    assert (status, held(practice), hold_of(practice).captured_cents) == (*[HoldStatus.CAPTURED] * 2, cents)
    assert (invoice.kind, invoice.status, invoice.amount_cents) == (InvoiceKind.HOLD, InvoiceStatus.COMPLETED, cents)
    assert (payment.amount_cents, taken(practice)) == (cents, [cents])
    assert practice.states()[-1] is WriteBackState.READY
    assert_explained(practice)


def test_a_released_hold_charges_nothing_and_leaves_no_invoice(practice: Practice, payer: Enrolled) -> None:
    """Nor does releasing it a second time do anything but say so."""
    hold_id = authorised(practice, payer)

    assert release_hold(practice.context, hold_id, STAFF) is HoldStatus.RELEASED

    assert ([row["status"] for row in intents(practice)], invoices(practice)) == (["canceled"], [])
    with pytest.raises(DomainError, match="is released: there is nothing to release"):
        release_hold(practice.context, hold_id, STAFF)


def test_a_request_that_nobody_answered_is_withdrawn_or_expires_without_any_call(
    practice: Practice, payer: Enrolled
) -> None:
    """No card was given, so Stripe knows nothing of it; afterwards no card is taken for it."""
    first, second = hold_for(practice, payer), hold_for(practice, payer)

    release_hold(practice.context, first, STAFF)
    pass_minutes(practice, 14 * 24 * 60)

    lines = document(practice, "holds", "list", "--location", "leura")
    assert {line["id"]: line["status"] for line in lines} == {first: "released", second: "expired"}
    assert intents(practice) == []
    with pytest.raises(DomainError, match="no card is needed"):
        authorise_hold(practice.context, second, method_of(practice, payer))


def test_a_hold_that_was_not_captured_in_time_expires_with_nothing_charged(practice: Practice, payer: Enrolled) -> None:
    """Staff are told once, two days before; at its end there is no charge and no invoice (F19)."""
    hold_id = authorised(practice, payer)
    ends = hold_of(practice).capture_before
    assert ends == practice.clock.now() + timedelta(days=7)
    assert document(practice, "holds", "list", "--location", "leura")[0]["expires_in"] == "7 d 0 h"

    seen = []
    for _ in range(8):
        assert pass_minutes(practice, 24 * 60) == []
        warnings = [row for row in practice.all(Message) if row.kind is MessageKind.HOLD_EXPIRING]
        seen.append((held(practice).value, len(warnings)))

    assert seen == [*[("authorised", 0)] * 4, *[("authorised", 1)] * 2, *[("expired", 1)] * 2]
    (warning,) = [row for row in practice.all(Message) if row.kind is MessageKind.HOLD_EXPIRING]
    assert (warning.subject_id, warning.member_id) == (hold_id, None)
    assert warning.detail == {"amount_cents": HELD, "expires_on": "2026-09-08", "urgent": True}
    assert (invoices(practice), taken(practice)) == ([], [])
    with pytest.raises(DomainError, match="is expired: only an authorised one"):
        capture_hold(practice.context, hold_id, None, STAFF)


def test_a_capture_whose_hold_has_ended_meanwhile_voids_its_invoice(practice: Practice, payer: Enrolled) -> None:
    """Stripe was away from the decision until after the end: nothing is taken, and the number stays as expired."""
    hold_id = authorised(practice, payer)
    practice.advance(days=6, hours=23)
    disturb(practice, CAPTURE, kind="reset_before")
    with pytest.raises(EdgeError):
        capture_hold(practice.context, hold_id, None, STAFF)
    # A billing run leaves it alone: to confirm it would be another try to hold the money.
    assert practice.charge() == []
    assert held(practice) is HoldStatus.CAPTURING

    assert pass_minutes(practice, 120) == []

    (invoice,) = invoices(practice)
    (attempt,) = [row for row in practice.all(ChargeAttempt) if row.failure_code]
    assert (held(practice), invoice.status) == (HoldStatus.EXPIRED, InvoiceStatus.EXPIRED)
    assert (attempt.state, attempt.failure_code) == (AttemptState.FAILED, "authorisation_ended")
    assert (taken(practice), hold_of(practice).captured_cents) == ([], None)
    assert_explained(practice)


def test_a_declined_card_may_be_followed_by_another_on_the_same_payment_object(
    practice: Practice, payer: Enrolled
) -> None:
    """The second try has a key of its own, and the money is held once."""
    hold_id = hold_for(practice, payer, HELD)
    bad = give(practice, payer, "pm_card_decline_insufficient_funds")

    report = authorise_hold(practice.context, hold_id, bad, RETURN)

    assert (report.failure_code, held(practice)) == ("insufficient_funds", HoldStatus.FAILED)
    authorise_hold(practice.context, hold_id, give(practice, payer, "pm_card_visa"), RETURN)
    hold = hold_of(practice)
    assert (hold.status, hold.attempt, hold.failure_code) == (HoldStatus.AUTHORISED, 2, None)
    assert [row["status"] for row in intents(practice)] == ["requires_capture"]


@pytest.mark.parametrize("answer", ["success", "failure", None])
def test_a_payer_is_sent_to_the_bank_and_the_outcome_is_found(
    practice: Practice, payer: Enrolled, answer: str | None
) -> None:
    """By news when the payer answers; when they leave the page, another try may begin after an hour."""
    hold_id = hold_for(practice, payer, HELD)
    card = give(practice, payer, "pm_card_authenticationRequired")

    report = authorise_hold(practice.context, hold_id, card, RETURN)

    assert (report.status, held(practice)) == (ChargeStatus.NEEDS_PAYER, HoldStatus.AUTHORISING)
    if answer:
        assert report.payer_url is not None
        practice.stripe.client.post(report.payer_url, data={"outcome": answer}, follow_redirects=False)
        assert on_hold_news(practice.context, report.processor_id)
    else:
        pass_minutes(practice, 61)
    if answer == "success":
        assert held(practice) is HoldStatus.AUTHORISED
        return
    assert held(practice) is HoldStatus.FAILED
    authorise_hold(practice.context, hold_id, give(practice, payer, "pm_card_visa"), RETURN)
    assert held(practice) is HoldStatus.AUTHORISED


def test_a_bank_account_cannot_be_held(practice: Practice, payer: Enrolled) -> None:
    """The refusal is one sentence with the next step, and the request stays open."""
    hold_id = hold_for(practice, payer)
    account = give(practice, payer, "pm_becs_success")

    with pytest.raises(DomainError, match=r"^A bank account cannot be held, only debited: give a card for the hold\.$"):
        authorise_hold(practice.context, hold_id, account)

    assert (held(practice), intents(practice)) == (HoldStatus.REQUESTED, [])


def test_money_that_was_captured_at_stripes_dashboard_gets_its_invoice(practice: Practice, payer: Enrolled) -> None:
    """Whoever took it: it is a payment of the patient, explained to the cent."""
    authorised(practice, payer)
    (intent,) = intents(practice)
    practice.stripe_do(f"payment_intents/{intent['id']}/capture", amount_to_capture="5000")

    assert on_hold_news(practice.context, intent["id"])
    assert on_hold_news(practice.context, intent["id"])

    (invoice,) = invoices(practice)
    assert (invoice.amount_cents, invoice.status, held(practice)) == (
        5_000,
        InvoiceStatus.COMPLETED,
        HoldStatus.CAPTURED,
    )
    assert not on_hold_news(practice.context, "pi_of_somebody_else")
    assert_explained(practice)


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "truncate"])
@pytest.mark.parametrize(
    "path", ["/v1/payment_intents", CONFIRM, CAPTURE, CANCEL], ids=["create", "confirm", "capture", "cancel"]
)
def test_an_unclear_answer_is_asked_for_again_under_the_same_key(
    practice: Practice, payer: Enrolled, path: str, kind: str
) -> None:
    """The decision stands; the next round finds out, and nothing happens twice."""
    hold_id = (
        hold_for(practice, payer, HELD) if path in ("/v1/payment_intents", CONFIRM) else authorised(practice, payer)
    )
    method, context = method_of(practice, payer), practice.context
    decide: dict[str, tuple[Callable[[], object], HoldStatus]] = {
        CAPTURE: (lambda: capture_hold(context, hold_id, aud(5_000), STAFF), HoldStatus.CAPTURED),
        CANCEL: (lambda: release_hold(context, hold_id, STAFF), HoldStatus.RELEASED),
    }
    act, wanted = decide.get(path, (lambda: authorise_hold(context, hold_id, method), HoldStatus.AUTHORISED))
    disturb(practice, path, kind=kind)

    with pytest.raises(EdgeError):
        act()

    assert pass_minutes(practice) == []
    assert (held(practice), len(intents(practice))) == (wanted, 1)
    assert taken(practice) == ([5_000] if path == CAPTURE else [])
    assert_explained(practice)


@pytest.mark.parametrize("failpoint", ["commit.before", "commit.after", "write.before", "write.after"])
def test_a_process_that_dies_anywhere_holds_once_and_takes_once(
    practice: Practice, payer: Enrolled, failpoint: str
) -> None:
    """It dies at the n-th pass of authorising and capturing, for n = 1, 2 ...; the rounds after it end the work."""
    card, count = method_of(practice, payer), 0
    while True:
        count += 1
        hold_id = hold_for(practice, payer, HELD)

        def both(hold_id: str = hold_id) -> None:
            authorise_hold(practice.context, hold_id, card)
            capture_hold(practice.context, hold_id, None, STAFF)

        died = dies(f"{failpoint}:{count}", both)

        assert pass_minutes(practice) == []
        assert pass_minutes(practice) == []
        hold = next(row for row in _holds(practice) if row["id"] == hold_id)
        if hold["status"] == "requested":
            authorise_hold(practice.context, hold_id, card)
            hold["status"] = "authorised"
        if hold["status"] == "authorised":
            capture_hold(practice.context, hold_id, None, STAFF)
        assert (len(intents(practice)), taken(practice)) == (count, [HELD] * count)
        assert [row.status for row in invoices(practice)] == [InvoiceStatus.COMPLETED] * count
        if not died:
            break
    assert count > {"commit.before": 5, "commit.after": 5, "write.before": 3, "write.after": 3}[failpoint]
    assert {hold["status"] for hold in _holds(practice)} == {"captured"}
    assert_explained(practice)


def _holds(practice: Practice) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = document(practice, "holds", "list", "--location", "leura")
    return lines


def test_staff_hold_capture_and_see_it_at_the_command_line(practice: Practice, payer: Enrolled) -> None:
    """Each step is told, and what was done is remembered with who did it."""
    asked = document(practice, "holds", "request", payer.member_id, "--amount", "120.00", "--description", "Crown")
    hold_id = asked["id"]

    granted = document(practice, "holds", "authorise", hold_id)
    table = command(practice, "holds", "list", "--location", "leura", "--status", "authorised")
    captured = document(practice, "holds", "capture", hold_id, "--amount", "50")

    assert (asked["status"], granted["status"], captured["status"]) == ("requested", "authorised", "captured")
    # A card on file is charged without its owner, which Visa grants for a shorter time.
    assert all(part in table.out for part in (hold_id, "120.00", "4 d 18 h"))
    assert _holds(practice)[0]["captured_cents"] == 5_000
    done = [(row.action, row.actor.partition(":")[0]) for row in practice.all(Activity) if row.subject_id == hold_id]
    assert done == [("Hold Requested", "person"), ("Hold Captured", "person")]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[tuple[Practice, str, str]]:
    """A practice with an authorised hold, for mistakes that change nothing; with the ids of member and hold."""
    with running_practice(tmp_path_factory.mktemp("bench"), template) as practice:
        person = practice.enrol(frequency=Frequency.ANNUALLY)
        yield practice, person.member_id, authorised(practice, person)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("request", "MEMBER", "--amount", "0"), "A hold must be above zero."),
        (("request", "MEMBER", "--amount", "-5"), "A hold must be above zero."),
        (("request", "MEMBER", "--amount", "0.49"), "the least that can be charged is 0.50 AUD"),
        (("request", "MEMBER", "--amount", "1.005"), "not an amount in whole cents"),
        (("request", "MEMBER", "--amount", "1000000.00"), "is too large: the limit is"),
        (("request", "mem_none", "--amount", "5"), "no member 'mem_none'"),
        (("request", "MEMBER", "--amount", "5", "--description", "x" * 201), "at most 200 printable characters"),
        (("capture", "HOLD", "--amount", "120.01"), "no more than that can be captured"),
        (("capture", "HOLD", "--amount", "0"), "must be above zero"),
        (("capture", "hold_none"), "no hold 'hold_none'"),
        (("capture", "hold_none", "--amount", "1"), "no hold 'hold_none'"),
        (("authorise", "HOLD"), "is authorised: no card is needed"),
        (("authorise", "hold_none"), "no hold 'hold_none'"),
        (("release", "hold_none"), "no hold 'hold_none'"),
    ],
)
def test_a_refusal_is_one_sentence_and_changes_nothing(
    bench: tuple[Practice, str, str], arguments: tuple[str, ...], sentence: str
) -> None:
    """What is typed wrongly leaves the hold as it is."""
    practice, member_id, hold_id = bench
    words = [{"MEMBER": member_id, "HOLD": hold_id}.get(word, word) for word in arguments]

    done = command(practice, "holds", *words)

    assert (done.code, done.out) == (1, "")
    assert sentence in done.err
    assert done.err.count("\n") == 1
    assert (held(practice), invoices(practice)) == (HoldStatus.AUTHORISED, [])
