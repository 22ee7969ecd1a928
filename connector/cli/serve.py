"""`connector serve`: the daemon."""

from __future__ import annotations

import click

from connector.cli.context import require_key
from connector.daemon.application import application
from connector.daemon.daemon import Daemon
from connector.database.engine import require_sound
from connector.logs import configure
from connector.settings import load_settings


@click.command()
def serve() -> None:
    """Run the daemon until it is stopped: bill, read Stripe's news, write to the practice systems, close the days."""
    settings = load_settings()
    configure(settings.log)
    require_key(settings)
    with application(settings) as context:
        require_sound(context.database)
        Daemon(settings, context).run()
