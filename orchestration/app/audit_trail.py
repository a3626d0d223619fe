"""The audit as people read it: who decided what and why, what the machine did alone, and what
overrides moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.domain import need_id
from models.procurement.documents import Event
from orchestration.app.procurement import Desk
from orchestration.app.snapshot_queries import Row, lines_of, published, rows

#: Events that are somebody's decision; the others are facts and mail.
DECISIONS = (
    "approved",
    "rejected",
    "firmed",
    "changed",
    "cancelled",
    "stopped",
    "resumed",
    "limits_proposed",
    "limits_set",
    "worked",
    "payment_proposed",
    "revived",
)
PAGE = 50


@dataclass(frozen=True)
class TrailEntry:
    """One event of the record with the line it is about."""

    event: Event
    need: str
    item_id: str
    location_id: str
    order_id: str


def trail(
    desk: Desk, *, kind: str = "", actor: str = "", everything: bool = False, page: int = 1
) -> tuple[list[TrailEntry], bool]:
    """One page of the record, the newest first, and whether there is more. Raises ValueError for a
    kind nobody records."""
    if kind and kind not in DECISIONS and not everything:
        raise ValueError(f"'{kind}' is none of {', '.join(DECISIONS)}")
    kinds = (kind,) if kind else () if everything else DECISIONS
    skip = max(page - 1, 0) * PAGE
    events = desk.ledger.history(kinds, actor=actor, limit=PAGE + 1, skip=skip)
    lines = {line.document_id: line for line in lines_of(desk)}
    entries = []
    for event in events[:PAGE]:
        line = lines.get(event.document_id)
        entries.append(
            TrailEntry(
                event, need_id(line.intent_key), line.item_id, line.location_id, line.order_id
            )
            if line
            else TrailEntry(event, "", "", "", "")
        )
    return entries, len(events) > PAGE


def override_moves(desk: Desk) -> list[Row]:
    """What every override moved in the plans it was part of: units and money against the system's
    own quantity, by reason."""
    with published(desk.home) as con:
        return rows(con, _MOVED)


def model_record(desk: Desk) -> dict[str, Any]:
    """How forecasts and policies did: the model in service, its accuracy ahead, and what each
    policy would have cost."""
    with published(desk.home) as con:
        return {
            "models": rows(con, _MODELS),
            "accuracy": rows(con, _ACCURACY),
            "stairs": rows(con, "select * from decisions.forecast_scores order by stair"),
            "policies": rows(con, "select * from decisions.champions order by total_cost"),
        }


#: Every model as it was last met.
_MODELS = """
select * from decisions_history.models
qualify row_number() over (partition by model order by as_of desc, run_id) = 1
order by as_of desc limit 8
"""
_MOVED = """
select reason, count(*) as lines, count(distinct run_id) as plans,
    sum(quantity - system_quantity) as units,
    sum((quantity - system_quantity) * unit_cost) as money
from decisions_history.overrides group by 1 order by abs(money) desc limit 50
"""
_ACCURACY = """
select model, periods_ahead, sum(forecasts) as forecasts,
    sum(wape * demand) / nullif(sum(demand), 0) as wape,
    sum(bias * demand) / nullif(sum(demand), 0) as bias
from metrics.kpi_forecast_accuracy group by 1, 2 order by 1, 2 limit 40
"""
