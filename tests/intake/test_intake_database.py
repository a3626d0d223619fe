"""A database is pulled by cursor: everything once, late rows too, whatever happens between two
pulls."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestration.home import files
from orchestration.intake import forget_landed, pull
from orchestration.landing import ContractError

POSTGRES = os.environ.get("STOCKHOUSE_POSTGRES_URL")


def _orders(engine: sa.Engine, name: str) -> sa.Table:
    table = sa.Table(
        name,
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("item", sa.Text),
        sa.Column("store", sa.Text),
        sa.Column("day", sa.Date),
        sa.Column("qty", sa.Numeric(12, 3)),
        sa.Column("changed at", sa.DateTime),
    )
    table.create(engine)
    return table


def _fill(engine: sa.Engine, table: sa.Table, ids: range, changed: datetime | None) -> None:
    rows = [
        {
            "id": i,
            "item": f"i{i % 3}",
            "store": "north",
            "day": datetime(2024, 3, 1).date(),
            "qty": Decimal("1.5"),
            "changed at": changed,
        }
        for i in ids
    ]
    with engine.begin() as connection:
        connection.execute(table.insert(), rows)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def source(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[sa.Engine, sa.Table]]:
    if request.param == "postgresql" and not POSTGRES:
        pytest.skip("STOCKHOUSE_POSTGRES_URL is not set")
    url = str(POSTGRES) if request.param == "postgresql" else f"sqlite:///{tmp_path / 'erp.sqlite'}"
    monkeypatch.setenv("SHOP_DATABASE_URL", url)
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    table = _orders(engine, f"orders_{uuid.uuid4().hex[:8]}")
    yield engine, table
    table.drop(engine)
    engine.dispose()


def _fed(table: sa.Table, **more: Any) -> dict[str, Any]:
    return {
        "database": {
            "url": "${SHOP_DATABASE_URL}",
            "table": str(table.name),
            "cursor": "changed at",
            "batch_rows": 4,
            **more,
        }
    }


def test_every_row_lands_once_over_many_pulls(
    shop: Any, source: tuple[sa.Engine, sa.Table]
) -> None:
    engine, table = source
    world = shop.world(**_fed(table))
    _fill(engine, table, range(10), datetime(2024, 3, 2, 8))
    assert len(pull(world, shop.inbox)) == 3
    assert shop.landed(world) == (10, 15.0)
    # the very cursor value that was read before
    _fill(engine, table, range(10, 13), datetime(2024, 3, 2, 8))
    _fill(engine, table, range(13, 15), None)  # and none at all
    pull(world, shop.inbox)
    assert shop.landed(world) == (15, 22.5)
    pull(world, shop.inbox)
    assert shop.landed(world) == (15, 22.5)


def test_a_quiet_database_makes_no_new_delivery(
    shop: Any, source: tuple[sa.Engine, sa.Table]
) -> None:
    engine, table = source
    world = shop.world(**_fed(table))
    _fill(engine, table, range(3), datetime(2024, 3, 2, 8))
    assert len(pull(world, shop.inbox)) == 1
    assert pull(world, shop.inbox) == []
    assert shop.landed(world)[0] == 3
    assert forget_landed(shop.con, world, shop.inbox) == 1
    assert pull(world, shop.inbox) == []


def test_a_table_without_times_is_stamped_so_that_a_value_may_come_back(
    shop: Any, source: tuple[sa.Engine, sa.Table]
) -> None:
    engine, table = source
    _fill(engine, table, range(2), datetime(2024, 3, 2, 8))
    stamped = {"url": "${SHOP_DATABASE_URL}", "table": str(table.name), "stamp": True}
    world = shop.world(database=stamped, known_after=None, known_at="_pulled_at")
    for quantity in (5, 3, 5, 5):
        with engine.begin() as connection:
            connection.execute(table.update().where(table.c.id == 1).values(qty=quantity))
        pull(world, shop.inbox)
        shop.landed(world)
    told = shop.con.execute(
        "SELECT quantity FROM raw.sales WHERE quantity <> 1.5 ORDER BY known_at"
    ).fetchall()
    # a version a pull; which are news is the marts' to say
    assert [quantity for (quantity,) in told] == [5, 3, 5, 5]


def test_a_pull_that_dies_before_its_cursor_moves_repeats_and_loses_nothing(
    shop: Any, source: tuple[sa.Engine, sa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, table = source
    world = shop.world(**_fed(table))
    _fill(engine, table, range(6), datetime(2024, 3, 2, 8))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(files, "write", die)
        pull(world, shop.inbox)
    assert shop.landed(world) == (4, 6.0)
    _fill(engine, table, range(6, 9), datetime(2024, 3, 2, 9))
    pull(world, shop.inbox)
    assert shop.landed(world) == (9, 13.5)


def test_overlap_finds_rows_that_committed_late(
    shop: Any, source: tuple[sa.Engine, sa.Table]
) -> None:
    engine, table = source
    _fill(engine, table, range(2), datetime(2024, 3, 2, 8, 0, 30))
    strict, patient = shop.world(**_fed(table)), shop.world(**_fed(table, overlap=60))
    pull(patient, shop.inbox)
    _fill(engine, table, range(2, 4), datetime(2024, 3, 2, 8, 0, 10))
    if engine.dialect.name == "sqlite":  # it has no times, only text
        with pytest.raises(ContractError, match="overlap needs a time or a number"):
            pull(patient, shop.inbox)
        return
    pull(strict, shop.inbox)
    assert shop.landed(strict)[0] == 2
    pull(patient, shop.inbox)
    assert shop.landed(patient)[0] == 4


def test_another_cursor_in_the_contract_reads_everything_anew(
    shop: Any, source: tuple[sa.Engine, sa.Table]
) -> None:
    engine, table = source
    _fill(engine, table, range(3), datetime(2024, 3, 2, 8))
    pull(shop.world(**_fed(table)), shop.inbox)
    pull(shop.world(**_fed(table, cursor="id")), shop.inbox)
    assert json.loads((shop.inbox / "sales" / "cursor.json").read_text())["value"] == "2"


def test_decimals_and_days_arrive_as_they_are_written(
    shop: Any, source: tuple[sa.Engine, sa.Table]
) -> None:
    engine, table = source
    _fill(engine, table, range(1), datetime(2024, 3, 2, 8))
    pull(shop.world(**_fed(table)), shop.inbox)
    row = json.loads(shop.lines()[0])
    exact = engine.dialect.name == "postgresql"  # SQLite itself keeps a decimal as a float
    assert (row["day"], row["qty"]) == ("2024-03-01", "1.500" if exact else 1.5)
    assert row["changed at"].startswith("2024-03-02 08:00:00")


def test_a_query_is_taken_as_it_is_written(shop: Any, source: tuple[sa.Engine, sa.Table]) -> None:
    engine, table = source
    _fill(engine, table, range(3), datetime(2024, 3, 2, 8))
    query = (
        f"SELECT id, item, '12:30 100%:x' AS note FROM {table.name} WHERE item LIKE '%1' AND ':a' "
        "<> ':b';"
    )
    pull(shop.world(database={"url": "${SHOP_DATABASE_URL}", "query": query}), shop.inbox)
    assert [json.loads(line) for line in shop.lines()] == [
        {"id": 1, "item": "i1", "note": "12:30 100%:x"}
    ]


# SQLite renames the second
@pytest.mark.parametrize(
    "source", [pytest.param("postgresql", marks=pytest.mark.service)], indirect=True
)
def test_two_columns_of_one_name_are_refused(shop: Any, source: tuple[sa.Engine, sa.Table]) -> None:
    with pytest.raises(ContractError, match="two columns have the same name"):
        pull(
            shop.world(
                database={"url": "${SHOP_DATABASE_URL}", "query": "SELECT 1 AS id, 2 AS id"}
            ),
            shop.inbox,
        )


def test_a_query_cannot_write_to_the_database_it_reads(
    shop: Any, source: tuple[sa.Engine, sa.Table]
) -> None:
    engine, table = source
    _fill(engine, table, range(2), datetime(2024, 3, 2, 8))
    if engine.dialect.name == "postgresql":
        bad = (
            f"SELECT * FROM {table.name}) AS x; DELETE FROM {table.name}; SELECT * FROM (SELECT 1 "
            "AS id"
        )
    else:
        bad = f"SELECT * FROM {table.name}); DELETE FROM {table.name}; --"
    world = shop.world(database={"url": "${SHOP_DATABASE_URL}", "query": bad})
    with pytest.raises(ContractError, match="the database says"):
        pull(world, shop.inbox)
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 2


def test_an_error_names_the_place_and_never_the_password(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "SHOP_DATABASE_URL", "postgresql+psycopg://reader:hush@127.0.0.1:1/erp?connect_timeout=2"
    )
    with pytest.raises(
        ContractError, match=r"world.yml:\d+ sources.sales.database: the database says"
    ) as error:
        pull(shop.world(database="${SHOP_DATABASE_URL}"), shop.inbox)
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("fed", "said"),
    [
        (
            {"database": {"url": "postgresql://reader:hush@db/erp", "table": "orders"}},
            "has a password in it",
        ),
        (
            {"database": {"url": "${NOWHERE_SET_URL}", "table": "orders"}},
            "NOWHERE_SET_URL is not set",
        ),
        ({"database": {"url": "${X}", "table": "a", "query": "b"}}, "table or query, exactly one"),
        (
            {"database": {"url": "${X}", "table": "a", "curser": "b"}},
            "`curser` is no word of the grammar",
        ),
        ({"database": {"url": "${X}", "table": "a"}, "identity": "row"}, "need a `key`"),
        ({"stream": {"kafka": "x"}}, "one of nats, mqtt, webhook, folder"),
        ({"stream": {"webhook": "hush"}}, "the secret stands in the environment"),
        (
            {
                "url": {
                    "get": "https://api.shop.example",
                    "headers": {"Authorization": "Bearer hush"},
                }
            },
            "is a secret",
        ),
        (
            {"url": {"get": "https://api.shop.example", "params": {"api_key": "hush"}}},
            "api_key is a secret",
        ),
        (
            {"url": {"get": "http://erp.lan/", "login": {"user": "me", "password": "${PW}"}}},
            "in the clear",
        ),
        (
            {"url": {"get": "http://erp.lan/", "headers": {"X-Auth": "${PW}"}}},
            "in the clear",
        ),
        ({"url": {"get": "http://erp.lan/", "params": {"key": "${PW}"}}}, "in the clear"),
    ],
)
def test_a_wrong_option_says_what_and_where(shop: Any, fed: dict[str, Any], said: str) -> None:
    with pytest.raises(ContractError, match=r"sources\.sales") as error:
        pull(shop.world(**fed), shop.inbox)
    assert said in str(error.value)
