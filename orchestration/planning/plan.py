"""The stations' glue between rooms: which model and policy count now, and the plan they make of today's stock."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Literal

import duckdb
import numpy as np
import polars as pl

from models.domain import SERIES, Integers, OrderLine
from models.forecasting.forecast import Forecast
from models.forecasting.inputs import panels
from models.replenishment.lead_times import believed, experienced
from models.replenishment.minimums import SupplierMinimum
from models.replenishment.plan import Constraint, Plan, plan
from models.replenishment.policies import DEFAULT, POLICIES, RegisteredPolicy
from models.replenishment.supplier_choice import Buyer
from models.replenishment.ways import Logistics, Rise
from models.twin.scorecard import paired_difference
from orchestration.expectations import completeness, incomplete
from orchestration.facts import decisions
from orchestration.facts.timeline import DAYS_A_PERIOD, Timeline
from orchestration.home import Home
from orchestration.planning import overrides as overriding
from orchestration.planning.demand import Demand
from orchestration.planning.replay import (
    ASSUMED_COVER,
    CANDIDATES,
    CHALLENGERS,
    INCUMBENT,
    SAMPLES,
    Replay,
    assumed_opening,
    network_of,
    paths_of,
    phases,
    read_lead_times,
    read_nodes,
    read_opening,
    replay,
)

#: A rehearsal covers at least this many decision windows (lead time + review), so that every order's effect is seen several times.
WINDOWS = 3
#: What `replay` compares by default: ours, and the rules most companies run.
REPLAYED = (DEFAULT, "moving_average_cover", "eoq_reorder_point", "periodic_review", "min_max")
#: How a planner writes that a budget is for everything.
ALL_PURCHASES = (None, "all", "purchase", "purchases")
#: The quantities that stand beside every line, and what the plan calls them.
BESIDE = {
    "eoq_quantity": "eoq_reorder_point_quantity", "min_max_quantity": "min_max_quantity", "system_quantity": "system_quantity",
}  # fmt: skip
#: What a location can hold: the planner's word before the location master's.
ROOM = """
    select location_id, coalesce(any_value(said.value), any_value(place.capacity)) as capacity
    from marts.dim_locations as place
    left join marts.fct_constraints as said on said.name = 'capacity' and said.is_current and said.scope = place.location_id
    where place.is_current
    group by location_id
"""
#: What a unit costs from which quantity on, by supplier.
PRICES = """
    select item_id, supplier_id as from_id, from_quantity, unit_cost
    from marts.dim_supplier_terms where is_current and unit_cost is not null order by all
"""
#: How long an item keeps.
KEEPS = "select item_id, cast(shelf_life_days as double) as shelf_life_days from marts.dim_items where is_current"
#: The least value of a review's purchases that a supplier takes, as the planner wrote it.
MINIMUMS = "select scope, value from marts.fct_constraints where is_current and name = 'supplier_minimum' order by all"
#: Prices suppliers have announced for orders of the next review: that of the first step, for which everybody pays at most.
RISES = """
    select item_id, supplier_id, unit_cost, cast(valid_from as date) as starts_on from marts.dim_supplier_terms
    where not is_current and unit_cost is not null and valid_from > $now
    qualify row_number() over (partition by item_id, supplier_id order by valid_from, from_quantity) = 1 order by all
"""
#: The exception of a world that keeps no stock records.
ASSUMED_STOCK = pl.DataFrame(
    {
        "item_id": ["all"], "location_id": ["all"], "kind": ["assumed_stock"], "severity": ["warning"],
        "reason": [f"no stock records: planned as if {ASSUMED_COVER} review intervals of demand were on hand; land stock counts"],
    }
)  # fmt: skip
#: Why an item no override names is ordered otherwise all the same.
KNOCKED_ON = "another item's override took or left its share of a limit or of the shipping location's stock"


def open_demand(home: Home, horizon: int | None = None) -> Demand:
    """The world's demand, read from the home's warehouse, which is closed again on return."""
    with home.connect(read_only=True) as con:
        return Demand.open(con, home.warehouse, home.features, horizon)


def is_due(last: datetime, demand: Demand) -> bool:
    """Whether a review interval has passed since, or time was turned back: champions are renewed less often than plans."""
    return not timedelta(0) <= demand.timeline.now_at - last < timedelta(days=demand.timeline.review_days)


def champion_is_current(home: Home, demand: Demand) -> pl.DataFrame | None:
    """The last rehearsal, if it is of this review period; None when it is time to rehearse again."""
    last = decisions.latest(home.decisions, "champions", demand.timeline.now_at)
    return None if last is None or is_due(last["as_of"][0], demand) else last


def current_policy(home: Home, demand: Demand) -> str:
    """The champion that decides now. Raises ValueError before the first rehearsal."""
    last = decisions.latest(home.decisions, "champions", demand.timeline.now_at)
    if last is None:
        raise ValueError("no policy has been rehearsed by now; run the line up to rehearse first")
    return str(last.filter("is_champion")["policy"].item())


def deciding(home: Home, demand: Demand, name: str) -> RegisteredPolicy:
    """The policy of this name with the scale the last rehearsal tuned for the decisions after it, if it tuned one."""
    last = decisions.latest(home.decisions, "champions", demand.timeline.now_at)
    return tuned(name, last.filter(policy=name) if last is not None else None)


def tuned(name: str, judged: pl.DataFrame | None) -> RegisteredPolicy:
    """A policy with the scale that its row of a rehearsal has; as it is where there is none, or no scale was tuned."""
    scale = None if judged is None or "scale" not in judged.columns else judged["scale"].max()
    policy = POLICIES[name]
    return policy.with_setting(scale) if policy.settings and isinstance(scale, float) else policy


def rehearse(home: Home, demand: Demand, progress: Callable[[str], None] | None = None) -> Replay:
    """Replay the candidates over the newest weeks whose outcome is known; the incumbent is the last champion.

    Ours is judged with its prior scale; the scale tuned on these weeks serves the plans that come after them.
    """
    timeline = demand.timeline
    periods = -(-WINDOWS * demand.horizon // timeline.review) * timeline.review
    with home.connect(read_only=True) as con:
        history = con.execute("select max(period_start) from marts.fct_demand").fetchone()
        start = timeline.shift(history[0], 1 - periods) if history else timeline.origin
    result = replay_world(home, start, periods, orders=None, policies=CANDIDATES, is_tuned=True, progress=progress)
    is_first = decisions.latest(home.decisions, "champions", timeline.now_at) is None
    return result.judged_against(INCUMBENT if is_first else current_policy(home, demand))


def champions_frame(result: Replay, run_id: str, as_of: datetime) -> pl.DataFrame:
    """The rehearsal as decisions: every policy's cost, its paired difference to the champion, and which one decides now."""
    blocks = result.nodes["item_id"].rank("dense").to_numpy()
    rows = []
    for name, simulated in result.results.items():
        against = paired_difference(name, result.champion, simulated.cost, result.results[result.champion].cost, blocks=blocks)
        rows.append(
            {
                "run_id": run_id, "as_of": as_of, "policy": name, "holding_cost": float(simulated.holding.sum()),
                "shortage_cost": float(simulated.shortage.sum()), "total_cost": float(simulated.cost.sum()),
                "mean_difference": against.difference, "lower": against.lower, "upper": against.upper,
                "is_champion": name == result.champion, "scale": result.settings.get(name),
            }
        )  # fmt: skip
    return pl.DataFrame(rows)


def replay_world(
    home: Home,
    start: date,
    periods: int,
    *,
    orders: int | None,
    policies: Sequence[str],
    is_tuned: bool = False,
    challengers: Sequence[str] = (),
    progress: Callable[[str], None] | None = None,
) -> Replay:
    """Replay from the real state at the midnight beginning `start`, on the demand that history has since revealed."""
    with home.connect(read_only=True) as con:
        demand = Demand.open(con, home.warehouse, home.features).known_by(con, start)
        nodes = read_nodes(con).join(demand.items(), on="item_id", how="semi", maintain_order="left")
        nodes = nodes.filter((pl.col("role") != "store") | _is_in(demand.series))
        opening = read_opening(con, demand, nodes, start)
        truth = demand.truth(con, start, periods)
        known = read_lead_times(con, demand.timeline, start)
        revealed = read_lead_times(con, demand.timeline, demand.timeline.origin)
        unmet = con.execute("select unmet from raw.world").fetchone()
    incumbent = next((name for name in policies if POLICIES[name].is_legacy), policies[0])
    days = [demand.timeline.shift(start, k) for k in range(periods)]
    return replay(
        demand, nodes, truth, start, periods, unmet=unmet[0] if unmet and unmet[0] else "lost", opening=opening, orders=orders,
        policies=policies, incumbent=incumbent, lead_time_paths=_believed(nodes, known, demand),
        lead_times=experienced(nodes, revealed, days, DAYS_A_PERIOD[demand.timeline.grain]) if len(revealed) else None, is_tuned=is_tuned,
        challengers=challengers, progress=progress,
    )  # fmt: skip


def _believed(nodes: pl.DataFrame, taken: pl.DataFrame, demand: Demand) -> Integers | None:
    """Sampled lead times from the orders known so far; None, that is the promise, where none was ever placed."""
    return believed(nodes, taken, DAYS_A_PERIOD[demand.timeline.grain], SAMPLES, seed=0) if len(taken) else None


def _is_in(series: pl.DataFrame) -> pl.Expr:
    return pl.struct(SERIES).is_in(series.select(pl.struct(SERIES).alias("series"))["series"].implode())


def check_policies(names: Sequence[str], challengers: Sequence[str] = ()) -> None:
    """Refuse a policy or a challenger nobody has written, naming those there are, and a challenger where our rule is not replayed."""
    for kind, asked, there in (("policy", names, sorted(POLICIES)), ("challenger", challengers, CHALLENGERS)):
        for name in asked:
            if name not in there:
                raise ValueError(f"there is no {kind} '{name}'; there are {', '.join(there)}")
    if challengers and DEFAULT not in names:
        raise ValueError(f"a challenger's forecasts are decided on by {DEFAULT}: name it among --policies too")


def plan_orders(home: Home, demand: Demand, forecast: Forecast, policy: str) -> Plan:
    """The plan of this review: today's stock and open orders, the forecast, the champion's rule and the planner's limits."""
    timeline = demand.timeline
    with home.connect(read_only=True) as con:
        nodes = read_nodes(con)
        opening = read_opening(con, demand, nodes, timeline.origin)
        unmet = con.execute("select unmet from raw.world").fetchone()
    spec = timeline.spec(demand.horizon)
    past = panels(demand.labels(timeline.origin), nodes, ["demand"], spec)["demand"].values.astype(np.float64)
    if opening is None:  # a world without stock records plans from an assumed start, and says so as an exception
        opening = assumed_opening(network_of(nodes, timeline.review, "lost"), past)
    # What arrives today counts as stock, but cannot hide a record that contradicts itself.
    on_hand = np.where(opening.on_hand >= 0, opening.on_hand + opening.due[:, 0], opening.on_hand)
    rows = nodes.with_columns(
        on_hand=pl.Series(on_hand).fill_nan(None), on_order=pl.Series(opening.due[:, 1:].sum(axis=1), dtype=pl.Float64)
    )
    with home.connect(read_only=True) as con:
        rows = rows.join(con.execute(ROOM).pl(), on="location_id", how="left", maintain_order="left")
        rows = rows.join(con.execute(KEEPS).pl(), on="item_id", how="left", maintain_order="left").with_columns(
            service_level=read_service_levels(con, rows),
            shelf_life_periods=(pl.col("shelf_life_days") / DAYS_A_PERIOD[timeline.grain]).floor(),
        )
        limits = read_limits(con)
        taken = read_lead_times(con, timeline, timeline.origin)
        breaks = con.execute(PRICES).pl()
        least = con.execute(MINIMUMS).fetchall()
        logistics = read_logistics(con, timeline)
        known = completeness(con)
    late_units: Literal["lost", "backlog"] = "backlog" if unmet and unmet[0] == "backlog" else "lost"
    made = plan(
        rows,
        paths_of(forecast, nodes, seed=0),
        forecast.period_starts,
        deciding(home, demand, policy),
        world=timeline.world,
        history=past,
        pipeline=opening.due[:, 1:] if opening.due.shape[1] > 1 else np.zeros((len(rows), 1)),
        review=timeline.review,
        unmet=late_units,
        lead_time_paths=_believed(rows, taken, demand),
        constraints=limits,
        price_breaks=breaks,
        minimums=[SupplierMinimum(supplier, value) for supplier, value in least],
        logistics=logistics,
        overrides=overriding.in_force(home, timeline.now_at, timeline.origin),
        phase=phases(demand, past.shape[1]),
    )
    period = timeline.review_period(timeline.origin)
    exceptions = pl.concat([made.exceptions, incomplete(known), *([ASSUMED_STOCK] if opening.is_assumed else [])])
    scores = known.select(*SERIES, completeness="score")
    explanations = made.explanations.join(scores, on=SERIES, how="left", maintain_order="left")
    settled = {supplier for supplier, _ in least}
    buyer = Buyer(rows, logistics, breaks, taken, forecast.period_starts, late_units, limits, settled)
    lines = [replace(line, review_period=period) for line in buyer.choose(made)]
    return replace(made, exceptions=exceptions, explanations=explanations, lines=lines)


def read_service_levels(con: duckdb.DuckDBPyConnection, rows: pl.DataFrame) -> pl.Series:
    """The service level promised for each row, empty where none is: the item's, else the location's, the category's, everybody's."""
    said = dict(con.execute("select scope, value from marts.fct_constraints where is_current and name = 'service_level'").fetchall())
    words = (rows["item_id"], rows["location_id"], rows["category"], pl.Series(["all"] * len(rows), dtype=pl.String))
    return pl.select(
        pl.coalesce(word.cast(pl.String).replace_strict(said, default=None, return_dtype=pl.Float64) for word in words)
    ).to_series()


def read_limits(con: duckdb.DuckDBPyConnection) -> list[Constraint]:
    """The planner's limits on what is ordered now.

    budget: money for all purchases of a review, or for one supplier's. capacity: units a location can hold; what is there and on
    the way has taken its part. truck_kg: what one delivery to a location may weigh. Service levels are not limits but targets.
    """
    found = con.execute("select name, scope, value from marts.fct_constraints where is_current order by all").fetchall()
    limits = []
    for name, scope, value in found:
        place = {"location_id": scope}
        if name.startswith("budget"):
            is_all = scope in ALL_PURCHASES
            whose = name if is_all else f"{name} of {scope}"
            limits.append(Constraint(whose, value, "value", {} if is_all else {"from_id": scope}))
        elif name == "capacity":
            limits.append(Constraint(f"capacity of {scope}", value, "units", place, counts_stock=True))
        elif name == "truck_kg":
            limits.append(Constraint(f"truck to {scope}", value, "weight_kg", place))
    return limits


def read_logistics(con: duckdb.DuckDBPyConnection, timeline: Timeline) -> Logistics:
    """How goods can travel and be bought now: quoted lanes, suppliers' terms, prices announced, and the planner's duty_share.

    duty_share: of price and freight, for one supplier or for all. A price rises within reach if no later review can still order at
    the old one.
    """
    lanes = con.execute("select * from marts.dim_lanes where is_current order by all").pl()
    terms = con.execute("select * from marts.dim_supplier_terms where is_current order by all").pl()
    duty = con.execute("select scope, value from marts.fct_constraints where is_current and name = 'duty_share'").fetchall()
    following = timeline.shift(timeline.origin, timeline.review)
    announced = con.execute(RISES, {"now": timeline.now_at}).fetchall()
    rises = {(item, supplier): Rise(cost, starts_on) for item, supplier, cost, starts_on in announced if starts_on <= following}
    return Logistics.of(lanes, terms, DAYS_A_PERIOD[timeline.grain], dict(duty), rises)


def order_frames(made: Plan, run_id: str, as_of: datetime, policy: str, model: str) -> dict[str, pl.DataFrame]:
    """The plan as decisions: order lines with other rules' quantities beside, their parts, other ways, overrides, what was left out."""
    stamp = {"run_id": run_id, "as_of": as_of}
    schema = decisions.DECISIONS
    lines = pl.DataFrame(
        [
            {
                **stamp, "order_line_id": order_line_id(run_id, line), "intent_key": line.intent_key, "kind": line.kind,
                "item_id": line.item_id, "location_id": line.location_id, "from_id": line.from_id, "quantity": line.quantity,
                "review_period": line.review_period, "due_on": line.due_on, "unit_cost": line.unit_cost, "value": line.value,
                "reason": line.reason, "policy": policy, "model": model,
            }
            for line in made.lines
        ],
        schema={name: kind for name, kind in schema["order_lines"].items() if name not in BESIDE},
    )  # fmt: skip
    beside = made.explanations.select("item_id", "location_id", **BESIDE)
    parts = [
        {**stamp, "order_line_id": order_line_id(run_id, line), "part": part, "quantity": quantity}
        for line in made.lines
        for part, quantity in line.parts.items()
    ]
    is_overridden = (pl.col("override_reason") != "") | (pl.col("quantity") != pl.col("system_quantity"))
    reason = pl.when(pl.col("override_reason") == "").then(pl.lit(KNOCKED_ON)).otherwise("override_reason")
    overridden = made.explanations.filter(is_overridden).with_columns(reason=reason)
    return {
        "order_lines": lines.join(beside, on=["item_id", "location_id"], how="left", maintain_order="left"),
        "explanations": pl.DataFrame(parts, schema=schema["explanations"]),
        "targets": _stamped(made.explanations, stamp),
        "limits": _stamped(made.limits, stamp),
        "alternatives": _stamped(made.alternatives, stamp),
        "overrides": _stamped(overridden, stamp),
        "exceptions": _stamped(made.exceptions, stamp),
    }


def _stamped(frame: pl.DataFrame, stamp: dict[str, object]) -> pl.DataFrame:
    return frame.with_columns(pl.lit(value).alias(name) for name, value in stamp.items())


def order_line_id(run_id: str, line: OrderLine) -> str:
    """A name for one line of one run's plan, short enough to type after `stockhouse trace`."""
    return f"{run_id[:8]}-{hashlib.sha256(line.intent_key.encode()).hexdigest()[:10]}"


def lines_of(lines: pl.DataFrame, parts: pl.DataFrame) -> list[OrderLine]:
    """Order lines read back from the decisions that were kept of them."""
    by_line: dict[str, dict[str, float]] = {}
    for line_id, part, quantity in parts.select("order_line_id", "part", "quantity").iter_rows():
        by_line.setdefault(line_id, {})[part] = quantity
    names = ("kind", "item_id", "location_id", "from_id", "quantity", "review_period", "due_on", "unit_cost", "reason")
    found = []
    for row in lines.iter_rows(named=True):
        world, reasons = row["intent_key"].split("|")[0], by_line.get(row["order_line_id"], {})
        usual = OrderLine(world=world, parts=reasons, **{name: row[name] for name in names})
        found.append(replace(usual, occasion=row["intent_key"].removeprefix(usual.intent_key).removeprefix("|")))
    return found
