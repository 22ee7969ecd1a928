"""Reads JSON bodies; numbers with a fraction become Decimal, because amounts must not pass through floats."""

from __future__ import annotations

import json
from decimal import Decimal

from connector.sandbox.open_dental.wire import ApiError, Source

_LARGEST_BODY = 16_800_000


def parse_body(raw: bytes) -> Source:
    """The JSON object of a request; an empty body is an empty object. Raises ApiError 400 for anything else."""
    if len(raw) > _LARGEST_BODY:
        raise ApiError(400, "The request body is too long.")
    try:
        parsed = json.loads(raw, parse_float=Decimal) if raw.strip() else {}
    except (ValueError, RecursionError, ArithmeticError):
        raise ApiError(400, "The request body is not valid JSON.") from None
    if not isinstance(parsed, dict):
        raise ApiError(400, "The request body must be a JSON object.")
    return parsed
