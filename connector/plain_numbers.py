"""Numbers as people write them: digits from 0 to 9. Python reads other scripts' digits and underscores as well."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import partial
from typing import Literal

from pydantic import BeforeValidator
from pydantic_core import PydanticKnownError

_PLAIN = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?", re.ASCII)

Parsing = Literal["int_parsing", "float_parsing", "decimal_parsing"]
PARSING: dict[object, Parsing] = {int: "int_parsing", float: "float_parsing", Decimal: "decimal_parsing"}
"""What pydantic calls a text that is no number, by the kind of number."""


def plain(parsing: Parsing, value: object) -> object:
    """The value, before pydantic reads it. Raises pydantic's own error for a text that nobody would write."""
    if isinstance(value, str) and not _PLAIN.fullmatch(value.strip()):
        raise PydanticKnownError(parsing)
    return value


WHOLE = BeforeValidator(partial(plain, "int_parsing"))
DECIMAL = BeforeValidator(partial(plain, "decimal_parsing"))
