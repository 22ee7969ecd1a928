"""SMS by Twilio: a form to the account's messages, answered with the new message (Twilio: Message resource)."""

from __future__ import annotations

from connector.errors import Rejected
from connector.messaging.sms import Sms
from connector.messaging.sms_gateway import SmsGateway
from connector.settings import SmsSettings

API = "https://api.twilio.com"

_FAILED = frozenset({"failed", "undelivered", "canceled"})


class TwilioSms:
    """Sends in the name of `sms.account`; `sms.user` and `sms.secret` are an API key, or the account and its token."""

    def __init__(self, settings: SmsSettings) -> None:
        self._gateway = SmsGateway("Twilio", API, settings)
        self._path = f"/2010-04-01/Accounts/{settings.account}/Messages.json"
        by_service = settings.sender.startswith("MG")
        self._sender = {"MessagingServiceSid" if by_service else "From": settings.sender}

    def send(self, sms: Sms) -> str:
        answer = self._gateway.post_form(self._path, {"To": sms.to, "Body": sms.text, **self._sender})
        if answer.get("status") in _FAILED:
            raise Rejected("Twilio took the SMS and could not send it: check the number and sms.sender.")
        return self._gateway.id_in(answer, "sid")
