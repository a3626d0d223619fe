"""What is served online equals what is known now: from files, Redis and PostgreSQL alike."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import duckdb
import polars as pl
import psycopg
import pytest
from feast import FeatureStore
from small_marts import NOW, at

from feature_repo.store import (
    delete_entity,
    materialize_online,
    online_settings,
    open_store,
    push,
    training_frame,
)

KEYS = {
    "item_id": "a",
    "location_id": "x",
    "region_id": "north",
    "supplier_id": "s",
    "lane_id": "s>x",
}
TARGET = datetime(2026, 4, 1)


def settings_of(kind: str) -> dict[str, Any] | None:
    """Feast's settings of a store; skips where the service's URL is not set."""
    if kind == "files":
        return None
    variable = f"STOCKHOUSE_{kind.upper()}_URL"
    if not os.environ.get(variable):
        pytest.skip(f"{variable} is not set, so no {kind} is talked to")
    url = urlsplit(os.environ[variable])
    if kind == "redis":
        # tests side by side do not share a database
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        return online_settings(url._replace(path=f"/{worker % 16}").geturl())
    return online_settings(url._replace(query=f"schema=features_{uuid4().hex}").geturl())


@pytest.fixture(
    params=[
        "files",
        pytest.param("redis", marks=pytest.mark.service),
        pytest.param("postgres", marks=pytest.mark.service),
    ]
)
def store(request: pytest.FixtureRequest, own: Path, tmp_path: Path) -> Iterator[FeatureStore]:
    settings = settings_of(request.param)
    store = open_store(own, tmp_path / "features", settings)
    yield store
    store.teardown()
    if request.param == "postgres" and settings:
        with psycopg.connect(os.environ["STOCKHOUSE_POSTGRES_URL"], autocommit=True) as con:
            con.execute(
                psycopg.sql.SQL("DROP SCHEMA {} CASCADE").format(
                    psycopg.sql.Identifier(settings["db_schema"])
                )
            )


def online(store: FeatureStore, service: str, **keys: object) -> dict[str, Any]:
    row = {
        name: value
        for name, value in (
            KEYS | {"target_on": TARGET.replace(tzinfo=at(0).tzinfo)} | keys
        ).items()
    }
    wanted = {
        key
        for view in store.get_feature_service(service).feature_view_projections
        for key in store.get_feature_view(view.name).join_keys
    }
    answer = store.get_online_features(
        store.get_feature_service(service), [{key: row[key] for key in wanted}]
    ).to_dict()
    return {name: values[0] for name, values in answer.items() if name not in wanted}


def offline(store: FeatureStore, service: str, days: float) -> dict[str, Any]:
    frame = pl.DataFrame(KEYS | {"target_on": TARGET.date()}).with_columns(
        pl.lit(at(days)).cast(pl.Datetime("us", "UTC")).alias("event_timestamp")
    )
    return training_frame(store, frame, service).drop(*frame.columns).row(0, named=True)


def change(store: FeatureStore, sql: str) -> None:
    with duckdb.connect(store.config.offline_store.path) as con:
        con.execute(sql)


def test_online_equals_offline_for_every_feature_of_every_service(store: FeatureStore) -> None:
    for days in (55.0, 80.0):
        assert materialize_online(store, at(days)) > 0
        for service in ("demand_v1", "plans_v1", "replenishment_v1", "lanes_v1"):
            served, known = online(store, service), offline(store, service, days)
            assert served == pytest.approx(known), service
            assert any(value is not None for value in known.values())
    assert materialize_online(store, at(80.0)) == 0, "nothing new, nothing written"


def test_late_and_corrected_rows_reach_the_online_store(store: FeatureStore) -> None:
    materialize_online(store, NOW)
    newest = f"TIMESTAMP '{NOW}'"
    change(
        store,
        "INSERT INTO features.feat_stock SELECT * REPLACE (77::FLOAT AS on_hand, known_at + "
        "interval 1 day AS known_at) FROM"
        " features.feat_stock WHERE item_id = 'a' QUALIFY row_number() OVER (ORDER BY known_at "
        "DESC) = 1",
    )
    assert materialize_online(store, NOW) == 1, (
        "the correction was known before the last refresh, yet it arrives"
    )
    assert online(store, "replenishment_v1")["on_hand"] == 77.0
    change(
        store,
        (
            f"INSERT INTO features.feat_items VALUES ('late', {newest} - interval 30 day, {newest} "
            "- "
            "interval 30 day, 'c', 's', 1, 1)"
        ),
    )
    assert materialize_online(store, NOW) == 1
    assert online(store, "demand_v1", item_id="late")["category"] == "c"
    change(store, "DELETE FROM features.feat_items WHERE item_id = 'late'")
    assert materialize_online(store, NOW) == 1, (
        "what the warehouse no longer knows is no longer served"
    )
    assert online(store, "demand_v1", item_id="late")["category"] is None


def stock(on_hand: float, event_at: datetime) -> pl.DataFrame:
    row = {
        "item_id": "a",
        "location_id": "x",
        "event_at": event_at,
        "known_at": event_at,
        "on_hand": on_hand,
        "is_in_stock": True,
    }
    return pl.DataFrame(
        [row | {"periods_since_stock_out": None}],
        schema_overrides={"periods_since_stock_out": pl.Float32},
    )


def test_a_pushed_event_serves_until_the_warehouse_knows_as_much(store: FeatureStore) -> None:
    materialize_online(store, NOW)
    assert push(store, "stock_now", stock(5.0, NOW + timedelta(hours=1))) == 1
    assert online(store, "replenishment_v1")["on_hand"] == 5.0
    assert push(store, "stock_now", stock(9.0, NOW - timedelta(days=70))) == 0, (
        "an older event changes nothing"
    )
    assert materialize_online(store, NOW) == 0
    assert online(store, "replenishment_v1")["on_hand"] == 5.0
    landed = f"TIMESTAMP '{NOW + timedelta(hours=2)}'"
    change(
        store,
        f"INSERT INTO features.feat_stock VALUES ('a', 'x', {landed}, {landed}, 4, true, NULL)",
    )
    assert materialize_online(store, NOW + timedelta(hours=3)) > 0
    assert online(store, "replenishment_v1")["on_hand"] == 4.0
    with pytest.raises(LookupError, match="need exactly the columns"):
        push(store, "stock_now", stock(5.0, NOW).drop("is_in_stock"))
    with pytest.raises(LookupError, match="no online view demand_observed"):
        push(store, "demand_observed", stock(5.0, NOW))


def test_deleting_an_entity_takes_it_out_of_every_view_and_no_other(store: FeatureStore) -> None:
    materialize_online(store, NOW)
    assert delete_entity(store, "item_id", "a") > 3
    assert set(online(store, "demand_v1").values()) == {None}
    assert set(online(store, "plans_v1").values()) == {None}
    assert online(store, "replenishment_v1")["signal_weather"] is not None
    assert online(store, "demand_v1", item_id="b")["demand_lag_1"] is not None
    assert materialize_online(store, NOW) > 3, (
        "a refresh serves it again while the warehouse knows it"
    )
    assert online(store, "demand_v1")["category"] == "tools"


def test_a_failed_refresh_leaves_the_previous_values_serving(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(own, tmp_path / "features")
    materialize_online(store, at(55.0))
    before = online(store, "demand_v1")
    change(store, "ALTER TABLE features.feat_plans RENAME TO gone")
    with pytest.raises(
        LookupError, match=r"features\.feat_plans does not exist: run `stockhouse run`"
    ):
        materialize_online(store, at(55.0))
    with monkeypatch.context() as patch, pytest.raises(OSError, match="disk full"):
        patch.setattr("feature_repo.online.write_parquet", _disk_full)
        materialize_online(store, NOW)
    assert online(store, "demand_v1") == before
    change(store, "ALTER TABLE features.gone RENAME TO feat_plans")
    assert materialize_online(store, NOW) > 0, "the next refresh does what the failed one could not"
    assert online(store, "demand_v1") == pytest.approx(offline(store, "demand_v1", 80.0))


def _disk_full(*_: Any) -> None:
    raise OSError("disk full")


def test_a_store_that_lost_its_rows_is_filled_anew(store: FeatureStore) -> None:
    written = materialize_online(store, NOW)
    kept, views = store._get_provider().online_store, store.list_feature_views()
    kept.teardown(store.config, views, [])
    kept.update(store.config, [], views, [], [], partial=True)
    assert set(online(store, "demand_v1").values()) == {None}
    assert materialize_online(store, NOW) == written
    assert online(store, "demand_v1") == pytest.approx(offline(store, "demand_v1", 80.0))


def test_rows_that_come_through_feast_itself_serve_until_we_know_as_much(
    own: Path, tmp_path: Path
) -> None:
    store = open_store(own, tmp_path / "features")
    with pytest.raises(LookupError, match="serves nothing yet: run `stockhouse run` first"):
        store.write_to_online_store("stock_now", df=stock(5.0, NOW).to_pandas())
    materialize_online(store, NOW)
    others = online(store, "replenishment_v1", item_id="b")
    later = stock(5.0, NOW + timedelta(hours=1)).with_columns(
        pl.col("event_at", "known_at").dt.replace_time_zone("UTC")
    )
    earlier = later.with_columns(pl.lit(3.0).alias("on_hand"))  # the last of a key counts
    store.write_to_online_store("stock_now", df=pl.concat([earlier, later]).to_pandas())
    assert online(store, "replenishment_v1")["on_hand"] == 5.0
    assert online(store, "replenishment_v1", item_id="b") == others
    assert materialize_online(store, NOW) == 0
    assert online(store, "replenishment_v1")["on_hand"] == 5.0


def test_many_keys_are_answered_in_their_order_with_what_nobody_knows_between(
    store: FeatureStore,
) -> None:
    materialize_online(store, NOW)
    items = ["b", "no such item", "a", "b", "", "a\x00"]
    rows = [{"item_id": item, "location_id": "x"} for item in items]
    answer = store.get_online_features(["demand_stats:demand_lag_1"], rows).to_dict()
    known = [online(store, "demand_v1", item_id=item)["demand_lag_1"] for item in items]
    assert answer["demand_lag_1"] == known
    assert [value is not None for value in known] == [True, False, True, True, False, False]
