"""What is wrong with a value that somebody wrote, in our own words: the library's speak of inputs, strings and codecs.

A phrase goes on after the name of what it is about, and never quotes the value.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic_core import ErrorDetails

_PHRASES = {
    "missing": "must be filled in",
    "extra_forbidden": "is not a setting: check its spelling",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "string_type": "must be a text",
    "string_too_short": "must be filled in",
    "string_too_long": "is too long: shorten it to {max_length} characters",
    "string_pattern_mismatch": "does not have the form that is expected here",
    "too_short": "are missing: give at least one",
    "too_long": "are too many: at most {max_length} are allowed",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "decimal_type": "must be a number",
    "decimal_parsing": "must be a number",
    "decimal_max_places": "must not have more than {decimal_places} decimals",
    "finite_number": "must be a number",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "date_type": "must be a date like 2027-01-31",
    "datetime_type": "must be an instant like 2026-11-21T09:00:00+11:00",
    "datetime_parsing": "must be an instant like 2026-11-21T09:00:00+11:00",
    "datetime_from_date_parsing": "must be an instant like 2026-11-21T09:00:00+11:00",
}
"""By pydantic's type of error."""


def phrase(mistake: ErrorDetails, own: Mapping[str, str] | None = None) -> str:
    """Why a value cannot be used, in `own` words where there are some; our validators' messages stay as they are."""
    if mistake["type"] == "value_error":
        return mistake["msg"].removeprefix("Value error, ").rstrip(".")
    words = {**_PHRASES, **(own or {})}.get(mistake["type"], "does not have the form that is expected here")
    return words.format_map(mistake.get("ctx", {}))
