"""Idempotency keys: the first result of a key is kept, whatever it was, and given again for the next 24 hours."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from connector.sandbox.stripe.errors import ApiError, Document, invalid
from connector.sandbox.stripe.params import Params
from connector.sandbox.stripe.store import Store

KEPT_SECONDS = 24 * 3600
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """A result that is given again: HTTP status, body as it was sent, and the id of the request that made it."""

    status: int
    body: str
    request: str


class Keys:
    """The keys of one account, and which of them are being worked on right now."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._in_flight: set[str] = set()

    def begin(self, key: str, fingerprint: str, now: int) -> StoredAnswer | None:
        """Claim a key, or return the answer it already has.

        Raises ApiError: 409 while another request holds the key, 400 when it was used for something else.
        """
        if len(key) > _LONGEST:
            raise invalid(f"Idempotency keys have at most {_LONGEST} characters.")
        if key in self._in_flight:
            message = "Another request with this idempotency key is still being carried out. Try again later."
            raise ApiError(409, message, kind="idempotency_error", code="idempotency_key_in_use")
        row = self._store.connection.execute(
            "SELECT fingerprint, status, body, request FROM answer WHERE key = ? AND created > ?",
            (key, now - KEPT_SECONDS),
        ).fetchone()
        if row is None:
            self._in_flight.add(key)
            return None
        if row[0] != fingerprint:
            message = f"Keys for idempotent requests can only be used for the same endpoint and parameters ({key})."
            raise ApiError(400, message, kind="idempotency_error")
        return StoredAnswer(row[1], row[2], row[3])

    def keep(self, key: str, fingerprint: str, answer: StoredAnswer, now: int) -> None:
        """Store the result; to be called inside the transaction that made it."""
        self._store.connection.execute(
            "INSERT OR REPLACE INTO answer (key, fingerprint, status, body, request, created)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (key, fingerprint, answer.status, answer.body, answer.request, now),
        )

    def release(self, key: str) -> None:
        """The answer has left: others may use the key again."""
        self._in_flight.discard(key)


def fingerprint(method: str, path: str, form: Params) -> str:
    """What must be equal for two requests to be the same one."""
    return hashlib.sha256(json.dumps([method, path, form], sort_keys=True).encode()).hexdigest()


def error_document(refusal: ApiError) -> Document:
    """The body of a refusal."""
    return {"error": refusal.error}
