"""Secure links against robots, guessers and the curious, and what becomes of them when they end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import event, select

from connector.billing.agreements.contracts import Contract
from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.links import LinkKind, SecureLink, end, hash_of, mint
from connector.billing.members import Member
from connector.database.base import Base
from connector.errors import DomainError
from connector.messaging.kinds import MessageKind
from connector.messaging.models import Message
from connector.money import Money
from connector.use_cases.patient_pages.link_url import link_for
from connector.use_cases.patient_pages.manage_links import list_links, revoke_link, send_link
from connector.use_cases.patient_pages.renew_link import renew_link
from connector.use_cases.requests.request_payment import request_payment
from tests.support.patient_browser import HOST, Browser, browsing, text_of
from tests.support.practice import Practice
from tests.support.processes import until

UNKNOWN = "/l/" + "A" * 43
ROBOTS = [("GET", {}), ("HEAD", {}), ("GET", {"Purpose": "prefetch"}), ("GET", {"User-Agent": "SkypeUriPreview"})]


@pytest.fixture
def browser(practice: Practice) -> Iterator[Browser]:
    """A patient's browser on the practice's pages."""
    with browsing(practice) as running:
        yield running


def everything(practice: Practice) -> list[str]:
    """The whole database, row by row."""
    with practice.context.database.read() as session:
        tables = Base.metadata.sorted_tables
        return [f"{table.name}: {row}" for table in tables for row in session.execute(select(table))]


def dead_links(browser: Browser) -> dict[str, str]:
    """A path for every reason why a link cannot be used."""
    practice = browser.practice
    contracts = [practice.enrol(None).contract_id for _ in range(4)]
    paths = [browser.path(contract_id) for contract_id in contracts]
    with browser.context.database.unit_of_work() as session:
        end(session, LinkKind.SIGNUP, contracts[0], "revoked", practice.clock.now())
        end(session, LinkKind.SIGNUP, contracts[1], "consumed", practice.clock.now())
        staff = mint(session, LinkKind.STAFF, "usr_1", None, practice.clock.now(), practice.clock.now() + timedelta(9))
        expired = session.query(SecureLink).filter_by(token_hash=hash_of(paths[2][3:])).one()
        expired.expires_at = practice.clock.now()
    browser.path(contracts[3])
    return {
        "revoked": paths[0],
        "used": paths[1],
        "expired": paths[2],
        "replaced": paths[3],
        "staff": f"/l/{staff}",
        "unknown": UNKNOWN,
        "odd": "/l/%00%F0%9F%98%80",
    }


def test_robots_change_nothing_and_the_person_after_them_signs_up(browser: Browser) -> None:
    """Scanners fetch, HEAD and prefetch; not one byte of the database differs; then the human succeeds, once."""
    practice = browser.practice
    path = browser.path(practice.enrol(None).contract_id)
    before = everything(practice)

    for method, headers in ROBOTS:
        assert browser.get(path, method, **headers).status_code == 200
        assert browser.get(f"{path}/invoice", method, **headers).status_code == 404
        assert browser.get("/thank-you?s=cs_1&payment_intent=pi_1", method, **headers).status_code == 200
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert browser.get(path, method).status_code == 405
    assert browser.http.post(path, data={"action": "nothing"}).status_code == 200
    assert browser.http.post(path, data={"plan": ""}).status_code == 200

    assert everything(practice) == before
    assert browser.get(path, "HEAD").content == b""
    browser.give(browser.sign(path))
    browser.hear()
    practice.charge()
    assert len(practice.stripe_charges()) == 1


def test_every_dead_link_gives_the_same_page(browser: Browser) -> None:
    """Nobody can tell a token that was good from one that never was."""
    dead = dead_links(browser)

    answers = {why: (browser.get(path), browser.press(path, "pay")) for why, path in dead.items()}

    pages = {(answer.status_code, answer.text) for pair in answers.values() for answer in pair}
    assert len(pages) == 1
    assert {status for status, _ in pages} == {404}
    names = {tuple(sorted(answer.headers)) for pair in answers.values() for answer in pair}
    assert len(names) == 1


def test_every_dead_link_takes_the_same_work(browser: Browser) -> None:
    """One look-up by the hash for each, so that the time tells nothing either."""
    dead = dead_links(browser)
    asked: list[str] = []
    reader = browser.context.database._reader
    event.listen(reader, "before_cursor_execute", lambda _c, _u, statement, *_rest: asked.append(statement))

    work = set()
    for path in dead.values():
        asked.clear()
        browser.get(path)
        work.add(tuple(asked))

    assert len(work) == 1
    assert [statement for (*_, statement) in work if "secure_link.token_hash = ?" in statement] != []


def test_a_new_link_goes_to_the_contact_on_file_and_everybody_is_told_the_same(browser: Browser) -> None:
    """Only what still waits brings a message, once a day; neither a live link nor one that staff revoked does."""
    practice = browser.practice
    dead = dead_links(browser)
    live = browser.path(practice.enrol(None).contract_id)

    answers = [browser.press(path, "new") for path in (*dead.values(), live, dead["expired"])]

    assert len({(answer.status_code, answer.text) for answer in answers}) == 1
    waiting = {"used", "expired"}
    until(lambda: len({row.subject_id for row in practice.all(Message)}) == len(waiting), "the messages are queued")
    found = practice.all(Message)
    assert {row.kind for row in found} == {MessageKind.NEW_LINK}
    assert len(found) == 2 * len(waiting)
    assert all(row.member_id for row in found)
    assert browser.get(live).status_code == 200


def test_a_newer_link_revokes_the_older_one(browser: Browser) -> None:
    """Of two addresses for one purpose only the last one opens."""
    contract_id = browser.practice.enrol(None).contract_id

    older, newer = browser.path(contract_id), browser.path(contract_id)

    assert [browser.get(path).status_code for path in (older, newer)] == [404, 200]


def test_whoever_holds_an_old_link_takes_the_good_one_from_nobody(browser: Browser) -> None:
    """A new link is asked for with the old one: none is made, and the good one opens; once that is over, one is."""
    contract_id = browser.practice.enrol(None).contract_id
    older, newer = browser.path(contract_id), browser.path(contract_id)

    renew_link(browser.context, older.removeprefix("/l/"))
    assert browser.practice.all(Message) == []
    assert browser.get(newer).status_code == 200
    browser.practice.clock.advance(timedelta(days=40))
    renew_link(browser.context, older.removeprefix("/l/"))
    assert {row.kind for row in browser.practice.all(Message)} == {MessageKind.NEW_LINK}


def test_what_staff_have_revoked_stays_so_whoever_asks(browser: Browser) -> None:
    """Neither the revoked link nor one that it had replaced brings a new one."""
    contract_id = browser.practice.enrol(None).contract_id
    paths = [browser.path(contract_id), browser.path(contract_id)]
    (line,) = list_links(browser.context, browser.practice.location)
    revoke_link(browser.context, line.id, "person:mia")

    for path in paths:
        renew_link(browser.context, path.removeprefix("/l/"))

    assert browser.practice.all(Message) == []


def test_a_payment_from_elsewhere_ends_the_link(browser: Browser) -> None:
    """The run has collected the invoice meanwhile, so its page has nothing to ask."""
    practice = browser.practice
    person = practice.paid()
    practice.sign_up(person, "pm_card_declineOnce_insufficient_funds")
    practice.advance(days=31)
    practice.charge()
    invoice = practice.all(Invoice)[1]
    path = browser.path(invoice.id)
    practice.sign_up(person, "pm_card_visa")
    practice.charge()

    assert practice.all(Invoice)[1].status is InvoiceStatus.COMPLETED
    assert browser.get(path).status_code == 404


@pytest.mark.parametrize("count", [2, 6])
def test_of_several_submits_at_once_one_wins(browser: Browser, count: int) -> None:
    """All press the button at the same moment: one pays, the others read that it is paid or being paid."""
    practice = browser.practice
    person = practice.paid()
    request_id = request_payment(browser.context, person.member_id, [(Money(5000, "aud"), None)], "front desk")
    path = browser.path(request_id)
    gate = threading.Barrier(count)
    seen: list[str] = []

    def submit() -> None:
        with httpx.Client(base_url=browser.http.base_url, headers={"Host": HOST}, timeout=30, trust_env=False) as own:
            gate.wait(timeout=10)
            seen.append(text_of(own.post(path, data={"action": "pay"}).text))

    threads = [threading.Thread(target=submit) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert len(seen) == count
    assert sum("What is due now is paid" in text for text in seen) == 1
    told = ("What is due now is paid", "is being made already", "has been paid already")
    assert all(any(words in text for words in told) for text in seen)
    assert [charge["amount"] for charge in practice.stripe_charges()].count(5000) == 1


def test_the_token_is_nowhere_but_in_the_address(browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    """256 bits, stored as a hash only; no log line at any level has it, nor anything personal."""
    practice = browser.practice
    person = practice.enrol(None)
    url = browser.url(person.contract_id)
    token = urlsplit(url).path.removeprefix("/l/")

    with caplog.at_level(logging.DEBUG):
        browser.get(urlsplit(url).path)
        browser.sign(urlsplit(url).path)
        browser.press(urlsplit(url).path, "new")

    assert len(token) == 43
    assert url == f"https://{HOST}/l/{token}"
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert not any(token in line for line in (*ours, *everything(practice)))
    assert not any(word in line for line in ours for word in ("Ada", "Ferris"))


def test_every_answer_is_guarded(browser: Browser) -> None:
    """The same headers on pages, refusals and redirects; no cookie, no script, nothing from elsewhere."""
    path = browser.path(browser.practice.enrol(None).contract_id)
    answers = [
        browser.get(path),
        browser.get(UNKNOWN),
        browser.get("/nowhere"),
        browser.get("/style.css"),
        browser.get("/thank-you"),
        browser.get(path, "DELETE"),
        browser.sign(path),
        browser.press(UNKNOWN, "new"),
        browser.http.get(path, headers={"Host": "evil.example"}),
        browser.http.post(path, content=b"x" * 20_000, headers={"Content-Type": "application/x-www-form-urlencoded"}),
        browser.http.post(path, json={"action": "sign_up"}),
    ]

    assert [answer.status_code for answer in answers] == [200, 404, 404, 200, 200, 405, 303, 200, 400, 413, 415]
    policy = (
        f"default-src 'none'; style-src 'self'; form-action 'self' {browser.practice.stripe.address}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    for answer in answers:
        shown = {
            name: answer.headers.get(name)
            for name in (
                "Referrer-Policy",
                "Cache-Control",
                "X-Robots-Tag",
                "X-Content-Type-Options",
                "Content-Security-Policy",
                "Strict-Transport-Security",
                "Set-Cookie",
            )
        }
        assert shown == {
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            "X-Robots-Tag": "noindex, nofollow",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": policy,
            "Strict-Transport-Security": "max-age=63072000",
            "Set-Cookie": None,
        }
        assert "<script" not in answer.text and "http://" not in answer.text and "https://" not in answer.text
        assert "style=" not in answer.text


def test_an_answer_to_an_odd_request_says_what_was_odd(browser: Browser) -> None:
    """Which methods there are, that the form cannot be read; and a media type may be written in any case."""
    path = browser.path(browser.practice.enrol(None).contract_id)
    form = {"Content-Type": "APPLICATION/X-WWW-FORM-URLENCODED; charset=UTF-8"}

    allowed = [browser.get(address, "DELETE").headers["Allow"] for address in (path, f"{path}/invoice", "/thank-you")]
    crowded = browser.http.post(path, data={f"field{number}": "" for number in range(31)})
    shouted = browser.http.post(path, content=b"action=preview", headers=form)

    assert [{*methods.split(", ")} for methods in allowed] == [
        {"GET", "HEAD", "POST"},
        {"GET", "HEAD"},
        {"GET", "HEAD"},
    ]
    assert (crowded.status_code, shouted.status_code) == (400, 200)
    assert "The form could not be read" in text_of(crowded.text) and "nothing at this address" not in crowded.text


def test_ten_thousand_guesses_are_cut_off_and_others_are_not(browser: Browser) -> None:
    """One address has its budget, whatever it says about itself; a patient elsewhere is not locked out."""
    path = browser.path(browser.practice.enrol(None).contract_id)

    guesses = [
        browser.http.get(f"/l/guess{number}", headers={"X-Forwarded-For": f"10.0.0.{number % 9}, 203.0.113.9"})
        for number in range(200)
    ]

    refused = [answer for answer in guesses if answer.status_code == 429]
    assert len(refused) == 140
    assert refused[0].headers["Retry-After"] == "60"
    assert refused[0].headers["Cache-Control"] == "no-store"
    assert browser.get(path, **{"X-Forwarded-For": "198.51.100.7"}).status_code == 200
    assert browser.get(path, **{"X-Forwarded-For": "203.0.113.9"}).status_code == 429
    browser.practice.clock.advance(timedelta(minutes=1))
    assert browser.get(path, **{"X-Forwarded-For": "203.0.113.9"}).status_code == 200


def test_without_pages_of_our_own_a_link_is_a_page_of_the_processor(practice: Practice) -> None:
    """It says what will be collected, and its completion pays the request without any page of ours."""
    person = practice.enrol(None)
    request_id = request_payment(practice.context, person.member_id, [(Money(4900, "aud"), None)], "front desk")
    with practice.context.database.read() as session:
        member = session.get_one(Member, person.member_id)

    url = link_for(practice.context, LinkKind.PAYMENT, request_id, practice.location, member)

    assert "Leura Dental will collect with this method: $49.00 due 01/09/2026." in text_of(
        practice.stripe.client.get(url).text
    )
    assert practice.stripe.client.post(url, data={"method": "pm_card_visa"}).status_code == 303
    practice.charge()
    practice.charge()
    assert practice.all(Invoice)[0].status is InvoiceStatus.COMPLETED
    assert practice.all(SecureLink) == []
    practice.assert_exactly_once()


def test_a_link_is_made_for_its_payer_only(practice: Practice) -> None:
    """Another member, another purpose, an id that nothing has: each is refused, and no link is made."""
    person, other = practice.enrol(None), practice.enrol(None)
    with practice.context.database.read() as session:
        theirs = session.get_one(Member, other.member_id)
        own = session.get_one(Member, person.member_id)

    for kind, subject_id, member in (
        (LinkKind.SIGNUP, person.contract_id, theirs),
        (LinkKind.PAYMENT, person.contract_id, own),
        (LinkKind.SIGNUP, "con_none", own),
    ):
        with pytest.raises(DomainError):
            link_for(practice.context, kind, subject_id, practice.location, member)
    assert practice.all(SecureLink) == []


def test_staff_send_list_and_revoke_links(browser: Browser) -> None:
    """What is sent goes by message; what is revoked shows nothing; what has ended cannot be revoked again."""
    practice = browser.practice
    person = practice.enrol(None)
    path = browser.path(person.contract_id)

    send_link(browser.context, person.contract_id, "person:mia")
    assert {row.kind for row in practice.all(Message)} == {MessageKind.INVITATION}
    (line,) = list_links(browser.context, practice.location)
    assert (line.kind, line.subject_id) == (LinkKind.SIGNUP, person.contract_id)
    revoke_link(browser.context, line.id, "person:mia")

    assert browser.get(path).status_code == 404
    assert list_links(browser.context, practice.location) == []
    with pytest.raises(DomainError, match="already"):
        revoke_link(browser.context, line.id, "person:mia")
    with pytest.raises(DomainError, match="no link"):
        revoke_link(browser.context, "lnk_none", "person:mia")
    with pytest.raises(DomainError, match="nothing with the id"):
        send_link(browser.context, "con_none", "person:mia")
    assert len(practice.all(Contract)) == 1
