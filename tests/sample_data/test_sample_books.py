"""The sample's books against its own files, read here without the generator: stock balances, times
are possible, all rows have a home."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from openpyxl import load_workbook

SAMPLE = Path(__file__).parents[2] / "sample_data"
TABLES = (
    "items",
    "suppliers",
    "locations",
    "assortment",
    "price_list",
    "units",
    "purchase_orders",
    "purchase_orders_closed",
    "receipts",
    "adjustments",
    "opening_days",
)
ITEM = "upper(trim(StockCode))"


def final_count() -> list[tuple[str, str, int]]:
    """The final workbook as a person reads it: text is a number too, a comma is a point, an empty
    cell is no count."""
    rows = list(load_workbook(SAMPLE / "spreadsheets/stock_count_2011-12-09.xlsx")["Count"].values)
    places = rows[5][2:]
    return [
        (str(row[0]), str(place), int(float(str(cell).replace(",", "."))))
        for row in rows[6:-1]
        for place, cell in zip(places, row[2:], strict=True)
        if cell is not None
    ]


def parts() -> list[tuple[str, str, int]]:
    """What one of each kit takes, (kit, part, number); a blank cell repeats the one above."""
    found, kit = [], ""
    for row in load_workbook(SAMPLE / "spreadsheets/kits.xlsx")["Kits"].iter_rows(
        min_row=2, values_only=True
    ):
        kit = str(row[0] or kit)
        found.append((kit, str(row[2]), int(str(row[3]))))
    return found


@pytest.fixture(scope="module")
def books() -> Iterator[duckdb.DuckDBPyConnection]:
    con = duckdb.connect()
    for name in TABLES:
        con.execute(
            f"CREATE TABLE {name} AS FROM read_csv('{SAMPLE}/erp/{name}.csv', all_varchar=true)"
        )
    con.execute(
        f"CREATE TABLE sent AS FROM read_csv('{SAMPLE}/erp/transfers/dispatched.csv', "
        "all_varchar=true)"
    )
    con.execute(
        f"CREATE TABLE arrived AS FROM read_csv('{SAMPLE}/erp/transfers/received.csv', "
        "all_varchar=true)"
    )
    con.execute(
        f"CREATE TABLE counts AS FROM read_csv('{SAMPLE}/erp/stock_counts/*.csv', all_varchar=true)"
    )
    con.execute(f"CREATE TABLE shipments AS FROM read_json('{SAMPLE}/logistics/shipments.jsonl')")
    markets = yaml.safe_load((SAMPLE / "world.yml").read_text(encoding="utf-8"))["functions"][
        "market"
    ]
    con.execute("CREATE TABLE markets (country VARCHAR, location VARCHAR)")
    con.executemany("INSERT INTO markets VALUES (?, ?)", list(markets.items()))
    con.execute(f"""
        CREATE TABLE lines AS
        SELECT DISTINCT l.*, {ITEM} AS item, m.location, Quantity::INT AS units,
            UnitPrice::DOUBLE AS price, InvoiceDate[:10]::DATE AS day
        FROM read_csv('{SAMPLE}/erp/invoices/*.csv', all_varchar=true) AS l LEFT JOIN markets AS m
            ON m.country = l.Country
        WHERE regexp_matches({ITEM}, '^[0-9]{{5}}[A-Z]{{0,2}}$') AND NOT (price = 0
            AND units > 0)""")
    con.execute("CREATE TABLE kits (kit VARCHAR, part VARCHAR, number INT)")
    con.executemany("INSERT INTO kits VALUES (?, ?, ?)", parts())
    con.execute("""
        CREATE TABLE moves AS
        SELECT coalesce(part, item) AS item, location, day, coalesce(number, 1)
            * CASE WHEN units < 0 AND InvoiceNo NOT LIKE 'C%' THEN units ELSE -units END AS delta
        FROM lines LEFT JOIN kits ON item = kit
        UNION ALL SELECT item, location, booked_at[:10]::DATE, difference::INT FROM adjustments
        UNION ALL SELECT item, location, received_at[:10]::DATE, quantity::INT FROM receipts
        UNION ALL SELECT item, from_location, dispatched_at[:10]::DATE, -quantity::INT FROM sent
        UNION ALL SELECT item, to_location, received_at[:10]::DATE, quantity::INT FROM arrived""")
    con.execute("""
        CREATE TABLE balances AS
        WITH opening AS (SELECT item, location, on_hand::INT AS on_hand FROM counts
            WHERE counted_at[:10] = '2010-11-30'),
        pairs AS (SELECT item, location FROM assortment WHERE item NOT IN (SELECT kit FROM kits)),
        days AS (SELECT unnest(range(DATE '2010-11-30', DATE '2011-12-10',
            INTERVAL 1 DAY))::DATE AS day),
        daily AS (SELECT item, location, day, sum(delta) AS delta FROM moves GROUP BY ALL)
        SELECT item, location, day,
          coalesce(o.on_hand, 0) + sum(coalesce(d.delta, 0)) OVER (PARTITION BY item, location
              ORDER BY day) AS on_hand
        FROM pairs CROSS JOIN days LEFT JOIN daily AS d USING (item, location, day) LEFT
            JOIN opening AS o USING (item, location)""")
    yield con
    con.close()


def query(con: duckdb.DuckDBPyConnection, sql: str) -> list[Any]:
    return con.execute(sql).fetchall()


def test_opening_plus_movements_is_every_count(books: duckdb.DuckDBPyConnection) -> None:
    counted = query(
        books,
        """
        SELECT count(*), count(*) FILTER (b.on_hand IS DISTINCT FROM c.on_hand::INT)
        FROM (SELECT *, counted_at[:10]::DATE AS day FROM counts) AS c LEFT
            JOIN balances AS b USING (item, location, day)""",
    )
    assert counted[0][0] > 10_000
    assert counted[0][1] == 0


def test_opening_plus_movements_is_the_final_workbook(books: duckdb.DuckDBPyConnection) -> None:
    booked = query(
        books, "SELECT item, location, on_hand FROM balances WHERE day = '2011-12-09' ORDER BY ALL"
    )
    assert sorted(final_count()) == booked


def test_every_movement_belongs_to_a_listed_item(books: duckdb.DuckDBPyConnection) -> None:
    assert (
        query(
            books,
            "SELECT DISTINCT item, location FROM moves EXCEPT SELECT item, location FROM assortment",
        )
        == []
    )
    assert query(books, "SELECT DISTINCT item FROM assortment EXCEPT SELECT item FROM items") == []
    assert (
        query(
            books, "SELECT DISTINCT location FROM assortment EXCEPT SELECT location FROM locations"
        )
        == []
    )
    assert (
        query(
            books,
            "SELECT item FROM items WHERE main_supplier NOT IN (SELECT supplier FROM suppliers) OR "
            "(main_supplier IS NULL AND item NOT IN (SELECT kit FROM kits))",
        )
        == []
    )


def test_stock_is_never_negative_and_sometimes_out(books: duckdb.DuckDBPyConnection) -> None:
    lowest, out = query(
        books,
        """
        SELECT min(on_hand), count(DISTINCT (b.item, b.location)) FILTER (on_hand = 0)
        FROM balances AS b JOIN assortment AS a USING (item, location)
            WHERE b.day >= a.listed_from::DATE + 7""",
    )[0]
    assert lowest == 0
    assert 5 <= out <= 100


def test_nothing_is_received_before_it_is_ordered(books: duckdb.DuckDBPyConnection) -> None:
    days = query(
        books,
        """
        SELECT min(received_at::DATE - ordered_at::DATE), max(received_at::DATE - due_on::DATE),
            min(due_on::DATE - ordered_at::DATE),
          max(due_on::DATE - ordered_at::DATE), count(*) FILTER (received_at::DATE > due_on::DATE)
        FROM receipts JOIN purchase_orders USING ("order", line, item, supplier)""",
    )[0]
    assert days[0] >= 1
    assert days[1] > 7
    assert days[2:4] == (7, 35)
    assert days[4] > 30
    lanes = query(
        books,
        """
        SELECT min(received_at::TIMESTAMP - dispatched_at::TIMESTAMP) > INTERVAL 0 HOUR,
            min(due_at::DATE - dispatched_at::DATE),
          max(due_at::DATE - dispatched_at::DATE) FROM arrived""",
    )[0]
    assert lanes == (True, 1, 5)


def test_purchases_go_to_the_centre_and_transfers_leave_it(
    books: duckdb.DuckDBPyConnection,
) -> None:
    assert query(books, "SELECT DISTINCT deliver_to FROM purchase_orders") == [("DC1",)]
    assert query(books, "SELECT DISTINCT from_location FROM sent") == [("DC1",)]
    assert query(books, "SELECT DISTINCT to_location FROM sent ORDER BY 1") == [
        ("CONT",),
        ("IE",),
        ("ROW",),
        ("UK",),
    ]


def test_purchases_keep_to_moq_and_multiple(books: duckdb.DuckDBPyConnection) -> None:
    rows = load_workbook(SAMPLE / "spreadsheets/supplier_terms_2010-11-15.xlsx")["Terms"].iter_rows(
        min_row=5, values_only=True
    )
    terms = {
        row[1]: (row[0], int(str(row[5])), int(str(row[6])), row[8], row[10])
        for row in rows
        if row[0] and row[1]
    }
    for item, supplier, quantity, unit, currency in query(
        books, "SELECT item, supplier, quantity::INT, unit, currency FROM purchase_orders"
    ):
        maker, moq, multiple, *words = terms[item]
        assert (maker, quantity >= moq, quantity % multiple) == (supplier, True, 0)
        assert words == [unit, currency]


def test_some_orders_and_transfers_are_still_open(books: duckdb.DuckDBPyConnection) -> None:
    open_lines, overdue = query(
        books,
        """
        SELECT count(*), count(*) FILTER (due_on < '2011-12-09')
        FROM purchase_orders ANTI JOIN receipts USING ("order", line)
            ANTI JOIN purchase_orders_closed USING ("order", line)""",
    )[0]
    assert open_lines > 20
    assert overdue > 0
    assert query(books, "SELECT count(*) FROM sent ANTI JOIN arrived USING (transfer)")[0][0] > 10


def test_every_line_received_is_received_whole_unless_open(
    books: duckdb.DuckDBPyConnection,
) -> None:
    wrong = query(
        books,
        """
        WITH got AS (SELECT "order", line, sum(quantity::INT) AS units, max(received_at) AS last_at
            FROM receipts GROUP BY ALL)
        SELECT count(*) FROM purchase_orders JOIN got USING ("order", line)
            LEFT JOIN units AS held ON purchase_orders.item = held.item
                AND purchase_orders.unit = held.unit
            ANTI JOIN purchase_orders_closed USING ("order", line)
        WHERE units > quantity::INT * coalesce(pieces::INT, 1)
            OR (units < quantity::INT * coalesce(pieces::INT, 1) AND last_at < '2011-12-07')""",
    )[0][0]
    assert wrong == 0


def test_a_line_that_ended_otherwise_got_less_than_ordered_and_nothing_after_its_end(
    books: duckdb.DuckDBPyConnection,
) -> None:
    ended = query(
        books,
        """
        SELECT status, coalesce(sum(got.quantity::INT), 0),
            any_value(ended.quantity::INT * coalesce(pieces::INT, 1)),
            bool_and(received_at <= changed_at), any_value(changed_at)
        FROM purchase_orders_closed AS ended LEFT JOIN receipts AS got USING ("order", line)
            LEFT JOIN units AS held ON ended.item = held.item AND ended.unit = held.unit
        GROUP BY "order", line, status""",
    )
    assert {row[0] for row in ended} == {"cancelled", "closed short"}
    for status, units, ordered, is_before, _changed in ended:
        assert (units == 0) == (status == "cancelled")
        assert units < ordered
        assert is_before is not False
    assert max(row[4] for row in ended) > "2011-12-01"


def test_foreign_orders_have_a_rate_on_their_day_and_goods_for_damage_cost_nothing(
    books: duckdb.DuckDBPyConnection,
) -> None:
    rates = f"read_csv('{SAMPLE}/erp/exchange_rates/*/rates.csv', hive_partitioning=true)"
    foreign, unknown, free = query(
        books,
        f"""
        SELECT count(*) FILTER (currency <> 'GBP'), count(*) FILTER (currency <> 'GBP'
            AND (SELECT count(*) FROM {rates} AS known
                WHERE known.currency = placed.currency AND year = year(ordered_at::DATE)
                    AND month = month(ordered_at::DATE)) <> 1), count(*) FILTER (unit_cost::DOUBLE = 0)
        FROM purchase_orders AS placed""",
    )[0]
    assert foreign > 50
    assert (unknown, free) == (0, 1)


def test_bins_hold_what_was_counted(books: duckdb.DuckDBPyConnection) -> None:
    bins = query(
        books,
        f"""
        SELECT item, any_value(on_hand)::INT, sum(quantity * coalesce(pieces::INT, 1))::INT,
            count(*) FILTER (status = 'blocked' OR expires_on < '2011-12-09' OR reserved > 0) > 0
        FROM read_csv('{SAMPLE}/logistics/bins.csv', types={{'item': 'VARCHAR'}}) AS bins
            LEFT JOIN units USING (item, unit) JOIN balances USING (item)
        WHERE day = '2011-12-09' AND location = 'DC1' GROUP BY item""",
    )
    assert len(bins) >= 6
    assert [row for row in bins if row[1] != row[2]] == []
    assert {row[3] for row in bins} == {True, False}


def test_customers_order_what_is_listed_where_they_order_it(
    books: duckdb.DuckDBPyConnection,
) -> None:
    listed = set(query(books, "SELECT item, location FROM assortment"))
    orders = json.loads((SAMPLE / "erp/customer_orders.json").read_text(encoding="utf-8"))
    number = dict(
        query(books, f"SELECT alias, id FROM read_csv('{SAMPLE}/erp/aliases.csv', header=true)")
    )
    asked = [
        (number.get(number.get(line["item"], ""), line["item"]), order["market"])
        for order in orders
        for line in order["lines"]
    ]
    assert len(asked) >= 8
    assert len(number) == 2 and set(asked) <= listed
    assert {kit for kit, _part, _number in parts()} & {item for item, _market in asked}


def test_freight_that_points_elsewhere_finds_its_notice(books: duckdb.DuckDBPyConnection) -> None:
    pointing, lost = query(
        books,
        """
        WITH s AS (SELECT asn, try_cast(regexp_extract(freight_usd, '(ASN-\\d+) \\(ID#:(\\d+)\\)',
            2) AS BIGINT) AS first FROM shipments)
        SELECT count(first), count(*) FILTER (f.id IS NULL OR f.freight_usd LIKE 'See%') FROM s
            LEFT JOIN shipments AS f
        ON f.id = s.first AND f.asn = s.asn WHERE s.first IS NOT NULL""",
    )[0]
    assert pointing > 100
    assert lost == 0
    words = {
        row[0]
        for row in query(
            books,
            (
                "SELECT DISTINCT freight_usd FROM shipments WHERE NOT regexp_matches(freight_usd, "
                "'^[0-9.]+$|^See')"
            ),
        )
    }
    assert "Freight Included in Commodity Cost" in words


def test_what_is_observed_is_known_afterwards(books: duckdb.DuckDBPyConnection) -> None:
    assert query(
        books,
        "SELECT count(*) FROM shipments WHERE recorded_at < coalesce(delivered_at, shipped_at)",
    ) == [(0,)]
    for name in (
        "weather.csv",
        "fuel_price.csv",
        "search_interest.csv",
        "consumer_confidence.json",
        "competitor_price.json",
    ):
        table = f"'{SAMPLE}/signals/{name}'"
        assert query(
            books,
            (
                f"SELECT count(*) FROM {table} WHERE published_at::DATE <= day::DATE OR origin <> "
                "'generated'"
            ),
        ) == [(0,)]
        assert query(
            books, f"SELECT max(published_at::TIMESTAMP) < TIMESTAMP '2011-12-10' FROM {table}"
        ) == [(True,)]


def test_the_selection_runs_from_steady_to_intermittent_over_the_year(
    books: duckdb.DuckDBPyConnection,
) -> None:
    items, least, most = query(
        books,
        """
        SELECT count(*), min(days), max(days)
        FROM (SELECT item, count(DISTINCT day) AS days FROM lines WHERE units > 0 GROUP BY item)""",
    )[0]
    assert items >= 150
    assert least < 60
    assert most > 200
    assert query(
        books, "SELECT count(DISTINCT day), min(day)::VARCHAR, max(day)::VARCHAR FROM lines"
    ) == [(305, "2010-12-01", "2011-12-09")]


def test_the_dirt_of_the_invoices_is_there() -> None:
    with duckdb.connect() as con:
        con.execute(
            f"CREATE TABLE raw AS FROM read_csv('{SAMPLE}/erp/invoices/*.csv', all_varchar=true)"
        )
        found = query(
            con,
            """
            SELECT count(*) FILTER (CustomerID IS NULL), count(*) FILTER (Description IS NULL),
                count(*) FILTER (InvoiceNo LIKE 'C%'),
              count(*) FILTER (StockCode IN ('POST', 'B', 'M')),
                  count(*) FILTER (StockCode <> upper(StockCode)),
              count(*) FILTER (InvoiceNo LIKE 'A%'), count(*) - (SELECT count(*)
                  FROM (SELECT DISTINCT * FROM raw))
            FROM raw""",
        )[0]
    assert [count > 0 for count in found] == [True] * 7
    cells = [
        cell
        for row in load_workbook(SAMPLE / "spreadsheets/stock_count_2011-12-09.xlsx")[
            "Count"
        ].values
        for cell in row[2:]
    ]
    assert any(isinstance(cell, str) and cell.isdigit() for cell in cells)
    assert any(isinstance(cell, str) and cell.endswith(",0") for cell in cells)
