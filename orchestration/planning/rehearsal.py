"""Which policy decides now: the candidates are replayed over the newest weeks whose outcome is
known, and one is champion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from importlib.util import find_spec

import polars as pl

from models.domain import SERIES
from models.replenishment.agreed_shares import lanes_of
from models.replenishment.lead_times import realized
from models.replenishment.policies import DEFAULT, LEGACY, POLICIES, RegisteredPolicy
from models.twin.policy_comparison import paired_difference
from orchestration.facts import decisions
from orchestration.facts.forecasters import OURS, own_forecasters
from orchestration.facts.kept_agents import AGENT, DIGITS, kept_agent, policy_of
from orchestration.facts.kept_models import deciding_forecaster
from orchestration.facts.opening_stock import read_past_opening
from orchestration.facts.past_orders import read_past_orders
from orchestration.facts.planning_inputs import (
    expected_lead_times,
    read_lead_times,
    read_nodes,
    read_unmet,
)
from orchestration.facts.purchase_terms import read_terms, with_sources
from orchestration.facts.supply_calendar import read_calendar, waits_of
from orchestration.facts.timeline import DAYS_A_PERIOD, Timeline
from orchestration.home import Home, extensions
from orchestration.home.sql import table_hash
from orchestration.landing.contract.canonical import WORLD_COLUMNS
from orchestration.planning.demand import Demand, Tell
from orchestration.planning.replay import (
    BASELINES,
    CANDIDATES,
    CHALLENGERS,
    INCUMBENT,
    Replay,
    replay,
)

#: A rehearsal covers at least this many decision windows (lead time + review), so that every
#: order's effect is seen several times.
WINDOWS = 3
#: What a forecast must have seen before a rehearsal begins, in decision windows.
LEARNING_WINDOWS = 2
#: What of the world's row is neither plan nor economics: its clock, and how rows add up.
NO_SETTING = ("now_at", "newest_at", "begins_at", "added_up")
#: What `replay` compares by default: ours, and the rules most companies run.
REPLAYED = (DEFAULT, "moving_average_cover", "eoq_reorder_point", "periodic_review", "min_max")


def deciding(home: Home, demand: Demand, name: str) -> RegisteredPolicy:
    """The policy of this name with the setting the last rehearsal tuned for the decisions after it,
    if it tuned one."""
    last = decisions.latest(home.decisions, "champions", demand.timeline.now_at)
    judged = None if last is None or "scale" not in last.columns else last.filter(policy=name)
    return policy_of(home, name, None if judged is None else judged["scale"].max())


def is_due(last: datetime, timeline: Timeline) -> bool:
    """Whether a review interval has passed since, or time was turned back: champions are renewed
    less often than plans."""
    return not timedelta(0) <= timeline.now_at - last < timedelta(days=timeline.review_days)


def settings_digest(home: Home) -> str:
    """A digest of what policies are judged under: what the contract says of plan and economics, and
    the agent that is kept, if one is."""
    said = [name for name in WORLD_COLUMNS if name not in NO_SETTING]
    with home.connect(read_only=True) as con:
        _, digest = table_hash(con, "raw.world", said)
    kept = kept_agent(home)
    return f"{digest:x}" + (f"-{kept.card['sha256'][:DIGITS]}" if kept else "")


def champion_is_current(home: Home, timeline: Timeline) -> pl.DataFrame | None:
    """The last rehearsal, if it is of this review period, this plan and these economics, and of the
    agent that is kept now; None when it is time to rehearse again."""
    last = decisions.latest(home.decisions, "champions", timeline.now_at)
    if last is None or is_due(last["as_of"][0], timeline):
        return None
    if "settings" not in last.columns or last["settings"][0] != settings_digest(home):
        return None
    return last


def current_policy(home: Home, demand: Demand) -> str:
    """The champion that decides now. Raises ValueError before the first rehearsal."""
    last = decisions.latest(home.decisions, "champions", demand.timeline.now_at)
    if last is None:
        raise ValueError("no policy has been rehearsed by now; run the line up to rehearse first")
    return str(last.filter("is_champion")["policy"].item())


def is_rehearsed(home: Home, demand: Demand) -> bool:
    """Whether the champion that decides now has won a rehearsal, or stands in for one."""
    last = decisions.latest(home.decisions, "champions", demand.timeline.now_at)
    return last is not None and last["total_cost"].is_not_null().any()


def candidates() -> tuple[str, ...]:
    """The policies that every rehearsal compares: ours, the rules companies run, and a company's
    own."""
    return (*CANDIDATES, *(policy.name for policy in extensions.offered("policies")))


def rehearse(home: Home, demand: Demand, progress: Tell | None = None) -> Replay | None:
    """Replay the candidates over the newest weeks whose outcome is known; the incumbent is the last
    champion.

    Ours is judged with its prior scale; the scale tuned on these weeks serves the plans that come
    after them. An agent is in shadow until the review after its first rehearsal: what it would
    have cost stands beside the others, and it is no champion yet. A younger company rehearses fewer
    windows, and none where not even one is left beside what a forecast learns from: None.
    """
    window = rehearsed_window(home, demand)
    if window is None:
        return None
    start, periods = window
    kept = kept_agent(home)
    is_fair = kept is not None and kept.knows_until <= start
    names = (*candidates(), *((AGENT,) if is_fair else ()))
    result = replay_world(
        home, start, periods, orders=None, policies=names, is_tuned=True, progress=progress
    )
    is_first = decisions.latest(home.decisions, "champions", demand.timeline.now_at) is None
    shadow = () if stood_in_shadow(home, demand.timeline) else (AGENT,)
    return result.judged_against(
        INCUMBENT if is_first else current_policy(home, demand), shadow=shadow
    )


def stood_in_shadow(home: Home, timeline: Timeline) -> bool:
    """Whether the agent that is kept now was in a rehearsal a review interval ago or earlier, under
    the plan and the economics of today."""
    before = timeline.now_at - timedelta(days=timeline.review_days)
    last = decisions.latest(home.decisions, "champions", before)
    if last is None or "settings" not in last.columns or AGENT not in last["policy"]:
        return False
    return bool(last["settings"][0] == settings_digest(home))


def rehearsed_window(home: Home, demand: Demand) -> tuple[date, int] | None:
    """The first day and the periods of a rehearsal now; None where history is too short for one."""
    timeline, ends = demand.timeline, history_ends(home, demand.timeline)
    learns = timeline.shift(demand.first, LEARNING_WINDOWS * demand.horizon)
    for windows in range(WINDOWS, 0, -1):
        periods = -(-windows * demand.horizon // timeline.review) * timeline.review
        start = timeline.shift(ends, -periods)
        if start >= learns:
            return start, periods
    return None


def history_ends(home: Home, timeline: Timeline) -> date:
    """The day after the newest period whose demand is known."""
    with home.connect(read_only=True) as con:
        newest = con.execute("select max(period_start) from marts.fct_demand").fetchone()
    return timeline.shift(newest[0], 1) if newest else timeline.origin


def unrehearsed_frame(run_id: str, as_of: datetime, settings: str) -> pl.DataFrame:
    """The decision of a company too young to rehearse: the rule most companies run decides, and no
    cost is claimed for it."""
    row = {"run_id": run_id, "as_of": as_of, "policy": INCUMBENT, "is_champion": True}
    row["settings"] = settings
    schema = decisions.DECISIONS["champions"]
    return pl.DataFrame([row | {name: None for name in schema if name not in row}], schema=schema)


def champions_frame(result: Replay, run_id: str, as_of: datetime, settings: str) -> pl.DataFrame:
    """The rehearsal as decisions: every policy's cost, its paired difference to the champion, and
    which one decides now; `settings` as settings_digest has it."""
    blocks = result.nodes["item_id"].rank("dense").to_numpy()
    rows = []
    for name, simulated in result.results.items():
        against = paired_difference(
            name,
            result.champion,
            simulated.cost,
            result.results[result.champion].cost,
            blocks=blocks,
        )
        rows.append(
            {
                "run_id": run_id,
                "as_of": as_of,
                "policy": name,
                "holding_cost": float(simulated.holding.sum()),
                "shortage_cost": float(simulated.shortage.sum()),
                "total_cost": float(simulated.cost.sum()),
                "mean_difference": against.difference,
                "lower": against.lower,
                "upper": against.upper,
                "is_champion": name == result.champion,
                "is_in_shadow": name in result.in_shadow,
                "scale": result.settings.get(name),
                "settings": settings,
            }
        )
    return pl.DataFrame(rows)


def scores_frame(result: Replay, run_id: str, as_of: datetime) -> pl.DataFrame:
    """Forecast value added: the rehearsal's forecasts against what came, from the simplest method
    to the one that decides, with the error each takes off the one before it.

    Columns decisions.forecast_scores; no rows where no decision's whole horizon was rehearsed.
    Source: Gilliland, The Business Forecasting Deal, 2010.
    """
    stairs = pl.DataFrame({"method": [*BASELINES, result.forecast_by]})
    found = stairs.with_row_index("stair", 1).join(result.scores, on="method", how="inner")
    return found.sort("stair").with_columns(
        run_id=pl.lit(run_id),
        as_of=pl.lit(as_of),
        stair=pl.col("stair").cast(pl.Int64),
        wape_reduction=pl.col("wape").shift(1) - pl.col("wape"),
    )


def replay_world(
    home: Home,
    start: date,
    periods: int,
    *,
    orders: int | None,
    policies: Sequence[str],
    settings: Mapping[str, float] | None = None,
    is_tuned: bool = False,
    challengers: Sequence[str] = (),
    progress: Tell | None = None,
) -> Replay:
    """Replay from the real state at the midnight beginning `start`, on the demand that history has
    since revealed.

    settings: by policy, what an earlier rehearsal tuned for the decisions after it; see `replay`
    for the rest.
    """
    with home.connect(read_only=True) as con:
        demand = Demand.open(con, home.warehouse, home.features).known_by(con, start)
        demand = demand.by(deciding_forecaster(home))
        nodes = read_nodes(con).join(
            demand.items(), on="item_id", how="semi", maintain_order="left"
        )
        nodes = nodes.filter((pl.col("role") != "store") | _is_in(demand.series))
        nodes = with_sources(con, nodes, demand.timeline)
        lanes = lanes_of(nodes)
        opening = read_past_opening(
            con, nodes, demand.timeline, start=start, horizon=demand.horizon
        )
        truth = demand.truth(con, start, periods)
        known = read_lead_times(con, demand.timeline, start)
        revealed = read_lead_times(con, demand.timeline, demand.timeline.origin)
        unmet, waiting_share = read_unmet(con)
        terms, service_level = read_terms(con, nodes, demand.timeline)
        calendar = read_calendar(con, demand.timeline)
        placed = read_past_orders(con, nodes, demand.timeline, start=start, periods=periods)
    incumbent = next((name for name in policies if name in LEGACY), policies[0])
    days = [demand.timeline.shift(start, k) for k in range(periods)]
    days_a_period = DAYS_A_PERIOD[demand.timeline.grain]
    return replay(
        demand,
        nodes,
        truth,
        start,
        periods,
        unmet=unmet,
        waiting_share=waiting_share,
        opening=opening,
        orders=orders,
        policies=policies,
        agents=_agents(home, policies, start),
        incumbent=incumbent,
        lead_time_paths=expected_lead_times(lanes, known, demand.timeline),
        lead_times=realized(lanes, revealed, days, days_a_period) if len(revealed) else None,
        terms=terms,
        service_level=service_level,
        waits=waits_of(calendar, lanes, demand.timeline, days),
        placed=placed,
        settings=settings,
        is_tuned=is_tuned,
        challengers=challengers,
        progress=progress,
    )


def _agents(home: Home, policies: Sequence[str], start: date) -> dict[str, RegisteredPolicy]:
    """The kept agent where it is replayed. Raises ValueError where it knows what came after the
    start."""
    if AGENT not in policies:
        return {}
    found, kept = policy_of(home, AGENT), kept_agent(home)
    if kept and kept.knows_until > start:
        raise ValueError(
            f"the agent was trained on what was known by {kept.knows_until}; a replay from {start} "
            "would tell what it already knows: start later, or leave it out"
        )
    return {AGENT: found}


def _is_in(series: pl.DataFrame) -> pl.Expr:
    return pl.struct(SERIES).is_in(
        series.select(pl.struct(SERIES).alias("series"))["series"].implode()
    )


def check_policies(
    names: Sequence[str], challengers: Sequence[str] = (), decides: str = OURS
) -> None:
    """Refuse a policy or a challenger nobody has written, naming those there are, a challenger that
    decides anyway, and one where our rule is not replayed."""
    if decides in challengers:
        raise ValueError(f"{decides} decides: it cannot be its own challenger")
    for kind, asked, there in (
        ("policy", names, sorted([*POLICIES, AGENT])),
        ("challenger", challengers, (*CHALLENGERS, OURS, *own_forecasters())),
    ):
        for name in asked:
            if name not in there:
                raise ValueError(f"there is no {kind} '{name}'; there are {', '.join(there)}")
    if challengers and DEFAULT not in names:
        raise ValueError(
            f"a challenger's forecasts are decided on by {DEFAULT}: name it among --policies too"
        )
    if (
        set(challengers) & set(CHALLENGERS) and find_spec("jax") is None
    ):  # said before minutes of landing
        raise ModuleNotFoundError("the sequence model is trained by JAX", name="jax")
