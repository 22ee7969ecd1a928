"""The shared HTTP transport: what each misbehaviour of the other side means for reads and for writes."""

from __future__ import annotations

import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from connector import failpoints
from connector.errors import (
    AccessDenied,
    EdgeError,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    UnexpectedResponse,
)
from connector.pms_adapters.pace import Deadline
from connector.pms_adapters.transport import READ_ATTEMPTS, HttpTransport, NotFound, decode_json

SECRET = "key-93-hidden"
NAME = "Wilhelmina"

Behaviour = Callable[[socket.socket, threading.Event], None]


@dataclass
class Peer:
    """A server built to misbehave, and the requests that it received."""

    address: str = ""
    requests: list[bytes] = field(default_factory=list)


@contextmanager
def peer(behave: Behaviour) -> Iterator[Peer]:
    """Listen on loopback, read each request whole, and then do `behave` with its connection."""
    stop, found = threading.Event(), Peer()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found.address = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def run() -> None:
            while not stop.is_set():
                connection, _ = listener.accept()
                with connection:
                    if request := _request(connection):
                        found.requests.append(request)
                        try:
                            behave(connection, stop)
                        except OSError:
                            """The other side has gone, as it should."""

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            stop.set()
            # A last connection wakes the thread, on every system.
            socket.create_connection(listener.getsockname()).close()
            thread.join(5)


def _request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(65536)
        if not chunk:
            return b""
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(status: int, body: bytes = b'{"ok": 1.50}', head: str = "") -> Behaviour:
    def behave(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body)

    return behave


def raw(text: bytes) -> Behaviour:
    def behave(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(text)

    return behave


def hang(_: socket.socket, stop: threading.Event) -> None:
    stop.wait(10)


def reset(connection: socket.socket, _: threading.Event) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("hh" if os.name == "nt" else "ii", 1, 0))


def drip(start: bytes) -> Behaviour:
    def behave(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(start)
        while not stop.wait(0.02):
            connection.sendall(b"a")

    return behave


@contextmanager
def transport(address: str, **options: int) -> Iterator[HttpTransport]:
    client = HttpTransport(
        "The system",
        address,
        {"Authorization": SECRET},
        sleep=lambda _: None,
        max_body_bytes=options.get("limit", 1000),
    )
    try:
        yield client
    finally:
        client.close()


def write(address: str, seconds: float = 5) -> object:
    with transport(address) as client:
        return client.write("POST", "payments", "payments/77031", {"name": NAME}, Deadline(seconds))


def read(address: str, seconds: float = 5) -> object:
    with transport(address) as client:
        return client.read("payments", "payments/77031", {"name": NAME}, Deadline(seconds))


BREAKDOWNS = {
    "closes without an answer": raw(b""),
    "resets the connection": reset,
    "sends half a header": raw(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "sends half a body": raw(b'HTTP/1.1 201 OK\r\nContent-Length: 90\r\n\r\n{"PayNum": 1'),
    "sends a garbage status line": raw(b"\x00\x01\x02 what?\r\n\r\n"),
    "hangs": hang,
    "drips its header": drip(b"HTTP/1.1 200 OK\r\nX-Pad: "),
    "drips its body": drip(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"),
    "drips a body that ends with the connection": drip(b"HTTP/1.0 200 OK\r\n\r\n"),
}


@pytest.mark.parametrize("behave", BREAKDOWNS.values(), ids=BREAKDOWNS)
def test_a_write_without_a_whole_answer_is_unknown_and_was_sent_once(behave: Behaviour) -> None:
    """Whatever breaks after the request left, the outcome is unknown, within the deadline, and nothing is repeated."""
    with peer(behave) as server:
        began = time.monotonic()

        with pytest.raises(OutcomeUnknown):
            write(server.address, seconds=0.4)

    assert time.monotonic() - began < 3
    assert len(server.requests) == 1


@pytest.mark.parametrize("behave", BREAKDOWNS.values(), ids=BREAKDOWNS)
def test_a_read_without_a_whole_answer_ends_within_its_deadline(behave: Behaviour) -> None:
    """Reads are tried again, but all attempts together are bounded, and the caller learns that nothing is clear."""
    with peer(behave) as server:
        began = time.monotonic()

        with pytest.raises(OutcomeUnknown):
            read(server.address, seconds=0.4)

    assert time.monotonic() - began < 3
    assert 1 <= len(server.requests) <= READ_ATTEMPTS


def test_a_refused_connection_means_not_sent() -> None:
    """Nobody listens, so a write can safely be made again later."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(NotSent):
        write(f"http://127.0.0.1:{port}")
    with pytest.raises(NotSent):
        read(f"http://127.0.0.1:{port}")


def test_a_failing_tls_handshake_means_not_sent() -> None:
    """The request only follows the handshake."""
    with peer(raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server, pytest.raises(NotSent):
        write(server.address.replace("http:", "https:"), seconds=1)

    assert server.requests == []


def test_nothing_is_sent_after_the_deadline() -> None:
    """A call whose time is used up does not start."""
    with peer(answer(200)) as server:
        with pytest.raises(NotSent):
            write(server.address, seconds=0)
        with pytest.raises(NotSent):
            read(server.address, seconds=-1)

    assert server.requests == []


def test_a_process_that_stood_still_just_before_a_write_sends_nothing() -> None:
    """Whoever wakes up after the deadline may have been taken over by another."""
    now = [0.0]

    def stand_still(_place: str) -> None:
        now[0] = 60.0

    with (
        peer(answer(200)) as server,
        transport(server.address) as client,
        failpoints.watched(stand_still),
        pytest.raises(NotSent),
    ):
        client.write("POST", "payments", "payments", {}, Deadline(30, monotonic=lambda: now[0]))

    assert server.requests == []


WRITE_STATUSES = {
    **dict.fromkeys((400, 405, 410, 422), Rejected),
    404: NotFound,
    **dict.fromkeys((401, 403), AccessDenied),
    **dict.fromkeys((301, 302, 303, 307, 308, 304), OutcomeUnknown),
    **dict.fromkeys((402, 406, 408, 409, 413, 418, 425, 429), OutcomeUnknown),
    **dict.fromkeys((500, 501, 502, 503, 504, 599), OutcomeUnknown),
}


@pytest.mark.parametrize(("status", "kind"), WRITE_STATUSES.items())
def test_each_status_of_a_write_has_its_class(status: int, kind: type[EdgeError]) -> None:
    """Only a clear refusal counts as unchanged; redirects are not followed; the connection recovers afterwards."""
    with peer(answer(status, head="Location: /elsewhere\r\n")) as server, pytest.raises(EdgeError) as caught:
        write(server.address)

    assert type(caught.value) is kind
    assert len(server.requests) == 1


READ_STATUSES = {
    **dict.fromkeys((400, 402, 405, 409, 410, 413, 418, 422), (Rejected, 1)),
    404: (NotFound, 1),
    **dict.fromkeys((401, 403), (AccessDenied, 1)),
    **dict.fromkeys((301, 302, 307, 308), (UnexpectedResponse, 1)),
    **dict.fromkeys((429, 503), (RateLimited, READ_ATTEMPTS)),
    **dict.fromkeys((408, 425, 500, 501, 502, 504), (OutcomeUnknown, READ_ATTEMPTS)),
}


@pytest.mark.parametrize(("status", "outcome"), READ_STATUSES.items())
def test_each_status_of_a_read_has_its_class(status: int, outcome: tuple[type[EdgeError], int]) -> None:
    """What may pass is tried a few times, what will not is not."""
    kind, attempts = outcome

    with peer(answer(status, head="Location: /elsewhere\r\n")) as server, pytest.raises(EdgeError) as caught:
        read(server.address)

    assert type(caught.value) is kind
    assert len(server.requests) == attempts


NO_JSON = {
    "a login page": b"<html>Please sign in</html>",
    "NaN": b'{"PayAmt": NaN}',
    "Latin-1": '{"x": "Zoë"}'.encode("latin-1"),
    "endless nesting": b"[" * 900,
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
def test_a_success_that_is_no_json_is_unknown_for_a_write_and_unexpected_for_a_read(body: bytes) -> None:
    """A captive portal answers 200 to everything."""
    with peer(answer(200, body)) as server:
        with pytest.raises(OutcomeUnknown):
            write(server.address)
        with pytest.raises(UnexpectedResponse):
            read(server.address)


def test_an_oversize_body_is_cut_off() -> None:
    """The limit holds however much the other side sends."""
    with peer(answer(200, b" " * 5000)) as server:
        with pytest.raises(OutcomeUnknown):
            write(server.address)
        with pytest.raises(UnexpectedResponse):
            read(server.address)


def test_a_success_gives_the_json_with_exact_fractions() -> None:
    """Amounts must not pass through floating point; an empty answer to a write is None."""
    with peer(answer(200)) as server:
        assert read(server.address) == {"ok": Decimal("1.50")}
        assert write(server.address) == {"ok": Decimal("1.50")}
    with peer(answer(200, b"")) as server:
        assert write(server.address) is None


def test_a_read_recovers_when_a_later_attempt_succeeds() -> None:
    """A passing disturbance of a read is not the caller's business."""
    answers = iter([answer(503), answer(500), answer(200)])

    def behave(connection: socket.socket, stop: threading.Event) -> None:
        next(answers)(connection, stop)

    with peer(behave) as server:
        assert read(server.address) == {"ok": Decimal("1.50")}


def test_no_connection_is_used_twice() -> None:
    """A kept connection could be closed just as a write goes out on it."""
    ports: list[int] = []

    def behave(connection: socket.socket, stop: threading.Event) -> None:
        ports.append(connection.getpeername()[1])
        answer(200)(connection, stop)
        # Left open until the client hangs up, so that a client that keeps connections could come again.
        connection.settimeout(5)
        assert connection.recv(1) == b""

    with peer(behave) as server, transport(server.address) as client:
        for _ in range(3):
            client.write("POST", "payments", "payments", {}, Deadline(5))

    assert len(set(ports)) == 3
    assert all(b"connection: close" in request.lower() for request in server.requests)


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 409, 429, 500])
def test_errors_and_logs_name_no_id_no_person_and_no_key(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """Path, query, body, answer and headers may all be personal or secret."""
    caplog.set_level(logging.DEBUG)
    body = f"{NAME} owes 77031".encode()

    with peer(answer(status, body)) as server:
        for call in (read, write):
            with pytest.raises(EdgeError) as caught:
                call(server.address)

            assert str(status) in str(caught.value)
            assert "payments" in str(caught.value)
            assert not any(word in str(caught.value) for word in (NAME, "77031", SECRET))
    assert not any(word in caplog.text for word in (NAME, "77031", SECRET))


def test_json_is_read_with_and_without_a_byte_order_mark() -> None:
    """Some Windows services put one before their JSON."""
    assert decode_json(b"\xef\xbb\xbf[1]") == decode_json(b"[1]") == [1]
