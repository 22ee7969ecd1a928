"""The patients' pages: how many requests an address may send, and that no crowd of strangers shuts the patients out."""

from __future__ import annotations

import asyncio
from asyncio import Runner
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from connector.clock import MovableClock
from connector.web.patient.protection import AT_ONCE, AT_ONCE_MAX, BUSY, LimitedAtOnce, LimitedRequests
from connector.web.patient.rate_limit import (
    CLIENTS_MAX,
    FAILURES,
    FAILURES_OF_ONE,
    OTHER_BUDGETS,
    RateLimit,
    client_of,
)

GOOD = "/l/good"
IPV4 = ("192.0.2.1", "192.0.2.0/24")


async def _page(scope: Scope, receive: Receive, send: Send) -> None:
    """One good link, and what is no link."""
    await PlainTextResponse("", 404 if scope["path"] == "/l/guess" else 200)(scope, receive, send)


class Pages:
    """Pages behind a proxy on this machine."""

    def __init__(self, clock: MovableClock, runner: Runner) -> None:
        self._app = LimitedRequests(_page, links=RateLimit(clock), others=RateLimit(clock, OTHER_BUDGETS))
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
    newer = Counter(pages.ask(f"[2001:db8:1:{number:x}::1]:443", "/l/guess") for number in range(400))
    older = Counter(pages.ask(f"192.0.2.{number % 200}") for number in range(400))

    assert newer == {404: 300, 429: 100}
    assert older == {200: 300, 429: 100}
    assert pages.ask("2001:db8:2::1") == pages.ask("192.0.3.1") == 200


def test_what_is_no_link_has_a_budget_of_its_own_which_a_busy_run_does_not_use_up(pages: Pages) -> None:
    """The processor sends more than a household does, but nobody sends without end."""
    burst = OTHER_BUDGETS[0].burst
    answers = Counter(pages.ask("192.0.2.1", "/stripe/webhook") for _ in range(burst + 100))

    assert answers == {200: burst, 429: 100}
    assert pages.ask("192.0.2.1") == 200


def test_good_links_cost_the_others_nothing(pages: Pages) -> None:
    """Only what is not found counts for all together."""
    answers = Counter(pages.ask(f"198.51.{number // 250}.{number % 250}") for number in range(FAILURES.burst + 200))
    unknown = pages.ask("192.0.2.9", "/l/guess")
    again = pages.ask("192.0.2.9", "/l/guess")

    assert answers == {200: FAILURES.burst + 200}
    assert (unknown, again) == (404, 404)


def test_who_has_guessed_waits_when_too_many_guess_and_nobody_else_does(pages: Pages, clock: MovableClock) -> None:
    """An address without a failed look-up is let in at any time, and so are all of them a minute later."""
    addresses = [f"203.0.{number}.113" for number in range(40)]

    guesses = Counter(pages.ask(address, "/l/guess") for _ in range(50) for address in addresses)

    assert guesses == {404: FAILURES.burst, 429: 1_000}
    assert {pages.ask(f"192.0.2.{number}") for number in range(100)} == {200}
    assert pages.ask(addresses[0]) == 429
    clock.advance(timedelta(minutes=1))
    assert pages.ask(addresses[0]) == 200


def test_who_has_opened_an_old_link_is_no_guesser(pages: Pages, clock: MovableClock) -> None:
    """A household comes with its good link while others guess; and who has guessed is let in some minutes later."""
    for _ in range(FAILURES_OF_ONE.burst - 1):
        assert pages.ask("192.0.2.9", "/l/guess") == 404
    guessers = [f"203.0.{number}.113" for number in range(40)]
    for _ in range(50):
        assert {pages.ask(address, "/l/guess") for address in guessers} <= {404, 429}

    assert pages.ask("192.0.2.9") == 200
    assert pages.ask(guessers[0]) == 429
    clock.advance(timedelta(minutes=2))
    for _ in range(100):
        assert {pages.ask(address, "/l/guess") for address in guessers[1:]} <= {404, 429}
    assert pages.ask(guessers[0]) == 200


class Busy:
    """Pages that are answered when they are told to, and forms that arrive in two pieces."""

    def __init__(self) -> None:
        self.app = LimitedAtOnce(self._answer)
        self.go_on, self.rest_arrives = asyncio.Event(), asyncio.Event()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        while scope["method"] == "POST" and (await receive()).get("more_body"):
            pass
        await self.go_on.wait()
        await PlainTextResponse("")(scope, receive, send)

    async def ask(self, address: str, method: str = "GET") -> int:
        """What somebody at that address is answered."""
        answers: list[Message] = []
        pieces = iter([True, False])

        async def receive() -> Message:
            if not (more := next(pieces)):
                await self.rest_arrives.wait()
            return {"type": "http.request", "body": b"a", "more_body": more}

        async def send(message: Message) -> None:
            answers.append(message)

        headers = [(b"x-forwarded-for", address.encode())]
        scope = {"type": "http", "method": method, "path": GOOD, "client": ("127.0.0.1", 50_000), "headers": headers}
        try:
            await self.app(scope, receive, send)
        except HTTPException as refusal:
            assert refusal.detail == BUSY
            return refusal.status_code
        return int(answers[0]["status"])


@pytest.mark.parametrize(
    ("addresses", "answered"),
    [
        (["192.0.2.1"] * 100, AT_ONCE[0]),
        ([f"192.0.2.{number}" for number in range(100)], AT_ONCE[1]),
        ([f"2001:db8:1:{number:x}::1" for number in range(100)], AT_ONCE[1]),
        ([f"192.0.{number}.1" for number in range(250)], AT_ONCE_MAX),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_so_many_are_answered_at_once_of_an_address_of_its_network_and_of_all(
    addresses: list[str], answered: int, method: str
) -> None:
    """The others read that the pages are busy; when all are answered everybody has room again."""

    async def story() -> None:
        busy = Busy()
        busy.rest_arrives.set()
        asked = [asyncio.create_task(busy.ask(address, method)) for address in addresses]
        await asyncio.wait(asked, timeout=0.2)
        busy.go_on.set()
        assert Counter(await asyncio.gather(*asked)) == {200: answered, 503: len(addresses) - answered}
        assert await busy.ask(addresses[0], method) == 200

    asyncio.run(story())


def test_a_form_takes_a_place_only_when_it_has_arrived() -> None:
    """However many are on their way, from however many addresses, whoever looks at a page is answered."""

    async def story() -> None:
        busy = Busy()
        addresses = [f"192.0.{number % 50}.1" for number in range(500)]
        forms = [asyncio.create_task(busy.ask(address, "POST")) for address in addresses]
        busy.go_on.set()
        await asyncio.sleep(0)
        assert {await busy.ask("198.51.100.7") for _ in range(5)} == {200}
        assert not any(form.done() for form in forms)
        busy.rest_arrives.set()
        await asyncio.gather(*forms)

    asyncio.run(story())


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
        ("127.0.0.1", "192.0.2.1", IPV4),
        ("127.0.0.1", "192.0.2.1:5000", IPV4),
        ("127.0.0.1", "203.0.113.1, 192.0.2.1:5000", IPV4),
        ("::1", "[2001:db8:1:2:3::4]:5000", ("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("::1", "[2001:db8:1:2:3::4]", ("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("127.0.0.1", "2001:db8:1:2:3::4", ("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("127.0.0.1", "fe80::1%eth0", ("fe80::/64", "fe80::/48")),
        ("127.0.0.1", "::ffff:192.0.2.1", IPV4),
        ("127.0.0.1", "", ("127.0.0.1", "127.0.0.0/24")),
        ("127.0.0.1", "somebody", ("unknown",)),
        ("127.0.0.1", "[", ("127.0.0.1", "127.0.0.0/24")),
        ("198.51.100.7", "192.0.2.1", ("198.51.100.7", "198.51.100.0/24")),
    ],
)
def test_a_request_is_counted_where_it_comes_from(peer: str, forwarded: str, client: tuple[str, ...]) -> None:
    """A proxy of this machine tells it in its last entry, with or without a port; nobody else is believed."""
    headers = [(b"x-forwarded-for", forwarded.encode())]

    assert client_of(HTTPConnection({"type": "http", "client": (peer, 1), "headers": headers})) == client
