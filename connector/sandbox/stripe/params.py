"""Reads form-encoded parameters as strictly as Stripe does: unknown names, types, lengths and enums are refused."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from connector.sandbox.stripe.errors import ApiError, invalid

Params = dict[str, Any]


class Spec(ABC):
    """What one parameter must look like; `required` parameters may not be left out."""

    required = False

    @abstractmethod
    def read(self, raw: Any, name: str) -> Any:
        """The value of its own type. Raises ApiError (400) when `raw` is not acceptable."""


@dataclass(frozen=True)
class Text(Spec):
    """A string of at most `longest` characters."""

    longest: int = 5000
    required: bool = False

    def read(self, raw: Any, name: str) -> str:
        if not isinstance(raw, str):
            raise invalid(f"Invalid string: {name}", name)
        if len(raw) > self.longest:
            raise invalid(
                f"{name} is too long: at most {self.longest} characters.", name, "parameter_invalid_string_long"
            )
        return raw


@dataclass(frozen=True)
class Whole(Spec):
    """An integer between `least` and `most`."""

    least: int | None = None
    most: int | None = None
    required: bool = False

    def read(self, raw: Any, name: str) -> int:
        digits = raw.removeprefix("-") if isinstance(raw, str) else ""
        if not (digits.isascii() and digits.isdigit()):
            raise invalid(f"Invalid integer: {name}", name, "parameter_invalid_integer")
        value = int(raw)
        if self.least is not None and value < self.least:
            raise invalid(f"{name} must be at least {self.least}.", name, "parameter_invalid_integer")
        if self.most is not None and value > self.most:
            raise invalid(f"{name} must be no more than {self.most}.", name, "parameter_invalid_integer")
        return value


@dataclass(frozen=True)
class Flag(Spec):
    """'true' or 'false'."""

    def read(self, raw: Any, name: str) -> bool:
        if raw not in ("true", "false"):
            raise invalid(f"Invalid boolean: {name}", name)
        return bool(raw == "true")


@dataclass(frozen=True)
class Choice(Spec):
    """One of a closed list of words."""

    words: tuple[str, ...]
    required: bool = False

    def read(self, raw: Any, name: str) -> str:
        if raw not in self.words:
            raise invalid(f"Invalid {name}: must be one of {', '.join(self.words)}", name)
        return str(raw)


@dataclass(frozen=True)
class Items(Spec):
    """A list, sent as `name[0]`, `name[1]` and so on."""

    of: Spec
    most: int = 100
    required: bool = False

    def read(self, raw: Any, name: str) -> list[Any]:
        if raw == "":
            return []
        if not isinstance(raw, dict) or not all(key == "" or key.isdigit() for key in raw):
            raise invalid(f"Invalid array: {name}", name)
        if len(raw) > self.most:
            raise invalid(f"{name} takes at most {self.most} values.", name)
        return [self.of.read(value, f"{name}[{index}]") for index, value in enumerate(raw.values())]


@dataclass(frozen=True)
class Group(Spec):
    """A nested object with its own parameters."""

    fields: Mapping[str, Spec]
    required: bool = False

    def read(self, raw: Any, name: str) -> Params:
        if not isinstance(raw, dict):
            raise invalid(f"Invalid object: {name}", name)
        return read_fields(raw, self.fields, name)


@dataclass(frozen=True)
class Labels(Spec):
    """Metadata: up to 50 keys of 40 characters with values of 500; an empty value removes its key."""

    def read(self, raw: Any, name: str) -> dict[str, str]:
        if raw == "":
            return {"": ""}
        if not isinstance(raw, dict) or not all(isinstance(value, str) for value in raw.values()):
            raise invalid(f"Invalid hash: {name}", name)
        if len(raw) > 50 or any(len(key) > 40 or len(value) > 500 for key, value in raw.items()):
            raise invalid(f"{name} takes 50 keys of 40 characters with values of 500 characters.", name)
        return dict(raw)


@dataclass(frozen=True)
class Either(Spec):
    """The first of several forms that accepts the value."""

    forms: tuple[Spec, ...]

    def read(self, raw: Any, name: str) -> Any:
        refusals: list[ApiError] = []
        for form in self.forms:
            try:
                return form.read(raw, name)
            except ApiError as refusal:
                refusals.append(refusal)
        raise refusals[-1]


def parse_form(text: str) -> Params:
    """Undo the bracket notation: `a[b][0]=c` becomes {'a': {'b': {'0': 'c'}}}. Raises ApiError for a muddle."""
    tree: Params = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head, *rest = name.replace("]", "").split("[")
        node, keys = tree, [head, *rest]
        for depth, key in enumerate(keys[:-1]):
            following = node.setdefault(key, {})
            if not isinstance(following, dict):
                raise invalid(f"Invalid parameter: {keys[depth]}", head)
            node = following
        last = keys[-1] or str(len(node))
        if last in node:
            raise invalid(f"Parameter given twice: {name}", head)
        node[last] = value
    return tree


def read_fields(raw: Params, fields: Mapping[str, Spec], prefix: str = "") -> Params:
    """Check and convert all parameters of one object. Raises ApiError (400) for the first that is wrong."""
    for name in raw:
        if name == "payment_method_types" and "allowed_payment_method_types" in fields:
            message = "payment_method_types can no longer be sent: use allowed_payment_method_types."
            raise invalid(message, name, "payment_method_types_no_longer_supported")
        if name not in fields:
            full = _nested(prefix, name)
            raise invalid(f"Received unknown parameter: {full}", full, "parameter_unknown")
    for name, spec in fields.items():
        if spec.required and raw.get(name) in (None, ""):
            full = _nested(prefix, name)
            raise invalid(f"Missing required param: {full}.", full, "parameter_missing")
    return {name: fields[name].read(value, _nested(prefix, name)) for name, value in raw.items()}


def _nested(prefix: str, name: str) -> str:
    return f"{prefix}[{name}]" if prefix else name
