"""Refusals: what each code and each advice means for the next attempt, and what the payer reads."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.billing.collecting.declines import REFUSED_BY_PROCESSOR, DeclineClass, Verdict, classify, payer_text

NEVER = "incorrect_number lost_card pickup_card stolen_card highest_risk_level"
NEVER += " revocation_of_authorization revocation_of_all_authorizations"
UNWISE = "stop_payment_order restricted_card invalid_account new_account_information_available card_not_supported"
UNWISE += " currency_not_supported not_permitted service_not_allowed transaction_not_allowed security_violation"
UNWISE += " fraudulent merchant_blacklist testmode_decline"
SOFT = "insufficient_funds card_velocity_exceeded withdrawal_count_limit_exceeded call_issuer no_action_taken"
SOFT += " try_again_later approve_with_id invalid_amount"
DETAILS = "expired_card incorrect_cvc invalid_cvc invalid_expiry_month invalid_expiry_year incorrect_zip"
TECHNICAL = "processing_error issuer_not_available reenter_transaction"
DEAD = "account_closed no_account debit_not_authorized bank_account_restricted payment_intent_mandate_invalid"
DEAD += " payment_method_bank_account_blocked"
LIMIT = "charge_exceeds_source_limit charge_exceeds_transaction_limit"

CARD_TABLE = {
    DeclineClass.HARD: f"{NEVER} {UNWISE}",
    DeclineClass.PAYER_NEEDED: "authentication_required",
    DeclineClass.NEW_DETAILS: DETAILS,
    DeclineClass.SOFT: SOFT,
    DeclineClass.SOFT_TWICE: "do_not_honor generic_decline",
    DeclineClass.TECHNICAL: TECHNICAL,
    DeclineClass.DUPLICATE: "duplicate_transaction",
    DeclineClass.REFUSED: REFUSED_BY_PROCESSOR,
    DeclineClass.UNKNOWN: "card_declined unknown a_code_of_tomorrow",
}
CARD_CODES = st.sampled_from(" ".join(CARD_TABLE.values()).split())
ADVICE = st.sampled_from([None, "do_not_try_again", "try_again_later", "confirm_card_data", "an_advice_of_tomorrow"])
NETWORK_ADVICE = st.sampled_from([None, "01", "02", "03", "21", "24", "25", "30", "40", "41", "99"])


@pytest.mark.parametrize(("expected", "codes"), CARD_TABLE.items())
def test_the_code_of_a_card_decides_when_nobody_advises(expected: DeclineClass, codes: str) -> None:
    """Every code of the table; one that is not in it is unknown."""
    found = {code: classify(True, code, None, None) for code in codes.split()}

    assert set(found.values()) == {Verdict(expected)}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        *((code, Verdict(DeclineClass.SOFT)) for code in ("refer_to_customer", "insufficient_funds")),
        *((code, Verdict(DeclineClass.MANDATE_DEAD)) for code in DEAD.split()),
        *((code, Verdict(DeclineClass.ACCOUNT_LIMIT, timedelta(days=7))) for code in LIMIT.split()),
        *((code, Verdict(DeclineClass.REFUSED)) for code in ("deceased", "processing_error", REFUSED_BY_PROCESSOR)),
    ],
)
def test_a_bank_return_is_judged_by_its_code_alone(code: str, expected: Verdict) -> None:
    """A return that nobody has described stops everything until staff have looked."""
    assert classify(False, code, None, None) == expected
    assert classify(False, code, "try_again_later", "02") == expected


@pytest.mark.parametrize(
    ("code", "advice", "network", "expected"),
    [
        ("insufficient_funds", "do_not_try_again", None, DeclineClass.HARD),
        ("insufficient_funds", "confirm_card_data", "03", DeclineClass.NEW_DETAILS),
        ("insufficient_funds", "try_again_later", None, DeclineClass.SOFT),
        ("insufficient_funds", None, "03", DeclineClass.HARD),
        ("insufficient_funds", None, "21", DeclineClass.HARD),
        ("insufficient_funds", None, "40", DeclineClass.HARD),
        ("insufficient_funds", None, "41", DeclineClass.HARD),
        ("insufficient_funds", None, "01", DeclineClass.NEW_DETAILS),
        ("insufficient_funds", "try_again_later", "21", DeclineClass.HARD),
        ("generic_decline", "try_again_later", None, DeclineClass.SOFT_TWICE),
        ("processing_error", "try_again_later", None, DeclineClass.TECHNICAL),
        ("restricted_card", "try_again_later", None, DeclineClass.SOFT),
        ("a_code_of_tomorrow", "try_again_later", None, DeclineClass.SOFT),
        ("a_code_of_tomorrow", "do_not_try_again", None, DeclineClass.HARD),
        ("authentication_required", "try_again_later", None, DeclineClass.PAYER_NEEDED),
        ("duplicate_transaction", "try_again_later", None, DeclineClass.DUPLICATE),
        ("expired_card", "an_advice_of_tomorrow", "99", DeclineClass.NEW_DETAILS),
    ],
)
def test_advice_goes_before_the_code(
    code: str, advice: str | None, network: str | None, expected: DeclineClass
) -> None:
    """The issuer's before the network's, the network's before the code; nobody's advice lifts a stop."""
    assert classify(True, code, advice, network).decline_class is expected


@pytest.mark.parametrize(
    ("network", "hours"),
    [("02", 72), ("24", 1), ("25", 24), ("26", 48), ("27", 96), ("28", 144), ("29", 192), ("30", 240)],
)
def test_the_network_says_how_long_to_wait(network: str, hours: int) -> None:
    """Also for a code that nobody has described, which is soft then."""
    wait = timedelta(hours=hours)

    assert classify(True, "insufficient_funds", "try_again_later", network) == Verdict(DeclineClass.SOFT, wait)
    assert classify(True, "a_code_of_tomorrow", None, network) == Verdict(DeclineClass.SOFT, wait)
    assert classify(True, "lost_card", "try_again_later", network) == Verdict(DeclineClass.HARD)


@given(st.sampled_from(NEVER.split()), ADVICE, NETWORK_ADVICE)
def test_what_is_refused_for_good_is_never_tried_again(code: str, advice: str | None, network: str | None) -> None:
    """Whatever issuer and network advise: one attempt is all."""
    assert classify(True, code, advice, network).decline_class.most_attempts == 1


@given(CARD_CODES, ADVICE, st.sampled_from(["03", "21", "40", "41"]))
def test_a_stop_of_the_network_is_never_overruled(code: str, advice: str | None, network: str) -> None:
    """The networks charge for every such try."""
    assert classify(True, code, advice, network).decline_class.most_attempts == 1


@given(st.booleans(), CARD_CODES | st.text(max_size=20), ADVICE, NETWORK_ADVICE)
def test_every_refusal_has_a_meaning(is_card: bool, code: str, advice: str | None, network: str | None) -> None:
    """And a wait only where there is something to wait for."""
    verdict = classify(is_card, code, advice, network)

    assert verdict.wait is None or (verdict.wait > timedelta() and verdict.decline_class.most_attempts != 1)


@pytest.mark.parametrize(
    "code", ["lost_card", "stolen_card", "pickup_card", "fraudulent", "merchant_blacklist", "highest_risk_level"]
)
def test_a_thief_learns_nothing(code: str) -> None:
    """A card that is known to be lost reads like any card that was declined."""
    assert payer_text(code) == payer_text("generic_decline") == payer_text("do_not_honor")


@given(CARD_CODES | st.sampled_from(f"{DEAD} {LIMIT} refer_to_customer".split()) | st.text(max_size=20))
def test_the_payer_reads_one_sentence_without_a_code(code: str) -> None:
    """With the next step, and without a word about loss, theft or fraud."""
    text = payer_text(code)

    assert text.endswith(".")
    assert text.count(".") == 1
    assert ": " in text
    assert not any(word in text.lower() for word in ("lost", "stolen", "fraud", "risk", "block", "_"))
    assert "link" not in text, "It stands on the page to which the link has led."


def test_the_payer_is_not_blamed_for_limits_of_the_practice() -> None:
    """The text asks nothing of the payer, staff are told at once, and no reminder is owed."""
    verdict = classify(False, "charge_exceeds_source_limit", None, None)

    assert "you need not do anything" in payer_text("charge_exceeds_source_limit")
    assert verdict.decline_class.asks_staff
    assert not verdict.decline_class.blames_payer


def test_staff_are_asked_when_only_they_can_help() -> None:
    """Refusals by the processor, unclear doubles and our own limits; everything else is between payer and bank."""
    asked = {decline_class for decline_class in DeclineClass if decline_class.asks_staff}

    assert asked == {DeclineClass.REFUSED, DeclineClass.DUPLICATE, DeclineClass.ACCOUNT_LIMIT}
