"""Owns the form in which both sides of a link are compared: one person as some system wrote them down."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from connector.pms_adapters.records import PmsPatient


@dataclass(frozen=True, slots=True, repr=False)
class Person:
    """A member or a patient, as entered. An empty text means unknown. The repr shows no field, not even the id."""

    id: str
    given_name: str = ""
    family_name: str = ""
    middle_name: str = ""
    preferred_name: str = ""
    date_of_birth: date | None = None
    email: str = ""
    phones: tuple[str, ...] = ()
    address: str = ""
    suburb: str = ""
    state: str = ""
    postcode: str = ""
    active: bool = True
    """False for a patient whom the practice archived, or who moved away or died."""

    def __repr__(self) -> str:
        return "Person(…)"


def person_of(patient: PmsPatient) -> Person:
    """The patient as one side of a comparison."""
    return Person(
        id=patient.id,
        given_name=patient.given_name,
        family_name=patient.family_name,
        middle_name=patient.middle_name,
        preferred_name=patient.preferred_name,
        date_of_birth=patient.date_of_birth,
        email=patient.email,
        phones=patient.phones,
        address=patient.address,
        suburb=patient.suburb,
        state=patient.state,
        postcode=patient.postcode,
        active=patient.active,
    )
