"""Characters that cannot be seen are refused in names, and what the scripts of the world need is kept."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.billing.intake.cells import BadCell, text_cell
from connector.cli.output import visible
from connector.errors import DomainError
from connector.unseen import holds_unseen, is_printable
from connector.use_cases.practice.contact_details import name

NAMES = [
    "Zoë Müller",
    "O\u2019Neil-Smith",
    "\u674e \u5c0f\u9f99",
    "\u0639\u0645\u0631",
    "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",
    "\u05d3\u05b8\u05bc\u05d5\u05d3",
    "\u0d36\u0d4d\u0d30\u0d40\u0d30\u0d3e\u0d7b",
    "\u0dc1\u0dca\u200d\u0dbb\u0dd3",
    "\u0e2a\u0e21\u0e0a\u0e32\u0e22",
]
"""Latin, Chinese, Arabic, Persian with a non-joiner, Hebrew with points, Malayalam, Sinhala with a joiner, Thai."""
UNSEEN = [
    *"\u200b\u200c\u200d\u200e\u200f\u061c\u00ad\u034f\u115f\u180e\u202e\u2060\u2066\u3164\ufe0f\ufeff\uffa0",
    *("\U000e0041", "\U0001d173", "\x00", "\x1b", "\x9b"),
]


@pytest.mark.parametrize("text", NAMES)
def test_names_of_all_scripts_are_kept_as_they_are(text: str) -> None:
    """In files of members and for staff, and none is hidden from a terminal."""
    assert text_cell({"given_name": text}, "given_name", 100) == text
    assert name("given name", text) == text
    assert visible(text) == text


@pytest.mark.parametrize("character", UNSEEN, ids=lambda character: f"{ord(character):04x}")
@pytest.mark.parametrize("text", ["Ada{}Lee", "{}Ada", "\u0639{}", "Ada{}\u0639"])
def test_what_cannot_be_seen_is_refused_in_a_name(character: str, text: str) -> None:
    """Two people of one name would look the same, and a terminal might turn the line around."""
    with pytest.raises(BadCell, match="characters that cannot be seen"):
        text_cell({"given_name": text.format(character)}, "given_name", 100)
    with pytest.raises(DomainError, match="printable characters"):
        name("given name", text.format(character))


@given(st.characters(categories=("Cc", "Cf", "Cs", "Zl", "Zp")))
def test_no_character_of_format_or_control_is_seen(character: str) -> None:
    """Except for those that are drawn, such as the sign of an Arabic number."""
    drawn = (
        unicodedata.name(character, "").startswith(("ARABIC", "SYRIAC", "KAITHI", "EGYPTIAN")) and character != "\u061c"
    )

    assert holds_unseen(f"a{character}b") is not drawn
    assert not is_printable(f"a{character}b")


@given(st.text())
def test_what_a_terminal_must_not_get_is_never_kept(text: str) -> None:
    """Whatever the terminal filter would replace, names do not have."""
    if visible(text) != text:
        assert holds_unseen(text)
