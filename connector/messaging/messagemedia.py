"""SMS by Sinch MessageMedia: a list of one message, answered with 202 and the message's id."""

from __future__ import annotations

from connector.messaging.sms import Sms
from connector.messaging.sms_gateway import SmsGateway
from connector.settings import SmsSettings

API = "https://api.messagemedia.com"


class MessageMediaSms:
    """Sends with the API key `sms.user` and its secret `sms.secret`."""

    def __init__(self, settings: SmsSettings) -> None:
        self._gateway = SmsGateway("MessageMedia", API, settings)
        self._sender = _source(settings.sender)

    def send(self, sms: Sms) -> str:
        message = {"content": sms.text, "destination_number": sms.to, "format": "SMS", **self._sender}
        answer = self._gateway.post_json("/v1/messages", {"messages": [message]})
        return self._gateway.id_in(self._gateway.only(answer.get("messages")), "message_id")


def _source(sender: str) -> dict[str, str]:
    """The sender with its type, which the provider would otherwise guess; none: the account's own."""
    if not sender:
        return {}
    name = "SHORTCODE" if sender.isdigit() else "ALPHANUMERIC"
    return {"source_number": sender, "source_number_type": "INTERNATIONAL" if sender.startswith("+") else name}
