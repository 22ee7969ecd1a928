"""Which characters nobody can see: those that command a terminal, and those that only make two names look the same.

One definition for what is printed and for what is kept.
"""

from __future__ import annotations

import re

COMMANDS = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""Control characters, those that turn the direction of text, and halves of characters; for a set in an expression."""
_IGNORABLE = (
    r"\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    r"\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""What is not drawn at all (Unicode: Default_Ignorable_Code_Point, and the marks around annotations)."""
_JOINED = r"\u0590-\u1cff\ua800-\uabff\ufb1d-\ufdff\ufe70-\ufefc\U00010a00-\U00011fff"
"""Scripts from Hebrew and Arabic to those of India and beyond, whose letters a joiner or non-joiner shapes."""
_JOINERS = re.compile(f"(?<=[{_JOINED}])[\u200c\u200d](?=[{_JOINED}])")
_UNSEEN = re.compile(f"[{COMMANDS}{_IGNORABLE}]")


def holds_unseen(text: str) -> bool:
    """Whether the text has characters that cannot be seen, other than the joiners inside words that need them."""
    return _UNSEEN.search(_JOINERS.sub("", text)) is not None


def is_printable(text: str) -> bool:
    """Whether all of the text is shown on one line; joiners inside words that need them are part of it."""
    plain = _JOINERS.sub("", text)
    return plain.isprintable() and not _UNSEEN.search(plain)
