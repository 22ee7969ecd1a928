"""Connections to the patients' pages that let nobody hold them up: each has a while to say what it wants.

The web server has no limit of its own for a request that never ends, and such connections cost their maker nothing.
They are closed after REQUEST_SECONDS; and when there are too many, a new one takes the place of the one that has waited
longest, so that whoever comes with a request is answered however many others only come.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS_MAX = 200
REQUEST_SECONDS = 10
"""So long a connection may be without a complete request, from its beginning or from the answer before."""


class PatientConnection(H11Protocol):
    """One connection, which is closed when its next request takes too long to begin."""

    overdue: asyncio.TimerHandle | None = None
    """Set while no complete request is being answered."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._heed()
        if len(self.connections) > CONNECTIONS_MAX:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._heed()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._heed()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_waiting()

    def _heed(self) -> None:
        is_asked = self.cycle is not None and not self.cycle.response_complete
        if is_asked and self.conn.their_state is not h11.SEND_BODY:
            self._stop_waiting()
        elif self.overdue is None and not self.transport.is_closing():
            self.overdue = self.loop.call_later(REQUEST_SECONDS, self.give_up)

    def _stop_waiting(self) -> None:
        if self.overdue is not None:
            self.overdue.cancel()
            self.overdue = None

    def give_up(self) -> None:
        """Close it as it is."""
        self._stop_waiting()
        self.transport.abort()

    def _make_room(self) -> None:
        """Close the connection that has waited longest for its request; those that are being answered stay."""
        others = (other for other in self.connections if isinstance(other, PatientConnection) and other is not self)
        waiting = {other: other.overdue.when() for other in others if other.overdue is not None}
        if waiting:
            min(waiting, key=waiting.__getitem__).give_up()
