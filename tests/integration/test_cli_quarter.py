"""A quarter driven by a script from outside: the clock is moved, and `run-due` and `report day` do the rest."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.support.processes import MONDAY, SLUG, installed, outside, settled

MEMBERS = 3
WEEKS = 13
WEEKLY_CENTS = 690
TROUBLE = {2: "reset_after", 4: "status_after", 6: "truncate", 9: "html_200"}
"""Week -> what happens to the first write of that week."""
OUTAGE = 11
"""In this week the practice system is away while the members are charged."""


def test_a_scripted_quarter_ends_with_every_cent_in_the_practice_system(tmp_path: Path) -> None:
    """Weekly steps across the end of summer time, with lost answers and an outage on the way, end with three zeros."""
    with outside(tmp_path, MEMBERS) as pair:
        practice = installed(tmp_path / "data", pair, MEMBERS)
        problems: dict[int, list[str]] = {}

        for week in range(WEEKS):
            monday = practice.at(MONDAY + timedelta(weeks=week))
            if kind := TROUBLE.get(week):
                pair.office.post("faults", method="POST", path="/api/v1/payments", kind=kind, count=1, status=504)
            pair.office.post("down", down=week == OUTAGE)
            done = monday.run("run-due", "--json")
            if done.code:
                problems[week] = done.document["problems"]
            pair.office.post("down", down=False)
            for minutes in (5, 10) if week in TROUBLE or week == OUTAGE else ():
                practice.at(MONDAY + timedelta(weeks=week, minutes=minutes)).json("run-due")
            evening = practice.at(MONDAY + timedelta(weeks=week, hours=12))
            day = (MONDAY + timedelta(weeks=week)).date().isoformat()
            report = evening.json("report", "day", day, "--location", SLUG)
            assert (report["taken"], report["written"]) == ({"count": MEMBERS, "cents": MEMBERS * WEEKLY_CENTS},) * 2
            assert report["agrees"], (week, report)

        assert list(problems) == [OUTAGE]
        assert len(problems[OUTAGE]) == 1
        verdict = practice.verdict(pair)
        assert settled(verdict)
        assert (verdict.charges_succeeded, verdict.entries) == (MEMBERS * WEEKS, MEMBERS * WEEKS)
        assert verdict.written_cents == verdict.charged_cents == MEMBERS * WEEKS * WEEKLY_CENTS
        assert practice.at(MONDAY + timedelta(weeks=WEEKS)).json("ledger", "verify")["ok"]
