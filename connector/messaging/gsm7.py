"""The alphabet of SMS (GSM 03.38): one text has 160 places, but only 70 when any other letter is among them."""

from __future__ import annotations

import unicodedata

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPED = frozenset("\f^{}\\[~]|€")
_TYPOGRAPHY = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "\u00a0": " "})


def septets(text: str) -> int | None:
    """How many of the 160 places a text takes; None when it has letters outside the alphabet."""
    if not set(text) <= _BASIC | _ESCAPED:
        return None
    return len(text) + sum(character in _ESCAPED for character in text)


def folded(text: str) -> str:
    """The text with typographic marks and unknown accents made plain; letters with no plain form stay as they are."""
    return "".join(map(_plain, text.translate(_TYPOGRAPHY)))


def _plain(character: str) -> str:
    if character in _BASIC or character in _ESCAPED:
        return character
    base = unicodedata.normalize("NFKD", character)[0]
    return base if base in _BASIC else character
