"""Counterfactual replay: from the real state at the start, each policy decides on what was known
then, and history says what it cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache, partial
from typing import Any

import numpy as np
import polars as pl

from models.domain import SERIES, Economics, Floats, Integers
from models.forecasting import baselines
from models.forecasting.backtest import score
from models.forecasting.custom_forecaster import OwnModel
from models.forecasting.demand_model import DemandModel
from models.forecasting.forecast import Forecast, blend
from models.forecasting.inputs import Spec, locate, panels
from models.replenishment.agreed_shares import Lanes, lanes_of
from models.replenishment.base_policy import Unmet
from models.replenishment.calendars import Waits
from models.replenishment.decision import Terms
from models.replenishment.opening_state import Opening, assumed_opening
from models.replenishment.policies import DEFAULT, POLICIES, RegisteredPolicy, configured
from models.replenishment.situations import sources_of
from models.twin.ageing import Shelf
from models.twin.network import Network
from models.twin.policy_comparison import PairedDifference, champion, paired_difference, scorecard
from models.twin.simulator import SimulationResult, simulate
from models.twin.trust import PastOrders, run_again
from models.twin.tuning import tune_policy
from orchestration.facts.forecasters import OURS
from orchestration.facts.planning_inputs import SAMPLES, weeks
from orchestration.planning.demand import Demand, Tell

#: Bytes of sample paths kept between the policies of a replay; what does not fit is drawn again,
#: the same.
PATHS_KEPT = 800_000_000
#: The model is trained anew at every fifth decision of a replay, about monthly for a weekly review.
RETRAIN = 5
#: What the company really did, by the name its orders have beside those of the policies.
AS_PLACED = "as_placed"
#: What most companies run today: the policy to beat until a rehearsal says otherwise.
INCUMBENT = "eoq_reorder_point"
CANDIDATES = (DEFAULT, INCUMBENT, "min_max")
#: What can always be replayed beside the forecaster that decides: the sequence model, and the mean
#: of the two; a company's own forecasters can be too. See `Replay.challenges`.
CHALLENGERS = ("lstm", "blend")
#: Training steps of the sequence model: under a minute on two cores.
STEPS = 300
#: What the forecasts are shown beside; one season is a week of days, a year of weeks or months.
BASELINES: dict[str, baselines.Method] = {
    "seasonal_naive": baselines.seasonal_naive,
    "moving_average": baselines.moving_average,
}


@dataclass(frozen=True)
class Replay:
    """What each policy did and cost, on the same demand."""

    nodes: pl.DataFrame
    periods: list[date]
    results: dict[str, SimulationResult]
    champion: str
    rivals: dict[str, PairedDifference]
    scores: pl.DataFrame
    #: Our rule on each challenger's forecasts against the same rule on those that decide: worth
    #: promoting where all of the interval is below 0.
    challenges: dict[str, PairedDifference] = field(default_factory=dict)
    #: By policy, what tuning on these periods says of its setting: for decisions after them, never
    #: for these.
    settings: dict[str, float] = field(default_factory=dict)
    #: Whose forecasts every policy decided on.
    forecast_by: str = OURS
    #: What the company really did, from the same start on the same demand; None where no order of
    #: these periods, or no stock to start from, is recorded. It is shown and ranks nothing.
    as_placed: SimulationResult | None = None
    #: The policies that may not be the champion of this replay, whatever they cost.
    in_shadow: tuple[str, ...] = ()

    def judged_against(self, incumbent: str, *, shadow: Sequence[str] = ()) -> Replay:
        """The same replay with the champion chosen against this incumbent, if it was replayed, else
        against the one it was chosen against before; none of those in shadow is chosen."""
        can_win = {name: run for name, run in self.results.items() if name not in shadow}
        if incumbent not in can_win:
            incumbent = INCUMBENT
        best, _ = choose(can_win, incumbent, self.nodes)
        _, rivals = choose(self.results, incumbent, self.nodes)
        return replace(self, champion=best, rivals=rivals, in_shadow=tuple(shadow))

    def rows(self) -> dict[str, SimulationResult]:
        """Every policy's run by its name, and what the company really did beside them."""
        done = {} if self.as_placed is None else {AS_PLACED: self.as_placed}
        return {**self.results, **done}

    def scorecard(self) -> dict[str, Any]:
        """{champion, policies: {name: costs, service, by_period}, as_placed: the same figures of
        what the company really did, or None} plus every rival's paired difference to the incumbent.

        total_with_freight ranks policies as total_cost does: freight counts with the goods it
        brought, see `freight_of_demand`. end_stock_value and pipeline_value are goods there and on
        the way at the end at today's unit cost; spent is what was paid for goods and freight less
        what is left of it.
        """
        rows = self.rows()
        card = scorecard(rows, self.champion)
        card["forecasts"] = self.scores.to_dicts()
        card["forecast_by"] = self.forecast_by
        card["challengers"] = {
            name: {
                "against": one.against,
                "mean": one.difference,
                "lower": one.lower,
                "upper": one.upper,
                "is_cheaper": one.is_better,
            }
            for name, one in self.challenges.items()
        }
        for name, policy in card["policies"].items():
            policy.update(end_value(rows[name]))
            policy["total_with_freight"] = policy["total_cost"] + freight_of_demand(rows[name])
            policy["spent"] = (
                policy["purchase_value"]
                + policy["freight_cost"]
                - policy["end_stock_value"]
                - policy["pipeline_value"]
            )
            for k, entry in enumerate(policy["by_period"]):
                entry["period_start"] = self.periods[k].isoformat()
            if name in self.rivals:
                rival = self.rivals[name]
                policy["difference"] = {
                    "against": rival.against,
                    "mean": rival.difference,
                    "lower": rival.lower,
                    "upper": rival.upper,
                }
        card[AS_PLACED] = card["policies"].pop(AS_PLACED, None)
        return card

    def orders(self) -> pl.DataFrame:
        """policy, period_start (first day of the period before which the order is placed), item_id,
        location_id, quantity; what the company really ordered is there as the policy as_placed."""
        frames = []
        for name, result in self.rows().items():
            shipped = result.network.by_node(result.shipped)
            node, period = np.nonzero(shipped > 0)
            frames.append(
                self.nodes.select(SERIES)[node].with_columns(
                    policy=pl.lit(name),
                    period_start=pl.Series([self.periods[k] for k in period], dtype=pl.Date),
                    quantity=pl.Series(shipped[node, period], dtype=pl.Float64),
                )
            )
        return (
            pl.concat(frames)
            .select("policy", "period_start", *SERIES, "quantity")
            .sort("policy", "period_start", *SERIES)
        )


def end_value(result: SimulationResult) -> dict[str, float]:
    """What a policy leaves behind at the end of a replay, at unit cost in the world's currency:
    end_stock_value, pipeline_value."""
    unit_cost = result.network.economics.unit_cost
    return {
        "end_stock_value": float(unit_cost @ result.on_hand[:, -1]),
        "pipeline_value": float(unit_cost @ result.on_order[:, -1]),
    }


def run_as_placed(
    network: Network, demand: Floats, opening: Opening, placed: PastOrders
) -> SimulationResult | None:
    """What the company really did: the same start and the same demand, with the orders it placed
    and the time each took, in no limit but its own; None where there is nothing to run.

    Recorded demand is what these orders could serve, so they lose few sales here: the row says what
    was spent and held, and ranks nothing.
    """
    if opening.is_assumed or not placed.units.any():
        return None
    network = network.single_sourced()
    done = run_again(network, demand, opening.on_the_shelf(), opening.due, placed)
    return replace(done, network=network)


def freight_of_demand(result: SimulationResult) -> float:
    """What it cost to move the goods that were asked for, in the world's currency.

    Freight paid, less the freight in what is left, which is worth what it cost to bring (its goods
    are in end_stock_value), and with that of each lost sale, as the margin lost is net of it. So
    whoever orders early is not charged for goods that are still there, and nobody gains by selling
    less.
    """
    network = result.network
    landed = network.along_the_way(network.freight_per_unit)
    left = result.on_hand[:, -1] + result.on_order[:, -1] - result.initial_stock
    unmet = result.owed[:, -1] + result.gone.sum(axis=1)
    return float(result.freight.sum() + landed @ (unmet - left))


def network_of(nodes: pl.DataFrame, review: int, unmet: str, waiting_share: float = 1.0) -> Network:
    """The twin's network from the planned items and locations, and their other sources."""
    shared, lanes, sources = Lanes.of(nodes), lanes_of(nodes), sources_of(nodes)

    def column(name: str, default: float, rows: pl.DataFrame = nodes) -> Floats:
        return rows[name].cast(pl.Float64).fill_null(default).fill_nan(default).to_numpy()

    return Network(
        lead_time=lanes["lead_time_periods"].cast(pl.Int64).fill_null(1).to_numpy(),
        economics=Economics(
            holding=column("holding_cost", 0.0),
            shortage=column("shortage_cost", 0.0),
            unit_cost=column("unit_cost", 0.0),
            order_cost=np.zeros(len(nodes)),
            unmet="backlog" if unmet == "backlog" else "lost",
            waiting_share=waiting_share,
        ),
        supplied_from=sources if shared is None else sources[shared.to],
        review=review,
        moq=column("moq", 0.0, lanes),
        order_multiple=column("order_multiple", 1.0, lanes),
        freight_per_unit=column("freight_per_unit", 0.0, lanes),
        to=np.arange(len(nodes)) if shared is None else shared.to,
        share=np.ones(len(nodes)) if shared is None else shared.share,
    )


def replay(
    demand: Demand,
    nodes: pl.DataFrame,
    truth: pl.DataFrame,
    start: date,
    periods: int,
    *,
    unmet: str = "lost",
    waiting_share: float = 1.0,
    opening: Opening | None = None,
    orders: int | None = None,
    policies: Sequence[str] = CANDIDATES,
    agents: Mapping[str, RegisteredPolicy] | None = None,
    incumbent: str = INCUMBENT,
    lead_times: Integers | None = None,
    lead_time_paths: Integers | None = None,
    terms: Terms | None = None,
    service_level: Floats | None = None,
    waits: Waits | None = None,
    placed: PastOrders | None = None,
    settings: Mapping[str, float] | None = None,
    is_tuned: bool = False,
    challengers: Sequence[str] = (),
    progress: Tell | None = None,
) -> Replay:
    """Let every policy run the stock from `start` for so many periods, deciding at each review on
    what was known at that midnight.

    truth: item_id, location_id, target_on, demand of the replayed periods. orders: how many reviews
    place orders. The model forecasts anew at every decision and is trained anew at every
    RETRAIN-th, each time on what was known by then. lead_times: (E, T) what an order of each period
    really takes on each lane; left out, what was promised. lead_time_paths: (E, S) what policies
    expect of it.
    terms, service_level, waits: what orders have to obey, what was promised, and what calendars
    add to lead times, as in `simulate`. placed: what the company really ordered, shown beside.
    unmet, waiting_share: what becomes of demand that is not met, see Economics. settings: by
    policy, what an earlier replay tuned. is_tuned: whether to try each policy's settings for the
    decisions that come after the replay. challengers: other forecasters that our rule is also
    replayed on, none of them the one that decides. agents: policies by name that are learned and
    not written down.
    """
    tell = progress or (lambda _: None)
    timeline = demand.timeline
    network = network_of(nodes, timeline.review, unmet, waiting_share)
    if waits is not None:
        waits = waits.within(network.lead_time, timeline.review, demand.horizon)
    days = [timeline.shift(start, k) for k in range(periods)]
    keys, is_forecast = nodes.select(SERIES), nodes["is_forecast"].to_numpy()
    spec = timeline.spec(demand.horizon)

    past = panels(demand.labels(start), keys, ["demand"], spec)["demand"].values.astype(np.float64)
    past[~is_forecast] = 0.0
    revealed = revealed_demand(truth, keys, days, spec)

    last = periods if orders is None else min(periods, orders * timeline.review)
    decisions = [days[k] for k in range(0, last, timeline.review)]
    forecasts = _forecasts(demand, decisions, challengers, tell)

    @lru_cache(maxsize=max(2, PATHS_KEPT // (4 * len(nodes) * SAMPLES * demand.horizon)))
    def paths(name: str, t: int) -> Floats:
        return paths_of(forecasts[name][days[t]], nodes, seed=t)

    state = opening or assumed_opening(
        past, sources=sources_of(nodes), lead_time=network.slowest, review=network.review
    )
    calendar = weeks(timeline, start, past.shape[1], periods + demand.horizon)

    # limits weigh lines by what they save, whatever rule asked for them
    weighs = terms is not None and terms.needs_paths

    def run(policy: RegisteredPolicy, forecaster: str = demand.forecast_by) -> SimulationResult:
        return simulate(
            network,
            policy,
            revealed,
            state.on_the_shelf(),
            pipeline=network.by_lane(state.due),
            history=past,
            phase=calendar,
            forecaster=partial(paths, forecaster) if not policy.is_legacy or weighs else None,
            order_periods=last,
            lead_times=lead_times,
            lead_time_paths=lead_time_paths,
            terms=terms,
            service_level=service_level,
            waits=waits,
            shelf=None if terms is None else Shelf(life=terms.life[: network.size]),
        )

    used = settings or {}
    results = _results(run, policies, agents or {}, used, challengers, tell)
    ours = {name: results[name] for name in policies}
    tuned = _tuned(run, ours, used, network.economics.unmet) if is_tuned else {}
    best, rivals = choose(ours, incumbent if incumbent in ours else policies[0], nodes)
    challenges = {name: _challenge(name, results, nodes) for name in challengers}
    scores = score_forecasts(forecasts, demand.forecast_by, days, past, revealed, nodes, spec)
    made = Replay(nodes, days, results, best, rivals, scores, challenges, tuned, demand.forecast_by)
    if placed is None:
        return made
    return replace(made, as_placed=run_as_placed(network, revealed, state, placed.until(last)))


def _results(
    run: Callable[..., SimulationResult],
    policies: Sequence[str],
    agents: Mapping[str, RegisteredPolicy],
    used: Mapping[str, float],
    challengers: Sequence[str],
    tell: Tell,
) -> dict[str, SimulationResult]:
    """What every policy did, then our rule on each challenger's forecasts."""
    results = {}
    for name in policies:
        tell(f"replaying {name}")
        results[name] = run(agents.get(name) or configured(name, used.get(name)))
    for name in challengers:
        tell(f"replaying {DEFAULT} on {name}")
        results[f"{DEFAULT} on {name}"] = run(configured(DEFAULT, used.get(DEFAULT)), name)
    return results


def _forecasts(
    demand: Demand, decisions: list[date], challengers: Sequence[str], tell: Tell
) -> dict[str, dict[date, Forecast]]:
    """By forecaster and decision the forecast made on what was known at its midnight, by a model
    that is trained anew at every RETRAIN-th."""
    decides, senses = demand.forecast_by, bool(set(challengers) & set(CHALLENGERS))
    forecasts: dict[str, dict[date, Forecast]] = {name: {} for name in (decides, *challengers)}
    beside = [demand.by(name) for name in challengers if name not in CHALLENGERS]
    model = network_model = None
    rivals: dict[str, DemandModel | OwnModel] = {}
    worth: Mapping[str, float] | None = None
    for k, (day, known) in enumerate(zip(decisions, demand.inputs_at(decisions), strict=True)):
        tell(f"forecasting at decision {k + 1} of {len(decisions)}")
        if model is None or k % RETRAIN == 0:
            # what the first training found the signals to be worth holds for the replay
            model = demand.train(day, worth=worth)
            worth = model.card["signals"]
            network_model = demand.sense(day, STEPS) if senses else None
            rivals = {one.forecast_by: one.train(day) for one in beside}
        ours = known.forecast(model)
        forecasts[decides][day] = ours
        for name, rival in rivals.items():
            forecasts[name][day] = known.forecast(rival)
        if network_model is not None:
            sensed = demand.sensed(network_model, ours.keys, day)
            made = {"lstm": sensed, "blend": blend(ours, sensed)}
            for name in set(challengers) & set(CHALLENGERS):
                forecasts[name][day] = made[name]
    return forecasts


def revealed_demand(
    truth: pl.DataFrame, keys: pl.DataFrame, days: Sequence[date], spec: Spec
) -> Floats:
    """(N, T) demand of the replayed periods, 0 where history has no row."""
    coming = panels(truth, keys, ["demand"], spec)["demand"]
    index = spec.index(pl.Series(days))
    series = np.repeat(np.arange(len(keys)), len(days))
    demand = coming.at(series, np.tile(index, len(keys)), absent=0.0)
    return np.nan_to_num(demand.reshape(len(keys), len(days)).astype(np.float64))


def _challenge(
    name: str, results: dict[str, SimulationResult], nodes: pl.DataFrame
) -> PairedDifference:
    """What our rule costs on a challenger's forecasts less what it costs on those that decide, item
    by item."""
    ours, blocks = DEFAULT, nodes["item_id"].rank("dense").to_numpy()
    return paired_difference(
        f"{ours} on {name}",
        ours,
        results[f"{ours} on {name}"].cost,
        results[ours].cost,
        blocks=blocks,
    )


def _tuned(
    run: Callable[[RegisteredPolicy], SimulationResult],
    done: dict[str, SimulationResult],
    used: Mapping[str, float],
    unmet: Unmet,
) -> dict[str, float]:
    """By policy, the setting that would have cost least over the replay: its prior unless another
    clearly saves.

    done: results by policy, decided with the settings `used`, or the prior.
    """
    settings = {}
    for name, judged in done.items():
        policy = POLICIES.get(name)
        prior = policy.setting(unmet) if policy else None
        if policy is None or prior is None:
            continue
        replays = {used.get(name, prior): judged}
        others = sorted({prior, *policy.settings} - replays.keys())
        replays |= {setting: run(policy.with_setting(setting)) for setting in others}

        def replayed(
            tried: RegisteredPolicy, replays: dict[float, SimulationResult] = replays
        ) -> SimulationResult:
            return replays[tried.setting(unmet) or 0.0]

        best = tune_policy(policy, replayed, sorted(replays), prior=prior)
        settings[name] = best.setting(unmet) or prior
    return settings


def score_forecasts(
    forecasts: dict[str, dict[date, Forecast]],
    decides: str,
    days: list[date],
    past: Floats,
    revealed: Floats,
    nodes: pl.DataFrame,
    spec: Spec,
) -> pl.DataFrame:
    """Rolling origins: every decision's forecasts against what came, beside the baselines on the
    same origins and series.

    Returns method, wape, bias and crps, averaged over the origins whose whole horizon lies inside
    the replay (none: no rows).
    """
    rows = []
    for day, ours in forecasts[decides].items():
        first = days.index(day)
        if first + spec.horizon > len(days):
            continue
        node = locate(ours.keys, nodes)
        actual = revealed[node, first : first + spec.horizon]
        history = np.concatenate([past[node], revealed[node, :first]], axis=1)
        made = {forecaster: by_day[day] for forecaster, by_day in forecasts.items()} | {
            name: baselines.forecast(method, ours.keys, history, day, spec, ours.quantiles)
            for name, method in BASELINES.items()
        }
        rows += [
            {"method": name, "origin": day, **score(forecast, actual)}
            for name, forecast in made.items()
        ]
    if not rows:
        return pl.DataFrame(
            schema={"method": pl.String, "wape": pl.Float64, "bias": pl.Float64, "crps": pl.Float64}
        )
    return (
        pl.DataFrame(rows)
        .group_by("method")
        .agg(pl.col("wape", "bias", "crps").mean())
        .sort("wape")
    )


def choose(
    results: dict[str, SimulationResult], incumbent: str, nodes: pl.DataFrame
) -> tuple[str, dict[str, PairedDifference]]:
    """The champion rule, item by item: what happens to an item at one location and at another is
    not independent."""
    costs = {name: result.cost for name, result in results.items()}
    return champion(costs, incumbent, blocks=nodes["item_id"].rank("dense").to_numpy())


def paths_of(forecast: Forecast, nodes: pl.DataFrame, seed: int) -> Floats:
    """Sample paths in the order of `nodes`; what only supplies others has no demand of its own."""
    drawn = forecast.paths(SAMPLES, seed)
    row = locate(nodes, forecast.keys)
    out = np.zeros((len(nodes), *drawn.shape[1:]), np.float32)
    out[row >= 0] = drawn[row[row >= 0]]
    return out
