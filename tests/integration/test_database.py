"""The unit of work: all or nothing, one writer at a time, and a clear sentence when the database does not accept it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pysqlite3.dbapi2 as sqlite
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from connector.billing.clinics import Clinic
from connector.database import engine
from connector.database.engine import Database, DatabaseUnavailable, check_integrity, sqlite_version
from connector.database.job_runs import JobRun, win
from connector.database.migrate import prepare
from connector.errors import DomainError

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SECRET = "Winifred Achterberg"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "practice.db"


@pytest.fixture
def database(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A migrated file that is not waited for, as tests know when it is locked."""
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_MS", 1)
    opened = Database(f"sqlite:///{file.as_posix()}")
    prepare(opened)
    yield opened
    opened.close()


def clinic(number: int, name: str = "") -> Clinic:
    return Clinic(id=f"cli_{number}", name=name or f"Clinic {number}", created_at=NOW)


def names(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.scalars(select(Clinic.name)))


def test_a_unit_of_work_is_kept_when_it_ends(database: Database) -> None:
    """Also after the file was closed and opened again."""
    with database.unit_of_work() as session:
        session.add(clinic(1))
    database.close()

    assert names(database) == {"Clinic 1"}


def test_a_unit_of_work_leaves_nothing_when_it_fails(database: Database) -> None:
    """Whatever was flushed before the error is undone, and the error goes on to the caller."""
    with pytest.raises(RuntimeError), database.unit_of_work() as session:
        session.add(clinic(1))
        session.flush()
        raise RuntimeError

    assert names(database) == set()


def test_a_broken_constraint_undoes_the_whole_unit_of_work(database: Database) -> None:
    """Use cases translate it, because only they know what it means."""
    with pytest.raises(IntegrityError), database.unit_of_work() as session:
        session.add(clinic(1, "Twin"))
        session.flush()
        session.add(clinic(2, "Twin"))

    assert names(database) == set()


def test_objects_can_be_read_after_the_commit(database: Database) -> None:
    """They are detached and keep the values that were committed."""
    with database.unit_of_work() as session:
        row = clinic(1)
        session.add(row)

    assert (row.name, row.created_at) == ("Clinic 1", NOW)


def test_a_reading_session_cannot_write(database: Database) -> None:
    """SQLite itself refuses, so no forgotten flush changes anything."""
    with pytest.raises(DatabaseUnavailable), database.read() as session:
        session.add(clinic(1))
        session.flush()

    assert names(database) == set()


def test_a_reading_session_sees_one_state_from_its_first_look_on(database: Database) -> None:
    """What is committed meanwhile is seen by the next session, and the reader does not hold up the writer."""
    with database.read() as session:
        before = session.scalars(select(Clinic.name)).all()
        with database.unit_of_work() as writing:
            writing.add(clinic(1))
        again = session.scalars(select(Clinic.name)).all()

    assert list(before) == list(again) == []
    assert names(database) == {"Clinic 1"}


def test_a_second_writer_waits_for_the_first_and_builds_on_it(file: Path, database: Database) -> None:
    """A transaction that only began to write after reading would fail, or overwrite what it never saw."""
    others = [Database(f"sqlite:///{file.as_posix()}") for _ in range(2)]
    for other in others:
        with other.writer.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout=60000")
    with database.unit_of_work() as session:
        session.add(clinic(0))
    together = threading.Barrier(len(others))

    def count_up(own: Database) -> None:
        together.wait(timeout=60)
        for _ in range(20):
            with own.unit_of_work() as session:
                number = session.scalar(select(func.count()).select_from(Clinic)) or 0
                session.add(clinic(number))

    with ThreadPoolExecutor() as pool:
        list(pool.map(count_up, others))
    for other in others:
        other.close()

    assert names(database) == {f"Clinic {number}" for number in range(41)}


def test_threads_of_one_process_write_one_after_the_other(database: Database) -> None:
    """They share one writing connection."""

    def count_up(_: int) -> None:
        with database.unit_of_work() as session:
            number = session.scalar(select(func.count()).select_from(Clinic)) or 0
            session.add(clinic(number))

    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(count_up, range(40)))

    assert names(database) == {f"Clinic {number}" for number in range(40)}


def test_a_file_locked_by_another_program_is_told_in_one_sentence(file: Path, database: Database) -> None:
    """Nothing is kept; reading goes on; and writing works again once the other program lets go."""
    other = sqlite.connect(str(file), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(DatabaseUnavailable, match="locked by another program"), database.unit_of_work() as session:
        session.add(clinic(1, SECRET))
    assert names(database) == set()

    other.execute("ROLLBACK")
    other.close()
    with database.unit_of_work() as session:
        session.add(clinic(1))
    assert names(database) == {"Clinic 1"}


def test_a_file_locked_by_another_process_is_told_in_the_same_sentence(file: Path, database: Database) -> None:
    """The lock is the operating system's, and ends with the process that holds it."""
    program = (
        "import sys, pysqlite3.dbapi2 as sqlite\n"
        "connection = sqlite.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('BEGIN IMMEDIATE')\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(DatabaseUnavailable, match="locked by another program"), database.unit_of_work() as session:
            session.add(clinic(1))
        process.kill()

    with database.unit_of_work() as session:
        session.add(clinic(2))
    assert names(database) == {"Clinic 2"}


def test_a_full_disk_keeps_nothing_and_is_told_in_one_sentence(database: Database) -> None:
    """The personal value that did not fit is not in the sentence; after some space was freed, work goes on."""
    with database.writer.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    with (
        pytest.raises(DatabaseUnavailable, match="disk is full, and nothing") as full,
        database.unit_of_work() as session,
    ):
        session.add(clinic(1))
        session.flush()
        session.add(clinic(2, SECRET * 10_000))
    assert SECRET not in f"{full.value!r} {full.value.__cause__!r}"
    assert names(database) == set()
    assert check_integrity(database)

    with database.writer.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    with database.unit_of_work() as session:
        session.add(clinic(1))
    assert names(database) == {"Clinic 1"}


def test_a_database_without_tables_names_the_command_that_makes_them(tmp_path: Path) -> None:
    """As after restoring the wrong file."""
    empty = Database(f"sqlite:///{(tmp_path / 'empty.db').as_posix()}")

    with pytest.raises(DatabaseUnavailable, match="run `connector migrate`"), empty.read() as session:
        session.scalars(select(Clinic))
    empty.close()


def test_a_file_that_is_no_database_is_told_in_one_sentence(tmp_path: Path) -> None:
    """For instance a backup that was compressed."""
    (tmp_path / "notes.db").write_bytes(b"Dear diary" * 1_000)
    wrong = Database(f"sqlite:///{(tmp_path / 'notes.db').as_posix()}")

    with pytest.raises(DatabaseUnavailable, match="damaged, or is no database"), wrong.unit_of_work() as session:
        session.add(clinic(1))
    with pytest.raises(DatabaseUnavailable, match="damaged, or is no database"), wrong.read() as session:
        session.scalars(select(Clinic))
    wrong.close()


def test_a_server_that_does_not_answer_is_told_in_one_sentence() -> None:
    """The address and its password are not in the sentence."""
    away = Database("postgresql://connector:hunter2@127.0.0.1:9/smilepass")

    with pytest.raises(DatabaseUnavailable, match="can be reached") as refused, away.unit_of_work() as session:
        session.add(clinic(1))
    assert "hunter2" not in f"{refused.value!r} {away.url!r}"
    away.close()


@pytest.mark.parametrize("url", ["mysql://localhost/x", "oracle://localhost/x"])
def test_other_kinds_of_database_are_refused(url: str) -> None:
    """Only the two that everything is tested on."""
    with pytest.raises(DomainError, match="must be SQLite or PostgreSQL"):
        Database(url)


@pytest.mark.parametrize(("side", "query_only"), [("unit_of_work", 0), ("read", 1)])
def test_every_connection_is_durable_and_checks_foreign_keys(side: str, query_only: int, database: Database) -> None:
    """WAL, FULL (2), foreign keys; readers are read-only."""
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "query_only": query_only, "busy_timeout": 1}

    with getattr(database, side)() as session:
        found = {name: session.execute(text(f"PRAGMA {name}")).scalar_one() for name in wanted}

    assert found == wanted


def test_the_library_of_sqlite_has_the_mended_write_ahead_log() -> None:
    """Earlier ones can corrupt a file in WAL mode."""
    assert tuple(int(part) for part in sqlite_version().split(".")) >= (3, 51, 3)


def test_the_usual_wait_for_a_lock_is_longer_than_any_unit_of_work() -> None:
    """Ten seconds: a writer that holds the lock longer is not ours."""
    assert engine.BUSY_TIMEOUT_MS == 10_000


def test_instants_come_back_as_they_were_and_naive_ones_are_refused(database: Database) -> None:
    """SQLite keeps no zone; the column puts UTC back."""
    local = datetime.fromisoformat("2026-11-21T09:00:00+11:00")
    with database.unit_of_work() as session:
        session.add(Clinic(id="cli_1", name="A", created_at=local))
    with database.read() as session:
        stored = session.scalars(select(Clinic.created_at)).one()

    assert stored == local
    assert stored.tzinfo is UTC
    naive = datetime(2026, 11, 21)  # noqa: DTZ001  (that is the mistake)
    with pytest.raises(Exception, match="without a time zone"), database.unit_of_work() as session:
        session.add(Clinic(id="cli_2", name="B", created_at=naive))


def test_a_model_shows_only_its_kind_and_id() -> None:
    """Its other columns may be personal."""
    assert repr(clinic(1, SECRET)) == "Clinic(cli_1)"


def test_one_of_many_wins_the_right_to_run_a_job(database: Database) -> None:
    """Once per job and period, whoever asks and however often."""
    with database.unit_of_work() as session:
        first = [win(session, "close_day", "loc_1/2026-11-21", NOW) for _ in range(2)]
        others = [win(session, "close_day", "loc_1/2026-11-22", NOW), win(session, "match", "loc_1/2026-11-21", NOW)]
    with database.unit_of_work() as session:
        later = win(session, "close_day", "loc_1/2026-11-21", NOW)

    assert first == [True, False]
    assert others == [True, True]
    assert later is False
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(JobRun)) == 3
