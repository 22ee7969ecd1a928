"""Small slips at the command line, and what is left behind by them: nothing."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import click
import httpx
import pytest

from connector.billing.invoices import Invoice, InvoiceStatus
from connector.billing.members import Member
from connector.cli.counts import Count
from connector.cli.dates import PlainDay
from connector.cli.main import cli
from connector.use_cases.transfer.export_everything import export_everything
from connector.use_cases.transfer.import_members import import_members
from tests.support.commands import command, document
from tests.support.practice import Practice
from tests.support.practice_setup import running_practice

HERE = ("--location", "leura")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Practice]:
    """One practice for the tests of this file that change nothing."""
    with running_practice(tmp_path_factory.mktemp("shop"), template) as running:
        yield running


def test_a_person_who_cannot_be_invited_is_no_member_and_has_no_id(shop: Practice) -> None:
    """The refusal names nothing that could be looked for."""
    person = ("--given-name", "Ada", "--family-name", "Lee")

    done = command(shop, "members", "add", *HERE, "--plan", "Essential", *person)

    assert (done.code, done.out) == (1, "")
    assert done.err == "Error: No e-mail address is known for the invitation: give one with --email.\n"
    assert shop.all(Member) == []


def options_of(group: click.Group) -> Iterator[click.Parameter]:
    """Every option and argument of every command."""
    for word in group.list_commands(click.Context(group)):
        one = group.get_command(click.Context(group), word)
        yield from options_of(one) if isinstance(one, click.Group) else one.params if one else ()


def test_days_and_counts_are_typed_in_plain_digits_everywhere() -> None:
    """No command has a type of its own for them, which would read the digits of other scripts and underscores."""
    kinds = {type(option.type) for option in options_of(cli)}

    loose = (click.DateTime, type(click.INT), type(click.FLOAT))
    assert {kind for kind in kinds if issubclass(kind, loose) and not issubclass(kind, (PlainDay, Count))} == set()


@pytest.mark.parametrize(
    "words",
    [
        ("payment-requests", "add", "mem_1", "--amount", "5", "--due", "２０２６-10-01"),
        ("members", "payment-plan", "mem_1", "--total", "9", "--instalments", "1_0", "--first-due", "2026-10-01"),
        ("members", "payment-plan", "mem_1", "--total", "9", "--instalments", "３", "--first-due", "2026-10-01"),
        ("members", "edit", "mem_1", "--born", "1980-12-٣١"),
        ("promo-codes", "add", "A", *HERE, "--percent", "5", "--opens", "２０２６-10-01"),
        ("promo-codes", "add", "A", *HERE, "--percent", "5", "--max-uses", "1_0"),
        ("promo-codes", "add", "A", *HERE, "--percent", "5", "--periods", "+3"),
        ("run-due", "--dry-run", "--until", "２０２６-10-01"),
        ("platform-fees", "statement", "２０２６-08", *HERE),
    ],
)
def test_what_is_typed_in_other_digits_is_wrong_usage(shop: Practice, words: tuple[str, ...]) -> None:
    """The sentence shows how it is written; nothing is done."""
    done = command(shop, *words)

    assert (done.code, done.out) == (2, "")
    assert "write it like" in done.err


@pytest.mark.parametrize(
    "pair",
    ["cancel_notice_days=１０", "cancel_notice_days=1_0", "card_retry_days=3,７", "dependent_discount_percent=1_0"],
)
def test_a_billing_setting_is_typed_in_plain_digits(shop: Practice, pair: str) -> None:
    """As every other number."""
    done = command(shop, "locations", "set", "leura", pair)

    assert (done.code, done.out) == (1, "")
    assert "number" in done.err


def commands_with_ids(group: click.Group, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command that takes an id as its first argument, by its words."""
    for word in group.list_commands(click.Context(group)):
        one = group.get_command(click.Context(group), word)
        if isinstance(one, click.Group):
            yield from commands_with_ids(one, (*before, word))
        elif one and any((part.name or "").endswith(("_id", "_ids")) for part in one.params if part.required):
            yield (*before, word)


NEEDED: dict[tuple[str, ...], tuple[str, ...]] = {
    ("benefits", "use"): ("012",),
    ("holds", "request"): ("--amount", "5"),
    ("links", "candidates"): HERE,
    ("links", "link"): ("1001", *HERE),
    ("links", "unlink"): HERE,
    ("members", "add-dependent"): ("--plan", "Essential", "--given-name", "A", "--family-name", "B"),
    ("members", "change-plan"): ("mem_1", "--plan", "Essential"),
    ("members", "drop-dependent"): ("mem_1",),
    ("members", "promote"): ("mem_1",),
    ("members", "payment-plan"): ("--total", "9", "--instalments", "3", "--first-due", "2026-10-01"),
    ("members", "refer"): ("--referred", "con_1"),
    ("payment-plans", "change-payday"): ("2026-10-01",),
    ("payment-plans", "pause"): ("--until", "2026-10-01"),
    ("payment-plans", "propose"): ("--total", "9"),
    ("payment-requests", "add"): ("--amount", "5"),
    ("payments", "record-refund"): ("--amount", "5", "--on", "2026-09-01"),
}
"""What some commands take besides."""


@pytest.mark.parametrize("words", list(commands_with_ids(cli)), ids=" ".join)
def test_what_is_no_id_is_never_repeated(shop: Practice, words: tuple[str, ...]) -> None:
    """Somebody typed a name, an address or a card number where an id belongs."""
    for typed in ("canary.ann@canary.example", "4242424242424242", "4242-4242-4242-4242", "Ann Canary"):
        done = command(shop, *words, typed, *NEEDED.get(words, ()))

        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("Error: There is no such ")
        assert typed not in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("members", "show", "mem_unknown"), "There is no member and no contract 'mem_unknown'"),
        (("invoices", "show", "LEURA-000042"), "There is no invoice 'LEURA-000042'"),
        (("payments", "show", " pay_1 "), "There is no payment 'pay_1'"),
    ],
)
def test_an_id_of_nothing_is_repeated(shop: Practice, arguments: tuple[str, ...], words: str) -> None:
    """Whoever mistyped one sees what was looked for."""
    assert words in command(shop, *arguments).err


def test_an_export_that_is_refused_leaves_no_folder(shop: Practice, tmp_path: Path) -> None:
    """Neither the folder nor those above it that were made for it; an empty one that was there stays."""
    mine = tmp_path / "mine"
    mine.mkdir()

    for folder in (tmp_path / "new" / "export", mine):
        done = command(shop, "export", str(folder), "--location", "nope")
        assert "no location 'nope'" in done.err

    assert list(tmp_path.iterdir()) == [mine]
    assert list(mine.iterdir()) == []


def test_a_dry_run_leaves_the_clocks_of_the_sandboxes_alone(shop: Practice) -> None:
    """It changes nothing, not even what time it is for the simulated Stripe and the simulated office."""

    def clocks() -> list[str]:
        return [str(httpx.get(f"{one.address}/_sandbox/clock").json()) for one in (shop.stripe, shop.office)]

    before = clocks()
    shop.clock.advance(timedelta(days=3))

    done = command(shop, "run-due", "--dry-run")

    assert done.code == 0
    assert clocks() == before


def test_a_round_that_wrote_nothing_says_only_why(
    practice: Practice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no line about a location for which nothing can be counted."""
    monkeypatch.setenv("CONNECTOR_DATA_DIR", str(tmp_path / "data"))
    practice.paid()
    practice.office.post("options", customer_key="another")

    done = command(practice, "run-due")

    assert done.code == 1
    assert "Problem: " in done.err
    assert "leura" not in done.out


@pytest.mark.parametrize(("cents", "told"), [(100_000_000, "1000000.00 AUD"), (49, "0.49 AUD")])
def test_a_balance_that_no_import_takes_is_settled_by_hand(
    practice: Practice, tmp_path: Path, cents: int, told: str
) -> None:
    """What is exported can be imported again, to the last row."""
    practice.paid(linked=False)
    with practice.context.database.unit_of_work() as session:
        (invoice,) = session.query(Invoice).all()
        invoice.status, invoice.amount_cents = InvoiceStatus.OVERDUE, cents
    folder = tmp_path / "export"

    export_everything(practice.context, folder)

    with (folder / "members.csv").open(encoding="utf-8", newline="") as stream:
        assert [row["balance"] for row in csv.DictReader(stream)] == [""]
    assert f"a balance of {told} cannot be asked for as one" in (folder / "by-hand.csv").read_text(encoding="utf-8")
    report = import_members(practice.context, folder / "members.csv", location_slug="leura", invite=False)
    assert report.refusals == []


def test_a_plan_with_spaces_in_its_name_is_found_again_by_an_import(shop: Practice) -> None:
    """Cells of a file have single spaces, so names have them, too."""
    document(shop, "plans", "add", "Gold   Plus", *HERE, "--price", "monthly=5")

    assert "Gold Plus" in {plan["name"] for plan in document(shop, "plans", "list", *HERE)}
