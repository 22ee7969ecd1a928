"""The simulated Stripe's objects, parameters, refusals, lists and expansion, seen through the real client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from connector.sandbox.stripe.parameters import PARAMETERS
from connector.sandbox.stripe.routes import HANDLERS
from tests.support.stripe_sandbox import KEY, Sandbox, running_sandbox
from tests.support.stripe_schema import accepted_parameters, violations


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox on an ordinary Monday; afterwards every call must have been true to the API document."""
    with running_sandbox(tmp_path / "stripe.sqlite3") as running:
        yield running
        assert running.recorder.violations == []


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox for tests that neither move the clock nor count objects."""
    with running_sandbox(tmp_path_factory.mktemp("stripe") / "stripe.sqlite3") as running:
        yield running
        assert running.recorder.violations == []


def test_every_accepted_parameter_is_one_that_stripe_knows() -> None:
    """The sandbox invents no parameter, and each endpoint has a table of its own."""
    assert set(PARAMETERS) == set(HANDLERS)
    for name, fields in PARAMETERS.items():
        method, path = name.split(" ")
        assert set(fields) <= accepted_parameters(method, path), name


def test_the_schema_check_sees_wrong_requests_and_wrong_answers() -> None:
    """The validator itself must be able to fail."""
    request = violations("POST", "/v1/refunds", "amount=ten&colour=red", 200, {"id": "re_1", "object": "refund"})

    assert len(request) == 5
    assert violations("POST", "/v1/refunds", "amount=10&metadata[a]=b", 400, {"error": {"type": "api_error"}}) == []
    assert violations("GET", "/v1/refunds", "", 500, {}) == [
        "GET /v1/refunds -> 500: an error answer must carry an error object"
    ]


def test_customers_live_from_creation_to_deletion(sandbox: Sandbox) -> None:
    """Metadata merges, an empty value removes, and a deleted customer is answered as deleted."""
    customers = sandbox.v1.customers
    customer = customers.create({"email": "a@example.org", "metadata": {"patient_id": "p1", "site": "x"}})

    changed = customers.update(customer.id, {"metadata": {"site": "", "plan": "gold"}, "name": "Payer"})
    found = customers.list({"email": "a@example.org"})
    deleted = customers.delete(customer.id)

    assert changed.metadata is not None
    assert changed.metadata.to_dict() == {"patient_id": "p1", "plan": "gold"}
    assert [item.id for item in found.data] == [customer.id]
    assert deleted.to_dict()["deleted"] is True
    assert customers.retrieve(customer.id).to_dict()["deleted"] is True
    assert customers.list().data == []
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        customers.update(customer.id, {"name": "Ghost"})
    assert refusal.value.code == "resource_missing"


def test_a_test_method_becomes_the_customers_own(sandbox: Sandbox) -> None:
    """Attaching a test name makes a fresh method; detached it can never be used again."""
    customer = sandbox.v1.customers.create({})
    first = sandbox.v1.payment_methods.attach("pm_card_au", {"customer": customer.id})
    second = sandbox.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})

    listed = sandbox.v1.payment_methods.list({"customer": customer.id, "type": "card"})
    sandbox.v1.payment_methods.detach(first.id)

    assert [item.id for item in listed.data] == [second.id, first.id]
    assert [item.id for item in sandbox.v1.customers.payment_methods.list(customer.id).data] == [second.id]
    with pytest.raises(stripe.InvalidRequestError, match="detached"):
        sandbox.charge(customer.id, first.id)


def test_cards_that_cannot_be_attached_are_refused_at_once(sandbox: Sandbox) -> None:
    """These test cards decline already when they are saved, as at Stripe."""
    customer = sandbox.v1.customers.create({})

    with pytest.raises(stripe.CardError) as refusal:
        sandbox.v1.payment_methods.attach("pm_card_visa_chargeDeclinedLostCard", {"customer": customer.id})

    assert refusal.value.error is not None
    assert (refusal.value.code, refusal.value.error.decline_code) == ("card_declined", "lost_card")


def test_a_card_that_cannot_be_saved_leaves_the_setup_open(sandbox: Sandbox) -> None:
    """The refused setup carries the intent, which wants another method."""
    customer = sandbox.v1.customers.create({})

    with pytest.raises(stripe.CardError) as refusal:
        sandbox.v1.setup_intents.create(
            {"customer": customer.id, "payment_method": "pm_card_visa_chargeDeclined", "confirm": True}
        )

    assert refusal.value.error is not None
    assert refusal.value.error.setup_intent is not None
    intent = sandbox.v1.setup_intents.retrieve(refusal.value.error.setup_intent.id)
    assert (intent.status, intent.payment_method) == ("requires_payment_method", None)


def test_a_payment_can_save_its_method(sandbox: Sandbox) -> None:
    """With `setup_future_usage` the method of a successful payment becomes the customer's."""
    customer = sandbox.v1.customers.create({})

    intent = sandbox.v1.payment_intents.create(
        {
            "amount": 500,
            "currency": "aud",
            "customer": customer.id,
            "payment_method": "pm_card_visa",
            "setup_future_usage": "off_session",
            "confirm": True,
        }
    )

    methods = sandbox.v1.customers.payment_methods.list(customer.id).data
    assert [method.id for method in methods] == [intent.payment_method]


def test_a_setup_intent_saves_a_bank_account_with_its_mandate(sandbox: Sandbox) -> None:
    """Without the payer's acceptance there is no mandate, and the intent stays open."""
    customer = sandbox.v1.customers.create({})
    intent = sandbox.v1.setup_intents.create({"customer": customer.id, "payment_method": "pm_becs_success"})
    with pytest.raises(stripe.InvalidRequestError):
        sandbox.v1.setup_intents.confirm(intent.id)
    online: Any = {"ip_address": "127.0.0.1", "user_agent": "test"}
    acceptance: Any = {"customer_acceptance": {"type": "online", "online": online}}

    done = sandbox.v1.setup_intents.confirm(intent.id, {"mandate_data": acceptance, "expand": ["mandate"]})

    assert done.status == "succeeded"
    assert isinstance(done.mandate, stripe.Mandate)
    assert done.mandate.status == "active"
    assert sandbox.v1.mandates.retrieve(done.mandate.id).payment_method == done.payment_method
    other = sandbox.v1.setup_intents.create({"usage": "on_session"})
    assert sandbox.v1.setup_intents.cancel(other.id).status == "canceled"
    assert [item.id for item in sandbox.v1.setup_intents.list().data] == [other.id, intent.id]
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        sandbox.v1.setup_intents.confirm(other.id, {"payment_method": "pm_card_visa"})
    assert refusal.value.code == "setup_intent_unexpected_state"


@pytest.mark.parametrize(("method", "bank"), [("pm_card_visa", False), ("pm_becs_success", True)])
def test_the_hosted_page_completes_a_checkout_session(sandbox: Sandbox, method: str, bank: bool) -> None:
    """Choosing a method saves it, grants the mandate of a bank account, and sends the browser on."""
    customer = sandbox.v1.customers.create({})
    session = sandbox.v1.checkout.sessions.create(
        {
            "mode": "setup",
            "currency": "aud",
            "customer": customer.id,
            "client_reference_id": "link_1",
            "setup_intent_data": {"metadata": {"patient_id": "p1"}},
            "success_url": "https://example.org/ok?s={CHECKOUT_SESSION_ID}",
        }
    )
    assert session.url is not None
    page = sandbox.http.get(session.url)

    answer = sandbox.http.post(session.url, data={"method": method})

    assert method in page.text
    assert (answer.status_code, answer.headers["Location"]) == (303, f"https://example.org/ok?s={session.id}")
    done = sandbox.v1.checkout.sessions.retrieve(
        session.id, {"expand": ["setup_intent.payment_method", "setup_intent.mandate"]}
    )
    assert done.status == "complete"
    assert isinstance(done.setup_intent, stripe.SetupIntent)
    assert isinstance(done.setup_intent.payment_method, stripe.PaymentMethod)
    assert done.setup_intent.payment_method.customer == customer.id
    assert (done.setup_intent.mandate is not None) == bank
    types = {event.type for event in sandbox.v1.events.list({"limit": 100}).data}
    assert {"checkout.session.completed", "setup_intent.succeeded", "payment_method.attached"} <= types
    assert sandbox.http.get(session.url).status_code == 410


def test_a_checkout_session_expires_by_the_clock(sandbox: Sandbox) -> None:
    """After a day the page is gone and the setup is cancelled."""
    session = sandbox.v1.checkout.sessions.create(
        {"mode": "setup", "currency": "aud", "success_url": "https://example.org"}
    )
    assert session.url is not None

    sandbox.set_clock("2026-03-03T10:00:00+11:00")

    assert sandbox.v1.checkout.sessions.retrieve(session.id).status == "expired"
    assert sandbox.http.get(session.url).status_code == 410
    event = sandbox.v1.events.list({"type": "checkout.session.expired"}).data[0]
    assert event.created == session.expires_at


@pytest.mark.parametrize(
    ("path", "form", "status", "code", "param"),
    [
        ("payment_intents", {"amount": "100", "currency": "aud", "colour": "red"}, 400, "parameter_unknown", "colour"),
        ("payment_intents", {"currency": "aud"}, 400, "parameter_missing", "amount"),
        ("payment_intents", {"amount": "1.5", "currency": "aud"}, 400, "parameter_invalid_integer", "amount"),
        ("payment_intents", {"amount": "49", "currency": "aud"}, 400, "amount_too_small", "amount"),
        ("payment_intents", {"amount": "100000000", "currency": "aud"}, 400, "parameter_invalid_integer", "amount"),
        ("payment_intents", {"amount": "100", "currency": "usd"}, 400, None, "currency"),
        (
            "payment_intents",
            {"amount": "100", "currency": "aud", "payment_method_types[0]": "card"},
            400,
            "payment_method_types_no_longer_supported",
            "payment_method_types",
        ),
        (
            "payment_intents",
            {"amount": "100", "currency": "aud", "application_fee_amount": "10"},
            400,
            "application_fees_not_allowed",
            "application_fee_amount",
        ),
        (
            "payment_intents",
            {"amount": "100", "currency": "aud", "capture_method": "later"},
            400,
            None,
            "capture_method",
        ),
        (
            "payment_intents",
            {"amount": "100", "currency": "aud", "customer": "cus_x"},
            400,
            "resource_missing",
            "customer",
        ),
        ("payment_intents/pi_x/confirm", {}, 404, "resource_missing", "id"),
        ("customers", {"metadata[key]": "v" * 501}, 400, None, "metadata"),
        ("checkout/sessions", {"mode": "setup", "currency": "aud"}, 400, "parameter_missing", "success_url"),
        ("refunds", {}, 400, "parameter_missing", "charge"),
        ("nowhere", {}, 404, None, None),
    ],
)
def test_wrong_parameters_are_refused_as_stripe_does(
    shared: Sandbox, path: str, form: dict[str, str], status: int, code: str | None, param: str | None
) -> None:
    """Status, code and parameter of the refusal name what is wrong."""
    answer = shared.http.post(f"/v1/{path}", data=form, headers={"Authorization": f"Bearer {KEY}"})

    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (status, "invalid_request_error")
    assert (error.get("code"), error.get("param")) == (code, param)
    assert answer.headers["Request-Id"].startswith("req_")


@pytest.mark.parametrize("key", ["", "Bearer pk_test_1", "Bearer sk_live_1", "Basic abc"])
def test_requests_without_a_test_key_are_refused(shared: Sandbox, key: str) -> None:
    """Only secret and restricted test keys open the sandbox."""
    answer = shared.http.get("/v1/balance", headers={"Authorization": key})

    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert shared.http.get("/elsewhere").json()["error"]["type"] == "invalid_request_error"


def test_restricted_keys_work_and_other_accounts_do_not(shared: Sandbox) -> None:
    """The sandbox is one account, which a platform may name in the header."""
    restricted = shared.http.get("/v1/account", headers={"Authorization": "Bearer rk_test_1"})
    foreign = shared.http.get("/v1/account", headers={"Authorization": f"Bearer {KEY}", "Stripe-Account": "acct_other"})

    assert restricted.status_code == 200
    assert (foreign.status_code, foreign.json()["error"]["code"]) == (403, "account_invalid")


def test_lists_page_in_both_directions_and_filter_by_time(sandbox: Sandbox) -> None:
    """Newest first by default; from `ending_before` the iterator runs oldest first."""
    made = [sandbox.v1.customers.create({"name": f"Number {number}"}).id for number in range(7)]
    sandbox.set_clock("2026-03-02T12:00:00+11:00")
    later = sandbox.v1.customers.create({})

    forward = [item.id for item in sandbox.v1.customers.list({"limit": 3}).auto_paging_iter()]
    backward = [
        item.id for item in sandbox.v1.customers.list({"limit": 2, "ending_before": made[2]}).auto_paging_iter()
    ]
    recent = sandbox.v1.customers.list({"created": {"gte": later.created}})

    assert forward == [later.id, *reversed(made)]
    assert backward == [*made[3:], later.id]
    assert [item.id for item in recent.data] == [later.id]
    with pytest.raises(stripe.InvalidRequestError):
        sandbox.v1.customers.list({"starting_after": "cus_nobody"})


def test_expansion_follows_real_paths_and_refuses_others(sandbox: Sandbox) -> None:
    """An id is replaced by its object on nested paths and in lists; a path that does not exist is an error."""
    customer, method = sandbox.member("pm_card_visa")
    intent = sandbox.charge(customer, method)

    full = sandbox.v1.payment_intents.retrieve(intent.id, {"expand": ["latest_charge.balance_transaction"]})
    listed = sandbox.v1.payment_intents.list({"expand": ["data.latest_charge"], "customer": customer})
    sources = sandbox.v1.balance_transactions.list({"expand": ["data.source"]})

    assert isinstance(intent.latest_charge, str)
    assert isinstance(full.latest_charge, stripe.Charge)
    assert isinstance(full.latest_charge.balance_transaction, stripe.BalanceTransaction)
    assert isinstance(listed.data[0].latest_charge, stripe.Charge)
    assert isinstance(sources.data[0].source, stripe.Charge)
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        sandbox.v1.payment_intents.retrieve(intent.id, {"expand": ["amount"]})


def test_the_account_and_its_webhook_endpoints_can_be_read(sandbox: Sandbox) -> None:
    """The secret of an endpoint is shown once only."""
    account = sandbox.v1.accounts.retrieve_current()
    endpoint = sandbox.v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/hook", "enabled_events": ["*"]})

    assert account.charges_enabled is True
    assert endpoint.secret is not None
    assert sandbox.v1.webhook_endpoints.list().data[0].to_dict().get("secret") is None
    sandbox.v1.webhook_endpoints.delete(endpoint.id)
    assert sandbox.v1.webhook_endpoints.list().data == []
