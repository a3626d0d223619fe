"""Every declared format lands as it was meant: encodings, line ends, archives, workbooks as people
make them, JSON, Parquet."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import openpyxl
import polars as pl
import pytest
import yaml

from orchestration.landing import ContractError, World, suggest
from tests.landing.company import FIRST_DAY, SALES, Company

EXPECTED = [("apple", 3.0, 1.5), ("pear", 2.0, 2.25)]


def landed(company: Company) -> list[tuple[str, float, float]]:
    company.land()
    assert company.rows("SELECT count(*) FROM raw.quarantine") == [(0,)], company.rows(
        "SELECT rule, value, raw_text FROM raw.quarantine"
    )
    return company.rows(
        "SELECT item_id, quantity, unit_price FROM raw.sales ORDER BY row_no, item_id"
    )  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("options", "content"),
    [
        ("csv", FIRST_DAY.encode()),
        ("csv", b"\xef\xbb\xbf" + FIRST_DAY.encode()),
        ("csv", FIRST_DAY.replace("\n", "\r\n").encode()),
        ("csv", FIRST_DAY.replace("\n", "\r").encode()),
        ('{csv: {newline: "\\r"}}', FIRST_DAY.replace("\n", "\r").encode()),
        ("csv", FIRST_DAY.rstrip("\n").encode()),
        ("tsv", FIRST_DAY.replace(",", "\t").encode()),
        ('{csv: {delimiter: ";"}}', FIRST_DAY.replace(",", ";").encode()),
        ("{csv: {encoding: utf-16}}", FIRST_DAY.encode("utf-16")),
        ("{csv: {encoding: windows-1252}}", FIRST_DAY.encode()),
        ("{csv: {skip_lines: 2}}", ("Report\nmade on Monday\n" + FIRST_DAY).encode()),
        (
            "{csv: {header: [till, line, item, store, day, qty, price], skip_lines: 1}}",
            FIRST_DAY.replace("till", "kasse").encode(),
        ),
    ],
)
def test_delimited_text(tmp_path: Path, options: str, content: bytes) -> None:
    company = Company(tmp_path, SALES.replace("    key:", f"    format: {options}\n    key:"))
    company.write("tills/1.csv", content)
    assert landed(company) == EXPECTED


def test_windows_1252_umlauts_and_a_comma_decimal(tmp_path: Path) -> None:
    options = (
        '    format: {csv: {encoding: windows-1252, delimiter: ";"}}\n    decimal: ","\n    '
        'thousands: "."\n    dates: "%d.%m.%Y"\n    key:'
    )
    company = Company(tmp_path, SALES.replace("    key:", options))
    company.write(
        "tills/1.csv",
        "till;line;item;store;day;qty;price\nT1;1;Äpfel;Köln;01.03.2024;1.234;1,50\n".encode(
            "cp1252"
        ),
    )
    company.land()
    assert company.rows(
        "SELECT item_id, location_id, event_at, quantity, unit_price FROM raw.sales"
    ) == [("Äpfel", "Köln", dt.datetime(2024, 3, 1), 1234.0, 1.5)]


def test_a_thousands_point_is_not_guessed(tmp_path: Path) -> None:
    company = Company(tmp_path, SALES.replace("    key:", '    decimal: ","\n    key:'))
    company.write("tills/1.csv", FIRST_DAY.replace(",3,1.50", ",1.234,1"))
    assert company.land().quarantined_rows == 2  # `2.25` is no comma decimal either


def test_members_of_archives(tmp_path: Path) -> None:
    tar, packed = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as archive:
        info = tarfile.TarInfo("by-day/1.csv")
        info.size = len(FIRST_DAY)
        archive.addfile(info, io.BytesIO(FIRST_DAY.encode()))
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("by-day/1.csv", FIRST_DAY)
        book.writestr("readme.txt", "not this")
    for name, content, pattern in (
        ("drops.tar.gz", tar.getvalue(), "drops.tar.gz!by-day/*.csv"),
        ("drops.zip", packed.getvalue(), "drops.zip!by-day/*.csv"),
        ("drops/1.csv.gz", gzip.compress(FIRST_DAY.encode()), "drops/*.csv.gz"),
    ):
        company = Company(tmp_path / name, SALES.replace("tills/*.csv", pattern))
        company.write(name, content)
        assert landed(company) == EXPECTED
        if "!" in pattern:
            assert company.rows("SELECT DISTINCT part FROM raw.sales") == [
                ("by-day/1.csv · sales#1",)
            ]


def test_a_workbook_as_people_make_them(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Zählung"
    sheet.append(["Stock count, counted by hand"])
    sheet.append([])
    sheet.append(["Item", None, "Count", None])
    sheet.merge_cells("A3:B3")
    sheet.append(["code", "text", "shelf", "day"])
    sheet.append([1001, "Apple", "3", dt.datetime(2024, 3, 1)])
    sheet.append(["1002", "Pear", 2.5, dt.datetime(2024, 3, 1)])
    sheet.append([])
    sheet.append([1003, "Plum", "1,25", dt.datetime(2024, 3, 2, 8, 30)])
    sheet.append(["Total", None, 6.75, None])
    sheet.append(["signed: the planner"])
    company = Company(
        tmp_path,
        """
sources:
  count:
    silo: sheets
    path: count.xlsx
    format: {xlsx: {sheet: Zählung, header_row: [3, 4], until: total}}
    decimal: ","
    key: [Item code]
    known_after: 1 day
    into: [stock: {item_id: Item code, location_id: "'n'", event_at: Count day, on_hand: Count shelf}]
""",
    )
    book.save(company.data / "count.xlsx")
    report = company.land()
    assert report.quarantined_rows == 0
    assert company.rows(
        "SELECT item_id, on_hand, event_at, row_no FROM raw.stock ORDER BY row_no"
    ) == [
        ("1001", 3.0, dt.datetime(2024, 3, 1), 1),
        ("1002", 2.5, dt.datetime(2024, 3, 1), 2),
        ("1003", 1.25, dt.datetime(2024, 3, 2, 8, 30), 4),
    ]


def _ods(rows: list[list[str | float]]) -> str:
    """The content of an open document spreadsheet, as office programs write it: no white space
    between the tags."""

    def cell(value: str | float) -> str:
        kind = 'float" office:value="' + str(value) if isinstance(value, float) else "string"
        return (
            "<table:table-cell "
            f'office:value-type="{kind}"><text:p>{value}</text:p></table:table-cell>'
        )

    body = "".join(
        f"<table:table-row>{''.join(cell(value) for value in row)}</table:table-row>"
        for row in rows
    )
    urn = "urn:oasis:names:tc:opendocument:xmlns"
    return (
        '<?xml version="1.0" encoding="UTF-8"?><office:document-content '
        f'xmlns:office="{urn}:office:1.0" xmlns:table="{urn}:table:1.0"'
        f' xmlns:text="{urn}:text:1.0" '
        'office:version="1.3"><office:body><office:spreadsheet><table:table '
        f'table:name="Terms">{body}'
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )


def test_an_open_document_spreadsheet(tmp_path: Path) -> None:
    company = Company(
        tmp_path,
        """
sources:
  terms:
    silo: sheets
    path: terms.ods
    format: ods
    decimal: ","
    key: [item]
    known_at: date '2024-01-01'
    into: [supplier_terms: {item_id: item, supplier_id: "'S'", moq: least}]
""",
    )
    with zipfile.ZipFile(company.data / "terms.ods", "w") as book:
        book.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        book.writestr(
            "META-INF/manifest.xml",
            """<?xml version="1.0"?><manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">
<manifest:file-entry manifest:full-path="/" manifest:media-type="application/vnd.oasis.opendocument.spreadsheet"/>
<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>""",
        )
        book.writestr("content.xml", _ods([["item", "least"], ["apple", 12.0], ["pear", "2,5"]]))
    assert company.land().quarantined_rows == 0
    assert company.rows("SELECT item_id, moq FROM raw.supplier_terms ORDER BY ALL") == [
        ("apple", 12.0),
        ("pear", 2.5),
    ]


JSON_ROWS = [
    {
        "till": "T1",
        "line": 1,
        "item": "apple",
        "store": "north",
        "day": "2024-03-01",
        "qty": 3,
        "price": 1.50,
    },
    {
        "till": "T1",
        "line": 2,
        "item": "pear",
        "store": "north",
        "day": "2024-03-01",
        "qty": 2,
        "price": 2.25,
        "note": {"a": [1, None]},
    },
]


@pytest.mark.parametrize(
    ("options", "content"),
    [
        ("jsonl", "\n".join(json.dumps(row) for row in JSON_ROWS)),
        ("json", json.dumps(JSON_ROWS, indent=1)),
        (
            "{json: {records: data.rows}}",
            json.dumps({"data": {"rows": JSON_ROWS}, "page": 1}, indent=2),
        ),
    ],
)
def test_json(tmp_path: Path, options: str, content: str) -> None:
    company = Company(
        tmp_path,
        SALES.replace("tills/*.csv", "tills.json").replace(
            "    key:", f"    format: {options}\n    key:"
        ),
    )
    company.write("tills.json", content)
    assert landed(company) == EXPECTED


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    company = Company(tmp_path, SALES.replace("tills/*.csv", "tills.parquet"))
    frame = (
        pl.DataFrame(JSON_ROWS)
        .drop("note")
        .with_columns(pl.col("day").str.to_date(), pl.col("qty").cast(pl.Int16))
    )
    frame.write_parquet(company.data / "tills.parquet")
    assert landed(company) == EXPECTED


def test_a_draft_contract_is_a_contract_that_lands(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text(
        "order;article;store;date;quantity;price\n1;a;n;01.03.2024;3;1,50\n2;b;n;02.03.2024;4;2,50\n"
    )
    draft = suggest([tmp_path / "sales.csv"])
    (tmp_path / "world.yml").write_text(draft)
    assert World.load(tmp_path).sources["sales"].dates == ["%d.%m.%Y"]
    company = Company(tmp_path / "home")
    (company.data / "world.yml").write_text(draft)
    company.write("sales.csv", (tmp_path / "sales.csv").read_bytes())
    report = company.land()
    assert (report.new_rows, report.quarantined_rows) == (2, 0)
    assert company.rows("SELECT item_id, quantity, unit_price FROM raw.sales ORDER BY 1") == [
        ("a", 3.0, 1.5),
        ("b", 4.0, 2.5),
    ]


def test_a_truncated_workbook_names_file_and_sheet(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.save(tmp_path / "whole.xlsx")
    company = Company(tmp_path / "home", SALES.replace("tills/*.csv", "cut.xlsx"))
    company.write("cut.xlsx", (tmp_path / "whole.xlsx").read_bytes()[:2000])
    with pytest.raises(ContractError, match=r"cut\.xlsx sheet 1: is no readable workbook"):
        company.land(strict=True)


@pytest.mark.parametrize(
    ("file", "table", "mapping"),
    [
        (
            "erp/purchase_orders.csv",
            "purchase_orders",
            {
                "order_id": "order",
                "line_id": "line",
                "event_at": "ordered_at",
                "due_at": "due_on",
                "supplier_id": "supplier",
                "location_id": "deliver_to",
            },
        ),
        (
            "erp/receipts.csv",
            "receipts",
            {"order_id": "order", "event_at": "received_at", "quantity": "quantity"},
        ),
        (
            "erp/transfers/received.csv",
            "transfers",
            {"from_id": "from_location", "to_id": "to_location", "received_at": "received_at"},
        ),
        ("erp/price_list.csv", "prices", {"event_at": "valid_from"}),
        ("erp/items.csv", "items", {"item_id": "item", "name": "description"}),
        ("erp/suppliers.csv", "suppliers", {"supplier_id": "supplier"}),
        ("erp/adjustments.csv", "adjustments", {"delta": "difference"}),
        (
            "erp/invoices/2010-12-01.csv",
            "sales",
            {"quantity": "Quantity", "unit_price": "UnitPrice", "order_id": "InvoiceNo"},
        ),
        (
            "spreadsheets/supplier_terms_2011-06-15.xlsx",
            "supplier_terms",
            {"lead_time_days": "Lead time (days)", "moq": "MOQ", "from_quantity": "Quantity from"},
        ),
    ],
)
def test_a_draft_tells_each_kind_of_file_by_its_columns(
    file: str, table: str, mapping: dict[str, str]
) -> None:
    drafted = yaml.safe_load(suggest([Path("sample_data") / file]))
    ((source,),) = [list(drafted["sources"].values())]
    ((found, columns),) = source["into"][0].items()
    assert found == table
    assert mapping.items() <= columns.items()
    assert "???" not in columns.values()


def test_a_draft_of_the_readme_s_own_file_loads_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "monday.csv").write_text(
        "article,shop,day,pieces\nA,main,2024-01-01,3\nB,main,2024-01-02,4\n", encoding="utf-8"
    )
    draft = suggest([tmp_path / "monday.csv"])
    (tmp_path / "world.yml").write_text(draft, encoding="utf-8")
    World.load(tmp_path)
    assert yaml.safe_load(draft)["sources"]["monday"]["into"] == [
        {
            "sales": {
                "item_id": "article",
                "location_id": "shop",
                "event_at": "day",
                "quantity": "pieces",
            }
        }
    ]
