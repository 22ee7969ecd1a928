"""What docs/stripe.md tells a clinic to register is what the program listens to."""

from __future__ import annotations

import re
from pathlib import Path

from connector.billing.stripe.mapping import EVENT_KINDS
from connector.settings import LinkSettings
from connector.web.webhook import PATH

TEXT = (Path(__file__).parents[2] / "docs" / "stripe.md").read_text(encoding="utf-8")


def test_all_events_that_are_acted_on_are_to_be_registered_and_no_others() -> None:
    """In the order of the program."""
    assert re.findall(r"^\| `([a-z_.]+)` \|", TEXT, re.MULTILINE) == list(EVENT_KINDS)


def test_the_address_of_the_webhook_is_where_it_is_served() -> None:
    """Behind the address of the patients' pages, on their port."""
    assert f"https://pay.example.org{PATH}`" in TEXT
    assert f"`links.port` ({LinkSettings().port})" in TEXT
