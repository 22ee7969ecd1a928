"""Commands that a sentence names can be given as they are named."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click

from connector.cli.main import cli

ROOT = Path(__file__).parents[2]
HINT = re.compile(r"`connector ([a-z][^`]*)`")


def sentences(path: Path) -> Iterator[tuple[int, str]]:
    """The texts of a module that people may come to read, with X for what is put in; docstrings are not among them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    parts |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield (
                node.lineno,
                "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.lineno, node.value


def found_command(words: list[str]) -> click.Command | None:
    """The command that these words begin with; None when they name a group only."""
    command: click.Command | None = cli
    for word in words:
        if not isinstance(command, click.Group):
            break
        command = command.get_command(click.Context(command), word)
    return None if isinstance(command, click.Group) else command


def test_a_hint_to_look_somewhere_names_the_location_where_the_command_needs_it() -> None:
    """Whoever copies it is not refused for an option that was left out."""
    hints = [
        (f"{path.relative_to(ROOT).as_posix()}:{line}", hint)
        for path in sorted((ROOT / "connector").rglob("*.py"))
        for line, sentence in sentences(path)
        for hint in HINT.findall(sentence)
    ]
    short = []
    for where, hint in hints:
        command = found_command(hint.split())
        needed = [one.opts[0] for one in command.params if one.required] if command else []
        if "--location" in needed and "--location" not in hint:
            short.append(f"{where} {hint}")

    assert len(hints) > 50
    assert short == []
