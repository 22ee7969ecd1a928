"""`connector members suspend`, `reactivate`, `cancel`: pauses and ends of memberships."""

from __future__ import annotations

from dataclasses import replace

import click

from connector.billing.agreements.contracts import AgreementStatus
from connector.cli.context import actor, opened
from connector.cli.identifiers import CONTRACT, MEMBER
from connector.cli.output import json_option, print_json
from connector.errors import DomainError
from connector.use_cases.members.cancel_membership import Consent, Leaving, cancel_membership, preview_cancel
from connector.use_cases.members.suspend_member import reactivate_member, suspend_member


@click.command()
@click.argument("contract_id", type=CONTRACT)
@json_option
def suspend(contract_id: str, as_json: bool) -> None:
    """Pause CONTRACT_ID: nothing is invoiced or retried, and benefits are frozen."""
    with opened() as context:
        suspend_member(context, contract_id, actor=actor())
    _said(contract_id, "suspended", as_json=as_json)


@click.command()
@click.argument("contract_id", type=CONTRACT)
@click.option("--override", is_flag=True, help="Also what was exported, which must not be charged elsewhere any more.")
@json_option
def reactivate(contract_id: str, override: bool, as_json: bool) -> None:
    """Let the suspended CONTRACT_ID go on; the periods of the pause are not billed."""
    with opened() as context:
        reactivate_member(context, contract_id, actor=actor(), override=override)
    _said(contract_id, "reactivated", as_json=as_json)


@click.command()
@click.argument("contract_id", type=CONTRACT)
@click.option("--override", is_flag=True, help="Cancel within a lock-in that blocks it; nothing is charged then.")
@click.option("--cancel-dependents", is_flag=True, help="Cancel for the dependents, too.")
@click.option("--promote", type=MEMBER, metavar="MEMBER", help="Dependent who goes on as the others' account holder.")
@click.option("--yes", is_flag=True, help="Do not ask; needed with --json.")
@json_option
def cancel(
    contract_id: str, override: bool, cancel_dependents: bool, promote: str | None, yes: bool, as_json: bool
) -> None:
    """Cancel CONTRACT_ID for good, after showing what is owed."""
    with opened() as context:
        consent = Consent(override, cancel_dependents, promote or "")
        if not yes:
            terms = preview_cancel(context, contract_id, consent)
            sentence = f"{terms.reason} The last day is {terms.last_day:%d/%m/%Y}."
            if as_json:
                raise DomainError(f"{sentence} Owed: {terms.owed}. Repeat with --yes to cancel.")
            click.echo(sentence)
            charge = f" and charge {terms.owed}" if terms.owed else ""
            click.confirm(f"Cancel {contract_id}{charge}?", abort=True)
            consent = replace(consent, agreed=terms.owed)
        left = cancel_membership(context, contract_id, consent, actor=actor())
    if as_json:
        print_json(_document(contract_id, left))
    else:
        verb = "is cancelled" if left.status is AgreementStatus.CANCELLED else "is under notice"
        click.echo(f"The contract {contract_id} {verb}; its last day is {left.terms.last_day:%d/%m/%Y}.")
        if left.new_contract_id:
            click.echo(f"The dependents go on with the contract {left.new_contract_id}, once its holder has signed it.")


def _document(contract_id: str, left: Leaving) -> dict[str, object]:
    return {
        "contract_id": contract_id,
        "status": left.status.value,
        "owed_cents": left.terms.owed.cents,
        "due": [day.isoformat() for day in left.terms.due],
        "last_day": left.terms.last_day,
        "reason": left.terms.reason,
        "new_contract_id": left.new_contract_id,
    }


def _said(contract_id: str, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"contract_id": contract_id, "done": what})
    else:
        click.echo(f"The contract {contract_id} is {what}.")
