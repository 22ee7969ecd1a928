"""The style sheet of the patients' pages: what keeps amounts on a narrow screen, whatever stands beside them."""

from __future__ import annotations

import re

import pytest

from connector.web.patient.views import STYLE


@pytest.mark.parametrize(
    ("selector", "rule"),
    [
        ("body", "overflow-wrap: anywhere"),
        ("fieldset", "min-width: 0"),
        # A value is not squeezed to single letters by a long name in front of it.
        ("td", "overflow-wrap: break-word"),
        ("table.compare", "table-layout: fixed"),
        (".amount", "white-space: nowrap"),
        (".date", "white-space: nowrap"),
    ],
)
def test_a_long_word_is_broken_before_it_pushes_an_amount_off_the_screen(selector: str, rule: str) -> None:
    """Seen on a screen of 390 points with names of seventy letters and descriptions of two hundred."""
    rules = re.findall(rf"^{re.escape(selector)} \{{([^}}]*)\}}", STYLE, flags=re.MULTILINE)

    assert any(rule in found for found in rules)
