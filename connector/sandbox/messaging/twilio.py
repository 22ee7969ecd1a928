"""The simulated Twilio: a form in, the message resource out, errors with Twilio's numbers."""

from __future__ import annotations

import secrets
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connector.sandbox.messaging.phone_box import SECRET, PhoneBox, Trouble, is_name, is_number, login, media_type

ACCOUNT = "AC" + "0" * 32
KEY = "SK" + "0" * 32
"""An API key of the account; its secret is the sandbox's."""
SERVICE = "MG" + "0" * 32
"""The account's messaging service."""

_LONGEST = 1600
_KNOWN = {"To", "From", "MessagingServiceSid", "Body"}
_TROUBLES = {
    Trouble.OPTED_OUT: (400, 21610, "Attempt to send to unsubscribed recipient"),
    Trouble.UNREACHABLE: (400, 21614, "'To' number is not a valid mobile number"),
    Trouble.NO_CREDIT: (403, 20005, "Account not active"),
}


class Twilio:
    """Messages of one account."""

    def __init__(self, box: PhoneBox) -> None:
        self._box = box

    def routes(self) -> list[Route]:
        return [Route("/2010-04-01/Accounts/{account}/Messages.json", self.create, methods=["POST"])]

    async def create(self, request: Request) -> Response:
        if login(request) != (KEY, SECRET):
            return _error(401, 20003, "Authenticate")
        if request.path_params["account"] != ACCOUNT:
            return _error(404, 20404, "The requested resource was not found")
        if media_type(request) != "application/x-www-form-urlencoded":
            return _error(400, 20001, "Invalid parameter")
        pairs = parse_qsl((await request.body()).decode("ascii", "replace"), keep_blank_values=True)
        form = dict(pairs)
        if len(form) != len(pairs):
            return _error(400, 20001, "A parameter is given twice")
        if mistake := _mistake(form):
            return _error(400, *mistake)
        if trouble := self._box.trouble(form["To"]):
            return _error(*_TROUBLES[trouble])
        return JSONResponse(self._message(form), 201)

    def _message(self, form: dict[str, str]) -> dict[str, object]:
        sid = "SM" + secrets.token_hex(16)
        sender, service = form.get("From"), form.get("MessagingServiceSid")
        self._box.accept("twilio", sid, form["To"], sender or service or "", form["Body"])
        return {
            "sid": sid,
            "account_sid": ACCOUNT,
            "messaging_service_sid": service,
            "to": form["To"],
            "from": sender,
            "body": form["Body"],
            "status": "accepted" if service else "queued",
            "direction": "outbound-api",
            "num_segments": "0" if service else "1",
            "error_code": None,
            "error_message": None,
            "uri": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}.json",
        }


def _mistake(form: dict[str, str]) -> tuple[int, str] | None:
    sender, service, body = form.get("From"), form.get("MessagingServiceSid"), form.get("Body", "")
    checks = (
        (not set(form) <= _KNOWN, 20001, "A parameter is not known"),
        (not form.get("To"), 21604, "A 'To' phone number is required"),
        (not is_number(form.get("To")), 21211, "Invalid 'To' Phone Number"),
        (not sender and not service, 21603, "A 'From' phone number is required"),
        (bool(sender) and not (is_number(sender) or is_name(sender)), 21212, "Invalid 'From' Number"),
        (bool(service) and service != SERVICE, 21701, "The Messaging Service does not exist"),
        (not body.strip(), 21602, "Message body is required"),
        (len(body) > _LONGEST, 21617, "The concatenated message body exceeds the 1600 character limit"),
    )
    return next(((code, text) for failed, code, text in checks if failed), None)


def _error(status: int, code: int, message: str) -> Response:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return JSONResponse({"code": code, "message": message, "more_info": more, "status": status}, status)
