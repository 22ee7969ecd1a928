"""`connector locations`: add, list and probe the practice's locations; `location_settings` has what changes them."""

from __future__ import annotations

from pathlib import Path

import click

from connector.billing.clinics import LocationStatus, all_locations
from connector.billing.offers.plan_files import STARTERS
from connector.cli import location_settings
from connector.cli.asked import asked
from connector.cli.context import find_location, open_if_ready, opened
from connector.cli.output import fail, json_option, print_json, print_table, visible
from connector.errors import DomainError, EdgeError
from connector.files import NotAnOrdinaryFile, open_ordinary
from connector.use_cases.practice.set_up_location import add_location

SETTING_MAX = 100_000
"""Bytes of a file that holds one setting."""


@click.group()
def locations() -> None:
    """The practice's locations and their practice systems."""


for command in location_settings.COMMANDS:
    locations.add_command(command)


@locations.command("add")
@click.argument("slug")
@click.option("--name", required=True, help="Name of the location.")
@click.option("--timezone", required=True, help="IANA time zone, e.g. Australia/Sydney.")
@click.option("--currency", required=True, help="Currency of all its money, e.g. aud.")
@click.option("--pms", required=True, help="Adapter of its practice system; see `connector adapters list`.")
@click.option(
    "--pms-setting",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of the adapter; repeat for each. NAME=@FILE takes the content of a file and NAME=- asks for the "
    "value without showing it, or reads a line where there is no terminal: a key need not stand on the command line.",
)
@click.option("--clinic", default="", help="Clinic that owns it; by default one of the same name.")
@json_option
def add(
    slug: str,
    name: str,
    timezone: str,
    currency: str,
    pms: str,
    pms_setting: tuple[str, ...],
    clinic: str,
    as_json: bool,
) -> None:
    """Add the location SLUG with three starter plans."""
    settings = dict(_pair(text) for text in pms_setting)
    with opened(begin=True) as context:
        location_id = add_location(
            context,
            slug=slug,
            name=name,
            timezone=timezone,
            currency=currency,
            pms=pms,
            pms_settings=settings,
            clinic=clinic,
            status=LocationStatus.PENDING,
        )
        closed = open_if_ready(context, slug)
    if as_json:
        status = LocationStatus.PENDING if closed else LocationStatus.ACTIVE
        plans = [name.title() for name in STARTERS]
        print_json({"id": location_id, "slug": slug, "plans": plans, "status": status.value, "closed_because": closed})
    else:
        click.echo(f"Location {slug} is added, with the plans {', '.join(name.title() for name in STARTERS)}.")
        if closed:
            click.echo(f"It takes no sign-ups and payments yet. {closed} It opens by itself once that is mended.")
        click.echo(f"Next: check its practice system with `connector locations probe {slug}`.")


@locations.command("list")
@json_option
def list_all(as_json: bool) -> None:
    """List all locations."""
    with opened() as context, context.database.read() as session:
        rows = all_locations(session)
    if as_json:
        names = ("id", "slug", "name", "timezone", "currency", "pms_adapter", "status")
        print_json([{name: getattr(row, name) for name in names} for row in rows])
    else:
        columns = ("Location", "Name", "Time zone", "Currency", "Practice system", "Status")
        cells = [(r.slug, r.name, r.timezone, r.currency, r.pms_adapter, r.status) for r in rows]
        print_table("Locations", columns, cells)


@locations.command("probe")
@click.argument("slug")
@json_option
def probe(slug: str, as_json: bool) -> None:
    """Check the connection to the location's practice system without changing anything there."""
    with opened() as context:
        try:
            result = context.pms.of(find_location(context, slug)).probe()
        except EdgeError as error:
            raise DomainError(str(error)) from None
    if as_json:
        print_json({"ok": result.ok, "version": result.version, "problems": list(result.problems)})
    elif result.ok:
        click.echo(f"The practice system answers (version {visible(result.version)}) and allows all that is needed.")
    if not result.ok:
        fail(" ".join(result.problems), as_json=False)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        # The text is not shown: it may be a key whose name was forgotten.
        raise click.BadParameter("The setting has no value: write it as NAME=VALUE.", param_hint="--pms-setting")
    if value == "-":
        return name, asked(name, "--pms-setting")
    return name, _content(name, Path(value[1:])) if value.startswith("@") else value


def _content(name: str, file: Path) -> str:
    try:
        with open_ordinary(file) as stream:
            content = stream.read(SETTING_MAX + 1)
        if len(content) <= SETTING_MAX:
            return content.decode("utf-8-sig").strip()
    except (OSError, NotAnOrdinaryFile, UnicodeDecodeError):
        pass
    raise click.BadParameter(
        f"The file for {name!r} cannot be read, or is no short text: check its name and its permissions.",
        param_hint="--pms-setting",
    )
