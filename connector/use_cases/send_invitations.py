"""Send invitations: each pending contract's member gets a link to the hosted sign-up page by e-mail."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from connector.billing.clinics import Location
from connector.billing.contracts import Contract
from connector.billing.members import Member
from connector.errors import AccessDenied, EdgeError, NotSent
from connector.messaging import texts
from connector.messaging.mailer import Mailer
from connector.use_cases.context import Context
from connector.use_cases.enrol_member import invite_member

log = structlog.get_logger()


@dataclass
class InvitationReport:
    """How many were sent, and why some were not."""

    sent: int = 0
    problems: list[str] = field(default_factory=list)


def send_invitations(context: Context, mailer: Mailer, contract_ids: Iterable[str]) -> InvitationReport:
    """Invite the members of these contracts. When Stripe is away the rest is left for the next time.

    A crash between message and commit sends the message once more, which is harmless: the page is the same.
    """
    report = InvitationReport()
    for contract_id in contract_ids:
        with context.database.read() as session:
            contract = session.get_one(Contract, contract_id)
            member = session.get_one(Member, contract.member_id)
            location = session.get_one(Location, contract.location_id)
        try:
            page = invite_member(context, contract_id)
        except (NotSent, AccessDenied) as error:
            report.problems.append(str(error))
            return report
        except EdgeError as error:
            report.problems.append(f"The contract {contract_id} was not invited. {error}")
            continue
        mailer.send(texts.invitation(member.email, member.given_name, location.name, page.url))
        with context.database.unit_of_work() as session:
            session.get_one(Contract, contract_id).invited_at = context.clock.now()
        report.sent += 1
        log.info("member.invited", contract_id=contract_id)
    return report
