"""The rhythm of the daemon's work."""

from __future__ import annotations

from connector.daemon.jobs import within_read_budget
from connector.settings import DaemonSettings
from tests.support.practice import Practice


def test_the_daemon_asks_for_news_no_more_often_than_its_payments_allow(practice: Practice) -> None:
    """With one payment a month a minute is too often; what else is set stays as it is."""
    practice.paid()
    wanted = DaemonSettings(event_interval_seconds=60, billing_interval_seconds=60)

    settings = within_read_budget(wanted, practice.context)

    assert (settings.event_interval_seconds, settings.billing_interval_seconds) == (288, 60)
