"""What one landing did, in figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from orchestration.landing.readers.sourcing import Delivery


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
    # what can be read in two ways, and which of them was believed; sources without a file any more
    doubts: list[str] = field(default_factory=list)
    # litter, links and files that are still written, and why
    passed_over: list[str] = field(default_factory=list)
    # sources whose archive was read by a contract that has changed
    read_anew: list[str] = field(default_factory=list)

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
        self.doubts += delivery.doubts
        if delivery.fault:
            self.set_aside.append(f"{delivery.path}: {delivery.fault}")
        if source_id != "ledger":
            self.new_deliveries += 1
            self.new_rows += delivery.counts["rows_loaded"]
            self.quarantined_rows += (
                delivery.counts["rows_quarantined"] + delivery.counts["rows_unclaimed"]
            )
