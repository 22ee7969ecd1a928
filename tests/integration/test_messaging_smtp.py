"""E-mail over a real connection to a mail server on loopback that follows a script."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from connector.clock import MovableClock
from connector.errors import AccessDenied, EdgeError, NotSent, OutcomeUnknown, Rejected
from connector.messaging.mailer import Mail, Mailer
from connector.messaging.senders import open_mailer
from connector.messaging.smtp import SmtpMailer
from connector.settings import MailSettings, Settings
from tests.support.message_servers import MAIL_PASSWORD, MAIL_USER, MailServer

TO = "ada.ferris@example.com"
LONG_LINK = "https://pay.example.com/l/" + "a1B2" * 30
MAIL = Mail(TO, "Ihre Zahlung – déjà vu", f"Dear Zoë,\n\n.a line with a dot\n\n{LONG_LINK}\n")
CLOCK = MovableClock(datetime(2026, 11, 21, 9, 30, tzinfo=UTC))


@pytest.fixture(scope="module")
def running() -> Iterator[MailServer]:
    """One server for the whole file."""
    with MailServer() as server:
        yield server


@pytest.fixture
def server(running: MailServer) -> MailServer:
    """The server as if newly started."""
    running.begin()
    return running


def mailer(port: int, **changes: object) -> Mailer:
    fields: dict[str, object] = {
        "backend": "smtp",
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "sender": "Bondi Dental <billing@bondi.example.com>",
        "timeout_seconds": 5,
    }
    settings = Settings.model_construct(mail=MailSettings.model_validate(fields | changes))
    return open_mailer(settings, Path("unused"), CLOCK)


def failure(port: int, mail: Mail = MAIL, **changes: object) -> EdgeError:
    """What sending raises, after a look at its words."""
    with pytest.raises(EdgeError) as caught:
        mailer(port, **changes).send(mail)
    words = str(caught.value)
    assert not any(secret in words for secret in ("ada", "Ferris", "Zoë", "vu", MAIL_PASSWORD, MAIL_USER, "quoted"))
    assert words.endswith(".")
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


def test_a_message_arrives_as_it_was_written(server: MailServer) -> None:
    """Letters beyond ASCII, lines that begin with a dot and long links survive a server that takes seven bits."""
    message_id = mailer(server.port).send(MAIL)

    (delivery,) = server.deliveries
    message = delivery.message
    assert (delivery.sender, delivery.recipient) == ("billing@bondi.example.com", TO)
    assert message.get_content().replace("\r\n", "\n") == MAIL.text
    assert (message["Subject"], message["To"]) == (MAIL.subject, TO)
    assert message["From"] == "Bondi Dental <billing@bondi.example.com>"
    assert (message["Message-ID"], message["Date"]) == (message_id, "Sat, 21 Nov 2026 09:30:00 +0000")
    assert delivery.content.isascii()
    assert max(map(len, delivery.content.split(b"\r\n"))) < 998
    assert server.commands[-1] == "QUIT"


def test_a_message_may_have_a_second_form_in_html(server: MailServer) -> None:
    """For programs that show it; the text stays."""
    mailer(server.port).send(Mail(TO, "s", "plain\n", "<p>rich</p>\n"))

    parts = [part.get_content_type() for part in server.deliveries[0].message.iter_parts()]
    assert parts == ["text/plain", "text/html"]


def test_every_message_has_an_id_of_its_own(server: MailServer) -> None:
    """Else programs would show only one of two."""
    sender = mailer(server.port)

    assert sender.send(MAIL) != sender.send(MAIL)
    assert len(server.deliveries) == 2


@pytest.mark.parametrize(
    ("stage", "reply", "expected", "taken"),
    [
        ("CONNECT", "554 no service", NotSent, 0),
        ("CONNECT", "", NotSent, 0),
        ("CONNECT", "garbage", NotSent, 0),
        ("MAIL", "530 log in first", AccessDenied, 0),
        ("MAIL", "550 quoted address", Rejected, 0),
        ("MAIL", "451 later", NotSent, 0),
        ("MAIL", "", NotSent, 0),
        ("RCPT", "550 quoted address", Rejected, 0),
        ("RCPT", "450 greylisted", NotSent, 0),
        ("RCPT", "", NotSent, 0),
        ("DATA", "554 no", Rejected, 0),
        ("DATA", "451 later", NotSent, 0),
        ("DATA", "250 what", NotSent, 0),
        ("DATA", "", NotSent, 0),
        ("END", "552 too large", Rejected, 1),
        ("END", "451 later", NotSent, 1),
        ("END", "", OutcomeUnknown, 1),
        ("END", "garbage", OutcomeUnknown, 1),
        ("END", "354 what", OutcomeUnknown, 1),
    ],
)
def test_a_failure_says_whether_the_message_may_be_under_way(
    server: MailServer, stage: str, reply: str, expected: type[EdgeError], taken: int
) -> None:
    """Only after the whole text was handed over can it be; what the server says is not repeated."""
    server.begin(**{stage: reply})

    assert type(failure(server.port)) is expected
    assert len(server.deliveries) == taken


@pytest.mark.parametrize("farewell", ["", "554 no", "garbage"])
def test_a_failing_farewell_changes_nothing(server: MailServer, farewell: str) -> None:
    """The message has been taken."""
    server.begin(QUIT=farewell)

    assert mailer(server.port).send(MAIL)
    assert len(server.deliveries) == 1


def test_a_mail_server_that_cannot_be_reached_got_nothing() -> None:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    assert type(failure(port)) is NotSent


def test_a_server_that_says_nothing_got_nothing() -> None:
    """The wait is bounded."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert type(failure(listener.getsockname()[1], timeout_seconds=0.05)) is NotSent


def test_the_login_is_the_one_of_the_settings(server: MailServer) -> None:
    """On this machine it may travel unencrypted."""
    server.begin("AUTH PLAIN")

    mailer(server.port, user=MAIL_USER, password=SecretStr(MAIL_PASSWORD)).send(MAIL)

    assert len(server.deliveries) == 1
    assert "AUTH" in server.commands


@pytest.mark.parametrize(
    ("extension", "password", "reply", "expected"),
    [
        ("AUTH PLAIN", "wrong", {}, AccessDenied),
        ("AUTH PLAIN", "päss", {}, AccessDenied),
        ("AUTH PLAIN", MAIL_PASSWORD, {"AUTH": "454 later"}, NotSent),
        ("AUTH PLAIN", MAIL_PASSWORD, {"AUTH": ""}, NotSent),
        ("AUTH NTLM", MAIL_PASSWORD, {}, AccessDenied),
        ("SIZE", MAIL_PASSWORD, {}, AccessDenied),
    ],
)
def test_a_failing_login_sends_nothing(
    server: MailServer, extension: str, password: str, reply: dict[str, str], expected: type[EdgeError]
) -> None:
    """Without the right one, or one that the server offers, it is a matter for a person."""
    server.begin(extension, **reply)

    assert type(failure(server.port, user=MAIL_USER, password=SecretStr(password))) is expected
    assert "MAIL" not in server.commands


@pytest.mark.parametrize(
    ("security", "extensions", "replies"),
    [
        ("starttls", (), {}),
        ("starttls", ("STARTTLS",), {"STARTTLS": "502 changed my mind"}),
        ("starttls", ("STARTTLS",), {"STARTTLS": "220 go ahead"}),
        ("tls", (), {}),
    ],
)
def test_without_encryption_neither_login_nor_message_leave(
    server: MailServer, security: str, extensions: tuple[str, ...], replies: dict[str, str]
) -> None:
    """Also when the server, or someone in between, takes back its offer."""
    server.begin("AUTH PLAIN", *extensions, **replies)

    refusal = failure(server.port, security=security, user=MAIL_USER, password=SecretStr(MAIL_PASSWORD))

    assert type(refusal) is NotSent
    assert not {"AUTH", "MAIL", "DATA"} & set(server.commands)
    assert server.deliveries == []


def test_certificates_are_checked() -> None:
    """Against the host's name, with the authorities of this machine."""
    context = SmtpMailer(MailSettings(), CLOCK)._tls

    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize(
    "mail",
    [
        Mail("ada@example.com, ferris@example.com", "s", "t"),
        Mail("Ada <ada@example.com>", "s", "t"),
        Mail("ada@example.com\r\nBcc: ferris@example.com", "s", "t"),
        Mail("ada", "s", "t"),
        Mail("", "s", "t"),
        Mail("@", "s", "t"),
        Mail("zoë@example.com", "s", "t"),
        Mail("0.:", "s", "t"),
        Mail("=?utf-8?q?ferris?=@example.com", "s", "t"),
        Mail("[a]@example.com", "s", "t"),
        Mail(TO, "subject\r\nBcc: ferris@example.com", "t"),
        Mail(TO, "s", "half a letter: \ud800"),
    ],
)
def test_an_address_or_subject_that_could_reach_others_goes_nowhere(server: MailServer, mail: Mail) -> None:
    """One message has one recipient, whatever someone typed."""
    assert type(failure(server.port, mail)) is Rejected
    assert server.commands == []
