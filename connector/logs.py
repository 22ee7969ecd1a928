"""Logging: structlog with event names such as `write_back.confirmed`, ids as fields, personal data redacted by type."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from pydantic import SecretStr

from connector.settings import LogSettings

_PLAIN = (str, int, float, bool, type(None))
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_CARD = re.compile(r"(?:\d[ -]?){12,18}\d|(?<!\d)(?:2[2-7]|[3-6]\d)\d\d(?:[\W_]{0,3}\d){9,15}")
"""Any number of that length, and one of a card network also with other characters between its groups."""
_KEY = re.compile(r"\b(?:sk|rk|whsec)_[A-Za-z0-9_]+")
_URL_QUERY = re.compile(r"(https?://[^\s?]+)\?\S+")


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Let only plain values through, and no text that looks like an e-mail address, a card number, a key or a query."""
    return {key: value if key in ("exc_info", "timestamp") else _safe(value) for key, value in event.items()}


def _safe(value: object) -> object:
    if isinstance(value, SecretStr):
        return "[secret]"
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_safe(item) for item in value]
    if isinstance(value, dict):
        return {key: _safe(item) for key, item in value.items()}
    if isinstance(value, str):
        text = _URL_QUERY.sub(r"\1?[query]", value)
        for pattern, name in ((_EMAIL, "[e-mail]"), (_KEY, "[key]"), (_CARD, "[number]")):
            text = pattern.sub(name, text)
        return text
    if isinstance(value, _PLAIN):
        return value
    return f"[{type(value).__name__}]"


def _exception_without_values(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace a traceback by the error's class and where it passed: library messages quote what they choked on."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    exception = error[1] if isinstance(error, tuple) else error
    if isinstance(exception, BaseException):
        places, trace = [], exception.__traceback__
        while trace:
            places.append(f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}")
            trace = trace.tb_next
        event["error"] = type(exception).__name__
        event["at"] = places[-4:]
    return event


@contextmanager
def silenced() -> Iterator[None]:
    """Nothing is logged inside: what happens on a stage is no news of the practice."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


def configure(settings: LogSettings) -> None:
    """Send all logging, our own and the libraries', through one chain to standard error."""
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _exception_without_values,
        redact,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer(sort_keys=True)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, settings.level.upper())),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    # A warning of a library would otherwise be printed as it is, past the chain.
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    # These libraries write URLs, parameters or SQL values at their lower levels.
    for name in ("httpx", "httpcore", "stripe", "sqlalchemy", "uvicorn", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # The daemon logs the errors of its jobs itself; that a job is still at work when it is woken again is no news.
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
