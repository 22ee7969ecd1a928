"""Finds the adapters that are installed, through the entry-point group `connector.pms_adapters`.

Third parties add an adapter by naming a factory in that group; nothing here knows a vendor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

from connector.errors import DomainError
from connector.pms_adapters.manifest import Manifest
from connector.pms_adapters.port import AdapterFactory

GROUP = "connector.pms_adapters"


def adapters() -> Mapping[str, AdapterFactory]:
    """All installed adapters by name, in alphabetical order.

    Raises DomainError when two share a name, or when one cannot be loaded or is registered under another's name.
    """
    found = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    for name, count in Counter(entry.name for entry in found).items():
        if count > 1:
            raise DomainError(f"{count} installed packages offer an adapter named {name!r}: remove all but one.")
    return {entry.name: _load(entry) for entry in found}


def adapter(name: str) -> AdapterFactory:
    """The adapter of that name. Raises DomainError, which lists those that exist."""
    known = adapters()
    if name not in known:
        raise DomainError(f"There is no adapter {name!r}: use one of {', '.join(known)}.")
    return known[name]


def check_settings(manifest: Manifest, settings: Mapping[str, str]) -> None:
    """Raise DomainError when a required setting is missing or blank, or when one is unknown. Never shows a value."""
    known = {field.name for field in manifest.settings}
    unknown = sorted(set(settings) - known)
    if unknown:
        raise DomainError(f"{manifest.title} has no setting {unknown[0]!r}: use {', '.join(sorted(known))}.")
    for field in manifest.settings:
        if field.required and not settings.get(field.name, "").strip():
            raise DomainError(f"{manifest.title} needs the setting {field.name!r}: {field.description}")


def _load(entry: EntryPoint) -> AdapterFactory:
    try:
        factory: AdapterFactory = entry.load()
        name = factory.manifest.name
    except (ImportError, AttributeError) as error:
        raise DomainError(f"The adapter {entry.name!r} cannot be loaded: repair or remove its package.") from error
    if name != entry.name:
        raise DomainError(f"The adapter registered as {entry.name!r} calls itself {name!r}: repair its package.")
    return factory
