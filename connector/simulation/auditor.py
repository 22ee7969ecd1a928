"""The independent judge: works out from the stores of Stripe and the practice system what should stand where.

It knows none of the product's rules. From the product it takes only what people are told: the list of write-backs with
their states. What really happened it takes from the chronicle of the simulation.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from connector.sandbox.evidence import MARK, MARK_LENGTH, Direction, direction, given_back, is_taken, mark_of
from connector.simulation.agreed import Due
from connector.simulation.chronicle import Chronicle
from connector.simulation.office import Entry

UNSETTLED = frozenset({"sending", "accepted", "unknown"})
NOT_IN_PMS = frozenset({"unlinked", "ready", "queued", "sending", "accepted", "unknown", "rejected", "held"})
KEYS_LAST_SECONDS = 24 * 3_600


@dataclass(frozen=True, slots=True)
class Claim:
    """A write-back as the product lists it."""

    reference: str
    member_id: str
    patient_id: str | None
    """In whose ledger people are told that it stands, or will stand."""
    reversal: bool
    cents: int
    state: str
    touched_at: datetime


@dataclass(frozen=True, slots=True)
class Demand:
    """An invoice as the product shows it."""

    id: str
    agreement_id: str
    day: date
    """On which it is due."""
    cents: int
    settled: bool
    """It counts as paid."""
    void: bool
    """Nothing of it is owed."""


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
    entries: Sequence[Entry]
    claims: Sequence[Claim]
    demands: Sequence[Demand]
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
    expected = _with_what_was_noted(taken, returned, chronicle)
    _compare_money(expected, rows, books.claims, chronicle, verdict)
    _find_strangers(rows, books.claims, chronicle, verdict)
    _find_wrong_demands(books, chronicle, verdict)
    _find_wrong_charges(books, chronicle, verdict)
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
    for entry in chronicle.deleted:
        if entry.reference not in there:
            shown[direction(entry.reference)] += entry.cents
    for mark, incoming in sorted(expected.keys() | shown.keys()):
        wanted, found = expected.get((mark, incoming), 0), shown[mark, incoming]
        what = "payment" if incoming else "return"
        if wanted and not found:
            verdict.accuse("lost", mark, f"The {what} of {wanted} cents is neither written nor listed.")
        if wanted != found:
            verdict.unexplained_cents += abs(wanted - found)
            verdict.accuse("unexplained", mark, f"The {what} is {wanted} cents at Stripe and {found} with us.")


def _find_strangers(rows: Sequence[Entry], claims: Sequence[Claim], chronicle: Chronicle, verdict: Verdict) -> None:
    """Nothing stands with a stranger; and with a patient who was linked by mistake, nothing is left in the end.

    What is listed as on its way counts as done, and what staff have deleted as if it were there: both are told.
    """
    member_of = {claim.reference: claim.member_id for claim in claims}
    there = {row.reference for row in rows}
    deleted = [entry for entry in chronicle.deleted if entry.reference not in there]
    left: Counter[tuple[str, str, str]] = Counter()
    for row in [*rows, *deleted]:
        member_id = member_of.get(row.reference)
        if member_id is not None:
            left[row.reference[:MARK_LENGTH], member_id, row.patient_id] += row.cents
            if row.patient_id not in chronicle.patients[member_id]:
                verdict.accuse("wrong_patient", row.reference, f"The entry {row.number} stands with another patient.")
    for claim in claims:
        if claim.state in NOT_IN_PMS and claim.patient_id and claim.reference not in there:
            place = claim.reference[:MARK_LENGTH], claim.member_id, claim.patient_id
            left[place] += -claim.cents if claim.reversal else claim.cents
    for (mark, member_id, patient_id), cents in sorted(left.items()):
        if cents and patient_id != chronicle.people[member_id].patient_id:
            verdict.accuse("wrong_patient", mark, f"{cents} cents are left with the patient {patient_id}.")


def _find_wrong_demands(books: Books, chronicle: Chronicle, verdict: Verdict) -> None:
    """Each due amount is invoiced once, to the cent and for its day, and nothing else is."""
    asked: dict[str, Counter[Due]] = defaultdict(Counter)
    for demand in books.demands:
        asked[demand.agreement_id][Due(demand.day, demand.cents)] += 1
    for agreement_id in asked.keys() | chronicle.agreed.keys():
        agreed, found = chronicle.agreed.get(agreement_id), asked[agreement_id]
        wanted = Counter(agreed.dues(books.now.date()) if agreed else ())
        for due in sorted((wanted - found).elements()):
            verdict.accuse(
                "not_asked", agreement_id, f"{due.cents} cents fell due on {due.day}, and are on no invoice."
            )
        for due in sorted((found - wanted).elements()):
            verdict.accuse("not_due", agreement_id, f"{due.cents} cents were invoiced for {due.day}, and were not due.")


def _find_wrong_charges(books: Books, chronicle: Chronicle, verdict: Verdict) -> None:
    """What was taken for an invoice and kept is what it asks for, and what counts as paid was taken."""
    taken, kept = Counter[str](), Counter[str]()
    # Stripe is told of a hold before there is an invoice for it.
    of_hold = {demand.agreement_id: demand.id for demand in books.demands}
    back = given_back(books.refunds, books.disputes)
    won = {dispute["charge"] for dispute in books.disputes if dispute["status"] == "won"}
    surplus = set()
    for charge in filter(is_taken, books.charges):
        named = charge["metadata"]["invoice_id"]
        invoice = of_hold.get(named, named)
        taken[invoice] += charge["amount_captured"]
        kept[invoice] += charge["amount_captured"] - back[charge["id"]]
        if charge["id"] in won:
            surplus.add(invoice)
    for noted in chronicle.by_hand:
        taken[noted.invoice_id] += max(0, noted.cents)
        kept[noted.invoice_id] += noted.cents
    demands = {demand.id: demand for demand in books.demands}
    for invoice, cents in kept.items():
        asked = demands[invoice].cents if invoice in demands and not demands[invoice].void else 0
        # Who wins a dispute after the payer has paid in another way has more than was asked for, and is told so.
        if cents > asked and invoice not in surplus:
            verdict.accuse("double_charge", invoice, f"{cents} cents were taken for an invoice over {asked}.")
    for demand in books.demands:
        if demand.settled and taken[demand.id] < demand.cents and demand.id not in chronicle.given_up:
            sentence = f"It counts as paid, and {taken[demand.id]} of {demand.cents} cents were taken."
            verdict.accuse("not_taken", demand.id, sentence)


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
    """Each request makes one payment object, and each event is taken in once, under its own name.

    Stripe forgets a key after a day. Whoever was away for so long with an answer outstanding asks anew, and leaves
    behind an object that nobody knows, so that nothing is ever taken with it.
    """
    objects: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for one in sorted(books.payment_objects, key=lambda one: int(one["created"])):
        if charge := one["metadata"].get("charge_id"):
            objects[charge].append(one)
    for charge, found in objects.items():
        used = sum(one["latest_charge"] is not None for one in found)
        soon = any(later["created"] - one["created"] < KEYS_LAST_SECONDS for one, later in pairwise(found))
        if used > 1 or soon:
            verdict.accuse("repeat", charge, f"Stripe has {len(found)} payment objects for one charge.")
    for event, count in Counter(books.inbox).items():
        if count > 1 or event not in books.events:
            verdict.accuse("repeat", event, "The event was taken in twice, or Stripe knows none of that name.")


def _find_unresolved(books: Books, verdict: Verdict) -> None:
    for claim in books.claims:
        if claim.state in UNSETTLED and books.now - claim.touched_at > timedelta(days=1):
            verdict.accuse("unresolved", claim.reference, f"It has been {claim.state} for more than a day.")


def _our_rows(entries: Iterable[Entry], chronicle: Chronicle) -> Iterator[Entry]:
    """Entries with our mark, and those whose mark staff have overwritten."""
    for entry in entries:
        reference = chronicle.retyped.get(entry.number, entry.reference)
        if reference.startswith(MARK):
            yield Entry(entry.number, entry.patient_id, entry.cents, reference)


def _stripe_money(books: Books) -> tuple[dict[Direction, int], dict[Direction, int]]:
    """Cents taken and, negative, given back, of each charge. What is only held on a card was not taken."""
    taken: dict[Direction, int] = defaultdict(int)
    returned: dict[Direction, int] = defaultdict(int)
    back = given_back(books.refunds, books.disputes)
    for charge in filter(is_taken, books.charges):
        taken[mark_of(charge), True] += int(charge["amount_captured"])
        returned[mark_of(charge), False] -= back[charge["id"]]
    return taken, returned


def _with_what_was_noted(
    taken: Mapping[Direction, int], returned: Mapping[Direction, int], chronicle: Chronicle
) -> dict[Direction, int]:
    """Cents that came and went, also by hand.

    A payer whom a part was refunded can still dispute the whole. What the bank takes beyond the payment is the
    practice's loss, and stands in no patient's ledger.
    """
    expected = Counter({**taken, **returned})
    for noted in chronicle.by_hand:
        expected[noted.mark, noted.cents > 0] += noted.cents
    return {
        (mark, came): cents if came else max(cents, -expected[mark, True]) for (mark, came), cents in expected.items()
    }
