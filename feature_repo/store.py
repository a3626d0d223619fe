"""Opens the feature store of one home and pulls frames from it: as known at each row's time, or as
served now."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import polars as pl
from feast import FeatureStore, RepoConfig
from feast.errors import FeatureServiceNotFoundException
from feast.repo_config import RegistryConfig
from feast.types import Bool, FeastType, Float32, Int64, String

from feature_repo.custom_views import OWNER, own_views
from feature_repo.features import ENTITIES, SERVICES, VIEWS, project
from feature_repo.offline_store import WarehouseOfflineStoreConfig
from feature_repo.online import delete_entity, materialize_online, push
from feature_repo.online_offer import OnlineOffer, check_keys
from feature_repo.served_files import TYPE as SERVED_FILES

__all__ = [
    "delete_entity",
    "materialize_online",
    "online_frame",
    "online_settings",
    "open_store",
    "push",
    "training_frame",
]

NOW = "SELECT now_at FROM raw.world"
POLARS: dict[FeastType, type[pl.DataType]] = {
    Float32: pl.Float32,
    Int64: pl.Int64,
    String: pl.String,
    Bool: pl.Boolean,
}


def open_store(
    warehouse: Path,
    features_dir: Path,
    online: dict[str, Any] | None = None,
    memory_limit: str | None = None,
) -> FeatureStore:
    """The feature store over a warehouse, its definitions applied; opening it twice changes
    nothing. A company's own views are those that the last build left in features_dir.

    warehouse: the DuckDB file dbt writes. features_dir: folder of the registry, the online values
    and spilled queries. online: Feast's online store settings, such as {"type": "redis",
    "connection_string": "localhost:6379"}; None is what the environment's STOCKHOUSE_ONLINE_URL
    says (see `online_settings`), or else the files in features_dir.
    """
    # Feast would put a relative path under itself
    warehouse, features_dir = warehouse.resolve(), features_dir.resolve()
    features_dir.mkdir(parents=True, exist_ok=True)
    online = (
        online
        or online_settings(os.environ.get("STOCKHOUSE_ONLINE_URL"))
        or {"type": SERVED_FILES, "path": str(features_dir / "served")}
    )
    if online["type"] == "redis":
        # Feast would refuse a correction, which has the event time of what it corrects
        online = {"skip_dedup": True} | online
    config = RepoConfig(
        project=project.name,
        provider="local",
        registry=RegistryConfig(
            path=str(features_dir / "registry.db"),
            registry_store_type="feature_repo.registry.WholeFileRegistryStore",
        ),
        online_store=online,
        offline_store=WarehouseOfflineStoreConfig(
            path=str(warehouse),
            now=NOW,
            memory_limit=memory_limit,
            spill=str(features_dir / "spill"),
        ),
        entity_key_serialization_version=3,
        coerce_tz_aware=False,  # a naive time is an error here, never a guess
        repo_path=features_dir,
    )
    store = FeatureStore(config=config)
    views, services = own_views(features_dir, ENTITIES)
    own = {one.name for one in views}
    there: list[Any] = [*store.list_feature_services(), *store.list_feature_views()]
    gone = [one for one in there if one.owner == OWNER and one.name not in own]
    store.apply(
        [project, *ENTITIES, *VIEWS, *SERVICES, *views, *services],
        objects_to_delete=gone,
        partial=not gone,
    )
    return store


def online_settings(url: str | None) -> dict[str, Any] | None:
    """Feast's settings of the online store at a URL; None without one.

    redis://[user:password@]host[:port][/database], rediss:// for TLS, or
    postgresql://user:password@host[:port]/database?schema=name. A world needs a database (Redis) or
    a schema (PostgreSQL) of its own. Raises ValueError for another kind of URL.
    """
    if not url:
        return None
    parts, options = urlsplit(url), parse_qs(urlsplit(url).query)
    password = unquote(parts.password or "")
    if parts.scheme in ("redis", "rediss"):
        given = {
            "db": parts.path.lstrip("/") or "0",
            "username": unquote(parts.username or ""),
            "password": password,
        }
        settings = [
            f"{parts.hostname}:{parts.port or 6379}",
            *(f"{name}={value}" for name, value in given.items() if value),
        ]
        return {
            "type": "redis",
            "connection_string": ",".join(settings + ["ssl=true"] * (parts.scheme == "rediss")),
        }
    if parts.scheme in ("postgresql", "postgres"):
        return {
            "type": "postgres",
            "host": parts.hostname,
            "port": parts.port or 5432,
            "database": parts.path.lstrip("/"),
            "user": unquote(parts.username or ""),
            "password": password,
            "db_schema": options.get("schema", ["features"])[0],
            "sslmode": options.get("sslmode", ["prefer"])[0],
        }
    raise ValueError(
        "the online store is redis://, rediss:// or postgresql://, not "
        f"{parts.scheme or 'without a scheme'}://"
    )


def training_frame(store: FeatureStore, entity_rows: pl.DataFrame, service: str) -> pl.DataFrame:
    """The entity rows, in their order, with every feature of a service as it was known at each
    row's own time.

    entity_rows: the join keys of the service's views and `event_timestamp`, a Datetime with time
    zone (what is asked for at that time). Raises LookupError for an unknown service, and what
    `WarehouseOfflineStore.get_historical_features` raises.
    """
    try:
        features = store.get_feature_service(service)
    except FeatureServiceNotFoundException as error:
        offered = sorted(known.name for known in store.list_feature_services())
        raise LookupError(f"there is no feature service {service}; there are {offered}") from error
    return pl.DataFrame(store.get_historical_features(entity_rows.to_arrow(), features).to_arrow())


def online_frame(store: FeatureStore, entity_rows: pl.DataFrame, service: str) -> pl.DataFrame:
    """The entity rows, in their order, with every feature of a service as the online store serves
    it now; null where it has none.

    entity_rows: the join keys of the service's views; a day (target_on) is a Date. Raises
    LookupError for an unknown service or a missing key, TypeError for a key of the wrong type.
    """
    offer = OnlineOffer.of(store)
    keys = offer.keys_of(service)
    days = pl.col(name for name, kind in entity_rows.schema.items() if kind == pl.Date)
    asked = entity_rows.with_columns(days.cast(pl.Datetime("us", "UTC"))).select(
        name for name in keys if name in entity_rows.columns
    )
    rows = asked.to_dict(as_series=False)
    check_keys(keys, rows)
    fields = [
        field
        for part in offer.services[service].feature_view_projections
        for field in part.features
    ]
    answer = store.get_online_features(offer.services[service], rows).to_dict()
    served = pl.DataFrame(
        {field.name: pl.Series(answer[field.name], dtype=POLARS[field.dtype]) for field in fields}
    )
    return pl.concat([entity_rows, served], how="horizontal")
