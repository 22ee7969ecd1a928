"""`connector sandbox`: a simulated Stripe and simulated practice systems as servers, for trying things out."""

from __future__ import annotations

from pathlib import Path

import click

from connector.cli.counts import Count
from connector.files import private_file, private_folder


@click.group()
def sandbox() -> None:
    """Simulated outside systems on this machine."""


port_option = click.option("--port", type=Count(0, 65535), default=0, show_default=True, help="0 takes a free one.")
data_option = click.option(
    "--data", type=click.Path(dir_okay=False, path_type=Path), default=None, help="File that keeps its state."
)


@sandbox.command()
@port_option
@data_option
def stripe(port: int, data: Path | None) -> None:
    """Serve a simulated Stripe account. Its first line of output is JSON with the address."""
    from connector.sandbox.server import serve
    from connector.sandbox.stripe import create_app

    serve(create_app(_state_file(data, "sandbox-stripe.sqlite3")), port, "stripe")


@sandbox.command("open-dental")
@port_option
@data_option
@click.option(
    "--patients",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="CSV of patients to load at the first start.",
)
def open_dental(port: int, data: Path | None, patients: Path | None) -> None:
    """Serve a simulated Open Dental office. Its first line of output is JSON with the address."""
    from connector.sandbox.open_dental import create_app
    from connector.sandbox.server import serve

    serve(create_app(_state_file(data, "sandbox-open-dental.sqlite3"), patients), port, "open-dental")


def _state_file(chosen: Path | None, name: str) -> Path:
    file = chosen or Path("data") / name
    private_folder(file.parent)
    private_file(file)
    return file
