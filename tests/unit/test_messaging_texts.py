"""The texts: every kind renders with its values and no fewer, and says nothing that others should not read."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError, meta

from connector.messaging import texts
from connector.messaging.gsm7 import folded, septets
from connector.messaging.kinds import CHANNELS, REQUIRED, Channel, MessageKind
from connector.messaging.texts import TEMPLATES, render, templates
from connector.money import Money

EACH = [(kind, channel) for kind in MessageKind for channel in sorted(CHANNELS[kind])]
BY_SMS = [kind for kind, channel in EACH if channel is Channel.SMS]
TO_STAFF = {MessageKind.HOLD_EXPIRING, MessageKind.OVERDUE_STAFF_NOTICE, MessageKind.KEPT_TOO_MUCH}
WITHOUT_DATE = {
    (kind, Channel.SMS) for kind in (MessageKind.INVITATION, MessageKind.CARD_EXPIRING, MessageKind.HOLD_REQUEST)
}
DAY = date(2026, 12, 5)
SHOWN_DAY = "05/12/2026"
URL = "https://pay.bondijunctionsmiles.com.au/l/8Yx0aQ3kT5mZ9vB2nC7dEw"
HEALTH = re.compile(
    r"dent|teeth|tooth|health|patient|treat|clinic|doctor|medic|hygien|surgery|appointment|benefit", re.IGNORECASE
)
REASONS = re.compile(r"lost|stolen|fraud|insufficient|funds|no account|declin", re.IGNORECASE)
VALUES: dict[str, object] = {
    "given_name": "Marguerite",
    "practice": "Bondi Junction Smile Rooms",
    "person": "Otto",
    "plan": "Essential",
    "url": URL,
    "number": "INV-1042",
    "hold_id": "hold_7",
    "amount": Money(123_450, "aud"),
    "old_amount": Money(98_000, "aud"),
    "method": "bank account",
    "last4": "4242",
    "card_expiry": "11/2026",
    "frequency": "monthly",
    "is_plan": False,
    "about": "",
    "changes": [("Otto", "Essential", Money(98_000, "aud"), Money(123_450, "aud"))],
    "parts": [],
    "count": 2,
    "contract_ids": ["con_1", "con_2"],
    "expires_on": DAY,
    "retry_on": DAY,
    "due_on": DAY,
    "paid_on": DAY,
    "effective_on": DAY,
    "paused_on": DAY,
    "ends_on": DAY,
}


def values(kind: MessageKind, **changes: object) -> dict[str, object]:
    """Ordinary values of that kind, and no others."""
    return {name: changes.get(name, VALUES[name]) for name in REQUIRED[kind]}


@pytest.mark.parametrize(("kind", "channel"), EACH)
def test_every_message_renders_with_its_values_alone(kind: MessageKind, channel: Channel) -> None:
    """It names the practice, the amount, a date and the next step; an e-mail has a subject of one line."""
    given = values(kind)

    subject, text = render(kind, channel, given)

    assert "Bondi Junction Smile Rooms" in text
    assert ("url" in given) == (URL in text)
    assert "$1,234.50" in text or "amount" not in given
    assert SHOWN_DAY in text or not any(name.endswith("_on") for name in given) or (kind, channel) in WITHOUT_DATE
    assert "\n\n\n" not in text
    assert not re.search(r"[{}<>]|None|True|False|  ", text)
    if channel is Channel.EMAIL:
        assert subject
        assert "\n" not in subject
        assert ("Marguerite" in text) == ("given_name" in given)
    else:
        assert subject is None


@pytest.mark.parametrize("kind", MessageKind)
def test_the_table_of_values_is_what_the_templates_use(kind: MessageKind) -> None:
    """No value is asked for in vain, none is used that the table does not name."""
    used = set()
    for channel in CHANNELS[kind]:
        source = (TEMPLATES / f"{kind}.{channel}.txt").read_text(encoding="utf-8")
        used |= meta.find_undeclared_variables(templates().parse(source))

    assert used == REQUIRED[kind]


def test_there_is_no_template_without_a_kind() -> None:
    """And no kind without its templates."""
    found = {path.name for path in TEMPLATES.glob("*.txt")} - {"_words.txt"}

    assert found == {f"{kind}.{channel}.txt" for kind, channel in EACH}


@pytest.mark.parametrize(("kind", "channel"), EACH)
def test_a_missing_value_is_named(kind: MessageKind, channel: Channel) -> None:
    """A message with a hole in it must not go out."""
    for name in REQUIRED[kind]:
        fewer = {other: value for other, value in values(kind).items() if other != name}

        with pytest.raises(ValueError, match=name):
            render(kind, channel, fewer)


def test_a_template_that_asks_for_more_than_the_table_fails() -> None:
    """The second lock, should table and template ever differ."""
    with pytest.raises(UndefinedError):
        templates().from_string("{{ nobody }}").render()


@pytest.mark.parametrize("kind", [kind for kind in MessageKind if kind not in BY_SMS])
def test_what_is_not_meant_for_sms_is_refused(kind: MessageKind) -> None:
    """E.g. a receipt, which says too much for a locked screen."""
    with pytest.raises(ValueError, match="does not go by sms"):
        render(kind, Channel.SMS, values(kind))


@pytest.mark.parametrize("kind", BY_SMS)
@pytest.mark.parametrize("is_plan", [False, True])
def test_an_sms_is_one_text_of_160_characters(kind: MessageKind, is_plan: bool) -> None:
    """With ordinary values, so that it costs one text and arrives in one piece."""
    text = render(kind, Channel.SMS, values(kind, is_plan=is_plan))[1]

    places = septets(text)
    assert places is not None
    assert places <= 160
    assert "\n" not in text


def test_a_request_of_several_amounts_says_what_is_due_when() -> None:
    """Each with its day in an e-mail; in the one text of an SMS the first."""
    kind, parts = MessageKind.PAYMENT_REQUEST, [(Money(50_00, "aud"), DAY), (Money(1_184_50, "aud"), date(2027, 1, 5))]
    mail, text = (render(kind, channel, values(kind, parts=parts))[1] for channel in (Channel.EMAIL, Channel.SMS))

    assert f"$1,234.50 in 2 parts:\n\n- $50.00, due on {SHOWN_DAY}\n- $1,184.50, due on 05/01/2027\n\n" in mail
    assert f"$1,234.50 in 2 parts, the first of $50.00 due {SHOWN_DAY}." in text
    assert septets(text) in range(161)


@pytest.mark.parametrize("about", ["", "receipt", "method"])
def test_a_link_by_sms_says_what_it_is_for_in_one_text(about: str) -> None:
    """Nobody should have to open a link to learn that nothing is asked for."""
    text = render(MessageKind.NEW_LINK, Channel.SMS, values(MessageKind.NEW_LINK, about=about))[1]

    assert septets(text) in range(161)
    assert ("new link" in text) == (not about)


@pytest.mark.parametrize("kind", BY_SMS)
def test_an_sms_tells_a_bystander_nothing(kind: MessageKind) -> None:
    """Neither who gets it, nor anything about health."""
    text = render(kind, Channel.SMS, values(kind))[1]

    assert "Marguerite" not in text
    assert not HEALTH.search(text.replace(URL, ""))


@pytest.mark.parametrize(("kind", "channel"), EACH)
def test_no_text_speaks_of_health_or_of_a_banks_reasons(kind: MessageKind, channel: Channel) -> None:
    """What a membership includes may be called its benefits in an e-mail; a reason might be a stolen card."""
    subject, text = render(kind, channel, values(kind))
    said = f"{subject} {text}".replace(URL, "").replace("its benefits", "")

    assert not HEALTH.search(said)
    assert not REASONS.search(said)


@pytest.mark.parametrize("kind", sorted(TO_STAFF))
def test_staff_are_told_ids_and_no_names(kind: MessageKind) -> None:
    """The message goes to a shared mailbox."""
    text = render(kind, Channel.EMAIL, values(kind))[1]

    assert "given_name" not in REQUIRED[kind]
    assert any(name in text for name in ("con_1", "hold_7", "INV-1042"))


@pytest.mark.parametrize("kind", [MessageKind.PAYMENT_FAILED, MessageKind.PAYMENT_FAILED_AGAIN])
def test_a_failed_payment_says_whether_it_is_tried_again(kind: MessageKind) -> None:
    """After the last attempt only the payer can do something."""
    again = render(kind, Channel.EMAIL, values(kind))[1]
    never = render(kind, Channel.EMAIL, values(kind, retry_on=None))[1]

    assert f"try again on {SHOWN_DAY}" in again
    assert "will not try again" in never


@pytest.mark.parametrize("channel", Channel)
def test_a_hold_is_asked_for_as_what_it_is(channel: Channel) -> None:
    """Nothing is due and nothing is paid: the amount is set aside on a card."""
    subject, text = render(MessageKind.HOLD_REQUEST, channel, values(MessageKind.HOLD_REQUEST))

    assert "be set aside on" in text and "Nothing is charged now" in text
    assert not re.search(r"\bpay\b|\bdue\b", f"{subject} {text}".replace(URL, ""))


def test_unknown_digits_are_left_out() -> None:
    """Not every way to pay tells them."""
    kind = MessageKind.PAYMENT_FAILED
    known, unknown = (render(kind, Channel.EMAIL, values(kind, last4=last4))[1] for last4 in ("4242", ""))

    assert "your bank account ending in 4242." in known
    assert "your bank account." in unknown
    assert "your payment method." in render(kind, Channel.EMAIL, values(kind, method="", last4=""))[1]
    assert "ending" not in render(kind, Channel.SMS, values(kind, last4=""))[1]


def test_one_overdue_contract_is_spoken_of_in_the_singular() -> None:
    """And each one stands in a line of its own."""
    kind = MessageKind.OVERDUE_STAFF_NOTICE

    assert "2 contracts are overdue" in render(kind, Channel.EMAIL, values(kind))[1]
    one = render(kind, Channel.EMAIL, values(kind, count=1, contract_ids=["con_9"]))[1]
    assert "1 contract is overdue" in one
    assert "\n- con_9\n" in one


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (Money(5, "aud"), "$0.05"),
        (Money(-500, "gbp"), "-£5.00"),
        (Money(2000, "chf"), "CHF 20.00"),
        (Money(123_456_700, "eur"), "€1,234,567.00"),
    ],
)
def test_amounts_are_written_as_people_read_them(amount: Money, shown: str) -> None:
    """With sign, thousands and two decimals."""
    kind = MessageKind.FINAL_NOTICE

    assert f" {shown} " in render(kind, Channel.EMAIL, values(kind, amount=amount))[1]


def test_an_instant_is_no_date() -> None:
    """Which day it is depends on the practice's zone, so the caller decides."""
    kind = MessageKind.RECEIPT

    with pytest.raises(TypeError, match="date"):
        render(kind, Channel.EMAIL, values(kind, paid_on=datetime(2026, 12, 5, tzinfo=UTC)))


@given(st.text(min_size=1))
def test_a_name_cannot_add_lines_or_headers(name: str) -> None:
    """Whatever was typed as a name stays inside its line, and in the subject too."""
    kind = MessageKind.INVITATION
    usual_subject, usual = render(kind, Channel.EMAIL, values(kind))

    subject, text = render(kind, Channel.EMAIL, values(kind, given_name=name, practice=f"{name}x"))

    assert usual_subject
    assert subject is not None
    assert subject.isprintable()
    assert text.count("\n") == usual.count("\n")


def test_nothing_is_escaped_in_plain_text() -> None:
    """A practice may be called Smith & Sons."""
    subject, _ = render(
        MessageKind.INVITATION, Channel.EMAIL, values(MessageKind.INVITATION, practice="Smith & <Sons>")
    )

    assert subject == "Your membership at Smith & <Sons>"


def test_the_first_invitation_needs_no_date() -> None:
    """The hosted page is open for a day."""
    mail = texts.invitation("ada@example.com", "Ada", "Bondi", "https://pay.example.com/l/1")

    assert (mail.to, mail.subject) == ("ada@example.com", "Your membership at Bondi")
    assert "for one day" in mail.text
    assert "https://pay.example.com/l/1" in mail.text
    assert "ada" not in repr(mail)


def test_a_message_can_be_made_in_one_step() -> None:
    """For an address or a number."""
    kind = MessageKind.NEW_LINK

    assert texts.mail("a@b.example", kind, values(kind)).subject == "Your new link from Bondi Junction Smile Rooms"
    assert texts.sms("+61491570156", kind, values(kind)).text.endswith(URL)


@pytest.mark.parametrize(
    ("text", "plain", "places"),
    [
        ("Zoë’s “Smile” – now…", 'Zoe\'s "Smile" - now...', 22),
        ("Māori ñ é à", "Maori ñ é à", 11),
        ("€ [x] ~", "€ [x] ~", 11),
        ("牙医", "牙医", None),
        ("", "", 0),
    ],
)
def test_letters_of_an_sms_are_made_plain_where_that_is_possible(text: str, plain: str, places: int | None) -> None:
    """One letter outside the alphabet would leave only 70 places."""
    assert folded(text) == plain
    assert septets(folded(text)) == places


@given(st.text())
def test_making_plain_is_done_once(text: str) -> None:
    """What is plain stays as it is."""
    assert folded(folded(text)) == folded(text)
