"""One configured Stripe client, and the translation of its errors into ours.

Stripe stores the first answer for an idempotency key, so its own retries with the same key are safe; the library's
default of none is raised to two. A 429 is not retried by the library: it was not carried out, so it is sent again
after a pause, some times, and then comes out as RateLimited.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any, ClassVar

import httpx
import stripe
from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_random_exponential
from tenacity.wait import wait_base

from connector.errors import (
    AccessDenied,
    EdgeError,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    UnexpectedResponse,
)
from connector.failpoints import outside_call
from connector.settings import STRIPE_API, StripeSettings

API_VERSION = "2026-10-28.endive"
RETRIES = 2
THROTTLED_SENDS = 7
"""A request is sent so often while Stripe says that there are too many: over about ten seconds."""

TOO_MANY = 429
_WORD = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)
_MISREAD = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError)
"""What reading an object raises that is not as Stripe describes it."""


class Declined(Rejected):
    """The card was refused: no money moved, and `error` tells why."""

    def __init__(self, text: str, error: stripe.CardError) -> None:
        super().__init__(text)
        self.error = error


class MeteredClient(stripe.HTTPXClient):
    """The connections to Stripe, with bounded waits; whoever opens them closes them.

    Counts what is read, repeats included: Stripe allots an account 500 reads per payment in thirty days, and 10,000 a
    month at the least (Stripe: rate limits, API read request allocations).
    """

    pause: ClassVar[wait_base] = wait_random_exponential(multiplier=0.5, max=8)
    """Seconds, by how often it was too many: with full jitter, so that workers do not come back together."""

    def __init__(self, settings: StripeSettings) -> None:
        super().__init__(allow_sync_methods=True, timeout=settings.timeout_seconds)
        self._lock = Lock()
        self.reads = 0

    def request(self, method: str, url: str, headers: Any, post_data: Any = None, **options: Any) -> Any:
        retrying = Retrying(
            retry=retry_if_result(_is_throttled),
            wait=self.pause,
            stop=stop_after_attempt(THROTTLED_SENDS),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        return retrying(self._send, method, url, headers, post_data, **options)

    def _send(self, method: str, url: str, headers: Any, post_data: Any, **options: Any) -> Any:
        if method == "get":
            with self._lock:
                self.reads += 1
        with outside_call(reads=method == "get"):
            return super().request(method, url, headers, post_data, **options)


def _is_throttled(answer: tuple[bytes, int, Mapping[str, str]]) -> bool:
    return answer[1] == TOO_MANY


def build_client(settings: StripeSettings, http: stripe.HTTPXClient) -> stripe.StripeClient:
    """A client with pinned API version and no telemetry; every call is on behalf of the account of the settings."""
    stripe.enable_telemetry = False
    base = {"api": settings.api_base} if settings.api_base != STRIPE_API else {}
    return stripe.StripeClient(
        settings.secret_key.get_secret_value(),
        stripe_account=settings.account or None,
        stripe_version=API_VERSION,
        max_network_retries=RETRIES,
        base_addresses=base,  # type: ignore[arg-type]
        http_client=http,
    )


@contextmanager
def translated(action: str, *, writes: bool = False) -> Iterator[None]:
    """Raise our error class for whatever Stripe's library raises.

    The answer is read inside the block as well: one of unexpected shape is UnexpectedResponse, and OutcomeUnknown
    after a call that `writes`, because it may have been carried out.
    """
    try:
        yield
    except stripe.StripeError as error:
        raise translate(action, error) from None
    except UnexpectedResponse as error:
        raise (OutcomeUnknown(str(error)) if writes else error) from None
    except _MISREAD as error:
        text = f"Stripe's answer cannot be read ({type(error).__name__}) to: {action}."
        raise (OutcomeUnknown(text) if writes else UnexpectedResponse(text)) from None


def translate(action: str, error: stripe.StripeError) -> EdgeError:
    """Our error for one of Stripe's. Texts name the action and the request id, which support can look up."""
    status = error.http_status
    details = getattr(error, "error", None)
    code, request = word(error.code or getattr(details, "code", None)), word(error.request_id)
    where = f"Stripe refused to {action} (status {status}, code {code}, request {request})"
    if isinstance(error, stripe.CardError):
        return Declined(f"{where}: ask for another payment method.", error)
    if isinstance(error, (stripe.AuthenticationError, stripe.PermissionError)):
        return AccessDenied(f"{where}: check the Stripe key and its permissions.")
    if isinstance(error, stripe.RateLimitError) or status == TOO_MANY:
        return RateLimited(f"{where}: there were too many requests; it is asked again later.")
    if isinstance(error, stripe.IdempotencyError):
        return Rejected(f"{where}: the same key was sent with other details; a person must look at this item.")
    if isinstance(error, stripe.InvalidRequestError):
        return Rejected(f"{where}: a person must look at this item.")
    if isinstance(error.__cause__, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        return NotSent(f"Stripe could not be reached to {action}: check the internet connection.")
    return OutcomeUnknown(
        f"Stripe gave no clear answer to: {action} (status {status}). It is asked again with the same key."
    )


def word(value: object) -> str:
    """A code or an id from an answer as a part of our sentence; 'none' when it is something else."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else "none"
