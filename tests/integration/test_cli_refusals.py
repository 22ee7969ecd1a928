"""Every mistake of a person ends in one clear sentence with the next step, and changes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pysqlite3.dbapi2 as sqlite
import pytest

from tests.support.processes import LOCATION, SLUG, Finished, Installation, Outside, installed, outside, people_file

NEWER = "The database was made by a newer version of this program: install that version again."


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """Both sandboxes, for all tests of this file."""
    with outside(tmp_path_factory.mktemp("outside")) as running:
        yield running


@pytest.fixture(scope="module")
def practice(pair: Outside, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation with one location and no members."""
    return installed(tmp_path_factory.mktemp("practice") / "data", pair)


def contents(installation: Installation) -> str:
    """A digest of everything that the database holds."""
    connection = sqlite.connect(installation.folder / "connector.sqlite3")
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = {name: connection.execute(f"SELECT * FROM {name} ORDER BY rowid").fetchall() for name in tables}
    connection.close()
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def is_one_sentence(done: Finished) -> bool:
    """A refusal: exit code 1, nothing on standard output, and one line that ends like a sentence."""
    line = done.err.removesuffix("\n")
    return done.code == 1 and not done.out and line.startswith("Error: ") and "\n" not in line and line.endswith(".")


ADD = ("locations", "add", "perth", *LOCATION)
OD = ("--pms-setting", "base_url=http://127.0.0.1:9/api/v1", "--pms-setting", "developer_key=k")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("report", "day", "2026-03-02", "--location", "nowhere"), "no location 'nowhere': the locations are leura"),
        (("run-due", "--location", "nowhere"), "no location 'nowhere': the locations are leura"),
        (("plans", "add", "X", "--location", SLUG, "--price", "monthly=1.005"), "not an amount in whole cents"),
        (("plans", "add", "X", "--location", SLUG, "--price", "monthly=-5"), "must be above 0"),
        (("plans", "add", "X", "--location", SLUG), "at least one price, e.g. --price monthly=29.90"),
        (("plans", "add", "Essential", "--location", SLUG, "--price", "monthly=5"), "choose another name"),
        ((*ADD, *OD), "needs the setting 'customer_key'"),
        ((*ADD, *OD, "--pms-setting", "customer_key=k", "--pms-setting", "color=red"), "has no setting 'color': use"),
        ((*ADD, "--pms", "dentrix"), "no adapter 'dentrix': use one of file_drop, open_dental"),
        ((*ADD, "--timezone", "Mars/Base"), "'Mars/Base' is not a time zone: use a name such as"),
        ((*ADD, "--currency", "dollars"), "'dollars' is not a currency that can be used"),
        (("locations", "add", "Big Slug", *LOCATION), "cannot be a short name: use lower-case"),
        (("write-backs", "post", "wb_none"), "no write-back 'wb_none': see"),
        (("links", "link", "mem_none", "1001", "--location", SLUG), "mem_none"),
        (("members", "invite", "con_none"), "no contract 'con_none'"),
    ],
)
def test_a_refusal_is_one_sentence_and_changes_nothing(
    practice: Installation, arguments: tuple[str, ...], sentence: str
) -> None:
    """The sentence names what is wrong and what would be right."""
    before = contents(practice)

    done = practice.run(*arguments)

    assert is_one_sentence(done), done
    assert sentence in done.err
    assert contents(practice) == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("report", "day", "2026-02-30", "--location", SLUG), "2026-02-30"),
        (("report", "day", "2026-03-02"), "Missing option '--location'"),
        (("plans", "add", "X", "--location", SLUG, "--price", "daily=5"), "'daily' is not a frequency: use one of"),
        ((*ADD, "--pms-setting", "base_url"), "has no value: write it as NAME=VALUE"),
        (("import-members", "no-such-file.csv", "--location", SLUG, "--plan", "Essential"), "does not exist"),
        (("write-backs", "list", "--location", SLUG, "--state", "lost"), "'lost' is not one of"),
        (("dance",), "No such command 'dance'"),
    ],
)
def test_wrong_usage_ends_with_exit_code_2_and_a_hint(
    practice: Installation, arguments: tuple[str, ...], sentence: str
) -> None:
    """Usage is shown on standard error, so that a pipe gets nothing wrong."""
    done = practice.run(*arguments)

    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert "--help" in done.err


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"STRPE__SECRET_KEY": "sk_test_canary"}, "CONNECTOR_STRPE__SECRET_KEY is not a setting: check its spelling"),
        ({"DAEMON__PROT": "8000"}, "daemon.prot"),
        ({"DAEMON__PORT": "99999999"}, "daemon.port must be at most 65535."),
        ({"CLOCK__NOW": "2026-03-02T06:00:00"}, "clock.now: An instant needs a time zone, e.g. 2026-11-21T09:00"),
        ({"STRIPE__API_BASE": "https://api.stripe.com"}, "CONNECTOR_CLOCK__NOW works in sandbox mode only: unset it"),
        ({"STRIPE__SECRET_KEY": "sk_live_canary"}, "CONNECTOR_CLOCK__NOW works in sandbox mode only: unset it"),
        ({"DATABASE__URL": "mysql://localhost/x"}, "must be SQLite or PostgreSQL: check CONNECTOR_DATABASE__URL"),
        (
            {"DATABASE__URL": "nonsense"},
            "CONNECTOR_DATABASE__URL is no address of a database: check how it is written.",
        ),
        ({"CONFIG": "broken.toml"}, "The configuration file cannot be read"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(
    practice: Installation, settings: dict[str, str], sentence: str
) -> None:
    """A misspelt variable would otherwise be ignored in silence, and a key must not be shown."""
    (practice.folder / "broken.toml").write_text("[stripe\n", encoding="utf-8")
    before = contents(practice)

    done = practice.run("run-due", **settings)

    assert is_one_sentence(done), done
    assert sentence in done.err
    assert "canary" not in done.err
    assert contents(practice) == before


def test_with_json_a_refusal_is_a_document_too(practice: Installation) -> None:
    """Machines read the same sentence under `error`."""
    done = practice.run("run-due", "--location", "nowhere", "--json")

    assert done.code == 1
    assert done.document == {"error": "There is no location 'nowhere': the locations are leura."}


def test_a_second_location_of_the_same_name_is_refused(practice: Installation) -> None:
    """A short name belongs to one location."""
    before = contents(practice)

    done = practice.run("locations", "add", SLUG, *LOCATION, *practice.pms_settings())

    assert is_one_sentence(done), done
    assert "There is a location 'leura' already: choose another short name." in done.err
    assert contents(practice) == before


@pytest.mark.parametrize("command", [("run-due",), ("serve",)])
def test_a_database_of_a_newer_version_is_left_alone(
    practice: Installation, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """An old program does not touch what a newer one has made."""
    twin = practice.copied(tmp_path / "data")
    with sqlite.connect(twin.folder / "connector.sqlite3") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = contents(twin)

    done = twin.run(*command)

    assert is_one_sentence(done), done
    assert done.err == f"Error: {NEWER}\n"
    assert contents(twin) == before


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty"),
        (b"PK\x03\x04\x00\x00 an Excel workbook of Canary", "save the list as 'CSV UTF-8'"),
        (b"name;birthday\nCanary;1988\n", "given_name"),
    ],
)
def test_a_file_that_is_no_member_list_is_refused_as_a_whole(
    practice: Installation, tmp_path: Path, content: bytes, sentence: str
) -> None:
    """Nothing is imported, and nothing of the file is quoted."""
    file = tmp_path / "members.csv"
    file.write_bytes(content)
    before = contents(practice)

    done = practice.run("import-members", str(file), "--location", SLUG, "--plan", "Essential")

    assert is_one_sentence(done), done
    assert sentence in done.err
    assert "Canary" not in done.err
    assert contents(practice) == before


def test_an_unknown_plan_is_answered_with_those_that_exist(practice: Installation, tmp_path: Path) -> None:
    """The file is not even read."""
    file = people_file(tmp_path / "members.csv", 1, email="m{}@canary.example")

    done = practice.run("import-members", str(file), "--location", SLUG, "--plan", "Platinum")

    assert is_one_sentence(done), done
    assert "has no plan 'Platinum': its plans are Comprehensive, Essential, Premium." in done.err


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"customer_key": "another"}, "Open Dental refuses the keys: check both"),
        ({"permissions": ["ApiReadAll"]}, "lacks the permission ApiPayments: have it added"),
    ],
)
def test_a_probe_tells_what_the_practice_system_lacks(
    pair: Outside, practice: Installation, options: dict[str, object], sentence: str, as_json: bool
) -> None:
    """Exit code 1 also with `--json`, so that a script notices."""
    normal = pair.office.get("/_sandbox/options")
    pair.office.post("options", **options)

    done = practice.run("locations", "probe", SLUG, *(["--json"] if as_json else []))
    pair.office.post("options", **{name: normal[name] for name in options})

    assert done.code == 1
    assert sentence in done.err
    assert "Traceback" not in done.err
    assert not as_json or (done.document["ok"], sentence in done.document["problems"][0]) == (False, True)


def test_a_database_file_that_is_none_is_named_without_a_traceback(practice: Installation, tmp_path: Path) -> None:
    """Somebody put another file in the place of the database."""
    (tmp_path / "connector.sqlite3").write_text("this is not a database, it is a letter. " * 200, encoding="utf-8")

    done = practice.run("locations", "list", DATA_DIR=str(tmp_path))

    assert is_one_sentence(done), done
    assert "database" in done.err


def test_a_sandbox_that_is_gone_is_named_with_its_address(practice: Installation) -> None:
    """Only a moved clock needs the sandboxes at once; the sentence says how to start one."""
    done = practice.run("run-due", STRIPE__API_BASE="http://127.0.0.1:9")

    assert is_one_sentence(done), done
    assert "The sandbox at http://127.0.0.1:9/ does not answer: start it with `connector sandbox`." in done.err
