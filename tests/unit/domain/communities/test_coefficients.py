"""Distribution tables: sums, files in and out, hours of the year, ids of supply points."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from flexmeasures.domain.communities.coefficient_files import (
    DistributorFileForm,
    read_coefficients,
    write_distributor_file,
)
from flexmeasures.domain.communities.coefficients import (
    Coefficients,
    HourNumbering,
    TableState,
    check_transition,
    coefficients_from_contracted_power,
    coefficients_from_participation,
    hours_of_year,
)
from flexmeasures.domain.communities.identifiers import (
    check_letters,
    read_generator,
    read_group,
    read_supply_point,
)
from flexmeasures.domain.errors import Conflict, InvalidInput
from flexmeasures.domain.time import to_datetime64

from .cases import cups

A, B, C = cups(1), cups(2), cups(3)
GROUP = f"{A}A000"


def _fixed(*rows: str) -> bytes:
    return ("CUPS,Coefficient\r\n" + "\r\n".join(rows) + "\r\n").encode()


def _hourly(row: str = "0.5,0.5", hours: int = 8760, change: dict[int, str] | None = None) -> bytes:
    lines = [f"hour,{A},{B}"] + [(change or {}).get(h, f"{h},{row}") for h in range(1, hours + 1)]
    return "\n".join(lines).encode()


def test_a_fixed_file_is_read():
    """Two columns give each supply point its millionths."""
    read = read_coefficients(_fixed(f"{A},0.500000", f"{B},0.3", f"{C},.2".replace(",.", ",0.")))
    assert read.supply_points == (A, B, C)
    assert read.parts.tolist() == [500_000, 300_000, 200_000]


def test_an_hourly_file_is_read():
    """8,760 rows with a column for each supply point give a table of hours."""
    read = read_coefficients(_hourly(change={523: "523,0.135464,0.864536"}))
    assert read.is_hourly
    assert read.parts[522].tolist() == [135_464, 864_536]
    assert read.parts[521].tolist() == [500_000, 500_000]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_fixed(f"{A},0.5", f"{B},0.4"), r"Lines 2 to 3: the coefficients add up to 0\.900000"),
        (_fixed(f"{A},0.5", f"{A},0.5"), f"Line 3: supply point {A} stands twice"),
        (_fixed(f"{A},0.5", f"{cups(9)},0.5"), f"Line 3: supply point {cups(9)} is unknown"),
        (_fixed(f"{A},0,5", f"{B},0,5"), "Line 2: there are 3 columns, not 2.*decimal comma"),
        (_fixed(f"{A},1.5"), "Line 2: coefficient '1.5' is above 1"),
        (_fixed(f"{A},-0.5"), "Line 2: coefficient '-0.5' is not a number"),
        (_fixed(f"{A},nan"), "Line 2: coefficient 'nan' is not a number"),
        (_fixed(f"{A},0.1234567"), "Line 2: .*at most six decimals"),
        (_fixed(f"{A[:-4]}XX0F,1"), "Line 2: .*check letters"),
        (b"\xef\xbb\xbf" + _fixed(f"{A},1"), "Line 1: the file begins with a byte-order mark"),
        (_fixed(f"{A},1").decode().encode("utf-16"), "Line 1: the file begins with a byte-order mark"),
        (b"", "Line 1: the header is missing"),
        (b"CUPS;Coefficient\n", "Line 1: the header 'CUPS;Coefficient' is unknown"),
        (b"CUPS,Coefficient\n" + A.encode() + b",\xff", "Line 2: the file is not UTF-8"),
        (_hourly(hours=8759), "Line 8760: the file has 8759 hours.*must have 8760"),
        (_hourly(hours=8784), "the file has 8784 hours.*leap years too"),
        (
            _hourly(change={100: "100,0.5,0.4"}),
            r"Line 101, hour 100: the coefficients add up to 0\.900000",
        ),
        (_hourly(change={100: "100,0,5,0,5"}), "Line 101: there are 5 columns, not 3.*decimal comma"),
        (_hourly(change={100: "99,0.5,0.5"}), "Line 101: hour '99' stands where hour 100 belongs"),
        (_hourly(change={100: "100,x,0.5"}), "Line 101, hour 100: coefficient 'x' is not a number"),
        (f"hour,{A},{A}\n".encode(), f"Line 1: supply point {A} stands twice"),
    ],
)
def test_a_wrong_file_names_line_hour_and_sum(content: bytes, message: str):
    """Nothing is read of a file with a mistake; the message says where it is."""
    with pytest.raises(InvalidInput, match=message):
        read_coefficients(content, {A, B, C})


def test_sums_may_be_a_millionth_away_from_one():
    """Three thirds of six decimals add up to 0.999999, which passes; 0.999998 does not."""
    assert read_coefficients(_fixed(f"{A},0.333333", f"{B},0.333333", f"{C},0.333333")).parts.sum() == 999_999
    with pytest.raises(InvalidInput, match=r"0\.999998"):
        read_coefficients(_fixed(f"{A},0.333333", f"{B},0.333333", f"{C},0.333332"))


def test_hourly_coefficients_name_the_hour_and_the_sum():
    """A table that is put together by a program is checked like a file."""
    parts = np.full((8760, 2), 500_000)
    parts[4000, 0] = 400_000
    with pytest.raises(InvalidInput, match=r"of hour 4001 add up to 0\.900000"):
        Coefficients((A, B), parts)


def test_the_distributors_fixed_file_is_byte_exact():
    """The file has a semicolon, a decimal comma, six decimals and CR LF between lines, sorted by supply point."""
    name, content = write_distributor_file(Coefficients((B, A), np.array([250_000, 750_000])), GROUP, 2026)
    assert name == f"{GROUP}_2026.txt"
    assert content == f"{A};0,750000\r\n{B};0,250000".encode()


def test_the_distributors_hourly_file_is_byte_exact():
    """Hours run from 1 to 8760 without leading zeros, all hours of one supply point after the other."""
    table = read_coefficients(_hourly(change={523: "523,0.135464,0.864536"}))
    _, content = write_distributor_file(table, GROUP, 2028)
    lines = content.split(b"\r\n")
    assert len(lines) == 2 * 8760
    assert lines[0] == f"{A};1;0,500000".encode()
    assert lines[522] == f"{A};523;0,135464".encode()
    assert lines[8759] == f"{A};8760;0,500000".encode()
    assert lines[8760] == f"{B};1;0,500000".encode()


def test_what_the_law_leaves_open_about_the_file_can_be_set():
    """Header, order, line ends and the padding of hours are settings."""
    form = DistributorFileForm(header=True, sort=False, line_end="\n", final_line_end=True)
    _, content = write_distributor_file(Coefficients((B, A), np.array([0, 1_000_000])), GROUP, 2026, form)
    assert content == f"CUPS;Coeficiente\n{B};0,000000\n{A};1,000000\n".encode()
    _, hourly = write_distributor_file(
        read_coefficients(_hourly()), GROUP, 2026, DistributorFileForm(padded_hours=True)
    )
    assert hourly.startswith(f"{A};0001;0,500000\r\n".encode())


@pytest.mark.parametrize(
    ("local", "elapsed", "clock"),
    [
        ("2026-01-01T00:00", 0, 0),
        ("2026-02-28T23:00", 59 * 24 - 1, 59 * 24 - 1),
        # Clocks went forward on 29 March 2026: one hour less has passed.
        ("2026-03-29T03:00", 87 * 24 + 2, 87 * 24 + 3),
        ("2026-07-01T12:00", 181 * 24 + 11, 181 * 24 + 12),
        ("2026-12-31T23:00", 8759, 8759),
        # Leap year: 29 February takes the coefficients of 28 February, and the rest of the year counts without it.
        ("2028-02-28T13:00", 58 * 24 + 13, 58 * 24 + 13),
        ("2028-02-29T13:00", 58 * 24 + 13, 58 * 24 + 13),
        ("2028-03-01T00:00", 59 * 24, 59 * 24),
        ("2028-12-31T23:00", 8759, 8759),
    ],
)
def test_hours_of_the_year(local: str, elapsed: int, clock: int):
    """Each interval finds its line of the 8,760, by elapsed hours or by the clock."""
    start = np.array([to_datetime64(datetime.fromisoformat(local).replace(tzinfo=ZoneInfo("Europe/Madrid")))])
    assert hours_of_year(start, "Europe/Madrid").tolist() == [elapsed]
    assert hours_of_year(start, "Europe/Madrid", HourNumbering.CLOCK).tolist() == [clock]


@pytest.mark.parametrize("zone", ["Europe/Madrid", "Australia/Lord_Howe", "Pacific/Apia"])
def test_elapsed_hours_use_each_line_once(zone: str):
    """In a common year every line is used by exactly one hour, clock changes or not."""
    first = to_datetime64(datetime(2026, 1, 1, tzinfo=ZoneInfo(zone)))
    starts = first + np.arange(8760) * np.timedelta64(1, "h")
    assert hours_of_year(starts, zone).tolist() == list(range(8760))


def test_keys_of_supply_points_follow_the_order_asked_for():
    """Members stand in any order; who is not in the table gets nothing."""
    fixed = Coefficients((A, B), np.array([400_000, 600_000]))
    assert fixed.keys((B, C, A)).tolist() == [600_000, 0, 400_000]
    hourly = read_coefficients(_hourly(change={2: "2,0.1,0.9"}))
    assert hourly.keys((B, A), np.array([1, 0])).tolist() == [[900_000, 100_000], [500_000, 500_000]]


def test_keys_add_up_even_if_the_table_lacks_a_millionth():
    """Thirds of six decimals lack a millionth, which the first of the largest gets; who left keeps its share unused."""
    thirds = Coefficients((A, B, C), np.full(3, 333_333))
    assert thirds.keys((A, B, C)).tolist() == [333_334, 333_333, 333_333]
    assert thirds.keys((A, B)).tolist() == [333_334, 333_333]


def test_coefficients_from_participations():
    """2, 1 and 1 of 4 kW are halves and quarters; a missing kW is spread in proportion or in equal parts."""
    whole = coefficients_from_participation((A, B, C), (2, 1, 1), 4)
    assert whole.parts.tolist() == [500_000, 250_000, 250_000]
    # 1.5 of 3 kW: proportional doubles each; equal parts give each another sixth of the whole.
    assert coefficients_from_participation((A, B), (1, 0.5), 3).parts.tolist() == [666_667, 333_333]
    # 1/3 + 1/4 and 1/6 + 1/4, the rounding rest to the largest.
    assert coefficients_from_participation((A, B), (1, 0.5), 3, "equal").parts.tolist() == [583_334, 416_666]


def test_coefficients_without_an_agreement():
    """Without an agreement contracted power decides: 3.45, 4.6 and 3.45 kW are 30, 40 and 30 %."""
    assert coefficients_from_contracted_power((A, B, C), (3.45, 4.6, 3.45)).parts.tolist() == [
        300_000,
        400_000,
        300_000,
    ]


def test_states_of_a_distribution_table():
    """A draft is validated, goes to the distributor, becomes active; nothing goes back once it is in process."""
    check_transition(TableState.DRAFT, TableState.VALIDATED)
    check_transition(TableState.PROCESS, TableState.ACTIVE)
    with pytest.raises(Conflict, match="from active to draft"):
        check_transition(TableState.ACTIVE, TableState.DRAFT)


def test_check_letters_of_supply_points():
    """The published example of a CUPS has the check letters JY; others are refused by name."""
    assert check_letters("1234123456789012") == "JY"
    assert read_supply_point("es 1234 1234 5678 9012 jy1f") == "ES1234123456789012JY1F"
    with pytest.raises(InvalidInput, match="should be JY, not JX"):
        read_supply_point("ES1234123456789012JX")
    with pytest.raises(InvalidInput, match="is not a CUPS"):
        read_supply_point("ES123412345678901JY" + "9" * 1000)


def test_groups_and_generators():
    """A CAU is a CUPS with A and three digits, a CIL a CUPS with three digits."""
    assert read_group("ES1234123456789012JY1FA000") == "ES1234123456789012JY1FA000"
    assert read_group("ES1234123456789012JYA001") == "ES1234123456789012JYA001"
    assert read_generator("ES1234123456789012JY001") == "ES1234123456789012JY001"
    for wrong in ("ES1234123456789012JY", "ES1234123456789012JX1FA000", "ES1234123456789012JYB001"):
        with pytest.raises(InvalidInput):
            read_group(wrong)
