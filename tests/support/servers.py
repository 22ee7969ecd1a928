"""Sandboxes served from threads on loopback, which can be stopped and started again at the same address."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence

import uvicorn
from starlette.types import ASGIApp


class _PromptServer(uvicorn.Server):
    """Ends as soon as it is asked to; the library's own looks ten times a second and then waits once more."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ready = threading.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        self._loop, self._asked = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._asked.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        for _ in range(100):
            if not (self.server_state.connections or self.server_state.tasks):
                break
            await asyncio.sleep(0.01)
        await self.lifespan.shutdown()

    def ask_to_stop(self) -> None:
        self._ready.wait()
        self._loop.call_soon_threadsafe(self._asked.set)


class Server:
    """One application on one port. Each start calls `make_app`, as a restarted program would open its files."""

    def __init__(self, make_app: Callable[[], ASGIApp]) -> None:
        self._make_app = make_app
        self._port = 0
        self._running: tuple[_PromptServer, threading.Thread, socket.socket] | None = None

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
        server = _PromptServer(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        self._running = server, thread, listener

    def stop(self) -> None:
        """Stop listening, so that connections are refused."""
        stop_all([self])

    def ask_to_stop(self) -> None:
        if self._running:
            self._running[0].ask_to_stop()

    def wait(self) -> None:
        if self._running:
            _, thread, listener = self._running
            thread.join(timeout=10)
            listener.close()
            self._running = None


def stop_all(servers: Sequence[Server]) -> None:
    """Stop several at once."""
    for server in servers:
        server.ask_to_stop()
    for server in servers:
        server.wait()
