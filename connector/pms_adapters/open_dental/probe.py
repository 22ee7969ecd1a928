"""Examines an office before its connection is used: each finding is one sentence with the next step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from connector.errors import AccessDenied, EdgeError, NotSent, OutcomeUnknown
from connector.pms_adapters.open_dental import mapping
from connector.pms_adapters.open_dental.client import OpenDentalClient
from connector.pms_adapters.open_dental.settings import OpenDentalSettings, Reversals
from connector.pms_adapters.pace import Deadline
from connector.pms_adapters.records import ProbeReport

PAYMENT_TYPES = "10"
"""The definition category of payment types."""
LEAST_VERSION = (23, 3, 11)
"""From here on, payments of the whole office can be listed and marked."""
REFUND_VERSION = (24, 4, 28)
PERMISSIONS = ("ApiReadAll", "ApiPayments")


def examine(client: OpenDentalClient, settings: OpenDentalSettings, deadline: Deadline) -> ProbeReport:
    """Look at version, permissions and payment types; a failing call ends the examination with its sentence."""
    version = ""
    problems: list[str] = []
    try:
        version = preference(client, "ProgramVersion", deadline)
        problems += _version_problems(version, settings)
        problems += _permission_problems(client, deadline)
        problems += _payment_type_problems(client, settings, deadline)
        problems += _provider_problems(client, settings, deadline)
    except EdgeError as error:
        problems.append(_sentence(error))
    return ProbeReport(version, tuple(problems))


def payment_types(client: OpenDentalClient, deadline: Deadline) -> Mapping[str, int]:
    """DefNums of the payment types that staff can choose, by folded name."""
    rows = client.rows("definitions", {"Category": int(PAYMENT_TYPES)}, deadline)
    return {
        mapping.text(row, "ItemName").casefold(): mapping.number(row, "DefNum")
        for row in rows
        if mapping.text(row, "Category") == PAYMENT_TYPES and mapping.text(row, "isHidden") != "true"
    }


def preference(client: OpenDentalClient, name: str, deadline: Deadline) -> str:
    """The value of one preference; empty when the office has none of that name."""
    rows = client.rows("preferences", {"PrefName": name}, deadline)
    return next((mapping.text(row, "ValueString") for row in rows if mapping.text(row, "PrefName") == name), "")


def _version_problems(version: str, settings: OpenDentalSettings) -> Iterator[str]:
    parts = version.split(".")
    if not all(part.isascii() and part.isdigit() for part in parts):
        yield "Open Dental does not tell its version: check that the address leads to its API."
        return
    installed = tuple(int(part) for part in parts)
    if installed < LEAST_VERSION:
        yield f"Open Dental {version} is too old: update it to {_dotted(LEAST_VERSION)} or later."
    elif installed < REFUND_VERSION and settings.reversals is Reversals.REFUND:
        needed = f"{_dotted(REFUND_VERSION)} or later"
        yield f"Open Dental {version} cannot refund through its API: install {needed}, or set reversals=none."


def _permission_problems(client: OpenDentalClient, deadline: Deadline) -> Iterator[str]:
    rows = client.rows("securityperms", {}, deadline)
    held = {mapping.text(row, "Permission") for row in rows if mapping.text(row, "HasPermission") == "true"}
    for permission in PERMISSIONS:
        if permission not in held:
            yield f"The key lacks the permission {permission}: have it added for this office in the developer portal."


def _payment_type_problems(client: OpenDentalClient, settings: OpenDentalSettings, deadline: Deadline) -> Iterator[str]:
    if settings.payment_type:
        if settings.payment_type.casefold() not in payment_types(client, deadline):
            yield "The office has no payment type of the name in the setting 'payment_type': add it under Definitions."
    elif preference(client, "ApiPaymentType", deadline) in ("", "0"):
        yield "The office has chosen no payment type for API payments: choose one in Setup > Advanced Setup > API."


def _provider_problems(client: OpenDentalClient, settings: OpenDentalSettings, deadline: Deadline) -> Iterator[str]:
    if settings.backup_provider:
        known = {mapping.number(row, "ProvNum") for row in client.rows("providers", {}, deadline)}
        if settings.backup_provider not in known:
            yield "The office has no provider of the number in the setting 'backup_provider': correct the setting."


def _sentence(error: EdgeError) -> str:
    advice: Mapping[type[EdgeError], str] = {
        AccessDenied: "Open Dental refuses the keys: check both, and that the office has enabled them.",
        NotSent: "Open Dental cannot be reached: check the address, and that its API service is running.",
        OutcomeUnknown: "Open Dental gives no clear answer: check that its API service or eConnector is running.",
    }
    return advice.get(type(error), str(error))


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
