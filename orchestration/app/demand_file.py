"""The demand that the twin's futures have where it is not the forecast's: weeks of the past, or a
pattern that a person writes."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import polars as pl
from pydantic import Field, ValidationError, model_validator

from models.domain import Floats
from models.forecasting.forecast import Forecast
from models.forecasting.inputs import locate
from models.twin.demand import Pattern, drawn_from_history
from orchestration.facts.planning_inputs import read_history
from orchestration.facts.timeline import DAYS_A_PERIOD, Timeline
from orchestration.landing.contract.grammar_errors import as_contract_error
from orchestration.landing.contract.world import Strict
from orchestration.landing.contract.yaml_document import parse_yaml, read_bytes

#: Instead of a file: stretches of the company's own past.
HISTORY = "history"
#: Days of such a stretch: a week keeps its weekdays. A longer period is a stretch by itself.
WEEK = 7


class Season(Strict):
    """A wave: how high, as a share of usual sales, and how long."""

    share: float = Field(ge=0, le=1)
    days: float = Field(gt=0)


class Promotion(Strict):
    """Sales by `factor` for some days, again and again."""

    factor: float = Field(gt=0, le=100)
    every_days: float = Field(gt=0)
    days: float = Field(gt=0)


class Surge(Strict):
    """A jump by `factor` that any item may have in any period, by chance."""

    factor: float = Field(gt=0, le=100)
    probability: float = Field(gt=0, le=1)


class DemandFile(Strict):
    """Synthetic demand around each item's forecast level, as a person writes it."""

    demand: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    title: str
    seed: int = Field(default=1, ge=0)
    trend: float = Field(default=0.0, ge=-1, le=10)
    season: Season | None = None
    promotion: Promotion | None = None
    surge: Surge | None = None
    intermittent: float = Field(default=0.0, ge=0, le=0.95)
    variation: float = Field(default=0.5, ge=0, le=10)
    correlation: float = Field(default=0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _promotion_ends(self) -> DemandFile:
        if self.promotion and self.promotion.days >= self.promotion.every_days:
            raise ValueError("promotion.days is less than promotion.every_days: it has to end")
        return self

    def pattern(self, days_a_period: float) -> Pattern:
        """The same in periods."""
        season = self.season or Season(share=0, days=days_a_period)
        sale = self.promotion
        return Pattern(
            trend=self.trend,
            season=season.share,
            season_periods=season.days / days_a_period,
            promotion=sale.factor if sale else 1.0,
            promotion_every=sale.every_days / days_a_period if sale else 1.0,
            promotion_periods=sale.days / days_a_period if sale else 0.0,
            surge=self.surge.factor if self.surge else 1.0,
            surge_chance=self.surge.probability if self.surge else 0.0,
            intermittent=self.intermittent,
            variation=self.variation,
            correlation=self.correlation,
        )


def asked_of(word: str) -> str:
    """What is kept of the word or path that somebody gave: the word `history`, or the file's text,
    which is checked. Raises ContractError for a file that cannot be meant."""
    if word in ("", HISTORY):
        return word
    raw = read_bytes(Path(word), f"a demand is `{HISTORY}` or a YAML file")
    parsed(raw, Path(word).name)
    return raw.decode("utf-8-sig")


def parsed(raw: bytes, name: str = "demand.yml") -> DemandFile:
    """A demand as it was read, or kept, of a file of this name; whole, or refused with file, line
    and field."""
    data, lines = parse_yaml(raw, name, "demand: name")
    try:
        return DemandFile.model_validate(data)
    except ValidationError as error:
        raise as_contract_error(error, DemandFile, name, lines) from None


def in_words(asked: str) -> str:
    """What futures ask for, for whoever reads an answer."""
    if not asked:
        return "as forecast"
    return (
        "weeks of the past, drawn at random" if asked == HISTORY else parsed(asked.encode()).title
    )


def futures_of(
    asked: str,
    con: duckdb.DuckDBPyConnection,
    timeline: Timeline,
    forecast: Forecast,
    nodes: pl.DataFrame,
    samples: int,
    seed: int,
) -> Floats:
    """The rows' own demand in so many futures, (N, samples, periods), as long as the forecast.

    asked: what `asked_of` kept. Rows that nobody forecasts, as a distribution centre's, ask for
    nothing of their own.
    """
    row, periods = locate(nodes, forecast.keys), len(forecast.period_starts)
    own = row >= 0
    out = np.zeros((len(nodes), samples, periods))
    days = DAYS_A_PERIOD[timeline.grain]
    if asked == HISTORY:
        block = max(round(WEEK / days), 1)
        past = read_history(con, nodes, timeline)[own]
        out[own] = drawn_from_history(past, block, samples, periods, seed)
        return out
    said = parsed(asked.encode())
    level = forecast.mean[row[own]].astype(np.float64).mean(axis=1)
    out[own] = said.pattern(days).drawn(level, samples, periods, said.seed)
    return out
