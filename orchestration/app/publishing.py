"""Publish: what is decided and what has become of it, side by side for everyone who looks."""

from __future__ import annotations

from orchestration.facts import order_states, published_snapshots
from orchestration.facts.published_snapshots import Snapshot
from orchestration.home import Home


def publish(home: Home, run_id: str) -> Snapshot:
    """Publish the warehouse as it stands, with the ledger's order lines as they stand now.

    The caller is the home's one writer. Raises PublishError where there is nothing to publish; what
    readers see is then unchanged.
    """
    if home.warehouse.exists():
        with home.connect() as con:
            order_states.load(con, home)
    return published_snapshots.publish(home.warehouse, home.published, run_id)
