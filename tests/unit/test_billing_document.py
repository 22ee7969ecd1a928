"""What docs/billing.md says about settings, states, steps and rates is what the program does."""

from __future__ import annotations

import re
from collections import defaultdict
from enum import StrEnum
from itertools import takewhile
from pathlib import Path

import pytest

from connector.billing.agreements.contracts import AgreementStatus
from connector.billing.agreements.payment_requests import HoldStatus, RequestStatus
from connector.billing.collecting.dunning import steps
from connector.billing.invoices import InvoiceStatus
from connector.billing.policy import BillingPolicy
from connector.billing.prices.platform_fee import DEFAULT_TIERS
from connector.billing.prices.pricing import amount_of, price_period
from connector.billing.prices.shares import shares
from connector.money import Money
from tests.support.household import dependent, holder

TEXT = (Path(__file__).parents[2] / "docs" / "billing.md").read_text(encoding="utf-8")


def table_after(line: str) -> list[list[str]]:
    """The cells of the first table below that line, without its head."""
    below = TEXT.split(f"{line}\n", 1)[1].splitlines()
    start = next(number for number, text in enumerate(below) if text.startswith("|"))
    rows = takewhile(lambda text: text.startswith("|"), below[start + 2 :])
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def test_every_setting_is_explained_with_its_default() -> None:
    """All of them, in the order of the model, and no other; each with a reason."""
    rows = table_after("## Settings of a location")

    defaults = BillingPolicy().model_dump(mode="json")
    assert [(name.strip("`"), default) for name, default, _ in rows] == [
        (name, shown(value)) for name, value in defaults.items()
    ]
    assert all(len(reason) > 10 for _, _, reason in rows)


def test_every_choice_of_a_setting_is_named() -> None:
    """Whoever reads about a setting learns what it can be set to."""
    reasons = {
        name.strip("`"): f"{default} {reason}" for name, default, reason in table_after("## Settings of a location")
    }
    for name, field in BillingPolicy.model_fields.items():
        if isinstance(field.default, StrEnum):
            missing = [choice for choice in type(field.default) if choice.value not in reasons[name]]
            assert missing == [], name


@pytest.mark.parametrize(
    ("line", "states"),
    [
        ("A membership contract:", set(AgreementStatus) - {AgreementStatus.COMPLETED}),
        ("A payment plan:", set(AgreementStatus) - {AgreementStatus.FAILED}),
        ("An invoice:", set(InvoiceStatus)),
        ("An instant payment:", set(RequestStatus)),
        ("A hold:", set(HoldStatus)),
    ],
)
def test_every_state_is_described_once_and_leads_to_states_that_exist(line: str, states: set[StrEnum]) -> None:
    """No state of the program is missing, and the table invents none."""
    rows = table_after(line)

    assert sorted(row[0].strip("`") for row in rows) == sorted(state.value for state in states)
    following = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row[2])}
    assert following <= {state.value for state in states}


def test_the_recovery_table_is_the_default_schedule() -> None:
    """Day by day, for cards and for bank debits."""
    expected: defaultdict[int, dict[bool, list[str]]] = defaultdict(lambda: {True: [], False: []})
    for is_card in (True, False):
        for step in steps(BillingPolicy(), is_card):
            expected[step.day][is_card].append(step.kind.value.replace("_", " "))

    assert table_after("## Recovery of an unpaid invoice") == [
        [str(day), ", ".join(expected[day][True]), ", ".join(expected[day][False])] for day in sorted(expected)
    ]


def test_the_built_in_rates_are_those_of_the_program() -> None:
    """Tier by tier."""
    assert table_after("## The platform fee") == [
        [f"`{name}`", f"{tier.membership_percent} %", f"{tier.other_percent} %", f"{tier.gst_percent} %"]
        for name, tier in DEFAULT_TIERS.items()
    ]


def test_the_household_of_the_example_adds_up() -> None:
    """Five people at twenty dollars pay 84.00: 12.00 for the holder and 18.00 for each dependent."""
    people = [holder(2000), *(dependent(number, 2000) for number in range(4))]

    lines = price_period(people, policy=BillingPolicy())

    assert amount_of(lines, "aud") == Money(8400, "aud")
    assert list(shares(lines).values()) == [1200, 1800, 1800, 1800, 1800]
    rows = {
        row[0].strip("*"): [cell.strip("*") for cell in row[1:4]]
        for row in table_after("## How a household's money flows")
    }
    assert rows == {
        "account holder": ["20.00", "8.00", "12.00"],
        "each of four dependents": ["20.00", "2.00", "18.00"],
        "invoice": ["100.00", "16.00", "84.00"],
    }
