"""Speaks Open Dental's REST dialect: its header, its pages, and what its 400 means. Knows no records."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import httpx

from connector.errors import UnexpectedResponse
from connector.pms_adapters.open_dental.manifest import manifest_for
from connector.pms_adapters.open_dental.settings import Mode, OpenDentalSettings
from connector.pms_adapters.pace import Deadline, Pace
from connector.pms_adapters.transport import HttpTransport, plain_refusal

Row = Mapping[str, object]

WALK_ATTEMPTS = 3
LEAST_PAGE_ROWS = 100
"""No mode caps its pages below this, so a shorter page is the last one, even when the mode was guessed wrongly."""
MOST_ROWS = 100_000

_SIGNS_OF_REFUSAL = (
    *("patnum", "payamt", "paytype", "paydate", "paynum", "checknum", "paynote", "prepayment", "bankbranch"),
    *("payment date", "required", "invalid", "not valid", "not found", "refunded", "version"),
)


class OpenDentalClient:
    """One office's API. Safe to use from several threads."""

    def __init__(
        self,
        settings: OpenDentalSettings,
        sleep: Callable[[float], None] = time.sleep,
        network: httpx.BaseTransport | None = None,
    ) -> None:
        self._page_rows = settings.mode.page_rows
        self._http = HttpTransport(
            "Open Dental",
            settings.base_url,
            {
                "Authorization": f"ODFHIR {settings.developer_key}/{settings.customer_key}",
                # Demanded on every request, also on those without a body.
                "Content-Type": "application/json",
            },
            pace=Pace(manifest_for(settings).calls_per_minute, sleep=sleep),
            is_refusal=names_a_refusal if settings.mode is Mode.REMOTE else plain_refusal,
            sleep=sleep,
            network=network,
        )

    def close(self) -> None:
        """Give up the connections."""
        self._http.close()

    def row(self, resource: str, number: int, deadline: Deadline) -> Row:
        """One object by its number. Raises NotFound when there is none."""
        return as_row(self._http.read(resource, f"{resource}/{number}", {}, deadline), resource)

    def rows(self, resource: str, params: Mapping[str, str | int], deadline: Deadline) -> list[Row]:
        """A list that the API does not cut into pages."""
        return as_rows(self._http.read(resource, resource, params, deadline), resource)

    def pages(self, resource: str, key: str, params: Mapping[str, str | int], deadline: Deadline) -> list[Row]:
        """All rows of a paged list. Raises UnexpectedResponse when it kept changing while it was read."""
        for _ in range(WALK_ATTEMPTS):
            rows = self._walk(resource, key, params, deadline)
            if rows is not None:
                return rows
        raise UnexpectedResponse(f"Open Dental's {resource} kept changing while they were read: try again later.")

    def pages_one_by_one(self, path: str, deadline: Callable[[], Deadline]) -> Iterator[list[Row]]:
        """The pages of a list, each read when it is asked for. Rows that move meanwhile may be missed."""
        resource, _, _ = path.partition("/")
        offset = 0
        while True:
            place = {"Limit": self._page_rows, "Offset": offset}
            page = as_rows(self._http.read(resource, path, place, deadline()), resource)
            yield page
            if len(page) < LEAST_PAGE_ROWS:
                return
            offset += len(page)

    def create(self, resource: str, body: Row, deadline: Deadline) -> object:
        """POST, sent once; gives the answer as it came."""
        return self._http.write("POST", resource, resource, dict(body), deadline)

    def change(self, resource: str, number: int, body: Row, deadline: Deadline) -> None:
        """PUT the given fields of one object, sent once."""
        self._http.write("PUT", resource, f"{resource}/{number}", dict(body), deadline)

    def _walk(self, resource: str, key: str, params: Mapping[str, str | int], deadline: Deadline) -> list[Row] | None:
        """Read page by page; None when rows moved meanwhile.

        Offsets count rows, so a row that is deleted in the office pulls a later one into the page that was already
        read. Each page therefore starts with the last row of the one before, which no longer fits once rows moved.
        """
        rows: list[Row] = []
        while len(rows) < MOST_ROWS:
            place = {"Limit": self._page_rows, "Offset": len(rows) - 1} if rows else {"Limit": self._page_rows}
            page = as_rows(self._http.read(resource, resource, {**params, **place}, deadline), resource)
            if rows and (not page or page[0].get(key) != rows[-1].get(key)):
                return None
            rows += page[1:] if rows else page
            if len({str(row.get(key)) for row in rows}) != len(rows):
                return None
            if len(page) < LEAST_PAGE_ROWS:
                return rows
        raise UnexpectedResponse(f"Open Dental has more than {MOST_ROWS} {resource} to read: narrow the period.")


def names_a_refusal(sentence: str) -> bool:
    """Whether the sentence of a 400 from the relay speaks of our request.

    The relay answers 400 also when the office is out of reach or did not answer in time, and then the write may have
    happened. Wording varies with versions, so a 400 counts as refusal only when it names a field or a known fault.
    """
    lowered = sentence.lower()
    return "econnector" not in lowered and any(sign in lowered for sign in _SIGNS_OF_REFUSAL)


def as_row(value: object, resource: str) -> Row:
    """The value as one JSON object. Raises UnexpectedResponse."""
    if not isinstance(value, dict):
        raise UnexpectedResponse(f"Open Dental answered {resource} with something other than an object.")
    return value


def as_rows(value: object, resource: str) -> list[Row]:
    """The value as a list of JSON objects. Raises UnexpectedResponse."""
    if not isinstance(value, list):
        raise UnexpectedResponse(f"Open Dental answered {resource} with something other than a list.")
    return [as_row(item, resource) for item in value]
