"""Settings: where they come from, what overrules what, and how mistakes are told without showing a value."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connector.errors import DomainError
from connector.settings import STRIPE_API, Settings, is_loopback, load_settings

SECRET = "sk_live_51Hx0Do5ecret"
SANDBOX = "http://127.0.0.1:4242"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation without a configuration file and without variables."""
    for name in [name for name in os.environ if name.upper().startswith("CONNECTOR_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configure(folder: Path, text: str) -> None:
    (folder / "connector.toml").write_text(text, encoding="utf-8")


def refusal() -> str:
    with pytest.raises(DomainError) as refused:
        load_settings()
    return str(refused.value)


def test_without_anything_the_defaults_make_a_real_installation() -> None:
    """SQLite in the data directory, Stripe's real address, no sandbox."""
    settings = load_settings()

    assert settings.database_url == f"sqlite:///{(Path.cwd() / 'data' / 'connector.sqlite3').as_posix()}"
    assert settings.stripe.api_base == STRIPE_API
    assert not settings.sandbox


def test_the_environment_overrules_the_file_setting_by_setting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other settings of the same section keep what the file says, and the rest their defaults."""
    configure(folder, '[daemon]\nport = 1111\nwrite_back_slots = 3\n[log]\nlevel = "debug"\n')
    monkeypatch.setenv("CONNECTOR_DAEMON__PORT", "2222")

    settings = load_settings()

    assert (settings.daemon.port, settings.daemon.write_back_slots) == (2222, 3)
    assert (settings.log.level, settings.log.format) == ("debug", "auto")


def test_the_file_may_have_another_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CONNECTOR_CONFIG names it; the usual one is then not read."""
    configure(folder, "[daemon]\nport = 1111\n")
    (folder / "other.toml").write_text("[daemon]\nport = 3333\n", encoding="utf-8")
    monkeypatch.setenv("CONNECTOR_CONFIG", str(folder / "other.toml"))

    assert load_settings().daemon.port == 3333


@pytest.mark.parametrize("name", ["nowhere.toml", "folder", "", "~/nowhere/x.toml", os.devnull])
def test_a_file_that_is_named_must_be_readable(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the defaults would hold in silence: another database, and nobody's Stripe account."""
    (folder / "folder").mkdir()
    monkeypatch.setenv("CONNECTOR_CONFIG", name)

    sentence = refusal()

    assert sentence.startswith("The file that CONNECTOR_CONFIG names cannot be read (")
    assert sentence.endswith("): check its name and its permissions.")


def test_a_folder_in_the_place_of_the_usual_file_is_told(folder: Path) -> None:
    """Whoever made it meant something by it."""
    (folder / "connector.toml").mkdir()

    assert "The file connector.toml cannot be read" in refusal()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff\xfe", "The configuration file cannot be read: save it as a text file in UTF-8."),
        (
            b"a = " + b"[" * 100_000,
            "The configuration file holds a number or a nesting beyond all limits: correct it.",
        ),
        (
            b"data_dir = " + b"9" * 5_000,
            "The configuration file holds a number or a nesting beyond all limits: correct it.",
        ),
    ],
)
def test_a_file_that_is_no_text_is_refused_in_our_own_words(folder: Path, content: bytes, sentence: str) -> None:
    """No library's message about codecs or digits."""
    (folder / "connector.toml").write_bytes(content)

    assert refusal() == sentence


def test_a_byte_order_mark_before_the_settings_is_no_mistake(folder: Path) -> None:
    """Windows' editor writes one."""
    configure(folder, "\ufeff[daemon]\nport = 1111\n")

    assert load_settings().daemon.port == 1111


def test_a_database_address_overrules_the_data_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is for a group of practices on PostgreSQL."""
    monkeypatch.setenv("CONNECTOR_DATABASE__URL", "postgresql://connector@db/smilepass")

    assert load_settings().database_url == "postgresql://connector@db/smilepass"


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("CONNECTOR_STRIPE_SECRET_KEY", SECRET, "CONNECTOR_STRIPE_SECRET_KEY is not a setting"),
        ("CONNECTOR_STRPE__SECRET_KEY", SECRET, "CONNECTOR_STRPE__SECRET_KEY is not a setting"),
        ("connector_strpe__secret_key", SECRET, "is not a setting"),
        ("CONNECTOR_STRIPE__SECRT_KEY", SECRET, "stripe.secrt_key is not a setting: check its spelling against"),
        ("CONNECTOR_STRIPE", SECRET, "CONNECTOR_STRIPE cannot be read: give each setting of the section a variable"),
        ("CONNECTOR_STRIPE__TIMEOUT_SECONDS", SECRET, "stripe.timeout_seconds must be a number."),
        ("CONNECTOR_STRIPE__TIMEOUT_SECONDS", "81", "stripe.timeout_seconds must be at most 80.0."),
        ("CONNECTOR_DAEMON__PORT", "65536", "daemon.port must be at most 65535."),
        ("CONNECTOR_DAEMON__PORT", "8_321", "daemon.port must be a whole number."),
        ("CONNECTOR_DAEMON__PORT", "８３２１", "daemon.port must be a whole number."),
        ("CONNECTOR_STRIPE__TIMEOUT_SECONDS", "3_0", "stripe.timeout_seconds must be a number."),
        ("CONNECTOR_LOG__LEVEL", SECRET, "log.level must be one of 'debug', 'info', 'warning' or 'error'."),
        ("CONNECTOR_CLOCK__NOW", SECRET, "clock.now must be an instant like 2026-11-21T09:00:00+11:00."),
        (
            "CONNECTOR_STRIPE__ACCOUNT",
            SECRET,
            "stripe.account does not have the form that config/connector.toml describes.",
        ),
        (
            "CONNECTOR_PLATFORM__TIERS__PRO__OTHER_PERCENT",
            "2",
            "platform.tiers.pro.membership_percent must be filled in.",
        ),
        (
            "CONNECTOR_PLATFORM__TIERS__PRO",
            "{x",
            "platform.tiers.pro has parts of its own: give each of them by its name",
        ),
        (
            "CONNECTOR_MAIL",
            "{x",
            "CONNECTOR_MAIL cannot be read: give each setting of the section a variable of its own",
        ),
        ("CONNECTOR_CLOCK__NOW", "2026-11-21T09:00:00", "An instant needs a time zone"),
        ("CONNECTOR_LINKS__PUBLIC_URL", 'https://pay.example.org"', "links.public_url: give scheme and host only"),
        ("CONNECTOR_LINKS__PUBLIC_URL", "https://pay.exam ple.org", "links.public_url: give scheme and host only"),
        ("CONNECTOR_LINKS__PUBLIC_URL", "https://pay.example.org'", "links.public_url: give scheme and host only"),
        ("CONNECTOR_STRIPE__SUCCESS_URL", "javascript:alert(1)", "stripe.success_url: give the address of a page"),
        ("CONNECTOR_STRIPE__SUCCESS_URL", "", "stripe.success_url: give the address of a page"),
        ("CONNECTOR_STRIPE__API_BASE", "http://127.0.0.1\\@example.org", "CONNECTOR_STRIPE__API_BASE must be"),
        ("CONNECTOR_STRIPE__API_BASE", "http://127.0.0.1:8420\\", "CONNECTOR_STRIPE__API_BASE must be"),
        ("CONNECTOR_SMS__API_BASE", "http://me@127.0.0.1:8420", "sms: api_base must be empty or the http address"),
    ],
)
def test_a_mistake_in_the_environment_is_named_without_its_value(
    variable: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that says which setting is wrong; the value may be a secret in the wrong place."""
    monkeypatch.setenv(variable, value)

    sentence = refusal()

    assert words in sentence
    assert SECRET not in sentence
    assert "\n" not in sentence
    assert "nput" not in sentence


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'[stripe]\nsecrt_key = "{SECRET}"\n', "stripe.secrt_key is not a setting: check its spelling"),
        (f'strpe = "{SECRET}"\n', "strpe is not a setting: check its spelling"),
        (f'[log]\nlevel = "{SECRET}"\n', "log.level"),
        (f"[stripe]\nsecret_key = {SECRET}\n", "The configuration file cannot be read"),
        (f'stripe = "{SECRET}"\n', "stripe"),
    ],
)
def test_a_mistake_in_the_file_is_named_without_its_value(folder: Path, text: str, words: str) -> None:
    """Unknown names are refused as well: they would be ignored in silence."""
    configure(folder, text)

    sentence = refusal()

    assert words in sentence
    assert SECRET not in sentence
    assert "\n" not in sentence


def test_all_mistakes_are_told_at_once(folder: Path) -> None:
    """So that they can be mended in one go."""
    configure(folder, '[log]\nlevel = "loud"\n[daemon]\nport = -1\n')

    sentence = refusal()

    assert "log.level" in sentence
    assert "daemon.port" in sentence


def test_a_misspelt_value_of_another_program_is_no_concern_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only variables that begin with our prefix are looked at."""
    monkeypatch.setenv("MY_CONNECTOR_STRPE", "1")

    assert load_settings().daemon.port == 8321


def test_secrets_are_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    """A settings object may be printed by accident: neither Stripe's key nor the database's password shows."""
    monkeypatch.setenv("CONNECTOR_STRIPE__SECRET_KEY", SECRET)
    monkeypatch.setenv("CONNECTOR_DATABASE__URL", "postgresql://connector:hunter2@db/smilepass")

    settings = load_settings()
    shown = f"{settings!r} {settings} {settings.stripe!r} {settings.database!r} {settings.database}"

    assert settings.stripe.secret_key.get_secret_value() == SECRET
    assert SECRET not in shown
    assert "hunter2" not in shown


def test_settings_cannot_be_changed_after_they_were_read() -> None:
    """Whoever holds them holds what was checked."""
    settings = load_settings()

    with pytest.raises(ValueError, match="frozen"):
        settings.daemon.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("api_base", "key", "sandbox"),
    [
        (SANDBOX, "sk_test_1", True),
        ("http://localhost:4242", "", True),
        ("http://[::1]:4242", "rk_test_1", True),
        (STRIPE_API, "sk_test_1", False),
        (STRIPE_API, "rk_live_1", False),
    ],
)
def test_sandbox_mode_needs_a_sandbox_on_this_machine(
    api_base: str, key: str, sandbox: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only then may the clock be set: with real money it would charge people at the wrong time."""
    monkeypatch.setenv("CONNECTOR_STRIPE__API_BASE", api_base)
    monkeypatch.setenv("CONNECTOR_STRIPE__SECRET_KEY", key)
    assert load_settings().sandbox is sandbox

    monkeypatch.setenv("CONNECTOR_CLOCK__NOW", "2026-11-21T09:00:00+11:00")

    if sandbox:
        assert load_settings().clock.now == datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
    else:
        assert "works in sandbox mode only" in refusal()


@pytest.mark.parametrize(
    ("api_base", "key", "words"),
    [
        (SANDBOX, "sk_live_1", "is a live key, which no sandbox may see"),
        (SANDBOX, "rk_live_1", "is a live key, which no sandbox may see"),
        ("http://192.168.1.5:4242", "sk_test_1", "must be https://api.stripe.com or"),
        ("http://localhost.example.com", "sk_test_1", "must be https://api.stripe.com or"),
        ("http://127.0.0.1@example.com", "sk_test_1", "must be https://api.stripe.com or"),
        ("http://api.stripe.com", "sk_live_1", "must be https://api.stripe.com or"),
        ("https://api.stripe.com.example.com", "sk_live_1", "must be https://api.stripe.com or"),
        ("ftp://127.0.0.1", "sk_test_1", "must be https://api.stripe.com or"),
        ("http://127.0.0.1:99999", "sk_test_1", "must be https://api.stripe.com or"),
        ("http://[::1", "sk_test_1", "must be https://api.stripe.com or"),
        ("", "sk_test_1", "must be https://api.stripe.com or"),
    ],
)
def test_the_key_goes_to_stripe_or_to_a_sandbox_and_a_live_one_to_stripe_only(
    api_base: str, key: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong address would hand the practice's key to whoever listens there."""
    monkeypatch.setenv("CONNECTOR_STRIPE__API_BASE", api_base)
    monkeypatch.setenv("CONNECTOR_STRIPE__SECRET_KEY", key)

    assert words in refusal()


@pytest.mark.parametrize("value", ["commit.after", "write.after:3", "write.*:12", ""])
def test_a_failpoint_is_accepted_in_sandbox_mode(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests kill the process at a named place, at the n-th pass; an empty value names none."""
    monkeypatch.setenv("CONNECTOR_STRIPE__API_BASE", SANDBOX)
    monkeypatch.setenv("CONNECTOR_FAILPOINT", value)

    assert load_settings().sandbox


@pytest.mark.parametrize("value", ["commit.after:", "commit.after:x", "commit.after:0", ":3", "commit after", "a:1:2"])
def test_a_malformed_failpoint_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would never act, or fail in the middle of a charge."""
    monkeypatch.setenv("CONNECTOR_STRIPE__API_BASE", SANDBOX)
    monkeypatch.setenv("CONNECTOR_FAILPOINT", value)

    assert "is a name or name:n" in refusal()


def test_a_failpoint_is_refused_where_there_is_real_money(monkeypatch: pytest.MonkeyPatch) -> None:
    """It kills the process between charging and remembering."""
    monkeypatch.setenv("CONNECTOR_FAILPOINT", "commit.after")

    assert refusal() == "CONNECTOR_FAILPOINT works in sandbox mode only: unset it."


@pytest.mark.parametrize("level", ["debug", "info", ""])
def test_the_log_of_stripes_library_cannot_be_switched_on(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It prints whole requests and answers past every redaction."""
    monkeypatch.setenv("STRIPE_LOG", level)

    assert refusal() == "STRIPE_LOG makes Stripe's library print personal data: unset it."


@pytest.mark.parametrize("url", ["", "127.0.0.1", "http://[::1", "http://", "http://example.com", "http://0.0.0.0"])
def test_an_address_is_this_machine_only_if_it_says_so(url: str) -> None:
    """Whatever cannot be told is not."""
    assert not is_loopback(url)


def test_importing_the_settings_reads_nothing() -> None:
    """Defaults need neither file nor environment."""
    assert Settings.model_fields["data_dir"].default == Path("data")
