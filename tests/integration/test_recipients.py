"""Whether patients can still be written to: asked for many at once, in the cheapest way that the office offers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connector import failpoints
from connector.clock import MovableClock
from connector.ledger.write_back.recipients import KNOWN_FOR, Recipients
from connector.pms_adapters.open_dental.adapter import OpenDentalAdapter
from connector.pms_adapters.open_dental.settings import OpenDentalSettings
from connector.pms_adapters.port import ConnectionContext
from tests.support.open_dental_office import RunningOffice, running_office

FIRST = 1001
NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[RunningOffice]:
    """An office with 250 patients."""
    lines = (f"S-{number},Ada,Ferris {number},1988-03-09,1 High Street,Leura,NSW,2780" for number in range(250))
    head = "id,given_name,family_name,date_of_birth,address,suburb,state,postcode"
    with running_office(tmp_path, patients="\n".join([head, *lines, ""])) as found:
        yield found


@contextmanager
def connected(office: RunningOffice, mode: str) -> Iterator[OpenDentalAdapter]:
    settings = {"base_url": f"{office.address}/api/v1", "developer_key": "sandbox-developer"}
    parsed = OpenDentalSettings.parse({**settings, "customer_key": "sandbox-office", "mode": mode})
    context = ConnectionContext("aud", "Australia/Sydney", MovableClock(NOW))
    with closing(OpenDentalAdapter(parsed, context, sleep=lambda _: None)) as adapter:
        yield adapter


@contextmanager
def counted() -> Iterator[list[str]]:
    """The reads that are made within the block."""
    reads: list[str] = []
    with failpoints.watched(lambda place: reads.append(place) if place == "read.before" else None):
        yield reads


def patients(first: int, count: int) -> set[str]:
    return {str(number) for number in range(first, first + count)}


def test_many_patients_are_asked_for_in_one_request(office: RunningOffice) -> None:
    """A page of the office's list answers for a whole round."""
    office.control("options", {"mode": "service"})
    with connected(office, "service") as adapter, counted() as reads:
        assert adapter.active_patients(patients(FIRST, 200)) == patients(FIRST, 200)

    assert len(reads) == 1


@pytest.mark.parametrize("mode", ["service", "remote"])
def test_whoever_is_gone_is_not_among_them(office: RunningOffice, mode: str) -> None:
    """By the list as by single records: archived, merged and deleted patients, and numbers that were never given."""
    office.staff("archive_patient", PatNum=FIRST + 1)
    office.staff("delete_patient", PatNum=FIRST + 2)
    office.staff("merge_patients", PatNum=FIRST + 3, IntoPatNum=FIRST)
    gone = patients(FIRST + 1, 3) | {"9999999"}

    with connected(office, mode) as adapter:
        for some in (patients(FIRST, 4), patients(FIRST, 100)):
            assert adapter.active_patients(some | {"9999999"}) == some - gone


def test_few_patients_of_a_large_office_are_read_one_by_one(office: RunningOffice) -> None:
    """Nobody reads thirty thousand patients for three; and a list that proved too long is not begun again."""
    with connected(office, "remote") as adapter:
        with counted() as first:
            assert adapter.active_patients(patients(FIRST + 240, 4)) == patients(FIRST + 240, 4)
        with counted() as second:
            assert adapter.active_patients(patients(FIRST + 240, 4)) == patients(FIRST + 240, 4)
        with counted() as many:
            assert adapter.active_patients(patients(FIRST + 240, 8)) == patients(FIRST + 240, 8)

    assert [len(first), len(second), len(many)] == [2 + 4, 4, 3]


def test_an_office_that_does_not_offer_the_list_is_asked_one_by_one(office: RunningOffice) -> None:
    """The list is a shorter way and no condition."""
    fault = {"kind": "status_before", "status": 404, "method": "GET", "path": "/api/v1/patients/Simple"}
    office.control("faults", fault)
    with connected(office, "service") as adapter, counted() as reads:
        assert adapter.active_patients(patients(FIRST, 20)) == patients(FIRST, 20)

    assert len(reads) == 1 + 20


def test_an_answer_counts_for_ten_minutes_and_only_a_good_one(office: RunningOffice) -> None:
    """Several payments of a patient ask once; whoever was gone is asked for again."""
    clock = MovableClock(NOW)
    office.staff("archive_patient", PatNum=FIRST)
    with connected(office, "service") as adapter:
        recipients = Recipients(adapter, clock)
        assert recipients.gone(["1001", "1002"]) == {"1001"}
        office.staff("archive_patient", PatNum=FIRST + 1)
        with counted() as reads:
            assert recipients.gone(["1001", "1002"]) == {"1001"}
        clock.advance(KNOWN_FOR)
        assert recipients.gone(["1002"]) == {"1002"}

    assert len(reads) == 1
