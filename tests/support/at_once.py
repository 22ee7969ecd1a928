"""Two who do something at the same moment: both have looked before either of them writes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, get_ident
from typing import Any, TypeVar

from sqlalchemy import event

from connector.database.engine import Database
from connector.errors import DomainError

T = TypeVar("T")

_TIMEOUT_SECONDS = 30


def at_once(database: Database, *pair: Callable[[], T]) -> list[T | str]:
    """Do both, each up to its first lock or write, and from there on together; a refusal stands for its result.

    They may be done by other threads, such as a server's.
    """
    both, met = Barrier(2), set[int]()

    def meet(*arguments: Any) -> None:
        statement = str(arguments[2])
        locks = statement.startswith(("UPDATE", "INSERT")) or "FOR UPDATE" in statement
        if locks and len(met) < 2 and get_ident() not in met:
            met.add(get_ident())
            both.wait(_TIMEOUT_SECONDS)

    def end_of(action: Callable[[], T]) -> T | str:
        try:
            return action()
        except DomainError as refusal:
            return str(refusal)

    event.listen(database.writer, "before_cursor_execute", meet)
    try:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(end_of, pair))
    finally:
        event.remove(database.writer, "before_cursor_execute", meet)
