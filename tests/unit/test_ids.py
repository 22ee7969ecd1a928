"""Ids: their form, that none comes twice, and that simulations can repeat them."""

from __future__ import annotations

import re

import pytest

from connector import ids


@pytest.mark.parametrize("prefix", ["inv", "ch", "wb"])
def test_an_id_names_its_kind_and_avoids_letters_that_are_misread(prefix: str) -> None:
    """Twenty characters of Crockford's alphabet, which has no I, L, O or U."""
    assert re.fullmatch(prefix + "_[0-9A-HJKMNP-TV-Z]{20}", ids.new_id(prefix))


def test_no_id_comes_twice() -> None:
    """Counted within a process, and from another random beginning in each."""
    assert len({ids.new_id("ch") for _ in range(20_000)}) == 20_000


def test_a_seed_makes_ids_repeatable() -> None:
    """The same seed gives the same ids, another seed gives others."""

    def some(seed: int) -> list[str]:
        with ids.seeded(seed):
            return [ids.new_id("ch") for _ in range(50)]

    assert some(7) == some(7)
    assert not set(some(7)) & set(some(8))


def test_after_a_seeded_block_ids_are_random_again_even_if_it_failed() -> None:
    """Predictable ids must not leak into real work."""

    def after(seed: int) -> str:
        with pytest.raises(RuntimeError), ids.seeded(seed):
            raise RuntimeError
        return ids.new_id("ch")

    assert after(7) != after(7)


def test_seeded_blocks_nest() -> None:
    """An inner block does not disturb the sequence of the outer one."""
    with ids.seeded(1):
        plain = [ids.new_id("ch"), ids.new_id("ch")]
    with ids.seeded(1):
        first = ids.new_id("ch")
        with ids.seeded(2):
            ids.new_id("ch")
        second = ids.new_id("ch")

    assert [first, second] == plain
