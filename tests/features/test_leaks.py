"""Nothing is served before it was known; each law is shown to catch the leak when the cutoff is
taken out."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from feast import Entity, FeatureStore, FeatureView, Field
from feast.types import Float32, String
from small_marts import CORRECTED, CORRECTED_AT, START, at

from feature_repo.asof import FeatureRows, quote
from feature_repo.features import KEY_TYPES, VIEWS
from feature_repo.sources import WarehouseSource
from feature_repo.store import open_store, training_frame

UTC_TIME = pl.Datetime("us", "UTC")


def asked(days: list[float], **keys: object) -> pl.DataFrame:
    stamps = pl.Series([at(day) for day in days], dtype=UTC_TIME)
    columns = {
        name: pl.lit(value) for name, value in ({"item_id": "a", "location_id": "x"} | keys).items()
    }
    return pl.DataFrame({"event_timestamp": stamps}).with_columns(**columns)


def without_cutoff(
    store: FeatureStore, warehouse: Path, name: str, event: str, feature: str
) -> FeatureView:
    """The same view over the same rows with its known-at column left out: what a naive store would
    serve.

    The rows are copied in the order they became known: where event times tie, the row stored last
    is served.
    """
    view = next(view for view in VIEWS if view.name == name)
    with duckdb.connect(str(warehouse)) as con:
        con.execute(
            f"CREATE TABLE features.leaky_{name} AS SELECT * FROM {view.batch_source.table} ORDER "
            f"BY {event}, known_at"
        )
    item = Entity(name="item", join_keys=["item_id"])
    location = Entity(name="location", join_keys=["location_id"])
    source = WarehouseSource(f"features.leaky_{name}", name=f"leaky_{name}", timestamp_field=event)
    kinds = [
        Field(name=key, dtype=KEY_TYPES.get(key, String)) for key in ("item_id", "location_id")
    ]
    leaky = FeatureView(
        name=f"leaky_{name}",
        entities=[item, location],
        schema=[*kinds, Field(name=feature, dtype=Float32)],
        source=source,
    )
    store.apply([item, location, leaky])
    return leaky


def test_a_late_correction_is_not_seen_before_it_was_known_and_would_be_without_the_cutoff(
    own: Path, tmp_path: Path
) -> None:
    store = open_store(own, tmp_path / "features")
    # the morning after the corrected day; the correction came nine days later
    day = CORRECTED + 1.0
    honest = training_frame(store, asked([day]), "demand_v1")["demand_lag_1"].item()
    assert honest == CORRECTED % 5 + 1
    without_cutoff(store, own, "demand_stats", "event_at", "demand_lag_1")
    leaked = store.get_historical_features(
        asked([day]).to_arrow(), ["leaky_demand_stats:demand_lag_1"]
    ).to_arrow()
    assert leaked["demand_lag_1"].to_pylist() == [50.0], (
        "the canary: without the cutoff the correction leaks, so this test can fail"
    )


def test_the_leak_is_found_when_the_cutoff_is_taken_out_of_the_join_itself(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = asked([CORRECTED + 1.0])
    assert training_frame(store, frame, "demand_v1")["demand_lag_1"].item() == CORRECTED % 5 + 1
    monkeypatch.setattr(
        FeatureRows, "available", property(lambda rows: f"CAST({quote(rows.event)} AS TIMESTAMP)")
    )
    assert training_frame(store, frame, "demand_v1")["demand_lag_1"].item() == 50.0


def test_a_label_is_unknown_at_its_own_origin_and_would_be_known_without_the_cutoff(
    own: Path, tmp_path: Path
) -> None:
    store = open_store(own, tmp_path / "features")
    target = (START + timedelta(days=40)).date()
    at_origin, when_closed = training_frame(
        store, asked([40.0, 41.0], target_on=target), "labels_v1"
    )["demand"].to_list()
    assert at_origin is None
    assert when_closed is not None
    # label as feature: the period's start taken for the time it was known
    with duckdb.connect(str(own)) as con:
        con.execute(
            "CREATE TABLE features.canary AS SELECT *, CAST(target_on AS TIMESTAMP) AS starts_at "
            "FROM features.feat_demand_observed"
        )
    item, location = (Entity(name=name, join_keys=[f"{name}_id"]) for name in ("item", "location"))
    source = WarehouseSource("features.canary", timestamp_field="starts_at")
    kinds = [Field(name=key, dtype=String) for key in ("item_id", "location_id")]
    store.apply(
        [
            item,
            location,
            FeatureView(
                name="canary",
                entities=[item, location],
                schema=[*kinds, Field(name="demand", dtype=Float32)],
                source=source,
            ),
        ]
    )
    leaked = (
        store.get_historical_features(asked([40.0]).to_arrow(), ["canary:demand"])
        .to_arrow()["demand"]
        .to_pylist()
    )
    assert leaked == [when_closed], "the canary: a label dated by its start is served at its origin"


def test_no_feature_of_any_service_depends_on_rows_known_later(own: Path, tmp_path: Path) -> None:
    services = ("demand_v1", "signals_v1", "plans_v1", "labels_v1", "replenishment_v1", "lanes_v1")
    frame = asked(
        [45.5, 58.0, CORRECTED + 2.0],
        region_id="north",
        supplier_id="s",
        lane_id="s>x",
        target_on=datetime(2026, 4, 1).date(),
    )
    store = open_store(own, tmp_path / "features")
    before = [training_frame(store, frame, service) for service in services]
    cutoff = START + timedelta(days=58)
    deleted = 0
    with duckdb.connect(str(own)) as con:
        for view in VIEWS:
            deleted += con.execute(
                f"DELETE FROM {view.batch_source.table} WHERE known_at > ?", [cutoff]
            ).fetchall()[0][0]
    assert deleted > 100
    assert cutoff < CORRECTED_AT, "the deleted rows include the planted correction"
    for service, frame_before in zip(services, before, strict=True):
        assert training_frame(store, frame, service).equals(frame_before), service


@pytest.mark.parametrize(
    ("frame", "error", "words"),
    [
        (
            asked([45.0]).with_columns(pl.col("event_timestamp").dt.replace_time_zone(None)),
            ValueError,
            "no time zone",
        ),
        (asked([81.0]), ValueError, "later than the warehouse's Now"),
        (
            asked([45.0], item_id=17),
            TypeError,
            "item_id is INTEGER, but view demand_stats is keyed by VARCHAR",
        ),
        (asked([45.0]).drop("location_id"), LookupError, "joined by location_id"),
        (
            asked([45.0]).with_columns(pl.lit(None, dtype=UTC_TIME).alias("event_timestamp")),
            ValueError,
            "null in 1 rows",
        ),
        (asked([45.0]).with_columns(price=pl.lit(1.0)), ValueError, "both called price"),
        (asked([45.0]).drop("event_timestamp"), ValueError, "need one column event_timestamp"),
    ],
)
def test_a_wrong_question_is_answered_with_what_is_wrong(
    store: FeatureStore, frame: pl.DataFrame, error: type, words: str
) -> None:
    with pytest.raises(error, match=words):
        training_frame(store, frame, "demand_v1")


def test_an_unknown_feature_service_or_missing_table_is_named(
    own: Path, tmp_path: Path, store: FeatureStore
) -> None:
    with pytest.raises(LookupError, match="no feature service demand_v9; there are"):
        training_frame(store, asked([45.0]), "demand_v9")
    with pytest.raises(LookupError, match="demand_lag_9 not found in projection demand_stats"):
        store.get_historical_features(asked([45.0]).to_arrow(), ["demand_stats:demand_lag_9"])
    with duckdb.connect(str(own)) as con:
        con.execute("DROP TABLE features.feat_prices")
    with pytest.raises(
        LookupError, match=r"features\.feat_prices does not exist: run `stockhouse run`"
    ):
        training_frame(open_store(own, tmp_path / "features"), asked([45.0]), "demand_v1")
    with pytest.raises(FileNotFoundError, match="build it first with `stockhouse run`"):
        training_frame(
            open_store(tmp_path / "none.duckdb", tmp_path / "features"), asked([45.0]), "demand_v1"
        )


def test_the_warehouse_is_free_for_its_writer_after_every_answer(own: Path, tmp_path: Path) -> None:
    store = open_store(own, tmp_path / "features")
    job = store.get_historical_features(
        asked([45.0]).to_arrow(), store.get_feature_service("demand_v1")
    )
    with duckdb.connect(str(own)) as con:  # refused while any handle is open in this process
        con.execute("CREATE TABLE written_between AS SELECT 1 AS one")
        with pytest.raises(RuntimeError, match="held by a writer"):
            job.to_arrow()
    assert job.to_arrow().num_rows == 1
