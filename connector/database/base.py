"""The base of all models: constraint names, column types, and how instants and enumerations are stored."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Enum, Integer, MetaData, String
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant. SQLite keeps no zone, so it is taken off on the way in and put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("An instant without a time zone cannot be stored.")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def state_column(kind: type[StrEnum]) -> Enum:
    """Store a StrEnum by its value in a text column, without a database type that migrations would have to alter."""
    return Enum(
        kind, native_enum=False, length=24, values_callable=lambda members: [member.value for member in members]
    )


class Base(DeclarativeBase):
    """All tables share one metadata; constraints have names so that migrations can find them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  (SQLAlchemy reads this name on the class)
        str: String(255),
        int: BigInteger().with_variant(Integer(), "sqlite"),  # SQLite numbers rows by itself only for INTEGER keys.
        datetime: Instant(),
        dict[str, Any]: JSON(),
        list[Any]: JSON(),
    }

    def __repr__(self) -> str:
        """Only kind and id: the other columns may be personal."""
        return f"{type(self).__name__}({getattr(self, 'id', '')})"
