"""The patients' pages: how many requests an address may send, and that no crowd of strangers shuts the patients out."""

from __future__ import annotations

from asyncio import Runner
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from connector.clock import MovableClock
from connector.web.patient.protection import LimitedLinks
from connector.web.patient.rate_limit import CLIENTS_MAX, FAILURES, RateLimit, client_of

GOOD = "/l/good"


async def _page(scope: Scope, receive: Receive, send: Send) -> None:
    """One good link."""
    await PlainTextResponse("", 200 if scope["path"] == GOOD else 404)(scope, receive, send)


class Pages:
    """Pages behind a proxy on this machine."""

    def __init__(self, clock: MovableClock, runner: Runner) -> None:
        self._app = LimitedLinks(_page, limit=RateLimit(clock))
        self._runner = runner

    def ask(self, address: str, path: str = GOOD) -> int:
        """What somebody at that address is answered."""
        answers: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            answers.append(message)

        headers = [(b"x-forwarded-for", address.encode())]
        scope = {"type": "http", "path": path, "client": ("127.0.0.1", 50_000), "headers": headers}
        self._runner.run(self._app(scope, receive, send))
        return int(answers[0]["status"])


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(datetime(2026, 9, 1, tzinfo=UTC))


@pytest.fixture
def pages(clock: MovableClock) -> Iterator[Pages]:
    with Runner() as runner:
        yield Pages(clock, runner)


def test_one_address_may_send_sixty_at_once_and_thirty_a_minute(pages: Pages, clock: MovableClock) -> None:
    """Whatever port it sends from, and without a loss for its neighbour."""
    first = Counter(pages.ask(f"192.0.2.1:{port}") for port in range(100))
    neighbour = pages.ask("192.0.2.2:1")
    clock.advance(timedelta(minutes=1))
    later = Counter(pages.ask("192.0.2.1") for _ in range(50))

    assert first == {200: 60, 429: 40}
    assert neighbour == 200
    assert later == {200: 30, 429: 20}


def test_a_network_of_households_has_a_budget_besides_each_household(pages: Pages) -> None:
    """Whoever owns 65,536 networks cannot use each for itself; the next provider's customers notice nothing."""
    answers = Counter(pages.ask(f"[2001:db8:1:{number:x}::1]:443", "/l/guess") for number in range(400))

    assert answers == {404: 300, 429: 100}
    assert pages.ask("2001:db8:2::1") == 200


def test_good_links_cost_the_others_nothing(pages: Pages) -> None:
    """Only what is not found counts for all together."""
    answers = Counter(pages.ask(f"198.51.{number // 250}.{number % 250}") for number in range(FAILURES.burst + 200))
    unknown = pages.ask("192.0.2.9", "/l/guess")
    again = pages.ask("192.0.2.9", "/l/guess")

    assert answers == {200: FAILURES.burst + 200}
    assert (unknown, again) == (404, 404)


def test_who_has_guessed_waits_when_too_many_guess_and_nobody_else_does(pages: Pages, clock: MovableClock) -> None:
    """An address without a failed look-up is let in at any time, and so are all of them a minute later."""
    addresses = [f"203.0.113.{number}" for number in range(40)]

    guesses = Counter(pages.ask(address, "/l/guess") for _ in range(50) for address in addresses)

    assert guesses == {404: FAILURES.burst, 429: 1_000}
    assert {pages.ask(f"192.0.2.{number}") for number in range(100)} == {200}
    assert pages.ask(addresses[0]) == 429
    clock.advance(timedelta(minutes=1))
    assert pages.ask(addresses[0]) == 200


def test_what_is_remembered_is_limited(clock: MovableClock) -> None:
    """The address that was not seen for longest begins anew."""
    limit = RateLimit(clock)
    while limit.allows(("first",)):
        pass

    for number in range(CLIENTS_MAX - 1):
        limit.allows((str(number),))
    assert not limit.allows(("first",))
    for number in range(CLIENTS_MAX):
        limit.allows((str(number),))
    assert limit.allows(("first",))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("127.0.0.1", "192.0.2.1", ("192.0.2.1",)),
        ("127.0.0.1", "192.0.2.1:5000", ("192.0.2.1",)),
        ("127.0.0.1", "203.0.113.1, 192.0.2.1:5000", ("192.0.2.1",)),
        ("::1", "[2001:db8:1:2:3::4]:5000", ("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("::1", "[2001:db8:1:2:3::4]", ("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("127.0.0.1", "2001:db8:1:2:3::4", ("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("127.0.0.1", "fe80::1%eth0", ("fe80::/64", "fe80::/48")),
        ("127.0.0.1", "::ffff:192.0.2.1", ("192.0.2.1",)),
        ("127.0.0.1", "", ("127.0.0.1",)),
        ("127.0.0.1", "somebody", ("unknown",)),
        ("127.0.0.1", "[", ("127.0.0.1",)),
        ("198.51.100.7", "192.0.2.1", ("198.51.100.7",)),
    ],
)
def test_a_request_is_counted_where_it_comes_from(peer: str, forwarded: str, client: tuple[str, ...]) -> None:
    """A proxy of this machine tells it in its last entry, with or without a port; nobody else is believed."""
    headers = [(b"x-forwarded-for", forwarded.encode())]

    assert client_of(HTTPConnection({"type": "http", "client": (peer, 1), "headers": headers})) == client
