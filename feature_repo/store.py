"""Opens the feature store of one home and pulls training frames from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
from feast import FeatureStore, Project, RepoConfig
from feast.errors import FeatureServiceNotFoundException
from feast.repo_config import RegistryConfig

from feature_repo.features import ENTITIES, SERVICES, VIEWS
from feature_repo.offline_store import WarehouseOfflineStoreConfig
from feature_repo.online import delete_entity, materialize_online, push

__all__ = ["delete_entity", "materialize_online", "open_store", "push", "training_frame"]

PROJECT = "stockhouse"
NOW = "SELECT now_at FROM raw.world"


def open_store(warehouse: Path, features_dir: Path, online: dict[str, Any] | None = None, memory_limit: str | None = None) -> FeatureStore:
    """The feature store over a warehouse, its definitions applied; opening it twice changes nothing.

    warehouse: the DuckDB file dbt writes. features_dir: folder of the registry, the online values and spilled queries. online: Feast's
    online store settings, such as {"type": "redis", "connection_string": "localhost:6379"}; None is SQLite in features_dir.
    """
    features_dir.mkdir(parents=True, exist_ok=True)
    online = online or {"type": "sqlite", "path": str(features_dir / "online.db")}
    if online["type"] == "redis":
        online = {"skip_dedup": True} | online  # Feast would refuse a correction, which has the event time of what it corrects
    config = RepoConfig(
        project=PROJECT,
        provider="local",
        registry=RegistryConfig(path=str(features_dir / "registry.db")),
        online_store=online,
        offline_store=WarehouseOfflineStoreConfig(
            path=str(warehouse), now=NOW, memory_limit=memory_limit, spill=str(features_dir / "spill")
        ),
        entity_key_serialization_version=3,
        coerce_tz_aware=False,  # a naive time is an error here, never a guess
        repo_path=features_dir,
    )
    store = FeatureStore(config=config)
    store.apply([Project(name=PROJECT, description="what Stockhouse's models may know, and as of when"), *ENTITIES, *VIEWS, *SERVICES])
    return store


def training_frame(store: FeatureStore, entity_rows: pl.DataFrame, service: str) -> pl.DataFrame:
    """The entity rows, in their order, with every feature of a service as it was known at each row's own time.

    entity_rows: the join keys of the service's views and `event_timestamp`, a Datetime with time zone (what is asked for at that time).
    Raises LookupError for an unknown service, and what `WarehouseOfflineStore.get_historical_features` raises.
    """
    try:
        features = store.get_feature_service(service)
    except FeatureServiceNotFoundException as error:
        offered = sorted(known.name for known in store.list_feature_services())
        raise LookupError(f"there is no feature service {service}; there are {offered}") from error
    return pl.DataFrame(store.get_historical_features(entity_rows.to_arrow(), features).to_arrow())
