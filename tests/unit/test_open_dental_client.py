"""Open Dental's dialect: pages that move, the relay's 400, the pace, and the settings."""

from __future__ import annotations

import httpx
import pytest
import respx

from connector.errors import DomainError, UnexpectedResponse
from connector.pms_adapters.manifest import RepeatSafety
from connector.pms_adapters.open_dental.client import WALK_ATTEMPTS, OpenDentalClient, names_a_refusal
from connector.pms_adapters.open_dental.manifest import MANIFEST, manifest_for
from connector.pms_adapters.open_dental.settings import Mode, OpenDentalSettings, Reversals
from connector.pms_adapters.pace import Deadline

BASE = "http://server:30223/api/v1"
SETTINGS = {"base_url": BASE, "developer_key": "vendor-key", "customer_key": "office-key"}


class List:
    """A paged list of numbered rows in which rows can vanish between two pages."""

    def __init__(self, count: int, vanish: dict[int, int]) -> None:
        self.rows = list(range(1, count + 1))
        self.vanish = vanish
        self.calls = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        if self.calls in self.vanish:
            self.rows.remove(self.vanish[self.calls])
        offset = int(request.url.params.get("Offset", 0))
        return httpx.Response(200, json=[{"PayNum": number} for number in self.rows[offset : offset + 100]])


def walk(pages: List | list[httpx.Response]) -> list[object]:
    client = OpenDentalClient(OpenDentalSettings.parse(SETTINGS), sleep=lambda _: None)
    with respx.mock() as router:
        router.get(f"{BASE}/payments").mock(side_effect=pages)
        rows = client.pages("payments", "PayNum", {"PatNum": 7}, Deadline(5))
    client.close()
    return [row["PayNum"] for row in rows]


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 199, 200, 250])
def test_a_list_is_walked_to_its_end(count: int) -> None:
    """Nothing is missing and nothing is doubled at the seams."""
    assert walk(List(count, {})) == list(range(1, count + 1))


@pytest.mark.parametrize("gone", [1, 50, 99, 100])
def test_a_row_deleted_before_the_seam_makes_the_walk_start_over(gone: int) -> None:
    """It pulls an unread row into the part that was read, where nobody would look again."""
    moving = List(250, {2: gone})

    assert walk(moving) == [number for number in range(1, 251) if number != gone]


def test_a_list_that_never_stands_still_is_an_error() -> None:
    """Bounded, and never a list with holes."""
    with pytest.raises(UnexpectedResponse):
        walk(List(500, {call: call for call in range(2, 2 + 3 * WALK_ATTEMPTS)}))


@pytest.mark.parametrize("rows", [[1, 2, 1], [{"PayNum": 1}, {"PayNum": 1}], {"PayNum": 1}, ["x"]], ids=str)
def test_a_list_with_repeats_or_without_rows_is_an_error(rows: object) -> None:
    """A list that contradicts itself is not trusted."""
    with pytest.raises(UnexpectedResponse):
        walk([httpx.Response(200, json=rows)] * WALK_ATTEMPTS)


def test_every_request_carries_the_keys_and_the_content_type() -> None:
    """The API demands the content type also on reads."""
    client = OpenDentalClient(OpenDentalSettings.parse(SETTINGS))
    with respx.mock() as router:
        route = router.get(f"{BASE}/securityperms").respond(json=[])
        client.rows("securityperms", {}, Deadline(5))
    client.close()

    headers = route.calls.last.request.headers
    assert headers["authorization"] == "ODFHIR vendor-key/office-key"
    assert headers["content-type"] == "application/json"


def test_remote_calls_are_spaced_by_a_second_and_local_ones_are_not() -> None:
    """The relay's rate budget is one call per second and key pair."""
    for mode, spaced in ((Mode.REMOTE, True), (Mode.SERVICE, False)):
        slept: list[float] = []
        settings = OpenDentalSettings.parse({**SETTINGS, "base_url": "https://relay.test/api/v1", "mode": mode})
        client = OpenDentalClient(settings, sleep=slept.append)
        with respx.mock() as router:
            router.get("https://relay.test/api/v1/securityperms").respond(json=[])
            for _ in range(4):
                client.rows("securityperms", {}, Deadline(60))
        client.close()

        # The four calls take no time themselves, so the last one is asked to wait for almost three turns.
        assert (max(slept, default=0.0) > 1.5) is spaced


@pytest.mark.parametrize(
    ("sentence", "refusal"),
    [
        ("PatNum is required.", True),
        ('"PayType is invalid."', True),
        ("Payment Date must not be a future date.", True),
        ("payments POST requires version 23.1.27 or later.", True),
        ("Patient not found.", True),
        ("The office's eConnector is not running.", False),
        ("Two eConnectors are required to be off: version mismatch.", False),
        ("The office did not respond.", False),
        ("Timed out.", False),
        ("", False),
        ("<html>Bad Request</html>", False),
    ],
)
def test_a_400_of_the_relay_is_a_refusal_only_when_it_says_so(sentence: str, refusal: bool) -> None:
    """In doubt the write may have been carried out."""
    assert names_a_refusal(sentence) is refusal


@pytest.mark.parametrize(
    ("address", "mode"),
    [
        ("https://api.opendental.com/api/v1", Mode.REMOTE),
        ("http://localhost:30222/api/v1", Mode.LOCAL),
        ("http://server:30223/api/v1/", Mode.SERVICE),
        ("https://notopendental.com/api/v1", Mode.SERVICE),
    ],
)
def test_the_address_tells_the_mode(address: str, mode: Mode) -> None:
    """A setting overrides the guess, and no repr shows a key."""
    settings = OpenDentalSettings.parse({**SETTINGS, "base_url": address})

    assert settings.mode is mode
    assert OpenDentalSettings.parse({**SETTINGS, "base_url": address, "mode": "Service"}).mode is Mode.SERVICE
    assert not settings.base_url.endswith("/")
    assert "key" not in repr(settings).replace("_key", "")


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:30222/api/v1",
        "http://192.168.1.20:30223/api/v1",
        "http://od.practice.local:30223/api/v1",
        "http://[fd00::5]:30223/api/v1",
        "https://practice.example.com/api/v1",
    ],
)
def test_a_server_of_the_office_needs_no_https(address: str) -> None:
    """Nor does this machine; another one on the internet is reached with it."""
    assert OpenDentalSettings.parse({**SETTINGS, "base_url": address, "mode": "service"}).base_url == address


@pytest.mark.parametrize(
    "changes",
    [
        {"base_url": "server:30223"},
        {"base_url": "ftp://server/api"},
        {"base_url": "http://"},
        {"base_url": "http://user:pass@server/api"},
        {"base_url": "http://server/api?x=1"},
        {"base_url": "http://server:99999/api"},
        {"base_url": "http://[::1/api"},
        {"base_url": "http://api.opendental.com/api/v1"},
        {"base_url": "http://practice.example.com:30223/api/v1"},
        {"base_url": "http://203.0.114.9:30223/api/v1"},
        {"base_url": "http://169.254.169.254/latest"},
        {"base_url": "https://[fe80::1]/api"},
        {"base_url": "http://[::ffff:169.254.169.254]/api"},
        {"base_url": "http://0.0.0.0:8321/"},
        {"base_url": "http://[::]:8321/"},
        {"base_url": "http://metadata.google.internal/api"},
        {"base_url": "http://METADATA./api"},
        {"base_url": "https://100.100.100.200/api"},
        {"base_url": "http://2130706433:30223/api"},
        {"base_url": "http://server\\@other/api"},
        {"base_url": "http://ser\tver/api"},
        {"base_url": "http://server/a b"},
        {"mode": "cloud"},
        {"reversals": "sometimes"},
        {"customer_key": "two words"},
        {"customer_key": "line\nbreak"},
        {"developer_key": "schlüssel"},
        {"developer_key": "a/b"},
    ],
    ids=str,
)
def test_a_malformed_setting_is_refused_by_name_without_its_value(changes: dict[str, str]) -> None:
    """The sentence names the setting; keys are not repeated."""
    with pytest.raises(DomainError) as caught:
        OpenDentalSettings.parse({**SETTINGS, **changes})

    ((name, value),) = changes.items()
    assert name in str(caught.value)
    assert not name.endswith("_key") or value not in str(caught.value)


def test_the_manifest_bounds_every_connection() -> None:
    """The engine plans with the factory's facts before a connection is open."""
    remote = manifest_for(OpenDentalSettings.parse({**SETTINGS, "mode": "remote", "base_url": "https://x.test"}))
    service = manifest_for(OpenDentalSettings.parse(SETTINGS))

    assert remote == MANIFEST
    assert service.call_deadline < MANIFEST.call_deadline
    assert (MANIFEST.reference_length, MANIFEST.repeat_safety) == (25, RepeatSafety.READ_BACK)
    assert {field.name for field in MANIFEST.settings if field.secret} == {"developer_key", "customer_key"}
    assert OpenDentalSettings.parse(SETTINGS).reversals is Reversals.REFUND
