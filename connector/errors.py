"""Every error of the product, grouped by what the caller does about it.

A message is one clear sentence with the next step and names things by id, never by personal data.
Errors of vendors and libraries are translated at the edge and do not travel further.
"""

from datetime import date


class ConnectorError(Exception):
    """Root of all errors that the product raises on purpose."""


class DomainError(ConnectorError):
    """A refusal that is expected and shown to the person as it is (exit code 1)."""


class InvariantBroken(ConnectorError):
    """Something that must never happen was seen: stop this work and tell a person."""


class EdgeError(ConnectorError):
    """A call to an outside system did not end well; the subclass says what may have happened there."""


class NotSent(EdgeError):
    """The request never reached the other side (refused, DNS, TLS, busy pool): safe to try again later."""


class OutcomeUnknown(EdgeError):
    """The request may have been carried out. Look before doing anything; never just send again."""


class Rejected(EdgeError):
    """The other side refused the request and changed nothing; a person or a program change is needed."""


class PeriodClosed(Rejected):
    """The day's books are closed over there: nothing was changed; it can be entered on `open_from` or later."""

    def __init__(self, message: str, open_from: date) -> None:
        super().__init__(message)
        self.open_from = open_from


class AccessDenied(EdgeError):
    """Credentials or permissions are missing: nothing was changed, and nothing more is sent until that is mended."""


class RateLimited(EdgeError):
    """A read was refused because of too many requests; try again after a pause."""

    def __init__(self, sentence: str, retry_after: float = 0.0) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after
        """Seconds for which the other side wants to be left alone; 0 when it does not say."""


class UnexpectedResponse(EdgeError):
    """A read was answered in a form that the adapter does not understand."""


class Unsupported(EdgeError):
    """The adapter's manifest does not declare this capability."""
