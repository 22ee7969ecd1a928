"""The independent judge: works out from the stores of Stripe and the practice system what should stand where.

It knows none of the product's rules. From the product it takes only what people are told: the list of write-backs with
their states. What really happened it takes from the chronicle of the simulation.
"""

from __future__ import annotations

from calendar import monthrange
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from connector.sandbox.evidence import MARK, Direction, direction, given_back, is_taken, mark_of
from connector.simulation.chronicle import Chronicle
from connector.simulation.office import Entry

UNSETTLED = frozenset({"sending", "accepted", "unknown"})
NOT_IN_PMS = frozenset({"unlinked", "ready", "queued", "sending", "accepted", "unknown", "rejected", "held"})
CLOCKS_DIFFER = timedelta(days=1)
"""Our clock may be wrong by so much when it decides that something is due."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A write-back as the product lists it."""

    reference: str
    member_id: str
    reversal: bool
    cents: int
    state: str
    touched_at: datetime


@dataclass(frozen=True, slots=True)
class Books:
    """All that the judge looks at."""

    charges: Sequence[Mapping[str, Any]]
    refunds: Sequence[Mapping[str, Any]]
    disputes: Sequence[Mapping[str, Any]]
    payment_objects: Sequence[Mapping[str, Any]]
    """Stripe's PaymentIntents."""
    events: frozenset[str]
    """Ids of Stripe's own events."""
    inbox: Sequence[str]
    """Ids of the events that the product has taken in."""
    customers: Mapping[str, str]
    """Member of each Stripe customer."""
    entries: Sequence[Entry]
    claims: Sequence[Claim]
    now: datetime
    """In the practice's zone."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise: its kind, the mark or the member that it is about, and what is wrong."""

    kind: str
    about: str
    sentence: str


@dataclass
class Verdict:
    """Sums, and every broken promise."""

    charges_succeeded: int = 0
    charged_cents: int = 0
    write_backs_confirmed: int = 0
    written_cents: int = 0
    reversals_confirmed: int = 0
    unexplained_cents: int = 0
    violations: list[Violation] = field(default_factory=list)

    def count(self, kind: str) -> int:
        return sum(violation.kind == kind for violation in self.violations)

    def accuse(self, kind: str, about: str, sentence: str) -> None:
        self.violations.append(Violation(kind, about, sentence))


def judge(books: Books, chronicle: Chronicle) -> Verdict:
    """Compare everything with everything."""
    verdict = Verdict()
    taken, returned = _stripe_money(books)
    verdict.charges_succeeded = sum(is_taken(charge) for charge in books.charges)
    verdict.charged_cents = sum(taken.values())
    confirmed = [claim for claim in books.claims if claim.state == "confirmed"]
    verdict.write_backs_confirmed = sum(not claim.reversal for claim in confirmed)
    verdict.reversals_confirmed = sum(claim.reversal for claim in confirmed)
    rows = list(_our_rows(books.entries, chronicle))
    verdict.written_cents = sum(row.cents for row in rows)
    _find_duplicates(rows, verdict)
    _compare_money({**taken, **returned}, rows, books.claims, chronicle, verdict)
    _find_strangers(rows, books.claims, chronicle, verdict)
    _find_double_charges(books, chronicle, verdict)
    _find_double_refunds(books, chronicle, verdict)
    _find_repeats(books, verdict)
    _find_unresolved(books, verdict)
    return verdict


def _find_duplicates(rows: Sequence[Entry], verdict: Verdict) -> None:
    for reference, count in Counter(row.reference for row in rows).items():
        for _ in range(count - 1):
            verdict.accuse("duplicate", reference, f"{count} entries carry the reference {reference}.")


def _compare_money(
    expected: Mapping[Direction, int],
    rows: Sequence[Entry],
    claims: Sequence[Claim],
    chronicle: Chronicle,
    verdict: Verdict,
) -> None:
    """Each charge stands in the practice system, or on the list of what does not yet."""
    there = {row.reference for row in rows}
    shown: Counter[Direction] = Counter()
    for row in rows:
        shown[direction(row.reference)] += row.cents
    for claim in claims:
        if claim.state in NOT_IN_PMS and claim.reference not in there:
            shown[direction(claim.reference)] += -claim.cents if claim.reversal else claim.cents
    for reference, cents in chronicle.deleted.items():
        if reference not in there:
            shown[direction(reference)] += cents
    for mark, incoming in sorted(expected.keys() | shown.keys()):
        wanted, found = expected.get((mark, incoming), 0), shown[mark, incoming]
        what = "payment" if incoming else "return"
        if wanted and not found:
            verdict.accuse("lost", mark, f"The {what} of {wanted} cents is neither written nor listed.")
        if wanted != found:
            verdict.unexplained_cents += abs(wanted - found)
            verdict.accuse("unexplained", mark, f"The {what} is {wanted} cents at Stripe and {found} with us.")


def _find_strangers(rows: Sequence[Entry], claims: Sequence[Claim], chronicle: Chronicle, verdict: Verdict) -> None:
    member_of = {claim.reference: claim.member_id for claim in claims}
    for row in rows:
        member_id = member_of.get(row.reference)
        if member_id is not None and row.patient_id not in chronicle.patients[member_id]:
            verdict.accuse("wrong_patient", row.reference, f"The entry {row.number} stands with another patient.")


def _find_double_charges(books: Books, chronicle: Chronicle, verdict: Verdict) -> None:
    """No invoice is paid twice, and nobody more often than something was due."""
    back = given_back(books.refunds, books.disputes)
    kept = [charge for charge in books.charges if is_taken(charge) and back[charge["id"]] < charge["amount_captured"]]
    for invoice, count in Counter(charge["metadata"]["invoice_id"] for charge in kept).items():
        if count > 1:
            verdict.accuse("double_charge", invoice, f"The invoice was charged {count} times.")
    for customer, count in Counter(charge["customer"] for charge in kept).items():
        member_id = books.customers[customer]
        due = dues(chronicle, member_id, books.now.date() + CLOCKS_DIFFER)
        if count > due:
            verdict.accuse("double_charge", member_id, f"The member was charged {count} times for {due} dues.")


def _find_double_refunds(books: Books, chronicle: Chronicle, verdict: Verdict) -> None:
    """Nobody gets more back than was asked for."""
    back: Counter[str] = Counter()
    for refund in books.refunds:
        if refund["status"] != "failed":
            back[refund["charge"]] += int(refund["amount"])
    for charge, cents in back.items():
        if cents > chronicle.given_back[charge]:
            asked = chronicle.given_back[charge]
            verdict.accuse("double_refund", charge, f"{cents} cents were given back where {asked} were asked for.")


def _find_repeats(books: Books, verdict: Verdict) -> None:
    """Each request makes one payment object, and each event is taken in once, under its own name."""
    for charge, count in Counter(one["metadata"].get("charge_id") for one in books.payment_objects).items():
        if charge and count > 1:
            verdict.accuse("repeat", charge, f"Stripe has {count} payment objects for one charge.")
    for event, count in Counter(books.inbox).items():
        if count > 1 or event not in books.events:
            verdict.accuse("repeat", event, "The event was taken in twice, or Stripe knows none of that name.")


def _find_unresolved(books: Books, verdict: Verdict) -> None:
    for claim in books.claims:
        if claim.state in UNSETTLED and books.now - claim.touched_at > timedelta(days=1):
            verdict.accuse("unresolved", claim.reference, f"It has been {claim.state} for more than a day.")


def dues(chronicle: Chronicle, member_id: str, until: date) -> int:
    """How many amounts had become due to the member by that day, counted in the plainest way."""
    joined = chronicle.joined.get(member_id)
    if joined is None:
        return 0
    last = min(until, chronicle.left.get(member_id, until))
    instalments = sum(day <= until for day in chronicle.instalments.get(member_id, ()))
    return instalments + sum(1 for _ in _periods(joined, chronicle.people[member_id].frequency.value, last))


def _periods(first: date, frequency: str, last: date) -> Iterator[date]:
    number, day = 0, first
    while day <= last:
        yield day
        number += 1
        if frequency in ("weekly", "fortnightly"):
            day = first + timedelta(days=number * (7 if frequency == "weekly" else 14))
        else:
            months = first.month - 1 + number * (12 if frequency == "annually" else 1)
            year, month = first.year + months // 12, months % 12 + 1
            day = date(year, month, min(first.day, monthrange(year, month)[1]))


def _our_rows(entries: Iterable[Entry], chronicle: Chronicle) -> Iterator[Entry]:
    """Entries with our mark, and those whose mark staff have overwritten."""
    for entry in entries:
        reference = chronicle.retyped.get(entry.number, entry.reference)
        if reference.startswith(MARK):
            yield Entry(entry.number, entry.patient_id, entry.cents, reference)


def _stripe_money(books: Books) -> tuple[dict[Direction, int], dict[Direction, int]]:
    """Cents taken and, negative, given back, of each charge. What is only held on a card was not taken.

    A payer whom a part was refunded can still dispute the whole. What the bank takes beyond the payment is the
    practice's loss, and stands in no patient's ledger.
    """
    taken: dict[Direction, int] = defaultdict(int)
    for charge in books.charges:
        if is_taken(charge):
            taken[mark_of(charge), True] += int(charge["amount_captured"])
    back = given_back(books.refunds, books.disputes)
    returned: dict[Direction, int] = {}
    for charge in books.charges:
        if is_taken(charge) and back[charge["id"]]:
            returned[mark_of(charge), False] = -min(back[charge["id"]], int(charge["amount_captured"]))
    return dict(taken), returned
