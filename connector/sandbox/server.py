"""Runs a sandbox application on loopback and says where it listens."""

from __future__ import annotations

import json
import socket
from contextlib import suppress

import click
import uvicorn
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp

from connector.errors import DomainError


def serve(app: ASGIApp, port: int, name: str) -> None:
    """Serve until terminated. Port 0 takes a free one; the first line of output is JSON and tells the address."""
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError:
        raise DomainError(f"The port {port} is taken: choose another with --port, or 0 for a free one.") from None
    # Made here and not by asyncio, the listener lacks this option, and each answer would wait 40 ms for company.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        # Another name in the request means that a page in some browser found its way here.
        TrustedHostMiddleware(app, allowed_hosts=["127.0.0.1", "localhost"], www_redirect=False),
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=2,
        server_header=False,
    )
    click.echo(json.dumps({"sandbox": name, "address": address}))
    with suppress(KeyboardInterrupt):  # The usual way of ending it in a terminal.
        uvicorn.Server(config).run(sockets=[listener])
