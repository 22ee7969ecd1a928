"""Ids that are made before they are used, so that a repeated call carries the same one.

An id is a short prefix that names its kind and 20 characters of Crockford base 32 (100 random bits).
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 20

_source: random.Random = secrets.SystemRandom()


def new_id(prefix: str) -> str:
    """A fresh id such as 'pay_4Q7ZK0T5W9…'."""
    return f"{prefix}_{''.join(_source.choices(_ALPHABET, k=_LENGTH))}"


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Make ids repeatable inside the block; only simulations may want that."""
    global _source
    previous, _source = _source, random.Random(seed)
    try:
        yield
    finally:
        _source = previous
