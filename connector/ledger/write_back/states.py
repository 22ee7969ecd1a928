"""The states of a write-back and the steps between them. Pure.

    unlinked -> ready (by hand) | queued (by itself) -> sending -> accepted -> confirmed

`sending` is committed before the request leaves. A clear refusal makes `rejected`, no clear answer makes `unknown`,
which is resolved by looking and never by sending again. Whatever looking cannot settle is `held` for a person.
"""

from __future__ import annotations

from enum import StrEnum

from connector.errors import InvariantBroken


class WriteBackState(StrEnum):
    """Where the recording of one amount in the practice system stands."""

    UNLINKED = "unlinked"
    """The member is not linked to a patient yet; it goes out by itself once linked."""
    READY = "ready"
    """Waits for a person to post it."""
    QUEUED = "queued"
    """Will be sent by itself."""
    SENDING = "sending"
    """The request may have left; whether it arrived is open until the outcome is committed."""
    ACCEPTED = "accepted"
    """The practice system said yes; not yet proven by reading back."""
    CONFIRMED = "confirmed"
    """Read back from the practice system under our reference."""
    REJECTED = "rejected"
    """The practice system refused it; a person must act."""
    UNKNOWN = "unknown"
    """No clear answer; looked up until it is clear."""
    HELD = "held"
    """The evidence is ambiguous; a person decides."""
    RECORDED = "recorded"
    """A person has typed it into the practice system (Mark Recorded)."""


S = WriteBackState

STEPS: dict[WriteBackState, frozenset[WriteBackState]] = {
    S.UNLINKED: frozenset({S.QUEUED, S.READY, S.RECORDED}),
    S.READY: frozenset({S.QUEUED, S.UNLINKED, S.RECORDED}),
    S.QUEUED: frozenset({S.SENDING, S.CONFIRMED, S.UNLINKED, S.READY, S.HELD, S.RECORDED}),
    S.SENDING: frozenset({S.ACCEPTED, S.REJECTED, S.UNKNOWN, S.QUEUED}),
    S.ACCEPTED: frozenset({S.CONFIRMED, S.HELD}),
    S.UNKNOWN: frozenset({S.CONFIRMED, S.QUEUED, S.UNLINKED, S.HELD}),
    S.REJECTED: frozenset({S.QUEUED, S.UNLINKED, S.RECORDED}),
    S.HELD: frozenset({S.QUEUED, S.RECORDED}),
    S.RECORDED: frozenset({S.READY, S.UNLINKED}),
    S.CONFIRMED: frozenset(),
}

WAITING = (S.UNLINKED, S.READY, S.QUEUED, S.SENDING, S.ACCEPTED, S.UNKNOWN, S.REJECTED, S.HELD)
"""Everything that is not yet in the practice system for certain."""

ABSENT = (S.UNLINKED, S.READY, S.QUEUED, S.REJECTED)
"""Waiting, and surely not in the practice system: never sent, refused, or proven to be absent."""


def check_step(before: WriteBackState, after: WriteBackState) -> None:
    """Raise InvariantBroken for a step that the table does not have."""
    if after not in STEPS[before]:
        raise InvariantBroken(f"A write-back cannot go from {before} to {after}.")
