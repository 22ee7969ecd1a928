"""The `connector` command. Exit codes: 0 done, 1 refused or failed with one clear sentence, 2 wrong usage."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from pathlib import Path

import click

from connector.cli.output import fail
from connector.errors import ConnectorError

COMMANDS = {
    "adapters": "connector.cli.adapters",
    "benefits": "connector.cli.benefits",
    "demo": "connector.cli.demo",
    "export": "connector.cli.export",
    "holds": "connector.cli.holds",
    "import-members": "connector.cli.importing",
    "import-payment-plans": "connector.cli.importing",
    "invoices": "connector.cli.invoices",
    "ledger": "connector.cli.ledger",
    "links": "connector.cli.links",
    "locations": "connector.cli.locations",
    "members": "connector.cli.members",
    "messages": "connector.cli.messages",
    "migrate": "connector.cli.database",
    "patient-links": "connector.cli.secure_links",
    "payment-plans": "connector.cli.payment_plans",
    "payment-requests": "connector.cli.payment_requests",
    "payments": "connector.cli.payments",
    "plans": "connector.cli.plans",
    "platform-fees": "connector.cli.fees",
    "promo-codes": "connector.cli.promo_codes",
    "recoveries": "connector.cli.recoveries",
    "report": "connector.cli.report",
    "resume": "connector.cli.resume",
    "run-due": "connector.cli.run_due",
    "sandbox": "connector.cli.sandbox",
    "serve": "connector.cli.serve",
    "simulate": "connector.cli.simulate",
    "users": "connector.cli.users",
    "write-backs": "connector.cli.write_backs",
}
"""Command -> module; a module is imported only when its command is used, so each starts quickly."""


class LazyGroup(click.Group):
    """Finds a command in the module of COMMANDS, under its own name with underscores."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(COMMANDS[name]), name.replace("-", "_"))
        return command if isinstance(command, click.Command) else None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="smilepass-connector", prog_name="connector")
def cli() -> None:
    """Bills memberships, writes every payment to the practice system exactly once, and explains every cent."""


def main() -> None:
    """Run the command line; every expected error ends in one sentence and exit code 1."""
    try:
        cli.main(standalone_mode=False)
    except ConnectorError as error:
        fail(str(error), as_json="--json" in sys.argv)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        fail("Stopped. Nothing was left half done; the same command can be run again.", as_json=False)
    except BrokenPipeError:
        # The reader of our output has gone, e.g. `| head`: nothing is left to say, and nobody to say it to.
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        name = error.filename or "a file"
        reason = (error.strerror or type(error).__name__).lower()
        advice = "check its rights and the space on the disk, or name another place, e.g. with CONNECTOR_DATA_DIR"
        fail(f"{name} cannot be used ({reason}): {advice}.", as_json="--json" in sys.argv)
    except Exception as error:  # noqa: BLE001 - the last place that can turn it into a sentence
        # A fault of the program: say where it is, but not what it choked on, which may be personal.
        if os.environ.get("CONNECTOR_LOG__LEVEL") == "debug":
            click.echo("".join(traceback.format_tb(error.__traceback__)), err=True, nl=False)
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"
        fail(
            f"The program failed ({where}); what was not finished was undone. Please report it.",
            as_json="--json" in sys.argv,
        )


if __name__ == "__main__":
    main()
