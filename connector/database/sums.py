"""Sums of cents as whole numbers. PostgreSQL's SUM of whole numbers is a decimal, and that of no rows is nothing."""

from __future__ import annotations

from sqlalchemy import BigInteger, ColumnElement, ScalarSelect, cast, func, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.roles import ExpressionElementRole


def summed(cents: ExpressionElementRole[int]) -> ColumnElement[int]:
    """The sum of a column of cents: always a whole number, and 0 for no rows."""
    return cast(func.coalesce(func.sum(cents), 0), BigInteger)


def sum_of(session: Session, cents: ExpressionElementRole[int], *where: ColumnElement[bool]) -> int:
    """That sum over the rows that meet all conditions."""
    return session.scalars(select(sum_where(cents, *where))).one()


def sum_where(cents: ExpressionElementRole[int], *where: ColumnElement[bool]) -> ScalarSelect[int]:
    """The same as a part of a statement, so that one statement can bring several sums."""
    return select(summed(cents)).where(*where).scalar_subquery()
