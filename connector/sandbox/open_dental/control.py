"""The endpoints below `/_sandbox/` that play the office's surroundings: clock, options, staff, slow or late answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connector.errors import DomainError
from connector.sandbox.open_dental import judge, staff, wire
from connector.sandbox.open_dental.body import parse_body
from connector.sandbox.open_dental.gate import Conditions
from connector.sandbox.open_dental.late_writes import LateWrites
from connector.sandbox.open_dental.office import Office
from connector.sandbox.open_dental.wire import ApiError, Source

Answer = Callable[[Source], dict[str, object]]


class Control:
    """Answers the control endpoints. They need no key, speak JSON, and name what is wrong under `error`."""

    def __init__(self, office: Office, conditions: Conditions, late_writes: LateWrites) -> None:
        self._office = office
        self._conditions = conditions
        self._late_writes = late_writes

    def routes(self) -> list[Route]:
        """All control endpoints except those of the faults."""
        return [
            self._route("clock", "GET", lambda _: self._clock()),
            self._route("clock", "POST", self._set_clock),
            self._route("options", "GET", lambda _: asdict(self._office.options)),
            self._route("options", "POST", self._set_options),
            self._route("staff", "POST", lambda request: staff.act(self._office, request)),
            self._route("late-writes", "POST", self._arm_late_writes),
            self._route("slow", "POST", self._slow),
            self._route("econnector", "POST", self._econnector),
            self._route("totals", "GET", lambda _: judge.totals(self._office)),
            self._route("payments", "GET", lambda _: judge.all_payments(self._office)),
        ]

    def _route(self, name: str, verb: str, answer: Answer) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                fields = parse_body(await request.body())
                self._late_writes.land()
                with self._office.work():
                    content = answer(fields)
            except ApiError as refusal:
                return JSONResponse({"error": refusal.sentence}, refusal.status)
            except DomainError as refusal:
                return JSONResponse({"error": str(refusal)}, 400)
            return JSONResponse(content)

        return Route(f"/_sandbox/{name}", endpoint, methods=[verb])

    def _clock(self) -> dict[str, object]:
        return {"now": self._office.clock.now().isoformat()}

    def _set_clock(self, request: Source) -> dict[str, object]:
        try:
            self._office.set_clock(datetime.fromisoformat(str(request.get("now"))))
        except ValueError:
            raise ApiError(400, "now is invalid. Use an instant such as 2026-11-21T09:00:00+11:00.") from None
        return self._clock()

    def _set_options(self, request: Source) -> dict[str, object]:
        self._office.apply(self._office.options.changed(request))
        return asdict(self._office.options)

    def _arm_late_writes(self, request: Source) -> dict[str, object]:
        count, delay = wire.required(wire.integer, request, "count"), request.get("delay_seconds")
        try:
            self._late_writes.arm(count, timedelta(seconds=float(str(delay))))
        except (ValueError, OverflowError):
            raise ApiError(400, "delay_seconds is invalid.") from None
        return {"count": count}

    def _slow(self, request: Source) -> dict[str, object]:
        self._conditions.slow_milliseconds = wire.required(wire.integer, request, "milliseconds")
        return {"milliseconds": self._conditions.slow_milliseconds}

    def _econnector(self, request: Source) -> dict[str, object]:
        down = request.get("down")
        if not isinstance(down, bool):
            raise ApiError(400, "down is invalid. Use true or false.")
        self._conditions.econnector_down = down
        return {"down": down}
