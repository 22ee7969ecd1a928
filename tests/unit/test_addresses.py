"""Addresses of the web: what may be one, and which machines are near."""

from __future__ import annotations

import pytest

from connector.addresses import is_near, is_this_machine, is_web_address


@pytest.mark.parametrize(
    "text",
    [
        "https://pay.example.org",
        "http://OD_SERVER:30223/api/v1",
        "http://192.168.1.20:30222",
        "http://[fd00::5]:30222/api",
        "https://example.org/ok?s={CHECKOUT_SESSION_ID}",
        "https://1.example.org./",
    ],
)
def test_a_plain_address_is_one(text: str) -> None:
    """With a name, a number, a port, a path or a query."""
    assert is_web_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pay.example.org",
        "javascript:alert(1)",
        "ftp://example.org",
        "http://",
        "https://user@example.org",
        "https://user:word@example.org",
        "http://127.0.0.1\\@example.org",
        "http://127.0.0.1:1\\.example.org",
        'https://example.org/"',
        "https://example.org/'",
        "https://example.org/a b",
        "https://exa\tmple.org",
        "https://example.org\n",
        "https://ex%61mple.org",
        "https://exämple.org",
        "https://-example.org",
        "https://a..example.org",
        "http://2130706433",
        "http://0x7f000001",
        "http://0x7f.1",
        "http://127.1",
        "http://0177.0.0.1",
        "http://10.0.0.256",
        "http://1.2.3.4.",
        "http://server:0",
        "http://server:99999",
        "http://[::1",
        "http://[fe80::1%25eth0]",
    ],
)
def test_anything_else_is_none(text: str) -> None:
    """Other schemes, user info, characters that programs read differently, and numbers that are written oddly."""
    assert not is_web_address(text)


@pytest.mark.parametrize(
    ("host", "near", "here"),
    [
        ("localhost", True, True),
        ("127.0.0.2", True, True),
        ("::1", True, True),
        ("::ffff:127.0.0.1", True, True),
        ("10.1.2.3", True, False),
        ("192.168.1.20", True, False),
        ("fd00::5", True, False),
        ("100.101.102.103", True, False),
        ("server", True, False),
        ("od.practice.local", True, False),
        ("8.8.8.8", False, False),
        ("2606:4700::1", False, False),
        ("api.opendental.com", False, False),
        ("local.example.org", False, False),
    ],
)
def test_a_machine_of_the_office_is_near(host: str, near: bool, here: bool) -> None:
    """By a private number or a name of the local network; names of the internet are not."""
    assert (is_near(host), is_this_machine(host)) == (near, here)
