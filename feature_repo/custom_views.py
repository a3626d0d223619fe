"""A company's own features beside ours: what an extension says of them, and what Feast is told.

The line builds each as the table company.NAME and leaves what is said of it in the folder of the
registry, so that whoever opens that store, Feast's own commands too, finds the same views without
running the extension.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from feast import Entity, FeatureService, FeatureStore, FeatureView, Field
from feast.types import Bool, FeastType, Float32, Int64, String

from feature_repo.asof import quote
from feature_repo.sources import WarehouseSource
from feature_repo.warehouse import replacing

FILE = "own.json"
OWNER = "company"
TIMES = ("event_at", "known_at")
Kind = Literal["number", "count", "text", "flag"]
#: What a feature is called in Feast, and in the warehouse.
KINDS: dict[Kind, tuple[FeastType, str]] = {
    "number": (Float32, "float"),
    "count": (Int64, "bigint"),
    "text": (String, "varchar"),
    "flag": (Bool, "boolean"),
}


@dataclass(frozen=True)
class OwnView:
    """One table of facts that models may know, each as of when it was known.

    select: over the marts; its columns are the keys, event_at (when it was true), known_at (from
    when it was known), both UTC, and the features. keys: of item_id, location_id, supplier_id,
    lane_id, region_id. features: by name its kind (number, count, text, flag), unit and
    description.
    """

    select: str
    keys: tuple[str, ...]
    features: Mapping[str, tuple[Kind, str, str]]
    description: str

    @property
    def sql(self) -> str:
        """The select with every column as Feast will read it."""
        columns = [f"cast({quote(key)} as varchar) as {quote(key)}" for key in self.keys]
        columns += [f"cast({name} as timestamp) as {name}" for name in TIMES]
        columns += [
            f"cast({quote(name)} as {KINDS[kind][1]}) as {quote(name)}"
            for name, (kind, _, _) in self.features.items()
        ]
        return f"select {', '.join(columns)} from ({self.select}) as own"


def write_own(views: Mapping[str, OwnView], features_dir: Path) -> None:
    """Leave what is said of the views beside the registry; without any, nothing lies there."""
    path = features_dir / FILE
    if not views:
        path.unlink(missing_ok=True)
        return
    with replacing(path) as aside:
        aside.write_text(own_text(views), encoding="utf-8")


def own_text(views: Mapping[str, OwnView]) -> str:
    """What is said of the views, as text: equal where they are."""
    return json.dumps({name: asdict(view) for name, view in sorted(views.items())}, indent=1)


def own_views(
    features_dir: Path, entities: Sequence[Entity]
) -> tuple[list[FeatureView], list[FeatureService]]:
    """The company's own views as Feast knows them, and a service of the same name for each.

    Raises LookupError for a key that is no entity's.
    """
    path = features_dir / FILE
    said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    views = [_view(name, one, entities) for name, one in said.items()]
    services = [
        FeatureService(
            name=view.name,
            features=[view],
            description=view.description,
            owner=OWNER,
            tags={"owner": OWNER},
        )
        for view in views
    ]
    return views, services


def _view(name: str, said: Mapping[str, Any], entities: Sequence[Entity]) -> FeatureView:
    known = {entity.join_key: entity for entity in entities}
    if strange := [key for key in said["keys"] if key not in known]:
        raise LookupError(
            f"the feature view {name!r} is keyed by {strange[0]!r}; keys are {', '.join(known)}"
        )
    fields = [
        Field(
            name=feature,
            dtype=KINDS[kind][0],
            description=f"{text} [{unit}]",
            tags={"unit": unit, "owner": OWNER},
        )
        for feature, (kind, unit, text) in said["features"].items()
    ]
    source = WarehouseSource(
        f"company.{name}",
        description=said["description"],
        owner=OWNER,
        timestamp_field=TIMES[0],
        created_timestamp_column=TIMES[1],
    )
    return FeatureView(
        name=name,
        entities=[known[key] for key in said["keys"]],
        schema=[Field(name=key, dtype=String) for key in said["keys"]] + fields,
        source=source,
        online=True,
        description=said["description"],
        owner=OWNER,
        tags={"owner": OWNER, "asset": f"company/{name}"},
    )


def own_services(store: FeatureStore, keys: Sequence[str]) -> list[str]:
    """The company's own services that can be asked for by these keys."""
    views = {view.name: view for view in store.list_feature_views() if view.owner == OWNER}
    return sorted(name for name, view in views.items() if set(view.join_keys) <= set(keys))
