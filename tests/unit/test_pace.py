"""The budget of requests to one practice system: evenly spaced, and silent for as long as the other side asks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest

from connector.errors import NotSent, OutcomeUnknown, RateLimited
from connector.pms_adapters.open_dental.manifest import manifest_for
from connector.pms_adapters.open_dental.settings import OpenDentalSettings
from connector.pms_adapters.pace import LONGEST_PAUSE_SECONDS, Deadline, Pace
from connector.pms_adapters.transport import HttpTransport

DATE = {"Date": "Mon, 02 Mar 2026 01:00:00 GMT"}


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds

    def pace(self, calls_per_minute: int) -> Pace:
        return Pace(calls_per_minute, lambda: self.now, self.sleep)

    def deadline(self, seconds: float) -> Deadline:
        return Deadline(seconds, lambda: self.now)


def reply(status: int = 200, body: bytes = b"[]", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return httpx.Response(status, headers=named, stream=httpx.ByteStream(body))


def transport(moved: Time, calls_per_minute: int, answer: Callable[[httpx.Request], httpx.Response]) -> HttpTransport:
    network = httpx.MockTransport(answer)
    return HttpTransport("It", "http://pms", {}, pace=moved.pace(calls_per_minute), sleep=moved.sleep, network=network)


def test_turns_are_evenly_spaced_and_whoever_would_come_too_late_is_told_at_once() -> None:
    """A turn that was refused is not used up, and time that nobody used is not saved."""
    moved = Time()
    pace = moved.pace(60)

    pace.wait(moved.deadline(10))
    pace.wait(moved.deadline(10))
    with pytest.raises(NotSent):
        pace.wait(moved.deadline(0.5))
    pace.wait(moved.deadline(10))
    moved.now += 5
    pace.wait(moved.deadline(10))
    pace.wait(moved.deadline(10))

    assert moved.slept == [0.0, 1.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize(("calls_per_minute", "seconds"), [(60, 59), (12, 295), (600, 5.9)])
def test_sixty_requests_take_as_long_as_the_budget_says(calls_per_minute: int, seconds: float) -> None:
    """Reads and writes draw on the same budget."""
    moved = Time()
    http = transport(moved, calls_per_minute, lambda _: reply())

    for _ in range(30):
        http.read("rows", "rows", {}, moved.deadline(30))
        http.write("POST", "rows", "rows", {}, moved.deadline(30))

    assert moved.now - 100 == pytest.approx(seconds)


def test_without_a_limit_nobody_waits() -> None:
    """Inside the office the answers alone set the pace."""
    moved = Time()
    pace = moved.pace(0)

    for _ in range(3):
        pace.wait(moved.deadline(1))

    assert moved.slept == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "Mon, 02 Mar 2026 01:00:07 GMT", **DATE}, 7),
        ({"Retry-After": "Mon, 02 Mar 2026 00:00:00 GMT", **DATE}, 0),
        ({"Retry-After": "Mon, 02 Mar 2026 01:00:07 GMT", "Date": ""}, 0),
        ({"Retry-After": "soon", **DATE}, 0),
        ({}, 0),
    ],
    ids=["seconds", "date", "past", "date without a clock", "no number", "silent"],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_read_waits_as_long_as_it_is_asked_to(status: int, headers: dict[str, str], seconds: float) -> None:
    """In seconds or until a date of the other side's own clock; without a usable word, for a short while."""
    moved = Time()
    answers = iter([reply(status, b"", **headers), reply(200, b'["row"]')])
    http = transport(moved, 0, lambda _: next(answers))

    assert http.read("rows", "rows", {}, moved.deadline(30)) == ["row"]

    assert seconds <= moved.now - 100 <= max(seconds, 2)


def test_a_pause_beyond_the_deadline_is_told_and_kept_by_everybody() -> None:
    """The read ends at once and tells how long; until then nothing is sent, and afterwards everything is."""
    moved = Time()
    asked = 0

    def answer(_: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return reply(429, retry_after="120") if asked == 1 else reply()

    http = transport(moved, 0, answer)
    with pytest.raises(RateLimited) as refusal:
        http.read("rows", "rows", {}, moved.deadline(30))
    with pytest.raises(NotSent):
        http.write("POST", "rows", "rows", {}, moved.deadline(30))

    assert (refusal.value.retry_after, asked, moved.slept) == (120, 1, [0.0])
    moved.now += 120
    assert http.write("POST", "rows", "rows", {}, moved.deadline(30)) == []


def test_a_write_that_was_too_much_is_in_doubt_and_the_next_one_waits() -> None:
    """A relay may say 429 after it passed the write on; what comes after it keeps the pause all the same."""
    moved = Time()
    answers = iter([reply(429, retry_after="5"), reply(201)])
    http = transport(moved, 0, lambda _: next(answers))

    with pytest.raises(OutcomeUnknown):
        http.write("POST", "rows", "rows", {}, moved.deadline(30))
    http.write("POST", "rows", "rows", {}, moved.deadline(30))

    assert moved.slept == [0.0, 5.0]


def test_no_pause_is_longer_than_an_hour() -> None:
    """A faulty clock on the way must not silence a practice for a year."""
    moved = Time()
    http = transport(moved, 0, lambda _: reply(429, retry_after="31536000"))

    with suppress(RateLimited):
        http.read("rows", "rows", {}, moved.deadline(30))
    moved.now += LONGEST_PAUSE_SECONDS

    with pytest.raises(RateLimited):
        http.read("rows", "rows", {}, moved.deadline(30))


@pytest.mark.parametrize(("mode", "calls"), [("remote", 60), ("service", 0), ("local", 0)])
def test_open_dental_declares_the_budget_of_its_relay(mode: str, calls: int) -> None:
    """One request a second of a key that may write; nothing paces calls inside the office."""
    settings = {"base_url": "https://api.opendental.com/api/v1", "developer_key": "d", "customer_key": "c"}

    assert manifest_for(OpenDentalSettings.parse({**settings, "mode": mode})).calls_per_minute == calls
