"""SMS: the message, the port that hands it over, telephone numbers, and the outbox back end."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import phonenumbers
from phonenumbers import PhoneNumberType

from connector.errors import DomainError
from connector.messaging import outbox

_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_MAY_TAKE_SMS = frozenset(
    {
        PhoneNumberType.MOBILE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE,
        PhoneNumberType.PERSONAL_NUMBER,
        # The tables of assigned numbers lag behind.
        PhoneNumberType.UNKNOWN,
    }
)
_OF_SERVICES = frozenset(
    {
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.TOLL_FREE,
        PhoneNumberType.UAN,
        PhoneNumberType.VOICEMAIL,
        PhoneNumberType.PAGER,
    }
)
_SHORTEST = 7
"""Digits that a person's number has at least, unless the tables know a shorter one."""


@dataclass(frozen=True, slots=True, repr=False)
class Sms:
    """One text to one mobile phone. Has no repr: number and text are personal."""

    to: str
    """E.164, as `e164` makes it."""
    text: str

    def __post_init__(self) -> None:
        if _E164.fullmatch(self.to) is None:
            raise ValueError("The number of an SMS is E.164, e.g. made by e164().")


class SmsSender(Protocol):
    """Hands a text over for delivery, once: providers have no idempotency, so nothing may be sent again blindly."""

    def send(self, sms: Sms) -> str | None:
        """The message's id at the provider, if it gave one.

        Raises NotSent, RateLimited, Rejected or AccessDenied when it was certainly not accepted, else OutcomeUnknown.
        """


class OutboxSms:
    """Puts texts into a folder instead of sending them: the number in the first line, then the text."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, sms: Sms) -> str:
        return outbox.put(self._folder, "sms", ".txt", f"To: {sms.to}\n\n{sms.text}\n".encode())


def e164(text: str, region: str) -> str:
    """A mobile number in international form; `region` (e.g. 'AU') is where numbers without a country code belong.

    Raises DomainError when it cannot be a number, or is one that takes no SMS.
    """
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        number = None
    if (
        number is None
        or not phonenumbers.is_possible_number(number)
        or phonenumbers.number_type(number) not in _MAY_TAKE_SMS
    ):
        raise DomainError("This is not the number of a mobile phone: correct the telephone number of the contact.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def is_service_number(number: str) -> bool:
    """Whether a number in E.164 is no person's: at a premium or shared rate, free of charge, or a short one."""
    parsed = phonenumbers.parse(number)
    if phonenumbers.number_type(parsed) in _OF_SERVICES:
        return True
    is_short = len(phonenumbers.national_significant_number(parsed)) < _SHORTEST
    return is_short and not phonenumbers.is_valid_number(parsed)
