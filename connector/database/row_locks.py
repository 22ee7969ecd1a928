"""Locks of rows for a unit of work that reads, decides and writes. SQLite, with one writer at a time, ignores them."""

from __future__ import annotations

from typing import Any

ROW_LOCK: dict[str, Any] = {"key_share": True}
"""Nobody else changes the row, while rows that only point to it can be written all the same.

The plain lock would hold those back too, so that two who lock different rows could wait for each other over a third.
"""
