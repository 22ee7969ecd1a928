"""Logs: what may be in a line, and what never is, for our own events and for those of the libraries."""

from __future__ import annotations

import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr
from sqlalchemy.exc import IntegrityError

from connector.billing.clinics import Clinic
from connector.daemon import daemon
from connector.database.engine import Database
from connector.database.migrate import migrate
from connector.errors import DomainError
from connector.logs import configure, redact
from connector.pms_adapters.records import PmsPatient
from connector.settings import LogSettings

NAME = "Winifred Achterberg"
EMAIL = "winifred@example.com"


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Gives the logging of the test run back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def configured(monkeypatch: pytest.MonkeyPatch, settings: LogSettings) -> StringIO:
    """Configures logging; returns what then stands for standard error."""
    stream = StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure(settings)
    return stream


@pytest.fixture(params=["json", "console"])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """What is logged, in either form."""
    return configured(monkeypatch, LogSettings(level="debug", format=request.param))


@pytest.fixture
def as_json(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """What is logged in the form for machines."""
    return configured(monkeypatch, LogSettings(level="debug", format="json"))


def lines(stream: StringIO) -> list[dict[str, Any]]:
    """The events that were written, one JSON document per line."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (SecretStr("sk_test_1"), "[secret]"),
        (PmsPatient("7", "Winifred", "Achterberg"), "[PmsPatient]"),
        (date(1950, 1, 1), "[date]"),
        (b"bytes", "[bytes]"),
        ("mail to winifred@example.com failed", "mail to [e-mail] failed"),
        ("card 4242 4242 4242 4242.", "card [number]."),
        ("4242-4242-4242-4242", "[number]"),
        ("4242 / 4242 / 4242 / 4242", "[number]"),
        ("3782_822463_10005", "[number]"),
        ("2026-11-21 09:00:00+11:00", "2026-11-21 09:00:00+11:00"),
        ("key sk_live_51HxAb is wrong", "key [key] is wrong"),
        ("rk_test_1", "[key]"),
        ("whsec_abc", "[key]"),
        (
            "GET https://pms.local/patients?LName=Achterberg&Birthdate=1950 failed",
            "GET https://pms.local/patients?[query] failed",
        ),
        ("wb_4Q7ZK0T5W94Q7ZK0T5W9", "wb_4Q7ZK0T5W94Q7ZK0T5W9"),
        ("2026-11-21T09:00:00+11:00", "2026-11-21T09:00:00+11:00"),
        (4_990, 4_990),
        (0.25, 0.25),
        (True, True),
        (None, None),
        (["ok", SecretStr("x"), EMAIL], ["ok", "[secret]", "[e-mail]"]),
        ({"deep": {"secret": SecretStr("x")}}, {"deep": {"secret": "[secret]"}}),
    ],
)
def test_a_value_is_let_through_by_its_type_and_its_look(value: object, shown: object) -> None:
    """Plain values pass, objects show only their kind, and texts lose what looks personal or secret."""
    assert redact(None, "info", {"event": "x", "field": value}) == {"event": "x", "field": shown}


def test_an_event_has_its_name_its_level_its_instant_and_its_fields(as_json: StringIO) -> None:
    """One JSON document per line; the instant is in UTC."""
    structlog.get_logger().info("write_back.confirmed", write_back_id="wb_1", cents=4_990)

    (line,) = lines(as_json)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "write_back.confirmed", "level": "info", "write_back_id": "wb_1", "cents": 4_990}


def test_libraries_write_through_the_same_chain(as_json: StringIO) -> None:
    """Their messages and arguments are redacted like ours."""
    logging.getLogger("some.library").warning("cannot mail %s", EMAIL)

    (line,) = lines(as_json)
    assert (line["event"], line["level"]) == ("cannot mail [e-mail]", "warning")


@pytest.mark.parametrize("ours", [True, False])
def test_the_text_of_an_exception_is_never_written(ours: bool, written: StringIO) -> None:
    """Library messages quote what they choked on; the class and the places are enough to find the cause."""
    log = structlog.get_logger() if ours else logging.getLogger("some.library")
    try:
        int(NAME)
    except ValueError:
        log.exception("import.failed")

    text = written.getvalue()
    assert "import.failed" in text
    assert "ValueError" in text
    assert "test_logs:" in text
    assert "Achterberg" not in text


def test_a_chain_of_exceptions_shows_none_of_their_texts(written: StringIO) -> None:
    """Neither the cause nor the note of an error."""
    try:
        try:
            int(NAME)
        except ValueError as cause:
            error = DomainError("The row is refused.")
            error.add_note(EMAIL)
            raise error from cause
    except DomainError as caught:
        structlog.get_logger().error("row.refused", exc_info=caught)

    text = written.getvalue()
    assert "DomainError" in text
    assert "Achterberg" not in text
    assert EMAIL not in text


def test_the_parameters_of_sql_are_never_written(tmp_path: Path, written: StringIO) -> None:
    """Neither in the log, at any level, nor in the text of the error itself."""
    database = Database(f"sqlite:///{(tmp_path / 'practice.db').as_posix()}")
    migrate(database)
    now = datetime(2026, 11, 21, tzinfo=UTC)
    with database.unit_of_work() as session:
        session.add(Clinic(id="cli_1", name=NAME, created_at=now))

    with pytest.raises(IntegrityError) as broken, database.unit_of_work() as session:
        session.add(Clinic(id="cli_2", name=NAME, created_at=now))
    structlog.get_logger().error("clinic.refused", exc_info=broken.value)
    database.close()

    text = written.getvalue()
    assert "IntegrityError" in text
    assert NAME not in text
    assert NAME not in str(broken.value)


def test_a_level_silences_what_is_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """For our events and for those of the libraries."""
    stream = configured(monkeypatch, LogSettings(level="warning", format="json"))

    for log in (structlog.get_logger(), logging.getLogger("some.library")):
        log.info("quiet")
        log.warning("loud")

    assert [line["event"] for line in lines(stream)] == ["loud", "loud"]


@pytest.mark.parametrize("library", ["httpx", "httpcore", "stripe", "sqlalchemy", "uvicorn", "apscheduler", "alembic"])
def test_libraries_that_write_addresses_or_values_are_quiet_even_when_debugging(
    library: str, as_json: StringIO
) -> None:
    """Their lower levels show URLs, parameters or SQL."""
    logging.getLogger(library).info("GET /patients/Achterberg")

    assert lines(as_json) == []


def test_configuring_twice_writes_every_event_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second set-up replaces the first."""
    stream = configured(monkeypatch, LogSettings(format="json"))
    configure(LogSettings(format="json"))
    structlog.get_logger().info("once")

    assert len(lines(stream)) == 1


def test_lines_are_json_unless_a_person_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` means JSON where standard error is not a terminal."""
    stream = configured(monkeypatch, LogSettings(format="auto"))
    structlog.get_logger().info("started")

    assert [line["event"] for line in lines(stream)] == ["started"]


def test_a_warning_of_a_library_goes_through_the_chain(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Python would print it as it is, with whatever it quotes."""
    logging.captureWarnings(False)
    request.addfinalizer(lambda: logging.captureWarnings(False))
    stream = configured(monkeypatch, LogSettings(format="json"))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"{EMAIL} is odd.", UserWarning, stacklevel=1)

    (line,) = stream.getvalue().splitlines()
    assert "[e-mail] is odd." in json.loads(line)["event"]
    assert EMAIL not in line


def test_an_error_that_ends_a_thread_is_told_by_class_and_place(
    as_json: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interpreter's own hook would print the whole message."""
    monkeypatch.setattr(threading, "excepthook", daemon._thread_failed)
    worker = threading.Thread(target=lambda: dict[str, str]()[NAME], name="call")

    worker.start()
    worker.join()

    (line,) = as_json.getvalue().splitlines()
    told = json.loads(line)
    assert (told["event"], told["thread"], told["error"]) == ("thread.failed", "call", "KeyError")
    assert NAME not in line
