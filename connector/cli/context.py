"""Opens the application for one command; in sandbox mode, tells the sandboxes what time it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from sqlalchemy import select

from connector.billing.clinics import Location, location_by_slug
from connector.billing.members import Member
from connector.cli.account import account_name
from connector.cli.output import visible
from connector.clock import Clock
from connector.daemon.application import application
from connector.database.engine import database_address, require_sound
from connector.errors import DomainError, EdgeError
from connector.logs import configure
from connector.messaging.mailer import Mailer
from connector.messaging.senders import open_mailer, open_sms
from connector.messaging.sms import SmsSender
from connector.settings import Settings, is_loopback, load_settings
from connector.use_cases.context import Context
from connector.use_cases.practice.location_settings import open_pending


@contextmanager
def opened(
    *, begin: bool = False, stripe: bool = False, sends: bool = False, looks_only: bool = False
) -> Iterator[Context]:
    """The context of the installation that settings and environment describe.

    `begin` allows to begin a new one in an empty folder; `stripe` insists on a key, and like `sends` on a database that
    is not damaged; `looks_only` leaves the clocks of the sandboxes alone. Raises DomainError otherwise.
    """
    settings = load_settings()
    if stripe:
        require_key(settings)
    if not begin:
        _require_database(settings)
    configure(
        settings.log.model_copy(update={"level": "warning" if settings.log.level == "info" else settings.log.level})
    )
    with application(settings) as context:
        if stripe or sends:
            require_sound(context.database)
        if settings.clock.now and not looks_only:
            move_sandboxes(settings, context, context.clock)
        yield context


def require_key(settings: Settings) -> None:
    """Raise DomainError unless a Stripe key is set."""
    if not settings.stripe.secret_key.get_secret_value():
        raise DomainError("No Stripe key is set: set CONNECTOR_STRIPE__SECRET_KEY.")


def _require_database(settings: Settings) -> None:
    """Neither a mistyped folder nor a file that was lost may become a second, empty installation."""
    url = database_address(settings.database_url)
    if url.get_backend_name() != "sqlite":
        return
    file = Path(url.database or "")
    if not file.exists():
        raise DomainError(
            f"There is no database {file}: go to the folder of your installation, set CONNECTOR_DATA_DIR, "
            "or begin with `connector locations add`."
        )
    if file.stat().st_size == 0:
        raise DomainError(
            f"The database {file} is empty: restore a backup in its place, or begin with `connector locations add`."
        )


def senders(context: Context) -> tuple[Mailer, SmsSender]:
    """Where this installation's e-mail and SMS go."""
    settings = load_settings()
    return open_mailer(settings, settings.data_dir, context.clock), open_sms(settings, settings.data_dir)


def outbox() -> Path | None:
    """The folder that e-mail is put into; None where a mail server sends it."""
    settings = load_settings()
    return settings.data_dir / "outbox" if settings.mail.backend == "outbox" else None


def find_location(context: Context, slug: str) -> Location:
    """The location of that short name. Raises DomainError when there is none."""
    with context.database.read() as session:
        return location_by_slug(session, slug)


def open_if_ready(context: Context, slug: str) -> str:
    """Open a location that waits for its Stripe account if that is ready now; else the sentence that says why not."""
    try:
        open_pending(context, find_location(context, slug))
    except (DomainError, EdgeError) as error:
        return str(error)
    return ""


def location_of_member(context: Context, member_id: str) -> Location:
    """The location that a member belongs to. Raises DomainError when there is no such member."""
    with context.database.read() as session:
        member = session.get(Member, member_id)
        if member is None:
            raise DomainError(f"There is no member {member_id!r}: see `connector members list --location SLUG`.")
        return session.get_one(Location, member.location_id)


def actor() -> str:
    """Who gives the command, e.g. 'person:mia': the system's account, marked so that it is never the machine's own."""
    return f"person:{visible(account_name())}"


def move_sandboxes(settings: Settings, context: Context, clock: Clock) -> None:
    """Set the clocks of the sandboxes on this machine, so that what they stamp agrees with ours."""
    with context.database.read() as session:
        bases = {str(row.pms_settings.get("base_url", "")) for row in session.scalars(select(Location))}
    addresses = {
        httpx.URL(base).copy_with(path="/", query=None)
        for base in {settings.stripe.api_base, *bases}
        if is_loopback(base)
    }
    for address in sorted(addresses, key=str):
        try:
            httpx.post(
                address.join("/_sandbox/clock"), json={"now": clock.now().isoformat()}, timeout=60, trust_env=False
            )
        except httpx.HTTPError:
            raise DomainError(f"The sandbox at {address} does not answer: start it with `connector sandbox`.") from None
