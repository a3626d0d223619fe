"""React: what happens between two runs re-plans what it concerns at once; published facts, ledger and inbox in, only the ledger out.

A late answer, a short shipment or a refusal stands in the ledger; a surge, a late supplier or a closed place comes over the stream, as
a JSON object in the words of the twin's scenarios (models/procurement/disruptions.py). The items are planned twice on the same sampled
futures, as published and as it is now, so that only what the event changes is changed.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import polars as pl

from models.domain import SERIES, Floats, OrderLine, Policy, need_key
from models.forecasting.forecast import PATH_LEVELS, Forecast
from models.forecasting.quantile import DemandModel
from models.procurement.disruptions import Disruption, Kind, read
from models.procurement.documents import CANCELLED, REFUSED, REJECTED, Document
from models.procurement.messages import MessageError
from models.replenishment.alternatives import Rescue, rescues
from models.replenishment.constraints import Constraint
from models.replenishment.lead_times import believed
from models.replenishment.minimums import SupplierMinimum
from models.replenishment.ways import Logistics
from orchestration import overriding, procuring, snapshots
from orchestration.home import Home
from orchestration.intake.inbox import FILE
from orchestration.landing import World
from orchestration.landing.settings import WEEKDAYS
from orchestration.ledger import ProposalReport
from orchestration.planning import MINIMUMS, PRICES, ROOM, read_limits, read_logistics, read_service_levels, tuned
from orchestration.replanning import Planner, State, ordered, rescued
from orchestration.replay import SAMPLES, paths_of, read_lead_times
from orchestration.timeline import DAYS_A_PERIOD, UTC, Timeline

#: Who proposes what a reaction finds.
REACTION = "reaction"
#: Past demand a legacy policy may look at, in periods.
HISTORY = 400


@dataclass(frozen=True)
class Concern:
    """One thing that happened and is not over: since when it is known (UTC), in words, and whose demand or supply it moves."""

    occasion: str
    reason: str
    heard_at: str
    items: frozenset[str] = frozenset()
    disruption: Disruption | None = None


@dataclass(frozen=True)
class Reaction:
    """What was done about what happened. reasons: the news, in words. seconds: from hearing the newest of it to the new proposal."""

    reasons: tuple[str, ...]
    items: int
    report: ProposalReport
    rescues: tuple[Rescue, ...]
    seconds: float | None


def react(home: Home, world: World) -> Reaction | None:
    """Re-plan what has happened concerns; None where exactly this has been answered on exactly these published facts.

    Raises PublishError before the first published run.
    """
    snapshot = snapshots.current(home.published)
    with procuring.open_desk(home) as desk:
        timeline, lines, last = timeline_of(world, desk.now), desk.ledger.lines(), desk.ledger.last_reaction()
        happened = concerns(home, timeline, lines, desk.ledger.heard_at())
        state = _state(snapshot, happened)
        if not _is_news(state, happened, last):
            return None
        with snapshot.connect() as con:
            picture = Picture.read(con, home, world, timeline, lines, happened)
        scope, orders, found = picture.answer() if picture else (set(), [], [])
        items = len(picture.items) if picture else 0
        news = [concern for concern in happened if concern.occasion not in last.get("occasions", ())]
        heard = max((concern.heard_at for concern in news), default="")
        said = {
            "state": state, "occasions": sorted(concern.occasion for concern in happened), "reasons": [concern.reason for concern in news],
            "items": items, "rescues": [rescue.reason for rescue in found], "heard_at": heard,
        }  # fmt: skip
        period = timeline.review_period(timeline.origin)
        report, recorded_at = desk.ledger.react(orders, f"{REACTION} {state[:12]}", desk.now, REACTION, scope, period, said)
    seconds = (recorded_at - datetime.fromisoformat(heard)).total_seconds() if heard else None
    return Reaction(tuple(concern.reason for concern in news), items, report, tuple(found), seconds)


def unanswered(home: Home, world: World) -> str | None:
    """The name of a state of things that no reaction has answered; None where there is none, or nothing is published yet."""
    try:
        snapshot = snapshots.current(home.published)
    except snapshots.PublishError:
        return None
    with procuring.open_desk(home) as desk:
        happened = concerns(home, timeline_of(world, desk.now), desk.ledger.lines(), {})
        state = _state(snapshot, happened)
        return state if _is_news(state, happened, desk.ledger.last_reaction()) else None


def _state(snapshot: snapshots.Snapshot, happened: Sequence[Concern]) -> str:
    return hashlib.sha256(repr([snapshot.version, *sorted(concern.occasion for concern in happened)]).encode()).hexdigest()


def _is_news(state: str, happened: Sequence[Concern], last: Mapping[str, object]) -> bool:
    return state != last.get("state") and bool(happened or last.get("occasions"))


def concerns(home: Home, timeline: Timeline, lines: Iterable[Document], heard_at: Mapping[str, str]) -> list[Concern]:
    """Everything that happened and is not over: lines late, short or refused, and what the stream brought.

    heard_at: when the ledger last heard of a document from outside, by document id.
    """
    found = []
    for line in lines:
        if why := trouble(line):
            occasion = hashlib.sha256(f"{line.document_id} {why}".encode()).hexdigest()[:12]
            found.append(Concern(occasion, why, heard_at.get(line.document_id, ""), frozenset({line.item_id})))
    today = timeline.now_at.replace(tzinfo=UTC).astimezone(ZoneInfo(timeline.timezone)).date()
    return found + disruptions(home.inbox, today)


def trouble(line: Document) -> str | None:
    """What is wrong with an approved purchase, in words; None where it will come as asked."""
    if line.kind != "purchase" or not line.is_approved or (line.ended and line.ended != REFUSED):
        return None
    name = f"{line.item_id} of order {line.order_id}"
    if line.ended:
        return f"{name} was refused: {line.quantity:g} units will not come"
    if line.received >= line.ordered:
        return None
    shipped = sum(line.shipments.values())
    if shipped and shipped < line.ordered:
        return f"{name} was shipped short: {shipped:g} of {line.ordered:g}, due {line.due_on}"
    if line.confirmed is not None and line.confirmed < line.quantity:
        return f"{name} was confirmed short: {line.confirmed:g} of {line.quantity:g}, due {line.due_on}"
    return f"{name} is late: due {line.due_on}, asked for {line.asked_on}" if line.due_on > line.asked_on else None


def disruptions(inbox: Path, today: date) -> list[Concern]:
    """What any stream has brought in the words of a disruption and is not over; one that cannot be read is a concern without a reach."""
    if not (inbox / FILE).exists():
        return []
    with closing(sqlite3.connect(f"file:{inbox / FILE}?mode=ro", uri=True, timeout=30)) as connection:
        rows = connection.execute("SELECT source, message_id, received_at, body FROM messages ORDER BY id").fetchall()
    found = []
    for source, message_id, received_at, body in rows:
        if b'"kind"' not in bytes(body):
            continue
        try:
            said = json.loads(bytes(body))
        except (ValueError, RecursionError):
            continue  # no JSON at all: what is wrong with it is said where it lands
        if not isinstance(said, dict) or said.get("kind") not in get_args(Kind):
            continue
        name, heard_at = hashlib.sha256(f"{source}/{message_id}".encode()).hexdigest()[:12], received_at.replace(" ", "T")
        try:
            event = read(said, name)
        except MessageError as error:
            found.append(Concern(name, f"message {message_id} of {source} cannot be acted on: {error}", heard_at))
        else:
            found += [Concern(name, event.reason, heard_at, disruption=event)] if event.ends_on >= today else []
    return found


def timeline_of(world: World, now: datetime) -> Timeline:
    """The world's clock from its contract and a Now, without its warehouse."""
    said = world.plan
    decide_on = WEEKDAYS.index(said.decide_on) + 1 if said.decide_on else None
    week = WEEKDAYS.index(said.week_starts_on) + 1
    return Timeline(world.world, said.grain, world.timezone, week, said.review_days, decide_on, said.whole_units, now)


@dataclass(frozen=True)
class Picture:
    """What a hurried planner sees of the concerned items: as published, and as the ledger and the stream have it now."""

    planner: Planner
    before: State
    after: State
    logistics: Logistics
    happened: Sequence[Concern]
    standing: frozenset[tuple[str, str]]  # pairs with a requisition of an earlier reaction
    placed: frozenset[tuple[str, str]]  # pairs whose need of this review is ordered already
    refused: frozenset[tuple[str, str]]  # pairs whose need of this review a person has refused

    @classmethod
    def read(
        cls,
        con: duckdb.DuckDBPyConnection,
        home: Home,
        world: World,
        timeline: Timeline,
        lines: Sequence[Document],
        happened: Sequence[Concern],
    ) -> Picture | None:
        """Read what is published of the concerned items and lay the ledger's present lines over it; None where none is planned."""
        nodes = con.execute("""
            select planned.*, coalesce(stock.on_hand, 0.0) as on_hand, coalesce(stock.on_order, 0.0) as on_order
            from marts.dim_item_locations as planned left join marts.fct_stock_positions as stock using (item_id, location_id)
            order by role <> 'store', item_id, location_id
        """).pl()
        standing = frozenset((x.item_id, x.location_id) for x in lines if x.stage == "requisition" and x.proposer == REACTION)
        items = _concerned(nodes, happened) | {item for item, _ in standing}
        rows = nodes.filter(pl.col("item_id").is_in(items))
        if rows.is_empty():
            return None
        concerned = [line for line in lines if line.item_id in items]
        others = [line for line in lines if line.item_id not in items and line.stage == "requisition"]
        forecast = published_forecast(con, home, rows, timeline)
        first = forecast.period_starts[0]
        rows = rows.join(con.execute(ROOM).pl(), on="location_id", how="left", maintain_order="left")
        rows = rows.with_columns(service_level=read_service_levels(con, rows))
        past = read_lead_times(con, timeline, timeline.origin)
        believes = believed(rows, past, DAYS_A_PERIOD[timeline.grain], SAMPLES, seed=0) if len(past) else None
        planner = Planner(
            timeline, _champion(con), world.economics.unmet if world.economics else "lost", forecast.period_starts,
            _history(con, rows, timeline, first), believes, [_left(limit, others, nodes) for limit in read_limits(con, nodes)],
            [_still_to_buy(name, value, others) for name, value in con.execute(MINIMUMS).fetchall()],
            overriding.in_force(home, timeline.now_at, timeline.origin), con.execute(PRICES).pl(),
        )  # fmt: skip
        paths = paths_of(forecast, rows, seed=0)
        coming = Coming.read(con, concerned)
        stocked = rows.with_columns(on_hand=pl.Series(rows["on_hand"].to_numpy().clip(0.0) + coming.moved(rows)))
        events = [concern.disruption for concern in happened if concern.disruption]
        return cls(
            planner, planner.state(stocked, paths, coming.as_planned), planner.state(stocked, paths, coming.as_it_is(nodes), events),
            read_logistics(con, timeline), happened, standing, *_held(rows, lines, timeline),
        )  # fmt: skip

    @property
    def items(self) -> list[str]:
        return self.after.rows["item_id"].unique().sort().to_list()

    def answer(self) -> tuple[set[tuple[str, str]], list[OrderLine], list[Rescue]]:
        """The pairs that what happened changes, the lines they should have now, and the faster ways among these."""
        planned, now = (_by_pair(self.planner.plan(state).lines) for state in (self.before, self.after))
        now = {pair: line for pair, line in now.items() if pair not in self.refused}
        usual, short = ordered(self.before, planned.values()), ordered(self.after, now.values())
        found = rescues(self.planner.situation(usual), self.planner.situation(short), short.rows, self.logistics)
        if found:
            again = _by_pair(self.planner.plan(rescued(self.after, found)).lines)
            now = {pair: line for pair, line in again.items() if pair not in self.refused}
        changed = {pair for pair in planned.keys() | now.keys() if _units(planned, pair) != _units(now, pair)}
        more = [pair for pair in changed & now.keys() & self.placed if now[pair].quantity > _units(planned, pair)[0]]
        extra = [self._extra(rescue) for rescue in found] + [self._more(now[pair], planned.get(pair)) for pair in sorted(more)]
        scope = changed | set(self.standing) | {(line.item_id, line.location_id) for line in extra}
        regular = [replace(now[pair], review_period=self.review_period) for pair in sorted(scope & now.keys() - self.placed)]
        return scope, [*regular, *extra], found

    @property
    def review_period(self) -> date:
        return self.planner.timeline.review_period(self.planner.timeline.origin)

    def _causes(self, item: str, place: str) -> Concern:
        """What moved this item and place first."""
        rows = self.after.rows.filter((pl.col("item_id") == item) & (pl.col("location_id") == place))
        return next((concern for concern in self.happened if _moves(concern, rows, item)), self.happened[0])

    def _more(self, line: OrderLine, planned: OrderLine | None) -> OrderLine:
        """What this review's order for the need lacks, now that it has been placed already: an order of its own, the usual way."""
        cause = self._causes(line.item_id, line.location_id)
        quantity = line.quantity - (planned.quantity if planned else 0.0)
        return OrderLine(
            line.world, line.kind, line.item_id, line.location_id, line.from_id, quantity, self.review_period, line.due_on, line.unit_cost,
            {"more": quantity}, f"{cause.reason}. {quantity:g} units more than were ordered.", cause.occasion,
        )  # fmt: skip

    def _extra(self, rescue: Rescue) -> OrderLine:
        """A faster way as an order of its own, under the occasion it answers."""
        timeline, row, way = self.planner.timeline, self.after.rows.row(rescue.row, named=True), rescue.way
        cause = self._causes(row["item_id"], row["location_id"])
        return OrderLine(
            timeline.world, "purchase" if way.kind == "purchase" else "transfer", row["item_id"], row["location_id"], way.from_id,
            rescue.quantity, self.review_period, timeline.shift(timeline.origin, way.periods), way.unit_cost,
            {"rescue": rescue.quantity}, f"{cause.reason}. {rescue.reason}.", f"{cause.occasion} faster",
        )  # fmt: skip


def _held(
    rows: pl.DataFrame, lines: Iterable[Document], timeline: Timeline
) -> tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]:
    """The pairs whose usual intent key of this review is held by an order, and by a person's refusal."""
    period, kinds = (
        timeline.review_period(timeline.origin).isoformat(),
        dict(zip(rows.select(SERIES).iter_rows(), rows["kind"], strict=True)),
    )
    held = {
        (line.item_id, line.location_id): line.ended in (REJECTED, CANCELLED)
        for line in lines
        if line.is_live and line.review_period == period
        and line.intent_key == need_key(line.world, line.kind, line.item_id, line.location_id, line.review_period)
        and kinds.get((line.item_id, line.location_id)) == line.kind and (line.stage != "requisition" or line.is_firm)
    }  # fmt: skip
    return frozenset(pair for pair, is_refused in held.items() if not is_refused), frozenset(pair for pair, no in held.items() if no)


def _by_pair(lines: Iterable[OrderLine]) -> dict[tuple[str, str], OrderLine]:
    return {(line.item_id, line.location_id): line for line in lines}


def _units(lines: Mapping[tuple[str, str], OrderLine], pair: tuple[str, str]) -> tuple[float, date | None]:
    line = lines.get(pair)
    return (line.quantity, line.due_on) if line else (0.0, None)


def _moves(concern: Concern, row: pl.DataFrame, item: str) -> bool:
    return item in concern.items if concern.disruption is None else bool(concern.disruption.rows(row).any())


def _concerned(nodes: pl.DataFrame, happened: Sequence[Concern]) -> set[str]:
    items = {item for concern in happened for item in concern.items}
    for concern in happened:
        if concern.disruption is not None:
            items |= set(nodes.filter(concern.disruption.rows(nodes))["item_id"])
    return items


def _champion(con: duckdb.DuckDBPyConnection) -> Policy:
    """The policy that decides now, with the scale its last rehearsal tuned. Raises ValueError before the first rehearsal."""
    said = con.execute("select * from decisions.champions where is_champion order by as_of desc limit 1").pl()
    if said.is_empty():
        raise ValueError("no policy has been rehearsed by now; run the line up to rehearse first")
    return tuned(said["policy"][0], said)


def _still_to_buy(supplier: str, least: float, others: Sequence[Document]) -> SupplierMinimum:
    """What the requisitions of the other items leave of a supplier's least order value."""
    bought = sum(line.quantity * line.unit_cost for line in others if line.kind == "purchase" and line.from_id == supplier)
    return SupplierMinimum(supplier, max(least - bought, 0.0))


def _left(limit: Constraint, others: Sequence[Document], nodes: pl.DataFrame) -> Constraint:
    """What the requisitions of the other items leave of a limit."""
    terms = pl.DataFrame(
        [{"kind": d.kind, "item_id": d.item_id, "location_id": d.location_id, "from_id": d.from_id, "unit_cost": d.unit_cost,
          "quantity": d.quantity} for d in others],
        schema={"kind": pl.String, "item_id": pl.String, "location_id": pl.String, "from_id": pl.String, "unit_cost": pl.Float64,
                "quantity": pl.Float64},
    ).join(nodes.select(*SERIES, "weight_kg", "category"), on=list(SERIES), how="left", maintain_order="left")  # fmt: skip
    terms = terms.with_columns(pl.col("weight_kg").fill_null(0.0))
    used = float(limit.limit(terms).use @ terms["quantity"].to_numpy()) if len(terms) else 0.0
    return replace(limit, at_most=max(0.0, limit.at_most - used))


def published_forecast(con: duckdb.DuckDBPyConnection, home: Home, rows: pl.DataFrame, timeline: Timeline) -> Forecast:
    """The newest published forecast of these rows, its nine levels spread over the levels that sample paths need.

    Between levels the values follow a straight line over normal scores; how the errors of two periods go together is kept beside the
    model. A row that no forecast speaks for (a centre) is left to its paths of zero.
    """
    con.register("asked_rows", rows.select(SERIES))
    said = con.execute("""
        select forecasts.* from decisions.forecasts as forecasts
        inner join asked_rows using (item_id, location_id)
        where run_id = (
            select run_id from decisions.forecasts
            order by as_of desc, run_id = (select run_id from published.snapshot) desc limit 1
        )
        order by item_id, location_id, period_start, quantile nulls last
    """).pl()
    con.unregister("asked_rows")
    if said.is_empty():
        raise ValueError("no forecast of the items concerned is published; run the line first")
    keys = said.select(SERIES).unique(maintain_order=True)
    starts = said["period_start"].unique().sort().to_list()
    levels = said["quantile"].unique().drop_nulls().sort().to_list()
    values = said["value"].to_numpy().reshape(len(keys), len(starts), len(levels) + 1)
    spread = _spread(values[:, :, :-1], levels)
    correlation = _correlation(home.models / "demand.model", len(starts))
    return Forecast(keys, starts, PATH_LEVELS, spread, values[:, :, -1].astype(np.float32), correlation, timeline.is_whole_units)


def _correlation(kept: Path, horizon: int) -> np.ndarray | None:
    """How the errors of two periods go together, by the kept model; None before the first one, or where it looks less far ahead."""
    if not kept.exists():
        return None
    try:
        found = DemandModel.from_bytes(kept.read_bytes()).calibration.correlation
    except KeyError as error:
        raise ValueError(f"the model in {kept} was made by another version (it has no {error}); run the line first") from error
    return None if found is None or len(found) != horizon else np.asarray(found)


def _spread(values: Floats, levels: Sequence[float]) -> np.ndarray:
    """Quantiles at PATH_LEVELS out of (N, H, Q) at fewer levels, linear in the normal score."""
    from scipy.special import ndtri  # noqa: PLC0415 - needed here alone

    known, wanted = ndtri(np.array(levels)), ndtri(np.array(PATH_LEVELS))
    upper = np.clip(np.searchsorted(known, wanted), 1, len(known) - 1)
    share = (wanted - known[upper - 1]) / (known[upper] - known[upper - 1])
    low, high = values[:, :, upper - 1], values[:, :, upper]
    return np.maximum(low + (high - low) * share, 0.0).astype(np.float32)


def _history(con: duckdb.DuckDBPyConnection, rows: pl.DataFrame, timeline: Timeline, first: date) -> Floats:
    """(N, T) net demand before the first period planned, NaN where unknown: what a legacy policy works from."""
    oldest = timeline.shift(first, -HISTORY)
    said = con.execute(
        "select item_id, location_id, period_start, quantity from marts.fct_demand where is_current and period_start >= ?", [oldest]
    ).pl()  # fmt: skip
    spec, at = timeline.spec(1), {key: row for row, key in enumerate(rows.select(SERIES).iter_rows())}
    past: Floats = np.full((rows.height, HISTORY), np.nan)
    offset = int(spec.index(pl.Series([oldest]))[0])
    columns: Sequence[int] = (spec.index(said["period_start"]) - offset).tolist() if len(said) else []
    for item, place, quantity, column in zip(said["item_id"], said["location_id"], said["quantity"], columns, strict=True):
        if (item, place) in at and 0 <= column < HISTORY and quantity is not None:
            past[at[item, place], int(column)] = quantity
    return past


@dataclass(frozen=True)
class Coming:
    """Deliveries on their way: as published, as the ledger's lines stand now, and stock the ledger moved since.

    as_planned: item_id, location_id, from_id, quantity, due_on, as the last plan saw them. others: those of the company's systems, on
    the day the ledger last heard. lines: the ledger's own that these systems do not show. shifts: units by item and location.
    """

    as_planned: pl.DataFrame
    others: pl.DataFrame
    lines: Sequence[Document]
    shifts: Mapping[tuple[str, str], float]

    @classmethod
    def read(cls, con: duckdb.DuckDBPyConnection, lines: Sequence[Document]) -> Coming:
        """The published open orders of the lines' items; a line the company's systems show counts there, once."""
        published = con.execute("""
            select order_id, coalesce(line_id, '') as line_id, origin, item_id, location_id, from_id, quantity,
                cast(due_at as date) as due_on from marts.fct_open_orders
        """).pl().with_columns(due_on=pl.col("due_on").fill_null(date.min))  # fmt: skip
        known = set(con.execute("select distinct order_id from marts.fct_lead_times").pl()["order_id"])
        received = dict(
            con.execute(
                "select order_id || '/' || coalesce(line_id, ''), sum(quantity) from marts.fct_receipts where is_current group by 1"
            ).fetchall()
        )
        theirs = set(published.filter(pl.col("origin") == "erp")["order_id"])
        heard = {
            (_name(d), d.item_id, d.location_id): date.fromisoformat(d.due_on[:10]) for d in lines if _name(d) in theirs and d.order_id
        }
        own = [d for d in lines if _name(d) not in theirs and d.open_quantity > 0]
        shifts: dict[tuple[str, str], float] = {}
        for d in lines:
            if not d.order_id:
                continue
            if d.kind == "transfer" and d.is_approved and not d.ended and _name(d) not in known:
                shifts[d.item_id, d.from_id] = shifts.get((d.item_id, d.from_id), 0.0) - d.quantity
            news = d.received - received.get(f"{d.order_id}/{d.line_id}", 0.0) if d.kind == "purchase" else 0.0
            if news > 0:
                shifts[d.item_id, d.location_id] = shifts.get((d.item_id, d.location_id), 0.0) + news
        asked = [d for d in lines if d.is_approved and d.ended in ("", REFUSED) and d.received < d.quantity and _name(d) not in known]
        unseen = pl.DataFrame([_delivery(d, d.quantity - d.received, d.asked_on) for d in asked], schema=_DELIVERY, orient="row")
        others = published.filter(pl.col("origin") == "erp")
        days = [heard.get(tuple(key), day) for *key, day in others.select("order_id", "item_id", "location_id", "due_on").iter_rows()]
        others = others.with_columns(due_on=pl.Series(days, dtype=pl.Date))
        return cls(pl.concat([published.select(list(_DELIVERY)), unseen]), others.select(list(_DELIVERY)), own, shifts)

    def moved(self, rows: pl.DataFrame) -> Floats:
        """(N,) units by which the ledger has moved the rows' stock since it was published: goods booked in, transfers sent off."""
        return np.array([self.shifts.get(key, 0.0) for key in rows.select(SERIES).iter_rows()])

    def as_it_is(self, nodes: pl.DataFrame) -> pl.DataFrame:
        """Deliveries as suppliers last said: what a ship notice leaves out comes one more lead time later."""
        lead = dict(zip(nodes.select(SERIES).iter_rows(), nodes["lead_time_days"], strict=True))
        found = []
        for d in self.lines:
            shipped = sum(d.shipments.values())
            rest = max(d.ordered - max(shipped, d.received), 0.0) if shipped else 0.0
            later = date.fromisoformat(d.due_on[:10]).toordinal() + round(lead.get((d.item_id, d.location_id)) or 0)
            found.append(_delivery(d, d.open_quantity - rest, d.due_on))
            if rest:
                found.append(_delivery(d, rest, date.fromordinal(later).isoformat()))
        return pl.concat([self.others, pl.DataFrame(found, schema=_DELIVERY, orient="row")])


_DELIVERY = {"item_id": pl.String, "location_id": pl.String, "from_id": pl.String, "quantity": pl.Float64, "due_on": pl.Date}


def _name(line: Document) -> str:
    """A line's order as the marts know it."""
    return line.order_id if line.kind == "purchase" else f"{line.order_id}/{line.line_id}"


def _delivery(line: Document, quantity: float, day: str) -> tuple[str, str, str, float, date]:
    return line.item_id, line.location_id, line.from_id, quantity, date.fromisoformat(day[:10])
