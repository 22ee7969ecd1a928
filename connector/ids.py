"""Ids that are made before they are used, so that a repeated call carries the same one.

An id is a short prefix that names its kind and 20 characters of Crockford base 32: twelve that count up from a random
beginning, so that rows made together lie together in every index, and eight that are random.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_COUNTED = 12
_RANDOM = 8


class _Source:
    """Where ids come from: a counter with a random beginning, and randomness."""

    def __init__(self, randomness: random.Random) -> None:
        self._randomness = randomness
        # The upper half is left free to count in; next() on a count is atomic, so threads get different numbers.
        self._numbers = count(randomness.getrandbits(5 * _COUNTED - 1))

    def text(self) -> str:
        return base32(next(self._numbers), _COUNTED) + "".join(self._randomness.choices(_ALPHABET, k=_RANDOM))


_source = _Source(secrets.SystemRandom())


def base32(number: int, places: int) -> str:
    """The lowest digits of a number in Crockford's base 32, so many of them."""
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (places - 1), -1, -5))


def new_id(prefix: str) -> str:
    """A fresh id such as 'pay_4Q7ZK0T5W9…'."""
    return f"{prefix}_{_source.text()}"


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Make ids repeatable inside the block; only simulations may want that."""
    global _source
    previous, _source = _source, _Source(random.Random(seed))
    try:
        yield
    finally:
        _source = previous
