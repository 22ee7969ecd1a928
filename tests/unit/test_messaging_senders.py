"""Which back end the settings open, the outbox, telephone numbers, and settings that are refused."""

from __future__ import annotations

import re
import sys
from email import message_from_bytes
from email.policy import SMTP as SMTP_POLICY
from email.policy import default
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connector.errors import DomainError, NotSent, Rejected
from connector.messaging.clicksend import ClickSendSms
from connector.messaging.mailer import Mail, OutboxMailer, compose, only_address
from connector.messaging.messagemedia import MessageMediaSms
from connector.messaging.senders import open_mailer, open_sms
from connector.messaging.sms import OutboxSms, Sms, e164, is_service_number
from connector.messaging.smtp import SmtpMailer
from connector.messaging.twilio import TwilioSms
from connector.settings import MailSettings, Settings, SmsSettings

ACCOUNT = "AC" + "0" * 32
SECRET = "do not show"
ORDINARY = re.compile(r"[a-z]+@[a-z]+\.[a-z]+")
SMTP = {"backend": "smtp", "host": "mail.example.com", "sender": "Bondi <billing@example.com>"}
SMS = {"backend": "clicksend", "user": "practice", "secret": SECRET}


@pytest.mark.parametrize(
    ("fields", "kind"),
    [({}, OutboxMailer), (SMTP, SmtpMailer)],
)
def test_the_settings_choose_the_mailer(tmp_path: Path, fields: dict[str, object], kind: type) -> None:
    """By default nothing leaves the machine."""
    settings = Settings.model_construct(mail=MailSettings.model_validate(fields))

    assert type(open_mailer(settings, tmp_path)) is kind


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, OutboxSms),
        (SMS, ClickSendSms),
        (SMS | {"backend": "messagemedia"}, MessageMediaSms),
        (SMS | {"backend": "twilio", "account": ACCOUNT, "sender": "Bondi Smile"}, TwilioSms),
    ],
)
def test_the_settings_choose_the_sms_provider(tmp_path: Path, fields: dict[str, object], kind: type) -> None:
    """By default nothing leaves the machine."""
    settings = Settings.model_construct(sms=SmsSettings.model_validate(fields))

    assert type(open_sms(settings, tmp_path)) is kind


def test_files_of_the_outbox_are_for_their_owner_alone(tmp_path: Path) -> None:
    """They hold addresses and links."""
    OutboxMailer(tmp_path / "outbox", "a@example.com").send(Mail("b@example.com", "Subject", "Text"))
    OutboxSms(tmp_path / "outbox").send(Sms("+61491570156", "Text"))

    modes = {file.stat().st_mode & 0o777 for file in (tmp_path / "outbox").iterdir()}
    assert modes == {0o600} or sys.platform == "win32"


@pytest.mark.parametrize("send", ["mail", "sms"])
def test_an_outbox_that_cannot_be_written_to_has_sent_nothing(tmp_path: Path, send: str) -> None:
    """It says so in one sentence, the same for each message, and leaves no half of one behind."""
    folder = tmp_path / "outbox"
    folder.write_text("A file is in its place.")
    sentence = rf"^The messages cannot be written to {re.escape(str(folder))} \(.+\): make room"

    with pytest.raises(NotSent, match=sentence):
        if send == "mail":
            OutboxMailer(folder, "a@example.com").send(Mail("b@example.com", "Subject", "Text"))
        else:
            OutboxSms(folder).send(Sms("+61491570156", "Text"))
    assert [file.name for file in tmp_path.iterdir()] == ["outbox"]


def test_the_outbox_keeps_messages_as_files_that_people_can_read(tmp_path: Path) -> None:
    """A link stands in one piece, and a file's name says nothing about the person."""
    settings = Settings.model_construct(mail=MailSettings(), sms=SmsSettings())
    link = "https://pay.example.com/l/" + "a=b&" * 60

    mail_id = open_mailer(settings, tmp_path).send(Mail("ada@example.com", "Grüße", f"Dear Zoë\n{link}\n", "<p>x</p>"))
    sms_id = open_sms(settings, tmp_path).send(Sms("+61491570156", "Grüße"))

    files = {file.name: file.read_bytes() for file in (tmp_path / "outbox").iterdir()}
    assert files.keys() == {f"{mail_id}.eml", f"{sms_id}.txt"}
    assert link.encode() in files[f"{mail_id}.eml"]
    message = message_from_bytes(files[f"{mail_id}.eml"], policy=default)
    body = message.get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == f"Dear Zoë\n{link}\n"
    assert (message["To"], message["Subject"]) == ("ada@example.com", "Grüße")
    assert files[f"{sms_id}.txt"].decode() == "To: +61491570156\n\nGrüße\n"


@given(to=st.text() | st.text('ab@.,;:<>()"\\\\ \r\n\té') | st.emails(), subject=st.text())
def test_a_mail_reaches_the_one_address_that_was_meant_or_none(to: str, subject: str) -> None:
    """Whatever stands in the fields; an ordinary address with an ordinary subject always goes through."""
    mail = Mail(to, subject, "text")
    try:
        message = compose("Bondi <billing@example.com>", mail, SMTP_POLICY)
    except Rejected:
        assert not (ORDINARY.fullmatch(to) and subject.isprintable())
        return

    received = message_from_bytes(message.as_bytes(), policy=default)

    assert only_address(message, "To").addr_spec == to
    assert len(received.get_all("To", [])) == 1
    assert received["Bcc"] is None
    assert received["Cc"] is None


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("0491 570 156", "AU", "+61491570156"),
        ("(04) 9157-0156", "AU", "+61491570156"),
        ("+61 491 570 156", "NZ", "+61491570156"),
        ("021 123 4567", "NZ", "+64211234567"),
        ("212 555 0123", "US", "+12125550123"),
    ],
)
def test_numbers_become_international(text: str, region: str, number: str) -> None:
    """A number without a country belongs to the region of the practice."""
    assert e164(text, region) == number
    assert Sms(number, "x").to == number


@pytest.mark.parametrize("text", ["", "Ada", "12", "02 9374 4000", "1300 975 707", "+61 2 9374 4000", "0" * 40])
def test_what_takes_no_sms_is_refused_without_being_repeated(text: str) -> None:
    """E.g. a landline in Sydney."""
    with pytest.raises(DomainError) as refused:
        e164(text, "AU")

    assert not text or text not in str(refused.value)


@pytest.mark.parametrize(
    "number", ["0491570156", "+0491570156", "+614915", "+61491570156\n", "61491570156", "+6149157015६", ""]
)
def test_an_sms_has_an_international_number(number: str) -> None:
    """Anything else is a mistake of ours."""
    with pytest.raises(ValueError, match=r"E\.164"):
        Sms(number, "x")


def test_messages_show_nothing_of_a_person() -> None:
    """They may be printed by accident."""
    assert "491570156" not in repr(Sms("+61491570156", "secret"))
    assert "secret" not in f"{Sms('+61491570156', 'secret')} {Mail('a@b.example', 'secret', 'secret')}"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sender": "nobody"}, "one e-mail address"),
        ({"sender": "a@b.example, c@d.example"}, "one e-mail address"),
        ({"sender": "a@b.example\r\nBcc: c@d.example"}, "one e-mail address"),
        (SMTP | {"host": ""}, "needs a host"),
        (SMTP | {"host": "mail.example.com/x"}, "pattern"),
        (SMTP | {"sender": "SmilePass <no-reply@smilepass.invalid>"}, "sender address of your own"),
        (SMTP | {"security": "none"}, "on this machine only"),
        (SMTP | {"security": "none", "host": "localhost.example.com"}, "on this machine only"),
    ],
)
def test_mail_settings_that_cannot_work_are_refused(fields: dict[str, object], words: str) -> None:
    """Above all a login that would travel unencrypted."""
    with pytest.raises(ValidationError, match=words):
        MailSettings.model_validate(fields | {"password": SECRET})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (SMS | {"user": ""}, "needs user and secret"),
        (SMS | {"secret": ""}, "needs user and secret"),
        (SMS | {"backend": "twilio", "sender": "Bondi"}, "needs account and sender"),
        (SMS | {"backend": "twilio", "account": ACCOUNT}, "needs account and sender"),
        (SMS | {"account": "AC/../x"}, "pattern"),
        (SMS | {"sender": "twelve chars"}, "pattern"),
        (SMS | {"api_base": "https://sms.example.com"}, "sandbox on this machine"),
        (SMS | {"api_base": "http://127.0.0.1@example.com"}, "sandbox on this machine"),
        (SMS | {"api_base": "ftp://127.0.0.1"}, "sandbox on this machine"),
    ],
)
def test_sms_settings_that_cannot_work_are_refused(fields: dict[str, object], words: str) -> None:
    """The keys go to the provider or to this machine, and nowhere else."""
    with pytest.raises(ValidationError, match=words):
        SmsSettings.model_validate(fields)


def test_secrets_are_in_no_repr() -> None:
    """Settings may be printed by accident."""
    mail = MailSettings.model_validate(SMTP | {"user": "practice", "password": SECRET})
    shown = f"{mail!r} {SmsSettings.model_validate(SMS)!r}"

    assert SECRET not in shown
    assert "practice" not in shown


@pytest.mark.parametrize(
    ("number", "is_service"),
    [
        ("+611900123456", True),
        ("+61131313", True),
        ("+611300123456", True),
        ("+6112345", True),
        ("+61491570156", False),
        ("+61247841234", False),
        ("+447700900123", False),
        ("+29022158", False),
    ],
)
def test_numbers_of_services_are_told_from_those_of_people(number: str, is_service: bool) -> None:
    """Premium and shared rates and short numbers, but not the short ones of a small country."""
    assert is_service_number(number) is is_service
