"""The texts of messages. They name the practice and the next step, and nothing about health."""

from __future__ import annotations

from connector.messaging.mailer import Mail


def invitation(to: str, given_name: str, practice: str, url: str) -> Mail:
    """Asks a member to sign up on the hosted page, which is valid for a day."""
    text = (
        f"Dear {given_name},\n\n"
        f"{practice} has prepared your membership. Please choose how you would like to pay on this secure page:\n\n"
        f"{url}\n\n"
        "The page is valid for one day. If it has expired, please ask us for a new one.\n\n"
        f"{practice}\n"
    )
    return Mail(to, f"Your membership at {practice}", text)
