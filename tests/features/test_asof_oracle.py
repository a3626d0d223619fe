"""The store against a slow oracle that reads like the definition: event_at <= t and known_at <= t,
last event, then last known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Float64, String, UnixTimestamp
from feast.value_type import ValueType
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_repo.asof import FeatureRows, as_of
from feature_repo.offline_store import WarehouseOfflineStoreConfig
from feature_repo.sources import WarehouseSource

START = datetime(2026, 1, 1)
TTL = timedelta(hours=5)
ASKED_A_HISTORY = 120
HISTORIES = 100


@dataclass(frozen=True)
class Row:
    item: str | None
    location: str | None
    event: int | None  # hours after START
    known: int | None
    value: float | None


ITEMS, LOCATIONS = st.sampled_from(["a", "b", None]), st.sampled_from(["x", "y"])
HOURS = st.integers(0, 24)
ROWS = st.lists(
    st.builds(
        Row,
        ITEMS,
        LOCATIONS,
        st.one_of(HOURS, HOURS, HOURS, st.none()),
        st.one_of(HOURS, HOURS, HOURS, st.none()),
        st.one_of(st.none(), st.floats(-5, 5)),
    ),
    max_size=40,
    unique_by=lambda row: (row.item, row.location, row.event, row.known),
)
ASKED = st.lists(
    st.tuples(ITEMS, LOCATIONS, HOURS, HOURS), min_size=ASKED_A_HISTORY, max_size=ASKED_A_HISTORY
)


def view(
    name: str,
    keys: list[Entity],
    source: WarehouseSource | FileSource,
    ttl: timedelta | None = None,
) -> FeatureView:
    kinds = [
        Field(name=key.join_key, dtype=UnixTimestamp if key.join_key == "target_on" else String)
        for key in keys
    ]
    return FeatureView(
        name=name,
        entities=keys,
        schema=[*kinds, Field(name=f"value_{name}", dtype=Float64)],
        source=source,
        ttl=ttl,
    )


TIMES = {"timestamp_field": "event_at", "created_timestamp_column": "known_at"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeatureStore]:
    home = tmp_path_factory.mktemp("oracle")
    config = RepoConfig(
        project="oracle",
        provider="local",
        registry=str(home / "registry.db"),
        online_store=None,
        repo_path=home,
        offline_store=WarehouseOfflineStoreConfig(path=str(home / "w.duckdb")),
        coerce_tz_aware=False,
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    item = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING)
    location = Entity(name="location", join_keys=["location_id"], value_type=ValueType.STRING)
    target = Entity(name="target", join_keys=["target_on"], value_type=ValueType.UNIX_TIMESTAMP)
    store.apply(
        [
            item,
            location,
            target,
            view("pair", [item, location], WarehouseSource("f.rows", name="pair", **TIMES)),
            view(
                "fresh",
                [item, location],
                WarehouseSource(
                    "f.rows", name="fresh", field_mapping={"value_pair": "value_fresh"}, **TIMES
                ),
                TTL,
            ),
            view("item", [item], WarehouseSource("f.items", **TIMES)),
            view(
                "file",
                [item, location],
                FileSource(
                    path=str(home / "rows.parquet"),
                    field_mapping={"value_pair": "value_file"},
                    **TIMES,
                ),
            ),
            view("plan", [item, target], WarehouseSource("f.plans", timestamp_field="known_at")),
        ]
    )
    yield store


def at(hours: int | None) -> datetime | None:
    return None if hours is None else START + timedelta(hours=hours)


def write(home: Path, rows: list[Row]) -> None:
    """The rows as a table and as Parquet; items without their location, so with ties; plans whose
    target day is the event's hour."""
    (home / "w.duckdb").unlink(missing_ok=True)
    with duckdb.connect(str(home / "w.duckdb")) as con:
        con.execute("CREATE SCHEMA f")
        con.execute(
            "CREATE TABLE f.rows (item_id VARCHAR, location_id VARCHAR, event_at TIMESTAMP, "
            "known_at TIMESTAMP, value_pair DOUBLE)"
        )
        if rows:
            values = [(r.item, r.location, at(r.event), at(r.known), r.value) for r in rows]
            con.executemany("INSERT INTO f.rows VALUES (?, ?, ?, ?, ?)", values)
        con.execute(
            "CREATE TABLE f.items AS SELECT item_id, event_at, known_at, value_pair AS value_item "
            "FROM f.rows"
        )
        con.execute(
            "CREATE TABLE f.plans AS SELECT item_id, DATE '2026-01-01' + hour(event_at)::INT AS "
            "target_on, known_at,"
            " value_pair AS value_plan FROM f.rows"
        )
        con.execute(f"COPY f.rows TO '{home / 'rows.parquet'}'")


def oracle(rows: list[Row], t: int, ttl: timedelta | None = None) -> float | None:
    seen = [
        r
        for r in rows
        if r.event is not None and r.known is not None and r.event <= t and r.known <= t
    ]
    last = max(seen, key=lambda r: (r.event, r.known), default=None)
    return None if last is None or (ttl and timedelta(hours=t - last.event) > ttl) else last.value


@settings(
    max_examples=HISTORIES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(rows=ROWS, asked=ASKED)
def test_every_answer_equals_the_brute_force_definition(
    store: FeatureStore, rows: list[Row], asked: list[tuple]
) -> None:
    write(Path(store.config.repo_path), rows)
    frame = pl.DataFrame(
        [
            (item, location, date(2026, 1, 1) + timedelta(days=d), at(t).replace(tzinfo=UTC))
            for item, location, t, d in asked
        ],
        schema={
            "item_id": pl.String,
            "location_id": pl.String,
            "target_on": pl.Date,
            "event_timestamp": pl.Datetime("us", "UTC"),
        },
        orient="row",
    )
    names = [f"{name}:value_{name}" for name in ("pair", "fresh", "item", "file", "plan")]
    answer = pl.DataFrame(store.get_historical_features(frame.to_arrow(), names).to_arrow())
    assert answer.select(frame.columns).rows() == frame.rows(), (
        "every asked row comes back once, in its order"
    )
    for (item, location, t, day), found in zip(
        asked, answer.select(pl.selectors.starts_with("value_")).rows(), strict=True
    ):
        pair = [r for r in rows if r.item == item and r.location == location and item is not None]
        items = [r for r in rows if r.item == item and item is not None]
        plans = [
            Row(r.item, None, r.known, r.known, r.value)
            for r in items
            if r.event is not None and r.event % 24 == day
        ]
        assert found[0] == oracle(pair, t)
        assert found[1] == oracle(pair, t, TTL)
        assert found[3] == oracle(pair, t)
        assert found[2] in allowed(items, t)
        assert found[4] in allowed(plans, t)


def allowed(rows: list[Row], t: int) -> set[float | None]:
    """The values that complete ties leave open: the same key, event and known time stored more than
    once."""
    seen = [
        r
        for r in rows
        if r.event is not None and r.known is not None and r.event <= t and r.known <= t
    ]
    last = max(((r.event, r.known) for r in seen), default=None)
    return {r.value for r in seen if (r.event, r.known) == last} or {None}


@settings(max_examples=30, deadline=None, derandomize=True)
@given(rows=ROWS, asked=ASKED)
def test_fetching_the_features_of_wide_views_late_changes_no_answer(
    rows: list[Row], asked: list[tuple]
) -> None:
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE rows (item VARCHAR, location VARCHAR, event_at TIMESTAMP, known_at "
            "TIMESTAMP, value DOUBLE)"
        )
        con.execute("CREATE TABLE asked (__row INT, item VARCHAR, location VARCHAR, t TIMESTAMP)")
        if rows:
            values = [(r.item, r.location, at(r.event), at(r.known), r.value) for r in rows]
            con.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", values)
        numbered = [
            (number, item, location, at(t)) for number, (item, location, t, _) in enumerate(asked)
        ]
        con.executemany("INSERT INTO asked VALUES (?, ?, ?, ?)", numbered)
        pair = {"item": "item", "location": "location"}
        views = [
            FeatureRows("rows", pair, {"value": "first"}, "event_at", "known_at", TTL, "rowid"),
            FeatureRows(
                "rows", {"item": "item"}, {"value": "second"}, "event_at", "known_at", None, "rowid"
            ),
        ]
        early, mixed, late = (
            con.execute(
                as_of("asked", "t", ["item", "location", "t"], views, flags, few)
            ).fetchall()
            for flags, few in (
                ([False, False], [False, False]),
                ([True, False], [True, True]),
                ([True, True], [False, True]),
            )
        )
    assert early == mixed == late
