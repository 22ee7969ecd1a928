"""What the documents and examples say is true of the program."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import click
import pytest

from connector.cli.main import COMMANDS, cli
from connector.settings import Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def test_the_example_file_shows_every_setting_with_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever copies the annotated file unchanged gets what they would have got without it."""
    for name in ("CONNECTOR_CONFIG", "CONNECTOR_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    example = tomllib.loads((ROOT / "config" / "connector.toml").read_text(encoding="utf-8"))

    assert Settings(**example) == Settings()
    shown = {f"{section}.{key}" for section, keys in example.items() if isinstance(keys, dict) for key in keys}
    wanted = {
        f"{section}.{key}"
        for section, model in Settings()
        if hasattr(model, "model_fields_set")
        for key in type(model).model_fields
    }
    assert wanted - shown == {"stripe.secret_key", "stripe.webhook_secret", "clock.now"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_of_the_documents_exists(document: Path) -> None:
    """`connector …` after a prompt or in backticks names a real command, and a real one of its group."""
    for name, second in re.findall(
        r"(?:\$ |`)(?:\S*/)?connector ([a-z-]+) ?([a-z-]*)", document.read_text(encoding="utf-8")
    ):
        assert name in COMMANDS, name
        command = cli.get_command(click.Context(cli), name)
        if isinstance(command, click.Group) and second:
            assert second in command.commands, second


def test_the_readme_names_every_command() -> None:
    """A newcomer finds each command in the table."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    assert [name for name in COMMANDS if f"`{name}" not in text and f"`{name} " not in text and name not in text] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    """A relative link points to a file or folder that exists."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize(
    "module", re.findall(r"`([a-z_/]+\.py)`", (ROOT / "docs" / "architecture.md").read_text("utf-8"))
)
def test_the_architecture_page_names_modules_that_exist(module: str) -> None:
    """Where to find a rule is where it is."""
    assert (ROOT / "connector" / module).exists()
