"""Refusals in Stripe's own form: an HTTP status and the JSON object `{"error": {...}}`."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]
"""A Stripe object as JSON. Keys that begin with an underscore belong to the sandbox and are never shown."""

DOCS = "https://docs.stripe.com/error-codes/"


class ApiError(Exception):
    """An answer other than success; raised by handlers and rendered by the application."""

    def __init__(self, status: int, message: str, *, kind: str = "invalid_request_error", **fields: Any) -> None:
        super().__init__(message)
        self.status = status
        present = {name: value for name, value in fields.items() if value is not None}
        self.error: Document = {"type": kind, "message": message, **present}
        if "code" in present:
            self.error["doc_url"] = DOCS + str(present["code"]).replace("_", "-")


def invalid(message: str, param: str | None = None, code: str | None = None, **fields: Any) -> ApiError:
    """400: the request cannot be carried out as it stands."""
    return ApiError(400, message, param=param, code=code, **fields)


def missing(kind: str, object_id: str, param: str = "id", status: int = 404) -> ApiError:
    """No such object; 404 when the URL names it, 400 when a parameter does."""
    noun = kind.replace(".", " ").replace("_", "")
    return ApiError(status, f"No such {noun}: '{object_id}'", param=param, code="resource_missing")


def unexpected_state(intent: Document, what: str) -> ApiError:
    """400: the intent's status does not allow this step. The error carries the intent, as Stripe's does."""
    kind = str(intent["object"])
    noun = "PaymentIntent" if kind == "payment_intent" else "SetupIntent"
    message = f"You cannot {what} this {noun} because it has a status of {intent['status']}."
    refusal = invalid(message, code=f"{kind}_unexpected_state")
    refusal.error[kind] = intent
    return refusal
