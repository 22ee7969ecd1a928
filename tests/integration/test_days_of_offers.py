"""The days that staff give to plans, migrations and promo codes: a slip of the pen is refused and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.billing.offers.plan_files import write
from connector.billing.offers.plans import MembershipPlan, PlanVersion
from connector.billing.prices.discounts import PromoCode
from tests.support.commands import command, document
from tests.support.plan_changes import monthly
from tests.support.practice import Practice
from tests.support.practice_setup import running_practice

HERE = ("--location", "leura")
PASSED = (
    "Error: offered_until 2026-08-31 has passed, so nobody could join this plan: correct it, or repeat with --closed "
    "for those who are on it already.\n"
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Practice]:
    """One practice for all tests of this file, on 1 September 2026, with a member on an older version of a plan."""
    folder = tmp_path_factory.mktemp("shop")
    with running_practice(folder, template) as running:
        running.paid(linked=False)
        document(running, "plans", "edit", "Essential", *HERE, "--file", plan_file(folder, {}, 3_000))
        yield running


def plan_file(folder: Path, days: dict[str, str], cents: int = 2_000) -> str:
    """The document of a plan with these days of sign-up."""
    file = folder / "plan.toml"
    file.write_text(write(monthly(cents, **days)), encoding="utf-8")
    return str(file)


@pytest.mark.parametrize("verb", ["preview", "migrate"])
@pytest.mark.parametrize("day", ["2199-12-31", "2190-01-01", "2036-09-02"])
def test_a_change_of_plan_is_announced_for_the_next_ten_years_only(shop: Practice, verb: str, day: str) -> None:
    """As every other day on which somebody is to be charged."""
    options = ("--yes",) if verb == "migrate" else ()

    done = command(shop, "plans", verb, "Essential", *HERE, "--effective", day, *options)

    assert (done.code, done.out) == (1, "")
    sentence = f"The first day of the change cannot be more than 10 years away: check the year of {day}."
    assert done.err == f"Error: {sentence}\n"
    assert command(shop, "plans", "preview", "Essential", *HERE, "--effective", "2036-09-01").code == 0


@pytest.mark.parametrize(
    ("option", "day", "words"),
    [
        ("--opens", "2026-08-31", "The first day of a promo code cannot lie in the past: today is 2026-09-01."),
        ("--closes", "2026-08-31", "The last day of a promo code cannot lie in the past: today is 2026-09-01."),
        ("--opens", "2036-09-02", "The first day of a promo code cannot be more than 10 years away"),
        ("--closes", "2190-01-01", "The last day of a promo code cannot be more than 10 years away"),
    ],
)
def test_a_promo_code_is_for_days_to_come(shop: Practice, option: str, day: str, words: str) -> None:
    """A code that nobody could ever enter, or for good by mistake, is not kept."""
    done = command(shop, "promo-codes", "add", "SPRING", *HERE, "--percent", "5", option, day)

    assert (done.code, done.out) == (1, "")
    assert words in done.err
    assert shop.all(PromoCode) == []


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ({"offered_until": "2026-08-31"}, PASSED),
        ({"offered_until": "2036-09-02"}, "offered_until is more than 10 years away: check the year of 2036-09-02."),
        ({"offered_from": "9999-12-31"}, "offered_from is more than 10 years away: check the year of 9999-12-31."),
    ],
)
@pytest.mark.parametrize("verb", ["add", "edit"])
def test_a_plan_can_be_joined_on_some_day_soon(
    shop: Practice, tmp_path: Path, verb: str, days: dict[str, str], words: str
) -> None:
    """Neither a new plan nor new terms have days of sign-up that cannot be meant."""
    name = "Summer" if verb == "add" else "Premium"
    before = len(shop.all(PlanVersion))

    done = command(shop, "plans", verb, name, *HERE, "--file", plan_file(tmp_path, days))

    assert (done.code, done.out) == (1, "")
    assert words in done.err
    assert len(shop.all(PlanVersion)) == before


def test_an_exported_plan_that_nobody_can_join_any_more_can_be_added_and_edited(shop: Practice, tmp_path: Path) -> None:
    """Its members move to another installation with it; what was so before is no slip of the pen in an edit."""
    over = {"offered_from": "2026-01-01", "offered_until": "2026-08-31"}

    document(shop, "plans", "add", "Winter", *HERE, "--file", plan_file(tmp_path, over), "--closed")
    document(shop, "plans", "edit", "Winter", *HERE, "--file", plan_file(tmp_path, over, 2_100))
    moved = {**over, "offered_until": "2026-07-31"}
    refused = command(shop, "plans", "edit", "Winter", *HERE, "--file", plan_file(tmp_path, moved))
    document(shop, "plans", "edit", "Winter", *HERE, "--file", plan_file(tmp_path, moved), "--closed")

    assert "has passed" in refused.err
    (winter,) = (plan for plan in shop.all(MembershipPlan) if plan.name == "Winter")
    assert winter.version == 3
