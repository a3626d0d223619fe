"""Goods made: what making an item takes of its parts, through parts of parts, is demand of these.

Material requirements planning (Orlicky 1975) on sampled futures: on each path an item is made when
its position no longer lasts its own lead time and review, and then takes its parts at once, that is
a production lead time before it can be sold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl

from models.domain import SERIES, Floats, Integers, Situation
from models.replenishment.echelon import echelon_view
from models.replenishment.plan_exceptions import exception_of
from models.replenishment.stock_projection import drawn_out


@dataclass(frozen=True)
class Bills:
    """What making one unit of a row takes of another row at the same place; B lines.

    made: (B,) the row that is made, part: (B,) the row that it takes of, taken: (B,) units a unit,
    with what is lost. starts_on, ends_on: (B,) the days between which the line holds.
    """

    made: Integers
    part: Integers
    taken: Floats
    starts_on: Sequence[date | None]
    ends_on: Sequence[date | None]

    @classmethod
    def of(cls, lines: pl.DataFrame, rows: pl.DataFrame) -> Bills | None:
        """The lines of bills of materials (item_id, part_id, taken, starts_on, ends_on) where both
        the item and the part are planned at one place and the item is bought in there, which is to
        say made; None where there are none."""
        at = rows.select(*SERIES, "kind").with_row_index("row")
        found = (
            lines.join(at.filter(pl.col("kind") == "purchase"), on="item_id")
            .join(
                at.select(pl.col("item_id").alias("part_id"), "location_id", part="row"),
                on=["part_id", "location_id"],
            )
            .sort("row", "part", "starts_on", nulls_last=False)
        )
        if found.is_empty():
            return None
        made, part = (found[name].to_numpy().astype(np.int64) for name in ("row", "part"))
        days = (found[name].to_list() for name in ("starts_on", "ends_on"))
        return cls(made, part, found["taken"].to_numpy().astype(np.float64), *days)

    def kept(self, keep: Integers) -> Bills | None:
        """The same lines of some rows, numbered as these are; None where none is left."""
        place = {int(row): number for number, row in enumerate(keep)}
        inside = [
            k
            for k, (made, part) in enumerate(zip(self.made, self.part, strict=True))
            if int(made) in place and int(part) in place
        ]
        if not inside:
            return None
        return Bills(
            np.array([place[int(self.made[k])] for k in inside]),
            np.array([place[int(self.part[k])] for k in inside]),
            self.taken[inside],
            [self.starts_on[k] for k in inside],
            [self.ends_on[k] for k in inside],
        )

    @property
    def levels(self) -> list[Integers]:
        """The lines by level: those of a level are of items whose own demand is known once all
        before are exploded (low-level coding). Raises ValueError for an item made of itself."""
        depth = dict.fromkeys((*self.made.tolist(), *self.part.tolist()), 0)
        for _ in range(len(depth)):
            raised = dict(depth)
            for made, part in zip(self.made.tolist(), self.part.tolist(), strict=True):
                raised[part] = max(raised[part], raised[made] + 1)
            if raised == depth:
                break
            depth = raised
        else:
            raise ValueError("a bill of materials leads back to its own item")
        of_line = np.array([depth[made] for made in self.made.tolist()])
        return [np.flatnonzero(of_line == level) for level in np.unique(of_line)]

    def holds(self, line: int, days: Sequence[date]) -> np.ndarray:
        """(H,) whether a line holds on each day."""
        starts, ends = self.starts_on[line], self.ends_on[line]
        return np.array(
            [(starts is None or day >= starts) and (ends is None or day <= ends) for day in days]
        )

    def usual(self, past: Floats) -> Floats:
        """(N, T) what making took of the rows in past periods, on average: as much as was asked for
        of what is made. past: (N, T) demand, a distribution centre's that of its echelon."""
        used = np.zeros(past.shape)
        for level in self.levels:
            for k in level:
                asked = np.nan_to_num(past[self.made[k]]) + used[self.made[k]]
                used[self.part[k]] += self.taken[k] * asked
        return used


def with_parts(
    situation: Situation,
    bills: Bills,
    sources: Integers,
    period_starts: Sequence[date],
    ordered: Callable[[Floats], Floats] | None = None,
) -> tuple[Floats, Floats]:
    """The sampled demand, (N, S, H), with what making takes of parts; and of each line's part, (B,)
    units that it takes on average within the window of the part's own order.

    situation: not lifted to echelons. sources: (N,) the row that ships, -1 a supplier. ordered: the
    units (N,) that are made from now on, when demand is what it is given; left out, nobody has
    decided yet. What is on order has taken its parts already.
    """
    paths, units = np.array(situation.paths), np.zeros(bills.made.size)
    window = situation.lead_time + situation.interval
    for level in bills.levels:
        seen = echelon_view(replace(situation, paths=paths), sources)
        decided = None if ordered is None else ordered(paths)
        taken = _taken(seen, bills, level, decided, period_starts)
        for k, more in zip(level.tolist(), taken, strict=True):
            part = int(bills.part[k])
            units[k] = more[:, : int(window[part])].mean(axis=0).sum()
            paths[part] += more
    return paths, units


def _taken(
    view: Situation,
    bills: Bills,
    level: Integers,
    ordered: Floats | None,
    period_starts: Sequence[date],
) -> Floats:
    """(B, S, H) units that the lines of a level take of their parts in each period: an item is made
    at a review, for what its position lacks until the order of the next one comes in."""
    paths, position = np.asarray(view.paths), view.position
    reviews = np.arange(0, len(period_starts), view.review)
    taken = np.zeros((level.size, *paths.shape[1:]), paths.dtype)
    for number, k in enumerate(level):
        row = int(bills.made[k])
        lead, window = int(view.lead_time[row]), int(view.lead_time[row] + view.interval[row])
        asked = drawn_out(paths[row : row + 1], window, view.review)[0].cumsum(axis=1)
        served = np.full(len(asked), position[row], dtype=np.float64)
        if view.economics.unmet == "lost" and lead:  # what cannot be there in time is not made
            served = np.maximum(served, asked[:, lead - 1])
        lacking = np.maximum(asked[:, reviews + window - 1] - served[:, None], 0.0)
        if ordered is not None:
            lacking[:, 0] = ordered[row]
        made = np.diff(np.maximum.accumulate(lacking, axis=1), axis=1, prepend=0.0)
        taken[number][:, reviews] = made * bills.taken[k] * bills.holds(k, period_starts)[reviews]
    return taken


def parts_short(rows: pl.DataFrame, bills: Bills, quantity: Floats) -> pl.DataFrame:
    """The items that are to be made now and whose parts do not lie there, as warnings of the
    exception list. quantity: (N,) units ordered of each row."""
    needed = np.zeros(rows.height)
    np.add.at(needed, bills.part, bills.taken * quantity[bills.made])
    there = rows["on_hand"].fill_null(0.0).to_numpy()
    found: dict[int, list[str]] = {}
    for made, part in zip(bills.made.tolist(), bills.part.tolist(), strict=True):
        if quantity[made] > 0 and needed[part] > max(there[part], 0.0) + 1e-9:
            item = rows["item_id"][part]
            found.setdefault(made, []).append(
                f"{needed[part]:,.0f} of {item} are taken, {max(there[part], 0.0):,.0f} lie there"
            )
    lacking = pl.Series("why", ["; ".join(why) for why in found.values()], dtype=pl.String)
    reason = pl.format("its parts do not last for what is to be made: {}", "why")
    return exception_of(rows[list(found)].with_columns(lacking), "parts_short", "warning", reason)


def in_bill_words(rows: pl.DataFrame, bills: Bills, taken: Floats) -> pl.DataFrame:
    """The rows with what a planner reads of bills: `made_of`, the parts of one, and `goes_into`,
    what of the demand is of items made. taken: (B,) units of each line in its part's window."""
    made: dict[int, list[str]] = {}
    into: dict[int, list[str]] = {}
    for k, (item, part) in enumerate(zip(bills.made.tolist(), bills.part.tolist(), strict=True)):
        made.setdefault(item, []).append(f"{bills.taken[k]:g} × {rows['item_id'][part]}")
        if taken[k] >= 0.05:
            into.setdefault(part, []).append(f"{taken[k]:,.1f} for {rows['item_id'][item]}")
    said = {"made_of": made, "goes_into": into}
    return rows.with_columns(
        pl.Series(name, [", ".join(words.get(row, ())) for row in range(rows.height)])
        for name, words in said.items()
    )
