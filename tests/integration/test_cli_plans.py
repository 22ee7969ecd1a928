"""The commands about plans and promo codes: what they print for people and machines, and what they refuse."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from connector.billing.activity import Activity
from connector.billing.agreements.contracts import Contract
from connector.billing.offers.plan_changes import PlanChange
from connector.billing.offers.plan_files import STARTERS, parse, starter, write
from connector.cli.context import actor
from connector.use_cases.plans.promo_codes import redeem
from tests.support.commands import command, document
from tests.support.plan_changes import monthly
from tests.support.practice import Practice
from tests.support.practice_setup import running_practice

HERE = ("--location", "leura")
CODE = "SPRING-CANARY"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Practice]:
    """One practice for all tests of this file; each has a plan or code of its own."""
    with running_practice(tmp_path_factory.mktemp("shop"), template) as running:
        yield running


def plan_file(folder: Path, cents: int = 2_000) -> str:
    """The document of a plan at that price a month."""
    file = folder / "plan.toml"
    file.write_text(write(monthly(cents)), encoding="utf-8")
    return str(file)


def words(text: str) -> list[str]:
    """The lines of a table with single blanks."""
    return [" ".join(line.split()) for line in text.splitlines()]


@pytest.mark.parametrize("name", STARTERS)
def test_a_template_is_a_document_that_add_takes(shop: Practice, name: str) -> None:
    """The same as text and as JSON."""
    printed = command(shop, "plans", "template", name)

    assert parse(printed.out) == starter(name)
    assert document(shop, "plans", "template", name) == {"name": name, "toml": printed.out}


KEPT = (
    "Members keep their terms; `connector plans preview Filed --location leura` "
    "shows what the new ones would mean to them."
)


def test_a_plan_is_added_shown_and_edited_from_its_document(shop: Practice, tmp_path: Path) -> None:
    """What `show --toml` prints is what `edit` takes; the differences are printed; the same again is refused."""
    document(shop, "plans", "add", "Filed", *HERE, "--file", plan_file(tmp_path))
    toml = command(shop, "plans", "show", "Filed", *HERE, "--toml").out
    changed = tmp_path / "changed.toml"
    changed.write_text("\ufeff" + toml.replace("20.00", "25.00"), encoding="utf-8")

    edited = command(shop, "plans", "edit", "Filed", *HERE, "--file", str(changed))
    again = command(shop, "plans", "edit", "Filed", *HERE, "--file", str(changed))

    assert tomllib.loads(toml)["prices"] == {"monthly": "20.00"}
    assert edited.out.splitlines() == [
        "Plan Filed has the version 2 now:",
        "  price monthly 20.00 -> 25.00",
        KEPT,
    ]
    assert (again.code, again.err.strip()) == (
        1,
        "Error: These are the terms of the plan 'Filed' already: change something in the document.",
    )
    shown = document(shop, "plans", "show", "Filed", *HERE)
    assert (shown["version"], shown["actor"], shown["terms"]["prices"]) == (2, actor(), {"monthly": 2_500})
    first = document(shop, "plans", "show", "Filed", *HERE, "--version", "1")
    assert first["terms"]["prices"] == {"monthly": 2_000}
    table = words(command(shop, "plans", "show", "Filed", *HERE).out)
    assert table[0] == "Filed, version 2"
    assert "Prices monthly 25.00" in table


def test_a_plan_of_prices_alone_needs_no_document(shop: Practice) -> None:
    """One option for each frequency; a name is given once."""
    prices = ("--price", "weekly=5", "--price", "monthly=20.00")

    added = command(shop, "plans", "add", "Priced", *HERE, *prices)
    again = command(shop, "plans", "add", "Priced", *HERE, *prices)

    assert added.out.strip() == "Plan Priced is added."
    assert "has a plan 'Priced' already" in again.err
    shown = document(shop, "plans", "show", "Priced", *HERE)
    assert (shown["actor"], shown["terms"]["prices"]) == (actor(), {"weekly": 500, "monthly": 2_000})


def test_plans_are_listed_with_their_members_and_archived_and_restored(shop: Practice, tmp_path: Path) -> None:
    """The list says how many people are on each and which nobody can join."""
    document(shop, "plans", "add", "Shelf", *HERE, "--file", plan_file(tmp_path))
    shop.enrol(plan="Shelf", linked=False)

    done = command(shop, "plans", "archive", "Shelf", *HERE)
    table = words(command(shop, "plans", "list", *HERE).out)
    listed = {line["name"]: line for line in document(shop, "plans", "list", *HERE)}
    twice = command(shop, "plans", "archive", "Shelf", *HERE, "--json")

    assert done.out.strip() == "Plan Shelf is archived: nobody can join it, and its members stay."
    assert table[:2] == ["Plans of leura", "Plan Version Prices Members State"]
    assert "Shelf 1 monthly 20.00 1 archived" in table
    assert listed["Shelf"] == {
        "name": "Shelf",
        "version": 1,
        "prices": {"monthly": 2_000},
        "members": 1,
        "archived": True,
    }
    assert (twice.code, twice.document["error"]) == (1, "The plan 'Shelf' is archived already: nothing is left to do.")
    restored = command(shop, "plans", "restore", "Shelf", *HERE)
    assert restored.out.strip() == "Plan Shelf is restored: people can join it again."
    assert document(shop, "plans", "archive", "Shelf", *HERE) == {"name": "Shelf", "archived": True}


def test_a_migration_is_previewed_and_announced(shop: Practice, tmp_path: Path) -> None:
    """The preview says what is different and for whom; the migration tells the same people, once."""
    document(shop, "plans", "add", "Moving", *HERE, "--file", plan_file(tmp_path))
    person = shop.enrol(plan="Moving", linked=False)
    assert shop.charge() == []
    document(shop, "plans", "edit", "Moving", *HERE, "--file", plan_file(tmp_path, 2_200))

    preview = document(shop, "plans", "preview", "Moving", *HERE)
    table = command(shop, "plans", "preview", "Moving", *HERE)
    early = command(shop, "plans", "migrate", "Moving", *HERE, "--effective", "2026-09-14")
    options = ("--frequency", "monthly", "--only-version", "1", "--effective", "2026-09-15")
    announced = command(shop, "plans", "migrate", "Moving", *HERE, *options, "--yes")
    again = document(shop, "plans", "migrate", "Moving", *HERE)

    assert preview == {
        "version": 2,
        "differences": {"1": ["price monthly 20.00 -> 22.00"]},
        "members": [
            {
                "member_id": person.member_id,
                "contract_id": person.contract_id,
                "version": 1,
                "frequency": "monthly",
                "price_now_cents": 2_000,
                "price_then_cents": 2_200,
                "effective_on": "2026-10-01",
                "state": "to announce",
            }
        ],
    }
    row = f"{person.member_id} {person.contract_id} 1 monthly 20.00 22.00 01/10/2026 to announce"
    assert words(table.out)[:2] == ["From version 1 to version 2:", "price monthly 20.00 -> 22.00"]
    assert row in words(table.out)
    assert row in words(announced.out)
    assert "choose 15/09/2026 or a later day" in early.err
    assert again == {"announced": 0, "members": []}
    assert command(shop, "plans", "preview", "Moving", *HERE).out.count("offered") == 1
    with shop.context.database.read() as session:
        (change,) = session.scalars(select(PlanChange))
    assert change.actor == actor()


def test_promo_codes_are_added_listed_and_ended(shop: Practice) -> None:
    """In any case of letters; the codes stand in the answers to staff and in no log."""
    options = ("--percent", "12.5%", "--scope", "recurring", "--forever", "--campaign", "Spring", "--max-uses", "2")
    window = ("--opens", "2026-09-01", "--closes", "2026-09-30", "--plan", "Essential")

    added = document(shop, "promo-codes", "add", CODE.lower(), *HERE, *options, *window)
    plain = command(shop, "promo-codes", "add", "TENNER", *HERE, "--amount", "10.00", "--periods", "3")
    person = shop.enrol(None, linked=False)
    with shop.context.database.unit_of_work() as session:
        redeem(session, shop.location, session.get_one(Contract, person.contract_id), CODE, shop.clock.now())
    table = words(command(shop, "promo-codes", "list", *HERE).out)
    ended = command(shop, "promo-codes", "end", "tenner", *HERE)
    listed = {line["code"]: line for line in document(shop, "promo-codes", "list", *HERE)}

    assert added["code"] == CODE
    assert plain.out.strip() == "The promo code TENNER is added."
    assert f"{CODE} 12.5% recurring all 2026-09-01 to 2026-09-30 Essential Spring 1 of 2 open" in table
    assert "TENNER 10.00 both 3 any all 0 open" in table
    assert ended.out.strip() == "The promo code TENNER has ended."
    assert listed["TENNER"] == {
        "code": "TENNER",
        "percent": None,
        "amount_cents": 1_000,
        "scope": "both",
        "periods": 3,
        "opens": None,
        "closes": None,
        "max_uses": None,
        "used": 0,
        "plans": [],
        "campaign": "",
        "state": "ended",
    }
    assert document(shop, "promo-codes", "end", CODE, *HERE) == {"code": CODE, "ended": True}
    with shop.context.database.read() as session:
        added_by = set(session.scalars(select(Activity.actor).where(Activity.action == "Promo Code Added")))
    assert added_by == {actor()}


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("plans", "add", "X", *HERE, "--file", "{bad}"), 1, "The plan document cannot be read: "),
        (("plans", "add", "X", *HERE, "--file", "{bytes}"), 1, "save it as a text file in UTF-8"),
        (("plans", "add", "X", *HERE, "--file", "{long}"), 1, "at most 200,000 characters"),
        (
            ("plans", "add", "X", *HERE, "--file", "{good}", "--price", "monthly=1"),
            2,
            "--file or --price, not both",
        ),
        (("plans", "add", "X", *HERE, "--price", "daily=5"), 2, "'daily' is not a frequency"),
        (("plans", "edit", "Essential", *HERE), 2, "Missing option '--file'"),
        (("plans", "edit", "Gold", *HERE, "--file", "{good}"), 1, "has no plan 'Gold'"),
        (("plans", "show", "Essential", *HERE, "--version", "9"), 1, "has no version 9"),
        (("plans", "template", "gold"), 2, "'gold' is not one of"),
        (
            ("plans", "preview", "Essential", *HERE, "--only-version", "1"),
            1,
            "1 is not an older version",
        ),
        (("plans", "migrate", "Essential", *HERE, "--effective", "soon"), 2, "does not match the format"),
        (("plans", "add", "=1", *HERE, "--price", "monthly=5"), 1, "starts like a formula of a spreadsheet"),
        (("plans", "add", "X", *HERE, "--price", "monthly=0.49"), 1, "prices.monthly must be at least 0.50: less than"),
        (("promo-codes", "add", "=1", *HERE, "--percent", "5"), 1, "do not start like a formula of a spreadsheet"),
        (("promo-codes", "add", "A", *HERE, "--percent", "5", "--campaign", "@x"), 1, "do not start like a formula"),
        (("promo-codes", "add", "A B", *HERE, "--percent", "5"), 1, "1 to 40 characters and no spaces"),
        (("promo-codes", "add", "A", *HERE), 1, "either a percentage or an amount"),
        (("promo-codes", "add", "A", *HERE, "--percent", "5", "--amount", "5"), 1, "either a percentage or an amount"),
        (("promo-codes", "add", "A", *HERE, "--percent", "101"), 1, "above 0, at most 100"),
        (("promo-codes", "add", "A", *HERE, "--percent", "nan"), 1, "is not a percentage"),
        (("promo-codes", "add", "A", *HERE, "--percent", "1e2"), 1, "'1e2' is not a percentage: write it like 20"),
        (("promo-codes", "add", "A", *HERE, "--percent", "-5"), 1, "above 0, at most 100"),
        (("promo-codes", "add", "A", *HERE, "--percent", "much"), 1, "is not a percentage: write it like 20 or 12.5"),
        (("promo-codes", "add", "A", *HERE, "--amount", "1.005"), 1, "not an amount in whole cents"),
        (("promo-codes", "add", "A", *HERE, "--percent", "5", "--periods", "0"), 1, "at least one period"),
        (("promo-codes", "add", "A", *HERE, "--percent", "5", "--max-uses", "0"), 1, "at least once"),
        (("promo-codes", "add", "A", *HERE, "--percent", "5", "--periods", "1", "--forever"), 2, "not both"),
        (("promo-codes", "add", "A", *HERE, "--percent", "5", "--periods", "9" * 11), 2, "not in the range x<=1000000"),
        (("promo-codes", "add", "A", *HERE, "--percent", "5", "--max-uses", "9" * 20), 2, "the range x<=1000000"),
        (("promo-codes", "add", "A", *HERE, "--percent", "5", "--closes", "9999-12-31"), 2, "from 2000 to 2199"),
        (("report", "day", "0001-01-01", *HERE), 2, "is not in the years from 2000 to 2199: check the year"),
        (("report", "day", "9999-12-31", *HERE), 2, "is not in the years from 2000 to 2199: check the year"),
        (("platform-fees", "statement", "9999-12", *HERE), 2, "'MONTH': 9999-12 is not in the years"),
        (("platform-fees", "statement", "0001-01", *HERE), 2, "'MONTH': 0001-01 is not in the years"),
        (("plans", "add", " ESSENTIAL ", *HERE, "--price", "monthly=5"), 1, "has a plan 'Essential' already"),
        (("plans", "add", "None", *HERE, "--price", "monthly=5"), 1, "A plan cannot be named 'none'"),
        (("promo-codes", "end", CODE + "X", *HERE), 1, "has no such promo code"),
    ],
)
def test_what_cannot_be_done_is_refused_with_one_sentence(
    shop: Practice, tmp_path: Path, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    """Exit code 1 for a refusal, 2 for wrong usage, and nothing is printed as a result."""
    files = {"bad": b"prices = [", "bytes": b"\xff\xfe", "long": b"#" * 900_000, "good": b"[prices]\nmonthly = 5"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    places = {name: tmp_path / name for name in files}

    done = command(shop, *(argument.format(**places) for argument in arguments))

    assert (done.code, done.out) == (code, "")
    assert sentence in " ".join(done.err.split())
    assert CODE not in done.err
