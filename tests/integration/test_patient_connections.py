"""Who only connects, or sends without end, holds up nobody: the patients' pages as the daemon serves them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from connector.daemon import patient_connections
from connector.daemon.patient_server import PatientServer
from connector.web.patient.protection import AT_ONCE_MAX
from tests.support.patient_browser import HOST, WEBHOOK_SECRET, daemons_pages
from tests.support.practice import Practice
from tests.support.processes import until

UNFINISHED = f"GET /thank-you HTTP/1.1\r\nHost: {HOST}\r\nX-Slow: ".encode()


@pytest.fixture
def server(practice: Practice) -> Iterator[PatientServer]:
    with daemons_pages(practice, WEBHOOK_SECRET) as running:
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
    monkeypatch.setattr(patient_connections, "REQUEST_SECONDS", 300)
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
    monkeypatch.setattr(patient_connections, "REQUEST_SECONDS", 0.2)
    with ExitStack() as stack:
        slow = connect(server, stack, before + UNFINISHED)

        answer = b""
        try:
            while piece := slow.recv(10_000):
                answer += piece
        except ConnectionResetError:
            pass

    assert answer.startswith(b"HTTP/1.1 200") is bool(before)


def posting(client: str, path: str = "/l/x") -> bytes:
    """A form of which nothing arrives but the announcement."""
    header = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-For: {client}\r\nContent-Length: 9\r\n"
    return f"{header}Content-Type: application/x-www-form-urlencoded\r\n\r\n".encode()


@pytest.mark.parametrize("path", ["/l/x", "/stripe/webhook"])
def test_forms_that_never_arrive_take_nobodys_place(
    server: PatientServer, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than are answered at once, from a dozen addresses: everybody else is answered meanwhile."""
    monkeypatch.setattr(patient_connections, "REQUEST_SECONDS", 300)
    with ExitStack() as stack:
        slow = [connect(server, stack, posting(f"203.0.{n % 12}.9", path)) for n in range(AT_ONCE_MAX + 50)]

        assert [look(server).status_code for _ in range(3)] == [200] * 3
        assert look(server, "203.0.1.9").status_code == 200
        assert is_closed(slow[0])
        slow[-1].sendall(b"action=x\n")
        assert slow[-1].recv(9) == b"HTTP/1.1 "


def test_a_form_that_trickles_is_cut_off(server: PatientServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then does not prolong its time."""
    monkeypatch.setattr(patient_connections, "REQUEST_SECONDS", 0.3)
    with ExitStack() as stack:
        slow = connect(server, stack, posting("203.0.113.9"))
        slow.settimeout(0.05)

        def has_ended() -> bool:
            try:
                slow.sendall(b"a")
                return slow.recv(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        until(has_ended, "the connection is closed")
