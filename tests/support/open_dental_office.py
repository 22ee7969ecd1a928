"""A simulated Open Dental office on a real port, and short ways to speak to it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from connector.sandbox.open_dental import OfficeOptions, create_app

NOON = "2026-03-02T12:00:00+11:00"
"""Noon in Sydney, where it is already the 2nd while UTC still has 01:00 of the same day."""
KEYS = {"Authorization": "ODFHIR sandbox-developer/sandbox-office", "Content-Type": "application/json"}

PATIENTS = """\
id,given_name,family_name,date_of_birth,address,suburb,state,postcode,email,phone,guarantor_id
S-1,Ada,Ferris,1988-03-09,1 High Street,Leura,NSW,2780,ada@example.com,0412 345 678,
S-2,Ben,Ferris,1990-07-21,1 High Street,Leura,NSW,2780,,0412 345 679,S-1
S-3,Zoë,Marsh,1975-12-01,9 Low Road,Katoomba,NSW,2780,zoe@example.com,,
"""
ADA, BEN, ZOE = 1001, 1002, 1003


class RunningOffice:
    """Speaks to one office: `api` with the keys, `control` to its surroundings."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._client = httpx.Client(base_url=address, timeout=10)

    def api(self, verb: str, path: str, body: object = None, **query: object) -> httpx.Response:
        """One API call; `path` follows `/api/v1/`."""
        params = {name: str(value) for name, value in query.items()} or None
        return self._client.request(verb, f"/api/v1/{path}", json=body, params=params, headers=KEYS)

    def raw(self, verb: str, path: str, headers: dict[str, str], content: bytes = b"") -> httpx.Response:
        """One API call with exactly these headers and bytes."""
        return self._client.request(verb, f"/api/v1/{path}", headers=headers, content=content)

    def get(self, path: str, **query: object) -> Any:
        """The JSON of a successful GET."""
        answer = self.api("GET", path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def pay(self, amount: str = "39.00", patient: int = ADA, **fields: object) -> dict[str, Any]:
        """The JSON of a successful POST /payments."""
        answer = self.api("POST", "payments", {"PayAmt": amount, "PatNum": patient, **fields})
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    def control(self, path: str, body: object = None) -> Any:
        """The JSON of a successful control request: POST with a body, GET without."""
        answer = self._client.request("GET" if body is None else "POST", f"/_sandbox/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, path: str, body: object) -> httpx.Response:
        """The answer to a control request that is expected to fail."""
        return self._client.post(f"/_sandbox/{path}", json=body)

    def staff(self, action: str, **fields: object) -> Any:
        """Let office staff do something in their own windows."""
        return self.control("staff", {"action": action, **fields})

    def close(self) -> None:
        self._client.close()


def patient_file(folder: Path, text: str = PATIENTS) -> Path:
    """A patient file in that folder."""
    file = folder / "patients.csv"
    file.write_text(text, encoding="utf-8")
    return file


@contextmanager
def running_office(
    folder: Path, options: OfficeOptions | None = None, patients: str = PATIENTS
) -> Iterator[RunningOffice]:
    """An office with those patients, its clock at NOON, served from a thread until the block ends."""
    app = create_app(folder / "office.db", patient_file(folder, patients), options)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    office = RunningOffice(f"http://127.0.0.1:{listener.getsockname()[1]}")
    try:
        office.control("clock", {"now": NOON})
        yield office
    finally:
        office.close()
        server.should_exit = True
        thread.join()
