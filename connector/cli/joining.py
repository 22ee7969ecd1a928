"""`connector members add`, `add-dependent`, `drop-dependent`, `promote`, `refer`, `change-plan`: who comes, and how."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from connector.billing.agreements.schedule import Frequency
from connector.cli.context import actor, open_if_ready, opened
from connector.cli.dates import BIRTHDAY, DAY
from connector.cli.filled import FILLED
from connector.cli.identifiers import CONTRACT, MEMBER
from connector.cli.output import json_option, print_json, visible
from connector.errors import DomainError
from connector.use_cases.members.add_member import Joining, add_member
from connector.use_cases.members.enrol_dependent import enrol_dependent
from connector.use_cases.members.leave_household import drop_dependent, promote_dependent
from connector.use_cases.members.new_person import PersonDetails
from connector.use_cases.members.refer_member import refer_member
from connector.use_cases.plans.change_plan import change_plan, preview_change

F = TypeVar("F", bound=Callable[..., Any])
WAITS = "The invitation waits: the daemon, or `connector messages send`, sends it."

_PERSON: tuple[Callable[[Any], Any], ...] = (
    click.option("--given-name", required=True),
    click.option("--family-name", required=True),
    click.option("--born", type=BIRTHDAY, help="Date of birth, e.g. 1980-12-31."),
    click.option("--email", default=""),
    click.option("--phone", default="", help="E.g. 0412 345 678."),
)


def person_options(command: F) -> F:
    """The options that describe a person; the command takes them as `**person`."""
    for option in reversed(_PERSON):
        command = option(command)
    return command


@click.command()
@click.option("--location", "slug", required=True, help="Short name of the location.")
@click.option("--plan", required=True, help="Membership plan.")
@click.option("--frequency", type=click.Choice([one.value for one in Frequency]), default="monthly", show_default=True)
@person_options
@click.option("--start", type=DAY, help="Agreed first day; by default the day on which the member signs.")
@click.option("--promo", type=FILLED, metavar="CODE", help="Promo code to redeem.")
@click.option("--referred-by", type=CONTRACT, metavar="CONTRACT", help="Contract of the member who brought this one.")
@click.option("--no-invite", is_flag=True, help="Do not ask the member to sign up.")
@json_option
def add(
    slug: str,
    plan: str,
    frequency: str,
    start: datetime | None,
    promo: str | None,
    referred_by: str | None,
    no_invite: bool,
    as_json: bool,
    **person: Any,
) -> None:
    """Add a member with a pending contract, and invite them to sign it."""
    joining = Joining(
        plan,
        Frequency(frequency),
        start.date() if start else None,
        promo or "",
        referred_by or "",
        invite=not no_invite,
    )
    with opened() as context:
        if not no_invite:
            open_if_ready(context, slug)
        added = add_member(context, slug, _details(person), joining, actor=actor())
    if as_json:
        print_json({"member_id": added.member_id, "contract_id": added.contract_id, "invited": not no_invite})
    else:
        click.echo(f"The member {added.member_id} was added; the contract is {added.contract_id}.")
        later = f"Nobody is written to: `connector patient-links send {added.contract_id}` invites the member later."
        click.echo(later if no_invite else WAITS)


@click.command("add-dependent")
@click.argument("contract_id", type=CONTRACT)
@click.option("--plan", required=True, help="Membership plan of this person.")
@person_options
@json_option
def add_dependent(contract_id: str, plan: str, as_json: bool, **person: Any) -> None:
    """Enrol one more person on CONTRACT_ID, whose holder pays for all."""
    with opened() as context:
        added = enrol_dependent(context, contract_id, plan, _details(person), actor=actor())
    if as_json:
        print_json({"member_id": added.member_id, "contract_id": added.contract_id})
    else:
        click.echo(f"The member {added.member_id} is on the contract {contract_id} now, and on its next invoice.")


@click.command("drop-dependent")
@click.argument("contract_id", type=CONTRACT)
@click.argument("member_id", type=MEMBER)
@json_option
def drop(contract_id: str, member_id: str, as_json: bool) -> None:
    """End the cover of the dependent MEMBER_ID on CONTRACT_ID; the next invoice is priced without them."""
    with opened() as context:
        until = drop_dependent(context, contract_id, member_id, actor=actor())
    if as_json:
        print_json({"member_id": member_id, "contract_id": contract_id, "covered_until": until})
    else:
        click.echo(f"The member {member_id} is covered {f'until {until:%d/%m/%Y}' if until else 'no more'}.")


@click.command()
@click.argument("contract_id", type=CONTRACT)
@click.argument("member_id", type=MEMBER)
@click.option("--email", default="", help="Where the new account holder is invited, if not known.")
@click.option("--phone", default="")
@json_option
def promote(contract_id: str, member_id: str, email: str, phone: str, as_json: bool) -> None:
    """Give the dependent MEMBER_ID of CONTRACT_ID a contract of their own, on the same terms, and invite them."""
    with opened() as context:
        new_id = promote_dependent(context, contract_id, member_id, actor=actor(), email=email, phone=phone)
    if as_json:
        print_json({"member_id": member_id, "contract_id": new_id, "from_contract_id": contract_id})
    else:
        click.echo(f"The member {member_id} has the new contract {new_id}. {WAITS}")


@click.command()
@click.argument("contract_id", type=CONTRACT)
@click.option(
    "--referred", required=True, type=CONTRACT, metavar="CONTRACT", help="Contract of the member who was brought."
)
@click.option("--campaign", default="", help="Where it came from, for the reports.")
@json_option
def refer(contract_id: str, referred: str, campaign: str, as_json: bool) -> None:
    """Record that the member of CONTRACT_ID brought another one."""
    with opened() as context:
        refer_member(context, contract_id, referred, campaign=campaign, actor=actor())
    if as_json:
        print_json({"referrer_contract_id": contract_id, "referred_contract_id": referred, "campaign": campaign})
    else:
        click.echo("The referral is recorded; both pay less from their next invoice on.")


@click.command("change-plan")
@click.argument("contract_id", type=CONTRACT)
@click.argument("member_id", type=MEMBER)
@click.option("--plan", required=True, help="The plan to change to.")
@click.option("--yes", is_flag=True, help="Do not ask; needed with --json.")
@json_option
def change(contract_id: str, member_id: str, plan: str, yes: bool, as_json: bool) -> None:
    """Change the plan of MEMBER_ID on CONTRACT_ID from a due date on, after showing what changes.

    A dearer plan is announced to the payer and starts only if the payer accepts it.
    """
    with opened() as context:
        preview = preview_change(context, contract_id, member_id, plan)
        terms = f"From {preview.effective_on:%d/%m/%Y}: {preview.new_price} instead of {preview.old_price}."
        if as_json and not yes:
            raise DomainError(f"{terms} Repeat with --yes to change the plan.")
        if not as_json:
            for difference in preview.differences:
                click.echo(f"  {visible(difference)}")
            click.echo(terms)
        if not yes:
            click.confirm("Change the plan?", abort=True)
        change_id = change_plan(context, contract_id, member_id, plan, actor())
    if as_json:
        print_json(
            {
                "plan_change_id": change_id,
                "effective_on": preview.effective_on,
                "old_cents": preview.old_price.cents,
                "new_cents": preview.new_price.cents,
                "needs_acceptance": preview.needs_acceptance,
            }
        )
    elif preview.needs_acceptance:
        click.echo(f"The payer is asked to accept the change {change_id}; until then everything stays as it is.")
    else:
        click.echo(f"The change {change_id} takes effect on {preview.effective_on:%d/%m/%Y}.")


def _details(person: dict[str, Any]) -> PersonDetails:
    born: datetime | None = person.pop("born")
    return PersonDetails(born=born.date() if born else None, **person)
