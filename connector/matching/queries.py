"""Owns which searches find the patient records that could be a member's.

A practice system offers prefixes of names, the exact birth date, a phone number and an e-mail address, all given
fields together. Each search forgives a mistake in everything it does not ask for, so a few different ones reach
nearly everyone.
"""

from __future__ import annotations

from itertools import takewhile

from connector.matching.normalise import known_date, known_email, known_phones
from connector.matching.person import Person
from connector.pms_adapters.records import PatientQuery

QUERIES_MAX = 5
"""Each search costs a call of the practice system's rate budget."""


def queries_for(member: Person, region: str = "AU") -> list[PatientQuery]:
    """At most QUERIES_MAX searches, the most telling first; none for a member of whom hardly anything is known."""
    given, family = member.given_name, member.family_name
    birth_date = known_date(member.date_of_birth)
    phones = [text for text in member.phones if known_phones([text], region)]
    email = known_email(member.email)
    wanted = [
        PatientQuery(date_of_birth=birth_date) if birth_date else None,
        _by_names(_prefix(given, 1), _prefix(family, 3)),
        PatientQuery(phone=phones[0]) if phones else None,
        PatientQuery(email=email) if email else None,
        _by_names(_prefix(given, 3), _prefix(family, 1)),
        _by_names(_prefix(family, 3), _prefix(given, 3)),
        *(PatientQuery(phone=phone) for phone in phones[1:]),
    ]
    return list(dict.fromkeys(query for query in wanted if query))[:QUERIES_MAX]


def _by_names(given: str, family: str) -> PatientQuery | None:
    """A search by both names, or by one prefix that is long enough not to bring half the practice."""
    if len(given) + len(family) < 3:
        return None
    return PatientQuery(given_name=given, family_name=family)


def _prefix(name: str, length: int) -> str:
    """The first letters up to an accent, apostrophe, space or hyphen, which the next clerk may write otherwise."""
    return "".join(takewhile(lambda char: char.isascii() and char.isalpha(), name.strip()))[:length]
