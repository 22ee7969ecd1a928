"""Sending e-mail: the port, and an outbox folder in which each message is a file that any mail program opens."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Protocol

from connector import ids
from connector.files import private_folder


@dataclass(frozen=True, slots=True, repr=False)
class Mail:
    """One message to one person. Has no repr: address and text are personal."""

    to: str
    subject: str
    text: str


class Mailer(Protocol):
    """Hands a message over for delivery. A message may arrive twice but is never changed."""

    def send(self, mail: Mail) -> None: ...


class OutboxMailer:
    """Puts messages into a folder instead of sending them: for trying things out, and until SMTP is set up."""

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder = folder
        self._sender = sender

    def send(self, mail: Mail) -> None:
        """Write the message as a whole or not at all. The file's name says nothing about the person."""
        message = EmailMessage(policy=SMTP)
        message["From"], message["To"], message["Subject"] = self._sender, mail.to, mail.subject
        message.set_content(mail.text)
        private_folder(self._folder)
        file = self._folder / f"{ids.new_id('mail')}.eml"
        unfinished = file.with_suffix(".part")
        unfinished.write_bytes(message.as_bytes())
        unfinished.replace(file)
