"""Opens the back ends that the settings ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from connector.clock import Clock, SystemClock
from connector.messaging.clicksend import ClickSendSms
from connector.messaging.mailer import Mailer, OutboxMailer
from connector.messaging.messagemedia import MessageMediaSms
from connector.messaging.sms import OutboxSms, SmsSender
from connector.messaging.smtp import SmtpMailer
from connector.messaging.twilio import TwilioSms
from connector.settings import Settings, SmsSettings

_PROVIDERS: dict[str, Callable[[SmsSettings], SmsSender]] = {
    "twilio": TwilioSms,
    "clicksend": ClickSendSms,
    "messagemedia": MessageMediaSms,
}


def open_mailer(settings: Settings, data_dir: Path, clock: Clock | None = None) -> Mailer:
    """Where e-mail goes: the mail server, or the folder `outbox` of `data_dir`. `clock` dates what is sent."""
    if settings.mail.backend == "smtp":
        return SmtpMailer(settings.mail, clock or SystemClock())
    return OutboxMailer(data_dir / "outbox", settings.mail.sender)


def open_sms(settings: Settings, data_dir: Path) -> SmsSender:
    """Where SMS go: a provider, or the folder `outbox` of `data_dir`. Nothing stays open, so nothing is closed."""
    if settings.sms.backend == "outbox":
        return OutboxSms(data_dir / "outbox")
    return _PROVIDERS[settings.sms.backend](settings.sms)
