"""One piece of work that fails keeps none of the others; what all of them would meet is raised on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError

import pytest
from structlog.testing import capture_logs

from connector import errors
from connector.database.engine import DatabaseUnavailable
from connector.use_cases.containment import attempted

FAILURE = "The event evt_1 cannot be acted on"


def raising(error: Exception) -> Callable[[], object]:
    """Work that ends like that."""

    def work() -> object:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (errors.DomainError("Choose another tier."), "Choose another tier."),
        (errors.UnexpectedResponse("No amount."), f"{FAILURE}. No amount."),
        (errors.Rejected("No such refund."), f"{FAILURE}. No such refund."),
        (errors.InvariantBroken("Paid twice."), f"{FAILURE}. Paid twice."),
        (KeyError("Ada Ferris"), f"{FAILURE} (KeyError): see the log."),
        (TypeError("Ada Ferris"), f"{FAILURE} (TypeError): see the log."),
    ],
)
def test_what_is_wrong_with_one_alone_is_told_in_a_sentence(error: Exception, sentence: str) -> None:
    """It quotes only errors whose words are ours; the others are found in the log, by the id of what failed."""
    told: list[str] = []

    with capture_logs() as logged:
        assert not attempted(raising(error), told.append, FAILURE, event_id="evt_1")

    assert told == [sentence]
    unforeseen = not isinstance(error, errors.ConnectorError)
    assert [(entry["event"], entry["event_id"]) for entry in logged] == [("work.failed", "evt_1")] * unforeseen


@pytest.mark.parametrize(
    "error",
    [
        DatabaseUnavailable("The disk is full."),
        CancelledError(),
        errors.NotSent("Nobody listens."),
        errors.AccessDenied("The key is wrong."),
        errors.RateLimited("Too many."),
        errors.OutcomeUnknown("No answer."),
    ],
)
def test_what_the_others_would_meet_too_is_raised(error: Exception) -> None:
    """Nothing is told by it: the caller decides what that means."""
    told: list[str] = []

    with pytest.raises(type(error)):
        attempted(raising(error), told.append, FAILURE)

    assert told == []


def test_what_ends_well_tells_nothing() -> None:
    """And its caller knows."""
    told: list[str] = []

    assert attempted(lambda: None, told.append, FAILURE)
    assert told == []
