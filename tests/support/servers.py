"""Sandboxes served from threads on loopback, which can be stopped and started again at the same address."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence

import uvicorn
from starlette.types import ASGIApp


class Server:
    """One application on one port. Each start calls `make_app`, as a restarted program would open its files."""

    def __init__(self, make_app: Callable[[], ASGIApp]) -> None:
        self._make_app = make_app
        self._port = 0
        self._running: tuple[uvicorn.Server, threading.Thread, socket.socket] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen; the address is usable at once, and the same as before."""
        listener = socket.create_server(("127.0.0.1", self._port))
        # Without this option every answer would wait 40 ms for company.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(self._make_app(), log_level="critical", lifespan="on", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        self._running = server, thread, listener

    def stop(self) -> None:
        """Stop listening, so that connections are refused."""
        stop_all([self])

    def ask_to_stop(self) -> None:
        if self._running:
            self._running[0].should_exit = True

    def wait(self) -> None:
        if self._running:
            _, thread, listener = self._running
            thread.join(timeout=10)
            listener.close()
            self._running = None


def stop_all(servers: Sequence[Server]) -> None:
    """Stop several at once: each takes a tenth of a second to notice."""
    for server in servers:
        server.ask_to_stop()
    for server in servers:
        server.wait()
