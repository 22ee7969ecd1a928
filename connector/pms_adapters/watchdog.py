"""Breaks connections whose call has used up its time.

The library's timeouts start anew with every received byte, so a server that drips its header could hold a call for
ever. Only another thread can interrupt that wait; one thread watches all calls and ends when there are none.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Protocol, cast

import httpx


class _NetworkStream(Protocol):
    """The part that is used here of what the library passes to trace functions."""

    def get_extra_info(self, info: str) -> socket.socket: ...

    def close(self) -> None: ...


class Watch:
    """One call under watch, until `ends` by the monotonic clock."""

    def __init__(self, ends: float) -> None:
        self.ends = ends
        self._lock = threading.Lock()
        self._expired = False
        self._socket: socket.socket | None = None

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

    def expire(self) -> None:
        """Break the connection, or see to it that none is used any more."""
        with self._lock:
            self._expired = True
            if self._socket is not None:
                # Plain shutdown, below TLS, wakes the thread that waits for this socket; it may be closed already.
                with suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class Watchdog:
    """Watches any number of calls with one thread, which sleeps until the first of them must have ended."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watches: set[Watch] = set()
        self._wakes_at: float | None = None
        """When the thread looks next; None while there is no thread."""

    @contextmanager
    def over(self, seconds: float) -> Iterator[Watch]:
        """Watch one call for the time of the block."""
        watch = Watch(time.monotonic() + seconds)
        with self._changed:
            self._watches.add(watch)
            if self._wakes_at is None:
                self._wakes_at = watch.ends
                threading.Thread(target=self._run, name="watchdog", daemon=True).start()
            elif watch.ends < self._wakes_at:
                self._changed.notify()
        try:
            yield watch
        finally:
            with self._changed:
                self._watches.discard(watch)

    def _run(self) -> None:
        while late := self._wait():
            for watch in late:
                watch.expire()

    def _wait(self) -> set[Watch]:
        """Sleep until calls are late and give them; none when no call is left to be watched."""
        with self._changed:
            while self._watches:
                now = time.monotonic()
                if late := {watch for watch in self._watches if watch.ends <= now}:
                    self._watches -= late
                    return late
                self._wakes_at = min(watch.ends for watch in self._watches)
                self._changed.wait(self._wakes_at - now)
            self._wakes_at = None
            return set()
