"""Importing members from a file into a real database: what goes in, what stays, and what a second run does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from connector.billing.agreements.contracts import AgreementStatus, Contract, Cover
from connector.billing.agreements.schedule import Frequency
from connector.billing.clinics import Clinic, Location
from connector.billing.intake.csv_rows import RefusedRow
from connector.billing.members import Member
from connector.billing.offers.plans import MembershipPlan, PlanVersion
from connector.billing.processor import PaymentProcessor
from connector.clock import MovableClock
from connector.database.engine import Database
from connector.database.migrate import migrate
from connector.errors import DomainError
from connector.use_cases.context import Context, PmsConnections
from connector.use_cases.transfer import import_members as module
from connector.use_cases.transfer.import_members import BATCH, ImportReport, import_members

# In Sydney the 22nd has begun.
NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
HEADER = "id,given_name,family_name,date_of_birth,email,frequency,start_date,stripe_payment_method"


class NoProcessor:
    """Stands where the payment processor would, and allows no call at all."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"An import must not call the payment processor ({name}).")


@contextmanager
def practice(directory: Path) -> Iterator[Context]:
    """A practice with one location `ryde` and the plan `Gold`, weekly or monthly."""
    database = Database(f"sqlite:///{directory / 'practice.db'}")
    migrate(database)
    with database.unit_of_work() as session:
        session.add(Clinic(id="cli_1", name="Ryde Dental", created_at=NOW))
        session.flush()
        session.add(
            Location(
                id="loc_1",
                clinic_id="cli_1",
                slug="ryde",
                name="Ryde",
                timezone="Australia/Sydney",
                currency="aud",
                pms_adapter="none",
                pms_settings={},
                created_at=NOW,
            )
        )
        session.flush()
        session.add(MembershipPlan(id="pln_1", location_id="loc_1", name="Gold", created_at=NOW))
        session.flush()
        document = {"prices": {"monthly": 2_990, "weekly": 690}}
        session.add(
            PlanVersion(id="plv_1", plan_id="pln_1", number=1, document=document, actor="connector", created_at=NOW)
        )
    clock = MovableClock(NOW)
    yield Context(database, clock, cast("PaymentProcessor", NoProcessor()), PmsConnections(clock))
    database.close()


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    with practice(tmp_path) as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "members.csv"


def write(file: Path, *rows: str) -> Path:
    file.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return file


def person(number: int) -> str:
    return f"P{number},Ada,Nguyen{number},1980-12-31,ada{number}@example.com,,,"


def run(context: Context, file: Path, *, invite: bool = True) -> ImportReport:
    return import_members(context, file, location_slug="ryde", plan_name="Gold", invite=invite)


def stored(context: Context) -> list[dict[str, object]]:
    """All columns of all members and contracts."""
    with context.database.read() as session:
        rows = [
            *session.scalars(select(Member).order_by(Member.id)),
            *session.scalars(select(Contract).order_by(Contract.id)),
        ]
        return [{column.key: getattr(row, column.key) for column in row.__table__.columns} for row in rows]


def count(context: Context, kind: type[Member | Contract] = Member) -> int:
    with context.database.read() as session:
        return session.scalar(select(func.count()).select_from(kind)) or 0


def test_a_good_row_becomes_a_member_with_a_pending_contract(context: Context, file: Path) -> None:
    """The contract copies the price of the plan for the row's frequency and waits for a payment method."""
    report = run(context, write(file, "P1,Ada,Nguyen,31/12/1980,ada@example.com,weekly,2027-01-15,"))

    with context.database.read() as session:
        member, contract = session.scalars(select(Member)).one(), session.scalars(select(Contract)).one()
        cover = session.scalars(select(Cover)).one()
    assert (report.imported, report.unchanged, report.refused) == (1, 0, 0)
    assert (member.id[:4], member.location_id, member.external_id) == ("mem_", "loc_1", "P1")
    assert (member.given_name, member.family_name, member.email) == ("Ada", "Nguyen", "ada@example.com")
    assert (member.date_of_birth, member.created_at) == (date(1980, 12, 31), NOW)
    assert (contract.id[:4], contract.member_id, cover.plan_version_id) == ("con_", member.id, "plv_1")
    assert (contract.status, contract.frequency) == (AgreementStatus.PENDING, Frequency.WEEKLY)
    assert (cover.price_cents, contract.currency) == (690, "aud")
    assert (contract.anchor, contract.next_due) == (date(2027, 1, 15), None)
    assert report.to_invite == [contract.id]


def test_bad_rows_stay_out_and_good_ones_go_in(context: Context, file: Path) -> None:
    """Each refusal has its line and column, in the order of the file, whoever noticed it."""
    run(context, write(file, "OLD,Bea,Lee,1980-12-31,bea@example.com,,,"))

    report = run(
        context,
        write(
            file,
            person(1),
            "P2,Bea,Lee,1980-12-31,bea@example.com,,,",
            "P3,Cy,Ng,2026-11-23,cy@example.com,,,",
            "P4,Di,Wu,2026-11-22,di@example.com,annually,,",
            person(1),
            "P5,Ed,Fu,2026-11-22,,,,",
            person(6),
        ),
    )

    assert (report.imported, report.unchanged, report.refused) == (2, 0, 5)
    places = [(refusal.line, refusal.column) for refusal in report.refusals]
    assert places == [(3, ""), (4, "date_of_birth"), (5, "frequency"), (6, "id"), (7, "email")]
    assert "another id" in report.refusals[0].reason
    assert count(context) == count(context, Contract) == 3


@pytest.mark.parametrize("first_id", ["P1", ""], ids=["with ids", "without ids"])
def test_importing_again_changes_nothing(context: Context, file: Path, first_id: str) -> None:
    """The same file finds everybody there, also when it has no ids of its own."""
    write(
        file, f"{first_id},Ada,Nguyen,1980-12-31,ada@example.com,,,", "P2,Bea,Lee,,bea@example.com,,,", "P3,Bad,,,,,,"
    )
    first = run(context, file)
    before = stored(context)

    again = run(context, file)

    assert (first.imported, first.unchanged, first.refused) == (2, 0, 1)
    assert (again.imported, again.unchanged, again.refused) == (0, 2, 1)
    assert stored(context) == before


def test_a_person_who_is_in_is_never_altered(context: Context, file: Path) -> None:
    """A file with other details under a known id changes neither the member nor the contract."""
    run(context, write(file, person(1)))
    before = stored(context)

    report = run(context, write(file, "P1,Adeline,Other,1981-01-01,other@example.com,weekly,,"))

    assert report.unchanged == 1
    assert stored(context) == before


def test_an_invitation_is_asked_for_until_it_was_sent(context: Context, file: Path) -> None:
    """A caller who died before inviting is told again; once the message is handed over, no more."""
    contracts = run(context, write(file, person(1), person(2))).to_invite
    with context.database.unit_of_work() as session:
        invited = session.get_one(Contract, contracts[0]).member_id
        session.execute(update(Contract).where(Contract.member_id == invited).values(invited_at=context.clock.now()))

    again = run(context, file)

    assert again.to_invite == contracts[1:]


def test_without_invitations_no_email_is_needed(context: Context, file: Path) -> None:
    """Nobody is to be invited, neither now nor, for lack of an address, later."""
    write(file, "P1,Ada,Nguyen,,,,,")

    report = run(context, file, invite=False)
    write(file, "P1,Ada,Nguyen,,ada@example.com,,,")
    later = run(context, file)

    assert (report.imported, report.to_invite) == (1, [])
    assert (later.unchanged, later.to_invite) == (1, [])


def test_a_method_that_exists_at_stripe_is_handed_to_the_caller(context: Context, file: Path) -> None:
    """Such a contract is adopted, not invited, and handed over again for as long as it is pending."""
    write(file, "P1,Ada,Nguyen,,ada@example.com,,,pm_1", person(2))

    first = run(context, file)
    again = run(context, file)
    with context.database.unit_of_work() as session:
        session.get_one(Contract, first.to_adopt[0].contract_id).activate(date(2026, 11, 22), date(2026, 11, 22))
    adopted = run(context, file)

    assert [adoption.method_id for adoption in first.to_adopt] == ["pm_1"]
    assert len(first.to_invite) == 1
    assert again.to_adopt == first.to_adopt
    assert adopted.to_adopt == []


def test_a_stopped_import_leaves_whole_batches_and_is_finished_by_the_next(context: Context, file: Path) -> None:
    """Stopping by the keyboard loses no invitation: the next run asks for those of the first one, too."""
    rows = 2 * BATCH + 50
    write(file, *(person(number) for number in range(rows)))

    def stop(done: int) -> None:
        if done > BATCH:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_members(context, file, location_slug="ryde", plan_name="Gold", progress=stop)
    left = count(context)
    report = run(context, file)

    assert left == 2 * BATCH
    assert (report.imported, report.unchanged, report.refused) == (50, 2 * BATCH, 0)
    assert len(set(report.to_invite)) == rows == count(context, Contract)


def test_an_import_that_fails_inside_a_batch_leaves_nothing_of_it(
    context: Context, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members without contracts are never left behind."""
    write(file, *(person(number) for number in range(3)))

    def interrupt(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_waiting", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(context, file)

    assert count(context) == count(context, Contract) == 0


def test_progress_is_told_after_each_batch(context: Context, file: Path) -> None:
    """Refused rows count as done."""
    told: list[int] = []
    write(file, *(person(number) for number in range(BATCH)), "P,,,,,,,")

    import_members(context, file, location_slug="ryde", plan_name="Gold", progress=told.append)

    assert told == [BATCH, BATCH + 1]


@pytest.mark.parametrize(
    ("slug", "plan", "content", "message"),
    [
        ("epping", "Gold", HEADER, "no location 'epping'"),
        ("ryde", "Silver", HEADER, "no plan 'Silver'"),
        ("ryde", "Gold", "", "empty"),
        ("ryde", "Gold", "name,email\nAda,ada@example.com", "given_name or family_name"),
        ("ryde", "Gold", None, "cannot be read"),
    ],
)
def test_an_import_that_cannot_begin_says_why(
    context: Context, file: Path, slug: str, plan: str, content: str | None, message: str
) -> None:
    """An unknown location or plan and a file that is of no use are refused as a whole."""
    if content is not None:
        file.write_text(content, encoding="utf-8")

    with pytest.raises(DomainError, match=message):
        import_members(context, file, location_slug=slug, plan_name=plan)

    assert count(context) == 0


def test_another_import_of_the_same_people_is_noticed(
    context: Context, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unique key of the database has the last word, and the refusal quotes nobody."""
    run(context, write(file, person(1)))
    # As a second daemon on PostgreSQL would see it: nobody is there yet when it looks.
    monkeypatch.setattr(module, "_people", lambda *_: frozenset())
    monkeypatch.setattr(module, "_known", lambda *_: frozenset())

    with pytest.raises(DomainError, match="Another import") as refusal:
        run(context, file)

    assert "Nguyen" not in str(refusal.value)
    assert count(context) == 1


ROWS = st.lists(
    st.one_of(
        st.integers(0, 9).map(person),
        st.sampled_from(
            ["P1,=Ada,Lee,,,,,", "P2,Ada,Lee", ",Bea,Lee,,,,,pm_1", ",Cy,Ng,,,,,", "P3,Di,Wu,,,,annually,"]
        ),
        st.text("abc,;1@/-", min_size=1, max_size=20).map(lambda text: f"x{text}"),
    ),
    max_size=25,
)


@settings(max_examples=25)
@given(ROWS)
def test_every_row_is_counted_once_and_a_second_run_finds_them_all(rows: list[str]) -> None:
    """Imported, unchanged and refused rows add up to the file; the second run imports nothing and refuses the same."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as directory, practice(Path(directory)) as context:
        file = write(Path(directory) / "members.csv", *rows)

        first = run(context, file, invite=False)
        again = run(context, file, invite=False)

        assert first.imported + first.unchanged + first.refused == len(rows)
        assert (again.imported, again.unchanged) == (0, first.imported)
        assert again.refusals == first.refusals
        assert all(isinstance(refusal, RefusedRow) for refusal in first.refusals)
        assert count(context) == first.imported
