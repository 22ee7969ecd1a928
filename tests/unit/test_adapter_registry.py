"""The registry of adapters, with packages installed for the test as entry points on the path."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.errors import DomainError
from connector.pms_adapters import registry
from connector.pms_adapters.file_drop import ADAPTER as FILE_DROP
from connector.pms_adapters.open_dental import ADAPTER as OPEN_DENTAL

ADAPTER_MODULE = """
from dataclasses import replace
from connector.pms_adapters.file_drop.manifest import MANIFEST
class Factory:
    manifest = replace(MANIFEST, name="third_party")
ADAPTER = Factory()
NAMELESS = object()
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "third_party_adapter.py").write_text(ADAPTER_MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("third_party_adapter", None)
    importlib.invalidate_caches()


def install(folder: Path, package: str, entry: str) -> None:
    information = folder / f"{package}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", encoding="utf-8")
    (information / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{entry}\n", encoding="utf-8")
    importlib.invalidate_caches()


def test_the_shipped_adapters_are_registered() -> None:
    """Each under the name that its manifest gives."""
    assert registry.adapter("open_dental") is OPEN_DENTAL
    assert registry.adapter("file_drop") is FILE_DROP
    assert {name: factory.manifest.name for name, factory in registry.adapters().items()}.items() >= {
        ("open_dental", "open_dental"),
        ("file_drop", "file_drop"),
    }


def test_an_adapter_of_another_package_is_found(packages: Path) -> None:
    """Third parties need no change in ours."""
    install(packages, "theirs", "third_party = third_party_adapter:ADAPTER")

    assert registry.adapter("third_party").manifest.name == "third_party"
    assert list(registry.adapters()) == sorted(registry.adapters())


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    """The sentence helps the person who mistyped."""
    with pytest.raises(DomainError, match=r"'opendental'.*file_drop, .*open_dental"):
        registry.adapter("opendental")


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("open_dental = third_party_adapter:ADAPTER", "2 installed packages"),
        ("other = third_party_adapter:ADAPTER", "calls itself 'third_party'"),
        ("third_party = no_such_module:ADAPTER", "cannot be loaded"),
        ("third_party = third_party_adapter:MISSING", "cannot be loaded"),
        ("third_party = third_party_adapter:NAMELESS", "cannot be loaded"),
    ],
)
def test_a_package_that_does_not_fit_is_refused(packages: Path, entry: str, sentence: str) -> None:
    """Which adapter writes to a ledger must never be a matter of chance."""
    install(packages, "theirs", entry)

    with pytest.raises(DomainError, match=sentence):
        registry.adapters()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "base_url"),
        ({"base_url": "http://x", "developer_key": "k-93"}, "customer_key"),
        ({"base_url": "http://x", "developer_key": "k-93", "customer_key": "  "}, "customer_key"),
        ({"base_url": "http://x", "developer_key": "k-93", "customer_key": "k-94", "colour": "red"}, "colour"),
    ],
    ids=["none", "missing", "blank", "unknown"],
)
def test_settings_are_checked_against_the_manifest(settings: dict[str, str], sentence: str) -> None:
    """By name, without showing a value."""
    with pytest.raises(DomainError, match=sentence) as caught:
        registry.check_settings(OPEN_DENTAL.manifest, settings)

    assert "k-9" not in str(caught.value)
    registry.check_settings(OPEN_DENTAL.manifest, {"base_url": "x", "developer_key": "k", "customer_key": "k"})
