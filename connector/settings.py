"""Settings of one installation: `connector.toml`, overridden by environment variables `CONNECTOR_…` (nested with `__`).

Nothing is read on import. What staff edit from day to day (plans, locations) lives in the database instead.
"""

from __future__ import annotations

import os
import re
import tomllib
from datetime import datetime
from decimal import Decimal
from email.utils import getaddresses
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from connector.addresses import is_this_machine, is_web_address
from connector.clock import as_utc
from connector.errors import DomainError
from connector.files import NotAnOrdinaryFile, open_ordinary
from connector.phrases import phrase
from connector.plain_numbers import PARSING, plain

STRIPE_API = "https://api.stripe.com"
CONFIG_FILE = "connector.toml"
"""Read when it is there; CONNECTOR_CONFIG names another one, which must be there."""
CONFIG_MAX = 1_000_000
"""Bytes; whatever is longer is no configuration."""

_PHRASES = {
    "extra_forbidden": "is not a setting: check its spelling against config/connector.toml",
    "string_pattern_mismatch": "does not have the form that config/connector.toml describes",
    "model_type": "has parts of its own: give each of them by its name",
    "dict_type": "has parts of its own: give each of them by its name",
}
"""What is said of settings otherwise than everywhere."""
_FAILPOINT = re.compile(r"[a-z_.*]+(:[1-9][0-9]{0,8})?", re.ASCII)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: object, info: ValidationInfo) -> object:
        kind = PARSING.get(cls.model_fields[info.field_name or ""].annotation)
        return plain(kind, value) if kind else value


class DatabaseSettings(_Section):
    """Where state is kept. Empty: the SQLite file `connector.sqlite3` in the data directory."""

    url: str = Field(default="", repr=False)
    """May carry a password, so it is never shown."""


class StripeSettings(_Section):
    """The practice's Stripe account; a restricted key is enough."""

    secret_key: SecretStr = SecretStr("")
    account: str = Field(default="", pattern=r"^(acct_[A-Za-z0-9]{1,64})?$")
    """The practice's account when the key is a platform's, which may then take fees. Empty: the key's own."""
    webhook_secret: SecretStr = SecretStr("")
    """Of the webhook endpoint; two separated by a comma while the secret is being changed. Empty: no webhooks."""
    api_base: str = STRIPE_API
    timeout_seconds: float = Field(default=30, gt=0, le=80)
    success_url: str = "https://smilepass.com/thank-you"
    """Where Stripe's hosted page sends the patient afterwards; any static page."""

    @field_validator("success_url")
    @classmethod
    def _page(cls, value: str) -> str:
        if not is_web_address(value):
            raise ValueError("give the address of a page, such as https://example.org/thank-you")
        return value

    @property
    def webhook_secrets(self) -> list[str]:
        """Each secret with which a webhook may be signed."""
        given = self.webhook_secret.get_secret_value().split(",")
        return [secret.strip() for secret in given if secret.strip()]


class MailSettings(_Section):
    """E-mail to members and staff: by a mail server, or into the folder `outbox` of the data directory."""

    backend: Literal["outbox", "smtp"] = "outbox"
    sender: str = "SmilePass <no-reply@smilepass.invalid>"
    host: str = Field(default="", pattern=r"^[A-Za-z0-9.-]*$")
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    """none: for a mail server on this machine only."""
    user: str = Field(default="", repr=False)
    """Empty: the server asks for no login."""
    password: SecretStr = SecretStr("")
    timeout_seconds: float = Field(default=30, gt=0, le=80)

    @field_validator("sender")
    @classmethod
    def _one_address(cls, value: str) -> str:
        name_and_address = getaddresses([value])
        if len(name_and_address) != 1 or "@" not in name_and_address[0][1].strip("@") or not value.isprintable():
            raise ValueError("the sender is one e-mail address, with or without a name")
        return value

    @model_validator(mode="after")
    def _complete(self) -> MailSettings:
        if self.backend != "smtp":
            return self
        if not self.host or self.sender.rstrip(">").endswith(".invalid"):
            raise ValueError("smtp needs a host and a sender address of your own")
        if self.security == "none" and not is_loopback(f"//{self.host}"):
            raise ValueError("security none is for a mail server on this machine only: use starttls or tls")
        return self


class SmsSettings(_Section):
    """SMS to members: by a provider, or into the folder `outbox` of the data directory."""

    backend: Literal["outbox", "twilio", "clicksend", "messagemedia"] = "outbox"
    sender: str = Field(default="", pattern=r"^(\+?[0-9]{3,15}|[A-Za-z0-9 ]{1,11}|MG[0-9a-f]{32})?$")
    """A number, a name that is registered for the practice (in Australia with the ACMA), or Twilio's messaging
    service. Empty: the provider chooses, which Twilio does not."""
    account: str = Field(default="", pattern=r"^(AC[0-9a-f]{32})?$")
    """Twilio's account; the other providers know it from the user."""
    user: str = Field(default="", repr=False)
    secret: SecretStr = SecretStr("")
    """User and secret are an API key with its secret, or ClickSend's user name with the API key."""
    api_base: str = ""
    """Empty: the provider's own address. Otherwise a sandbox on this machine."""
    timeout_seconds: float = Field(default=20, gt=0, le=80)

    @model_validator(mode="after")
    def _complete(self) -> SmsSettings:
        if self.api_base and not (is_web_address(self.api_base) and is_loopback(self.api_base)):
            raise ValueError("api_base must be empty or the http address of a sandbox on this machine")
        if self.backend != "outbox" and not (self.user and self.secret.get_secret_value()):
            raise ValueError("a provider needs user and secret")
        if self.backend == "twilio" and not (self.account and self.sender):
            raise ValueError("twilio needs account and sender")
        return self


class LinkSettings(_Section):
    """The patients' pages behind secure links; they listen on loopback, and a proxy or tunnel brings the public."""

    public_url: str = ""
    """Where patients reach them, such as https://pay.example.org. Empty: there are none, and links go to Stripe."""
    port: int = Field(default=8322, ge=0, le=65535)

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        if not value:
            return ""
        origin = value.rstrip("/")
        if not is_web_address(origin) or origin != "{0.scheme}://{0.netloc}".format(urlsplit(origin)):
            raise ValueError("give scheme and host only, such as https://pay.example.org")
        if origin.startswith("http:") and not is_loopback(origin):
            raise ValueError("use https, because whoever reads a link on its way can use it")
        return origin


class TierSettings(_Section):
    """The platform's rates of one tier, in per cent of a payment."""

    membership_percent: Decimal = Field(ge=0, le=100, decimal_places=2)
    other_percent: Decimal = Field(ge=0, le=100, decimal_places=2)
    gst_percent: Decimal = Field(default=Decimal(6), ge=0, le=100, decimal_places=2)
    """Of the fee, as the platform states it."""


class PlatformSettings(_Section):
    """The practice's contract with the platform. A location names its tier in its own settings."""

    tiers: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")], TierSettings] = Field(default_factory=dict)
    """Rates by the name of the tier, in lower case; they stand in for the built-in ones or add to them."""


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
    sms: SmsSettings = SmsSettings()
    links: LinkSettings = LinkSettings()
    platform: PlatformSettings = PlatformSettings()
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
        return init_settings, env_settings, InitSettingsSource(settings_cls, _configured())

    @property
    def database_url(self) -> str:
        return self.database.url or f"sqlite:///{(self.data_dir / 'connector.sqlite3').absolute().as_posix()}"

    @property
    def sandbox(self) -> bool:
        """True when Stripe is a sandbox on this machine and the key cannot be a live one."""
        return is_loopback(self.stripe.api_base) and "_live_" not in self.stripe.secret_key.get_secret_value()


def _configured() -> dict[str, Any]:
    """What the configuration file says. Raises DomainError for one that was named, or is there, and cannot be read."""
    named = os.environ.get("CONNECTOR_CONFIG")
    if named is None and not Path(CONFIG_FILE).exists():
        return {}
    try:
        with open_ordinary(Path(CONFIG_FILE if named is None else named).expanduser()) as stream:
            content = stream.read(CONFIG_MAX)
    except (OSError, NotAnOrdinaryFile) as error:
        reason = (error.strerror or "").lower() if isinstance(error, OSError) else "no ordinary file"
        what = f"The file {CONFIG_FILE}" if named is None else "The file that CONNECTOR_CONFIG names"
        raise DomainError(f"{what} cannot be read ({reason}): check its name and its permissions.") from None
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise DomainError(f"The configuration file cannot be read: {str(error).rstrip('.')}.") from None
    except UnicodeDecodeError:
        raise DomainError("The configuration file cannot be read: save it as a text file in UTF-8.") from None
    except (ValueError, RecursionError):
        raise DomainError("The configuration file holds a number or a nesting beyond all limits: correct it.") from None


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine."""
    try:
        return is_this_machine(urlsplit(url).hostname or "")
    except ValueError:
        return False


def load_settings(**overrides: object) -> Settings:
    """Read and check all settings. Raises DomainError with one sentence per mistake, never with a value."""
    _check_names()
    try:
        settings = Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        raise DomainError(f"The settings cannot be used. {'; '.join(map(_mistake, error.errors()))}.") from None
    except SettingsError as error:
        section = "".join(re.findall(r'field "(\w+)"', str(error))).upper()
        raise DomainError(
            f"CONNECTOR_{section} cannot be read: give each setting of the section a variable of its own, named "
            f"CONNECTOR_{section}__ and the name in config/connector.toml."
        ) from None
    if settings.clock.now and not settings.sandbox:
        raise DomainError(
            "CONNECTOR_CLOCK__NOW works in sandbox mode only: unset it, "
            "or point CONNECTOR_STRIPE__API_BASE at a sandbox on this machine."
        )
    _check_stripe(settings.stripe)
    _check_failpoint(settings)
    return settings


def _mistake(item: ErrorDetails) -> str:
    """Which setting, and what is wrong with it."""
    name = ".".join(map(str, item["loc"]))
    return f"{name}{':' if item['type'] == 'value_error' else ''} {phrase(item, _PHRASES)}"


def _check_stripe(stripe: StripeSettings) -> None:
    """The key goes to Stripe or to this machine and nowhere else, and a live one never to a sandbox."""
    if stripe.api_base == STRIPE_API:
        return
    if not is_web_address(stripe.api_base) or not is_loopback(stripe.api_base):
        raise DomainError(
            f"CONNECTOR_STRIPE__API_BASE must be {STRIPE_API} or the http address of a sandbox on this machine."
        )
    if "_live_" in stripe.secret_key.get_secret_value():
        raise DomainError("CONNECTOR_STRIPE__SECRET_KEY is a live key, which no sandbox may see: use a test key.")


def _check_failpoint(settings: Settings) -> None:
    """A variable that kills the process is for tests: with real money it is a mistake."""
    wanted = os.environ.get("CONNECTOR_FAILPOINT", "")
    if wanted and not settings.sandbox:
        raise DomainError("CONNECTOR_FAILPOINT works in sandbox mode only: unset it.")
    if wanted and not _FAILPOINT.fullmatch(wanted):
        raise DomainError("CONNECTOR_FAILPOINT is a name or name:n, such as commit.after:3: correct it, or unset it.")


def _check_names() -> None:
    """Refuse misspelt variables, which would otherwise be ignored in silence, and one that would tell too much."""
    known = {"CONFIG", "FAILPOINT", *(name.upper() for name in Settings.model_fields)}
    for variable in os.environ:
        if variable.upper().startswith("CONNECTOR_") and variable.upper()[10:].split("__")[0] not in known:
            raise DomainError(f"{variable} is not a setting: check its spelling against config/connector.toml.")
    if "STRIPE_LOG" in os.environ:
        raise DomainError("STRIPE_LOG makes Stripe's library print personal data: unset it.")
