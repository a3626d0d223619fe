"""What may be asked of the online store: features it serves, with every key of their views, each of
its own type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from feast import FeatureService, FeatureStore, FeatureView, ValueType

#: How a key is written in a question; Feast would turn anything else into text and answer that
#: nobody has heard of it.
WRITTEN: dict[ValueType, tuple[tuple[type, ...], str]] = {
    ValueType.STRING: ((str,), "text"),
    ValueType.UNIX_TIMESTAMP: (
        (int, datetime),
        "a time: a datetime with zone, or seconds since 1970 UTC",
    ),
}


@dataclass(frozen=True)
class OnlineOffer:
    """The views and services that are served online, by name."""

    views: dict[str, FeatureView]
    services: dict[str, FeatureService]

    @classmethod
    def of(cls, store: FeatureStore) -> OnlineOffer:
        """What the store's registry offers now."""
        views = {view.name: view for view in store.list_feature_views() if view.online}
        services = {
            service.name: service
            for service in store.list_feature_services()
            if all(projection.name in views for projection in service.feature_view_projections)
        }
        return cls(views, services)

    def keys_of(self, service: str | None, references: Sequence[str] = ()) -> dict[str, ValueType]:
        """The join keys, with their types, of a service or of references written view:feature;
        LookupError names what is unknown."""
        if service:
            if service not in self.services:
                raise LookupError(
                    f"there is no online feature service {service}; there are "
                    f"{sorted(self.services)}"
                )
            names = [
                projection.name for projection in self.services[service].feature_view_projections
            ]
        elif references:
            names = [self._view_of(reference) for reference in references]
        else:
            raise LookupError(
                f"name a feature service, one of {sorted(self.services)}, or features written "
                "view:feature"
            )
        return {
            key.name: key.dtype.to_value_type()
            for name in names
            for key in self.views[name].entity_columns
        }

    def _view_of(self, reference: str) -> str:
        name, _, feature = reference.partition(":")
        if name not in self.views:
            raise LookupError(
                f"feature {reference}: there is no online view {name}; there are "
                f"{sorted(self.views)}"
            )
        known = sorted(field.name for field in self.views[name].features)
        if feature not in known:
            raise LookupError(
                f"feature {reference}: view {name} has no {feature or 'feature without a name'}; "
                f"it has {known}"
            )
        return name


def check_keys(
    keys: Mapping[str, ValueType], rows: Mapping[str, Sequence[Any]], most: int | None = None
) -> None:
    """Whether rows ({key: its value in each row}) can be answered: every key there, as long as the
    others, and of its type.

    Raises LookupError for a missing key, TypeError for a null or a wrong type, ValueError for
    columns of different lengths, no row, or more rows than `most`.
    """
    missing = sorted(set(keys) - set(rows))
    if missing:
        raise LookupError(
            f"these features are joined by {sorted(keys)}; the rows lack {missing}, they have "
            f"{sorted(rows)}"
        )
    lengths = {name: len(rows[name]) for name in keys}
    if len(set(lengths.values())) != 1 or not max(lengths.values()):
        raise ValueError(
            f"every key needs a value in every row, and there must be a row; there are {lengths}"
        )
    if most is not None and max(lengths.values()) > most:
        raise ValueError(
            f"{max(lengths.values())} rows are too many for one request: ask for {most} or fewer "
            "at a time"
        )
    for name, kind in keys.items():
        types, written = WRITTEN[kind]
        for number, value in enumerate(rows[name]):
            if not isinstance(value, types) or isinstance(value, bool):
                raise TypeError(
                    f"row {number}: {name} is {value!r} ({type(value).__name__}); it is written as "
                    f"{written}"
                )
            if isinstance(value, datetime) and value.tzinfo is None:
                raise TypeError(
                    f"row {number}: {name} is {value}, which has no time zone: give it as UTC"
                )
