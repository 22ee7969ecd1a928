"""The daemon as a process: it does the main job by itself, tells how it is, and stops as it is asked to."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from connector.ledger.write_back.states import WriteBackState
from tests.support.processes import (
    PEOPLE,
    QUICK,
    SLUG,
    Installation,
    Outside,
    Started,
    health,
    installed,
    outside,
    until,
)

MEMBERS = 3
S = WriteBackState
FLIGHT = "/api/v1/payments"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """Both sandboxes, for all tests of this file."""
    with outside(tmp_path_factory.mktemp("outside"), MEMBERS) as running:
        yield running


@pytest.fixture(scope="module")
def prepared(pair: Outside, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation with linked members whose first payment is due; tests work on copies."""
    return installed(tmp_path_factory.mktemp("prepared") / "data", pair, MEMBERS)


@pytest.fixture
def practice(prepared: Installation, tmp_path: Path) -> Installation:
    """A copy of one's own."""
    return prepared.sibling(tmp_path / "data")


def states(installation: Installation) -> list[WriteBackState]:
    """Where each write-back stands."""
    return [row.state for row in installation.write_backs()]


def all_confirmed(installation: Installation) -> bool:
    return states(installation) == [S.CONFIRMED] * MEMBERS


def stop(daemon: Started) -> int:
    """Ask politely and wait; returns the exit code."""
    daemon.process.send_signal(signal.SIGTERM)
    return daemon.ended()


def test_a_daemon_does_the_main_job_by_itself(pair: Outside, practice: Installation) -> None:
    """From a due date to an entry in the practice system without any person, and nothing twice."""
    before = pair.counts()

    with practice.start("serve", **QUICK) as daemon:
        port = daemon.logged("daemon.ready")["port"]
        until(lambda: all_confirmed(practice), "the payments are in the practice system")
        page = health(port)
        metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10, trust_env=False)
        code = stop(daemon)

    after = pair.counts()
    assert code == 0
    assert (after[0] - before[0], after[1] - before[1]) == (MEMBERS, MEMBERS)
    assert (page.status_code, page.json()["ok"]) == (200, True)
    assert set(page.json()["jobs"]) == {
        "news",
        "sweep",
        "billing",
        "matching",
        "write_backs",
        "messages",
        "notices",
        "day_sheets",
        "day_close",
    }
    assert not [job for job in page.json()["jobs"].values() if job["late"] or job["problems"]]
    families = {family.name: family for family in text_string_to_metric_families(metrics.text)}
    assert {sample.labels["outcome"] for sample in families["connector_job_runs"].samples} == {"ok"}
    assert {sample.labels["job"] for sample in families["connector_job_last_success"].samples} == set(
        page.json()["jobs"]
    )
    assert families["connector_write_backs_waiting"].samples == []
    assert practice.json("ledger", "verify")["ok"]


def test_the_daemon_logs_json_lines_without_anything_personal(practice: Installation) -> None:
    """Without a terminal every line is a JSON document; names, addresses and e-mails never get there."""
    with practice.start("serve", **QUICK) as daemon:
        port = daemon.logged("daemon.ready")["port"]
        until(lambda: all_confirmed(practice), "the payments are in the practice system")
        told = health(port).text
        assert stop(daemon) == 0

    assert daemon.lines
    assert all(line.startswith("{") and line.endswith("}") for line in daemon.lines), daemon.text
    assert not [event for event in ("job.failed", "job.problem") if daemon.events(event)]
    personal = ["canary", *(word for person in PEOPLE for word in person)]
    assert not [word for word in personal if word in daemon.text + told]


def test_a_stop_waits_for_the_call_under_way(pair: Outside, practice: Installation) -> None:
    """The practice system takes its time; the answer still arrives, and no outcome is left open."""
    before = pair.counts()
    pair.office.post("faults", method="POST", path=FLIGHT, kind="hang", count=1, delay_seconds=2)

    with practice.start("serve", **QUICK, DAEMON__WRITE_BACK_SLOTS="1") as daemon:
        until(lambda: S.SENDING in states(practice), "a write is under way")
        code = stop(daemon)

    assert code == 0
    assert daemon.logged("daemon.stopped")["all_calls_ended"] is True
    assert not daemon.events("job.failed"), daemon.text
    assert not {S.SENDING, S.UNKNOWN} & set(states(practice))
    assert practice.recover(pair).ok
    after = pair.counts()
    assert (after[0] - before[0], after[1] - before[1]) == (MEMBERS, MEMBERS)


def test_a_stop_does_not_wait_longer_than_its_deadline(pair: Outside, practice: Installation) -> None:
    """The practice system hangs: the process ends, the claim stays, and the next run looks before it sends."""
    before = pair.counts()
    pair.office.post("faults", method="POST", path=FLIGHT, kind="hang", count=MEMBERS, delay_seconds=20)

    with practice.start("serve", **QUICK, DAEMON__STOP_DEADLINE_SECONDS="1") as daemon:
        until(lambda: S.SENDING in states(practice), "a write is under way")
        code = stop(daemon)
    pair.office.client.delete(f"{pair.office.address}/_sandbox/faults").raise_for_status()

    assert code == 1
    assert daemon.logged("daemon.stopped")["all_calls_ended"] is False
    assert S.SENDING in states(practice)
    assert practice.recover(pair).ok
    after = pair.counts()
    assert (after[0] - before[0], after[1] - before[1]) == (MEMBERS, MEMBERS)
    assert all_confirmed(practice)


@pytest.mark.parametrize("how", ["asked", "killed"])
def test_one_daemon_at_a_time_works_on_a_database(practice: Installation, how: str) -> None:
    """The second is told who is there; once the first is gone, in whatever way, it may start."""
    with practice.start("serve", **QUICK) as first:
        first.logged("daemon.ready")
        refused = practice.run("serve", **QUICK)
        assert first.process.poll() is None
        if how == "asked":
            assert stop(first) == 0
        else:
            first.process.kill()
            first.ended()

    assert (refused.code, refused.out) == (1, "")
    assert refused.err == (
        f"Error: Another connector daemon (process {first.process.pid}) already works on this database: "
        "stop it first, or use another data directory.\n"
    )
    with practice.start("serve", **QUICK) as second:
        second.logged("daemon.ready")
        assert stop(second) == 0


def test_commands_work_beside_the_running_daemon(practice: Installation) -> None:
    """People look into the queue and the book while the daemon is at work, and may run it by hand as well."""
    with practice.start("serve", **QUICK) as daemon:
        daemon.logged("daemon.ready")

        by_hand = practice.json("run-due")
        listed = practice.json("write-backs", "list", "--location", SLUG)
        until(lambda: all_confirmed(practice), "the payments are in the practice system")
        book = practice.json("ledger", "verify")
        assert stop(daemon) == 0

    assert by_hand["problems"] == []
    assert len(listed) <= MEMBERS
    assert book["ok"]


def test_a_taken_port_is_one_sentence_with_the_next_step(practice: Installation) -> None:
    """The health page cannot be served there, so the daemon does not start at all."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        done = practice.run("serve", DAEMON__PORT=str(port))

    assert done.code == 1
    assert done.err == (f"Error: The port {port} of the health page is taken: set CONNECTOR_DAEMON__PORT to another.\n")
