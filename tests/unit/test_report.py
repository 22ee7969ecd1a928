"""The report of a day: its figures add up, and it prints as JSON, as a table and as CSV without surprises."""

from __future__ import annotations

import csv
import json
from datetime import date
from decimal import Decimal
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.cli.output import dollars, fail, print_csv, print_json, print_table
from connector.reconciliation.differences import Difference, DifferenceKind
from connector.reconciliation.report import DayReport, Line


def report(
    taken: list[int], waiting: int = 0, differences: tuple[Difference, ...] = (), problems: tuple[str, ...] = ()
) -> DayReport:
    """A day on which everything taken was written, but for the first `waiting` payments."""
    return DayReport(
        location="leura",
        business_date=date(2026, 11, 21),
        currency="aud",
        taken=Line(len(taken), sum(taken)),
        fees=Line(len(taken), 3 * len(taken)),
        returned=Line(),
        written=Line(len(taken) - waiting, sum(taken[waiting:])),
        recorded_by_hand=Line(),
        waiting={"queued": Line(waiting, sum(taken[:waiting])), "held": Line()},
        moved=Line(),
        pms_other=Line(),
        differences=differences,
        problems=problems,
        day_is_over=True,
    )


def difference(cents: int) -> Difference:
    return Difference(DifferenceKind.NOT_RECORDED, "ch_1", cents, "Stripe moved this money.")


@given(st.lists(st.integers(min_value=1, max_value=100_000), max_size=20), st.integers(min_value=0, max_value=20))
def test_what_was_taken_is_written_or_waits(taken: list[int], waiting: int) -> None:
    """By the lines of the page themselves."""
    shown = {name: (count, cents) for name, count, cents in report(taken, min(waiting, len(taken))).figures()}

    for column in (0, 1):
        came = shown["taken"][column] + shown["returned"][column]
        went = sum(line[column] for name, line in shown.items() if name.startswith(("written", "recorded", "waiting")))
        assert came == went


def test_differences_of_opposite_sign_do_not_hide_each_other() -> None:
    """A cent too much and a cent too little are two cents unexplained."""
    found = report([100], differences=(difference(500), difference(-500)))

    assert found.unexplained_cents == 1_000
    assert not found.agrees
    assert found.figures()[-1] == ("unexplained", 2, 1_000)


@pytest.mark.parametrize(
    ("differences", "problems", "agrees"),
    [((), (), True), ((difference(1),), (), False), ((), ("The day sheet could not be read.",), False)],
)
def test_a_day_agrees_only_if_both_books_were_compared(
    differences: tuple[Difference, ...], problems: tuple[str, ...], agrees: bool
) -> None:
    """Silence of a book is no agreement."""
    assert report([100], differences=differences, problems=problems).agrees is agrees


def test_a_day_does_not_agree_while_something_waits() -> None:
    """What is not in the practice system for certain cannot be called settled."""
    assert not report([100], waiting=1).agrees


def test_the_document_says_what_the_page_says() -> None:
    """The same figures as plain values, which survive being written as JSON."""
    found = report([100, 250], waiting=1, differences=(difference(-5),), problems=("No sheet.",))

    document = json.loads(json.dumps(found.as_json()))

    assert document["taken"] == {"count": 2, "cents": 350}
    assert document["written"] == {"count": 1, "cents": 250}
    assert document["waiting"] == {"queued": {"count": 1, "cents": 100}, "held": {"count": 0, "cents": 0}}
    assert (document["unexplained_cents"], document["agrees"]) == (5, False)
    assert document["differences"][0]["next_step"].startswith("Look it up at Stripe")


def test_a_line_counts_and_adds() -> None:
    """One more thing of so many cents."""
    assert Line().plus(250).plus(-50) == Line(2, 200)


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", '=HYPERLINK("http://x","y")'])
def test_a_text_never_becomes_a_formula(cell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A spreadsheet would run what a patient has typed as a name."""
    print_csv(("name",), [(cell,)])

    header, row = csv.reader(StringIO(capsys.readouterr().out, newline=""))
    assert (header, row) == (["name"], [f"'{cell}".replace("\r", "\n").replace("\t", "?")])


def test_figures_and_harmless_texts_are_written_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Negative numbers are numbers; commas, quotes and line breaks are quoted."""
    print_csv(("a", "b", "c"), [(-5, Decimal("-0.05"), 'He said "a, b"\nand left')])

    text = capsys.readouterr().out
    assert list(csv.reader(StringIO(text)))[1] == ["-5", "-0.05", 'He said "a, b"\nand left']
    assert "\r" not in text


@pytest.mark.parametrize(
    ("cents", "shown"),
    [(0, "0.00"), (5, "0.05"), (-5, "-0.05"), (123_450, "1,234.50"), (-99_999_999, "-999,999.99")],
)
def test_cents_are_shown_as_dollars(cents: int, shown: str) -> None:
    """With thousands apart and always two decimals."""
    assert dollars(cents) == shown


@given(st.integers(min_value=-(10**14), max_value=10**14))
def test_no_cent_is_lost_in_showing(cents: int) -> None:
    """Also for sums that no practice will ever see."""
    assert Decimal(dollars(cents).replace(",", "")) == Decimal(cents).scaleb(-2)


def test_a_refusal_is_one_sentence_or_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error for people, on standard output for machines; the exit code is 1 either way."""
    for as_json in (False, True):
        with pytest.raises(SystemExit) as ended:
            fail("There is no such location.", as_json=as_json)
        assert ended.value.code == 1

    captured = capsys.readouterr()
    assert captured.err == "Error: There is no such location.\n"
    assert json.loads(captured.out) == {"error": "There is no such location."}


def test_a_table_keeps_long_cells_whole_and_says_when_it_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    """Output that goes to a file is not cut at the width of a terminal that is not there."""
    print_table("Queue", ("id", "amount"), [("wb_" + "X" * 40, "1,234.50")], right=(1,))
    print_table("Nothing", ("id",), [])

    text = capsys.readouterr().out
    assert "wb_" + "X" * 40 in text
    assert "None." in text


def test_letters_of_all_languages_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON for machines stays readable for people."""
    print_json({"name": "Đỗ Nguyễn"})

    assert "Đỗ Nguyễn" in capsys.readouterr().out
