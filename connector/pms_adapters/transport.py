"""The one place where adapters use HTTP: one total deadline per call, and every outcome in one of our error classes.

What a failure says about a write (httpx 0.28, observed against servers built to misbehave):
nothing was connected -> NotSent; a clear refusal -> Rejected or AccessDenied; anything else -> OutcomeUnknown.
A write is sent once. Connections are never kept: a server that closes an idle connection just as the next request goes
out leaves a write in doubt, and a fresh connection costs a fraction of a millisecond on a LAN and one handshake on TLS.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from types import TracebackType
from typing import Protocol, Self, cast

import httpx
from tenacity import Retrying, retry_if_exception_type, wait_random_exponential

from connector.errors import AccessDenied, EdgeError, NotSent, OutcomeUnknown, RateLimited, Rejected, UnexpectedResponse

CONNECT_SECONDS = 10.0
MAX_BODY_BYTES = 20_000_000
READ_ATTEMPTS = 3

# The request log of these libraries holds whole URLs and headers, so patients' names and keys.
for _library in ("httpx", "httpcore"):
    logging.getLogger(_library).setLevel(logging.WARNING)

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
_NO_CLEAR_ANSWER = frozenset({408, 425})


class NotFound(Rejected):
    """The other side has no such row or resource (404)."""


class Deadline:
    """The moment until which one call of the port may last, in seconds from now."""

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._end = monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left; negative when it has passed."""
        return self._end - self._monotonic()


class Pace:
    """Spaces requests evenly for systems that allow so many per second. Safe to use from several threads."""

    def __init__(
        self,
        interval_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval = interval_seconds
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = monotonic()

    def wait(self, deadline: Deadline) -> None:
        """Sleep until it is this caller's turn. Raises NotSent at once when that would be after the deadline."""
        with self._lock:
            now = self._monotonic()
            turn = max(now, self._next)
            if turn - now >= deadline.remaining():
                raise NotSent("Nothing was sent, because earlier requests used up the rate limit: try again later.")
            self._next = turn + self._interval
        self._sleep(turn - now)


def plain_refusal(body: str) -> bool:
    """Every 400 is a refusal: right for systems that are called without a relay in between."""
    del body
    return True


class HttpTransport:
    """JSON over HTTP to one practice system. Safe to use from several threads.

    `resource` is a fixed label such as 'payments' for error texts; ids, query and body never appear in them.
    Numbers with a fraction arrive as Decimal. `is_refusal` tells from the body of a 400 whether it is a refusal.
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
    ) -> None:
        self._system = system
        self._base_url = base_url.rstrip("/")
        self._pace = pace
        self._is_refusal = is_refusal
        self._max_body_bytes = max_body_bytes
        self._sleep = sleep
        self._client = httpx.Client(
            # A compressed answer could grow beyond every limit, so none is asked for and none is unpacked.
            headers={**headers, "Accept-Encoding": "identity", "Connection": "close"},
            limits=httpx.Limits(max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
        )

    def close(self) -> None:
        """Give up the connections."""
        self._client.close()

    def read(self, resource: str, path: str, params: Mapping[str, str | int], deadline: Deadline) -> object:
        """GET a JSON value, with a few attempts inside the deadline. Raises what the port allows to reads."""
        attempts = Retrying(
            stop=lambda state: state.attempt_number >= READ_ATTEMPTS or state.upcoming_sleep >= deadline.remaining(),
            wait=wait_random_exponential(multiplier=0.2, max=2),
            retry=retry_if_exception_type(_WORTH_ANOTHER_READ),
            sleep=self._sleep,
            reraise=True,
        )
        return attempts(self._read_once, resource, path, params, deadline)

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
        if self._pace:
            self._pace.wait(deadline)
        remaining = deadline.remaining()
        if remaining <= 0:
            raise NotSent(f"{what} was not sent to {self._system}, because its time was used up: try again later.")
        # TCP and TLS take one connect timeout each, so a third leaves time for the answer itself.
        connect = min(CONNECT_SECONDS, remaining / 3)
        timeout = httpx.Timeout(remaining, connect=connect, pool=connect)
        try:
            with _Watchdog(remaining) as watchdog:
                request = self._client.build_request(
                    method,
                    f"{self._base_url}/{path}",
                    params=dict(params) or None,
                    content=content,
                    timeout=timeout,
                    extensions={"trace": watchdog.trace},
                )
                response = self._client.send(request, stream=True)
                try:
                    body = self._body(response)
                finally:
                    response.close()
                watchdog.check()
                return response.status_code, body
        except (*_NEVER_CONNECTED, httpx.InvalidURL) as error:
            text = (
                f"{what} was not sent: {self._system} could not be reached ({type(error).__name__}). Check its address."
            )
            raise NotSent(text) from None
        except httpx.HTTPError as error:
            raise OutcomeUnknown(
                f"{self._system} gave no complete answer to {what} ({type(error).__name__}): it may have happened."
            ) from None

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
            return RateLimited(f"{said}: there were too many requests. Try again after a pause.")
        if status >= 500 or status in _NO_CLEAR_ANSWER or (status == 400 and not self._is_refusal(_text(body))):
            return OutcomeUnknown(f"{said}, which is no clear answer: try again later.")
        if status < 400:
            return UnexpectedResponse(f"{said}, a redirect that is not followed: check the address.")
        return (NotFound if status == 404 else Rejected)(f"{said}: the request was refused.")


def decode_json(body: bytes) -> object:
    """Parse JSON; fractions become Decimal. Raises ValueError, also for NaN, infinities and wrong encodings."""
    try:
        value: object = json.loads(body.decode("utf-8-sig"), parse_float=Decimal, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("The JSON is nested too deeply.") from None
    return value


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON.")


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


class _TooLargeError(Exception):
    """The body is larger than the limit."""


class _NetworkStream(Protocol):
    """The part that is used here of what the library passes to trace functions."""

    def get_extra_info(self, info: str) -> socket.socket: ...

    def close(self) -> None: ...


class _Watchdog:
    """Breaks a request's connection when the deadline passes.

    The library's timeouts start anew with every received byte, so a server that drips its header could hold a call for
    ever. Only another thread can interrupt that wait; the connection is learned from the library's trace events.
    """

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._expired = False
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()

    def trace(self, event: str, info: Mapping[str, object]) -> None:
        """Take note of the connection as soon as it stands; refuse it when it came too late to send anything."""
        if event not in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            return
        stream = cast("_NetworkStream", info["return_value"])
        with self._lock:
            self._socket = stream.get_extra_info("socket")
            if self._expired:
                stream.close()
                raise httpx.ConnectTimeout("The deadline passed while connecting.")

    def check(self) -> None:
        """Raise when the deadline passed: a body that ends with its connection would look whole after the break."""
        if self._expired:
            raise httpx.ReadTimeout("The deadline passed while reading.")

    def _expire(self) -> None:
        with self._lock:
            self._expired = True
            if self._socket is not None:
                # Plain shutdown, below TLS, wakes the thread that waits for this socket; it may be closed already.
                with suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
