"""One POST to an SMS provider, sent once, and what each way of failing says about the text.

Nothing was connected: NotSent. A clear refusal: Rejected, AccessDenied or RateLimited. Anything else: OutcomeUnknown,
because no provider makes a repeated request safe.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping

import httpx

from connector.errors import AccessDenied, EdgeError, NotSent, OutcomeUnknown, RateLimited, Rejected
from connector.settings import SmsSettings

MAX_ANSWER_BYTES = 100_000

_ID = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_NEVER_CONNECTED = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.InvalidURL,
)
_REFUSED = frozenset({400, 404, 405, 410, 413, 415, 422})


class SmsGateway:
    """The connection to one provider. Safe to use from several threads."""

    def __init__(self, provider: str, api_base: str, settings: SmsSettings) -> None:
        self.provider = provider
        self._seconds = settings.timeout_seconds
        self._http = httpx.Client(
            base_url=settings.api_base or api_base,
            auth=httpx.BasicAuth(settings.user, settings.secret.get_secret_value()),
            timeout=httpx.Timeout(self._seconds, connect=min(10.0, self._seconds)),
            follow_redirects=False,
            trust_env=False,
            # A kept connection may be closed just as the next text goes out, which would leave that in doubt.
            limits=httpx.Limits(max_keepalive_connections=0),
            headers={"User-Agent": "smilepass-connector", "Accept": "application/json", "Accept-Encoding": "identity"},
        )

    def post_form(self, path: str, form: Mapping[str, str]) -> dict[str, object]:
        """Send a form; the answer's JSON object."""
        return self._post(self._http.build_request("POST", path, data=form))

    def post_json(self, path: str, body: Mapping[str, object]) -> dict[str, object]:
        """Send a JSON object; the answer's JSON object."""
        return self._post(self._http.build_request("POST", path, json=body))

    def unreadable(self) -> OutcomeUnknown:
        """For an answer of success that does not have the expected form."""
        return OutcomeUnknown(f"{self.provider} gave an answer that cannot be read: the SMS may have been sent.")

    def id_in(self, answer: Mapping[str, object], name: str) -> str:
        """The message's id. Raises OutcomeUnknown when there is none."""
        value = answer.get(name)
        if isinstance(value, str) and _ID.fullmatch(value):
            return value
        raise self.unreadable()

    def only(self, value: object) -> dict[str, object]:
        """The one object of a list of messages. Raises OutcomeUnknown when it is something else."""
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
            return value[0]
        raise self.unreadable()

    def _post(self, request: httpx.Request) -> dict[str, object]:
        try:
            status, body = self._exchange(request)
        except _NEVER_CONNECTED as error:
            raise NotSent(
                f"The SMS was not sent: {self.provider} could not be reached ({type(error).__name__}). "
                "Check the internet connection."
            ) from None
        except httpx.HTTPError as error:
            raise OutcomeUnknown(
                f"{self.provider} gave no complete answer ({type(error).__name__}): the SMS may have been sent."
            ) from None
        if failure := self._failure(status, body):
            raise failure
        answer = _object(body)
        if answer is None:
            raise self.unreadable()
        return answer

    def _exchange(self, request: httpx.Request) -> tuple[int, bytes]:
        """Status and body. The library's timeout starts anew with each piece, so the whole is bounded here."""
        ends = time.monotonic() + self._seconds
        body = bytearray()
        response = self._http.send(request, stream=True)
        try:
            for piece in response.iter_raw():
                body += piece
                if len(body) > MAX_ANSWER_BYTES or time.monotonic() > ends:
                    raise httpx.ReadError("The answer takes too long, or is too long.")
        finally:
            response.close()
        return response.status_code, bytes(body)

    def _failure(self, status: int, body: bytes) -> EdgeError | None:
        if 200 <= status < 300:
            return None
        said = f"{self.provider} answered with {status}{_code(body)}"
        if status in (401, 402, 403):
            return AccessDenied(f"{said}: the SMS was not sent. Check the keys, permissions and credit of the account.")
        if status == 429:
            return RateLimited(f"{said}: the SMS was not sent, because there were too many. Try again after a pause.")
        if status in _REFUSED:
            return Rejected(f"{said}: the SMS was refused and not sent. Check the number and sms.sender.")
        return OutcomeUnknown(f"{said}, which is no clear answer: the SMS may have been sent.")


def _object(body: bytes) -> dict[str, object] | None:
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _code(body: bytes) -> str:
    """The provider's own error number, which its support understands; never its text, which may quote the number."""
    code = (_object(body) or {}).get("code")
    return f" (code {code})" if isinstance(code, int) and 0 < code < 100_000 else ""
