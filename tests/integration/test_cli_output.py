"""The commands as processes: what they print for people and for machines, and their exit codes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import PEOPLE, SLUG, Installation, Outside, installed, outside, people_file

DAY = "2026-03-02"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """Both sandboxes, for all tests of this file."""
    with outside(tmp_path_factory.mktemp("outside")) as running:
        yield running


@pytest.fixture(scope="module")
def paid(pair: Outside, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation after its first run: three members have paid, and the practice system shows it."""
    installation = installed(tmp_path_factory.mktemp("paid") / "data", pair, members=3)
    assert installation.json("run-due") == {
        "invoiced": 3,
        "charged": 3,
        "declined": 0,
        "without_method": 0,
        "waiting_for_release": 0,
        "messages": {"sent": 0, "later": 0, "failed": 0},
        "events": 3,
        "write_backs": {SLUG: {"sent": 3, "confirmed": 3, "rejected": 0, "unknown": 0, "held": 0}},
        "problems": [],
    }
    return installation


def printed(text: str) -> list[str]:
    """The lines of a table without the blanks that fill them."""
    return [line.rstrip() for line in text.splitlines()]


def test_adapters_are_compared_in_one_table(paid: Installation) -> None:
    """Optional settings stand in square brackets, which the table must not take for its own markup."""
    done = paid.run("adapters", "list")

    lines = printed(done.out)
    assert done.code == 0
    assert lines[:3] == [
        "Adapters",
        "Adapter      Practice system  Transport              Repeat is safe by  Reversals  Answer   Settings",
        "file_drop    File drop        CSV files in a folder  file key           entry      later    folder",
    ]
    assert " ".join(" ".join(lines[3:]).split()) == (
        "open_dental Open Dental REST API read back full only at once "
        "base_url, developer_key, customer_key, [mode], [payment_type], [backup_provider], [reversals]"
    )


def test_locations_are_listed_as_a_table(paid: Installation) -> None:
    """A table is a title, a row of headings, and a row for each location."""
    done = paid.run("locations", "list")

    assert printed(done.out) == [
        "Locations",
        "Location  Name          Time zone         Currency  Practice system  Status",
        "leura     Leura Dental  Australia/Sydney  aud       open_dental      active",
    ]


def test_a_name_with_brackets_and_colons_is_shown_as_it_is(pair: Outside, tmp_path: Path) -> None:
    """What people type is data: no part of it vanishes as markup or turns into a picture."""
    name = "Smile [bold] :tooth: [/x] Dental"
    installation = installed(tmp_path / "data", pair)
    options = ["--name", name, "--timezone", "Australia/Perth", "--currency", "AUD", "--pms", "open_dental"]
    installation.json("locations", "add", "perth", *options, *installation.pms_settings())

    done = installation.run("locations", "list")

    assert done.code == 0
    assert name in done.out


def test_the_day_report_is_a_page_that_people_can_read(paid: Installation) -> None:
    """Figures are aligned on the right, and the verdict is a sentence."""
    done = paid.run("report", "day", DAY, "--location", SLUG)

    assert done.code == 0
    assert printed(done.out) == [
        "leura, Monday 02/03/2026, amounts in AUD",
        "                            Count  Amount",
        "Taken                           3   20.70",
        "Returned                        0    0.00",
        "Written                         3   20.70",
        "Recorded by hand                0    0.00",
        "Moved to the right patient      0    0.00",
        "Other entries in the PMS        0    0.00",
        "Stripe fees                     3    1.26",
        "Unexplained                     0    0.00",
        "",
        "The practice system and Stripe agree with our book to the cent.",
        "The day is not over: figures may still change.",
    ]


def test_the_three_formats_of_the_day_report_show_equal_figures(pair: Outside, paid: Installation) -> None:
    """Staff removed one payment and added another of 12.34: all formats say so with the same numbers."""
    rows = pair.office.get("/_sandbox/payments")["payments"]
    ours = {row.pms_entry_id for row in paid.write_backs()}
    victim = next(row for row in rows if str(row["PayNum"]) in ours)
    pair.office.post("staff", action="delete_payment", PayNum=victim["PayNum"])
    pair.office.post("staff", action="add_payment", PatNum=victim["PatNum"], PayAmt="12.34")

    document = paid.json("report", "day", DAY, "--location", SLUG)
    by_format = paid.run("report", "day", DAY, "--location", SLUG, "--format", "json").document
    table = paid.run("report", "day", DAY, "--location", SLUG).out
    text = paid.run("report", "day", DAY, "--location", SLUG, "--format", "csv").out

    assert document == by_format
    assert document["unexplained_cents"] == 690
    figures = list(csv.DictReader(io.StringIO(text)))
    amounts = {row["name"]: (row["count"], row["amount"]) for row in figures if row["section"] == "figure"}
    for name, shown, line in (
        ("taken", "Taken", document["taken"]),
        ("written", "Written", document["written"]),
        ("other entries in the PMS", "Other entries in the PMS", document["pms_other"]),
        ("unexplained", "Unexplained", {"count": len(document["differences"]), "cents": 690}),
    ):
        amount = f"{line['cents'] / 100:.2f}"
        assert amounts[name] == (str(line["count"]), amount)
        assert next(row for row in printed(table) if row.startswith(shown)).split()[-2:] == [str(line["count"]), amount]
    (difference,) = document["differences"]
    (row,) = [row for row in figures if row["section"] == "difference"]
    assert (row["name"], row["next step"]) == (difference["subject"], difference["next_step"])
    assert row["amount"] == f"{difference['cents'] / 100:.2f}"
    assert difference["subject"] in table


def test_a_day_is_closed_once(paid: Installation) -> None:
    """Closing before the end of the day, and closing again, are refused with the reason."""
    tomorrow = paid.at(paid.now.replace(day=3)) if paid.now else paid

    early = paid.run("report", "day", DAY, "--location", SLUG, "--close")
    closed = tomorrow.run("report", "day", DAY, "--location", SLUG, "--close", "--json")
    again = tomorrow.run("report", "day", DAY, "--location", SLUG, "--close")

    assert (early.code, early.err) == (1, f"Error: The {DAY} is not over yet at 'leura': close it tomorrow.\n")
    assert (closed.code, closed.document["day_is_over"]) == (0, True)
    assert again.code == 1
    assert "is closed already" in again.err


def test_every_reading_command_gives_one_json_document(paid: Installation) -> None:
    """`--json` prints a document and nothing else, whatever the command."""
    write_back = paid.write_backs()[0].id

    documents = {
        command: paid.json(*command.split())
        for command in (
            "adapters list",
            "locations list",
            f"locations probe {SLUG}",
            f"plans list --location {SLUG}",
            f"members list --location {SLUG}",
            f"links list --location {SLUG}",
            f"links match --location {SLUG}",
            f"write-backs list --location {SLUG} --state confirmed",
            f"write-backs show {write_back}",
            "write-backs work",
            "ledger verify",
            "migrate",
        )
    }

    assert [plan["name"] for plan in documents[f"plans list --location {SLUG}"]] == [
        "Comprehensive",
        "Essential",
        "Premium",
    ]
    assert documents[f"locations probe {SLUG}"] == {"ok": True, "version": "25.4.48.0", "problems": []}
    assert documents["ledger verify"]["ok"] is True
    assert sum(documents["ledger verify"]["balances"].values()) == 0
    steps = documents[f"write-backs show {write_back}"]["steps"]
    assert [step["after"] for step in steps] == ["queued", "sending", "accepted", "confirmed"]
    assert documents[f"links match --location {SLUG}"] == {
        "linked": 0,
        "review": 0,
        "none": 0,
        "in_review": 0,
        "problem": None,
    }


def test_a_plan_can_be_added_and_is_listed_with_its_prices(paid: Installation, tmp_path: Path) -> None:
    """Prices are read as they are written, to the cent."""
    twin = paid.copied(tmp_path / "data")
    twin.json("plans", "add", "Kids", "--location", SLUG, "--price", "monthly=19.9", "--price", "annually=199")

    plans = twin.json("plans", "list", "--location", SLUG)

    (kids,) = (plan for plan in plans if plan["name"] == "Kids")
    assert (kids["version"], kids["prices"]) == (1, {"monthly": 1_990, "annually": 19_900})


def test_an_import_names_bad_rows_by_line_and_can_be_repeated(pair: Outside, tmp_path: Path) -> None:
    """Good rows go in, bad ones are refused with a reason, and the second time nothing changes."""
    installation = installed(tmp_path / "data", pair)
    file = people_file(tmp_path / "members.csv", 2, email="m{}@canary.example")
    with file.open("a", encoding="utf-8") as stream:
        stream.write("Ada,,1988-03-09,1 Canary Street,Leura,NSW,2780,ada@canary.example\n")
        stream.write("Bea,Canary,1988-13-39,1 Canary Street,Leura,NSW,2780,bea@canary.example\n")
    command = ("import-members", str(file), "--location", SLUG, "--plan", "Essential")

    ended = [installation.run(*command, "--json") for _ in range(2)]
    first, second = (done.document for done in ended)
    table = installation.run(*command)

    assert [(done.code, done.err) for done in ended] == [(1, "")] * 2
    assert (first["imported"], first["unchanged"], first["refused"]) == (2, 0, 2)
    assert (second["imported"], second["unchanged"], second["refused"]) == (0, 2, 2)
    assert [refusal["line"] for refusal in second["refusals"]] == [4, 5]
    assert printed(table.out)[0] == "0 imported, 2 unchanged, 2 refused."
    personal = ("canary", "Bea", "Ada", *PEOPLE[0][:2])
    assert not [word for word in personal if word in table.out + table.err + str(first) + str(second)]


def test_help_and_version_are_for_anybody(paid: Installation) -> None:
    """Asking for help is no mistake, and a missing argument is one of usage."""
    usage = paid.run("report", "day")

    assert paid.run("--help").code == 0
    assert paid.run("--version").out.startswith("connector")
    assert usage.code == 2
    assert "Missing argument 'DATE'" in usage.err
