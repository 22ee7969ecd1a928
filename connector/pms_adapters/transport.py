"""The one place where adapters use HTTP: one total deadline per call, and every outcome in one of our error classes.

What a failure says about a write (httpx 0.28, observed against servers built to misbehave):
nothing was connected -> NotSent; a clear refusal -> Rejected or AccessDenied; anything else -> OutcomeUnknown.
A write is sent once. Connections are never kept: a server that closes an idle connection just as the next request goes
out leaves a write in doubt, and a fresh connection costs a fraction of a millisecond on a LAN and one handshake on TLS.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from email.utils import parsedate_to_datetime

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from connector.errors import AccessDenied, EdgeError, NotSent, OutcomeUnknown, RateLimited, Rejected, UnexpectedResponse
from connector.failpoints import outside_call
from connector.pms_adapters.pace import Deadline, Pace
from connector.pms_adapters.watchdog import Watchdog

CONNECT_SECONDS = 10.0
MAX_BODY_BYTES = 20_000_000
READ_ATTEMPTS = 3

# The request log of these libraries holds whole URLs and headers, so patients' names and keys.
for _library in ("httpx", "httpcore"):
    logging.getLogger(_library).setLevel(logging.WARNING)

_HEADERS = {
    "User-Agent": "smilepass-connector",
    "Accept": "*/*",
    # A compressed answer could grow beyond every limit, so none is asked for and none is unpacked.
    "Accept-Encoding": "identity",
    "Connection": "close",
}
_NEVER_CONNECTED = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)
_WORTH_ANOTHER_READ = (NotSent, OutcomeUnknown, RateLimited)
_REFUSED = frozenset({400, 404, 405, 410, 422})
_TOO_BUSY = frozenset({429, 503})
_BACK_OFF = wait_random_exponential(multiplier=0.2, max=2)
_NO_CLEAR_ANSWER = frozenset({408, 425})


class NotFound(Rejected):
    """The other side has no such row or resource (404)."""


def plain_refusal(body: str) -> bool:
    """Every 400 is a refusal: right for systems that are called without a relay in between."""
    del body
    return True


class HttpTransport:
    """JSON over HTTP to one practice system. Safe to use from several threads.

    `resource` is a fixed label such as 'payments' for error texts; ids, query and body never appear in them.
    Numbers with a fraction arrive as Decimal. `is_refusal` tells from the body of a 400 whether it is a refusal.
    `network` stands in for the real one in simulations.
    """

    def __init__(
        self,
        system: str,
        base_url: str,
        headers: Mapping[str, str],
        *,
        pace: Pace | None = None,
        is_refusal: Callable[[str], bool] = plain_refusal,
        max_body_bytes: int = MAX_BODY_BYTES,
        sleep: Callable[[float], None] = time.sleep,
        network: httpx.BaseTransport | None = None,
    ) -> None:
        self._system = system
        self._base_url = base_url.rstrip("/")
        self._pace = pace or Pace(sleep=sleep)
        self._is_refusal = is_refusal
        self._max_body_bytes = max_body_bytes
        self._sleep = sleep
        self._headers = {**_HEADERS, **headers}
        # The layer below the library's client: no redirects, cookies or proxies that would have to be switched off.
        self._http = network or httpx.HTTPTransport(limits=httpx.Limits(max_keepalive_connections=0), trust_env=False)
        self._watchdog = Watchdog()

    def close(self) -> None:
        """Give up the connections."""
        self._http.close()

    def read(self, resource: str, path: str, params: Mapping[str, str | int], deadline: Deadline) -> object:
        """GET a JSON value, with a few attempts inside the deadline. Raises what the port allows to reads."""
        attempts = Retrying(
            stop=lambda state: state.attempt_number >= READ_ATTEMPTS or state.upcoming_sleep >= deadline.remaining(),
            wait=self._before_another_read,
            retry=retry_if_exception_type(_WORTH_ANOTHER_READ),
            sleep=self._sleep,
            reraise=True,
        )
        return attempts(self._read_once, resource, path, params, deadline)

    def _before_another_read(self, state: RetryCallState) -> float:
        """Seconds to wait: as long as the other side asks for, and never without a pause."""
        return max(_BACK_OFF(state), self._pace.remaining())

    def write(self, method: str, resource: str, path: str, body: object, deadline: Deadline) -> object:
        """Send one JSON request, exactly once; None when the answer has no body.

        Raises NotSent, Rejected or AccessDenied when certainly nothing was changed, else OutcomeUnknown.
        """
        what = f"{method} {resource}"
        content = json.dumps(body).encode()
        try:
            status, answer = self._exchange(what, method, path, {}, content, deadline)
        except _TooLargeError:
            raise OutcomeUnknown(
                f"{self._system} answered {what} with too much data: look before repeating it."
            ) from None
        if failure := self._write_failure(what, status, answer):
            raise failure
        if not answer.strip():
            return None
        try:
            return decode_json(answer)
        except ValueError:
            raise OutcomeUnknown(
                f"{self._system} answered {what} with {status} but no JSON: look before repeating it."
            ) from None

    def _read_once(self, resource: str, path: str, params: Mapping[str, str | int], deadline: Deadline) -> object:
        what = f"GET {resource}"
        try:
            status, answer = self._exchange(what, "GET", path, params, None, deadline)
        except _TooLargeError:
            raise UnexpectedResponse(f"{self._system} answered {what} with more data than the limit allows.") from None
        if failure := self._read_failure(what, status, answer):
            raise failure
        try:
            return decode_json(answer)
        except ValueError:
            raise UnexpectedResponse(
                f"{self._system} answered {what} with {status} but no JSON: check the address."
            ) from None

    def _exchange(
        self,
        what: str,
        method: str,
        path: str,
        params: Mapping[str, str | int],
        content: bytes | None,
        deadline: Deadline,
    ) -> tuple[int, bytes]:
        self._pace.wait(deadline)
        try:
            with outside_call(reads=method == "GET"):
                # Asked last: a process that stood still until here may have lost its claim meanwhile.
                remaining = deadline.remaining()
                if remaining <= 0:
                    raise NotSent(
                        f"{what} was not sent to {self._system}, because its time was used up: try again later."
                    )
                return self._send(method, path, params, content, remaining)
        except (*_NEVER_CONNECTED, httpx.InvalidURL) as error:
            text = (
                f"{what} was not sent: {self._system} could not be reached ({type(error).__name__}). Check its address."
            )
            raise NotSent(text) from None
        except httpx.HTTPError as error:
            raise OutcomeUnknown(
                f"{self._system} gave no complete answer to {what} ({type(error).__name__}): it may have happened."
            ) from None

    def _send(
        self, method: str, path: str, params: Mapping[str, str | int], content: bytes | None, remaining: float
    ) -> tuple[int, bytes]:
        # TCP and TLS take one connect timeout each, so a third leaves time for the answer itself.
        connect = min(CONNECT_SECONDS, remaining / 3)
        timeout = httpx.Timeout(remaining, connect=connect, pool=connect)
        with self._watchdog.over(remaining) as watch:
            request = httpx.Request(
                method,
                f"{self._base_url}/{path}",
                params=dict(params) or None,
                headers=self._headers,
                content=content,
                extensions={"timeout": timeout.as_dict(), "trace": watch.trace},
            )
            response = self._http.handle_request(request)
            try:
                body = self._body(response)
            finally:
                response.close()
            watch.check()
            if response.status_code in _TOO_BUSY:
                self._pace.hold_off(_asked_pause(response.headers))
            return response.status_code, body

    def _body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > self._max_body_bytes:
                raise _TooLargeError
        return bytes(body)

    def _write_failure(self, what: str, status: int, body: bytes) -> EdgeError | None:
        said = f"{self._system} answered {what} with {status}"
        if 200 <= status < 300:
            return None
        if status in (401, 403):
            return AccessDenied(f"{said}: check the keys and permissions. Nothing was changed.")
        if status in _REFUSED and (status != 400 or self._is_refusal(_text(body))):
            kind = NotFound if status == 404 else Rejected
            return kind(f"{said}: it was refused and nothing was changed. A person must look at it.")
        return OutcomeUnknown(f"{said}: it may have been carried out. Look before repeating it.")

    def _read_failure(self, what: str, status: int, body: bytes) -> EdgeError | None:
        said = f"{self._system} answered {what} with {status}"
        if 200 <= status < 300:
            return None
        if status in (401, 403):
            return AccessDenied(f"{said}: check the keys and permissions.")
        if status in _TOO_BUSY:
            text = f"{said}: there were too many requests. Try again after a pause."
            return RateLimited(text, self._pace.remaining())
        if status >= 500 or status in _NO_CLEAR_ANSWER or (status == 400 and not self._is_refusal(_text(body))):
            return OutcomeUnknown(f"{said}, which is no clear answer: try again later.")
        if status < 400:
            return UnexpectedResponse(f"{said}, a redirect that is not followed: check the address.")
        return (NotFound if status == 404 else Rejected)(f"{said}: the request was refused.")


def decode_json(body: bytes) -> object:
    """Parse JSON; fractions become Decimal. Raises ValueError, also for NaN, infinities and wrong encodings."""
    try:
        value: object = json.loads(body.decode("utf-8-sig"), parse_float=Decimal, parse_constant=_no_constant)
    except (RecursionError, ArithmeticError):
        raise ValueError("The JSON is nested too deeply, or has a number that nobody can mean.") from None
    return value


def _asked_pause(headers: Mapping[str, str]) -> float:
    """Seconds for which the other side wants no request, by its own clock; 0 when it does not say."""
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked)
    try:
        return (parsedate_to_datetime(asked) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
    except (TypeError, ValueError):
        return 0.0


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON.")


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


class _TooLargeError(Exception):
    """The body is larger than the limit."""
