"""The table of what the API offers: every method with its permission group, first version and known query keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from connector.sandbox.open_dental import (
    adjustments,
    ledger,
    lookups,
    patient_changes,
    patient_fields,
    patients,
    payments,
    refunds,
)
from connector.sandbox.open_dental.office import Office
from connector.sandbox.open_dental.options import Version, parse_version
from connector.sandbox.open_dental.wire import Call, Reply

Handler = Callable[[Office, Call], Reply]
_PAGE = frozenset({"Limit", "Offset"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of the API."""

    handler: Handler
    permission: str
    since: Version
    query_keys: frozenset[str]


def _get(handler: Handler, since: str, keys: str = "") -> Endpoint:
    return Endpoint(handler, "ApiReadAll", parse_version(since), _PAGE | frozenset(keys.split()))


def _write(handler: Handler, permission: str, since: str) -> Endpoint:
    return Endpoint(handler, permission, parse_version(since), frozenset())


ENDPOINTS: dict[str, Endpoint] = {
    "GET securityperms": _get(lookups.permissions, "22.2"),
    "GET patients": _get(patients.search, "21.1", " ".join(patients.SEARCH_KEYS)),
    "GET patients/{key}": _get(patients.get_one, "21.1"),
    "GET patients/Simple": _get(patients.simple, "21.2", " ".join(patients.SIMPLE_KEYS)),
    "POST patients": _write(patient_changes.create, "ApiPatients", "21.1"),
    "PUT patients/{key}": _write(patient_changes.update, "ApiPatients", "21.2"),
    "GET patfields": _get(patient_fields.listing, "21.1", "PatNum FieldName SecDateTEdit"),
    "POST patfields": _write(patient_fields.create, "ApiAllOthers", "22.4"),
    "PUT patfields": _write(patient_fields.put, "ApiAllOthers", "21.1"),
    "DELETE patfields": _write(patient_fields.delete, "ApiAllOthers", "22.4"),
    "GET patfielddefs": _get(patient_fields.definitions, "23.3.26"),
    "POST patfielddefs": _write(patient_fields.define, "ApiSetup", "23.3.26"),
    "GET payments": _get(payments.listing, "22.2.32", "PatNum DateEntry PayType"),
    "POST payments": _write(payments.create, "ApiPayments", "21.2"),
    "POST payments/Refund": _write(refunds.create, "ApiPayments", "24.4.28"),
    "PUT payments/{key}": _write(payments.update, "ApiPayments", "23.3.11"),
    "PUT payments/{key}/Partial": _write(refunds.replace_splits, "ApiPayments", "25.1.11"),
    "GET paysplits": _get(ledger.list_splits, "22.4.16", "PatNum PayNum ProcNum"),
    "PUT paysplits/{key}": _write(ledger.change_split, "ApiPayments", "25.2.9"),
    "GET adjustments": _get(adjustments.listing, "22.2.21", "PatNum AdjType ProcNum"),
    "POST adjustments": _write(adjustments.create, "ApiAllOthers", "22.2.22"),
    "PUT adjustments/{key}": _write(adjustments.update, "ApiAllOthers", "22.2.23"),
    "GET procedurelogs": _get(adjustments.list_procedures, "21.1", "PatNum"),
    "POST procedurelogs": _write(adjustments.create_procedure, "ApiProcedureLogs", "21.4"),
    "GET accountmodules/{key}/Aging": _get(ledger.aging, "22.3.6"),
    "GET accountmodules/{key}/PatientBalances": _get(ledger.patient_balances, "22.1"),
    "GET definitions": _get(lookups.definitions, "21.1", "Category includeHidden"),
    "POST definitions": _write(lookups.define, "ApiSetup", "22.1"),
    "GET preferences": _get(lookups.preferences, "21.1", "PrefName"),
    "GET providers": _get(lookups.providers, "21.1", "ClinicNum DateTStamp"),
    "GET providers/{key}": _get(lookups.provider, "24.4.17"),
    "GET clinics": _get(lookups.clinics, "21.1"),
}
"""Keyed by verb and path; a number in the path is `{key}`."""

RESOURCES = frozenset(name.split()[1].split("/")[0] for name in ENDPOINTS)
CREATE_PAYMENT = ENDPOINTS["POST payments"]
