"""Inserts that leave alone what is there: of two who write the same at once one does, and the other finds it done."""

from __future__ import annotations

from sqlalchemy import Insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from connector.database.base import Base


def insert_if_new(session: Session, model: type[Base]) -> Insert:
    """An INSERT that skips each row of which a unique key is taken. With `returning` it tells which were new."""
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    insert: Insert = dialect.insert(model).on_conflict_do_nothing()
    return insert
