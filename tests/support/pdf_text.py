"""Reads back the text of a PDF that was made with fpdf2: what stands on each page, where, and how wide it is.

Only as much of the format as such files use: plain cross-references, embedded TrueType fonts, strings shown by `Tj`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

_TOKEN = re.compile(
    rb"/(?P<font>F\d+) (?P<size>[\d.]+) Tf|(?P<x>-?[\d.]+) (?P<y>-?[\d.]+) Td"
    rb"|\((?P<text>(?:\\.|[^\\)])*)\) Tj|(?P<end>\bET\b)",
    re.DOTALL,
)
_ESCAPED = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


@dataclass(frozen=True)
class Printed:
    """One stretch of text; lengths in points from the lower left corner of the page."""

    text: str
    x: float
    y: float
    width: float


@dataclass(frozen=True)
class Font:
    """What the codes of an embedded font mean and how wide they are, in thousandths of the size."""

    characters: dict[int, str]
    widths: dict[int, float]


class PdfText:
    """The pages of a PDF, in order."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        table = data[int(data.rsplit(b"startxref\n", 1)[1].split()[0]) :]
        self._offsets = [int(offset) for offset in re.findall(rb"^(\d{10}) \d{5} [nf] $", table, re.MULTILINE)]

    @cached_property
    def pages(self) -> list[list[Printed]]:
        kids = re.search(rb"/Kids \[(.*?)\]", self._object(1), re.DOTALL)
        assert kids is not None
        return [list(self._printed(int(number))) for number in re.findall(rb"(\d+) 0 R", kids[1])]

    @property
    def lines(self) -> list[str]:
        return [printed.text for page in self.pages for printed in page]

    def _printed(self, page: int) -> Iterator[Printed]:
        resources = self._object(_reference(self._object(page), b"Resources"))
        names = re.findall(rb"/(F\d+) (\d+) 0 R", resources)
        fonts = {name: self._font(int(number)) for name, number in names}
        font, size, x, y, text, width = Font({}, {}), 0.0, 0.0, 0.0, "", 0.0
        for token in _TOKEN.finditer(self._stream(_reference(self._object(page), b"Contents"))):
            if token["font"]:
                font, size = fonts[token["font"]], float(token["size"])
            elif token["x"]:
                x, y = float(token["x"]), float(token["y"])
            elif token["text"] is not None:
                codes = _codes(token["text"])
                text += "".join(font.characters[code] for code in codes)
                width += sum(font.widths[code] for code in codes) * size / 1000
            elif text:
                yield Printed(text, x, y, width)
                text, width = "", 0.0

    def _font(self, number: int) -> Font:
        body = self._object(number)
        pairs = re.findall(rb"<([0-9A-F]{4})> <([0-9A-F]+)>", self._stream(_reference(body, b"ToUnicode")))
        characters = {int(code, 16): bytes.fromhex(text.decode()).decode("utf-16-be") for code, text in pairs}
        descendant = self._object(_reference(body, b"DescendantFonts"))
        return Font(characters, _widths(descendant.split(b"/W [", 1)[1]))

    def _object(self, number: int) -> bytes:
        """The dictionary of an object, without its stream."""
        body = self._data[self._offsets[number] :]
        return re.split(rb"\nstream\n|\nendobj", body, maxsplit=1)[0]

    def _stream(self, number: int) -> bytes:
        header = self._object(number)
        start = self._offsets[number] + len(header) + len(b"\nstream\n")
        length = re.search(rb"/Length (\d+)", header)
        assert length is not None
        content = self._data[start : start + int(length[1])]
        return zlib.decompress(content) if b"/FlateDecode" in header else content


def _reference(body: bytes, key: bytes) -> int:
    found = re.search(rb"/" + key + rb" \[?(\d+) 0 R", body)
    assert found is not None
    return int(found[1])


def _codes(literal: bytes) -> list[int]:
    plain = re.sub(rb"\\(.)", lambda match: _ESCAPED.get(match[1], match[1]), literal, flags=re.DOTALL)
    return [int.from_bytes(plain[place : place + 2], "big") for place in range(0, len(plain), 2)]


def _widths(array: bytes) -> dict[int, float]:
    """From `first [ width ... ]` and `first last width` (PDF 32000-1, 9.7.4.3)."""
    widths: dict[int, float] = {}
    for many in re.finditer(rb"(\d+) \[([\d. ]*)\]|(\d+) (\d+) ([\d.]+)", array):
        if many[1]:
            widths |= {int(many[1]) + place: float(width) for place, width in enumerate(many[2].split())}
        else:
            widths |= dict.fromkeys(range(int(many[3]), int(many[4]) + 1), float(many[5]))
    return widths
