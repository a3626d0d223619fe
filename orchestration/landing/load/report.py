"""What one landing did, in figures."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

from orchestration.landing.readers.sourcing import Delivery

#: Of files that say the same but for their names and figures, so many are told of.
NAMED = 2
_FIGURE = re.compile(r"\d[\d,.]*")


@dataclass
class LandReport:
    """What one landing did; per source too. new_rows counts canonical rows, quarantined_rows rows
    and claims sent to quarantine."""

    new_deliveries: int = 0
    new_rows: int = 0
    quarantined_rows: int = 0
    now_at: datetime | None = None  # UTC, without zone
    sources: dict[str, dict[str, int]] = field(default_factory=dict)
    drift: list[str] = field(default_factory=list)
    # files of which nothing could be read, and why
    set_aside: list[str] = field(default_factory=list)
    # by source and what is said but for names and figures, what is said
    alike: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    # litter, links and files that are still written, and why
    passed_over: list[str] = field(default_factory=list)
    # sources whose archive was read by a contract that has changed
    read_anew: list[str] = field(default_factory=list)

    @property
    def doubts(self) -> list[str]:
        """What can be read in two ways, and which of them was believed; sources without a file any
        more. Of many files of a source that say the same, the first."""
        return [
            line
            for (source_id, _), said in self.alike.items()
            for line in _first_of(source_id, said)
        ]

    def doubt(self, source_id: str, said: str, path: str = "") -> None:
        """Keep what a person should know of a source, or of a file of it."""
        kind = _FIGURE.sub("", said.replace(path, "") if path else said)
        self.alike.setdefault((source_id, kind), []).append(said)

    def add(self, source_id: str, delivery: Delivery) -> None:
        """Count a delivery to its source; what the ledger itself says is neither new nor
        quarantined."""
        counts = self.sources.setdefault(
            source_id, {"deliveries": 0, **dict.fromkeys(delivery.counts, 0)}
        )
        counts["deliveries"] += 1
        for name, value in delivery.counts.items():
            counts[name] += value
        if delivery.drift:
            self.drift.append(f"{delivery.path}: {delivery.drift}")
        for said in delivery.doubts:
            self.doubt(source_id, said, delivery.path)
        if delivery.fault:
            self.set_aside.append(f"{delivery.path}: {delivery.fault}")
        if source_id != "ledger":
            self.new_deliveries += 1
            self.new_rows += delivery.counts["rows_loaded"]
            self.quarantined_rows += (
                delivery.counts["rows_quarantined"] + delivery.counts["rows_unclaimed"]
            )


def _first_of(source_id: str, said: list[str]) -> list[str]:
    if len(said) <= NAMED:
        return said
    return [f"{said[0]} ({len(said) - 1:,} more files of {source_id} alike)"]
