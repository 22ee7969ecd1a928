"""Fixtures for tests against real servers."""

from tests.support.postgres import postgres

__all__ = ["postgres"]
