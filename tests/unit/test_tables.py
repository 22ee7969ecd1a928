"""Tables at the width of a terminal: whole, wrapped between words, or as blocks; never torn into letters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.cli.output import GAP, _widths, print_table


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns that knows no colours."""
    for name, value in {"TTY_COMPATIBLE": "1", "TERM": "dumb", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("narrow")
def test_a_sentence_is_wrapped_between_words(capsys: pytest.CaptureFixture[str]) -> None:
    """As long as every word fits into its column, a table stays a table."""
    why = "The practice system refused the entry because the patient is archived: restore the patient, and post again."

    print_table("Queue", ("Id", "Why"), [("wb_" + "X" * 20, why)])

    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("wb_" + "X" * 20 + "  The practice system")
    assert " ".join(" ".join(line[25:] for line in lines[2:]).split()) == why
    assert max(map(len, lines)) <= 80


@pytest.mark.usefixtures("narrow")
def test_what_cannot_fit_becomes_a_block_for_each_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Without the values that are empty; the lines of a cell stay below one another."""
    ids = tuple(letter * 30 for letter in "ABC")

    print_table("Rows", ("One", "Two", "Three", "More"), [(*ids, ["x", "y"]), (*ids, "")])

    block = ["One    " + ids[0], "Two    " + ids[1], "Three  " + ids[2]]
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["Rows", *block, "More   x", "       y", "", *block]


@given(
    st.integers(1, 4).flatmap(
        lambda n: st.lists(st.lists(st.text("ab ", max_size=20), min_size=n, max_size=n), min_size=1, max_size=4)
    ),
    st.integers(10, 80),
)
def test_columns_fit_and_hold_their_longest_word(rows: list[list[str]], room: int) -> None:
    """Or there are none, because the words alone are wider than the terminal."""
    words = [
        max((len(word) for cell in column for word in cell.split()), default=0) for column in zip(*rows, strict=True)
    ]

    widths = _widths(rows, room)

    gaps = GAP * (len(words) - 1)
    if widths is None:
        assert sum(words) + gaps > room
    else:
        assert sum(widths) + gaps <= room
        assert all(width >= word for width, word in zip(widths, words, strict=True))
