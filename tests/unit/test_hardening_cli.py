"""The command line shows and takes what may be hostile or secret: control characters, names, keys."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from connector.billing.clinics import Location
from connector.billing.offers.plan_files import starter
from connector.billing.offers.plans import MembershipPlan
from connector.cli import account, locations, main
from connector.cli.context import actor
from connector.cli.output import fail, print_csv, print_json, print_table, visible
from connector.errors import DomainError
from connector.ledger.write_back.queue import CONNECTOR
from connector.use_cases.practice.set_up_location import add_location, add_plan
from connector.use_cases.transfer.import_members import FILE_MAX, import_members
from tests.support.book import Book, opened_book

CLEAR_SCREEN = "\x1b[2J\x9b31m\u202eetirw\x00\x7f"
HARMLESS = "?[2J?31m?etirw??"
KEY = "sk_test_canary"


@pytest.fixture
def book(tmp_path: Path, template: Path) -> Iterator[Book]:
    file = tmp_path / "connector.sqlite3"
    file.write_bytes(template.read_bytes())
    with opened_book(f"sqlite:///{file.as_posix()}", tmp_path) as opened:
        yield opened


@given(st.text())
def test_what_is_visible_is_one_line_without_any_command(text: str) -> None:
    """Of the same length, and the same where nothing was to be replaced."""
    shown = visible(text)

    assert len(shown) == len(text)
    assert not [character for character in shown if ord(character) < 32 or 0x7F <= ord(character) < 0xA0]
    assert all(new in (old, "?") for old, new in zip(text, shown, strict=True))
    shown.encode()


@pytest.mark.parametrize("text", ["Zoë Müller", "李", "عمر", "O’Neil – 50 %", "👩‍⚕️", "plain"])
def test_ordinary_text_of_any_language_stays_as_it_is(text: str) -> None:
    """Only commands are replaced."""
    assert visible(text) == text


def test_tables_sentences_and_csv_show_no_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """What comes from files and other systems cannot clear the screen or write backwards; our own lines stay."""
    print_table(CLEAR_SCREEN, ("A", "B"), [(CLEAR_SCREEN, ["one", CLEAR_SCREEN])])
    print_csv(("a",), [(CLEAR_SCREEN,), ("two\nlines",)])
    with pytest.raises(SystemExit):
        fail(CLEAR_SCREEN, as_json=False)

    out, err = capsys.readouterr()
    assert out.count(HARMLESS) == 4
    assert '"two\nlines"' in out
    assert err == f"Error: {HARMLESS}\n"
    assert visible(out + err).count("?") == (out + err).count("?") + (out + err).count("\n")


def test_json_escapes_what_would_command_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A machine reads the very same text."""
    print_json({CLEAR_SCREEN: ["\ud800", "Zoë"]})

    out = capsys.readouterr().out
    assert json.loads(out) == {CLEAR_SCREEN: ["\ud800", "Zoë"]}
    assert visible(out).count("?") == out.count("\n")
    assert "Zoë" in out


def test_the_actor_is_the_systems_account_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps in the history must not be signed with somebody else's name."""
    before = actor()
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")

    assert actor() == before == f"person:{account.account_name()}"


@pytest.mark.parametrize("name", [CONNECTOR, "mia\x1b[2J", ""])
def test_the_actor_is_never_the_machine_and_always_printable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account may have any name, even that of the program."""
    monkeypatch.setattr("connector.cli.context.account_name", lambda: name)

    assert actor().startswith("person:")
    assert actor().isprintable()
    assert actor() != CONNECTOR


def settle(*options: str, typed: str = "") -> tuple[Result, dict[str, str]]:
    """`locations add` with these settings; returns how it ended and what would be stored."""
    stored: dict[str, str] = {}

    @contextmanager
    def opened(**_options: bool) -> Iterator[None]:
        yield

    def add(_context: None, *, pms_settings: dict[str, str], **_others: str) -> str:
        stored.update(pms_settings)
        return "loc_1"

    required = ("--name", "Leura", "--timezone", "Australia/Sydney", "--currency", "aud", "--pms", "file_drop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locations, "opened", opened)
        patch.setattr(locations, "add_location", add)
        patch.setattr(locations, "open_if_ready", lambda _context, _slug: "")
        given_settings = [part for option in options for part in ("--pms-setting", option)]
        result = CliRunner().invoke(locations.add, ["leura", *required, *given_settings, "--json"], input=typed)
    return result, stored


def test_a_setting_is_given_inline_from_a_file_or_at_a_hidden_prompt(tmp_path: Path) -> None:
    """A key on the command line is seen by other accounts and kept by the shell."""
    (tmp_path / "key.txt").write_text(f"\ufeff  {KEY}\r\n", encoding="utf-8")

    result, stored = settle("a=x=y", f"b=@{tmp_path / 'key.txt'}", "c=-", "d=", typed=f"{KEY}2\n")

    assert stored == {"a": "x=y", "b": KEY, "c": f"{KEY}2", "d": ""}
    assert json.loads(result.stdout)["slug"] == "leura"
    assert KEY not in result.output


@pytest.mark.parametrize("option", [KEY, f"={KEY}", f"b=@{KEY}"])
def test_a_setting_that_cannot_be_used_is_refused_without_showing_it(option: str) -> None:
    """What stands there may be a key whose name was forgotten."""
    result, stored = settle(option)

    assert (result.exit_code, stored) == (2, {})
    assert KEY not in result.output


def test_a_file_that_holds_no_setting_is_refused(tmp_path: Path) -> None:
    """Neither something endless nor something else than text is taken for a key."""
    (tmp_path / "long").write_bytes(b"x" * (locations.SETTING_MAX + 1))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")

    for path in (tmp_path / "long", tmp_path / "bytes", tmp_path, Path(os.devnull)):
        result, stored = settle(f"b=@{path}")
        assert (result.exit_code, stored) == (2, {})
        assert "cannot be read, or is no short text" in result.output


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "clear\x1b[2J", "\u202eetirw", "x" * 101])
def test_a_name_is_one_short_printable_line(book: Book, name: str) -> None:
    """Of a location, its clinic, and a plan; nothing is added otherwise."""
    others = {"timezone": "Australia/Sydney", "currency": "aud", "pms": "file_drop", "pms_settings": {"folder": "/x"}}

    with pytest.raises(DomainError, match="name"):
        add_location(book.context, slug="new", name=name, **others)  # type: ignore[arg-type]
    with pytest.raises(DomainError, match="name"):
        add_location(book.context, slug="new", name="New", clinic=name or "\t", **others)  # type: ignore[arg-type]
    with pytest.raises(DomainError, match="name"):
        add_plan(book.context, location_slug="leura", name=name, terms=starter("essential"))

    with book.context.database.read() as session:
        assert session.scalars(select(Location.slug)).all() == ["leura"]
        assert len(session.scalars(select(MembershipPlan)).all()) == 3


def test_an_import_reads_an_ordinary_file_of_limited_length_only(book: Book, tmp_path: Path) -> None:
    """A pipe would never answer, a device never end."""
    with (tmp_path / "huge.csv").open("wb") as stream:
        stream.truncate(FILE_MAX + 1)

    for path, words in ((tmp_path, "ordinary file"), (Path(os.devnull), "ordinary file"), (stream.name, "larger than")):
        with pytest.raises(DomainError, match=words):
            import_members(book.context, Path(path), location_slug="leura", plan_name="Essential")


@pytest.mark.parametrize("level", ["debug", "info"])
def test_a_fault_of_the_program_never_shows_what_it_choked_on(
    level: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Debug mode adds where the program went, and not the message."""

    @click.command()
    def broken() -> None:
        int("Ada " + "Ferris")

    monkeypatch.setattr(main, "cli", broken)
    monkeypatch.setattr(sys, "argv", ["connector"])
    monkeypatch.setenv("CONNECTOR_LOG__LEVEL", level)
    with pytest.raises(SystemExit) as ended:
        main.main()

    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (1, "")
    assert "The program failed (ValueError in test_hardening_cli.py" in err
    assert "Ada Ferris" not in err
    assert ("in broken" in err) is (level == "debug")
