"""Limit and Offset: an answer never holds more rows than the mode's cap, and says nothing about the rest."""

from __future__ import annotations

from connector.sandbox.open_dental import wire
from connector.sandbox.open_dental.office import Office
from connector.sandbox.open_dental.wire import ApiError, Source


def page(office: Office, query: Source) -> tuple[int, int]:
    """Row limit and offset of a list. Raises ApiError 400 for a negative number or none."""
    cap = office.options.mode.page_cap
    limit, offset = wire.integer(query, "Limit"), wire.integer(query, "Offset") or 0
    if offset < 0 or (limit is not None and limit < 0):
        raise ApiError(400, "Limit and Offset cannot be negative.")
    return min(limit or cap, cap), offset
