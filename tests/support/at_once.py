"""Two who do something at the same moment: both have looked before either of them writes."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Barrier, get_ident
from typing import Any, TypeVar

from sqlalchemy import event

from connector.database.engine import Database
from connector.errors import DomainError

T = TypeVar("T")

_TIMEOUT_SECONDS = 30
_HELD_UP_SECONDS = 0.5
"""Whoever has not come to an end by then waits for a lock of the other."""
_LOCKS = re.compile(r"FOR (NO KEY )?UPDATE")


def at_once(database: Database, *pair: Callable[[], T]) -> list[T | str]:
    """Do both, each up to its first lock or write, and from there on together; a refusal stands for its result.

    They may be done by other threads, such as a server's.
    """
    both, met = Barrier(2), set[int]()

    def meet(*arguments: Any) -> None:
        statement = str(arguments[2])
        locks = statement.startswith(("UPDATE", "INSERT")) or _LOCKS.search(statement)
        if locks and len(met) < 2 and get_ident() not in met:
            met.add(get_ident())
            both.wait(_TIMEOUT_SECONDS)

    event.listen(database.writer, "before_cursor_execute", meet)
    try:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(_end_of, pair))
    finally:
        event.remove(database.writer, "before_cursor_execute", meet)


def beside(database: Database, statement: str, first: Callable[[], T], second: Callable[[], T]) -> list[T | str]:
    """Do the first, and just before its first statement that begins so let the second go as far as it gets.

    A refusal stands for its result, as above.
    """
    mine, other = get_ident(), list[Future[T | str]]()

    def let_in(*arguments: Any) -> None:
        if get_ident() == mine and str(arguments[2]).startswith(statement) and not other:
            other.append(pool.submit(_end_of, second))
            wait(other, _HELD_UP_SECONDS)

    event.listen(database.writer, "before_cursor_execute", let_in)
    try:
        with ThreadPoolExecutor(1) as pool:
            end = _end_of(first)
            return [end, *(future.result(_TIMEOUT_SECONDS) for future in other)]
    finally:
        event.remove(database.writer, "before_cursor_execute", let_in)


def _end_of(action: Callable[[], T]) -> T | str:
    try:
        return action()
    except DomainError as refusal:
        return str(refusal)
