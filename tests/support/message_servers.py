"""Servers that take messages: the simulated SMS providers, and a mail server that does what a test tells it."""

from __future__ import annotations

import base64
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import partial
from types import TracebackType
from typing import Any, Self

import httpx
from pydantic import SecretStr

from connector.messaging.senders import open_sms
from connector.messaging.sms import SmsSender
from connector.sandbox.messaging import create_app
from connector.sandbox.messaging.phone_box import SECRET, USER
from connector.sandbox.messaging.twilio import ACCOUNT, KEY
from connector.settings import Settings, SmsSettings
from tests.support.servers import Server

MAIL_USER = "practice"
MAIL_PASSWORD = "open sesame"


class PhoneSandbox:
    """The running providers, and their control endpoints."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._http = httpx.Client(base_url=address, timeout=10, trust_env=False)

    def sender(self, backend: str, **changes: Any) -> SmsSender:
        """A back end with the right keys, unless the test wants others."""
        twilio = {"account": ACCOUNT, "user": KEY, "sender": "+61491570006"} if backend == "twilio" else {}
        fields = {"user": USER, "secret": SecretStr(SECRET), "api_base": self.address, "timeout_seconds": 5}
        sms = SmsSettings.model_validate({"backend": backend, **fields, **twilio, **changes})
        settings = Settings.model_construct(sms=sms)
        return open_sms(settings, settings.data_dir)

    def accepted(self) -> list[dict[str, str]]:
        """What was taken for delivery."""
        messages: list[dict[str, str]] = self._http.get("/_sandbox/messages").json()["messages"]
        return messages

    def trouble(self, number: str, trouble: str) -> None:
        self._http.post("/_sandbox/troubles", json={"number": number, "trouble": trouble}).raise_for_status()

    def fault(self, **fields: Any) -> None:
        """Arm a fault."""
        self._http.post("/_sandbox/faults", json=fields).raise_for_status()

    def clear(self) -> None:
        """As if newly started."""
        for path in ("messages", "troubles", "faults"):
            self._http.delete(f"/_sandbox/{path}").raise_for_status()

    def close(self) -> None:
        self._http.close()


@contextmanager
def phone_sandbox() -> Iterator[PhoneSandbox]:
    """The providers on a free port."""
    server = Server(create_app)
    server.start()
    sandbox = PhoneSandbox(server.address)
    try:
        yield sandbox
    finally:
        sandbox.close()
        server.stop()


@dataclass(slots=True)
class Delivery:
    """One message as it came over the wire."""

    sender: str
    recipient: str
    content: bytes

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=default)


@dataclass
class MailScript:
    """What the mail server offers, and how it answers out of turn."""

    extensions: tuple[str, ...] = ("8BITMIME",)
    replies: dict[str, str] = field(default_factory=dict)
    """By command (CONNECT, MAIL, RCPT, DATA, END, AUTH, QUIT, STARTTLS); '' breaks the connection."""


class MailServer:
    """A mail server on loopback; takes what the script lets it take."""

    def __init__(self) -> None:
        self.script = MailScript()
        self.deliveries: list[Delivery] = []
        self.commands: list[str] = []

    def __enter__(self) -> Self:
        self._server = _Listener(("127.0.0.1", 0), partial(_Conversation, self))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def begin(self, *extensions: str, **replies: str) -> None:
        """Forget what was, and follow a new script."""
        self.script = MailScript(("8BITMIME", *extensions), replies)
        # A conversation of before, which may still be under way, keeps its own.
        self.deliveries = []
        self.commands = []


class _Listener(socketserver.ThreadingTCPServer):
    """Accepts connections; a client that hangs up in the middle is part of the tests and no news."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Conversation(socketserver.StreamRequestHandler):
    """One connection (RFC 5321)."""

    timeout = 10

    def __init__(self, state: MailServer, *connection: Any) -> None:
        self.server_state = state
        super().__init__(*connection)

    def handle(self) -> None:
        self._sender = self._recipient = ""
        self._script, self._deliveries = self.server_state.script, self.server_state.deliveries
        commands = self.server_state.commands
        if not self._reply("CONNECT", "220 sandbox"):
            return
        while line := self.rfile.readline(1000):
            # What is not ASCII is a syntax error in this protocol; it is answered, not choked on.
            text = line.decode("ascii", errors="replace").strip()
            verb = text.split(" ")[0].upper()
            commands.append(verb)
            if not self._obey(verb, text):
                return

    def _obey(self, verb: str, text: str) -> bool:
        """Whether the connection goes on."""
        match verb:
            case "EHLO":
                lines = ["sandbox", *self._script.extensions]
                return self._say(*(f"250-{name}" for name in lines[:-1]), f"250 {lines[-1]}")
            case "MAIL":
                self._sender = text.partition("<")[2].partition(">")[0]
            case "RCPT":
                self._recipient = text.partition("<")[2].partition(">")[0]
            case "DATA":
                return self._data()
            case "AUTH":
                return self._reply("AUTH", "235 welcome" if _right_login(text) else "535 wrong")
            case "STARTTLS":
                return self._reply("STARTTLS", "502 not here")
            case "QUIT":
                self._reply("QUIT", "221 bye")
                return False
        return self._reply(verb, "250 fine")

    def _data(self) -> bool:
        if not self._reply("DATA", "354 go ahead"):
            return False
        if self._script.replies.get("DATA"):
            return True
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        self._deliveries.append(Delivery(self._sender, self._recipient, b"".join(lines)))
        return self._reply("END", "250 taken")

    def _reply(self, stage: str, usual: str) -> bool:
        answer = self._script.replies.get(stage, usual)
        return bool(answer) and self._say(answer)

    def _say(self, *lines: str) -> bool:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())
        return True


def _right_login(command: str) -> bool:
    """AUTH PLAIN with the initial response, as the client sends it."""
    words = command.split(" ")
    expected = f"\0{MAIL_USER}\0{MAIL_PASSWORD}".encode()
    return words[1:2] == ["PLAIN"] and base64.b64decode(words[2]) == expected
