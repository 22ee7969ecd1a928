"""The three providers as one ASGI application; their paths differ, so they share a port.

Under `/_sandbox/`: `messages` (GET what was accepted, DELETE), `troubles` (POST `{"number": "+61…", "trouble":
"opted_out"}`, DELETE), `faults` and `down` as in every sandbox.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connector.sandbox.control import CONTROL_PREFIX, ControlGuard
from connector.sandbox.faults import FaultMiddleware, Faults, control_routes
from connector.sandbox.messaging.clicksend import ClickSend
from connector.sandbox.messaging.messagemedia import MessageMedia
from connector.sandbox.messaging.phone_box import PhoneBox, Trouble
from connector.sandbox.messaging.twilio import Twilio


def create_app() -> Starlette:
    """Providers with one account each, which remember until they are stopped."""
    box, faults = PhoneBox(), Faults()
    return Starlette(
        routes=[
            *Twilio(box).routes(),
            *ClickSend(box).routes(),
            *MessageMedia(box).routes(),
            *_control(box),
            *control_routes(faults),
        ],
        middleware=[Middleware(ControlGuard), Middleware(FaultMiddleware, faults=faults)],
    )


def _control(box: PhoneBox) -> list[Route]:
    async def messages(request: Request) -> Response:
        if request.method == "DELETE":
            box.accepted.clear()
        return JSONResponse({"messages": box.listing()})

    async def troubles(request: Request) -> Response:
        if request.method == "DELETE":
            box.troubles.clear()
            return JSONResponse({})
        wanted = await request.json()
        try:
            box.troubles[str(wanted["number"])] = Trouble(wanted["trouble"])
        except (KeyError, ValueError) as refusal:
            return JSONResponse({"error": f"This is no trouble: {refusal}."}, 400)
        return JSONResponse({})

    return [
        Route(f"{CONTROL_PREFIX}messages", messages, methods=["GET", "DELETE"]),
        Route(f"{CONTROL_PREFIX}troubles", troubles, methods=["POST", "DELETE"]),
    ]
