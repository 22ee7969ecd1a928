"""SMS by ClickSend: each message of a request has a status of its own, also when the request is answered with 200."""

from __future__ import annotations

from connector.errors import AccessDenied, EdgeError, RateLimited, Rejected
from connector.messaging.sms import Sms
from connector.messaging.sms_gateway import SmsGateway
from connector.settings import SmsSettings

API = "https://rest.clicksend.com"

_ACCEPTED = frozenset({"SUCCESS", "QUEUED"})
_DENIED = frozenset({"INSUFFICIENT_CREDIT", "ACCOUNT_NOT_ACTIVATED", "MISSING_CREDENTIALS", "INVALID_CREDENTIALS"})
_REFUSED = frozenset(
    {"INVALID_RECIPIENT", "INVALID_SENDER_ID", "EMPTY_MESSAGE", "MISSING_REQUIRED_FIELDS", "COUNTRY_NOT_ENABLED"}
)


class ClickSendSms:
    """Sends for the user `sms.user` with its API key `sms.secret`."""

    def __init__(self, settings: SmsSettings) -> None:
        self._gateway = SmsGateway("ClickSend", API, settings)
        self._sender = {"from": settings.sender} if settings.sender else {}

    def send(self, sms: Sms) -> str:
        message = {"to": sms.to, "body": sms.text, "source": "smilepass", **self._sender}
        data = self._gateway.post_json("/v3/sms/send", {"messages": [message]}).get("data")
        sent = self._gateway.only(data.get("messages") if isinstance(data, dict) else None)
        status = sent.get("status")
        if not isinstance(status, str) or status not in _ACCEPTED:
            raise _failure(status) or self._gateway.unreadable()
        return self._gateway.id_in(sent, "message_id")


def _failure(status: object) -> EdgeError | None:
    """None for a status that does not say whether the text goes out."""
    said = f"ClickSend did not send the SMS ({status})"
    if status == "THROTTLED":
        return RateLimited(f"{said}: there were too many. Try again after a pause.")
    if status in _DENIED:
        return AccessDenied(f"{said}: check the keys and the credit of the account.")
    if status in _REFUSED:
        return Rejected(f"{said}: check the number and sms.sender.")
    return None
