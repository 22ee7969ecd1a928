"""How the office's database compares text: without regard to case or accents, and phone numbers by their digits."""

from __future__ import annotations

import re
import unicodedata


def fold(name: str) -> str:
    """The form under which a name is compared and sorted."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", name.strip()) if not unicodedata.combining(char))
    return plain.casefold()


def digits(phone: str) -> str:
    """A phone number's digits without a leading 1, the trunk prefix that the vendor treats as optional."""
    return re.sub(r"\D", "", phone).removeprefix("1")
