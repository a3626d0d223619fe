"""Ask the twin "what if": scenario files, the futures they are laid over, and what differs.

A future is one sampled path of the published demand forecast with one sampled lead time an order.
Every scenario meets the same futures, decided on by the policy, limits and terms of the line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import Field, ValidationError, model_validator

from models.domain import Floats
from models.replenishment.decision import Terms
from models.twin.network import Network
from models.twin.scenarios import KINDS, Effect, Future, Scenario, Tariffs, happens
from models.twin.simulator import SimulationResult, simulate
from models.twin.what_if import Outcome, by_row, compare, outcome, stock_depth
from orchestration.app.event_replan import Published
from orchestration.facts import snapshots
from orchestration.facts.planning_inputs import PlanningInputs, read_nodes, read_terms, weeks
from orchestration.facts.published import published_forecast
from orchestration.facts.timeline import DAYS_A_PERIOD, Timeline
from orchestration.home import Home
from orchestration.landing import World
from orchestration.landing.contract.world import Strict, as_contract_error
from orchestration.landing.contract.yaml_document import read_yaml
from orchestration.planning.replay import network_of, paths_of

#: Futures are drawn from the forecast with another seed than the paths that decisions look at:
#: nobody sees the future he meets.
FUTURES_SEED = 1
#: As many futures as a forecast is sampled for.
MOST_FUTURES = 200


class EffectFile(Strict):
    """One event as it is written: kind, scope and size; its own time only where it differs from the
    scenario's.
    """

    kind: Literal[tuple(KINDS)]  # type: ignore[valid-type]
    scope: dict[str, str] = Field(default_factory=dict)
    factor: float | None = None
    days: float | None = None
    share: float | None = None

    @model_validator(mode="after")
    def _fits(self) -> EffectFile:
        kind = KINDS[self.kind]
        given = {word for word in ("factor", "days", "share") if getattr(self, word) is not None}
        if given != ({kind.word} if kind.word else set()):
            asked = f"its size as `{kind.word}`" if kind.word else "no size"
            raise ValueError(f"{self.kind} has {asked}, not {sorted(given) or 'nothing'}")
        if kind.word and not kind.least <= self.size <= kind.most:
            raise ValueError(
                f"{kind.word} is {self.size:g}; it lies between {kind.least:g} and {kind.most:g}"
            )
        unknown = sorted(set(self.scope) - set(kind.scope))
        missing = sorted(set(kind.must) - set(self.scope))
        if unknown or missing:
            raise ValueError(
                f"the scope of {self.kind} may name {', '.join(kind.scope)}"
                + (f"; it has to name {', '.join(kind.must)}" if kind.must else "")
            )
        return self

    @property
    def size(self) -> float:
        """How strong, 1 for a block."""
        sizes = (self.factor, self.days, self.share)
        return next((size for size in sizes if size is not None), 1.0)


class ScenarioFile(Strict):
    """A scenario as a person writes it: from starts_on to ends_on (both included), or so many hours
    from starts_at, local time.
    """

    scenario: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    title: str
    starts_on: date | None = None
    ends_on: date | None = None
    starts_at: datetime | None = None
    hours: float | None = Field(default=None, gt=0, le=24 * 365)
    effects: list[EffectFile] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_a_time(self) -> ScenarioFile:
        by_day = (self.starts_on, self.ends_on)
        by_hour = (self.starts_at, self.hours)
        if not (all(by_day) and not any(by_hour)) and not (all(by_hour) and not any(by_day)):
            raise ValueError(
                "say when: starts_on and ends_on (days), or starts_at (a time) and hours"
            )
        if self.starts_on and self.ends_on and self.ends_on < self.starts_on:
            raise ValueError(f"it ends on {self.ends_on}, before it starts on {self.starts_on}")
        if self.starts_at and self.starts_at.tzinfo:
            raise ValueError("starts_at is local time, without a zone")
        return self

    def window(self) -> tuple[datetime, datetime]:
        """When it begins and ends, local time."""
        if self.starts_at is not None and self.hours is not None:
            return self.starts_at, self.starts_at + timedelta(hours=self.hours)
        midnight = datetime.min.time()
        first, last = self.starts_on or date.max, self.ends_on or date.max
        return datetime.combine(first, midnight), datetime.combine(last, midnight) + timedelta(
            days=1
        )


def read_scenario(path: Path, timeline: Timeline) -> Scenario:
    """Read a scenario file; its hours count from the first period that is planned.

    Raises ContractError with file, line and field for what cannot be meant.
    """
    data, lines = read_yaml(path, "scenario: name", "a scenario is a YAML file")
    try:
        said = ScenarioFile.model_validate(data)
    except ValidationError as error:
        raise as_contract_error(error, path.name, lines) from None
    origin = datetime.combine(timeline.origin, datetime.min.time())
    starts, ends = ((moment - origin).total_seconds() / 3600 for moment in said.window())
    effects = tuple(Effect(one.kind, one.scope, starts, ends, one.size) for one in said.effects)
    return Scenario(said.scenario, said.title, effects)


@dataclass(frozen=True)
class Answer:
    """What a scenario changes over the simulated periods, against the same futures without it.

    totals: by measure before, after, difference, lower and upper (95 % of futures). lanes: margin
    by item and lane. depth: stock by place and period.
    """

    scenario: Scenario
    totals: Mapping[str, Mapping[str, float]]
    lanes: pl.DataFrame
    depth: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """The answer as plain data, without its tables."""
        return {
            "scenario": self.scenario.name,
            "title": self.scenario.title,
            "totals": self.totals,
            "turn_unprofitable": self.lanes.filter("turns_unprofitable")
            .select("item_id", "location_id")
            .to_dicts(),
        }


@dataclass(frozen=True, kw_only=True)
class Study:
    """The answers to several scenarios on the same futures. run_id: the published run whose state
    and forecast they start from.
    """

    world: str
    run_id: str
    first: date
    periods: int
    futures: int
    policy: str
    answers: Sequence[Answer]

    def tables(self) -> dict[str, pl.DataFrame]:
        """Margin by item and lane, and stock by place and period, of every scenario, by the name of
        their file.
        """
        found = {}
        for answer in self.answers:
            found[f"{answer.scenario.name}_lanes"] = answer.lanes
            found[f"{answer.scenario.name}_stock"] = answer.depth
        return found

    def as_dict(self) -> dict[str, Any]:
        """The study as plain data, without its tables."""
        return {
            "world": self.world,
            "run_id": self.run_id,
            "first_period": self.first.isoformat(),
            "periods": self.periods,
            "futures": self.futures,
            "policy": self.policy,
            "scenarios": [answer.as_dict() for answer in self.answers],
        }


@dataclass(frozen=True, kw_only=True)
class Twin:
    """The published state as the simulator needs it, and the futures it may meet."""

    published: Published
    demand: Floats  # (N, P, T): sampled futures
    network: Network
    tariffs: Tariffs
    price: Floats
    terms: Terms
    service_level: Floats

    @classmethod
    def of(cls, published: Published, demand: Floats, terms: Terms, service_level: Floats) -> Twin:
        """From what was published, demand paths to come (N, P, T), and what the line's orders
        obey.
        """
        inputs = published.inputs
        return cls(
            published=published,
            demand=demand.astype(np.float64),
            network=network_of(inputs.rows, inputs.timeline.review, inputs.unmet),
            tariffs=tariffs_of(inputs, demand.shape[2]),
            price=inputs.rows["price"].cast(pl.Float64).fill_null(0.0).to_numpy(),
            terms=terms,
            service_level=service_level,
        )

    @property
    def periods(self) -> int:
        """How many periods a future has, T."""
        return self.demand.shape[2]

    def future(self, number: int) -> Future:
        """One way things may go: a demand path, and a sampled lead time for an order of each lane
        and period.
        """
        inputs, random = self.published.inputs, np.random.default_rng([FUTURES_SEED, number])
        shape = (self.network.size, self.periods)
        took = np.repeat(self.network.lead_time[:, None], self.periods, axis=1)
        if inputs.lead_time_paths is not None:
            drawn = random.integers(0, inputs.lead_time_paths.shape[1], shape)
            took = np.take_along_axis(inputs.lead_time_paths, drawn, axis=1)
        return Future(
            rows=inputs.rows,
            hours=24 * DAYS_A_PERIOD[inputs.timeline.grain],
            demand=self.demand[:, number],
            lead_times=took.astype(np.int64),
            due=inputs.due,
            arriving=inputs.due,
            tariffs=self.tariffs,
        )

    def live(self, future: Future) -> SimulationResult:
        """Let the champion run the stock through a future, within the line's limits and terms."""
        inputs, policy = self.published.inputs, self.published.policy
        past = inputs.history.shape[1]
        horizon = self.published.paths.shape[2]
        return simulate(
            self.network,
            policy,
            future.demand,
            np.nan_to_num(inputs.rows["stock"].fill_null(np.nan).to_numpy()).clip(0.0),
            pipeline=future.due,
            arriving=future.arriving,
            history=inputs.history,
            forecaster=partial(_outlook, self.published.paths, inputs.timeline.review),
            lead_times=future.lead_times,
            lead_time_paths=inputs.lead_time_paths,
            phase=weeks(inputs.timeline, inputs.timeline.origin, past, self.periods + horizon),
            terms=self.terms,
            service_level=self.service_level,
            record=("shipped", "lost", "on_hand", "owed"),
        )

    def lived(self, plain: Future, scenarios: Sequence[Scenario]) -> list[Outcome]:
        """What becomes of a future, and of the same with each scenario; quantities that a scenario
        leaves alone are not run again.
        """
        result = self.live(plain)
        outcomes = [outcome(self.network, plain, result, self.price)]
        for scenario in scenarios:
            future = happens(scenario, plain)
            is_moved = not future.moves_goods_like(plain)
            after = self.live(future) if is_moved else result
            outcomes.append(outcome(self.network, future, after, self.price))
        return outcomes


def _outlook(paths: Floats, review: int, t: int) -> Floats:
    """The published forecast as it stands at period t; beyond its end its last review interval goes
    on.
    """
    tail = paths[:, :, -review:]
    longer = np.concatenate([paths[:, :, t:], *([tail] * -(-t // review))], axis=2)
    return longer[:, :, : paths.shape[2]]


def tariffs_of(inputs: PlanningInputs, periods: int) -> Tariffs:
    """What it costs to bring a unit of each row, the same in every period until a scenario changes
    it.
    """
    logistics, found = inputs.logistics, []
    for row in inputs.rows.iter_rows(named=True):
        is_bought = row["kind"] == "purchase"
        duty_share = logistics.duty(row["from_id"]) if is_bought else 0.0
        leg = logistics.leg(
            row,
            row["location_id"],
            (row["unit_cost"] or 0.0) if is_bought else 0.0,
            duty_share=duty_share,
        )
        parts = (leg.price, leg.freight, leg.fuel, leg.duty)
        found.append([*map(float, parts), logistics.fuel_share(row), duty_share])
    columns = np.array(found, dtype=np.float64).reshape(-1, 6).T
    price, freight, fuel, duty = (
        np.repeat(column[:, None], periods, axis=1) for column in columns[:4]
    )
    return Tariffs(
        price=price,
        freight=freight,
        fuel=fuel,
        duty=duty,
        fuel_share=columns[4],
        duty_share=columns[5],
    )


def study(
    home: Home,
    world: World,
    files: Sequence[Path],
    futures: int,
    progress: Callable[[str], None] | None = None,
) -> Study:
    """Answer scenario files from the published state: each on the same futures, against those
    without it.

    Raises ContractError for a file that cannot be meant, ValueError for a scope or a time that is
    not in what is published, and PublishError before anything was.
    """
    if not 1 <= futures <= MOST_FUTURES:
        raise ValueError(
            f"--paths is {futures}; it lies between 1 and {MOST_FUTURES}, as often as a forecast "
            "is sampled"
        )
    snapshot = snapshots.current(home.published)
    with home.connect(read_only=True) as con:
        timeline = Timeline.read(con)
    with snapshot.connect() as con:
        scenarios = [read_scenario(path, timeline) for path in files]
        published = Published.read(con, home, world, timeline)
        forecast = published_forecast(con, home)
        terms, promised = read_terms(con, read_nodes(con), timeline)
    coming = paths_of(forecast, published.inputs.rows, seed=FUTURES_SEED)
    twin = Twin.of(published, coming[:, :futures], terms, promised)
    if len({one.name for one in scenarios}) < len(scenarios):
        raise ValueError(
            "two of the scenario files have the same name in `scenario`: name each differently"
        )
    lived = []
    for number in range(futures):
        if progress:
            progress(f"living through future {number + 1} of {futures}")
        lived.append(twin.lived(twin.future(number), scenarios))
    base, *changed = zip(*lived, strict=True)
    starts = [timeline.shift(timeline.origin, k) for k in range(twin.periods)]
    rows = published.inputs.rows
    answers = [
        Answer(
            scenario=one,
            totals=compare(base, after),
            lanes=by_row(rows, base, after),
            depth=stock_depth(rows, starts, base, after),
        )
        for one, after in zip(scenarios, changed, strict=True)
    ]
    return Study(
        world=timeline.world,
        run_id=snapshot.run_id,
        first=timeline.origin,
        periods=twin.periods,
        futures=futures,
        policy=published.policy.name,
        answers=answers,
    )
