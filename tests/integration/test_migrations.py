"""The schema: migrations arrive at what the models declare, on both databases, and guard what has happened."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from functools import cache
from importlib import import_module
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, event, inspect, select, text
from sqlalchemy.exc import DBAPIError

from connector.billing.agreements.contracts import Cover
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Location
from connector.billing.collecting.charges import ChargeAttempt
from connector.billing.invoices import Invoice, InvoiceKind, InvoiceLine
from connector.billing.offers.plans import PlanVersion
from connector.database import migrate as module
from connector.database.engine import Database, check_integrity
from connector.database.migrate import SCHEMA_VERSION, migrate, prepare
from connector.errors import DomainError
from connector.use_cases.tables import METADATA
from tests.support.book import Book, opened_book
from tests.support.postgres import PostgresServer

_VERSIONS = "connector.database.migrations.versions"
FIRST: tuple[str, ...] = import_module(f"{_VERSIONS}.0001_the_first_schema").APPEND_ONLY
LATER: tuple[str, ...] = import_module(f"{_VERSIONS}.0002_the_billing_core").APPEND_ONLY
NEWEST: tuple[str, ...] = import_module(f"{_VERSIONS}.0003_credit_notes").APPEND_ONLY
MOVES: tuple[str, ...] = import_module(f"{_VERSIONS}.0009_moved_entries").APPEND_ONLY
APPEND_ONLY = (*FIRST, *LATER, *NEWEST, *MOVES)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of an empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{(tmp_path / 'empty.db').as_posix()}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


@pytest.fixture
def book(url: str, tmp_path: Path) -> Iterator[Book]:
    with opened_book(url, tmp_path) as opened:
        yield opened


def test_migrations_arrive_at_the_models(database: Database) -> None:
    """Tables, columns, types, keys, indexes and constraints: nothing is missing, nothing is left over."""
    migrate(database)

    with database.writer.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_the_checks_of_the_models_are_in_the_database(database: Database) -> None:
    """The comparison above does not see check constraints."""
    migrate(database)

    inspector = inspect(database.writer)
    found = {check["name"] for table in METADATA.tables for check in inspector.get_check_constraints(table)}
    declared = {
        str(constraint.name)
        for table in METADATA.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    assert declared <= found
    assert "ck_write_back_amount_positive" in declared


def test_migrating_again_changes_nothing(database: Database) -> None:
    """`connector migrate` may be run at any time."""
    migrate(database)
    migrate(database)

    assert _version(database) == SCHEMA_VERSION


def test_an_empty_database_is_set_up_when_it_is_prepared(database: Database) -> None:
    """A first start needs no other command; a second one finds everything there."""
    prepare(database)
    prepare(database)

    assert set(METADATA.tables) <= set(inspect(database.writer).get_table_names())
    assert _version(database) == SCHEMA_VERSION


@pytest.mark.parametrize(
    ("found", "words"),
    [("9999", "made by a newer version of this program"), ("0000", "run `connector migrate`")],
)
def test_a_database_of_another_version_is_refused_with_the_next_step(
    found: str, words: str, database: Database
) -> None:
    """An older one is not migrated by the way, because a backup should come first."""
    migrate(database)
    with database.writer.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :found"), {"found": found})

    with pytest.raises(DomainError, match=words):
        prepare(database)

    assert _version(database) == found


def test_the_program_knows_the_newest_migration() -> None:
    """The number in the program is compared without loading Alembic, so it must be kept up to date."""
    scripts = ScriptDirectory.from_config(module._config())

    assert scripts.get_current_head() == SCHEMA_VERSION


def test_what_has_happened_cannot_be_changed_or_removed(book: Book) -> None:
    """The database itself refuses, whatever program asks; each of these tables has a row that it keeps."""
    book.whole_story()

    for table in APPEND_ONLY:
        column = next(iter(METADATA.tables[table].columns)).name
        for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):
            _assert_refused(book.context.database, table, statement)
        with book.context.database.read() as session:
            assert session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() > 0


def test_postgresql_does_not_truncate_what_has_happened(postgres: PostgresServer) -> None:
    """TRUNCATE removes rows without touching each; SQLite has no such statement."""
    database = Database(postgres.new_database())
    prepare(database)

    for table in APPEND_ONLY:
        _assert_refused(database, "", f"TRUNCATE {table} CASCADE")
    database.close()


def _assert_refused(database: Database, table: str, statement: str) -> None:
    with pytest.raises(DBAPIError, match=f"{table} is append-only"), database.writer.begin() as connection:
        connection.execute(text(statement))


def test_every_table_of_what_has_happened_is_guarded() -> None:
    """The list in the migration names these; a new table of facts belongs on it."""
    assert set(APPEND_ONLY) == {
        "activity",
        "benefit_use",
        "credit_note",
        "entry_move",
        "fee_statement",
        "invoice_line",
        "plan_version",
        "platform_fee",
        "undone_return",
        "journal_entry",
        "posting",
        "write_back_step",
        "payment",
        "returned_payment",
        "day_close",
    }


def _version(database: Database) -> str:
    with database.read() as session:
        return str(session.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def test_what_was_there_before_the_billing_core_is_carried_over(database: Database) -> None:
    """Prices become the plan's first version, a contract gets its holder's cover, invoices their numbers and lines."""
    _upgrade(database, "0001")
    with database.writer.begin() as connection:
        for statement in _old_rows():
            connection.execute(text(statement))

    migrate(database)

    with database.read() as session:
        version = session.scalars(select(PlanVersion)).one()
        cover = session.scalars(select(Cover)).one()
        invoices = session.scalars(select(Invoice).order_by(Invoice.number)).all()
        lines = session.scalars(select(InvoiceLine).order_by(InvoiceLine.invoice_id)).all()
        attempt = session.scalars(select(ChargeAttempt)).one()
        location = session.scalars(select(Location)).one()
    assert (version.number, version.terms.prices) == (1, {Frequency.WEEKLY: 690, Frequency.MONTHLY: 2_990})
    assert (cover.contract_id, cover.member_id, cover.price_cents) == ("con_1", "mem_1", 2_500)
    assert (cover.starts_on, cover.plan_version_id) == (date(2026, 9, 1), version.id)
    assert [(row.number, row.kind, row.id) for row in invoices] == [
        (1, InvoiceKind.MEMBERSHIP, "inv_b"),
        (2, InvoiceKind.INSTALMENT, "inv_a"),
    ]
    assert [(row.kind.value, row.amount_cents) for row in lines] == [("instalment", 900), ("plan", 2_500)]
    assert attempt.debit_on == date(2026, 9, 1)
    assert (location.next_invoice_number, location.policy.catch_up.value) == (3, "latest")
    assert location.next_credit_note_number == 1


_KILLED_WITHIN = """
import sys
from sqlalchemy import event
from connector import failpoints
from connector.database.engine import Database, check_integrity
from connector.database.migrate import migrate

database, left = Database(sys.argv[1]), int(sys.argv[2])

def count(*_):
    global left
    left -= 1
    if left == 0:
        failpoints._die()

event.listen(database.writer, "after_cursor_execute", count)
migrate(database)
"""


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
def test_a_migration_that_is_killed_anywhere_has_not_begun(tmp_path: Path, share: float) -> None:
    """The process dies at some statement of it; the file is as it was before, and the next try gets through."""
    database = Database(f"sqlite:///{(tmp_path / 'old.sqlite3').as_posix()}")
    _upgrade(database, "0001")
    with database.writer.begin() as connection:
        for statement in _old_rows():
            connection.execute(text(statement))
    number = 1 + round(share * (_statements_of_a_migration() - 2))
    program = [sys.executable, "-c", _KILLED_WITHIN, database.url.render_as_string(hide_password=False), str(number)]

    killed = subprocess.run(program, capture_output=True, text=True, check=False)

    assert killed.returncode in (137, -9), killed.stderr
    assert _version(database) == "0001"
    assert check_integrity(database)
    migrate(database)
    assert _version(database) == SCHEMA_VERSION
    with database.read() as session:
        assert [invoice.number for invoice in session.scalars(select(Invoice).order_by(Invoice.number))] == [1, 2]
    database.close()


@cache
def _statements_of_a_migration() -> int:
    """How many statements it takes from the first version to the newest."""
    with TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{(Path(folder) / 'counted.sqlite3').as_posix()}")
        _upgrade(database, "0001")
        counted = count()
        event.listen(database.writer, "after_cursor_execute", lambda *_: next(counted))
        migrate(database)
        database.close()
    return next(counted)


_AT = "'2026-09-01 01:00:00'"
_ROWS: dict[str, list[dict[str, str]]] = {
    "clinic": [{"id": "'cli_1'", "name": "'Ryde Dental'"}],
    "location": [
        {
            "id": "'loc_1'",
            "clinic_id": "'cli_1'",
            "slug": "'ryde'",
            "name": "'Ryde'",
            "currency": "'aud'",
            "timezone": "'Australia/Sydney'",
            "pms_adapter": "'open_dental'",
            "pms_settings": "'{}'",
        }
    ],
    "membership_plan": [{"id": "'pln_1'", "location_id": "'loc_1'", "name": "'Gold'"}],
    "plan_price": [
        {"plan_id": "'pln_1'", "frequency": "'monthly'", "amount_cents": "2990"},
        {"plan_id": "'pln_1'", "frequency": "'weekly'", "amount_cents": "690"},
    ],
    "member": [
        {
            "id": "'mem_1'",
            "location_id": "'loc_1'",
            "external_id": "'M-1'",
            "given_name": "'Ada'",
            "family_name": "'Ferris'",
            **dict.fromkeys(("email", "phone", "address", "suburb", "state", "postcode"), "''"),
        }
    ],
    "payment_method": [
        {
            "id": "'pm_1'",
            "member_id": "'mem_1'",
            "kind": "'card'",
            "processor_id": "'pm_card'",
            "last4": "'4242'",
            "usable": "true",
        }
    ],
    "contract": [
        {
            "id": "'con_1'",
            "location_id": "'loc_1'",
            "member_id": "'mem_1'",
            "plan_id": "'pln_1'",
            "frequency": "'monthly'",
            "price_cents": "2500",
            "currency": "'aud'",
            "status": "'active'",
            "anchor": "'2026-09-01'",
            "next_period": "1",
            "next_due": "'2026-10-01'",
        }
    ],
    "payment_plan": [
        {
            "id": "'pp_1'",
            "location_id": "'loc_1'",
            "member_id": "'mem_1'",
            "total_cents": "1800",
            "currency": "'aud'",
            "instalment_count": "2",
            "frequency": "'monthly'",
            "anchor": "'2026-09-01'",
            "next_number": "2",
            "next_due": "'2026-10-01'",
            "status": "'active'",
        }
    ],
    "invoice": [
        {
            "id": f"'inv_{letter}'",
            "location_id": "'loc_1'",
            "member_id": "'mem_1'",
            agreement: of,
            "period": period,
            "due_date": "'2026-09-01'",
            "amount_cents": cents,
            "currency": "'aud'",
            "status": "'open'",
            "issued_at": f"'2026-09-01 0{hour}:00:00'",
        }
        for letter, agreement, of, period, cents, hour in (
            ("b", "contract_id", "'con_1'", "0", "2500", 1),
            ("a", "payment_plan_id", "'pp_1'", "1", "900", 2),
        )
    ],
    "charge": [
        {
            "id": "'ch_1'",
            "location_id": "'loc_1'",
            "invoice_id": "'inv_b'",
            "generation": "1",
            "amount_cents": "2500",
            "currency": "'aud'",
        }
    ],
    "charge_attempt": [
        {
            "id": "'att_1'",
            "location_id": "'loc_1'",
            "charge_id": "'ch_1'",
            "payment_method_id": "'pm_1'",
            "state": "'planned'",
            "next_check_at": _AT,
        }
    ],
}
"""One of each kind of row that the migration carries over, as the first version of the program stored them."""


def _old_rows() -> Iterator[str]:
    for table, rows in _ROWS.items():
        for row in rows:
            dated = row if table in ("plan_price", "invoice") else {**row, "created_at": _AT}
            yield f"INSERT INTO {table} ({', '.join(dated)}) VALUES ({', '.join(dated.values())})"


def _upgrade(database: Database, revision: str) -> None:
    config = module._config()
    with database.writer.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
