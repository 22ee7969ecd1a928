"""SMS over real HTTP to the simulated providers: what arrives, and what each way of failing is called."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from connector.errors import AccessDenied, EdgeError, NotSent, OutcomeUnknown, RateLimited, Rejected
from connector.messaging.sms import Sms
from connector.sandbox.messaging.phone_box import SECRET, USER
from connector.sandbox.messaging.twilio import ACCOUNT, KEY, SERVICE
from tests.support.message_servers import PhoneSandbox, phone_sandbox

PROVIDERS = ("twilio", "clicksend", "messagemedia")
NUMBER = "+61491570156"
TEXT = "Bondi Dental: $20.00 is due on 21/11/2026. Pay: https://pay.example.com/l/abc_~"


@pytest.fixture(scope="module")
def running() -> Iterator[PhoneSandbox]:
    """One server for the whole file."""
    with phone_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def phones(running: PhoneSandbox) -> PhoneSandbox:
    """The server as if newly started."""
    running.clear()
    return running


def failure(phones: PhoneSandbox, backend: str, sms: Sms | None = None, **changes: object) -> EdgeError:
    """What sending raises, after a look at its words."""
    with pytest.raises(EdgeError) as caught:
        phones.sender(backend, **changes).send(sms or Sms(NUMBER, TEXT))
    words = str(caught.value)
    assert not any(secret in words for secret in (NUMBER, NUMBER[1:], TEXT[:12], SECRET, USER, KEY, ACCOUNT, "127."))
    assert words.endswith(".")
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


@pytest.mark.parametrize("backend", PROVIDERS)
def test_a_text_arrives_as_it_was_written(phones: PhoneSandbox, backend: str) -> None:
    """With its number, once, and the provider's id is what comes back."""
    sent = phones.sender(backend).send(Sms(NUMBER, TEXT))

    (taken,) = phones.accepted()
    assert (taken["provider"], taken["id"], taken["to"], taken["text"]) == (backend, sent, NUMBER, TEXT)


@pytest.mark.parametrize(
    ("backend", "sender"),
    [
        ("twilio", "Bondi Smile"),
        ("twilio", SERVICE),
        ("twilio", "+61491570006"),
        ("clicksend", "Bondi Smile"),
        ("clicksend", "+61491570006"),
        ("clicksend", ""),
        ("messagemedia", "Bondi Smile"),
        ("messagemedia", "+61491570006"),
        ("messagemedia", "19990"),
        ("messagemedia", ""),
    ],
)
def test_the_sender_is_the_one_of_the_settings(phones: PhoneSandbox, backend: str, sender: str) -> None:
    """A number, a registered name, a messaging service, or none where the provider has one of its own."""
    phones.sender(backend, sender=sender).send(Sms(NUMBER, TEXT))

    assert [taken["sender"] for taken in phones.accepted()] == [sender]


@pytest.mark.parametrize("backend", PROVIDERS)
@pytest.mark.parametrize(
    ("fault", "expected", "taken"),
    [
        ({"kind": "status_before", "status": 401}, AccessDenied, 0),
        ({"kind": "status_before", "status": 402}, AccessDenied, 0),
        ({"kind": "status_before", "status": 403}, AccessDenied, 0),
        ({"kind": "status_before", "status": 404}, Rejected, 0),
        ({"kind": "status_before", "status": 422}, Rejected, 0),
        ({"kind": "rate_limit"}, RateLimited, 0),
        ({"kind": "status_before", "status": 302}, OutcomeUnknown, 0),
        ({"kind": "status_before", "status": 408}, OutcomeUnknown, 0),
        ({"kind": "status_before", "status": 500}, OutcomeUnknown, 0),
        ({"kind": "status_after", "status": 500}, OutcomeUnknown, 1),
        ({"kind": "status_after", "status": 503}, OutcomeUnknown, 1),
        ({"kind": "reset_before"}, OutcomeUnknown, 0),
        ({"kind": "reset_after"}, OutcomeUnknown, 1),
        ({"kind": "truncate"}, OutcomeUnknown, 1),
        ({"kind": "html_200"}, OutcomeUnknown, 0),
        ({"kind": "html_200", "body": "[]"}, OutcomeUnknown, 0),
        ({"kind": "html_200", "body": "{}"}, OutcomeUnknown, 0),
        ({"kind": "html_200", "body": "[" * 90_000}, OutcomeUnknown, 0),
        ({"kind": "html_200", "body": "x" * 200_000}, OutcomeUnknown, 0),
        ({"kind": "html_200", "body": '{"sid": 7, "messages": 7, "data": {"messages": [7]}}'}, OutcomeUnknown, 0),
        ({"kind": "html_200", "body": '{"sid": "a b", "messages": [{}, {}], "data": 1}'}, OutcomeUnknown, 0),
    ],
)
def test_a_failure_says_whether_the_text_may_be_under_way(
    phones: PhoneSandbox, backend: str, fault: dict[str, object], expected: type[EdgeError], taken: int
) -> None:
    """Whatever is no clear refusal may have been sent; and nothing is sent a second time."""
    phones.fault(**fault)

    assert type(failure(phones, backend)) is expected
    assert len(phones.accepted()) == taken


@pytest.mark.parametrize("backend", PROVIDERS)
def test_a_provider_that_takes_too_long_may_have_sent_the_text(phones: PhoneSandbox, backend: str) -> None:
    """It did, here: the answer came too late."""
    phones.fault(kind="hang", delay_seconds=0.4)

    assert type(failure(phones, backend, timeout_seconds=0.1)) is OutcomeUnknown
    assert len(phones.accepted()) == 1


@pytest.mark.parametrize("backend", PROVIDERS)
def test_a_provider_that_cannot_be_reached_got_nothing(phones: PhoneSandbox, backend: str) -> None:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"

    assert type(failure(phones, backend, api_base=address)) is NotSent


@pytest.mark.parametrize("backend", PROVIDERS)
@pytest.mark.parametrize("changes", [{"secret": "wrong"}, {"user": "nobody"}, {"user": "x:y"}])
def test_wrong_keys_are_denied(phones: PhoneSandbox, backend: str, changes: dict[str, Any]) -> None:
    """Nothing more is to be sent until they are mended."""
    assert type(failure(phones, backend, **changes)) is AccessDenied
    assert phones.accepted() == []


@pytest.mark.parametrize(
    ("backend", "trouble", "expected", "word"),
    [
        ("twilio", "opted_out", Rejected, "21610"),
        ("twilio", "unreachable", Rejected, "21614"),
        ("twilio", "no_credit", AccessDenied, "20005"),
        ("clicksend", "opted_out", Rejected, "INVALID_RECIPIENT"),
        ("clicksend", "no_credit", AccessDenied, "INSUFFICIENT_CREDIT"),
        ("messagemedia", "no_credit", AccessDenied, "403"),
    ],
)
def test_a_refusal_carries_the_providers_code(
    phones: PhoneSandbox, backend: str, trouble: str, expected: type[EdgeError], word: str
) -> None:
    """With ClickSend it stands in an answer of success."""
    phones.trouble(NUMBER, trouble)

    refusal = failure(phones, backend)

    assert type(refusal) is expected
    assert word in str(refusal)
    assert phones.accepted() == []


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("QUEUED", None),
        ("THROTTLED", RateLimited),
        ("INVALID_SENDER_ID", Rejected),
        ("INTERNAL_ERROR", OutcomeUnknown),
        ("SOMETHING NEW +61491570156", OutcomeUnknown),
        (7, OutcomeUnknown),
    ],
)
def test_only_clicksends_known_words_are_believed(
    phones: PhoneSandbox, status: object, expected: type[EdgeError] | None
) -> None:
    """A status that nobody knows may mean that the text goes out."""
    answer = {"data": {"messages": [{"status": status, "message_id": "4F-1"}]}}
    phones.fault(kind="html_200", body=httpx.Request("POST", "http://x", json=answer).content.decode())

    if expected:
        assert type(failure(phones, "clicksend")) is expected
    else:
        assert phones.sender("clicksend").send(Sms(NUMBER, TEXT)) == "4F-1"


def test_a_text_that_twilio_takes_and_gives_up_at_once_is_rejected(phones: PhoneSandbox) -> None:
    """Its answer of success says so."""
    phones.fault(kind="html_200", body='{"sid": "SM1", "status": "failed"}')

    assert type(failure(phones, "twilio")) is Rejected


@pytest.mark.parametrize("backend", PROVIDERS)
@pytest.mark.parametrize("text", [" ", "x" * 5001])
def test_texts_beyond_the_providers_limits_are_refused(phones: PhoneSandbox, backend: str, text: str) -> None:
    """The sandbox is as strict as the provider, so nothing is cut off unseen."""
    assert type(failure(phones, backend, Sms(NUMBER, text))) is Rejected
    assert phones.accepted() == []


@pytest.mark.parametrize(
    ("path", "request_body", "status"),
    [
        ("/v3/sms/send", {"messages": []}, 400),
        ("/v3/sms/send", {"messages": [7]}, 400),
        ("/v3/sms/send", [], 400),
        ("/v1/messages", {"messages": []}, 400),
        ("/v1/messages", {"messages": [{"content": "x"}]}, 400),
        ("/v1/messages", {"messages": [{"content": "x", "destination_number": NUMBER, "to": NUMBER}]}, 400),
        ("/v1/messages", {"messages": [{"content": "x", "destination_number": NUMBER, "source_number": "Bo"}]}, 400),
        ("/v1/messages", {"messages": [{"content": "x", "destination_number": "0491570156"}]}, 400),
    ],
)
def test_the_sandbox_refuses_what_the_providers_refuse(
    phones: PhoneSandbox, path: str, request_body: object, status: int
) -> None:
    """Missing, unknown and malformed fields."""
    answer = httpx.post(phones.address + path, json=request_body, auth=(USER, SECRET), trust_env=False)

    assert answer.status_code == status
    assert phones.accepted() == []


@pytest.mark.parametrize("path", ["/v3/sms/send", "/v1/messages"])
@pytest.mark.parametrize(
    ("content", "media_type"),
    [("not json", "application/json"), ('{"messages": []}', "text/plain"), ("\xff", "application/json")],
)
def test_the_sandbox_reads_json_that_says_so(phones: PhoneSandbox, path: str, content: str, media_type: str) -> None:
    """Anything else is a bad request."""
    answer = httpx.post(
        phones.address + path,
        content=content.encode("latin-1"),
        headers={"Content-Type": media_type},
        auth=(USER, SECRET),
        trust_env=False,
    )

    assert answer.status_code == 400


def test_the_simulated_twilio_knows_one_account_and_takes_forms(phones: PhoneSandbox) -> None:
    """A key of one account opens no other."""
    path = phones.address + "/2010-04-01/Accounts/{}/Messages.json"
    other = httpx.post(path.format("AC1"), data={"To": NUMBER}, auth=(KEY, SECRET), trust_env=False)
    as_json = httpx.post(path.format(ACCOUNT), json={"To": NUMBER}, auth=(KEY, SECRET), trust_env=False)

    assert (other.status_code, other.json()["code"]) == (404, 20404)
    assert (as_json.status_code, as_json.json()["code"]) == (400, 20001)


def test_the_sandbox_knows_its_troubles(phones: PhoneSandbox) -> None:
    """A misspelt one would make a test pass for nothing."""
    answer = httpx.post(
        f"{phones.address}/_sandbox/troubles", json={"number": NUMBER, "trouble": "typo"}, trust_env=False
    )

    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"To": NUMBER, "From": "+61491570006"}, 21602),
        ({"Body": "x", "From": "+61491570006"}, 21604),
        ({"To": "0491570156", "Body": "x", "From": "+61491570006"}, 21211),
        ({"To": NUMBER, "Body": "x"}, 21603),
        ({"To": NUMBER, "Body": "x", "From": "12"}, 21212),
        ({"To": NUMBER, "Body": "x", "MessagingServiceSid": "MG1"}, 21701),
        ({"To": NUMBER, "Body": "x", "From": "+61491570006", "Text": "x"}, 20001),
        ({"To": [NUMBER, NUMBER], "Body": "x", "From": "+61491570006"}, 20001),
    ],
)
def test_the_simulated_twilio_numbers_its_refusals(phones: PhoneSandbox, form: dict[str, object], code: int) -> None:
    """As the real one does, so that the number in our sentence can be looked up."""
    path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    answer = httpx.post(phones.address + path, data=form, auth=(KEY, SECRET), trust_env=False)

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert phones.accepted() == []
