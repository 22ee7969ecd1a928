"""Promo codes: what they take off real invoices, who may still have one, and that the last use goes to one person."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import event, func, select

from connector.billing.activity import Activity
from connector.billing.agreements.contracts import Contract, Cover
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.offers.plans import PlanVersion
from connector.billing.prices.discounts import PromoCode, PromoRedemption
from connector.billing.prices.pricing import LineKind, Position, PromoScope, PromoTerms
from connector.errors import DomainError
from connector.use_cases.invoices.price_periods import Prices
from connector.use_cases.members.cancel_membership import Consent, cancel_membership
from connector.use_cases.plans.promo_codes import (
    PromoState,
    add_promo_code,
    end_promo_code,
    give_back,
    list_promo_codes,
    redeem,
)
from tests.support.book import Book, opened_book
from tests.support.plan_changes import SLUG, STAFF, add, advance, monthly, sign
from tests.support.postgres import PostgresServer
from tests.support.practice import Practice

CODE = "SMILE-CANARY"


@pytest.fixture
def book(tmp_path: Path, template: Path) -> Iterator[Book]:
    file = tmp_path / "connector.sqlite3"
    file.write_bytes(template.read_bytes())
    with opened_book(f"sqlite:///{file.as_posix()}", tmp_path) as opened:
        yield opened


@pytest.fixture
def shared_book(postgres: PostgresServer, tmp_path: Path) -> Iterator[Book]:
    with opened_book(postgres.new_database(), tmp_path) as opened:
        yield opened


def make(book: Book | Practice, code: str = CODE, plans: tuple[str, ...] = (), **rules: Any) -> str:
    """A code that takes 20 % off the first period, unless the rules say otherwise."""
    rules = {"percent": Decimal(20)} | rules
    return add_promo_code(
        book.context, location_slug=SLUG, terms=PromoTerms(code, **rules), plans=plans, campaign="Spring", actor=STAFF
    )


def enter(book: Book | Practice, contract_id: str, code: str = CODE) -> None:
    """The page of the sign-up is submitted with the code."""
    with book.context.database.unit_of_work() as session:
        contract = session.get_one(Contract, contract_id)
        redeem(session, book.location, contract, code, book.context.clock.now())


def used(book: Book) -> tuple[int, int]:
    """What the counter says, and how many redemptions there are."""
    with book.context.database.read() as session:
        counted = session.scalars(select(func.sum(PromoCode.used))).one()
        return counted, session.scalars(select(func.count()).select_from(PromoRedemption)).one()


OFF: list[tuple[dict[str, Any], list[int]]] = [
    ({"percent": Decimal(20)}, [4_392, 2_990, 2_990]),
    ({"percent": Decimal(20), "scope": PromoScope.JOIN, "periods": None}, [4_990, 2_990, 2_990]),
    ({"percent": Decimal("12.5"), "scope": PromoScope.RECURRING, "periods": 2}, [5_116, 2_616, 2_990]),
    ({"percent": Decimal(50), "scope": PromoScope.RECURRING, "periods": None}, [3_995, 1_495, 1_495]),
    ({"percent": None, "amount_cents": 1_000}, [4_490, 2_990, 2_990]),
    ({"percent": None, "amount_cents": 9_000, "scope": PromoScope.JOIN}, [2_990, 2_990, 2_990]),
    ({"percent": None, "amount_cents": 9_000, "scope": PromoScope.RECURRING, "periods": None}, [2_500, 0, 0]),
    ({"percent": None, "amount_cents": 9_000, "periods": 2}, [0, 0, 2_990]),
]
"""Rules, and what a member pays in three months who joins for 25.00 and 29.90 a month."""


def test_codes_take_off_what_they_say_from_the_invoices_that_they_say(practice: Practice) -> None:
    """Percentage and amount, of the join fee, the recurring price or both, once, several times and for good."""
    add(practice.context, "Joined", monthly(2_990, setup_fee_cents=2_500))
    people = []
    for number, (rules, _) in enumerate(OFF):
        make(practice, f"CODE{number}", **rules)
        people.append(practice.enrol(None, plan="Joined", linked=False))
        enter(practice, people[-1].contract_id, f" code{number} ")
        practice.sign_up(people[-1], "pm_card_visa")

    for days in (0, 30, 31):
        practice.advance(days=days)
        assert practice.charge() == []

    with practice.context.database.read() as session:
        paid = {
            person.contract_id: list(
                session.scalars(
                    select(Invoice.amount_cents)
                    .where(Invoice.contract_id == person.contract_id)
                    .order_by(Invoice.period)
                )
            )
            for person in people
        }
    assert list(paid.values()) == [amounts for _, amounts in OFF]
    charged = sorted(charge["amount"] for charge in practice.stripe_charges())
    assert charged == sorted(amount for amounts in paid.values() for amount in amounts if amount)


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({}, "SMILE-CANARI", "is not known: check its spelling"),
    ({"opens": date(2026, 11, 22)}, CODE, "cannot be used before 22/11/2026"),
    ({"closes": date(2026, 11, 20)}, CODE, "ended on 20/11/2026"),
    ({"plans": ("Premium",)}, CODE, "not for the chosen plan"),
    ({"ended": True}, CODE, "has ended: continue without it"),
    ({"max_uses": 1, "taken": True}, CODE, "is used up: continue without it"),
]


@pytest.mark.parametrize(("rules", "code", "words"), REFUSED)
def test_a_code_that_cannot_be_used_is_refused_and_changes_nothing(
    book: Book, rules: dict[str, Any], code: str, words: str
) -> None:
    """With one sentence that does not repeat it; the membership can be signed without."""
    ended, taken = rules.get("ended"), rules.get("taken")
    advance(book, days=-1)
    make(book, **{name: value for name, value in rules.items() if name not in ("ended", "taken")})
    advance(book, days=1)
    if ended:
        end_promo_code(book.context, location_slug=SLUG, code=CODE.lower(), actor=STAFF)
    if taken:
        enter(book, sign(book.context, active=False).id)
    before = used(book)
    contract = sign(book.context, active=False)

    with book.context.database.unit_of_work() as session:
        with pytest.raises(DomainError, match=words) as refusal:
            redeem(session, book.location, session.get_one(Contract, contract.id), code, book.context.clock.now())
        session.get_one(Contract, contract.id).anchor = date(2026, 12, 1)

    assert CODE not in str(refusal.value)
    assert used(book) == before
    with book.context.database.read() as session:
        assert session.get_one(Contract, contract.id).anchor == date(2026, 12, 1)


def test_a_code_is_for_the_plan_of_the_account_holder(book: Book) -> None:
    """Whatever the dependents have."""
    make(book, plans=("Premium", "Essential"))

    enter(book, sign(book.context, "Essential", household=2, active=False).id)

    assert used(book) == (1, 1)


def test_a_code_leaves_the_price_of_those_on_other_plans(book: Book) -> None:
    """The holder's plan is among the code's plans, the child's is not."""
    kids = add(book.context, "Kids", monthly(1_500))
    make(book, plans=("Essential",), percent=Decimal(50))
    contract = sign(book.context, "Essential", household=2, active=False)
    with book.context.database.unit_of_work() as session:
        version = session.scalars(select(PlanVersion.id).where(PlanVersion.plan_id == kids)).one()
        child = session.scalars(
            select(Cover).where(Cover.contract_id == contract.id, Cover.position == Position.DEPENDENT)
        ).one()
        child.plan_version_id = version
    enter(book, contract.id)

    with book.context.database.read() as session:
        prices = Prices(session, book.location, [contract.id])
        lines = prices.lines(session.get_one(Contract, contract.id), 0, date(2026, 11, 21))

    reduced = [line.member_id for line in lines if line.kind is LineKind.PROMO_DISCOUNT]
    assert reduced == [contract.member_id]


def test_one_membership_has_one_code(book: Book) -> None:
    """The same once more, as after a declined card, changes nothing; another is refused."""
    make(book)
    make(book, "OTHER")
    contract = sign(book.context, active=False)

    enter(book, contract.id)
    enter(book, contract.id, CODE.lower())
    with pytest.raises(DomainError, match="has a promo code already, and only one counts"):
        enter(book, contract.id, "other")

    assert used(book) == (1, 1)


def test_whoever_redeems_later_has_it_from_the_next_period_on(book: Book) -> None:
    """Never for what is invoiced already."""
    make(book)
    book.issue()

    enter(book, book.contract_id)

    with book.context.database.read() as session:
        assert session.get_one(PromoRedemption, book.contract_id).from_period == 1
    book.issue()
    with book.context.database.read() as session:
        assert session.scalars(select(Invoice.amount_cents).order_by(Invoice.period)).all() == [2_990, 2_392]


def race(book: Book) -> list[str]:
    """Two people submit their pages at the same moment; returns how it ended for each."""
    contracts = [sign(book.context, active=False).id for _ in range(2)]
    barrier = Barrier(2)

    def submit(contract_id: str) -> str:
        barrier.wait(30)
        try:
            enter(book, contract_id)
        except DomainError as refusal:
            return str(refusal)
        return "redeemed"

    with ThreadPoolExecutor(max_workers=2) as pool:
        return sorted(pool.map(submit, contracts))


def test_the_last_use_goes_to_one_person_only(book: Book) -> None:
    """The other is told, and can sign without it."""
    make(book, max_uses=1)

    assert race(book) == ["This promo code is used up: continue without it.", "redeemed"]
    assert used(book) == (1, 1)


def test_the_last_use_goes_to_one_person_only_on_postgresql(shared_book: Book) -> None:
    """There both read the code before either has counted, and the row decides."""
    make(shared_book, max_uses=1)
    both_have_read = Barrier(2)

    def hold(*arguments: Any) -> None:
        # Each of the two waits here until the other has looked at the code as well.
        if str(arguments[2]).startswith("UPDATE promo_code"):
            both_have_read.wait(30)

    event.listen(shared_book.context.database.writer, "before_cursor_execute", hold)

    assert race(shared_book) == ["This promo code is used up: continue without it.", "redeemed"]
    assert used(shared_book) == (1, 1)


def test_one_membership_redeems_once_however_often_it_is_submitted_on_postgresql(shared_book: Book) -> None:
    """Two submits of two codes at once: one is kept, and the use of the other is not counted."""
    make(shared_book)
    make(shared_book, "OTHER")
    contract = sign(shared_book.context, active=False)
    both_have_read = Barrier(2)

    def hold(*arguments: Any) -> None:
        if str(arguments[2]).startswith("UPDATE promo_code"):
            both_have_read.wait(30)

    def submit(code: str) -> str:
        try:
            enter(shared_book, contract.id, code)
        except DomainError as refusal:
            return str(refusal)
        return "redeemed"

    event.listen(shared_book.context.database.writer, "before_cursor_execute", hold)
    with ThreadPoolExecutor(max_workers=2) as pool:
        ends = sorted(pool.map(submit, (CODE, "OTHER")))

    assert ends == ["This membership got a promo code just now: look at it again.", "redeemed"]
    assert used(shared_book) == (1, 1)


def test_somebody_who_never_joins_gives_the_last_use_back(book: Book) -> None:
    """Somebody else can have it then, and the history says where it went."""
    make(book, max_uses=1)
    hoarder, other = (sign(book.context, active=False).id for _ in range(2))
    enter(book, hoarder)

    cancel_membership(book.context, hoarder, Consent(), actor=STAFF)

    assert used(book) == (0, 0)
    enter(book, other)
    assert used(book) == (1, 1)
    with book.context.database.read() as session:
        told = session.scalars(select(Activity.action).where(Activity.subject_id == hoarder)).all()
    assert "Promo Code Given Back" in told


def test_a_membership_that_has_begun_keeps_its_use(book: Book) -> None:
    """It has had the discount; one that ended without a code gives none back."""
    make(book, max_uses=2)
    for code in (CODE, ""):
        contract = sign(book.context)
        if code:
            enter(book, contract.id)
        cancel_membership(book.context, contract.id, Consent(), actor=STAFF)

    assert used(book) == (1, 1)


@pytest.mark.parametrize(
    ("status", "left"),
    [(InvoiceStatus.CANCELLED, (0, 0)), (InvoiceStatus.PROCESSING, (1, 1)), (InvoiceStatus.COMPLETED, (1, 1))],
)
def test_a_use_whose_invoice_may_still_be_paid_is_not_given_back(
    book: Book, status: InvoiceStatus, left: tuple[int, int]
) -> None:
    """A debit that is under way takes the reduced amount, so the use is taken, too."""
    make(book)
    enter(book, book.contract_id)
    book.issue()
    with book.context.database.unit_of_work() as session:
        session.scalars(select(Invoice)).one().status = status

    with book.context.database.unit_of_work() as session:
        contract = session.get_one(Contract, book.contract_id)
        give_back(session, book.location, contract, book.context.clock.now(), STAFF)

    assert used(book) == left


def test_the_list_says_what_state_each_code_is_in(book: Book) -> None:
    """What has ended or is used up stays there."""
    advance(book, days=-1)
    make(book, "EARLIER", closes=date(2026, 11, 20))
    advance(book, days=1)
    make(book, "LATER", opens=date(2026, 11, 22))
    make(book, "FULL", max_uses=1, plans=("Essential",))
    make(book, "OVER")
    enter(book, sign(book.context, active=False).id, "full")
    end_promo_code(book.context, location_slug=SLUG, code=" over ", actor=STAFF)
    make(book, "TODAY", opens=date(2026, 11, 21), closes=date(2026, 11, 21), max_uses=2)

    lines = {line.terms.code: line for line in list_promo_codes(book.context, book.location)}

    assert {code: line.state for code, line in lines.items()} == {
        "LATER": PromoState.NOT_YET,
        "EARLIER": PromoState.CLOSED,
        "FULL": PromoState.USED_UP,
        "OVER": PromoState.ENDED,
        "TODAY": PromoState.OPEN,
    }
    assert (lines["FULL"].used, lines["FULL"].plans, lines["FULL"].campaign) == (1, ["Essential"], "Spring")
    with pytest.raises(DomainError, match="has ended already"):
        end_promo_code(book.context, location_slug=SLUG, code="over", actor=STAFF)
    with pytest.raises(DomainError, match="no such promo code"):
        end_promo_code(book.context, location_slug=SLUG, code=CODE, actor=STAFF)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"code": CODE.lower()}, "has this promo code already"),
        ({"plans": ("Gold",)}, "has no plan 'Gold'"),
        ({"campaign": "two\nlines"}, "A campaign is one line"),
        ({"campaign": "for 4242 4242 4242 4242"}, "holds a card number"),
        ({"location_slug": "nowhere"}, "There is no location 'nowhere'"),
    ],
)
def test_a_code_that_cannot_be_added_is_refused(book: Book, fields: dict[str, Any], words: str) -> None:
    """Nothing is added; capital and small letters are the same code."""
    make(book)
    terms = PromoTerms(fields.get("code", "NEW"), percent=Decimal(5))
    wanted: dict[str, Any] = {"location_slug": SLUG, "terms": terms, "actor": STAFF, **fields}
    wanted.pop("code", None)

    with pytest.raises(DomainError, match=words):
        add_promo_code(book.context, **wanted)

    assert len(list_promo_codes(book.context, book.location)) == 1


def test_the_history_knows_who_did_what_and_never_the_code(book: Book) -> None:
    """Neither do the reprs of what is handed around."""
    make(book)
    enter(book, book.contract_id)
    end_promo_code(book.context, location_slug=SLUG, code=CODE, actor=STAFF)

    with book.context.database.read() as session:
        rows = session.scalars(select(Activity).where(Activity.action.contains("Promo")).order_by(Activity.sequence))
        told = [(row.action, row.actor, str(row.detail)) for row in rows]
        promo = session.scalars(select(PromoCode)).one()
    assert [row[:2] for row in told] == [
        ("Promo Code Added", STAFF),
        ("Promo Code Redeemed", "payer"),
        ("Promo Code Ended", STAFF),
    ]
    (line,) = list_promo_codes(book.context, book.location)
    assert CODE not in "".join([repr(promo), repr(line), *(row[2] for row in told)])
    assert line.terms.code == CODE
