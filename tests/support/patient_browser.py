"""A patient's browser: looks at pages, presses buttons, and follows redirects by hand to the processor's pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from html import unescape
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from connector.billing.clinics import Location
from connector.billing.members import Member
from connector.billing.stripe import StripeProcessor
from connector.daemon.patient_server import PatientServer
from connector.settings import LinkSettings, Settings, StripeSettings
from connector.use_cases.collection.read_news import read_news
from connector.use_cases.context import Context
from connector.use_cases.patient_pages.link_subject import link_subject
from connector.use_cases.patient_pages.link_url import link_for
from connector.web.patient.app import patient_app
from tests.support.practice import KEY, Practice
from tests.support.servers import Server, stop_all

PUBLIC_URL = "https://pay.leura.example"
HOST = "pay.leura.example"
WEBHOOK_SECRET = "whsec_patient_pages"


@dataclass
class Browser:
    """Talks to the patients' application over HTTP as a proxy on this machine would pass a patient's requests on."""

    practice: Practice
    context: Context
    http: httpx.Client
    news: list[str]
    """One entry for each time that a webhook woke the reading of news."""

    def url(self, subject_id: str) -> str:
        """The address of a fresh link for a contract, invoice, request, payment plan, hold or change."""
        with self.context.database.read() as session:
            subject = link_subject(self.context, session, subject_id)
            member = session.get_one(Member, subject.member_id)
            location = session.get_one(Location, subject.location.id)
        return link_for(self.context, subject.kind, subject_id, location, member)

    def path(self, subject_id: str) -> str:
        """The same, as a path."""
        return urlsplit(self.url(subject_id)).path

    def get(self, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        return self.http.request(method, path, headers=headers)

    def press(self, path: str, action: str, **fields: str) -> httpx.Response:
        """Submit the page's form with that button."""
        return self.http.post(path, data={"action": action, **fields})

    def sign(self, path: str, **fields: str) -> httpx.Response:
        """Fill in the page of an invitation as it stands, with these changes, and agree."""
        page = self.get(path).text
        filled = {"shown": field(page, "shown"), "agreed": "yes"}
        return self.press(path, "sign_up", **{**filled, **fields})

    def agree(self, path: str, action: str = "accept") -> httpx.Response:
        """Agree to the amounts that the page of a payment plan shows now."""
        return self.press(path, action, shown=field(self.get(path).text, "shown"))

    def give(self, answer: httpx.Response, method: str = "pm_card_visa") -> httpx.Response:
        """Follow a redirect to the processor's page and save a payment method there; returns what that page answers."""
        assert answer.status_code == 303, answer.text
        target = answer.headers["Location"]
        assert target.startswith(f"{self.practice.stripe.address}/c/pay/"), target
        return self.practice.stripe.client.post(target, data={"method": method})

    def hear(self) -> None:
        """The daemon reads the processor's news."""
        assert read_news(self.context).problems == []


def field(page: str, name: str) -> str:
    """The value of a hidden or text field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, f"There is no field {name}."
    return unescape(found[1])


def text_of(page: str) -> str:
    """What a person reads of a page, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


@contextmanager
def browsing(practice: Practice) -> Iterator[Browser]:
    """The patients' application of that practice, served until the block ends."""
    stripe = StripeSettings(
        secret_key=SecretStr(KEY), api_base=practice.stripe.address, webhook_secret=SecretStr(WEBHOOK_SECRET)
    )
    processor = StripeProcessor(stripe)
    context = replace(practice.context, public_url=PUBLIC_URL, processor=processor)
    news: list[str] = []
    server = Server(lambda: patient_app(context, stripe, lambda: news.append("new")))
    server.start()
    try:
        with httpx.Client(
            base_url=server.address, timeout=30, trust_env=False, headers={"Host": HOST}, follow_redirects=False
        ) as http:
            yield Browser(practice, context, http, news)
    finally:
        stop_all([server])
        processor.close()


@contextmanager
def daemons_pages(practice: Practice, webhook_secret: str = "") -> Iterator[PatientServer]:
    """The same application as the daemon serves it, on a free port; with a secret it hears of webhooks, too."""
    stripe = StripeSettings(webhook_secret=SecretStr(webhook_secret))
    settings = Settings(links=LinkSettings(public_url=PUBLIC_URL, port=0), stripe=stripe)
    running = PatientServer(settings, replace(practice.context, public_url=PUBLIC_URL), lambda: None)
    running.start()
    try:
        yield running
    finally:
        running.stop()
