"""Reading a CSV file of members: what is accepted, what is refused and why, and that no line gets lost."""

from __future__ import annotations

import csv
import io
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.billing.agreements.schedule import Frequency
from connector.billing.intake.card_numbers import holds_card_number
from connector.billing.intake.csv_rows import CONTINUED_MAX, LINE_MAX, RefusedRow
from connector.billing.intake.member_cells import MemberFileRules, MemberRow, person_key
from connector.billing.intake.member_file import read_member_file
from connector.errors import DomainError

TODAY = date(2026, 11, 21)
RULES = MemberFileRules(TODAY, frozenset([Frequency.MONTHLY, Frequency.WEEKLY]), email_needed=False)
INVITING = MemberFileRules(TODAY, frozenset(Frequency))
NAMES = "given_name,family_name"
PAYMENT_CARD = "4242 4242 4242 4242"


def read(content: str | bytes, rules: MemberFileRules = RULES) -> list[MemberRow | RefusedRow]:
    data = content if isinstance(content, bytes) else content.encode()
    return list(read_member_file(io.BytesIO(data), rules))


def accepted(content: str | bytes, rules: MemberFileRules = RULES) -> list[MemberRow]:
    rows = read(content, rules)
    assert not [row for row in rows if isinstance(row, RefusedRow)]
    return [row for row in rows if isinstance(row, MemberRow)]


def refused(content: str | bytes, rules: MemberFileRules = RULES) -> list[RefusedRow]:
    return [row for row in read(content, rules) if isinstance(row, RefusedRow)]


def with_cell(column: str, cell: str) -> str:
    """A file with one row that is good but, perhaps, for this cell."""
    values = {"given_name": "Ada", "family_name": "Nguyen", column: cell}
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([values.keys(), values.values()])
    return out.getvalue()


def test_a_full_row_becomes_a_member() -> None:
    """Every column is read, trimmed and brought into its form."""
    (row,) = accepted(
        "id,given_name,family_name,date_of_birth,email,phone,address,suburb,state,postcode,frequency,start_date,"
        "stripe_payment_method\n"
        "P-7,  Ada ,van  Nguyen,3/9/1980,ada@example.com,(02) 9123 4567,1 High St,Ryde,NSW,2112,Weekly,2026-12-01,"
        "pm_1abc\n"
    )

    assert (row.external_id, row.given_name, row.family_name, row.line) == ("P-7", "Ada", "van Nguyen", 2)
    assert (row.date_of_birth, row.email, row.phone) == (date(1980, 9, 3), "ada@example.com", "+61291234567")
    assert (row.address, row.suburb, row.state, row.postcode) == ("1 High St", "Ryde", "NSW", "2112")
    assert (row.frequency, row.start_date) == (Frequency.WEEKLY, date(2026, 12, 1))
    assert row.processor_method_id == "pm_1abc"


@pytest.mark.parametrize(
    "content",
    [
        "FAMILY NAME,shoe size,Given-Name\nNguyen,9,Ada\n",
        "\ufeffgiven_name,family_name\r\nAda,Nguyen\r\n",
        "given_name;family_name\nAda;Nguyen\n",
        'given_name,family_name\n"Ada","Nguyen"',
        "\n\ngiven_name,family_name\n\n , \nAda,Nguyen\n,\n\n",
        "given_name,family_name\rAda,Nguyen\r",
    ],
    ids=["any order and spelling", "byte order mark", "semicolons", "quoted", "blank rows", "old line ends"],
)
def test_common_spellings_of_a_file_are_read_alike(content: str) -> None:
    """Column order and spelling, byte order mark, separator, quotes, blank rows and line ends make no difference."""
    (row,) = accepted(content)

    assert (row.given_name, row.family_name) == ("Ada", "Nguyen")


def test_blank_optional_cells_take_the_defaults() -> None:
    """Nothing but names is needed when nobody is invited."""
    (row,) = accepted("given_name,family_name,email,phone,date_of_birth,frequency,start_date,id\nAda,Nguyen,,,,,,\n")

    assert (row.email, row.phone, row.date_of_birth, row.start_date) == ("", "", None, None)
    assert row.frequency is Frequency.MONTHLY
    assert row.external_id == f"person-{row.person_key}"


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("given_name", "", "missing"),
        ("family_name", " N/A ", "missing"),
        ("given_name", "...", "no letter"),
        ("given_name", "A" * 101, "longer than 100"),
        ("given_name", "=HYPERLINK(1)", "formula"),
        ("given_name", "+Ada", "formula"),
        ("given_name", "-Ada", "formula"),
        ("family_name", "@Ada", "formula"),
        ("family_name", "\tAda", "formula"),
        ("address", " =1+1", "formula"),
        ("given_name", "A\x07da", "cannot be seen"),
        ("family_name", "Ada\u202enimda", "cannot be seen"),
        ("id", "7" * 101, "longer than 100"),
        ("postcode", "P" * 17, "longer than 16"),
        ("date_of_birth", "N/A", "leave it blank"),
        ("date_of_birth", "31/31/1980", "no such day"),
        ("date_of_birth", "29/02/1981", "no such day"),
        ("date_of_birth", "1980-1-1", "not a date"),
        ("date_of_birth", "1/1/80", "not a date"),
        ("date_of_birth", "1899-12-31", "before 1900"),
        ("date_of_birth", "2026-11-22", "in the future"),
        ("start_date", "2027-11-23", "more than a year ahead"),
        ("email", "n/a", "leave it blank"),
        ("email", "ada", "not an e-mail"),
        ("email", "ada@localhost", "not an e-mail"),
        ("email", "ada@@example.com", "not an e-mail"),
        ("email", "a..da@example.com", "not an e-mail"),
        ("email", "ada.@example.com", "not an e-mail"),
        ("email", "=ada@example.com", "not an e-mail"),
        ("email", "ada@-example.com", "not an e-mail"),
        ("email", "ada@example.com Bcc: bob@example.com", "not an e-mail"),
        ("email", "a" * 65 + "@example.com", "not an e-mail"),
        ("email", "a@" + "example." * 40 + "com", "not an e-mail"),
        ("phone", "none", "leave it blank"),
        ("phone", "123", "cannot be a telephone"),
        ("phone", "4.12E+08", "cannot be a telephone"),
        ("phone", "ask at 0412345678", "cannot be a telephone"),
        ("frequency", "daily", "weekly, fortnightly, monthly, annually"),
        ("frequency", "annually", "not offered annually: choose one of monthly, weekly"),
        ("stripe_payment_method", "cus_123", "start with pm_"),
    ],
)
def test_a_bad_cell_refuses_its_row_with_line_column_and_reason(column: str, cell: str, reason: str) -> None:
    """Each rule for a cell names the place and what to do."""
    (row,) = refused(with_cell(column, cell))

    assert (row.line, row.column) == (2, column)
    assert reason in row.reason


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("given_name", "Na"),
        ("family_name", "O’Brien-Smith"),
        ("family_name", "李"),
        ("date_of_birth", "1900-01-01"),
        ("date_of_birth", "2026-11-21"),
        ("start_date", "2020-02-29"),
        ("email", "o'brien+dental@mail.example.com.au"),
        ("phone", "+61 412 345 678"),
        ("phone", "(02) 9123-4567"),
        ("address", "Unit 4\n12 High St"),
        ("notes", "=1+1"),
        ("frequency", "MONTHLY"),
    ],
)
def test_an_unusual_but_right_cell_is_accepted(column: str, cell: str) -> None:
    """Strictness stops before names, addresses and numbers that people really have."""
    assert len(accepted(with_cell(column, cell))) == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"Ada", "1 cells, but there are 2 columns"),
        (b"Ada,Nguyen,", "3 cells, but there are 2 columns"),
        (b"Zo\xeb,Nguyen", "not UTF-8"),
        (b"A\0da,Nguyen", "not text"),
        (b'Ada,"Nguyen', "quotation mark"),
        (b'"Ada" x,Nguyen', "quotation mark"),
        (b"Ada," + b"n" * LINE_MAX, "longer than 20,000"),
        (f"Ada,{PAYMENT_CARD}".encode(), "card number"),
        (f"Ada,Nguyen,{PAYMENT_CARD}".encode(), "card number"),
    ],
)
def test_a_bad_row_costs_only_its_own_line(row: bytes, reason: str) -> None:
    """The rows before and after a row that cannot be read are accepted."""
    # The NUL comes after the part of the file that is searched for signs of a workbook.
    padding = b"\n" * 70_000
    rows = read(NAMES.encode() + b"\nBea,Lee\n" + padding + row + b'\n"Cy","Ng"\nDi,Wu\n')

    lines = [found.line for found in rows]
    bad = [found for found in rows if isinstance(found, RefusedRow)]
    assert lines == [2, 70_003, 70_004, 70_005]
    assert [(found.line, found.column) for found in bad] == [(70_003, "")]
    assert reason in bad[0].reason


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf\r\n \n", "empty"),
        (b"given_name,email\nAda,ada@example.com\n", "family_name"),
        (b"Ada,Nguyen\n", "given_name or family_name"),
        (b"given_name,family_name,Email,E-mail,EMAIL\n", "email twice"),
        ("given_name,family_name\nAda,Nguyen\n".encode("utf-16"), "not a text file"),
        (b"PK\x03\x04\x14\x00\x06\x00", "not a text file"),
    ],
    ids=["empty", "only blank lines", "one column missing", "no header", "column twice", "UTF-16", "workbook"],
)
def test_a_file_that_cannot_be_used_is_refused_as_a_whole(content: bytes, message: str) -> None:
    """One sentence says what is wrong with the file."""
    with pytest.raises(DomainError, match=message):
        read(content)


@pytest.mark.parametrize(
    ("header", "first", "second", "column"),
    [
        ("id", "7,Ada,Nguyen", "7,Bea,Lee", "id"),
        ("email", "ada@example.com,Ada,Nguyen", "ADA@example.com,ada, NGUYEN", ""),
        ("id", "7,Ada,Nguyen", "8,Ada,Nguyen", ""),
        ("stripe_payment_method", "pm_1,Ada,Nguyen", "pm_1,Bea,Lee", "stripe_payment_method"),
        ("stripe_customer", "cus_1,Ada,Nguyen", "cus_1,Bea,Lee", "stripe_customer"),
    ],
    ids=["id", "person without id", "person with another id", "payment method", "customer"],
)
def test_a_duplicate_is_refused_and_names_the_first_line(header: str, first: str, second: str, column: str) -> None:
    """The same id, person or payment method is taken once; who comes first is taken."""
    one, other, two = read(f"{header},{NAMES}\n{first}\n{second}\n,Cy,Ng\n")

    assert isinstance(one, MemberRow)
    assert isinstance(two, MemberRow)
    assert isinstance(other, RefusedRow)
    assert other.line == 3
    assert other.column == column
    assert other.reason.startswith({"id": "The id is", "": "The person is"}.get(column, "The "))
    assert "line 2" in other.reason


def test_a_refused_row_does_not_make_its_correction_a_duplicate() -> None:
    """Only accepted rows count as the first of their kind."""
    rows = read("id,given_name,family_name,date_of_birth\n7,Ada,Nguyen,soon\n7,Ada,Nguyen,1980-12-31\n")

    assert [type(row) for row in rows] == [RefusedRow, MemberRow]


def test_a_cell_with_line_breaks_is_one_row() -> None:
    """Spreadsheets export such cells; the address gets single spaces."""
    first, second = accepted('given_name,family_name,address\nAda,Nguyen,"Unit 4\n12 High St\n"\nBea,Lee,\n')

    assert (first.line, first.address, second.line) == (2, "Unit 4 12 High St", 5)


def test_a_card_number_that_is_parted_by_a_line_break_is_found() -> None:
    """A row is searched as it will be read."""
    (row,) = refused('given_name,family_name,notes\nAda,Nguyen,"4242 4242\n4242 4242"\n')

    assert "card number" in row.reason


def test_a_row_that_never_ends_costs_one_line() -> None:
    """An open quotation mark does not swallow the rest of the file."""
    names = [f"{chr(97 + i)}{'x' * i}" for i in range(CONTINUED_MAX + 5)]
    rows = read(f'{NAMES}\nAda,"Nguyen\n' + "".join(f"{name},Lee\n" for name in names))

    assert [row.line for row in rows] == list(range(2, len(names) + 3))
    assert [row.line for row in rows if isinstance(row, RefusedRow)] == [2]


@pytest.mark.parametrize(
    "number", ["4242424242424242", PAYMENT_CARD, "4242-4242-4242-4242", "0412 345 678 " + PAYMENT_CARD]
)
def test_a_card_number_is_found_in_any_grouping(number: str) -> None:
    """Digits that pass the check sum are found alone, in groups, and after other digits."""
    assert holds_card_number(f"Paid with {number}.")


@pytest.mark.parametrize(
    "separator",
    ["/", " / ", "_", ", ", " | ", "\u2013", "\u200b", "\t\t\t\t\t", "\n", "):("],
    ids=ascii,
)
def test_a_card_number_is_found_whatever_parts_its_groups(separator: str) -> None:
    """Up to three characters that are no letters; white space is kept as one space, however long it was."""
    assert holds_card_number(f"Paid with {separator.join(PAYMENT_CARD.split())}.")
    assert holds_card_number(f"Amex {separator.join(['3782', '822463', '10005'])}")


@pytest.mark.parametrize(
    "columns",
    [
        {"address": "4242 4242", "suburb": "4242 4242"},
        {"address": "1 High St, 42424242", "postcode": "42424242"},
    ],
)
def test_a_card_number_that_appears_in_what_would_be_kept_is_found(columns: dict[str, str]) -> None:
    """Neighbouring parts of an address are read as one."""
    (row,) = refused(f"{NAMES},{','.join(columns)}\nAda,Nguyen,{','.join(columns.values()).replace('St,', 'St')}\n")

    assert "card number" in row.reason


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424241",
        "+61 412 345 678",
        "+4915123456785",
        "424242424242424242424242",
        "1980-12-31|0412 345 678",
        "0412 556 785 / 0413 454 783",
        "(02) 4782 1234",
        "24/11/2026 - 24/11/2027",
        "2026-09-01 10:15:34+11:00",
        "BONDI-000007, BONDI-000015",
        "5/4242 High St, Leura NSW 2780",
    ],
)
def test_other_numbers_are_no_card_numbers(text: str) -> None:
    """A wrong check sum, telephone numbers, dates, our own numbers and too many digits are let through."""
    assert not holds_card_number(text)


def test_an_invitation_needs_an_email_address() -> None:
    """The reason says how to import without one."""
    (row,) = refused(f"{NAMES}\nAda,Nguyen\n", INVITING)

    assert row.column == "email"
    assert "--no-invite" in row.reason


def test_neither_reprs_nor_reasons_quote_the_file() -> None:
    """What may reach a log has line numbers and column names only."""
    header = "given_name,family_name,email,phone,date_of_birth"
    good, *bad = read(
        f"{header}\nZebulon,Quixote,zeb@example.com,0412345678,1980-12-31\n"
        "Zebulon,Quixote,zeb@example.com,0412345678,1980-12-31\nZebulon,Quixote,zeb,,\nZebulon,Quixote,,77,\n=Zebulon,Quixote,,,\n"
    )

    assert repr(good) == "MemberRow(line 2)"
    assert [row.line for row in bad] == [3, 4, 5, 6]
    assert not any(word in repr(bad) for word in ("Zebulon", "Quixote", "zeb", "0412", "77", "1980"))


def test_the_person_key_ignores_case_spacing_and_unicode_form() -> None:
    """The same person typed again is the same; another birth date is another person."""
    born = date(1980, 12, 31)

    assert person_key("Zoë", "de  Vries", born, "Z@Example.com") == person_key(
        "ZOE\u0308", "De Vries ", born, "z@example.com"
    )
    assert person_key("Zoë", "de Vries", born, "") != person_key("Zoë", "de Vries", None, "")


def test_reading_does_not_run_ahead_of_the_rows() -> None:
    """The first row is there after a small part of a large file was read, and the stream stays open."""
    stream = io.BytesIO(f"{NAMES}\n".encode() + b"Ada,Nguyen\n" * 200_000)

    rows = read_member_file(stream, RULES)
    first = next(rows)
    read_so_far = stream.tell()
    rows.close()  # type: ignore[attr-defined]  # It is a generator, which callers need not know.

    assert isinstance(first, MemberRow)
    assert read_so_far < 70_000
    assert not stream.closed


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused_or_accounted_for(content: bytes) -> None:
    """Nothing crashes the reader, with and without a header that can be used."""
    for data in (content, b"given_name,family_name\n" + content):
        try:
            rows = read(data)
        except DomainError:
            continue
        lines = [row.line for row in rows]
        assert lines == sorted(set(lines))


@given(st.lists(st.binary(max_size=30).map(lambda line: line.translate(None, b'\r\n\0"')), max_size=20))
def test_every_line_is_accounted_for_exactly_once(lines: list[bytes]) -> None:
    """Accepted and refused rows together are the lines that hold anything, each once and in order."""
    rows = read(b"\n".join([NAMES.encode(), *lines]))

    def is_data(line: bytes) -> bool:
        return bool(line.decode(errors="replace").replace(",", " ").strip())

    assert [row.line for row in rows] == [number for number, line in enumerate(lines, start=2) if is_data(line)]


@given(
    st.lists(
        st.sampled_from(["Ada,Nguyen", "Bea,Lee", '"Cy","Ng', '"', 'x"', '"Di,Wu"', '",', "Ed\xeb,Fu"]), max_size=30
    )
)
def test_stray_quotation_marks_lose_no_line(lines: list[str]) -> None:
    """Without a column that may have line breaks each line is a row, however the marks of several lines pair up."""
    rows = read("\n".join([NAMES, *lines]))

    assert [row.line for row in rows] == list(range(2, len(lines) + 2))


@given(
    st.lists(
        st.tuples(st.text("abcdefghij", min_size=1, max_size=8), st.text("klmnopqrs, ;'\"\n", max_size=12)),
        max_size=15,
        unique_by=lambda person: person[0],
    )
)
def test_what_a_csv_writer_wrote_is_read_back(people: list[tuple[str, str]]) -> None:
    """Separators, quotation marks and line breaks inside an address come back as one row each."""
    out = io.StringIO()
    header = ("given_name", "address", "family_name")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows(
        [header, *((name, f"1 {street}", "Lee") for name, street in people)]
    )

    rows = accepted(out.getvalue())

    assert [(row.given_name, row.address) for row in rows] == [
        (name, " ".join(f"1 {street}".split())) for name, street in people
    ]
