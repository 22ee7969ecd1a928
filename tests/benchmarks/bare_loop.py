"""The least that a durable write-back can be: commit a claim, POST, commit the outcome with its history, and no more.

It keeps none of the promises about deadlines, doubts and proofs; it is what the engine's price is measured against.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
from sqlalchemy import Table, bindparam, insert, select, update

from connector.ledger.write_back.models import WriteBack, WriteBackStep
from connector.ledger.write_back.states import WriteBackState
from tests.benchmarks.practice import OFFICE_KEYS, Practice

ROWS: Table = WriteBack.__table__  # type: ignore[assignment]
STEPS: Table = WriteBackStep.__table__  # type: ignore[assignment]
MOVE = (
    update(ROWS)
    .where(ROWS.c.id == bindparam("row_id"), ROWS.c.state == bindparam("before"))
    .values(state=bindparam("state"), attempts=1, fence=1, pms_entry_id=bindparam("entry"))
)
REMEMBER = insert(STEPS)


class BareLoop:
    """One client that keeps its connections, and SQLAlchemy Core on the product's own tables."""

    def __init__(self, subject: Practice, address: str) -> None:
        self._writer = subject.context.database.writer
        self._clock = subject.clock
        keys = f"ODFHIR {OFFICE_KEYS['developer_key']}/{OFFICE_KEYS['customer_key']}"
        self._client = httpx.Client(headers={"Authorization": keys}, trust_env=False, timeout=30)
        self._url = f"{address}/api/v1/payments"

    def queued(self) -> Sequence[Any]:
        """All rows that wait."""
        with self._writer.connect() as connection:
            return connection.execute(select(ROWS).where(ROWS.c.state == WriteBackState.QUEUED)).all()

    def send(self, row: Any) -> None:
        """Bring one row into the practice system."""
        self._move(row.id, WriteBackState.QUEUED, WriteBackState.SENDING, None)
        cents = row.amount_cents
        body = {
            "PatNum": int(row.pms_patient_id),
            "PayAmt": f"{cents // 100}.{cents % 100:02}",
            "PayDate": row.entry_date.isoformat(),
            "isPatientPreferred": "true",
            "isPrepayment": "true",
            "CheckNum": row.reference,
            "PayNote": f"{row.reference} {row.note}",
        }
        answer = self._client.post(self._url, json=body).raise_for_status().json()
        self._move(row.id, WriteBackState.SENDING, WriteBackState.CONFIRMED, str(answer["PayNum"]))

    def close(self) -> None:
        self._client.close()

    def _move(self, row_id: str, before: WriteBackState, after: WriteBackState, entry: str | None) -> None:
        values = {"row_id": row_id, "before": before, "state": after, "entry": entry}
        history = {
            "write_back_id": row_id,
            "at": self._clock.now(),
            "before": before,
            "after": after,
            "actor": "bare",
            "reason": None,
        }
        with self._writer.begin() as connection:
            connection.execute(MOVE, values)
            connection.execute(REMEMBER, history)
