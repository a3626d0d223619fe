"""Feast's own expectations of an offline store, written anew, and equality with its stock DuckDB
store where that one is right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.types import Float64, String
from feast.value_type import ValueType
from pyarrow import pandas_compat

from feature_repo.offline_store import WarehouseOfflineStore, WarehouseOfflineStoreConfig
from feature_repo.sources import WarehouseSource

START = datetime(2026, 1, 1, tzinfo=UTC)
TIMES = {"timestamp_field": "event_at", "created_timestamp_column": "known_at"}


def history(rows: int, seed: int) -> pl.DataFrame:
    """Feature rows without ties: distinct events per key, some known late."""
    draw = np.random.default_rng(seed)
    hours = pl.Series(range(rows)).cast(pl.Int64)
    late = draw.choice([0, 0, 0, 5, 60], rows)
    frame = pl.DataFrame(
        {
            "item_id": draw.choice(["a", "b", "c"], rows),
            "event_at": [START + timedelta(hours=int(h)) for h in hours],
        }
    )
    known = [
        event + timedelta(hours=int(delay))
        for event, delay in zip(frame["event_at"], late, strict=True)
    ]
    return frame.with_columns(
        pl.Series("known_at", known), pl.Series("value", draw.normal(size=rows))
    )


def make_store(home: Path, stock: bool = False) -> FeatureStore:
    """A store over rows.parquet (view `file`) and, for ours, over table f.rows (view `table`)."""
    config = RepoConfig(
        project="conformance",
        provider="local",
        registry=str(home / f"registry_{stock}.db"),
        online_store=None,
        repo_path=home,
        offline_store={"type": "duckdb"}
        if stock
        else WarehouseOfflineStoreConfig(path=str(home / "w.duckdb")),
        coerce_tz_aware=False,
        entity_key_serialization_version=3,
    )
    item = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING)
    schema = [Field(name="item_id", dtype=String), Field(name="value", dtype=Float64)]
    file = FileSource(path=str(home / "rows.parquet"), **TIMES)
    views = [
        FeatureView(name="file", entities=[item], schema=schema, source=file, ttl=timedelta(days=1))
    ]
    if not stock:
        views.append(
            FeatureView(
                name="table",
                entities=[item],
                schema=schema,
                source=WarehouseSource("f.rows", **TIMES),
            )
        )
    store = FeatureStore(config=config)
    store.apply([item, *views])
    return store


@pytest.fixture
def home(tmp_path: Path) -> Path:
    rows = history(300, 1)
    pq.write_table(rows.to_arrow(), tmp_path / "rows.parquet")
    with duckdb.connect(str(tmp_path / "w.duckdb")) as con:
        con.execute("SET TimeZone = 'UTC'; CREATE SCHEMA f").register("rows", rows.to_arrow())
        con.execute(
            "CREATE TABLE f.rows AS SELECT item_id, event_at::TIMESTAMP AS event_at, "
            "known_at::TIMESTAMP AS known_at, value FROM rows"
        )
    return tmp_path


def asked(rows: int = 500) -> pl.DataFrame:
    draw = np.random.default_rng(2)
    stamps = [START + timedelta(minutes=int(m)) for m in draw.integers(0, 400 * 60, rows)]
    return pl.DataFrame(
        {"item_id": draw.choice(["a", "b", "c", "nobody"], rows), "event_timestamp": stamps}
    )


def test_answers_equal_feasts_stock_store_where_it_is_told_to_honour_both_times(home: Path) -> None:
    frame = asked()
    ours = pl.DataFrame(
        make_store(home).get_historical_features(frame.to_arrow(), ["file:value"]).to_arrow()
    )
    theirs = make_store(home, stock=True).get_historical_features(
        frame.to_pandas(), ["file:value"], filter_by_created_timestamp=True
    )
    order = ["item_id", "event_timestamp", "value"]
    same = (
        pl.DataFrame(theirs.to_arrow())
        .select(order)
        .with_columns(pl.col("event_timestamp").cast(pl.Datetime("us", "UTC")))
    )
    assert ours.select(order).sort(order).equals(same.sort(order))
    assert ours["value"].null_count() not in (0, len(ours))


def test_every_way_to_ask_gives_the_same_answer(home: Path) -> None:
    store, frame = make_store(home), asked()
    reference = ["table:value"]
    arrow = store.get_historical_features(frame.to_arrow(), reference).to_arrow()
    assert store.get_historical_features(frame.to_pandas(), reference).to_arrow().equals(arrow)
    assert store.get_historical_features(frame, reference).to_arrow().equals(arrow)
    elsewhere = frame.with_columns(pl.col("event_timestamp").dt.convert_time_zone("Asia/Tokyo"))
    assert store.get_historical_features(elsewhere, reference).to_arrow().equals(arrow)
    pq.write_table(frame.to_arrow(), home / "asked.parquet")
    assert (
        store.get_historical_features(f"SELECT * FROM '{home}/asked.parquet'", reference)
        .to_arrow()
        .equals(arrow)
    )
    assert pa.Table.from_pandas(store.get_historical_features(frame, reference).to_df())[
        "value"
    ].equals(arrow["value"])
    full = store.get_historical_features(frame, reference, full_feature_names=True).to_arrow()
    assert full.column_names == [*frame.columns, "table__value"]
    with pytest.raises(ValueError, match="has no time zone"):
        store.get_historical_features(
            "SELECT item_id, event_at AS event_timestamp FROM f.rows", reference
        )


def test_a_training_set_is_saved_to_parquet_and_read_back(home: Path) -> None:
    store = make_store(home)
    job = store.get_historical_features(asked().to_arrow(), ["table:value"])
    storage = SavedDatasetFileStorage(path=str(home / "out" / "training.parquet"))
    store.create_saved_dataset(job, "training", storage)
    assert pq.read_table(home / "out" / "training.parquet").equals(job.to_arrow())
    with pytest.raises(SavedDatasetLocationAlreadyExists):
        job.persist(storage)
    job.persist(storage, allow_overwrite=True)
    assert store.get_saved_dataset("training").to_df().shape[0] == 500


def test_no_answer_passes_through_pandas(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a data frame was made on the way")

    store, end = make_store(home), START + timedelta(hours=200)
    monkeypatch.setattr(pd.DataFrame, "__init__", refuse)
    monkeypatch.setattr(pandas_compat, "table_to_dataframe", refuse)
    with pytest.raises(AssertionError, match="on the way"):
        pa.table({"a": [1]}).to_pandas()
    job = store.get_historical_features(
        asked(), ["file:value", "table:value"], full_feature_names=True
    )
    job.persist(SavedDatasetFileStorage(path=str(home / "training.parquet")))
    assert pq.read_table(home / "training.parquet").equals(job.to_arrow())
    source, columns = (
        store.get_feature_view("table").batch_source,
        (["item_id"], ["value"], "event_at", "known_at"),
    )
    for pull in (
        WarehouseOfflineStore.pull_latest_from_table_or_query,
        WarehouseOfflineStore.pull_all_from_table_or_query,
    ):
        assert pull(store.config, source, *columns, START, end).to_arrow().num_rows


def test_latest_and_all_rows_are_pulled_from_tables_and_files(home: Path) -> None:
    store, end = make_store(home), START + timedelta(hours=200)
    stored = history(300, 1)
    for name in ("file", "table"):
        source = store.get_feature_view(name).batch_source
        columns = (["item_id"], ["value"], "event_at", "known_at")
        latest = WarehouseOfflineStore.pull_latest_from_table_or_query(
            store.config, source, *columns, START, end
        ).to_arrow()
        seen = (
            stored.filter(pl.max_horizontal("event_at", "known_at") <= end)
            .sort("event_at")
            .group_by("item_id")
            .last()
        )
        assert dict(
            zip(*latest.select(["item_id", "value"]).to_pydict().values(), strict=True)
        ) == dict(seen.select("item_id", "value").rows())
        everything = WarehouseOfflineStore.pull_all_from_table_or_query(
            store.config, source, *columns, START, end
        ).to_arrow()
        assert everything.num_rows == 201


def test_written_rows_are_served(home: Path) -> None:
    store = make_store(home)
    when = START + timedelta(hours=500)
    row = pl.DataFrame({"item_id": ["a"], "event_at": [when], "known_at": [when], "value": [42.0]})
    frame = pl.DataFrame({"item_id": ["a"], "event_timestamp": [when]})
    for name in ("file", "table"):
        WarehouseOfflineStore.offline_write_batch(
            store.config, store.get_feature_view(name), row.to_arrow(), None
        )
        assert store.get_historical_features(frame, [f"{name}:value"]).to_arrow()[
            "value"
        ].to_pylist() == [42.0]
        with pytest.raises(ValueError, match="its source has"):
            WarehouseOfflineStore.offline_write_batch(
                store.config, store.get_feature_view(name), row.drop("value").to_arrow(), None
            )
