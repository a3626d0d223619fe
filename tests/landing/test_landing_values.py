"""What cannot be read as declared goes to quarantine with its cell, and a column of any name can be
read as it is called."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import openpyxl
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.landing import ContractError, World, check
from orchestration.landing.contract.locales import LONGEST_ID, MONTH_WORDS, MONTHS, SUMS, Locale
from tests.landing.company import SALES, Company

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
WEEKS = SALES.replace("event_at: day", '"event_at": "isoweek(year, week)"')
ERRORS = ["#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!"]
TERMS = """
sources:
  terms:
    silo: spreadsheets
    path: terms.*
    key: [Article]
    known_at: date '2024-01-01'
    into: [supplier_terms: {item_id: Article, supplier_id: Supplier, lead_time_days: Lead, moq: MOQ}]
"""


def shared(name: str) -> Path:
    if not CASES.exists():
        pytest.skip("the shared cases are not here")
    return CASES / name


def findings(folder: Path) -> str:
    return "\n".join(finding.message for finding in check(World.load(folder), folder))


@pytest.mark.parametrize("year", range(2015, 2032))
def test_an_iso_week_is_a_week_of_its_year_or_in_quarantine(company: Company, year: int) -> None:
    company.contract(WEEKS)
    weeks = [-1, 0, 1, 2, 26, 51, 52, 53, 54, 60, 99]
    lines = "".join(f"T{i},1,a,n,{year},{week},1,1\n" for i, week in enumerate(weeks))
    company.write("tills/1.csv", "till,line,item,store,year,week,qty,price\n" + lines)
    company.land()
    last = date(year, 12, 28).isocalendar().week  # of every year in its last week
    real = [
        datetime.combine(date.fromisocalendar(year, week, 1), datetime.min.time())
        for week in weeks
        if 1 <= week <= last
    ]
    assert [at for (at,) in company.rows("SELECT event_at FROM raw.sales ORDER BY 1")] == real
    assert company.rows("SELECT count(*) FROM raw.quarantine WHERE column_name = 'event_at'") == [
        (len(weeks) - len(real),)
    ]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (
            "%B %Y",
            [
                "Januar 2025",
                "Februar 2025",
                "März 2025",
                "Mai 2025",
                "Oktober 2025",
                "Dezember 2025",
            ],
        ),
        (
            "%d. %B %Y",
            [
                "1. janvier 2025",
                "1. Février 2025",
                "1. mars 2025",
                "1. mai 2025",
                "1. octobre 2025",
                "1. décembre 2025",
            ],
        ),
        (
            "%d-%b-%y",
            ["01-Jan-25", "01-FEB-25", "01-Mrz-25", "01-Mai-25", "01-Okt-25", "01-Dez-25"],
        ),
        (
            "%d %b %Y",
            ["1 ene 2025", "1 feb 2025", "1 mar 2025", "1 mayo 2025", "1 oct 2025", "1 dic 2025"],
        ),
        ("%b %Y", ["gen 2025", "Feb 2025", "March 2025", "mag 2025", "ott 2025", "December 2025"]),
        (
            "%d.%b.%Y",
            ["1.jan.2025", "1.feb.2025", "1.mrt.2025", "1.mei.2025", "1.okt.2025", "1.dec.2025"],
        ),
    ],
)
def test_months_are_read_in_the_languages_that_say_them(
    company: Company, form: str, said: list[str]
) -> None:
    company.contract(SALES + f"    dates: ['{form}']\n")
    lines = "".join(f"T{i},1,a,n,{day},1,1\n" for i, day in enumerate([*said, "Smarch 2025"]))
    company.write("tills/1.csv", "till,line,item,store,day,qty,price\n" + lines)
    company.land()
    found = company.rows("SELECT event_at FROM raw.sales ORDER BY row_no")
    assert found == [(datetime(2025, month, 1),) for month in (1, 2, 3, 5, 10, 12)]
    assert company.rows("SELECT value FROM raw.quarantine") == [("Smarch 2025",)]


def test_no_word_is_two_months() -> None:
    words = [word for month in MONTH_WORDS for word in month.split()]
    assert len(words) == len(set(words)) and len(MONTH_WORDS) == len(MONTHS)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
@pytest.mark.parametrize(
    ("dates", "read"),
    [
        ("[]", [None, "2025-02-01", None]),
        ("['%d.%m.%Y']", ["2025-02-01", None, None]),
        ("['%d.%m.%Y', '%d.%m.%y']", ["2025-02-01", None, "2025-02-01"]),
        ("['%d.%m.%Y', '%Y-%m-%d']", ["2025-02-01", "2025-02-01", None]),
    ],
)
def test_a_year_of_two_digits_is_read_where_it_is_declared_and_never_as_the_year_25(
    tmp_path: Path, zone: str, dates: str, read: list[str | None]
) -> None:
    company = Company(tmp_path, SALES + f"    dates: {dates}\n", timezone=zone)
    said = ["01.02.2025", "2025-02-01", "01.02.25"]
    lines = "".join(f"T{i},1,a,n,{day},1,1\n" for i, day in enumerate(said))
    company.write("tills/1.csv", "till,line,item,store,day,qty,price\n" + lines)
    doubts = company.land().doubts
    assert not [doubt for doubt in doubts if "different days" in doubt]
    local = f"timezone('{zone}', timezone('UTC', event_at))::date::text"
    found = company.rows(f"SELECT {local} FROM raw.sales ORDER BY row_no")
    assert found == [(day,) for day in read if day]


def test_a_column_whose_name_stands_twice_is_told_until_one_is_chosen(company: Company) -> None:
    head = "till,line,item,store,day,qty,price,QTY\n"
    company.write("tills/1.csv", head + "T1,1,apple,north,2024-03-01,3,1.50,9\n")
    told = [said for said in company.land().doubts if "the name of several columns" in said]
    assert len(told) == 1 and told[0].startswith("`qty` is") and "`QTY (2)`" in told[0]
    company.contract(SALES.replace("quantity: qty", "quantity: '\"QTY (2)\"'"))
    assert not [said for said in findings(company.data).splitlines() if "several columns" in said]


@pytest.mark.parametrize("error", ERRORS)
def test_a_failed_formula_is_no_value_of_any_column(tmp_path: Path, error: str) -> None:
    for name in ("Article", "Supplier", "Lead", "MOQ"):
        company = Company(tmp_path / name, TERMS)
        book, packed = openpyxl.Workbook(), io.BytesIO()
        sheet = book.active
        assert sheet is not None
        sheet.append(["Article", "Supplier", "Lead", "MOQ"])
        sheet.append(["A1", "S1", 7, 10])
        row = {"Article": "A2", "Supplier": "S1", "Lead": 7, "MOQ": 5}
        sheet.append([error if name == column else value for column, value in row.items()])
        book.save(packed)
        company.write("terms.xlsx", packed.getvalue())
        company.land()
        assert company.rows("SELECT item_id FROM raw.supplier_terms") == [("A1",)]
        assert company.rows("SELECT row_no, value FROM raw.quarantine") == [(2, error)]
        company.con.close()


def test_the_case_of_failed_formulas_loads_the_one_whole_row() -> None:
    said = findings(shared("formula_error_cells"))
    assert "1 canonical rows, 2 quarantined" in said
    assert "#N/A" in said


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.integers(0, 10**9),
    st.sampled_from([" ", "\u00a0", "\u202f", "\u2009"]),
    st.sampled_from(["", " ", "\u00a0"]),
)
def test_a_blank_between_thousands_may_be_any_that_exports_write(
    number: int, blank: str, pad: str
) -> None:
    import duckdb

    from orchestration.landing.contract.locales import Locale
    from orchestration.landing.contract.world import Source

    source = Source.model_validate(
        {
            "silo": "s",
            "path": "x",
            "identity": "row",
            "known_after": "1 day",
            "thousands": " ",
            "decimal": ",",
            "into": [{"sales": {}}],
        }
    )
    text = pad + f"{number:,}".replace(",", blank) + ",5" + pad
    found = duckdb.execute(
        f"SELECT {Locale(source, 'UTC').number('t')} FROM (SELECT ? AS t)", [text]
    ).fetchone()
    assert found == (number + 0.5,)


def test_a_message_names_the_blank_that_is_none(company: Company) -> None:
    company.write(
        "tills/1.csv", "till,line,item,store,day,qty,price\nT1,1,a,n,2024-03-01,1\u00a0234,1\n"
    )
    assert "`1<U+00A0>234`" in findings(company.data)


@pytest.mark.parametrize("case", ["xls_biff", "legacy_xls"])
def test_a_workbook_of_excel_97_is_read(case: str) -> None:
    assert " 0 quarantined" in findings(shared(case))


def test_a_workbook_under_a_password_says_so(tmp_path: Path) -> None:
    company = Company(tmp_path, TERMS)
    company.write(
        "terms.xlsx",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        + bytes(600)
        + "EncryptedPackage".encode("utf-16-le")
        + bytes(600),
    )
    with pytest.raises(ContractError, match="encrypted with a password"):
        company.land(strict=True)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html><table><tr><td>item</td></tr></table></html>", "a web page or XML under"),
        (b'\xef\xbb\xbf\r\n<?xml version="1.0"?><Workbook/>', "a web page or XML under"),
        (b"article\tsupplier\tlead\r\nA1\tS1\t7\r\n", "plain text under a workbook's name"),
        (b"PK\x03\x04 and no more", "is it cut short"),
        (bytes(600), "is it cut short"),
    ],
)
@pytest.mark.parametrize("name", ["terms.xls", "terms.xlsx"])
def test_what_only_calls_itself_a_workbook_is_named_for_what_it_is(
    name: str, body: bytes, words: str, tmp_path: Path
) -> None:
    company = Company(tmp_path, TERMS.replace("terms.xlsx", name))
    company.write(name, body)
    with pytest.raises(ContractError, match=words):
        company.land(strict=True)


def test_the_case_of_a_hidden_first_sheet_reads_the_one_people_see(tmp_path: Path) -> None:
    company = Company(
        tmp_path,
        (shared("hidden_first_sheet") / "world.yml")
        .read_text()
        .partition("sources:")[2]
        .join(["sources:", ""]),
    )
    company.write("terms.xlsx", (shared("hidden_first_sheet") / "terms.xlsx").read_bytes())
    company.land()
    assert company.rows(
        "SELECT count(*) FROM raw.supplier_terms WHERE supplier_id = 'S9' OR moq = 999"
    ) == [(0,)]
    assert company.rows("SELECT count(*) > 0 FROM raw.supplier_terms") == [(True,)]


@pytest.mark.parametrize("hidden", [0, 1, 2])
def test_a_sheet_by_number_is_one_that_people_see(tmp_path: Path, hidden: int) -> None:
    company = Company(tmp_path, TERMS)
    book, packed = openpyxl.Workbook(), io.BytesIO()
    for i in range(3):
        sheet = book.active if i == 0 else book.create_sheet(f"S{i}")
        assert sheet is not None
        sheet.append(["Article", "Supplier", "Lead", "MOQ"])
        sheet.append(["A1", f"supplier {i}", 7, 10])
        sheet.sheet_state = "hidden" if i == hidden else "visible"
    book.active = 2 if hidden != 2 else 0
    book.save(packed)
    company.write("terms.xlsx", packed.getvalue())
    company.land()
    assert company.rows("SELECT supplier_id FROM raw.supplier_terms") == [
        (f"supplier {1 if hidden == 0 else 0}",)
    ]


@pytest.mark.parametrize(
    "name", ["Qty (pcs)", "Menge [St.]", "Price/EUR (net)", "Qty (pcs, net)", "sum(x)", "% sold"]
)
def test_a_column_can_be_named_as_it_is_called(company: Company, name: str) -> None:
    company.contract(SALES.replace("quantity: qty", f"quantity: '{name}'"))
    company.write(
        "tills/1.csv", f'till,line,item,store,day,"{name}",price\nT1,1,a,n,2024-03-01,4,1\n'
    )
    company.land()
    assert company.rows("SELECT quantity FROM raw.sales") == [(4.0,)]


NAMES = [
    "part",
    "path",
    "delivery",
    "_path",
    "_n",
    "_D",
    "_row",
    "_file",
    "k:key",
    "v:quantity",
    "b:n",
    "b:source",
    "problem",
    "batch",
]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("name", NAMES)
def test_no_delivered_name_meets_one_of_ours(tmp_path: Path, kind: str, name: str) -> None:
    company = Company(
        tmp_path,
        SALES.replace("tills/*.csv", "tills/*").replace("key: [till, line]", "identity: row"),
    )
    for i in (1, 2, 3):
        row = {
            "till": "T1",
            "line": str(i),
            "item": "a",
            "store": "n",
            "day": "2024-03-01",
            "qty": "1",
            "price": "1",
            name: "X",
        }
        frame, file = pl.DataFrame([row]), company.data / f"tills/{i}.{kind}"
        file.parent.mkdir(exist_ok=True)
        {"csv": frame.write_csv, "jsonl": frame.write_ndjson, "parquet": frame.write_parquet}[kind](
            file
        )
        if i < 3:
            company.land(strict=True)  # one alone, then two together
    company.reland()
    company.land(strict=True)
    before = company.business()
    assert company.rows("SELECT count(*) FROM raw.sales") == [(3,)]
    company.reland()
    assert company.business() == before


def test_a_cell_that_repeats_the_one_above_is_filled_within_its_file(tmp_path: Path) -> None:
    company = Company(
        tmp_path, TERMS.replace("key: [Article]", "key: [Article]\n    fill_down: [Supplier]")
    )
    for letter in "ab":
        body = f"Article,Supplier,Lead,MOQ\n{letter}1,S{letter},7,1\n{letter}2,,7,1\n{letter}3,,7,1\n{letter}4,T{letter},7,1\n{letter}5,,7,1\n"
        company.write(f"terms.{letter}.csv", body)
    company.land()
    found = company.rows("SELECT item_id, supplier_id FROM raw.supplier_terms ORDER BY 1")
    assert found == [(f"{x}{i}", f"{'S' if i < 4 else 'T'}{x}") for x in "ab" for i in range(1, 6)]


def test_two_orders_of_one_date_are_warned_of_with_their_rows() -> None:
    said = findings(shared("two_date_orders"))
    assert "different days by different formats" in said


@pytest.mark.parametrize("days", range(0, 40, 7))
def test_a_warning_of_two_date_orders_counts_the_days_that_are_two(
    company: Company, days: int
) -> None:
    company.contract(SALES + "    dates: ['%d/%m/%Y', '%m/%d/%Y']\n")
    all_days = [date(2024, 1, 1) + timedelta(days=i) for i in range(days + 1)]
    lines = "".join(f"T{i},1,a,n,{day:%d/%m/%Y},1,1\n" for i, day in enumerate(all_days))
    company.write("tills/1.csv", "till,line,item,store,day,qty,price\n" + lines)
    doubtful = sum(day.day <= 12 and day.day != day.month for day in all_days)
    assert (f"{doubtful} rows of sales.event_at are different days" in findings(company.data)) == (
        doubtful > 0
    )


def test_a_column_that_one_file_lacks_is_null_there(tmp_path: Path) -> None:
    assert "renamed pieces to qty" in findings(shared("column_renamed_midyear"))


def test_the_clock_is_not_asked(company: Company) -> None:
    company.contract(SALES.replace("unit_price: price", '"revenue": "epoch(age(day::timestamp))"'))
    with pytest.raises(ContractError, match="asks the clock"):
        company.land()


ORDERS = """
sources:
  orders:
    silo: erp
    path: orders.csv
    FORM
    key: [n]
    known_at: date '2024-01-01'
    into: [purchase_orders: {order_id: n, item_id: item, location_id: place, quantity: qty,
        event_at: "date '2023-12-01'", due_at: "DUE"}]
"""


@pytest.mark.parametrize(
    ("due", "form", "good", "bad"),
    [
        ("strptime(due || '-1', '%G-W%V-%u')", "", "2020-W53", ["2023-W53", "2024-W00"]),
        ("try_strptime(due, '%Y-%j')", "", "2024-366", ["2023-366"]),
        ("isoweek(due[:4]::int, due[6:])", "", "2024 05", ["2024 53", "2024 5.5", "2024 KW"]),
        ("day(due)", "dates: '%d.%m.%Y'", "29.02.2024", ["29.02.2023", "#N/A", "29.02.24"]),
        ("day(due)", "", "2024-02-29", ["2023-02-29", "soon", "24-02-29"]),
        ("due", "dates: '%d.%m.%Y'", "29.02.2024", ["29.02.24", "1.1.0"]),
        ("due", "", "2024-02-29", ["24-02-29"]),
        ("due::timestamp", "", "2024-02-29", ["24-02-29"]),
        ("strptime(due, '%d.%m.%Y')", "", "29.02.2024", ["29.02.24"]),
    ],
)
def test_a_day_that_an_expression_cannot_read_is_in_quarantine_with_its_cell(
    tmp_path: Path, due: str, form: str, good: str, bad: list[str]
) -> None:
    company = Company(tmp_path, ORDERS.replace("FORM", form).replace("DUE", due))
    lines = "".join(f"{i},a,x,1,{day}\n" for i, day in enumerate([good, "", *bad]))
    company.write("orders.csv", "n,item,place,qty,due\n" + lines)
    company.land()
    assert company.rows("SELECT order_id FROM raw.purchase_orders ORDER BY 1") == [("0",), ("1",)]
    found = company.rows("SELECT value FROM raw.quarantine ORDER BY row_no")
    assert found == [(day,) for day in bad]


@pytest.mark.parametrize("kind", ["csv", "parquet", "json", "jsonl"])
def test_a_number_that_a_function_cannot_read_is_no_missing_one(tmp_path: Path, kind: str) -> None:
    rule = "lead_time_days: Lead, moq: MOQ"
    company = Company(tmp_path, TERMS.replace(rule, "moq: number(MOQ) * 12"))
    said = ["5", None, "#N/A", "n/a", "1,5"]
    frame = pl.DataFrame({"Article": [f"A{i}" for i in range(5)], "Supplier": "S1", "MOQ": said})
    packed = io.BytesIO()
    getattr(frame, f"write_{kind}".replace("jsonl", "ndjson"))(packed)
    company.write(f"terms.{kind}", packed.getvalue())
    company.land()
    assert company.rows("SELECT moq FROM raw.supplier_terms ORDER BY 1") == [(60.0,), (None,)]
    assert company.rows("SELECT row_no, value FROM raw.quarantine ORDER BY 1") == [
        (3, "#N/A"),
        (4, "n/a"),
        (5, "1,5"),
    ]


def test_a_failed_formula_is_no_category(company: Company) -> None:
    company.contract(
        SALES.replace("sales: {", 'items: {levels: "[store, item]", ')
        .replace(
            "location_id: store, event_at: day, quantity: qty, unit_price: price", "name: till"
        )
        .replace("known_after: 1 day", "known_at: date '2024-01-01'")
    )
    company.write(
        "tills/1.csv", "till,line,item,store,day,qty,price\nT1,1,a,tea,,,\nT1,2,b,#N/A,,,\n"
    )
    company.land()
    assert company.rows("SELECT item_id, levels FROM raw.items") == [("a", ["tea", "a"])]
    assert company.rows("SELECT column_name, rule FROM raw.quarantine") == [
        ("levels", "is a failed formula")
    ]


@pytest.mark.parametrize("timezone", ["UTC", "Europe/London", "America/New_York"])
@pytest.mark.parametrize("rule", ["day", "day::timestamp", "day::timestamp + interval 0 hour"])
def test_a_time_with_an_offset_is_its_instant_in_every_company(
    tmp_path: Path, timezone: str, rule: str
) -> None:
    company = Company(
        tmp_path, SALES.replace("event_at: day", f'event_at: "{rule}"'), timezone=timezone
    )
    said = ["2024-07-01T23:00:00-05:00", "2024-07-02T04:00:00Z", "2024-07-02T06:00:00.0+02:00"]
    lines = "".join(f"T1,{i},a,n,{time},1,1\n" for i, time in enumerate(said))
    company.write("tills/1.csv", "till,line,item,store,day,qty,price\n" + lines)
    company.land()
    assert company.rows("SELECT DISTINCT event_at FROM raw.sales") == [(datetime(2024, 7, 2, 4),)]


def test_the_day_of_a_time_with_an_offset_is_the_company_s_own(tmp_path: Path) -> None:
    company = Company(
        tmp_path, SALES.replace("event_at: day", "event_at: day(day)"), timezone="Europe/Berlin"
    )
    company.write(
        "tills/1.csv",
        "till,line,item,store,day,qty,price\nT1,1,a,n,2024-07-01T23:30:00Z,1,1\n"
        "T1,2,a,n,2024-07-01,1,1\n",
    )
    company.land()
    local = "SELECT strftime(event_at + interval 2 hour, '%Y-%m-%d %H') FROM raw.sales ORDER BY 1"
    assert company.rows(local) == [("2024-07-01 00",), ("2024-07-02 00",)]


def test_an_open_document_or_an_archive_under_a_password_says_so(tmp_path: Path) -> None:
    locked = io.BytesIO()
    with zipfile.ZipFile(locked, "w") as book:
        book.writestr("META-INF/manifest.xml", "<file-entry><encryption-data/></file-entry>")
        book.writestr("content.xml", b"\x99\x01")
    company = Company(tmp_path / "ods", TERMS)
    company.write("terms.ods", locked.getvalue())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("terms.csv", "Article,Supplier,Lead,MOQ\n")
    raw = bytearray(packed.getvalue())
    raw[6] |= 1  # the flag of a member under a password, in both places that say it
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    zipped = Company(tmp_path / "zip", TERMS.replace("terms.*", "terms.zip!*.csv"))
    zipped.write("terms.zip", bytes(raw))
    for one in (company, zipped):
        with pytest.raises(ContractError, match="encrypted with a password"):
            one.land(strict=True)


LETTERS = st.sampled_from("aAtTsS19 -_./#:~é\u200b")
NAMES = st.text(LETTERS, max_size=12) | st.builds(
    str.__add__, st.sampled_from([*SUMS, *map(str.upper, SUMS)]), st.text(LETTERS, max_size=2)
)


@given(st.lists(NAMES, min_size=1, max_size=50), st.integers(LONGEST_ID - 1, LONGEST_ID + 1))
def test_a_name_that_needs_no_second_look_would_pass_it(names: list[str], size: int) -> None:
    long = [(name * size)[:size] for name in names if name]
    asked = f"{Locale.is_plain_name('x')}, {Locale.is_plain('x')}, {Locale.is_sum('x')}"
    with duckdb.connect() as con:
        con.execute("create table names (x varchar)")
        con.executemany("insert into names values (?)", [(name,) for name in names + long])
        found = con.execute(f"select x, {asked} from names").fetchall()
    for name, is_plain_name, is_plain, is_sum in found:
        if is_plain_name:
            assert is_plain and not is_sum and len(name) <= LONGEST_ID, name
        elif is_plain and set(name) & set("123456789_./~"):  # what the field's ids have
            assert is_sum or len(name) > LONGEST_ID, name


@pytest.mark.parametrize("sold", ["Total", "TOTAL ", "Summe", "sub-total", "x" * 201, "#N/A"])
def test_what_names_nothing_is_found_among_many_that_are_well(company: Company, sold: str) -> None:
    """Rows of plain ids are judged by fewer checks, and rows beside them by all."""
    good = "".join(f"T1,{k},apple,Tampere,2024-03-01,1,1\n" for k in range(3000))
    rows = f"{good}T2,1,{sold},Tampere,2024-03-01,1,1\nT2,2,apple,{sold},2024-03-01,1,1\n"
    company.write("tills/1.csv", "till,line,item,store,day,qty,price\n" + rows)
    company.land()
    assert company.rows("SELECT count(*) FROM raw.sales") == [(3000,)]
    found = company.rows("SELECT column_name FROM raw.quarantine ORDER BY 1")
    assert found == [("item_id",), ("location_id",)]


def test_rows_of_several_column_files_are_told_apart(tmp_path: Path) -> None:
    company = Company(tmp_path, SALES.replace("tills/*.csv", "tills/*.parquet"))
    for k in range(3):
        sold = {"till": [f"T{k}"] * 2, "line": [1, 2], "item": ["pear", "#N/A"], "store": ["n"] * 2}
        days = {"day": [date(2024, 3, 1 + k)] * 2, "qty": [k + 1] * 2, "price": [1.0] * 2}
        file = company.data / "tills" / f"it's {k}.parquet"
        file.parent.mkdir(exist_ok=True)
        pl.DataFrame(sold | days).write_parquet(file)
    company.land()
    found = company.rows(
        "SELECT path, row_no, quantity FROM raw.sales JOIN raw.manifest USING (delivery) ORDER BY 1"
    )
    assert found == [(f"tills/it's {k}.parquet", 1, k + 1) for k in range(3)]
    wrong = company.rows("SELECT path, row_no FROM raw.quarantine ORDER BY 1")
    assert wrong == [(f"tills/it's {k}.parquet", 2) for k in range(3)]
