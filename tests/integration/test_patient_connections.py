"""Who only connects, or sends without end, holds up nobody: the patients' pages as the daemon serves them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from connector.daemon import patient_connections
from connector.daemon.patient_server import PatientServer
from connector.web.patient.protection import AT_ONCE_OF_ONE, BUSY
from tests.support.patient_browser import HOST, daemons_pages
from tests.support.practice import Practice
from tests.support.processes import until

UNFINISHED = f"GET /thank-you HTTP/1.1\r\nHost: {HOST}\r\nX-Slow: ".encode()


@pytest.fixture
def server(practice: Practice) -> Iterator[PatientServer]:
    with daemons_pages(practice) as running:
        yield running


def connect(server: PatientServer, stack: ExitStack, sent: bytes) -> socket.socket:
    """A connection that sends this and then nothing more."""
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
    connection.sendall(sent)
    return connection


def look(server: PatientServer, client: str = "198.51.100.7") -> httpx.Response:
    """Somebody looks at a page, through the proxy on this machine."""
    headers = {"Host": HOST, "X-Forwarded-For": client}
    return httpx.get(f"http://127.0.0.1:{server.port}/thank-you", headers=headers, timeout=20, trust_env=False)


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side has gone, with a farewell or without one."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_however_many_connections_wait_a_request_is_answered(
    server: PatientServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that has waited longest makes room; the rest is left alone."""
    monkeypatch.setattr(patient_connections, "HEADER_SECONDS", 300)
    with ExitStack() as stack:
        idle = [connect(server, stack, UNFINISHED) for _ in range(patient_connections.CONNECTIONS_MAX + 50)]

        assert [look(server).status_code for _ in range(3)] == [200] * 3
        assert is_closed(idle[0])
        idle[-1].sendall(b"no more\r\n\r\n")
        assert idle[-1].recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize("before", [b"", f"GET /style.css HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()])
def test_a_header_that_never_ends_is_cut_off(
    server: PatientServer, before: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the beginning of the connection, and after an answer."""
    monkeypatch.setattr(patient_connections, "HEADER_SECONDS", 0.2)
    with ExitStack() as stack:
        slow = connect(server, stack, before + UNFINISHED)

        answer = b""
        try:
            while piece := slow.recv(10_000):
                answer += piece
        except ConnectionResetError:
            pass

    assert answer.startswith(b"HTTP/1.1 200") is bool(before)


def test_one_address_is_not_answered_above_its_share_and_others_are(server: PatientServer) -> None:
    """It reads that the pages are busy, with the headers that guard every answer, and is answered again later."""
    posting = f"POST /l/x HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-For: 203.0.113.9\r\nContent-Length: 9\r\n"
    posting += "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(AT_ONCE_OF_ONE):
            connect(server, stack, posting.encode())
        until(lambda: look(server, "203.0.113.9").status_code == 503, "its share is used up")

        busy, other = look(server, "203.0.113.9"), look(server)

    assert (busy.status_code, busy.text, other.status_code) == (503, BUSY, 200)
    for name in ("Content-Security-Policy", "Strict-Transport-Security", "X-Frame-Options", "Cache-Control"):
        assert busy.headers[name] == other.headers[name]
    assert busy.headers["Retry-After"] == "10"
    until(lambda: look(server, "203.0.113.9").status_code == 200, "what was begun is over")
