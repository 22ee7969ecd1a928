"""What goes wrong on the way, and what survives it: idempotency, faults, crashes, events and webhooks."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.stripe_sandbox import KEY, MONDAY, Sandbox, running_sandbox, serving

AUTH = {"Authorization": f"Bearer {KEY}"}
PROGRAM = """
import sys
from pathlib import Path
from connector.sandbox.server import serve
from connector.sandbox.stripe import create_app
serve(create_app(Path(sys.argv[1])), 0, "stripe")
"""


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox on an ordinary Monday; afterwards every call must have been true to the API document."""
    with running_sandbox(tmp_path / "stripe.sqlite3") as running:
        yield running
        assert running.recorder.violations == []


def post(sandbox: Sandbox, path: str, form: dict[str, str], key: str) -> httpx.Response:
    """One POST with an idempotency key, without the client library's own retries."""
    return sandbox.http.post(f"/v1/{path}", data=form, headers={**AUTH, "Idempotency-Key": key})


def test_a_key_replays_its_first_answer(sandbox: Sandbox) -> None:
    """Same key and parameters: same body, one object, and headers that say so."""
    first = post(sandbox, "customers", {"name": "A"}, "cus:1")

    second = post(sandbox, "customers", {"name": "A"}, "cus:1")

    assert second.content == first.content
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers["Original-Request"] == first.headers["Request-Id"]
    assert "Idempotent-Replayed" not in first.headers
    assert len(sandbox.v1.customers.list().data) == 1


def test_a_decline_is_replayed_even_when_a_retry_would_succeed(sandbox: Sandbox) -> None:
    """A 402 belongs to its key; only a new key makes a new attempt."""
    customer, method = sandbox.member("pm_card_declineOnce_insufficient_funds")
    intent = sandbox.v1.payment_intents.create({"amount": 2900, "currency": "aud", "customer": customer})
    answers = [
        post(sandbox, f"payment_intents/{intent.id}/confirm", {"payment_method": method, "off_session": "true"}, key)
        for key in ("confirm:1", "confirm:1", "confirm:2")
    ]

    assert [answer.status_code for answer in answers] == [402, 402, 200]
    assert answers[0].content == answers[1].content
    assert len(sandbox.v1.charges.list({"payment_intent": intent.id}).data) == 2


def test_a_server_error_is_replayed_and_has_changed_nothing(sandbox: Sandbox) -> None:
    """A 500 is stored for its key like any other result."""
    customer, method = sandbox.member("pm_card_apiError")
    intent = sandbox.v1.payment_intents.create({"amount": 2900, "currency": "aud", "customer": customer})
    form = {"payment_method": method}
    answers = [post(sandbox, f"payment_intents/{intent.id}/confirm", form, "confirm:1") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [500, 500]
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    assert sandbox.v1.payment_intents.retrieve(intent.id).status == "requires_payment_method"
    assert sandbox.v1.charges.list().data == []


@pytest.mark.parametrize(
    ("path", "form"), [("customers", {"name": "B"}), ("setup_intents", {"description": "A"}), ("customers", {})]
)
def test_a_key_belongs_to_its_endpoint_and_parameters(sandbox: Sandbox, path: str, form: dict[str, str]) -> None:
    """Any other use of a key is an error and carries nothing out."""
    post(sandbox, "customers", {"name": "A"}, "key")

    answer = post(sandbox, path, form, "key")

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "idempotency_error"
    assert "code" not in answer.json()["error"]
    assert len(sandbox.v1.customers.list().data) == 1
    with pytest.raises(stripe.IdempotencyError):
        sandbox.v1.customers.create({"name": "C"}, {"idempotency_key": "key"})


def test_refused_parameters_do_not_use_up_a_key(sandbox: Sandbox) -> None:
    """What failed validation or authentication was never carried out, so the key is still free."""
    wrong = post(sandbox, "customers", {"colour": "red"}, "key")
    stranger = sandbox.http.post("/v1/customers", headers={"Authorization": "Bearer x", "Idempotency-Key": "key"})

    right = post(sandbox, "customers", {"name": "A"}, "key")

    assert [wrong.status_code, stranger.status_code, right.status_code] == [400, 401, 200]
    assert post(sandbox, "customers", {}, "k" * 256).status_code == 400


def test_a_key_is_forgotten_after_a_day(sandbox: Sandbox) -> None:
    """24 hours of the sandbox's clock later the same key carries out afresh."""
    first = post(sandbox, "customers", {"name": "A"}, "key")
    sandbox.set_clock("2026-03-03T09:59:59+11:00")
    assert post(sandbox, "customers", {"name": "A"}, "key").json()["id"] == first.json()["id"]

    sandbox.set_clock("2026-03-03T10:00:00+11:00")

    assert post(sandbox, "customers", {"name": "A"}, "key").json()["id"] != first.json()["id"]


def test_a_key_in_use_is_refused_until_its_answer_has_left(sandbox: Sandbox) -> None:
    """Of two requests at the same time with one key, one is told to wait; afterwards it gets the same answer."""
    # Both are held: with one, the other could be finished before the first has claimed the key, which is a replay.
    sandbox.fault(kind="hang", method="POST", path="/v1/customers", delay_seconds=1.0, count=2)
    start = threading.Barrier(2)

    def send(_number: int) -> httpx.Response:
        start.wait()
        return post(sandbox, "customers", {"name": "A"}, "key")

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(send, range(2)), key=lambda answer: answer.status_code)

    assert [answer.status_code for answer in answers] == [200, 409]
    assert answers[1].json()["error"]["code"] == "idempotency_key_in_use"
    assert post(sandbox, "customers", {"name": "A"}, "key").content == answers[0].content
    assert len(sandbox.v1.customers.list().data) == 1


@pytest.mark.parametrize(("kind", "carried_out"), [("reset_before", 0), ("reset_after", 1), ("truncate", 1)])
def test_a_broken_connection_says_nothing_about_what_happened(sandbox: Sandbox, kind: str, carried_out: int) -> None:
    """The client sees a connection error either way; the same key sorts it out."""
    sandbox.fault(kind=kind, method="POST", path="/v1/customers")

    with pytest.raises(httpx.TransportError):
        post(sandbox, "customers", {"name": "A"}, "key")

    assert len(sandbox.v1.customers.list().data) == carried_out
    assert post(sandbox, "customers", {"name": "A"}, "key").status_code == 200
    assert len(sandbox.v1.customers.list().data) == 1


@pytest.mark.parametrize(
    ("kind", "fields", "status", "carried_out"),
    [
        ("status_before", {"status": 503}, 503, 0),
        ("status_after", {"status": 502, "body": "<html>Bad gateway</html>"}, 502, 1),
        ("html_200", {}, 200, 0),
        ("rate_limit", {}, 429, 0),
        ("hang", {"delay_seconds": 0.01}, 200, 1),
    ],
)
def test_a_wrong_answer_says_nothing_either(
    sandbox: Sandbox, kind: str, fields: dict[str, Any], status: int, carried_out: int
) -> None:
    """Each scripted answer comes as armed, once, and the request was or was not carried out as its name says."""
    sandbox.fault(kind=kind, method="POST", path="/v1/cust*", **fields)

    answer = post(sandbox, "customers", {"name": "A"}, "key")

    assert answer.status_code == status
    assert ("text/html" in answer.headers["Content-Type"]) == (kind == "html_200")
    assert ("Retry-After" in answer.headers) == (kind == "rate_limit")
    assert len(sandbox.v1.customers.list().data) == carried_out
    assert post(sandbox, "customers", {"name": "A"}, "key").status_code == 200


def test_faults_skip_count_and_can_be_cleared(sandbox: Sandbox) -> None:
    """A script says after how many matching requests it begins and for how many it lasts."""
    sandbox.fault(kind="status_before", method="GET", path="/v1/balance", skip=1, count=2, status=500)

    statuses = [sandbox.http.get("/v1/balance", headers=AUTH).status_code for _ in range(5)]

    assert statuses == [200, 500, 500, 200, 200]
    sandbox.fault(kind="status_before", count=None)
    assert sandbox.http.get("/v1/balance", headers=AUTH).status_code == 503
    assert len(sandbox.http.get("/_sandbox/faults").json()["faults"]) == 1
    assert sandbox.http.delete("/_sandbox/faults").json() == {"faults": []}
    assert sandbox.http.get("/v1/balance", headers=AUTH).status_code == 200


@pytest.mark.parametrize(
    "fields", [{"kind": "earthquake"}, {"kind": "hang", "colour": "red"}, {"kind": "hang", "count": "1"}, {}]
)
def test_what_is_not_a_fault_is_refused(sandbox: Sandbox, fields: dict[str, str]) -> None:
    """A misspelt script must not pass for a quiet one."""
    assert sandbox.http.post("/_sandbox/faults", json=fields).status_code == 400


def test_a_sandbox_that_is_down_answers_nobody_but_its_controls(sandbox: Sandbox) -> None:
    """Every request is reset until the sandbox is up again."""
    sandbox.http.post("/_sandbox/down", json={"down": True})

    with pytest.raises(stripe.APIConnectionError):
        sandbox.v1.balance.retrieve()
    sandbox.http.post("/_sandbox/down", json={"down": False})

    assert sandbox.v1.balance.retrieve().livemode is False


def test_the_event_feed_can_be_followed_oldest_first(sandbox: Sandbox) -> None:
    """From a known event the rest comes in the order in which it happened, filtered by type or not."""
    customer, method = sandbox.member("pm_card_visa")
    mark = sandbox.v1.events.list({"limit": 1}).data[0].id
    intents = [sandbox.charge(customer, method, cents).id for cents in (100, 200, 300)]

    feed: Any = {"ending_before": mark, "limit": 2, "types": ["payment_intent.succeeded", "payment_intent.canceled"]}
    followed = list(sandbox.v1.events.list(feed).auto_paging_iter())
    wild = sandbox.v1.events.list({"type": "payment_intent.*", "limit": 100, "created": {"gte": followed[0].created}})

    assert [event.data.object["id"] for event in followed] == intents
    assert {event.type for event in wild.data} == {"payment_intent.created", "payment_intent.succeeded"}
    assert sandbox.v1.events.retrieve(followed[0].id).api_version == "2026-10-28.endive"
    assert followed[0].request is not None
    with pytest.raises(stripe.InvalidRequestError):
        sandbox.v1.events.list({"types": ["charge.failed"] * 21})


def test_events_are_forgotten_after_thirty_days(sandbox: Sandbox) -> None:
    """The feed has a horizon, the objects have not."""
    sandbox.v1.customers.create({})

    sandbox.set_clock("2026-04-02T10:00:00+11:00")

    assert sandbox.v1.events.list().data == []
    assert len(sandbox.v1.customers.list().data) == 1


def test_webhooks_are_signed_and_sent_again_until_accepted(sandbox: Sandbox) -> None:
    """The first delivery is refused, so it comes again; the body verifies with the endpoint's secret."""
    received: queue.Queue[tuple[bytes, str]] = queue.Queue()
    statuses = iter([500, 204])

    async def hook(request: Request) -> Response:
        received.put((await request.body(), request.headers["Stripe-Signature"]))
        return Response(status_code=next(statuses))

    with serving(Starlette(routes=[Route("/hook", hook, methods=["POST"])])) as address:
        endpoint = sandbox.v1.webhook_endpoints.create(
            {"url": f"{address}/hook", "enabled_events": ["customer.created"]}
        )
        customer = sandbox.v1.customers.create({})
        sandbox.v1.customers.update(customer.id, {"name": "Not asked for"})
        first, second = received.get(timeout=10), received.get(timeout=10)

    assert endpoint.secret is not None
    assert first[0] == second[0]
    for payload, signature in (first, second):
        event = stripe.Webhook.construct_event(payload, signature, endpoint.secret)
        assert (event.type, event.data.object["id"]) == ("customer.created", customer.id)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(first[0] + b" ", first[1], endpoint.secret)
    assert received.empty()


def started(database: Path) -> tuple[subprocess.Popen[str], str]:
    """The sandbox as a process of its own, and its address."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(database)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())["address"]


def ended(process: subprocess.Popen[str]) -> None:
    """Kill the process without warning."""
    process.kill()
    process.wait(timeout=10)
    assert process.stdout is not None
    process.stdout.close()


def test_a_killed_sandbox_loses_nothing_that_it_answered(tmp_path: Path) -> None:
    """After SIGKILL the clock, the objects, the keys and the due work are as they were."""
    database = tmp_path / "stripe.sqlite3"
    process, url = started(database)
    first = Sandbox(url)
    try:
        first.set_clock(MONDAY)
        customer, method = first.member("pm_becs_success", bank=True)
        intent = first.charge(customer, method, 2900, key="confirm:1")
    finally:
        first.close()
        ended(process)

    process, url = started(database)
    second = Sandbox(url)
    try:
        replay = post(
            second,
            f"payment_intents/{intent.id}/confirm",
            {"payment_method": method, "off_session": "true", "amount_to_confirm": "2900"},
            "confirm:1",
        )
        clock = second.http.get("/_sandbox/clock").json()["now"]
        second.set_clock("2026-03-04T12:00:00+11:00")
        after = second.v1.payment_intents.retrieve(intent.id)
        totals = second.totals()
    finally:
        second.close()
        ended(process)

    assert clock == "2026-03-01T23:00:00+00:00"
    assert (replay.status_code, replay.headers["Idempotent-Replayed"]) == (200, "true")
    assert replay.json()["status"] == "processing"
    assert after.status == "succeeded"
    assert totals["charges"] == {"count": 1, "cents": 2900}
