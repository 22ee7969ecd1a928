"""Plans as documents: what a practice writes, what it is told about mistakes, and the three to start from."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given

from connector.billing.agreements.schedule import Frequency
from connector.billing.offers.plan_files import DOCUMENT_MAX, STARTERS, parse, starter, write
from connector.billing.offers.plan_terms import PlanTerms, offered_on
from connector.errors import DomainError
from tests.support.plan_terms import PLAN_TERMS

PRICES_OF_STARTERS = {
    "essential": [690, 1_380, 2_990, 33_900],
    "comprehensive": [990, 1_980, 4_290, 48_900],
    "premium": [1_490, 2_980, 6_450, 73_500],
}


@given(PLAN_TERMS)
def test_a_written_plan_reads_as_the_same_plan(terms: PlanTerms) -> None:
    """Whatever its texts hold, also with the line ends and the byte order mark of another system."""
    text = write(terms)

    assert parse(text) == terms
    assert parse("\ufeff" + text.replace("\n", "\r\n")) == terms


@pytest.mark.parametrize(
    ("amount", "cents"),
    [
        ('"29.90"', 2990),
        ("29.90", 2990),
        ("29.9", 2990),
        ("29", 2900),
        ('"29"', 2900),
        ("0.57", 57),
        ("999999.99", 99_999_999),
    ],
)
def test_an_amount_is_what_is_written(amount: str, cents: int) -> None:
    """As a number or in quotation marks, with up to two decimals; never a float (0.57 is not 0.56999)."""
    terms = parse(f"setup_fee = {amount}\n[prices]\nmonthly = {amount}\n")

    assert (terms.prices[Frequency.MONTHLY], terms.setup_fee_cents) == (cents, cents)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ("", "prices must be filled in."),
        ("[prices]\n", "prices are missing: give at least one, e.g. monthly."),
        ("prices = 29.90", "prices does not have the form that is expected here."),
        ("[prices]\nmonthly = 0", "prices.monthly must be above 0."),
        ('[prices]\nmonthly = "-29.90"', "prices.monthly must be above 0."),
        (
            "[prices]\nmonthly = 29.905",
            "prices.monthly: '29.905' is not an amount in whole cents: write it like 20.50.",
        ),
        ("[prices]\nmonthly = 1e3", "prices.monthly: '1E+3' is not an amount in whole cents: write it like 20.50."),
        ("[prices]\nmonthly = nan", "prices.monthly: 'NaN' is not an amount in whole cents: write it like 20.50."),
        ("[prices]\nmonthly = 1000000", "prices.monthly: '1000000' is too large: the limit is 999,999.99."),
        ("[prices]\nmonthly = true", 'prices.monthly must be an amount like "29.90".'),
        ("setup_fee = [1]", 'setup_fee must be an amount like "29.90".'),
        ("setup_fee = -1\n[prices]\nmonthly = 1", "setup_fee must be at least 0."),
        ("setup_fee_cents = 100", 'setup_fee_cents is not a setting of a plan: write setup_fee = "25.00".'),
        ("description = 2.5\n[prices]\nmonthly = 1", "description must be a text."),
        (
            "[prices]\nmonthly = 1\n[discounts.teeth]\npercent = 1",
            "discounts.teeth must be one of 'diagnostic', 'preventive', 'periodontics',",
        ),
        (
            '[prices]\nmonthly = 1\n[[benefits]]\ntitle = "Clean"\nannual_quantity = 1.5',
            "benefit 1: annual_quantity must be a whole number.",
        ),
        (
            "[prices]\nmonthly =\n",
            "The plan document cannot be read: Invalid value (at line 2, column 10).",
        ),
        ("[prices]\nmonthly = 1e99999999999999999999", "beyond all limits"),
        ("[prices]\nmonthly = " + "9" * 5000, "beyond all limits"),
        ("a = " + "[" * 50_000, "beyond all limits"),
        ("#" * (DOCUMENT_MAX + 1), "A plan document has at most 200,000 characters: this is another file."),
    ],
)
def test_a_mistake_is_told_with_its_line_or_field(document: str, sentence: str) -> None:
    """One sentence, and no plan."""
    with pytest.raises(DomainError) as refusal:
        parse(document)

    assert sentence in str(refusal.value)


@pytest.mark.parametrize("name", STARTERS)
def test_a_starter_plan_is_ready_to_be_sold(name: str) -> None:
    """It has the known prices, benefits that can be counted, and discounts that members see; nobody is bound by it."""
    terms = starter(name)

    assert [terms.prices[frequency] for frequency in Frequency] == PRICES_OF_STARTERS[name]
    assert all(benefit.procedure_codes for benefit in terms.benefits)
    assert any(discount.shown for discount in terms.discounts.values())
    assert terms.description
    assert (terms.lock_in_months, terms.offered_from, terms.offered_until) == (0, None, None)


def test_a_better_starter_plan_has_more_of_everything() -> None:
    """Good, better, best: each code and each discount of one is at least as good in the next."""
    plans = [starter(name) for name in STARTERS]

    for less, more in pairwise(plans):
        quantities = {code: benefit.annual_quantity for benefit in more.benefits for code in benefit.procedure_codes}
        for benefit in less.benefits:
            assert all(quantities[code] in (0, *range(benefit.annual_quantity, 10)) for code in benefit.procedure_codes)
        assert all(more.discounts[key].percent >= discount.percent for key, discount in less.discounts.items())
    codes = {code for plan in plans for benefit in plan.benefits for code in benefit.procedure_codes}
    assert {"012", "114", "121", "141", "022", "037", "013"} <= codes


def test_a_starter_plan_that_does_not_exist_is_refused() -> None:
    """With the names of those that do; a path is not a name."""
    for name in ("gold", "../essential"):
        with pytest.raises(DomainError, match="choose one of essential, comprehensive, premium"):
            starter(name)


def test_a_promotional_plan_is_edited_as_a_document() -> None:
    """A practice changes a starter's text, and the plan is what it wrote."""
    text = write(starter("essential"))
    edited = text.replace("lock_in_months = 0", "lock_in_months = 12\noffered_until = 2027-06-30\nmin_age = 18")

    terms = parse(edited.replace('monthly = "29.90"', "monthly = 19.90"))

    assert terms.prices[Frequency.MONTHLY] == 1990
    assert (terms.lock_in_months, terms.min_age, terms.max_age) == (12, 18, None)
    assert terms.offered_until is not None
    assert offered_on(terms, terms.offered_until)
