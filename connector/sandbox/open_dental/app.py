"""Puts the simulated office together as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from connector.sandbox.control import ControlGuard
from connector.sandbox.faults import FaultMiddleware, Faults, control_routes
from connector.sandbox.open_dental import patient_file
from connector.sandbox.open_dental.control import Control
from connector.sandbox.open_dental.gate import BASE, Conditions, Gate
from connector.sandbox.open_dental.late_writes import LateWrites
from connector.sandbox.open_dental.office import Office
from connector.sandbox.open_dental.options import OfficeOptions

_VERBS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_app(database: Path, patients: Path | None = None, options: OfficeOptions | None = None) -> Starlette:
    """The office that lives in the SQLite file `database`.

    The CSV file `patients` is read when the office has no patients yet, and never again. Raises DomainError when the
    file is not usable.
    """
    office = Office(database, options or OfficeOptions())
    try:
        if patients is not None and not office.has_patients():
            patient_file.load(office, patients)
    except BaseException:
        office.close()
        raise
    conditions, late_writes, faults = Conditions(), LateWrites(office), Faults()
    gate = Gate(office, conditions, late_writes)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        office.close()

    return Starlette(
        routes=[
            Route(BASE + "{path:path}", gate.answer, methods=_VERBS),
            *Control(office, conditions, late_writes).routes(),
            *control_routes(faults),
        ],
        middleware=[Middleware(ControlGuard), Middleware(FaultMiddleware, faults=faults)],
        lifespan=lifespan,
    )
