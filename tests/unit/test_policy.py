"""Billing settings of a location: what is stored, what is refused, and how people write them."""

from __future__ import annotations

import pytest

from connector.billing.policy import BillingPolicy, CatchUp, changed, policy_of
from connector.errors import DomainError


def test_only_what_differs_from_the_defaults_is_stored() -> None:
    """A later version of the program may have better defaults for what nobody has decided."""
    stored = changed({}, {"catch_up": "ask", "card_retry_days": "3, 7", "send_from_hour": "9"})

    assert stored == {"catch_up": "ask", "card_retry_days": [3, 7]}
    assert policy_of(stored).catch_up is CatchUp.ASK
    assert policy_of({}) == BillingPolicy()


def test_an_empty_text_restores_the_default_and_none_empties_a_list() -> None:
    """Both are written after the name and an equals sign."""
    stored = changed({"catch_up": "ask", "card_retry_days": [3]}, {"catch_up": "", "card_retry_days": "none"})

    assert stored == {"card_retry_days": []}
    assert policy_of(stored).card_retry_days == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"catch_ups": "all"}, "'catch_ups' is not a setting"),
        ({"catch_up": "maybe"}, "catch_up cannot be set so: must be one of 'all', 'latest' or 'ask'. See"),
        (
            {"card_retry_days": "3,soon"},
            "card_retry_days cannot be set so: must be a whole number. See docs/billing.md",
        ),
        ({"send_from_hour": "25"}, "send_from_hour cannot be set so: must be at most 24."),
        ({"becs_week_limit_cents": "9" * 5_000}, "becs_week_limit_cents cannot be set so: must be a smaller number."),
        ({"dependent_discount_percent": "101"}, "dependent_discount_percent cannot be set so"),
        ({"dependent_discount_percent": "9.999"}, "dependent_discount_percent cannot be set so"),
        ({"becs_week_limit_cents": "-1"}, "becs_week_limit_cents cannot be set so"),
        ({"signup_link_days": "0"}, "signup_link_days cannot be set so"),
        ({"payment_link_days": "0"}, "payment_link_days cannot be set so"),
        ({"invoice_link_days": "0"}, "invoice_link_days cannot be set so"),
        ({"overdue_link_days": "0"}, "overdue_link_days cannot be set so"),
        ({"send_from_hour": "17"}, "send_from_hour must be before send_until_hour"),
        ({"card_retry_days": "7,3"}, "retry days must rise"),
        ({"becs_retry_days": "5,28"}, "retry days must rise and lie before final_notice_day"),
        ({"card_retry_days": "0,3"}, "retry days must rise"),
        ({"auto_cancel_day": "27"}, "auto_cancel_day must not be before final_notice_day"),
    ],
)
def test_what_cannot_be_is_refused_with_the_name_of_the_setting(changes: dict[str, str], words: str) -> None:
    """Settings are checked as a whole, so none is stored that another forbids."""
    with pytest.raises(DomainError, match=words):
        changed({}, changes)


def test_links_may_live_for_a_single_day() -> None:
    """The shortest life in which anybody can open one."""
    stored = changed({}, {"signup_link_days": "1", "overdue_link_days": "1"})

    assert stored == {"signup_link_days": 1, "overdue_link_days": 1}
