"""Settings of one installation: `connector.toml`, overridden by environment variables `CONNECTOR_…` (nested with `__`).

Nothing is read on import. What staff edit from day to day (plans, locations) lives in the database instead.
"""

from __future__ import annotations

import ipaddress
import os
import re
from datetime import datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from connector.clock import as_utc
from connector.errors import DomainError

STRIPE_API = "https://api.stripe.com"

_FAILPOINT = re.compile(r"[a-z_.*]+(:[1-9][0-9]{0,8})?", re.ASCII)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatabaseSettings(_Section):
    """Where state is kept. Empty: the SQLite file `connector.sqlite3` in the data directory."""

    url: str = Field(default="", repr=False)
    """May carry a password, so it is never shown."""


class StripeSettings(_Section):
    """The practice's Stripe account; a restricted key is enough."""

    secret_key: SecretStr = SecretStr("")
    api_base: str = STRIPE_API
    timeout_seconds: float = Field(default=30, gt=0, le=80)
    success_url: str = "https://smilepass.com/thank-you"
    """Where Stripe's hosted page sends the patient afterwards; any static page."""


class MailSettings(_Section):
    """Messages to members. They are put into the folder `outbox` of the data directory."""

    sender: str = "SmilePass <no-reply@smilepass.invalid>"


class ClockSettings(_Section):
    """Sets the clock from outside; accepted in sandbox mode only."""

    now: datetime | None = None

    @field_validator("now")
    @classmethod
    def _aware(cls, value: datetime | None) -> datetime | None:
        return as_utc(value) if value else None


class LogSettings(_Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"
    """auto: coloured text in a terminal, JSON elsewhere."""


class DaemonSettings(_Section):
    """Rhythm of the daemon's work."""

    port: int = Field(default=8321, ge=0, le=65535)
    billing_interval_seconds: int = Field(default=300, ge=1)
    event_interval_seconds: int = Field(default=300, ge=1)
    """Stripe allows 10,000 reads a month at the least; a poll every five minutes takes 8,640."""
    write_back_interval_seconds: int = Field(default=5, ge=1)
    write_back_slots: int = Field(default=8, ge=1, le=32)
    stop_deadline_seconds: int = Field(default=75, ge=1)
    """Longer than the slowest call to a practice system, so that a stop does not make outcomes unknown."""
    matching_interval_seconds: int = Field(default=60, ge=1)
    close_of_day_hour: int = Field(default=4, ge=0, le=23)
    """Local hour of the next morning after which a day is closed; later than any change of clocks."""


class Settings(BaseSettings):
    """All settings, read once by the composition root."""

    model_config = SettingsConfigDict(
        env_prefix="CONNECTOR_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    data_dir: Path = Path("data")
    database: DatabaseSettings = DatabaseSettings()
    stripe: StripeSettings = StripeSettings()
    mail: MailSettings = MailSettings()
    clock: ClockSettings = ClockSettings()
    log: LogSettings = LogSettings()
    daemon: DaemonSettings = DaemonSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (pydantic calls by name)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = Path(os.environ.get("CONNECTOR_CONFIG", "connector.toml"))
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file)

    @property
    def database_url(self) -> str:
        return self.database.url or f"sqlite:///{(self.data_dir / 'connector.sqlite3').absolute().as_posix()}"

    @property
    def sandbox(self) -> bool:
        """True when Stripe is a sandbox on this machine and the key cannot be a live one."""
        return is_loopback(self.stripe.api_base) and "_live_" not in self.stripe.secret_key.get_secret_value()


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def load_settings(**overrides: object) -> Settings:
    """Read and check all settings. Raises DomainError with one sentence per mistake, never with a value."""
    _check_names()
    try:
        settings = Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        mistakes = (f"{'.'.join(map(str, item['loc']))}: {_plain(item['msg'])}" for item in error.errors())
        raise DomainError(f"The settings cannot be used. {'; '.join(mistakes)}.") from None
    except ValueError as error:
        raise DomainError(f"The configuration file cannot be read: {error}.") from None
    if settings.clock.now and not settings.sandbox:
        raise DomainError(
            "CONNECTOR_CLOCK__NOW works in sandbox mode only: unset it, "
            "or point CONNECTOR_STRIPE__API_BASE at a sandbox on this machine."
        )
    _check_stripe(settings.stripe)
    _check_failpoint(settings)
    return settings


def _check_stripe(stripe: StripeSettings) -> None:
    """The key goes to Stripe or to this machine and nowhere else, and a live one never to a sandbox."""
    if stripe.api_base == STRIPE_API:
        return
    if not is_loopback(stripe.api_base) or not _is_http(stripe.api_base):
        raise DomainError(
            f"CONNECTOR_STRIPE__API_BASE must be {STRIPE_API} or the http address of a sandbox on this machine."
        )
    if "_live_" in stripe.secret_key.get_secret_value():
        raise DomainError("CONNECTOR_STRIPE__SECRET_KEY is a live key, which no sandbox may see: use a test key.")


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and port != 0


def _check_failpoint(settings: Settings) -> None:
    """A variable that kills the process is for tests: with real money it is a mistake."""
    wanted = os.environ.get("CONNECTOR_FAILPOINT", "")
    if wanted and not settings.sandbox:
        raise DomainError("CONNECTOR_FAILPOINT works in sandbox mode only: unset it.")
    if wanted and not _FAILPOINT.fullmatch(wanted):
        raise DomainError("CONNECTOR_FAILPOINT is a name or name:n, such as commit.after:3: correct it, or unset it.")


def _plain(message: str) -> str:
    """A message of pydantic as a part of our sentence."""
    return message.removeprefix("Value error, ").rstrip(".")


def _check_names() -> None:
    """Refuse misspelt variables, which would otherwise be ignored in silence, and one that would tell too much."""
    known = {"CONFIG", "FAILPOINT", *(name.upper() for name in Settings.model_fields)}
    for variable in os.environ:
        if variable.upper().startswith("CONNECTOR_") and variable.upper()[10:].split("__")[0] not in known:
            raise DomainError(f"{variable} is not a setting: check its spelling against config/connector.toml.")
    if "STRIPE_LOG" in os.environ:
        raise DomainError("STRIPE_LOG makes Stripe's library print personal data: unset it.")
