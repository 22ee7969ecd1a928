"""What follows from a look or from an answer: the next step of a row. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from connector.errors import AccessDenied, EdgeError, NotSent, PeriodClosed, Rejected, Unsupported
from connector.ledger.write_back.evidence import Evidence, Finding
from connector.ledger.write_back.models import Leg, WriteBack
from connector.ledger.write_back.states import WriteBackState
from connector.pms_adapters.manifest import Manifest

S = WriteBackState

ATTEMPTS_MAX = 5
LOOKS_NEEDED = 2
"""An entry counts as absent only after so many complete reads, a settle window apart."""
FAILED_LOOKS_MAX = 10
BACK_OFF = timedelta(minutes=1)
BACK_OFF_MAX = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Change:
    """The next state of a row (None: it stays), the reason as a sentence, and other columns to set."""

    row: WriteBack
    after: WriteBackState | None
    reason: str | None = None
    columns: dict[str, Any] = field(default_factory=dict)


def found(row: WriteBack, evidence: Evidence, now: datetime) -> Change | None:
    """A look that is conclusive, or ambiguous for good; None when the entry is not there."""
    match evidence.finding:
        case Finding.PRESENT:
            sent_to = row.sent_to_patient_id or row.pms_patient_id
            proof = {"pms_entry_id": evidence.entry_id, "pms_entry_date": evidence.entry_date, "confirmed_at": now}
            return Change(row, S.CONFIRMED, None, {**proof, "sent_to_patient_id": sent_to})
        case Finding.AMBIGUOUS:
            return Change(row, S.HELD, evidence.doubt)
        case Finding.ABSENT:
            return None


def unmarkable(row: WriteBack, manifest: Manifest) -> Change | None:
    """Where the practice system cannot keep our reference nothing could be proven, so a person types the entry in."""
    if len(row.reference) <= manifest.reference_length:
        return None
    return Change(
        row, S.HELD, "The practice system cannot keep our reference: enter this by hand and mark it as recorded."
    )


def misdirected(row: WriteBack) -> Change:
    """A payment that cannot go to its patient any more."""
    reason = "The patient was deleted, archived or merged in the practice system: link the member again, then post it."
    return Change(row, S.HELD, reason)


def absent(row: WriteBack, manifest: Manifest, now: datetime, *, stopped: bool = True) -> Change:
    """A complete look did not show an accepted or unknown row.

    `stopped`: whoever sent it has surely stopped, so that it cannot arrive any more once its time has passed.
    """
    looks = row.looks + 1
    if manifest.asynchronous and row.state is S.ACCEPTED:
        return Change(row, None, row.reason, {"next_attempt_at": now + pause(looks), "looks": looks})
    if looks < LOOKS_NEEDED:
        wait = max(manifest.settle_window, timedelta(seconds=1))
        return Change(row, None, row.reason, {"next_attempt_at": now + wait, "looks": looks})
    if row.state is S.ACCEPTED:
        return Change(
            row, S.HELD, "The practice system accepted the entry but does not show it: check the patient's ledger."
        )
    if not stopped:
        return Change(
            row,
            S.HELD,
            "Another installation was interrupted while it sent this: stop that one, look in the practice system, then "
            "post it by hand.",
        )
    if row.attempts >= ATTEMPTS_MAX:
        return Change(row, S.HELD, f"It was sent {row.attempts} times and never arrived: check the connection.")
    if row.pms_patient_id is None:
        return Change(row, S.UNLINKED, "It did not arrive, and the member's link was ended meanwhile.", {"looks": 0})
    return Change(row, S.QUEUED, "It did not arrive and is sent again.", {"next_attempt_at": now, "looks": 0})


def look_failed(row: WriteBack, error: EdgeError, now: datetime) -> Change:
    """A read that failed proves nothing; after many of them a person is told."""
    failed = row.failed_looks + 1
    if failed >= FAILED_LOOKS_MAX and row.state is S.UNKNOWN:
        return Change(row, S.HELD, f"It could not be looked up {failed} times. {error}", {"failed_looks": failed})
    return Change(row, None, row.reason, {"failed_looks": failed, "next_attempt_at": now + pause(failed)})


def answered(row: WriteBack, manifest: Manifest, now: datetime) -> Change:
    """The practice system said yes: a claim, to be proven by reading back."""
    wait = BACK_OFF if manifest.asynchronous else manifest.visibility_delay
    return Change(row, S.ACCEPTED, None, {"next_attempt_at": now + wait})


def refused(row: WriteBack, error: EdgeError, manifest: Manifest, now: datetime) -> Change:
    """A write that did not end well, by the class of its error."""
    if isinstance(error, (NotSent, AccessDenied)):
        # Certainly nothing was written, so the claim does not count towards ATTEMPTS_MAX.
        return Change(row, S.QUEUED, str(error), {"next_attempt_at": now + BACK_OFF, "attempts": row.attempts - 1})
    if isinstance(error, PeriodClosed) and error.open_from > row.dated:
        redated = {**dated_later(row, error.open_from), "next_attempt_at": now, "attempts": row.attempts - 1}
        return Change(row, S.QUEUED, f"{error} It is entered on {error.open_from:%d/%m/%Y}.", redated)
    if isinstance(error, (Rejected, Unsupported)):
        return Change(row, S.REJECTED, str(error))
    return unclear(row, str(error), manifest, now)


def dated_later(row: WriteBack, day: date) -> dict[str, Any]:
    """The columns of an entry that cannot be dated on its own day; the note keeps the true one."""
    true = f" (of {row.entry_date:%d/%m/%Y})"
    return {"ledger_date": day, "note": row.note if row.note.endswith(true) else row.note + true}


def reversal_by_hand(row: WriteBack) -> Change:
    """What takes back an entry that was marked as recorded."""
    entry = "payment" if row.leg is Leg.REVERSAL else "reversal"
    return Change(row, S.HELD, f"Its {entry} was typed in by hand: reverse it by hand, then mark this as recorded.")


def unclear(row: WriteBack, reason: str, manifest: Manifest, now: datetime) -> Change:
    """Nobody knows whether the write landed. The first look waits until it can no longer land unseen."""
    landed = (row.sent_at or now) + manifest.call_deadline + manifest.settle_window
    return Change(row, S.UNKNOWN, reason, {"next_attempt_at": max(now, landed)})


def pause(times: int) -> timedelta:
    """Back-off after so many failures: one minute, doubling, at most an hour."""
    doubled: int = 2 ** min(max(times - 1, 0), 10)
    return min(BACK_OFF * doubled, BACK_OFF_MAX)
