"""Checks requests to Stripe and its answers against the reduced OpenAPI document of the pinned API version."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

_DOCUMENT: dict[str, Any] = json.loads(
    (Path(__file__).parent / "stripe-openapi-reduced.json").read_text(encoding="utf-8")
)
_SCHEMAS: dict[str, Any] = _DOCUMENT["components"]["schemas"]
_BY_OBJECT = {schema["x-object"]: name for name, schema in _SCHEMAS.items() if "x-object" in schema}
_PATHS = [
    (re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), operations) for path, operations in _DOCUMENT["paths"].items()
]


def violations(method: str, path: str, body: str, status: int, response: Any) -> list[str]:
    """Everything in which a call departs from the document; empty when nothing does.

    `path` may carry a query, `body` is the form as it was sent, `response` the decoded JSON answer. Collect the result
    and assert after the call: clients take an exception inside a hook for a broken connection and send again.
    """
    where = f"{method} {urlsplit(path).path}"
    found = [f"{where}: {problem}" for problem in request_violations(method, path, body)] if status < 400 else []
    return found + [f"{where} -> {status}: {problem}" for problem in response_violations(status, response)]


def request_violations(method: str, path: str, body: str) -> list[str]:
    """What is wrong with the parameters of a request."""
    parts = urlsplit(path)
    operation = _operation(method, parts.path)
    if operation is None:
        return ["the document has no such operation"]
    schema = _parameters_schema(operation)
    form = _tree(parse_qsl("&".join(part for part in (parts.query, body) if part), keep_blank_values=True))
    return [_told(error) for error in _request_validator(schema).iter_errors(_coerced(form, schema))]


def response_violations(status: int, response: Any) -> list[str]:
    """What is wrong with an answer: with its form, and with every Stripe object inside it."""
    if status >= 400:
        error = response.get("error") if isinstance(response, dict) else None
        if not isinstance(error, dict):
            return ["an error answer must carry an error object"]
        found = [_told(problem) for problem in _response_validator("res.ErrorObject").iter_errors(error)]
        return found + [problem for value in error.values() for problem in _object_violations(value)]
    return list(_object_violations(response))


def accepted_parameters(method: str, path: str) -> set[str]:
    """The names of the top-level parameters that the document knows for an operation, given as a path template."""
    operation = _DOCUMENT["paths"][path][method.lower()]
    return set(_parameters_schema(operation).get("properties", {}))


def _object_violations(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _object_violations(item)
    elif isinstance(value, dict):
        kind = str(value.get("object"))
        if kind in _BY_OBJECT and "deleted" not in value:
            yield from (f"{kind}: {_told(error)}" for error in _response_validator(_BY_OBJECT[kind]).iter_errors(value))
            unknown = set(value) - set(_SCHEMAS[_BY_OBJECT[kind]]["properties"])
            yield from (f"{kind}: unknown field {name}" for name in sorted(unknown))
        for item in value.values():
            yield from _object_violations(item)


def _operation(method: str, path: str) -> dict[str, Any] | None:
    for pattern, operations in _PATHS:
        if pattern.fullmatch(path) and method.lower() in operations:
            found: dict[str, Any] = operations[method.lower()]
            return found
    return None


def _parameters_schema(operation: Mapping[str, Any]) -> dict[str, Any]:
    if "requestBody" in operation:
        schema: dict[str, Any] = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
        return _resolved(schema)
    query = [parameter for parameter in operation.get("parameters", []) if parameter["in"] == "query"]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {parameter["name"]: parameter["schema"] for parameter in query},
        "required": [parameter["name"] for parameter in query if parameter.get("required")],
    }


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = _SCHEMAS[schema["$ref"].rsplit("/", 1)[-1]]
    return schema


def _tree(pairs: list[tuple[str, str]]) -> Any:
    tree: dict[str, Any] = {}
    for name, value in pairs:
        head, *rest = name.replace("]", "").split("[")
        node = tree
        for key in [head, *rest][:-1]:
            node = node.setdefault(key, {})
        node[[head, *rest][-1]] = value
    return tree


def _coerced(value: Any, schema: dict[str, Any]) -> Any:
    """The value in the types of the schema; where it does not fit, it stays a string and fails the validation."""
    schema = _resolved(schema)
    for option in schema.get("anyOf", []):
        candidate = _coerced(value, option)
        if not list(_request_validator(option).iter_errors(candidate)):
            return candidate
    kind = schema.get("type")
    if isinstance(value, dict) and kind == "array":
        return [_coerced(item, schema["items"]) for item in value.values()]
    if isinstance(value, dict):
        fields, other = schema.get("properties", {}), schema.get("additionalProperties")
        fallback = other if isinstance(other, dict) else {}
        return {name: _coerced(item, fields.get(name, fallback)) for name, item in value.items()}
    if kind == "integer" and re.fullmatch(r"-?\d+", value):
        return int(value)
    return value == "true" if kind == "boolean" and value in ("true", "false") else value


def _always_present(_validator: Any, names: list[str], instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        yield from (ValidationError(f"{name!r} is always present") for name in names if name not in instance)


def _open_enum(_validator: Any, words: list[Any], instance: Any, schema: Any) -> Iterator[ValidationError]:
    if instance not in words and not schema.get("x-open-enum"):
        yield ValidationError(f"{instance!r} is not one of {words}")


_extend: Any = extend  # The library leaves this function without annotations.
_ResponseValidator: Any = _extend(Draft202012Validator, {"x-always-present": _always_present, "enum": _open_enum})


def _request_validator(schema: dict[str, Any]) -> Any:
    return Draft202012Validator({**schema, "components": _DOCUMENT["components"]})


def _response_validator(name: str) -> Any:
    return _ResponseValidator({"$ref": f"#/components/schemas/{name}", "components": _DOCUMENT["components"]})


def _told(error: ValidationError) -> str:
    return f"{'.'.join(map(str, error.absolute_path)) or 'the whole'}: {error.message[:200]}"
