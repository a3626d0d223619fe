"""Event replan: what happens between two runs re-plans what it concerns at once; published facts,
ledger and inbox in, only the ledger out.

A late answer, a short shipment or a refusal stands in the ledger; a surge, a late supplier or a
closed place comes over the stream, as a JSON object in the words of the twin's scenarios
(models/procurement/disruptions.py). The items are planned twice on the same sampled futures, as
published and as it is now, so that only what the event changes is changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import duckdb
import polars as pl

from models.domain import SERIES, OrderLine, need_key
from models.procurement.actors import REACTION
from models.procurement.documents import CANCELLED, REJECTED, Document
from models.replenishment.alternatives import Rescue, rescues
from models.replenishment.overrides import Override
from models.replenishment.policies import RegisteredPolicy
from orchestration.app import procurement
from orchestration.app.published_plan import Published
from orchestration.app.replan_state import State, state_of
from orchestration.app.supply_exceptions import SupplyException, affected, moves, supply_exceptions
from orchestration.facts import published_snapshots
from orchestration.facts.inbound import Inbound
from orchestration.facts.planning_inputs import read_nodes
from orchestration.facts.purchase_terms import with_sources
from orchestration.facts.timeline import Timeline
from orchestration.home import Home
from orchestration.landing import World
from orchestration.ledger import ProposalReport
from orchestration.planning import override_journal

#: An item at a place.
Pair = tuple[str, str]
#: What is ordered, and when it is due, where nothing is.
NOTHING: tuple[float, date | None] = (0.0, None)


@dataclass(frozen=True)
class Replanned:
    """What was done about what happened. reasons: the news, in words. seconds: from hearing the
    newest of it to the new proposal."""

    reasons: tuple[str, ...]
    items: int
    report: ProposalReport
    rescues: tuple[Rescue, ...]
    seconds: float | None


def replan(home: Home, world: World) -> Replanned | None:
    """Re-plan what has happened concerns; None where exactly this has been answered on exactly
    these published facts.

    Raises PublishError before the first published run.
    """
    snapshot = published_snapshots.current(home.published)
    with procurement.open_desk(home) as desk:
        timeline, lines, last = (
            Timeline.of(world, desk.now),
            desk.ledger.lines(),
            desk.ledger.last_replan(),
        )
        happened = supply_exceptions(home, timeline, lines, desk.ledger.received_at())
        state = _state(snapshot, happened)
        if not _is_news(state, happened, last):
            return None
        with snapshot.connect() as con:
            picture = Picture.read(con, home, world, timeline, lines, happened)
        scope, orders, found = picture.answer() if picture else (set(), [], [])
        items = len(picture.items) if picture else 0
        news = [
            exception
            for exception in happened
            if exception.occasion not in last.get("occasions", ())
        ]
        heard = max((exception.received_at for exception in news), default="")
        said = {
            "state": state,
            "occasions": sorted(exception.occasion for exception in happened),
            "reasons": [exception.reason for exception in news],
            "items": items,
            "rescues": [rescue.reason for rescue in found],
            "received_at": heard,
        }
        period = timeline.review_period(timeline.origin)
        movers = (
            override_journal.movers(
                home, timeline.now_at, timeline.origin, picture.after.rows, scope
            )
            if picture
            else {}
        )
        run_id = f"{REACTION} {state[:12]}"
        report, recorded_at = desk.ledger.replan(
            orders,
            run_id,
            desk.now,
            scope=scope,
            review_period=period,
            said=said,
            authors=movers,
            currency=desk.currency,
            sales=procurement.published_sales(home),
        )
    seconds = (recorded_at - datetime.fromisoformat(heard)).total_seconds() if heard else None
    return Replanned(
        tuple(exception.reason for exception in news), items, report, tuple(found), seconds
    )


def unanswered(home: Home, world: World) -> str | None:
    """The name of a state of things that no reaction has answered; None where there is none, or
    nothing is published yet."""
    try:
        snapshot = published_snapshots.current(home.published)
    except published_snapshots.PublishError:
        return None
    with procurement.open_desk(home) as desk:
        happened = supply_exceptions(home, Timeline.of(world, desk.now), desk.ledger.lines(), {})
        state = _state(snapshot, happened)
        return state if _is_news(state, happened, desk.ledger.last_replan()) else None


def _state(snapshot: published_snapshots.Snapshot, happened: Sequence[SupplyException]) -> str:
    return hashlib.sha256(
        repr([snapshot.version, *sorted(exception.occasion for exception in happened)]).encode()
    ).hexdigest()


def _is_news(state: str, happened: Sequence[SupplyException], last: Mapping[str, object]) -> bool:
    return state != last.get("state") and bool(happened or last.get("occasions"))


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What a hurried planner sees of the concerned items: as published, and as the ledger and the
    stream have it now."""

    policy: RegisteredPolicy
    overrides: Sequence[Override]
    before: State
    after: State
    happened: Sequence[SupplyException]
    standing: frozenset[Pair]  # pairs with a requisition of an earlier reaction
    placed: frozenset[Pair]  # pairs whose need of this review is ordered already
    refused: frozenset[Pair]  # pairs whose need of this review a person has refused

    @classmethod
    def read(
        cls,
        con: duckdb.DuckDBPyConnection,
        home: Home,
        world: World,
        timeline: Timeline,
        lines: Sequence[Document],
        happened: Sequence[SupplyException],
    ) -> Picture | None:
        """Read what is published of the concerned items and lay the ledger's present lines over it;
        None where none is planned."""
        nodes = read_nodes(con)
        standing = frozenset(
            (line.item_id, line.location_id)
            for line in lines
            if line.stage == "requisition" and line.proposer == REACTION
        )
        items = affected(with_sources(con, nodes, timeline), happened) | {
            item for item, _ in standing
        }
        published = Published.read(con, home, world, timeline).within_review(con)
        items = published.inputs.made_with(items)
        asked = published.of_items(items, lines)
        if asked is None:
            return None
        rows = asked.inputs.rows
        coming = Inbound.read(con, lines, items, timeline.origin)
        stock = pl.col("stock") + pl.Series(coming.moved(rows))
        moved = asked.inputs.with_state(rows.with_columns(stock=stock), asked.inputs.due)
        events = [exception.disruption for exception in happened if exception.disruption]
        placed, refused = _held(rows, lines, timeline)
        return cls(
            policy=asked.policy,
            overrides=asked.overrides,
            before=state_of(moved, asked.paths, coming.as_planned),
            after=state_of(moved, asked.paths, coming.as_it_is(nodes), events),
            happened=happened,
            standing=standing,
            placed=placed,
            refused=refused,
        )

    @property
    def items(self) -> list[str]:
        """The items that may be planned anew, in order of their ids."""
        return self.after.rows["item_id"].unique().sort().to_list()

    def planned(self, state: State) -> dict[Pair, list[OrderLine]]:
        """The orders of a state by item and place, several where several suppliers share one."""
        return _by_pair(state.plan(self.policy, self.overrides).lines)

    def answer(self) -> tuple[set[Pair], list[OrderLine], list[Rescue]]:
        """The pairs that what happened changes, the lines they should have now, and the faster ways
        among these."""
        planned, now = (self.planned(state) for state in (self.before, self.after))
        now = {pair: lines for pair, lines in now.items() if pair not in self.refused}
        usual, short = self.before.ordered(_all(planned)), self.after.ordered(_all(now))
        found = rescues(usual.situation(), short.situation(), short.rows, short.inputs.logistics)
        if found:
            again = self.planned(self.after.rescued(found))
            now = {pair: lines for pair, lines in again.items() if pair not in self.refused}
        changed = {
            pair
            for pair in planned.keys() | now.keys()
            if _units(planned, pair) != _units(now, pair)
        }
        more = [
            (line, _units(planned, pair).get(line.from_id, NOTHING)[0])
            for pair in sorted(changed & now.keys() & self.placed)
            for line in now[pair]
        ]
        extra = [self._extra(rescue) for rescue in found] + [
            self._more(line, before) for line, before in more if line.quantity > before
        ]
        scope = changed | set(self.standing) | {(line.item_id, line.location_id) for line in extra}
        regular = [
            replace(line, review_period=self.review_period)
            for pair in sorted(scope & now.keys() - self.placed)
            for line in now[pair]
        ]
        return scope, [*regular, *extra], found

    @property
    def review_period(self) -> date:
        """The first day of the review that orders of now belong to."""
        timeline = self.after.inputs.timeline
        return timeline.review_period(timeline.origin)

    def _causes(self, item: str, place: str) -> SupplyException:
        """What moved this item and place first."""
        rows = self.after.rows.filter(
            (pl.col("item_id") == item) & (pl.col("location_id") == place)
        )
        return next(
            (exception for exception in self.happened if moves(exception, rows, item)),
            self.happened[0],
        )

    def _more(self, line: OrderLine, planned: float) -> OrderLine:
        """What this review's order for the need lacks, now that so many units of it have been
        placed already: an order of its own, the usual way."""
        cause = self._causes(line.item_id, line.location_id)
        quantity = line.quantity - planned
        return OrderLine(
            line.world,
            line.kind,
            line.item_id,
            line.location_id,
            line.from_id,
            quantity,
            self.review_period,
            line.due_on,
            line.unit_cost,
            {"more": quantity},
            f"{cause.reason}. {quantity:g} units more than were ordered.",
            f"{cause.occasion} {line.occasion}".rstrip(),
        )

    def _extra(self, rescue: Rescue) -> OrderLine:
        """A faster way as an order of its own, under the occasion it answers."""
        timeline, row, way = (
            self.after.inputs.timeline,
            self.after.rows.row(rescue.row, named=True),
            rescue.way,
        )
        cause = self._causes(row["item_id"], row["location_id"])
        return OrderLine(
            timeline.world,
            "purchase" if way.kind == "purchase" else "transfer",
            row["item_id"],
            row["location_id"],
            way.from_id,
            rescue.quantity,
            self.review_period,
            timeline.shift(timeline.origin, way.periods),
            way.unit_cost,
            {"rescue": rescue.quantity},
            f"{cause.reason}. {rescue.reason}.",
            f"{cause.occasion} faster",
        )


def _held(
    rows: pl.DataFrame, lines: Iterable[Document], timeline: Timeline
) -> tuple[frozenset[Pair], frozenset[Pair]]:
    """The pairs whose usual intent key of this review is held by an order, and by a person's
    refusal."""
    period, kinds = (
        timeline.review_period(timeline.origin).isoformat(),
        dict(zip(rows.select(SERIES).iter_rows(), rows["kind"], strict=True)),
    )
    held = {
        (line.item_id, line.location_id): line.ended in (REJECTED, CANCELLED)
        for line in lines
        if line.is_live
        and line.review_period == period
        and line.intent_key
        == need_key(line.world, line.kind, line.item_id, line.location_id, line.review_period)
        and kinds.get((line.item_id, line.location_id)) == line.kind
        and (line.stage != "requisition" or line.is_firm)
    }
    return frozenset(pair for pair, is_refused in held.items() if not is_refused), frozenset(
        pair for pair, no in held.items() if no
    )


def _by_pair(lines: Iterable[OrderLine]) -> dict[Pair, list[OrderLine]]:
    found: dict[Pair, list[OrderLine]] = {}
    for line in lines:
        found.setdefault((line.item_id, line.location_id), []).append(line)
    return found


def _all(lines: Mapping[Pair, Sequence[OrderLine]]) -> list[OrderLine]:
    return [line for of_pair in lines.values() for line in of_pair]


def _units(
    lines: Mapping[Pair, Sequence[OrderLine]], pair: Pair
) -> dict[str, tuple[float, date | None]]:
    """What is ordered for an item at a place, and when it is due, by where it comes from."""
    return {line.from_id: (line.quantity, line.due_on) for line in lines.get(pair, ())}
