"""The simulated MessageMedia: all messages of a request or none; opted-out numbers are taken and reported later."""

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

_LONGEST = 5000
_MOST = 100
_KNOWN = {"content", "destination_number", "format", "source_number", "source_number_type", "metadata"}


class MessageMedia:
    """Messages of one account."""

    def __init__(self, box: PhoneBox) -> None:
        self._box = box

    def routes(self) -> list[Route]:
        return [Route("/v1/messages", self.send, methods=["POST"])]

    async def send(self, request: Request) -> Response:
        if login(request) != (USER, SECRET):
            return JSONResponse({"message": "Invalid authentication credentials"}, 401)
        try:
            body = await request.json() if media_type(request) == "application/json" else None
        except (JSONDecodeError, UnicodeDecodeError):
            body = None
        messages = body.get("messages") if isinstance(body, dict) and set(body) == {"messages"} else None
        if not isinstance(messages, list) or not 1 <= len(messages) <= _MOST:
            return _invalid("messages must be a list of 1 to 100 messages")
        for message in messages:
            if mistake := self._mistake(message):
                return _invalid(mistake)
        if any(self._box.trouble(message["destination_number"]) is Trouble.NO_CREDIT for message in messages):
            return JSONResponse({"message": "The account may not send messages"}, 403)
        return JSONResponse({"messages": [self._take(message) for message in messages]}, 202)

    def _take(self, message: dict[str, Any]) -> dict[str, Any]:
        message_id, to = new_uuid(), message["destination_number"]
        if self._box.trouble(to) is None:
            sender = message.get("source_number", "")
            self._box.accept("messagemedia", message_id, to, sender, message["content"])
        return {"format": "SMS", **message, "message_id": message_id, "status": "queued", "delivery_report": False}

    def _mistake(self, message: object) -> str | None:
        if not isinstance(message, dict) or not set(message) <= _KNOWN:
            return "a message has unknown fields"
        content = message.get("content")
        if not isinstance(content, str) or not content.strip() or len(content) > _LONGEST:
            return "content must have 1 to 5000 characters"
        if not is_number(message.get("destination_number")):
            return "destination_number must be a valid international number"
        if message.get("format", "SMS") != "SMS":
            return "format must be SMS"
        return _mistake_in_source(message.get("source_number"), message.get("source_number_type"))


def _mistake_in_source(source: object, kind: object) -> str | None:
    if source is None:
        return None if kind is None else "source_number_type needs a source_number"
    fits = {
        "INTERNATIONAL": is_number(source),
        "ALPHANUMERIC": is_name(source),
        "SHORTCODE": isinstance(source, str) and source.isdigit(),
    }
    return None if isinstance(kind, str) and fits.get(kind) else "source_number is not of its source_number_type"


def _invalid(detail: str) -> Response:
    return JSONResponse({"message": "Invalid request", "details": [detail]}, 400)
