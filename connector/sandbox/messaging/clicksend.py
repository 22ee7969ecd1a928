"""The simulated ClickSend: 200 for a request that it understood, and the fate of each message in that message."""

from __future__ import annotations

from json import JSONDecodeError
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connector.sandbox.messaging.phone_box import (
    SECRET,
    USER,
    PhoneBox,
    Trouble,
    is_name,
    is_number,
    login,
    media_type,
    new_uuid,
)

_LONGEST = 1224
_KNOWN = {"to", "body", "from", "source", "custom_string", "schedule"}
_TROUBLES = {
    Trouble.OPTED_OUT: "INVALID_RECIPIENT",
    Trouble.UNREACHABLE: "INVALID_RECIPIENT",
    Trouble.NO_CREDIT: "INSUFFICIENT_CREDIT",
}


class ClickSend:
    """SMS of one account."""

    def __init__(self, box: PhoneBox) -> None:
        self._box = box

    def routes(self) -> list[Route]:
        return [Route("/v3/sms/send", self.send, methods=["POST"])]

    async def send(self, request: Request) -> Response:
        if login(request) != (USER, SECRET):
            return _answer(401, "UNAUTHORIZED", "Authorization failed.")
        try:
            body = await request.json() if media_type(request) == "application/json" else None
        except (JSONDecodeError, UnicodeDecodeError):
            body = None
        messages = body.get("messages") if isinstance(body, dict) and set(body) == {"messages"} else None
        if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
            return _answer(400, "BAD_REQUEST", "The messages are missing.")
        if not 1 <= len(messages) <= 1000:
            return _answer(400, "BAD_REQUEST", "A request takes 1 to 1000 messages.")
        done = [self._take(message) for message in messages]
        queued = sum(message["status"] == "SUCCESS" for message in done)
        data = {"total_price": 0.0, "total_count": len(done), "queued_count": queued, "messages": done}
        return _answer(200, "SUCCESS", "Messages queued for delivery.", data)

    def _take(self, message: dict[str, Any]) -> dict[str, Any]:
        status = self._status(message)
        shown = {"direction": "out", "to": message.get("to"), "body": message.get("body"), "status": status}
        if status == "SUCCESS":
            shown["message_id"] = message_id = new_uuid().upper()
            self._box.accept("clicksend", message_id, message["to"], message.get("from", ""), message["body"])
        return shown

    def _status(self, message: dict[str, Any]) -> str:
        text = message.get("body")
        if not set(message) <= _KNOWN or not isinstance(text, str) or len(text) > _LONGEST:
            return "MISSING_REQUIRED_FIELDS"
        if not text.strip():
            return "EMPTY_MESSAGE"
        if not is_number(message.get("to")):
            return "INVALID_RECIPIENT"
        if "from" in message and not (is_number(message["from"]) or is_name(message["from"])):
            return "INVALID_SENDER_ID"
        trouble = self._box.trouble(message["to"])
        return _TROUBLES[trouble] if trouble else "SUCCESS"


def _answer(status: int, code: str, message: str, data: object = None) -> Response:
    return JSONResponse({"http_code": status, "response_code": code, "response_msg": message, "data": data}, status)
