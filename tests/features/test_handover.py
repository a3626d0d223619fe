"""The contract between rooms, name by name: dbt's columns = Feast's schema, and Feast offers what
models ask for."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
import yaml
from feast import FeatureView
from small_marts import PROJECT

from feature_repo.features import ENTITIES, SERVICES, VIEWS
from models.forecasting import inputs

DUCKDB_TYPES = {"FLOAT32": "FLOAT", "INT64": "BIGINT", "STRING": "VARCHAR", "BOOL": "BOOLEAN"}


def contract(view: FeatureView) -> dict[str, tuple[str, str]]:
    """What dbt promises: {column: (type, description)}."""
    table = view.batch_source.table.split(".")[1]
    model = yaml.safe_load((PROJECT / "models" / "features" / f"{table}.yml").read_text())[
        "models"
    ][0]
    return {
        column["name"]: (column["data_type"], column["description"]) for column in model["columns"]
    }


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_dbts_contract_is_feasts_schema(view: FeatureView, built: Path) -> None:
    promised = contract(view)
    times = {
        name
        for name in (view.batch_source.timestamp_field, view.batch_source.created_timestamp_column)
        if name
    }
    assert set(promised) == {key.name for key in view.entity_columns} | times | {
        feature.name for feature in view.features
    }
    for feature in view.features:
        assert promised[feature.name] == (DUCKDB_TYPES[feature.dtype.name], feature.description)
    with duckdb.connect(str(built), read_only=True) as con:
        found = {
            name: kind
            for name, kind, *_ in con.execute(f"DESCRIBE {view.batch_source.table}").fetchall()
        }
    assert found == {name: kind for name, (kind, _) in promised.items()}


def test_every_feature_says_what_it_is_in_which_unit_and_whose() -> None:
    for view in VIEWS:
        assert view.description
        assert view.owner
        for feature in view.features:
            assert feature.description.endswith(f"[{feature.tags['unit']}]")
            assert feature.tags["owner"] == view.owner
    assert all(entity.description and entity.owner for entity in ENTITIES)


def test_services_offer_what_models_ask_for() -> None:
    offered = {
        service.name: [
            f.name for projection in service.feature_view_projections for f in projection.features
        ]
        for service in SERVICES
    }
    assert set(offered["demand_v1"]) == {
        *inputs.DEMAND_FEATURES,
        *inputs.ITEM_FEATURES,
        *inputs.PRICE_FEATURES,
    }
    assert set(offered["plans_v1"]) == set(inputs.PLAN_FEATURES)
    assert inputs.LABEL in offered["labels_v1"]
    assert set(offered["signals_v1"]) == set(inputs.SIGNAL_FEATURES)


def test_the_label_is_never_served_online() -> None:
    assert [view.name for view in VIEWS if not view.online] == ["demand_observed"]
