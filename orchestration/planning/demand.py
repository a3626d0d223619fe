"""What forecasting is given: feature rows, labels and plans, each pulled from Feast as known at its
cutoff and from nowhere else."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import polars as pl

from models.domain import SERIES
from models.forecasting.custom_forecaster import Forecaster, OwnModel, fit_own
from models.forecasting.demand_model import DemandModel, fit_past
from models.forecasting.forecast import PATH_LEVELS, Forecast
from models.forecasting.inputs import (
    DEMAND_FEATURES,
    ITEM_FEATURES,
    PRICE_FEATURES,
    SIGNAL_FEATURES,
    Spec,
)
from models.forecasting.level_alignment import finest_level
from models.forecasting.rolling_origins import Training
from models.forecasting.surges import SCHEMA as SURGES
from models.forecasting.surges import find_surges
from models.replenishment.agreed_shares import lanes_of
from orchestration.facts.forecasters import OURS, forecaster_called
from orchestration.facts.kept_models import deciding_forecaster
from orchestration.facts.planning_inputs import expected_lead_times, read_lead_times
from orchestration.facts.purchase_terms import with_sources
from orchestration.facts.supply_calendar import longest_waits
from orchestration.facts.timeline import DAYS_A_PERIOD, Timeline
from orchestration.home import Home

if TYPE_CHECKING:
    from feast import FeatureStore

    from models.forecasting.lstm import SensingModel

#: Training looks back this many origins at most (two years of weekly reviews); older demand says
#: little about the next window.
ORIGINS = 104
#: Training rows a series: more takes longer and, on the sample's replay, costs no less.
ROWS_A_SERIES = 200
#: Feature rows are pulled for so many (series, origin, target) at a time, of the wide demand view
#: fewer: a pull costs its start, and memory sets the limit.
PULLED_ROWS, WIDE_ROWS = 1_000_000, 250_000
#: A promise that only others' orders speak of reaches so many times as far at most.
BORROWED_AT_MOST = 2
#: Hears what is being done.
Tell = Callable[[str], None]
STAMP = "event_timestamp"  # Feast's name for "as known at"
EDGES = {"origin": pl.Date, "edge": pl.Date}


@dataclass(frozen=True)
class ForecastInputs:
    """What is known at the midnight of an origin of the periods from it on.

    Models look ahead from the first period that nobody has reported yet, which begins before the
    origin where a day is not over at Now or sales are told hours late; what they say of the time
    before the origin is left out. features: one row a series, origin that first period. plans: as
    of service plans_v1.
    """

    origin: date
    horizon: int
    features: pl.DataFrame
    plans: pl.DataFrame

    def forecast(
        self, model: DemandModel | OwnModel, levels: tuple[float, ...] = PATH_LEVELS
    ) -> Forecast:
        """The horizon from the origin on, as a model sees it."""
        return self.window(model.predict(self.features, self.plans, levels))

    def window(self, made: Forecast) -> Forecast:
        """The horizon from the origin on, of a forecast that begins with what is not reported."""
        return made.window(self.origin, self.horizon)


@dataclass(frozen=True)
class Demand:
    """One world's demand as models may see it: the store, the clock and the series to forecast
    (item_id, location_id)."""

    store: FeatureStore
    timeline: Timeline
    series: pl.DataFrame
    # location_id, region_id: whose weather, prices and mood a location shares
    regions: pl.DataFrame
    # every closed period in order, and when its demand was first read (naive UTC, rising)
    periods: tuple[date, ...]
    reported_at: tuple[datetime, ...]
    horizon: int
    # who learns and forecasts: one of the company's own, or None for XGBoost
    forecaster: Forecaster | None = None

    @classmethod
    def open(
        cls,
        con: duckdb.DuckDBPyConnection,
        warehouse: Path,
        features: Path,
        horizon: int | None = None,
    ) -> Demand:
        """Read the series and the clock, then let go of the warehouse; the horizon covers the
        longest lead time plus a review."""
        timeline = Timeline.read(con)
        series = con.execute(
            "select item_id, location_id from marts.dim_item_locations where is_forecast order by "
            "all"
        ).pl()
        closed = con.execute(
            "select period_start, min(known_at) from marts.fct_demand group by 1 order by 1"
        ).fetchall()
        if not closed:
            raise ValueError("no demand has been landed, so there is nothing to forecast")
        if series.is_empty():
            raise ValueError(
                "nothing that was sold is in the assortment of today, so there is nothing to "
                "forecast: see the days in the assortment"
            )
        regions = con.execute(
            "select location_id, region_id from marts.dim_locations where is_current order by all"
        ).pl()
        longest = horizon or longest_window(con, timeline) + timeline.review
        # Feast takes seconds to import, and few who read this module open a store
        from feature_repo.store import open_store  # noqa: PLC0415

        periods, reported_at = zip(*closed, strict=True)
        store = open_store(warehouse, features)
        return cls(store, timeline, series, regions, periods, reported_at, longest)

    def by(self, forecaster: str) -> Demand:
        """The same demand as this forecaster is to learn it. Raises ValueError where nobody offers
        it."""
        return replace(self, forecaster=forecaster_called(forecaster))

    @property
    def first(self) -> date:
        """The oldest period with demand."""
        return self.periods[0]

    @property
    def reach(self) -> int:
        """How many periods a model looks ahead: the horizon, and before it what is not reported yet
        when people decide, now or at a midnight of the past."""
        deciding = self.timeline.origins(self.timeline.origin, 2)
        return self.horizon + max(self.unreported(origin) for origin in deciding)

    def edge(self, origin: date) -> date:
        """The first period that is not reported at the midnight of an origin; the origin itself
        before the first report."""
        known_by = self.timeline.cutoff(origin).replace(tzinfo=None)
        told = bisect_right(self.reported_at, known_by)
        return self.timeline.shift(self.periods[told - 1], 1) if told else origin

    def unreported(self, origin: date) -> int:
        """How many periods before an origin are not reported at its midnight."""
        return max(0, self.timeline.periods_from(self.edge(origin), origin))

    @property
    def forecast_by(self) -> str:
        """The name of who learns and forecasts."""
        return OURS if self.forecaster is None else self.forecaster.name

    def _pulled(self, entities: pl.DataFrame, service: str) -> pl.DataFrame:
        """A service's features of these rows, each as known at its own time."""
        from feature_repo.store import training_frame  # noqa: PLC0415

        return training_frame(self.store, entities, service)

    def features_at(self, origins: list[date]) -> pl.DataFrame:
        """One row per series and origin (the first period to be forecast), features as known at
        that midnight, the company's own last."""
        from feature_repo.custom_views import own_services  # noqa: PLC0415

        stamps = pl.DataFrame(
            {"origin": origins, STAMP: [self.timeline.cutoff(day) for day in origins]}
        )
        rows = self._of_every_series(stamps, "demand_v1", WIDE_ROWS)
        places = (
            self.series.select("location_id")
            .unique(maintain_order=True)
            .join(self.regions, on="location_id", how="left")
        )
        signals = self._pulled(places.join(stamps, how="cross"), "signals_v1")
        rows = rows.join(
            signals.drop(STAMP, "region_id"),
            on=["location_id", "origin"],
            how="left",
            maintain_order="left",
        )
        features = (*DEMAND_FEATURES, *ITEM_FEATURES, *PRICE_FEATURES, *SIGNAL_FEATURES)
        rows = rows.select(*SERIES, "origin", *features)
        for service in own_services(self.store, SERIES):
            own = self._of_every_series(stamps, service, WIDE_ROWS)
            rows = rows.join(
                own.drop(STAMP), on=[*SERIES, "origin"], how="left", maintain_order="left"
            )
        return rows

    def labels(self, cutoff: date) -> pl.DataFrame:
        """Demand of every closed period before the cutoff, as known at that midnight; null where it
        is unknown."""
        return self._by_target("labels_v1", self._periods(self.first, cutoff), cutoff)

    def plans(self, targets: list[date], known_by: date) -> pl.DataFrame:
        """What was planned for each target period (promotions, events, openings, prices) as known
        at a midnight."""
        return self._by_target("plans_v1", targets, known_by)

    def train(
        self,
        cutoff: date,
        progress: Tell | None = None,
        *,
        worth: Mapping[str, float] | None = None,
        totals: Sequence[tuple[str, ...]] = (),
    ) -> DemandModel | OwnModel:
        """Fit the model that forecasts on everything known at the midnight beginning `cutoff`.

        progress is told what is being done. worth: what an earlier training found the signals to
        save; left out, they are tried anew. totals: the columns of the groups whose total is to get
        a distribution of its own; a column that splits nothing is left out.
        """
        if progress is not None:
            progress("pulling the features as they were known")
        if self.forecaster is not None:
            past, labels, plans = self.past(cutoff)
            spec = self._spec(past, totals)
            return fit_own(self.forecaster, past, labels, plans, spec, progress)
        return fit_past(self._laid_out(cutoff, totals), progress, worth=worth)

    def _laid_out(self, cutoff: date, totals: Sequence[tuple[str, ...]]) -> Training:
        """The past as a model reads it; the rows it was pulled in, which take more memory than all
        of it, are let go."""
        past, labels, plans = self.past(cutoff)
        return Training.of(past, labels, plans, self._spec(past, totals))

    def _spec(self, past: pl.DataFrame, totals: Sequence[tuple[str, ...]]) -> Spec:
        return replace(
            self.timeline.spec(self.reach),
            rows=max(50_000, min(ROWS_A_SERIES * len(self.series), 500_000)),
            levels=finest_level(past),
            totals=tuple(one for one in totals if all(past[c].n_unique() > 1 for c in one)),
        )

    def past(self, cutoff: date) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """What a model may learn from at the midnight beginning `cutoff`: feature rows by origin,
        labels, and what was planned for their periods.

        Raises ValueError where history is too short.
        """
        possible = [
            day for day in self.timeline.origins(cutoff, ORIGINS + 1)[:-1] if day > self.first
        ]
        if not possible:  # a company younger than a review learns from every period it has
            possible = self._periods(self.first, cutoff)[1:]
        if not possible:
            raise ValueError(
                f"history starts on {self.first}, too little before {cutoff} to forecast from: "
                "land more of it"
            )
        plans = self.plans(self._periods(self.first, cutoff), cutoff)
        rows = self._from_edges(self.features_at(possible))
        return rows, self.labels(cutoff), plans

    def _from_edges(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Feature rows with the first period that nobody had reported as their origin; of several
        decisions with one such period, the last one's."""
        asked = rows["origin"].unique().sort().to_list()
        edges = {self.edge(day): day for day in asked}
        last = pl.DataFrame({"origin": edges.values(), "edge": edges.keys()}, schema=EDGES)
        kept = rows.join(last, on="origin", how="inner", maintain_order="left")
        return kept.with_columns(origin="edge").drop("edge")

    def predict(
        self,
        model: DemandModel | OwnModel,
        origin: date,
        levels: tuple[float, ...] = PATH_LEVELS,
    ) -> Forecast:
        """Forecast the horizon from an origin with what is known at its midnight."""
        return next(self.inputs_at([origin])).forecast(model, levels)

    def surges(self, model: DemandModel | OwnModel) -> pl.DataFrame:
        """The series that asked for unusually much in the newest review window, with the split of
        each rise; columns models.forecasting.surges.SCHEMA.

        The model may have been trained on the window: it is asked why, not whether it knew.
        """
        timeline = self.timeline
        start = timeline.shift(self.edge(timeline.origin), -timeline.review)
        earlier = timeline.shift(start, -timeline.review)
        if earlier <= self.first:
            return pl.DataFrame(schema=SURGES)
        # as soon as all before them was reported
        known = [timeline.shift(day, self.unreported(day)) for day in (earlier, start)]
        before, now = ((one.features, one.plans) for one in self.inputs_at(known))
        days = [timeline.shift(start, k) for k in range(timeline.review)]
        asked = now[0].select(SERIES).join(pl.DataFrame({"target_on": days}), how="cross")
        actual = asked.join(
            self.labels(timeline.origin),
            on=[*SERIES, "target_on"],
            how="left",
            maintain_order="left",
        )["demand"]
        units = actual.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return find_surges(model, now, before, units.reshape(-1, timeline.review))

    def sense(self, cutoff: date, steps: int) -> SensingModel:
        """Fit the challenger, a sequence model of all series, on everything known at the midnight
        beginning `cutoff`."""
        # JAX takes seconds to load, and few commands sense
        from models.forecasting.lstm import fit_sensing  # noqa: PLC0415

        plans = self.plans(self._periods(self.first, cutoff), cutoff)
        return fit_sensing(self.labels(cutoff), plans, self.timeline.spec(self.horizon), steps)

    def sensed(
        self,
        model: SensingModel,
        keys: pl.DataFrame,
        origin: date,
        levels: tuple[float, ...] = PATH_LEVELS,
    ) -> Forecast:
        """Forecast the series of `keys` over the horizon with the challenger, by what is known at
        the origin's midnight."""
        plans = self.plans(self.around(origin, model.context), origin)
        return model.predict(self.labels(origin), keys, origin, plans, levels)

    def around(self, origin: date, before: int) -> list[date]:
        """So many periods before an origin, as far as there are any, and those ahead of it; both
        have what is not reported yet, and each is there once."""
        return sorted({*self._periods(self.first, origin)[-before:], *self._ahead(origin)})

    def inputs_at(self, origins: list[date]) -> Iterator[ForecastInputs]:
        """For each origin in turn the feature rows and the plans for its horizon, both as known at
        its midnight; few pulls for many."""
        at_once = max(1, PULLED_ROWS // (len(self.series) * (self.reach + 2)))
        for some in (origins[k : k + at_once] for k in range(0, len(origins), at_once)):
            features = self.features_at(some)
            ahead = [
                (origin, target, self.timeline.cutoff(origin))
                for origin in some
                for target in self._ahead(origin)
            ]
            asked = pl.DataFrame(ahead, schema=["origin", "target_on", STAMP], orient="row")
            plans = self._of_every_series(asked, "plans_v1")
            for origin in some:
                is_here = pl.col("origin") == origin
                rows = self._from_edges(features.filter(is_here))
                yield ForecastInputs(
                    origin, self.horizon, rows, plans.filter(is_here).drop("origin")
                )

    def known_by(self, con: duckdb.DuckDBPyConnection, start: date) -> Demand:
        """The same demand with only the series that had any history before `start`."""
        seen = con.execute(
            "select distinct item_id, location_id from marts.fct_demand where period_start < ?",
            [start],
        ).pl()
        series = self.series.join(seen, on=list(SERIES), how="semi", maintain_order="left")
        if series.is_empty():
            raise ValueError(
                f"no item had any demand before {start}; history starts on {self.first}"
            )
        return replace(self, series=series)

    def items(self) -> pl.DataFrame:
        """The items of the series, once each."""
        return self.series.select("item_id").unique()

    def truth(
        self,
        con: duckdb.DuckDBPyConnection,
        start: date,
        periods: int,
        known_by: date | None = None,
    ) -> pl.DataFrame:
        """What history says was asked for in so many periods (item_id, location_id, target_on,
        demand), as it is known today, or was at the midnight beginning `known_by`.

        Where demand is unknown the recorded sales stand in. Raises ValueError where history ends
        before the replay does.
        """
        end = self.timeline.shift(start, periods)
        closed = con.execute("select max(period_start) from marts.fct_demand").fetchone()
        if closed is None or closed[0] is None or closed[0] < self.timeline.shift(end, -1):
            reaches = closed[0] if closed else None
            raise ValueError(
                f"a replay of {periods} periods from {start} needs demand until {end}, but "
                f"history's last period is {reaches}"
            )
        at = self.timeline.now_at if known_by is None else self.timeline.cutoff(known_by)
        return con.execute(
            """
            select item_id, location_id, period_start as target_on, coalesce(quantity,
                recorded_quantity, 0.0) as demand
            from marts.fct_demand where known_at <= ? and period_start >= ? and period_start < ?
            qualify row_number() over (partition by item_id, location_id, period_start
                order by version desc) = 1
            """,
            [at.replace(tzinfo=None), start, end],
        ).pl()

    def _ahead(self, origin: date) -> list[date]:
        # events act on the days beside them too
        return [self.timeline.shift(self.edge(origin), k) for k in range(-1, self.reach + 1)]

    def _periods(self, first: date, before: date) -> list[date]:
        days, day = [], self.timeline.first_period(first)
        while day < before:
            days.append(day)
            day = self.timeline.shift(day, 1)
        return days

    def _by_target(self, service: str, targets: list[date], known_by: date) -> pl.DataFrame:
        stamps = pl.DataFrame({"target_on": targets}, schema={"target_on": pl.Date})
        known = stamps.with_columns(pl.lit(self.timeline.cutoff(known_by)).alias(STAMP))
        return self._of_every_series(known, service).drop(STAMP)

    def _of_every_series(
        self, times: pl.DataFrame, service: str, at_once: int = PULLED_ROWS
    ) -> pl.DataFrame:
        """A service's features of each series at each of `times`, pulled for some series at a
        time."""
        some = max(1, at_once // max(1, len(times)))
        parts = [part.join(times, how="cross") for part in self.series.iter_slices(some)]
        return pl.concat([self._pulled(part, service) for part in parts])


#: The window of each origin is as long as it promises, or as half of its orders of a year really
#: took, whichever is longer.
WINDOW = """
    with took as (
        select kind, from_id, location_id, ceil(median(actual_days) / $days_a_period) as periods
        from marts.fct_lead_times
        where not is_censored and ordered_at >= (select now_at from raw.world) - interval 1 year
        group by all
    )
    select ways.*, greatest(lead_time_periods, coalesce(took.periods, 0))::bigint as window_periods
    from marts.dim_item_locations as ways left join took using (kind, from_id, location_id)
    order by all
"""


def longest_window(con: duckdb.DuckDBPyConnection, timeline: Timeline) -> int:
    """The longest time from deciding at a supplier to the last location's shelf, in periods, with
    what each way's calendar adds to it: as half of the orders to come are expected to take, where a
    way's own record or everybody's lateness says more than its promise.

    What others' lateness alone makes of a promise counts for twice the promise at most: an order of
    one day that took ten says little of one of a year.
    """
    ways = con.execute(WINDOW, {"days_a_period": DAYS_A_PERIOD[timeline.grain]}).pl()
    ways = lanes_of(with_sources(con, ways, timeline))
    promised = pl.max_horizontal("window_periods", "lead_time_periods").fill_null(0)
    window = ways.select(promised.cast(pl.Int64)).to_series().to_numpy()
    past = read_lead_times(con, timeline, timeline.origin)
    if (sampled := expected_lead_times(ways, past, timeline)) is not None:
        usual = np.ceil(np.median(sampled, axis=1)).astype(np.int64)
        window = np.maximum(window, np.minimum(usual, BORROWED_AT_MOST * window))
    window = window + longest_waits(con, timeline, ways)
    is_bought = (ways["kind"] == "purchase").fill_null(False).to_numpy()
    return int(window[is_bought].max(initial=0) + window[~is_bought].max(initial=0)) or 1


def open_demand(home: Home, horizon: int | None = None) -> Demand:
    """The world's demand as the forecaster that decides is to learn it, read from the home's
    warehouse, which is closed again on return."""
    with home.connect(read_only=True) as con:
        demand = Demand.open(con, home.warehouse, home.features, horizon)
    return demand.by(deciding_forecaster(home))
