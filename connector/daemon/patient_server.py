"""Serves the patients' application on its own port, in a thread of its own, while the daemon runs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import uvicorn

from connector.daemon.patient_connections import PatientConnection
from connector.errors import DomainError
from connector.settings import Settings
from connector.use_cases.context import Context
from connector.web.patient.app import patient_app

HOST = "127.0.0.1"
"""Only a proxy or tunnel on this machine reaches it; what they expose is this port and no other."""
STOP_SECONDS = 5


class PatientServer:
    """Listens from the start, so that a taken port is told at once, and serves between `start` and `stop`."""

    def __init__(self, settings: Settings, context: Context, on_news: Callable[[], None]) -> None:
        port = settings.links.port
        try:
            self._listener = socket.create_server((HOST, port))
        except OSError:
            raise DomainError(
                f"The port {port} of the patients' pages is taken: set CONNECTOR_LINKS__PORT to another."
            ) from None
        # Made here and not by asyncio, the listener lacks this option, and each answer would wait 40 ms for company.
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(
            patient_app(context, settings.stripe, on_news),
            log_config=None,
            access_log=False,  # It would write tokens.
            lifespan="off",
            server_header=False,
            proxy_headers=False,  # The application itself decides whom to believe.
            http=PatientConnection,
            ws="none",
            timeout_keep_alive=5,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]}, name="patients")

    @property
    def port(self) -> int:
        """Where it listens; another than in the settings when they leave the choice to the system."""
        port: int = self._listener.getsockname()[1]
        return port

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let answers under way end, then close."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout=2 * STOP_SECONDS)
        self._listener.close()
