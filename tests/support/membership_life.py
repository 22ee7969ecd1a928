"""What tests of a membership's life share: plans and policies of their own, people, and the days that go by."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date, datetime, time
from typing import Any

from connector.billing.activity import Activity
from connector.billing.agreements.contracts import Contract, Cover
from connector.billing.clinics import Location
from connector.billing.collecting.charges import ChargeAttempt
from connector.billing.invoices import Invoice
from connector.billing.members import Member
from connector.billing.offers.benefit_uses import BenefitUse
from connector.billing.offers.plan_terms import terms_of
from connector.billing.prices.discounts import Referral
from connector.messaging.models import Message
from connector.use_cases.members.add_member import Added
from connector.use_cases.members.enrol_dependent import enrol_dependent
from connector.use_cases.members.new_person import PersonDetails
from connector.use_cases.practice.set_up_location import add_plan
from tests.support.practice import FIRST_PATIENT, Enrolled, Practice, person_of

ACTOR = "person:mia"
_TABLES = (Member, Contract, Cover, Invoice, ChargeAttempt, Referral, BenefitUse, Message, Activity)


def sell(practice: Practice, name: str, **document: Any) -> str:
    """A plan of that name, 29.90 monthly unless told otherwise; returns the name."""
    terms = terms_of({"prices": {"monthly": 2990}, **document})
    add_plan(practice.context, location_slug=practice.location.slug, name=name, terms=terms, closed=True)
    return name


def decide(practice: Practice, **settings: Any) -> None:
    """Settings of the location from now on."""
    with practice.context.database.unit_of_work() as session:
        location = session.get_one(Location, practice.location.id)
        location.settings = {**location.settings, **settings}


def person(number: int, **changed: Any) -> PersonDetails:
    """The office's patient of that number, as somebody who can be invited."""
    given, family, born = person_of(number)
    return PersonDetails(**{"given_name": given, "family_name": family, "born": born, "email": "a@x.au", **changed})


def child(practice: Practice, contract_id: str, number: int, plan: str = "Essential", **changed: Any) -> Added:
    """The office's patient of that number becomes a dependent, and is linked."""
    details = person(number, **{"email": "", **changed})
    added = enrol_dependent(practice.context, contract_id, plan, details, actor=ACTOR)
    practice.link(Enrolled(added.member_id, contract_id, str(FIRST_PATIENT + number)))
    return added


def contract(practice: Practice, contract_id: str) -> Contract:
    with practice.context.database.read() as session:
        return session.get_one(Contract, contract_id)


def dues(practice: Practice, contract_id: str) -> list[tuple[str, int]]:
    """Due date and cents of the contract's invoices, oldest first."""
    rows = (row for row in practice.all(Invoice) if row.contract_id == contract_id)
    return sorted((row.due_date.isoformat(), row.amount_cents) for row in rows)


def live(practice: Practice, *days: str) -> None:
    """Come to the morning of each of these days, and charge what is due then."""
    for day in days:
        morning = datetime.combine(date.fromisoformat(day), time(9), practice.location.zone)
        practice.advance(seconds=(morning - practice.clock.now()).total_seconds())
        assert practice.charge() == []


def everything(practice: Practice) -> list[list[dict[str, Any]]]:
    """All rows that a verb might touch."""
    return [
        [
            {column.key: getattr(row, column.key) for column in model.__mapper__.column_attrs}
            for row in practice.all(model)
        ]
        for model in _TABLES
    ]


def messages(practice: Practice, subject_id: str) -> list[str]:
    """Kind and channel of what is queued about it."""
    return sorted(f"{row.kind}:{row.channel}" for row in practice.all(Message) if row.subject_id == subject_id)


def history(practice: Practice, subject_id: str) -> list[str]:
    """What was done to it, oldest first."""
    rows = sorted((row for row in practice.all(Activity) if row.subject_id == subject_id), key=lambda row: row.sequence)
    return [row.action for row in rows]


def command(practice: Practice, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """A `connector` command that works for the practice; `given` is what the person types."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("CONNECTOR_")}
    return subprocess.run(
        [sys.executable, "-m", "connector", *words],
        env={**plain, **practice.environment()},
        input=given,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def document(practice: Practice, *words: str) -> Any:
    """What a command prints with --json; it must succeed."""
    done = command(practice, *words, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)
