"""What a plan offers: its checks, who is admitted and when, and what a member would notice of a change."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.billing.agreements.schedule import Frequency
from connector.billing.offers.plan_terms import (
    DiscountCategory,
    PlanTerms,
    TaxCode,
    admits,
    changes,
    offered_on,
    terms_of,
)
from connector.errors import DomainError
from tests.support.plan_terms import PLAN_TERMS

LEAST = {"prices": {"monthly": 2990}}
CHECK_UP = {"title": "Check-up", "annual_quantity": 2, "procedure_codes": ["012"]}


def plan(**fields: Any) -> PlanTerms:
    return terms_of(LEAST | fields)


def test_a_plan_needs_no_more_than_a_price() -> None:
    """Everything else has a default: no fee, no lock-in, any age, always on offer, GST-free."""
    terms = terms_of(LEAST)

    assert terms.prices == {Frequency.MONTHLY: 2990}
    assert (terms.setup_fee_cents, terms.lock_in_months, terms.tax_code) == (0, 0, TaxCode.GST_FREE)
    assert offered_on(terms, date(1999, 1, 1))
    admits(terms, None, date(2027, 1, 1))


def test_the_ten_discounts_are_always_there_in_their_order() -> None:
    """However few are given, and in whatever order."""
    terms = plan(discounts={"general": {"percent": 5}, "diagnostic": {"percent": "12.5", "included": True}})

    assert [category.label for category in terms.discounts] == [
        "Diagnostic",
        "Preventive, Prophylactic and Bleaching",
        "Periodontics",
        "Oral Surgery",
        "Endodontics",
        "Restorative",
        "Prosthodontics",
        "Orthodontics",
        "General",
        "Miscellaneous",
    ]
    assert terms.discounts[DiscountCategory.DIAGNOSTIC].percent == Decimal("12.5")
    assert [category.value for category, discount in terms.discounts.items() if discount.shown] == ["diagnostic"]


def test_a_benefit_without_terms_says_so() -> None:
    """The contract prints the sentence."""
    (benefit,) = plan(benefits=[CHECK_UP]).benefits

    assert (benefit.terms, benefit.waiting_months) == ("No term.", 0)


@given(PLAN_TERMS)
def test_terms_come_back_from_the_database_as_they_went_in(terms: PlanTerms) -> None:
    """Also when the database keeps the keys of an object in another order."""
    stored = json.dumps(terms.model_dump(mode="json"), sort_keys=True)

    back = terms_of(json.loads(stored))

    assert back == terms
    assert list(back.discounts) == list(DiscountCategory)
    assert back.model_dump_json() == terms.model_dump_json()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"prices": {}}, "prices are missing: give at least one, e.g. monthly."),
        ({"prices": {"monthly": 0}}, "prices.monthly must be above 0."),
        ({"prices": {"monthly": -2990}}, "prices.monthly must be above 0."),
        ({"prices": {"monthly": 29.905}}, "prices.monthly must be a whole number."),
        ({"prices": {"monthly": True}}, "prices.monthly must be a whole number."),
        ({"prices": {"monthly": 100_000_000}}, "prices.monthly must be at most 99999999."),
        (
            {"prices": {"daily": 100}},
            "prices.daily must be one of 'weekly', 'fortnightly', 'monthly' or 'annually'.",
        ),
        ({"prices": 2990}, "prices does not have the form that is expected here."),
        ({"setup_fee_cents": -1}, "setup_fee must be at least 0."),
        ({"setup_fee": 100}, "setup_fee is not a setting of a plan: remove it or check its spelling."),
        ({"description": "x" * 501}, "description is too long: shorten it to 500 characters."),
        ({"description": "a\x00b"}, "description contains a control character: type the text again."),
        ({"description": 7}, "description must be a text."),
        ({"terms": "x" * 5001}, "terms is too long: shorten it to 5000 characters."),
        ({"lock_in_months": 121}, "lock_in_months must be at most 120."),
        ({"min_age": 65, "max_age": 18}, "max_age is below min_age: correct one of them."),
        ({"min_age": -1}, "min_age must be at least 0."),
        (
            {"offered_from": "2027-02-01", "offered_until": "2027-01-31"},
            "offered_until is before offered_from: correct one of them.",
        ),
        ({"offered_from": "31/01/2027"}, "offered_from must be a date like 2027-01-31."),
        ({"offered_from": 20270131}, "offered_from must be a date like 2027-01-31."),
        ({"tax_code": "vat"}, "tax_code must be one of 'gst_free' or 'gst'."),
        ({"discounts": {"general": {"percent": 101}}}, "discounts.general.percent must be at most 100."),
        ({"discounts": {"general": {"percent": -1}}}, "discounts.general.percent must be at least 0."),
        (
            {"discounts": {"general": {"percent": "1.255"}}},
            "discounts.general.percent must not have more than 2 decimals.",
        ),
        ({"discounts": {"general": {"percent": "ten"}}}, "discounts.general.percent must be a number."),
        ({"discounts": {"general": {"percent": "NaN"}}}, "discounts.general.percent must be a number."),
        ({"discounts": {"general": {"included": 1}}}, "discounts.general.included must be true or false."),
        (
            {"discounts": {"general": {"note": "x" * 501}}},
            "discounts.general.note is too long: shorten it to 500 characters.",
        ),
        (
            {"benefits": [CHECK_UP, CHECK_UP | {"title": "CHECK-UP", "procedure_codes": []}]},
            "benefits have the same title twice: rename one of them.",
        ),
        (
            {"benefits": [CHECK_UP, CHECK_UP | {"title": "Visit"}]},
            "benefits count the procedure code 012 twice: leave it in one place.",
        ),
        ({"benefits": [CHECK_UP, {"annual_quantity": 1}]}, "benefit 2: title must be filled in."),
        ({"benefits": [CHECK_UP | {"title": "  "}]}, "benefit 1: title must be filled in."),
        ({"benefits": [CHECK_UP | {"title": "a\nb"}]}, "benefit 1: title must be on one line."),
        ({"benefits": [CHECK_UP | {"annual_quantity": 2.5}]}, "benefit 1: annual_quantity must be a whole number."),
        ({"benefits": [CHECK_UP | {"waiting_months": -1}]}, "benefit 1: waiting_months must be at least 0."),
        (
            {"benefits": [CHECK_UP | {"terms": "x" * 501}]},
            "benefit 1: terms is too long: shorten it to 500 characters.",
        ),
        (
            {"benefits": [CHECK_UP | {"procedure_codes": ["011", "01 2"]}]},
            "benefit 1: procedure_codes.1 must be 1 to 15 letters, digits or points.",
        ),
        ({"benefits": ["Check-up"]}, "benefit 1 does not have the form that is expected here."),
    ],
)
def test_terms_that_cannot_be_used_are_refused_with_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    """It names the field, and what to do."""
    with pytest.raises(DomainError) as refusal:
        plan(**fields)

    assert str(refusal.value) == sentence


def test_a_plan_without_prices_is_told_so() -> None:
    """Also when the whole table is missing."""
    with pytest.raises(DomainError, match=r"^prices must be filled in\.$"):
        terms_of({})


@pytest.mark.parametrize(
    ("birth", "on", "admitted"),
    [
        ("2009-01-02", "2027-01-01", False),
        ("2009-01-02", "2027-01-02", True),
        ("1962-01-02", "2027-01-01", True),
        ("1962-01-02", "2027-01-02", False),
        ("2008-02-29", "2026-02-27", False),
        ("2008-02-29", "2026-02-28", True),
    ],
)
def test_people_are_admitted_from_their_birthday_until_the_year_after(birth: str, on: str, admitted: bool) -> None:
    """18 to 64: from the eighteenth birthday to the day before the sixty-fifth; leap-day children on the 28th."""
    terms = plan(min_age=18, max_age=64)

    if admitted:
        admits(terms, date.fromisoformat(birth), date.fromisoformat(on))
    else:
        with pytest.raises(DomainError, match=r"^This plan is for ages 18 to 64: choose another plan\.$"):
            admits(terms, date.fromisoformat(birth), date.fromisoformat(on))


@pytest.mark.parametrize(
    ("limits", "birth", "sentence"),
    [
        ({"min_age": 18}, None, "This plan is for ages 18 and over: enter the date of birth first."),
        ({"max_age": 17}, None, "This plan is for ages 0 to 17: enter the date of birth first."),
        ({"max_age": 17}, date(2000, 1, 1), "This plan is for ages 0 to 17: choose another plan."),
        ({"min_age": 18}, date(2027, 1, 2), "The date of birth is in the future: correct it."),
    ],
)
def test_an_age_that_is_unknown_or_impossible_is_not_admitted(
    limits: dict[str, int], birth: date | None, sentence: str
) -> None:
    """An age range needs a date of birth; the sentence never repeats it."""
    with pytest.raises(DomainError) as refusal:
        admits(plan(**limits), birth, date(2027, 1, 1))

    assert str(refusal.value) == sentence


def test_sign_ups_are_open_from_the_first_day_to_the_last() -> None:
    """Both included."""
    terms = plan(offered_from="2027-01-10", offered_until="2027-01-20")

    open_days = [day for day in range(1, 32) if offered_on(terms, date(2027, 1, day))]

    assert open_days == list(range(10, 21))


def test_a_migration_is_previewed_line_by_line() -> None:
    """Prices, benefits, discounts and limits with both values; long texts only as changed."""
    old = plan(
        prices={"weekly": 690, "monthly": 2990},
        benefits=[CHECK_UP, {"title": "Clean", "annual_quantity": 2}],
        discounts={"oral_surgery": {"percent": 10, "included": True}},
        terms="Old",
    )
    new = plan(
        prices={"monthly": 3190, "annually": 35_000},
        setup_fee_cents=2500,
        benefits=[
            CHECK_UP | {"annual_quantity": 0, "waiting_months": 3, "terms": "New"},
            {"title": "X-ray", "annual_quantity": 1},
        ],
        discounts={"oral_surgery": {"percent": "12.50", "included": True, "note": "New"}, "general": {"percent": 90}},
        lock_in_months=12,
        min_age=18,
        offered_until="2027-06-30",
        terms="New",
    )

    assert changes(old, new) == [
        "price weekly 6.90 -> none",
        "price monthly 29.90 -> 31.90",
        "setup fee 0.00 -> 25.00",
        "benefit Check-up 2 a year (012) -> unlimited, after 3 months (012)",
        "benefit Clean 2 a year -> none",
        "discount Oral Surgery 10% -> 12.5%",
        "lock-in months 0 -> 12",
        "ages any -> 18 and over",
        "offered until any day -> 2027-06-30",
        "price annually none -> 350.00",
        "benefit X-ray none -> 1 a year",
        "terms changed",
        "terms of benefit Check-up changed",
        "note on Oral Surgery changed",
    ]


@given(PLAN_TERMS, PLAN_TERMS)
def test_the_way_back_changes_as_much_as_the_way_there(old: PlanTerms, new: PlanTerms) -> None:
    """And nothing changes on the spot."""
    assert changes(old, old) == []
    assert len(changes(old, new)) == len(changes(new, old))


@given(PLAN_TERMS, st.integers(min_value=1, max_value=99_999_999))
def test_no_change_of_a_price_goes_unnoticed(old: PlanTerms, cents: int) -> None:
    """Each of them is a line of the preview."""
    new = old.model_copy(update={"prices": dict(old.prices) | {Frequency.MONTHLY: cents}})

    assert bool(changes(old, new)) == (old.prices.get(Frequency.MONTHLY) != cents)
