"""Commands of `connector locations` that change a location: its settings, its details, and whether it takes money."""

from __future__ import annotations

from collections.abc import Mapping

import click

from connector.billing.policy import FeeBearer
from connector.cli.context import actor, opened
from connector.cli.output import json_option, print_json, print_table
from connector.errors import DomainError, EdgeError
from connector.use_cases.practice import location_settings as use_cases
from connector.use_cases.practice.location_settings import Setting

SURCHARGE_NOTE = (
    "Note: from 1 October 2026 no surcharge may be added to card payments in Australia: ask your adviser before "
    "patients are charged the platform fee. It counts for what is agreed from now on, and stops for all at once."
)
"""Reserve Bank of Australia, conclusions of March 2026 about surcharging; another name for the line does not help."""


@click.command("set")
@click.argument("slug")
@click.argument("pairs", nargs=-1, required=True, metavar="NAME=VALUE...")
@json_option
def set_(slug: str, pairs: tuple[str, ...], as_json: bool) -> None:
    """Change billing settings of the location SLUG, e.g. card_retry_days=3,7; NAME= restores the default."""
    wanted = dict(_pair(text) for text in pairs)
    with opened() as context:
        changed = use_cases.change_settings(context, slug, wanted, actor())
    if as_json:
        print_json([_document(setting) for setting in changed])
        return
    for setting in changed:
        click.echo(f"{setting.name} is {_text(setting.value)} now.")
        if setting.value == FeeBearer.PATIENT:
            click.echo(SURCHARGE_NOTE)
    if not changed:
        click.echo("Nothing was changed: the settings were so already.")


@click.command("settings")
@click.argument("slug")
@json_option
def settings(slug: str, as_json: bool) -> None:
    """Show all billing settings of the location SLUG; docs/billing.md explains each."""
    with opened() as context:
        found = use_cases.list_settings(context, slug)
    if as_json:
        print_json([_document(setting) for setting in found])
        return
    rows = [
        (setting.name, _text(setting.value), _text(setting.default), "changed" if setting.changed else "")
        for setting in found
    ]
    print_table(f"Billing settings of {slug}", ("Setting", "Value", "Default", ""), rows)


@click.command("edit")
@click.argument("slug")
@click.option("--trading-name", help="The name that patients know; empty: the location's name.")
@click.option("--abn", help="Of this location; empty: the company's.")
@click.option("--address")
@click.option("--phone")
@click.option("--email", help="Where notices to the practice go.")
@click.option("--website")
@click.option("--region", help="State whose public holidays count, e.g. NSW; empty: that of the time zone.")
@json_option
def edit(slug: str, as_json: bool, **details: str | None) -> None:
    """Change how the location SLUG is named and reached; an empty text removes a detail."""
    changes = {name: text for name, text in details.items() if text is not None}
    if not changes:
        raise click.UsageError("Say what is to be changed, e.g. --phone.")
    with opened() as context:
        use_cases.edit_location(context, slug, changes, actor())
    _say(f"The location {slug} is changed.", {"slug": slug, "changed": sorted(changes)}, as_json)


@click.command("activate")
@click.argument("slug")
@click.option("--override", is_flag=True, help="Also one that was exported, which nobody else charges for any more.")
@json_option
def activate(slug: str, override: bool, as_json: bool) -> None:
    """Let the location SLUG take sign-ups and payments, once its Stripe account can."""
    with opened(stripe=True) as context:
        try:
            account = use_cases.activate_location(context, slug, actor(), override=override)
        except EdgeError as error:
            raise DomainError(str(error)) from None
    ways = [way for way, can in (("cards", account.card), ("bank debits", account.becs)) if can]
    document = {"slug": slug, "status": "active", "card": account.card, "becs": account.becs, "live": account.live}
    _say(f"The location {slug} is active and takes {' and '.join(ways)}.", document, as_json)


@click.command("pause")
@click.argument("slug")
@json_option
def pause(slug: str, as_json: bool) -> None:
    """Let nobody sign up or pay at the location SLUG until it is activated again."""
    with opened() as context:
        use_cases.pause_location(context, slug, actor())
    said = f"The location {slug} takes no sign-ups and payments until `connector locations activate {slug}`."
    _say(said, {"slug": slug, "status": "pending"}, as_json)


@click.command("clinic")
@click.argument("name")
@click.option("--abn", help="Australian Business Number of the company.")
@click.option("--contact", help="Whom to ask at the company.")
@json_option
def clinic(name: str, as_json: bool, **details: str | None) -> None:
    """Change the company NAME that owns locations."""
    changes = {field: text for field, text in details.items() if text is not None}
    if not changes:
        raise click.UsageError("Say what is to be changed: --abn or --contact.")
    with opened() as context:
        use_cases.edit_clinic(context, name, changes, actor())
    _say(f"The clinic {name} is changed.", {"name": name, "changed": sorted(changes)}, as_json)


COMMANDS = (set_, settings, edit, activate, pause, clinic)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter("Write each setting as NAME=VALUE.", param_hint="NAME=VALUE")
    return name.strip(), value.strip()


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _document(setting: Setting) -> dict[str, object]:
    return {
        "name": setting.name,
        "value": setting.value,
        "default": setting.default,
        "changed": setting.changed,
    }


def _say(sentence: str, document: Mapping[str, object], as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        click.echo(sentence)
