"""Which messages there are, by which channels each may go, and which values its text needs."""

from __future__ import annotations

from enum import StrEnum


class Channel(StrEnum):
    """How a message travels."""

    EMAIL = "email"
    SMS = "sms"


class MessageKind(StrEnum):
    """What a message is about; also the name of its templates."""

    INVITATION = "invitation"
    PAYMENT_REQUEST = "payment_request"
    RECEIPT = "receipt"
    UPCOMING_DEBIT = "upcoming_debit"
    PAYMENT_FAILED = "payment_failed"
    PAYMENT_FAILED_AGAIN = "payment_failed_again"
    FINAL_NOTICE = "final_notice"
    CARD_EXPIRING = "card_expiring"
    PLAN_CHANGE_NOTICE = "plan_change_notice"
    DEPENDENT_ADDED = "dependent_added"
    HOLD_REQUEST = "hold_request"
    HOLD_EXPIRING = "hold_expiring"
    OVERDUE_STAFF_NOTICE = "overdue_staff_notice"
    KEPT_TOO_MUCH = "kept_too_much"
    STAFF_INVITATION = "staff_invitation"
    NEW_LINK = "new_link"
    PAYMENT_PLAN_PAUSED = "payment_plan_paused"
    MEMBERSHIP_CANCELLED = "membership_cancelled"


_ALSO_BY_SMS = frozenset(
    {
        MessageKind.INVITATION,
        MessageKind.PAYMENT_REQUEST,
        MessageKind.HOLD_REQUEST,
        MessageKind.PAYMENT_FAILED,
        MessageKind.PAYMENT_FAILED_AGAIN,
        MessageKind.FINAL_NOTICE,
        MessageKind.CARD_EXPIRING,
        MessageKind.NEW_LINK,
    }
)

CHANNELS: dict[MessageKind, frozenset[Channel]] = {
    kind: frozenset(Channel) if kind in _ALSO_BY_SMS else frozenset({Channel.EMAIL}) for kind in MessageKind
}
"""Everything goes by e-mail; what asks for an answer soon goes by SMS too."""

_PERSON = frozenset({"given_name", "practice", "url"})
_METHOD = frozenset({"method", "last4"})

REQUIRED: dict[MessageKind, frozenset[str]] = {
    MessageKind.INVITATION: _PERSON | {"expires_on"},
    MessageKind.PAYMENT_REQUEST: _PERSON | {"amount", "due_on", "is_plan", "parts", "expires_on"},
    MessageKind.RECEIPT: _PERSON | _METHOD | {"number", "amount", "paid_on", "expires_on"},
    MessageKind.UPCOMING_DEBIT: _PERSON | _METHOD | {"amount", "due_on"},
    MessageKind.PAYMENT_FAILED: _PERSON | _METHOD | {"amount", "due_on", "retry_on"},
    MessageKind.PAYMENT_FAILED_AGAIN: _PERSON | _METHOD | {"amount", "due_on", "retry_on"},
    MessageKind.FINAL_NOTICE: _PERSON | {"amount", "due_on"},
    MessageKind.CARD_EXPIRING: _PERSON | {"last4", "card_expiry", "due_on"},
    MessageKind.PLAN_CHANGE_NOTICE: _PERSON | {"changes", "old_amount", "amount", "frequency", "effective_on"},
    MessageKind.DEPENDENT_ADDED: frozenset({"given_name", "practice"})
    | {"person", "plan", "old_amount", "amount", "frequency", "effective_on"},
    MessageKind.HOLD_REQUEST: _PERSON | {"amount", "expires_on"},
    MessageKind.HOLD_EXPIRING: frozenset({"practice", "url", "hold_id", "amount", "expires_on"}),
    MessageKind.OVERDUE_STAFF_NOTICE: frozenset({"practice", "url", "count", "amount", "contract_ids"}),
    MessageKind.KEPT_TOO_MUCH: frozenset({"practice", "url", "number", "amount"}),
    MessageKind.STAFF_INVITATION: _PERSON | {"expires_on"},
    MessageKind.NEW_LINK: _PERSON | {"about", "expires_on"},
    MessageKind.PAYMENT_PLAN_PAUSED: _PERSON | {"amount", "paused_on"},
    MessageKind.MEMBERSHIP_CANCELLED: frozenset({"given_name", "practice", "ends_on"}),
}
"""The values of each kind, which must all be given, for every channel.

given_name, practice  text: the recipient's given name; the practice's name as patients know it
url                   text: where the next step is taken; of a receipt, where the invoice is, '' for nowhere; of an
                      invitation to work here the code that it takes
person, plan          text: the given name of the person who joins; the name of their plan
changes               list of the given name of a person, the name of the new plan, the old and the new price as Money
number, hold_id       text: what staff and patient call the document; the hold's id
amount, old_amount    Money: what this message is about; for notices to staff and paused plans, all that is open
method, last4         text: 'card' or 'bank account'; its last four digits, '' where they are not known
card_expiry           text: MM/YYYY
frequency             text: 'weekly', 'fortnightly', 'monthly' or 'annually'
is_plan               bool: whether a payment plan is to be set up, rather than one payment made
about                 text: 'receipt' or 'method' where the link asks for nothing, '' for all others
parts                 list of Money and date: the amounts of a request with their days; empty where there is only one
count, contract_ids   int; list of text: contracts that are overdue
expires_on            date on which the link, or the hold, ends; None for a hosted page, which is open for one day
retry_on              date of the next attempt; None when there is none
due_on, paid_on, effective_on, paused_on, ends_on   dates in the practice's time zone
"""
