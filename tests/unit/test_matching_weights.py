"""What agreement is worth."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.matching.comparison import LEVELS, Comparison, Field, Level
from connector.matching.weights import DEFAULT_WEIGHTS, Estimate, probability, weigh


def comparisons() -> st.SearchStrategy[Comparison]:
    """Any combination of levels."""
    return st.builds(
        Comparison, **{field.value: st.sampled_from([Level.MISSING, *levels]) for field, levels in LEVELS.items()}
    )


@given(comparisons(), st.sampled_from(list(Field)), st.data())
def test_more_agreement_never_lowers_the_log_odds(comparison: Comparison, field: Field, data: st.DataObject) -> None:
    """A better level of any field, all else equal, can only raise the evidence."""
    worse, better = sorted(
        data.draw(st.lists(st.sampled_from(LEVELS[field]), min_size=2, max_size=2)), key=LEVELS[field].index
    )[::-1]

    low = weigh(replace(comparison, **{field.value: worse}), DEFAULT_WEIGHTS)
    high = weigh(replace(comparison, **{field.value: better}), DEFAULT_WEIGHTS)

    assert high.log_odds >= low.log_odds
    assert high.probability >= low.probability


@given(comparisons(), st.sampled_from(list(Field)))
def test_filling_in_what_agrees_never_lowers_the_log_odds(comparison: Comparison, field: Field) -> None:
    """An exact agreement is worth more than an unknown value, a disagreement less."""
    unknown = weigh(replace(comparison, **{field.value: Level.MISSING}), DEFAULT_WEIGHTS)
    agreeing = weigh(replace(comparison, **{field.value: LEVELS[field][0]}), DEFAULT_WEIGHTS)
    differing = weigh(replace(comparison, **{field.value: Level.DIFFERENT}), DEFAULT_WEIGHTS)

    assert differing.log_odds < unknown.log_odds < agreeing.log_odds


@given(comparisons())
def test_the_sum_explains_itself(comparison: Comparison) -> None:
    """Prior and bits per field add up to the log-odds; a missing field brings nothing."""
    score = weigh(comparison, DEFAULT_WEIGHTS)

    assert score.log_odds == pytest.approx(DEFAULT_WEIGHTS.prior + sum(score.bits.values()))
    assert all(score.bits[field] == 0 for field, level in comparison.items() if level is Level.MISSING)


def test_a_household_and_its_name_never_outvote_first_name_and_birth_date() -> None:
    """The relative of an absent member stays unlikely, whatever the two share."""
    relative = Comparison(
        given=Level.DIFFERENT,
        family=Level.EXACT,
        middle=Level.MISSING,
        suffix=Level.MISSING,
        birth_date=Level.DIFFERENT,
        household=Level.SEVERAL_CONTACTS,
    )

    assert weigh(relative, DEFAULT_WEIGHTS).probability < DEFAULT_WEIGHTS.review_probability


def test_estimates_are_probabilities() -> None:
    """For one field they cannot add up to more than one, of the same person or of different ones."""
    for estimates in DEFAULT_WEIGHTS.estimates.values():
        assert sum(estimate.m for estimate in estimates.values()) == pytest.approx(1, abs=0.06)
        assert sum(estimate.u for estimate in estimates.values()) == pytest.approx(1, abs=0.06)


def test_weights_that_reward_disagreement_are_refused() -> None:
    """Broken data is found when it is loaded, not when money goes astray."""
    suffix = {Level.EXACT: Estimate(0.1, 0.9), Level.DIFFERENT: Estimate(0.9, 0.1)}

    with pytest.raises(ValueError, match="suffix must not rise"):
        replace(DEFAULT_WEIGHTS, estimates={**DEFAULT_WEIGHTS.estimates, Field.SUFFIX: suffix})


def test_weights_without_a_level_are_refused() -> None:
    """A level that nobody estimated would fail in the middle of a batch."""
    with pytest.raises(ValueError, match="suffix need exactly these levels: exact, different"):
        replace(
            DEFAULT_WEIGHTS, estimates={**DEFAULT_WEIGHTS.estimates, Field.SUFFIX: {Level.EXACT: Estimate(0.9, 0.1)}}
        )


@pytest.mark.parametrize(("log_odds", "expected"), [(0.0, 0.5), (-1.0, 1 / 3), (10.0, 1024 / 1025), (100.0, 1.0)])
def test_log_odds_turn_into_a_probability(log_odds: float, expected: float) -> None:
    """Bits to probability, which rounds to 1 where log-odds still tell candidates apart."""
    assert probability(log_odds) == pytest.approx(expected)


def test_a_larger_practice_asks_for_more_evidence() -> None:
    """Ten times the patients lower the prior by log2(10) bits."""
    larger = replace(DEFAULT_WEIGHTS, patients=DEFAULT_WEIGHTS.patients * 10)

    assert DEFAULT_WEIGHTS.prior - larger.prior == pytest.approx(3.32, abs=0.01)
