"""The patients' pages as the daemon serves them, without pages of our own, and the commands about links."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result
from pydantic import ValidationError

from connector.billing.agreements.contracts import AgreementStatus
from connector.billing.agreements.instalment_terms import PlanOffer
from connector.billing.agreements.payment_plans import PaymentPlan
from connector.billing.agreements.payment_requests import HoldStatus, PaymentHold
from connector.billing.agreements.schedule import Frequency
from connector.billing.links import SecureLink
from connector.billing.members import Member
from connector.billing.offers.plan_changes import PlanChange, PlanChangeStatus
from connector.cli.main import cli
from connector.daemon.patient_server import PatientServer
from connector.errors import DomainError
from connector.money import Money
from connector.settings import LinkSettings, Settings, StripeSettings
from connector.use_cases.patient_pages.link_subject import link_subject
from connector.use_cases.patient_pages.link_url import link_for
from connector.use_cases.payment_plans.agree_payment_plan import propose_payment_plan
from connector.use_cases.plans.change_plan import change_plan
from connector.use_cases.requests.hold_payment import request_hold
from connector.web.patient.protection import is_processor_page, processor_source
from tests.support.patient_browser import HOST, PUBLIC_URL, daemons_pages, text_of
from tests.support.practice import Practice

LIVE = StripeSettings()
SANDBOX = StripeSettings(api_base="http://127.0.0.1:4242")


@pytest.fixture
def server(practice: Practice) -> Iterator[PatientServer]:
    with daemons_pages(practice) as running:
        yield running


def url_of(practice: Practice, subject_id: str, public_url: str = "") -> str:
    context = replace(practice.context, public_url=public_url)
    with context.database.read() as session:
        subject = link_subject(context, session, subject_id)
        member = session.get_one(Member, subject.member_id)
    return link_for(context, subject.kind, subject_id, subject.location, member)


def test_the_server_listens_on_loopback_and_writes_no_addresses(
    practice: Practice, server: PatientServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Pages are served; no log line at any level has a token; without a secret there is no webhook."""
    path = url_of(practice, practice.enrol(None).contract_id, PUBLIC_URL).removeprefix(PUBLIC_URL)

    with (
        caplog.at_level(logging.DEBUG),
        httpx.Client(base_url=f"http://127.0.0.1:{server.port}", headers={"Host": HOST}, trust_env=False) as http,
    ):
        shown, unknown = http.get(path), http.get("/l/secret-token")
        webhook = http.post("/stripe/webhook", content=b"{}")

    assert (shown.status_code, unknown.status_code, webhook.status_code) == (200, 404, 404)
    assert "Server" not in shown.headers
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert not any(word in line for line in ours for word in (path[3:], "secret-token"))


def test_a_taken_port_is_told_in_one_sentence(practice: Practice, server: PatientServer) -> None:
    """With the setting that moves it."""
    settings = Settings(links=LinkSettings(public_url=PUBLIC_URL, port=server.port))

    with pytest.raises(DomainError, match="CONNECTOR_LINKS__PORT"):
        PatientServer(settings, practice.context, lambda: None)


@pytest.mark.parametrize(
    "url",
    [
        "http://pay.example.org",
        "https://pay.example.org/path",
        "https://user@pay.example.org",
        "https://",
        "pay.example.org",
        "ftp://pay.example.org",
        "https://pay.example.org?x=1",
    ],
)
def test_a_public_address_that_cannot_be_one_is_refused(url: str) -> None:
    """Tokens travel in it, so it is https, and it is scheme and host alone."""
    with pytest.raises(ValidationError):
        LinkSettings(public_url=url)


def test_a_slash_at_the_end_of_the_public_address_is_dropped() -> None:
    """Addresses are put together with one slash."""
    assert LinkSettings(public_url="https://pay.example.org/").public_url == "https://pay.example.org"
    assert LinkSettings(public_url="http://127.0.0.1:8322").public_url == "http://127.0.0.1:8322"


@pytest.mark.parametrize(
    ("stripe", "url", "allowed"),
    [
        (LIVE, "https://checkout.stripe.com/c/pay/cs_live", True),
        (LIVE, "https://hooks.stripe.com/redirect", True),
        (LIVE, "http://checkout.stripe.com/c/pay", False),
        (LIVE, "https://checkout.stripe.com.evil.example/", False),
        (LIVE, "https://evilstripe.com/", False),
        (LIVE, "https://checkout.stripe.com@evil.example/", False),
        (SANDBOX, "http://127.0.0.1:4242/c/pay/cs_test", True),
        (SANDBOX, "http://127.0.0.1:4243/c/pay/cs_test", False),
        (SANDBOX, "https://checkout.stripe.com/", False),
    ],
)
def test_browsers_are_sent_to_the_processor_and_nowhere_else(stripe: StripeSettings, url: str, allowed: bool) -> None:
    """Whatever an answer names as the next page."""
    assert is_processor_page(url, stripe) is allowed
    assert processor_source(LIVE) == "https://*.stripe.com"


def test_without_pages_of_our_own_saving_a_method_accepts(practice: Practice) -> None:
    """A payment plan, a hold and a change of plan are agreed to on the processor's page, which says so."""
    person = practice.paid()
    plan_offer = PlanOffer(
        Money(30_000, "aud"), Money(0, "aud"), Money(0, "aud"), 3, Frequency.MONTHLY, practice.today + timedelta(days=7)
    )
    plan_id = propose_payment_plan(practice.context, person.member_id, plan_offer, "front desk").plan_id
    hold_id = request_hold(practice.context, person.member_id, Money(8_000, "aud"), "front desk")
    change_id = change_plan(practice.context, person.contract_id, person.member_id, "Premium", "front desk")
    said = {
        plan_id: "3 monthly instalments of $100.00 (the last one $100.00) from 08/09/2026 to 08/11/2026",
        hold_id: "will set aside $80.00 on your card",
        change_id: "changes from $29.90 to $64.50 monthly",
    }

    for subject_id, words in said.items():
        practice.advance(minutes=1)
        url = url_of(practice, subject_id)
        assert words in text_of(practice.stripe.client.get(url).text)
        practice.stripe.client.post(url, data={"method": "pm_card_visa"})
        assert practice.charge() == []

    assert practice.all(PaymentPlan)[0].status is AgreementStatus.ACTIVE
    assert practice.all(PaymentHold)[0].status is HoldStatus.AUTHORISED
    assert practice.all(PlanChange)[0].status is PlanChangeStatus.ACCEPTED
    assert practice.all(SecureLink) == []


def command(practice: Practice, *arguments: str) -> Result:
    """The real command on the practice's own files."""
    env = {**practice.environment(), "CONNECTOR_LINKS__PUBLIC_URL": PUBLIC_URL}
    return CliRunner().invoke(cli, ["patient-links", *arguments], env=env)


def test_staff_show_list_and_revoke_links_by_command(
    practice: Practice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address is shown once; the list has everything but the address; what is revoked is gone from it."""
    monkeypatch.chdir(tmp_path)
    subject = practice.enrol(None).contract_id

    shown = json.loads(command(practice, "send", subject, "--show", "--json").stdout)
    queued = json.loads(command(practice, "send", subject, "--json").stdout)
    (line,) = json.loads(command(practice, "list", "--location", "leura", "--json").stdout)
    table = command(practice, "list", "--location", "leura").stdout
    revoked = command(practice, "revoke", line["id"]).stdout

    token = shown["url"].removeprefix(f"{PUBLIC_URL}/l/")
    assert len(token) == 43
    assert queued == {"subject_id": subject, "queued": True, "expires_on": "2026-10-01"}
    assert (line["subject_id"], line["kind"]) == (subject, "signup")
    assert line["id"] in table and token not in table
    assert "is revoked" in revoked
    assert "None." in command(practice, "list", "--location", "leura").stdout
    for arguments in (["send", "con_none"], ["send", "con_none", "--show"], ["revoke", "lnk_none"]):
        assert isinstance(command(practice, *arguments).exception, DomainError)
