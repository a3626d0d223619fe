"""Several sources of one place, each with its agreed share: what the place needs is split over
them, and each part is rounded to what its own source sells.

A lane is one source of one place. The first N lanes are the usual ones of the N rows of a plan, in
their order; what else supplies them follows. A row names its other sources in the column
`also_from`, a list with what differs there; where no row does, there is one lane a row and nothing
here is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from models.domain import Floats, Integers, Situation
from models.replenishment.order_rounding import Lots
from models.replenishment.stock_projection import rows_of

#: The column of a row's other sources: from_id, share, and what of TERMS differs from the row's.
ALSO_FROM = "also_from"
#: What a source may have of its own, of the columns of a row.
TERMS = (
    "from_id",
    "share",
    "lead_time_days",
    "lead_time_working_days",
    "lead_time_periods",
    "waiting_periods",
    "gap",
    "leaves_on",
    "moq",
    "order_multiple",
    "unit_cost",
    "sold_unit",
    "sold_unit_quantity",
    "sold_currency",
    "sold_rate",
)


@dataclass(frozen=True)
class Lanes:
    """Which lane leads where, and the part of a place's need that it brings.

    to: (E,) the node each lane leads to. share: (E,) of that node's need; sums to 1 at every node.
    nodes: N.
    """

    to: Integers
    share: Floats
    nodes: int

    @classmethod
    def of(cls, rows: pl.DataFrame) -> Lanes | None:
        """The lanes of rows, as `lanes_of` has them; None where each row has one source."""
        if not is_shared(rows):
            return None
        extra = rows[ALSO_FROM].list.len().fill_null(0).to_numpy()
        own = np.arange(rows.height)
        share = lanes_of(rows)["share"].cast(pl.Float64).to_numpy()
        return cls(np.concatenate([own, np.repeat(own, extra)]), share, rows.height)

    @cached_property
    def turns(self) -> list[tuple[Integers, Integers]]:
        """The lanes in turns, with the nodes they lead to: no node twice in one turn, so that
        indexed sums need no ufunc.at; the largest share of each node first.
        """
        order = np.lexsort((-self.share, self.to))
        starts = np.flatnonzero(np.r_[True, np.diff(self.to[order]) != 0])
        turn = np.arange(order.size) - np.repeat(starts, np.diff(np.r_[starts, order.size]))
        lanes = [np.sort(order[turn == k]) for k in range(int(turn.max(initial=-1)) + 1)]
        return [(lane, self.to[lane]) for lane in lanes]

    @cached_property
    def _shares_by_turn(self) -> list[tuple[Integers, Integers, Floats]]:
        """By turn its lanes, their nodes and the share of the node's need that lanes up to and with
        this one bring, 1 from the last that has one on.
        """
        given = np.zeros(self.nodes)
        parts = []
        for lanes, nodes in self.turns:
            given[nodes] += self.share[lanes]
            parts.append((lanes, nodes, np.where(given[nodes] > 1 - 1e-9, 1.0, given[nodes])))
        return parts

    def lots(self, moq: Floats, multiple: Floats) -> list[Lots]:
        """What can be bought on the lanes, (E,) each, for `split`, worked out once."""
        return [Lots(moq[lanes], multiple[lanes]) for lanes, _ in self.turns]

    def split(self, wanted: Floats, lots: Sequence[Lots]) -> Floats:
        """What each lane brings, (E,), of what the nodes want, (N,): what can be bought on it that
        is nearest to its share; a later lane brings what the lanes before it left open, and the
        last one is rounded up, so that all that is wanted comes.
        """
        parts, given = np.zeros(self.to.size), np.zeros(self.nodes)
        for lot, (lanes, nodes, share) in zip(lots, self._shares_by_turn, strict=True):
            left = np.maximum(wanted[nodes] * share - given[nodes], 0.0)
            parts[lanes] = np.where(share < 1.0, lot.round_off(left), lot.round_up(left))
            given[nodes] += parts[lanes]
        return parts

    def by_node(self, values: Floats) -> Floats:
        """Values of lanes, (E, ...) added up by the node they lead to, (N, ...)."""
        lanes = np.arange(self.to.size)
        return (
            csr_array((np.ones(lanes.size), (self.to, lanes)), shape=(self.nodes, lanes.size))
            @ values
        )

    def longest(self, values: Integers) -> Integers:
        """The greatest of a node's lanes that have a share, (N, ...) of (E, ...): what its last
        goods wait for.
        """
        longest = np.zeros((self.nodes, *values.shape[1:]), dtype=values.dtype)
        for lanes, nodes in self.turns:
            used = self.share[lanes] > 0
            longest[nodes[used]] = np.maximum(longest[nodes[used]], values[lanes[used]])
        return longest

    def where_single(self, values: Floats) -> Floats:
        """Values of lanes as a node's policy sees them, (N,): its lane's, or 0 where it has several
        and each is rounded alone.
        """
        single = np.bincount(self.to) == 1  # each node has its usual lane
        return np.where(single, self.by_node(values), 0.0)

    def on_first(self, values: Floats) -> Floats:
        """Values of nodes, (N, ...), as those of their usual lanes, and 0 on the others."""
        return np.concatenate([values, np.zeros((self.to.size - self.nodes, *values.shape[1:]))])

    def shared(self, values: Floats) -> Floats:
        """Values of nodes, (N, ...), split over their lanes by share, (E, ...)."""
        share = self.share.reshape(-1, *[1] * (values.ndim - 1)).astype(values.dtype)
        return values[self.to] * share

    def part_of(
        self, situation: Situation, moq: Floats, multiple: Floats, *, with_paths: bool
    ) -> Situation:
        """Each lane's part of a situation: its share of stock and demand, and its own lots.

        moq, multiple: (E,) units. with_paths: whether anybody asks for sampled demand.
        """
        seen = situation if with_paths else replace(situation, paths=None)
        rows = rows_of(seen, self.to)
        return replace(
            rows,
            on_hand=self.shared(situation.on_hand),
            pipeline=self.shared(situation.pipeline),
            history=self.shared(situation.history),
            paths=None if seen.paths is None else self.shared(seen.paths),
            backlog=self.shared(situation.backlog) if situation.backlog.size else rows.backlog,
            customer_orders=self.shared(situation.customer_orders)
            if situation.customer_orders.size
            else rows.customer_orders,
            moq=moq,
            order_multiple=multiple,
        )


def is_shared(rows: pl.DataFrame) -> bool:
    """Whether any of these rows has several sources."""
    return ALSO_FROM in rows.columns and bool((rows[ALSO_FROM].list.len() > 0).any())


def lanes_of(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a lane, (E): the rows themselves, then each of their other sources with what it has
    of its own. Rows with one source each come back as they are."""
    if not is_shared(rows):
        return rows
    kept = rows.select(pl.col(ALSO_FROM).explode().struct.unnest()).columns
    named = [name for name in kept if name in rows.columns]
    several = rows.filter(pl.col(ALSO_FROM).list.len() > 0).explode(ALSO_FROM)
    own = [pl.col(ALSO_FROM).struct.field(name).cast(rows.schema[name]) for name in named]
    others = several.with_columns(own).drop(ALSO_FROM)
    return pl.concat([rows.drop(ALSO_FROM), others])


def lots_of(lanes: pl.DataFrame) -> dict[str, Floats]:
    """What can be bought on each lane, (E,) units by name: moq, 0 where none is said, and
    order_multiple, 1 where none is."""
    usual = {"moq": 0.0, "order_multiple": 1.0}
    return {
        name: lanes[name].cast(pl.Float64).fill_null(missing).to_numpy()
        for name, missing in usual.items()
    }


def with_other_sources(rows: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """The rows with their other sources in `also_from`, and their own share beside.

    rows: with item_id and location_id. others: further rows of the same items and places, of which
    TERMS are kept; their shares add up to 1 at most. Without any, the rows come back as they are.
    """
    if others.is_empty():
        return rows
    keys = ["item_id", "location_id"]
    struct = pl.struct([name for name in TERMS if name in others.columns])
    found = others.group_by(keys, maintain_order=True).agg(
        struct.alias(ALSO_FROM), taken=pl.col("share").sum()
    )
    left = rows.drop(ALSO_FROM, "share", strict=False).join(
        found, on=keys, how="left", maintain_order="left"
    )
    share = (1.0 - pl.col("taken").fill_null(0.0)).clip(0.0, 1.0)
    return left.with_columns(share=share).drop("taken")


def shares_in_words(lanes: pl.DataFrame, quantity: Floats) -> list[str]:
    """What a planner reads of each order of a place with several sources, empty for others.

    lanes: as `lanes_of`. quantity: (E,) units ordered on each.
    """
    keys = ["item_id", "location_id"]
    if "share" not in lanes.columns:
        return [""] * lanes.height
    share = (pl.col("share") * 100).round(1).cast(pl.String).str.strip_suffix(".0")
    units = pl.col("ordered").round(3).cast(pl.String).str.strip_suffix(".0")
    one = pl.format("{} from {} (share {} %)", units, "from_id", share)
    said = lanes.with_columns(ordered=pl.Series(quantity, dtype=pl.Float64)).select(
        pl.when(pl.len().over(keys) > 1)
        .then(one.str.join(", ").over(keys))
        .otherwise(pl.lit(""))
        .alias("said")
    )
    return said["said"].to_list()
