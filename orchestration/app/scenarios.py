"""Ask the twin "what if": what scenarios change in the futures that start from what is published,
what to do about them, and whether the champion holds.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl

from models.domain import Floats
from models.replenishment.policies import DEFAULT, POLICIES, DisruptionAware, configured
from models.twin.counter_measures import MEASURES, NOTHING, Line, Priced, priced, propose
from models.twin.resilience import survival_and_recovery, time_to_survive
from models.twin.scenarios import Scenario, together
from models.twin.what_if import (
    Outcome,
    by_row,
    compare,
    difference,
    flows,
    orders,
    spoilage,
    stock_depth,
)
from orchestration.app.demand_file import futures_of
from orchestration.app.futures_limit import check_futures
from orchestration.app.published_plan import Published
from orchestration.app.scenario_answers import Answer, Asked, Study, Trust
from orchestration.app.scenario_files import Question, parse, read_question, refuse_twins
from orchestration.app.scenario_fit import outside
from orchestration.app.twin_state import FUTURES_SEED, LOOKED_AT, Twin
from orchestration.facts import decisions, published_snapshots
from orchestration.facts.champion_and_forecast import published_forecast, tuned_scales
from orchestration.facts.planning_inputs import read_nodes
from orchestration.facts.purchase_terms import read_terms
from orchestration.facts.stock_lots import read_lots
from orchestration.facts.timeline import Timeline
from orchestration.home import Home
from orchestration.landing import World
from orchestration.planning.replay import paths_of

#: Measures and rival policies are tried on so many of the futures: pairs on the same luck differ
#: far less than futures do.
TRIED_ON = 24

Tell = Callable[[str], None]
_T = TypeVar("_T")


def read_twin(
    home: Home, world: World, futures: int, run_id: str | None = None, demand: str = ""
) -> tuple[Twin, str, str]:
    """The twin of the published state, the newest or that of a run; the run's id, and the currency.

    demand: what its futures ask for, as `Asked.demand`; the forecast's, if empty.
    Raises ValueError for a run that is no longer published, and PublishError before anything was.
    """
    snapshot = published_snapshots.current(home.published)
    if run_id is not None and snapshot.run_id != run_id:
        kept = [one for one in published_snapshots.kept(home.published) if one.run_id == run_id]
        if not kept:
            raise ValueError(
                f"the state of run {run_id} is no longer published: `stockhouse run --as-of DATE` "
                "in another home publishes it again"
            )
        snapshot = kept[-1]
    with snapshot.connect() as con:
        now, currency = con.execute("select now_at, currency from published.world").fetchall()[0]
        timeline = Timeline.of(world, now)
        published = Published.read(con, home, world, timeline)
        forecast = published_forecast(con, home)
        scales = tuned_scales(con)
        terms, promised = read_terms(con, read_nodes(con), timeline)
        inputs = published.inputs
        own = (
            futures_of(demand, con, timeline, forecast, inputs.rows, futures, FUTURES_SEED)
            if demand
            else paths_of(forecast, inputs.rows, seed=FUTURES_SEED)
        )
        coming = inputs.asked(own)
        lots = read_lots(con, inputs.rows, timeline, coming.shape[2])
    twin = Twin.of(published, coming[:, :futures], terms, promised, scales, lots)
    return twin, snapshot.run_id, currency


def study(
    home: Home,
    world: World,
    files: Sequence[Path],
    futures: int,
    progress: Tell | None = None,
    *,
    policies: Sequence[str] = (),
    is_together: bool = False,
    against: str = "",
    run_id: str | None = None,
    demand: str = "",
) -> Study:
    """Answer scenario files from the published state: each on the same futures, against those
    without it.

    policies: rivals that the champion has to hold against. is_together: whether to ask for all
    files at once too. against: the scenario that the others are compared with, instead of futures
    without any. run_id: an earlier run whose published state it starts from. demand: what futures
    ask for instead of the forecast, see demand_file. Raises ContractError for a file that cannot be
    meant, ValueError for a policy that is not there, and PublishError before anything was
    published.
    """
    check_asked(futures, policies)
    twin, run_id, currency = read_twin(home, world, futures, run_id, demand)
    timeline = twin.published.inputs.timeline
    questions = [read_question(path, timeline) for path in files]
    _refuse_one_name(files)
    asked = Asked(
        {path.name: one.text for path, one in zip(files, questions, strict=True)},
        tuple(policies),
        is_together,
        against,
        demand,
    )
    trust = read_trust(home, timeline.now_at)
    tell = progress or (lambda _: None)
    return replace(_answered(twin, run_id, currency, questions, asked, tell), trust=trust)


def asked_again(
    home: Home, world: World, kept: Asked, futures: int, run_id: str, progress: Tell | None = None
) -> Study:
    """Answer what was asked before, word for word, from the state of that run, which is published
    here or in one of the homes made of earlier days."""
    check_asked(futures, kept.policies)
    home = _where_published(home, run_id)
    twin, run_id, currency = read_twin(home, world, futures, run_id, kept.demand)
    timeline = twin.published.inputs.timeline
    questions = [parse(name, text.encode(), timeline) for name, text in kept.texts.items()]
    trust = read_trust(home, timeline.now_at)
    tell = progress or (lambda _: None)
    return replace(_answered(twin, run_id, currency, questions, kept, tell), trust=trust)


def _where_published(home: Home, run_id: str) -> Home:
    """The home that keeps what a run published; this one where none does."""
    earlier = [Home(root) for root in sorted(home.past.glob("*-*"))]
    for place in (home, *earlier):
        if any(one.run_id == run_id for one in published_snapshots.kept(place.published)):
            return place
    return home


def read_trust(home: Home, now: datetime) -> Trust:
    """How far the twin's stock lay from what was counted, as the last rehearsal found it."""
    errors = read_calibration(home, now)
    targets = decisions.latest(home.decisions, "targets", now)
    if errors is None or targets is None:
        return Trust(None, None)
    return Trust(errors, targets.select("item_id", "location_id", "item_class"))


def read_calibration(home: Home, now: datetime) -> pl.DataFrame | None:
    """Rows of decisions.calibration, the newest; None where nothing was ever compared."""
    return decisions.latest(home.decisions, "calibration", now)


def check_asked(futures: int, policies: Sequence[str]) -> None:
    """Refuse a number of futures that no study meets, and a policy that is not there."""
    check_futures(futures)
    for name in policies:
        if name not in POLICIES:
            raise ValueError(f"there is no policy '{name}'; there are {', '.join(POLICIES)}")


def _refuse_one_name(files: Sequence[Path]) -> None:
    names = [path.name for path in files]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(
            f"two of the files are called {twice[0]}, and a study keeps each by its name: rename "
            "one, or name it once"
        )


def _check_against(against: str, scenarios: Sequence[Scenario]) -> None:
    names = [one.name for one in scenarios]
    if against and (against not in names or len(names) == 1):
        raise ValueError(
            f"--against {against}: name one of several scenarios asked here; there are "
            f"{', '.join(names)}"
        )


def _answered(
    twin: Twin,
    run_id: str,
    currency: str,
    questions: Sequence[Question],
    asked: Asked,
    tell: Tell,
) -> Study:
    scenarios = [one for question in questions for one in question.scenarios]
    if asked.is_together and len(scenarios) > 1:
        scenarios.append(together(scenarios))
    refuse_twins(scenarios)
    _check_against(asked.against, scenarios)
    twin.check(scenarios)
    futures = twin.demand.shape[1]
    lived = _spread(futures, lambda k: twin.lived(k, scenarios), "living through future", tell)
    base, *changed = (list(column) for column in zip(*lived, strict=True))
    rivals = _rivals(twin, scenarios, asked.policies, tell)
    if asked.against:
        base = changed[[one.name for one in scenarios].index(asked.against)]
    answers = []
    for scenario, after in zip(scenarios, changed, strict=True):
        if scenario.name == asked.against:
            continue
        measures = _measures(twin, scenario, base, after, tell)
        answers.append(_answer(twin, scenario, base, after, measures, rivals))
    timeline = twin.published.inputs.timeline
    looked_at = twin.demand[:, :LOOKED_AT]
    identity = [run_id, asked.text, futures, FUTURES_SEED]
    return Study(
        study_id=hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12],
        world=timeline.world,
        currency=currency,
        run_id=run_id,
        as_of=timeline.now_at,
        first=timeline.origin,
        grain=timeline.grain,
        periods=twin.periods,
        futures=futures,
        seed=FUTURES_SEED,
        policy=twin.published.policy.name,
        version=version("stockhouse"),
        answers=answers,
        survival=time_to_survive(
            twin.network, twin.lanes, twin.stock, twin.due, looked_at, twin.shelf
        ),
        trust=Trust(None, None),
        asked=asked,
        twin=twin,
    )


def _answer(
    twin: Twin,
    scenario: Scenario,
    base: Sequence[Outcome],
    after: Sequence[Outcome],
    measures: Sequence[Priced],
    rivals: Mapping[str, Mapping[str, Sequence[Outcome]]],
) -> Answer:
    timeline = twin.published.inputs.timeline
    starts = [timeline.shift(timeline.origin, k) for k in range(twin.periods)]
    begins = min((one.starts for one in scenario.effects), default=0.0) / twin.hours
    ends = max((one.ends for one in scenario.effects), default=0.0) / twin.hours
    window = (max(begins, 0.0), min(ends, float(twin.periods)))
    return Answer(
        scenario=scenario,
        totals=compare(base, after),
        lanes=by_row(twin.rows, base, after),
        depth=stock_depth(twin.rows, starts, base, after),
        places=survival_and_recovery(twin.rows, window, base, after),
        flows=flows(twin.lanes, base, after),
        spoilage=spoilage(twin.rows, base, after),
        orders=orders(twin.lanes, starts[:: timeline.review], base, after),
        measures=measures,
        outside=outside(scenario.effects, timeline.origin, twin.hours, twin.periods),
        policies={
            name: difference(_costs(after[: len(found)]), _costs(found))
            for name, by_scenario in rivals.items()
            for found in [by_scenario[scenario.name]]
        },
    )


def _rivals(
    twin: Twin, scenarios: Sequence[Scenario], policies: Sequence[str], tell: Tell
) -> dict[str, dict[str, list[Outcome]]]:
    """By rival policy and scenario, what becomes of the first futures under it."""
    found = {}
    for name in policies:
        if name == twin.published.policy.name:
            continue
        policy = configured(name, setting_of(name, twin.scales))
        lived = _spread(
            min(TRIED_ON, twin.demand.shape[1]),
            lambda k, policy=policy: twin.lived(k, scenarios, policy)[1:],  # type: ignore[misc]
            f"{name} lives through future",
            tell,
        )
        columns = (list(column) for column in zip(*lived, strict=True))
        found[name] = dict(zip((one.name for one in scenarios), columns, strict=True))
    return found


def setting_of(name: str, scales: Mapping[str, float]) -> float | None:
    """What the last rehearsal tuned for a rival. The rule told of events decides with what was
    tuned for the same rule that is not, so that their difference is what knowing is worth."""
    return scales.get(DEFAULT if name == DisruptionAware.name else name)


def _measures(
    twin: Twin, scenario: Scenario, base: Sequence[Outcome], after: Sequence[Outcome], tell: Tell
) -> list[Priced]:
    """What can be done about a scenario, priced on the first futures; doing nothing first."""
    looked_at = [
        after_one.lost_at - before.lost_at
        for before, after_one in zip(base, after, strict=True)
        if before.lost_at is not None and after_one.lost_at is not None
    ]
    count = min(TRIED_ON, len(after))
    asked = np.array([float(one.demand.sum()) for one in after[:count]])
    usual = _costs(after[:count]), _lost(after[:count])
    nothing = priced(NOTHING, (), (usual[0], usual[0]), (usual[1], usual[1]), asked)
    lost = np.array(looked_at, dtype=np.float64)
    if not lost.any():
        return [nothing]
    found = [nothing]
    down = {x.scope["supplier_id"] for x in scenario.effects if x.kind == "supplier_down"}
    proposed = propose(twin.options, twin.network, lost, twin.stock, down)
    for name in MEASURES:
        lines: Sequence[Line] = proposed.get(name, ())
        if not lines:  # no way that comes in time, or none that saves more than it costs
            found.append(replace(nothing, measure=name))
            continue
        made = _spread(
            count,
            lambda k, lines=lines: twin.measured(k, scenario, lines),  # type: ignore[misc]
            f"{scenario.name}: {name} in future",
            tell,
        )
        found.append(priced(name, lines, (usual[0], _costs(made)), (usual[1], _lost(made)), asked))
    return found


def _costs(outcomes: Sequence[Outcome]) -> Floats:
    return np.array([float(one.cost.sum()) for one in outcomes])


def _lost(outcomes: Sequence[Outcome]) -> Floats:
    return np.array([float(one.lost.sum()) for one in outcomes])


def _spread(count: int, work: Callable[[int], _T], words: str, tell: Tell) -> list[_T]:
    """Work for every number, on all processors; what comes out stands in order, whoever did it."""
    done: list[_T] = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for number, result in enumerate(pool.map(work, range(count)), start=1):
            tell(f"{words} {number} of {count}")
            done.append(result)
    return done
