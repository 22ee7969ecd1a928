"""The families of errors: what a caller does about each is decided by its class."""

from __future__ import annotations

import pytest

from connector import errors
from connector.database.engine import DatabaseUnavailable

EDGE = (
    errors.NotSent,
    errors.OutcomeUnknown,
    errors.Rejected,
    errors.AccessDenied,
    errors.RateLimited,
    errors.UnexpectedResponse,
    errors.Unsupported,
)


@pytest.mark.parametrize("kind", EDGE)
def test_each_answer_of_an_outside_system_is_a_class_of_its_own(kind: type[errors.EdgeError]) -> None:
    """Were one the subclass of another, 'send again' could be taken for 'look first'."""
    assert kind.__bases__ == (errors.EdgeError,)


@pytest.mark.parametrize("kind", [errors.DomainError, errors.InvariantBroken, errors.EdgeError, DatabaseUnavailable])
def test_refusal_alarm_and_trouble_outside_are_never_mixed_up(kind: type[Exception]) -> None:
    """Each family stands directly below the root."""
    assert kind.__bases__ == (errors.ConnectorError,)


def test_every_error_says_what_it_means() -> None:
    """A class without a sentence would be used for anything."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]

    assert set(EDGE) < set(kinds)
    assert all(kind.__doc__ and kind.__doc__.endswith(".") for kind in kinds)
