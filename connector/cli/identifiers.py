"""The ids that people type. What has not the form of one may be a name or a number of somebody: it is not repeated."""

from __future__ import annotations

import re
from typing import Any

import click

from connector.cli.filled import Filled
from connector.errors import DomainError

_KINDS = "att|ch|con|hold|inv|ip|lnk|mem|msg|pay|plc|pp|ref|ret|usr|use|wb"
_ID = re.compile(rf"(?:{_KINDS})_[0-9A-Za-z]{{1,40}}", re.ASCII)
_NUMBER = re.compile(r"(?=[0-9-]*[A-Za-z])[0-9A-Za-z-]{1,60}-[0-9]{1,12}|[0-9]{1,4}-[0-9]{6,12}", re.ASCII)
"""Of an invoice: the short name of its location, which may be a few digits, and a number."""


class Id(Filled):
    """The id of one thing. Whether there is such a thing, the use case says, which may repeat an id."""

    def __init__(self, what: str, see: str, *, numbered: bool = False) -> None:
        self._what, self._see, self._numbered = what, see, numbered

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = super().convert(value, param, ctx).strip()
        if _ID.fullmatch(text) or (self._numbered and _NUMBER.fullmatch(text)):
            return text
        raise DomainError(f"There is no such {self._what}: see `connector {self._see}`.")


MEMBER = Id("member", "members find")
CONTRACT = Id("contract", "members list")
MEMBER_OR_CONTRACT = Id("member or contract", "members find")
INVOICE = Id("invoice", "invoices list", numbered=True)
PAYMENT = Id("payment", "payments list")
PAYMENT_PLAN = Id("payment plan", "payment-plans list")
PAYMENT_REQUEST = Id("payment request", "payment-requests list")
HOLD = Id("hold", "holds list")
MESSAGE = Id("message", "messages list")
SUBJECT = Id("contract, invoice, payment request, payment plan, hold or plan change", "members list")
LINK = Id("link", "patient-links list")
USE = Id("use", "benefits show")
USER = Id("user", "users list")
WRITE_BACK = Id("write-back", "write-backs list")
