"""What an adapter declares about its practice system; the engine decides by these facts, never by names."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum


class RepeatSafety(StrEnum):
    """What makes it safe to repeat a write whose outcome is unknown."""

    READ_BACK = "read_back"
    """Nothing does: look for the reference, and send again only when it is provably absent."""
    FILE_KEY = "file_key"
    """The reference names the file: writing it twice leaves one."""


class ReversalStyle(StrEnum):
    """How a payment is taken back."""

    ENTRY = "entry"
    """By a further entry of any part of the amount."""
    FULL_ONLY = "full_only"
    """By a further entry of exactly the whole amount."""
    NONE = "none"
    """Not at all: a person does it by hand."""


@dataclass(frozen=True, slots=True)
class SettingField:
    """One setting of a connection, as `--pms-setting name=value` takes it."""

    name: str
    description: str
    required: bool = True
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """The declared facts of one adapter. Times bound what the practice system may do after our call gave up."""

    name: str
    title: str
    transport: str
    settings: tuple[SettingField, ...]
    reference_length: int
    """Longest reference that the system stores and gives back whole; 0 when it cannot carry one."""
    repeat_safety: RepeatSafety
    reversal_style: ReversalStyle
    asynchronous: bool
    """True when a write is accepted first and appears later, so that read-back waits."""
    call_deadline: timedelta
    """Total time allowed for one call."""
    apply_delay: timedelta
    """How long after our deadline the system may still carry out a write."""
    visibility_delay: timedelta
    """How long a written entry may stay invisible to reads."""
    calls_per_minute: int = 0
    """Most requests that the system permits; the adapter's transport spaces them. 0: as many as it answers."""
    concurrency: int = 1
    """Writes that may be under way at once on one connection."""
    quality: dict[str, str] = field(default_factory=dict)
    """Quality ledger: rule -> 'done' or 'exempt: reason'."""

    @property
    def settle_window(self) -> timedelta:
        """After this time an entry that a complete read does not show was not written."""
        return self.apply_delay + self.visibility_delay
