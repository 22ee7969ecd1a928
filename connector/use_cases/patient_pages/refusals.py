"""What a payer is told when something is refused: never an id, a command, or a sentence that was written for staff."""

from __future__ import annotations

from connector.errors import DomainError

PAUSED = "The practice takes no payments here just now, and nothing was taken: please try again later, or ask them."
NOT_NOW = "This cannot be done just now, and nothing was taken: please try again, or ask the practice."
NO_METHOD = "There is no card or bank account on file: please give one."
NO_CARD = "There is no card on file any more: please give one."


class PayerRefusal(DomainError):
    """A refusal in words for the payer."""


def payer_words(refusal: DomainError, *, is_active: bool) -> str:
    """The refusal as the payer reads it; `is_active` says whether the location takes payments.

    Whatever was not written for payers may name ids and commands, so it is replaced as a whole.
    """
    if isinstance(refusal, PayerRefusal):
        return str(refusal)
    return NOT_NOW if is_active else PAUSED
