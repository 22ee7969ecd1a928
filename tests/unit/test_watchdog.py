"""The watchdog over calls: who is late loses the connection, whoever else is under watch keeps it."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import httpx
import pytest

from connector.pms_adapters.watchdog import Watchdog

CONNECTED = "connection.connect_tcp.complete"


@dataclass
class Stream:
    """What the library's trace shows of a connection."""

    connection: socket.socket
    closed: bool = False

    def get_extra_info(self, info: str) -> socket.socket:
        assert info == "socket"
        return self.connection

    def close(self) -> None:
        self.closed = True


def test_a_short_call_is_cut_off_while_a_longer_one_goes_on() -> None:
    """The thread that sleeps until the long call's end is woken for a call that must end sooner."""
    dog = Watchdog()
    here, there = socket.socketpair()
    with here, there, dog.over(60) as long, dog.over(0.05) as short:
        there.settimeout(10)
        short.trace(CONNECTED, {"return_value": Stream(here)})

        assert there.recv(1) == b""
        with pytest.raises(httpx.ReadTimeout):
            short.check()
        long.check()


def test_a_connection_that_stands_too_late_is_refused() -> None:
    """Nothing may be sent on it any more."""
    dog = Watchdog()
    here, there = socket.socketpair()
    with here, there, dog.over(60) as watch:
        watch.expire()
        stream = Stream(here)

        with pytest.raises(httpx.ConnectTimeout):
            watch.trace(CONNECTED, {"return_value": stream})

    assert stream.closed


def test_a_call_that_ended_in_time_is_left_alone() -> None:
    """Only what is still under watch can be late, also when the watchdog has worked before."""
    dog = Watchdog()
    with dog.over(0.01) as first:
        first.check()

    with dog.over(60) as second:
        second.check()
