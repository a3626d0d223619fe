"""What a study of scenarios says: each answer with its measures, how far it can be trusted, and the
same as plain data and tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl

from models.replenishment.policies import BaseStock
from models.twin.counter_measures import Priced, best
from models.twin.scenarios import Scenario
from models.twin.trust import TRUSTED, overall_error
from orchestration.app.demand_file import in_words
from orchestration.app.scenario_fit import outside_in_words
from orchestration.app.twin_state import Twin


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a scenario changes over the simulated periods, against the same futures without it.

    totals: by measure before, after, difference and its ranges; see models.twin.what_if.compare.
    lanes: margin by item and lane. depth: stock by place and period. places: how long each survives
    and recovers. flows: units by lane. spoilage: what spoils of which item where. orders: the order
    lines that differ. measures: what can be
    done, doing nothing first; best: which of them to take. outside: what of its events lies outside
    the simulated periods. policies: by rival policy its cost less the champion's with the scenario
    in it.
    """

    scenario: Scenario
    totals: Mapping[str, Mapping[str, float]]
    lanes: pl.DataFrame
    depth: pl.DataFrame
    places: pl.DataFrame
    flows: pl.DataFrame
    spoilage: pl.DataFrame
    orders: pl.DataFrame
    measures: Sequence[Priced] = ()
    outside: Sequence[Mapping[str, Any]] = ()
    policies: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def best(self) -> str:
        """The measure to take, or doing nothing."""
        return best(self.measures)

    def as_dict(self) -> dict[str, Any]:
        """The answer as plain data, without its tables."""
        return {
            "scenario": self.scenario.name,
            "title": self.scenario.title,
            "outside": [{**one, "words": outside_in_words(one)} for one in self.outside],
            "totals": self.totals,
            "turn_unprofitable": self.lanes.filter("turns_unprofitable")
            .select("item_id", "location_id")
            .to_dicts(),
            "places": self.places.to_dicts(),
            "best_measure": self.best,
            "measures": [_as_dict(one) for one in self.measures],
            "policies": self.policies,
        }


def _as_dict(one: Priced) -> dict[str, Any]:
    return {
        "measure": one.measure,
        "order_lines": len(one.lines),
        "units": sum(line.quantity for line in one.lines),
        "premium": one.premium,
        "cost": one.cost,
        "mean_lower": one.lower,
        "mean_upper": one.upper,
        "fill_rate": one.fill_rate,
        "sales_saved": one.lost,
        "is_worth_it": one.is_worth_it,
    }


@dataclass(frozen=True)
class Asked:
    """What a study was asked, so that it can be asked again: the files' texts by name.

    demand: where futures' demand is not the forecast's, `history` or a demand file's text.
    """

    texts: Mapping[str, str]
    policies: tuple[str, ...] = ()
    is_together: bool = False
    against: str = ""
    demand: str = ""

    @property
    def text(self) -> str:
        """All of it, as it is kept."""
        said = asdict(self)
        if not self.demand:  # as studies were kept before there was a choice
            del said["demand"]
        return json.dumps(said, sort_keys=True)


#: How far answers can be trusted, as `trust_in_words` says it.
TRUST_WORDS = {
    "never": "The twin was never compared with counted stock here: take every answer as a guess.",
    "within": (
        "Over the last half year, run again with the orders really placed, the twin's stock was "
        "{error} off what was counted, and within {most} for every class and place."
    ),
    "beyond": (
        "Over the last half year, run again with the orders really placed, the twin's stock was "
        "{error} off what was counted; do not trust answers about {classes}, beyond {most}."
    ),
    "class": "{item_class} at {location_id} ({error})",
}


def trust_in_words(
    errors: pl.DataFrame | None,
    say: Callable[..., str] = str.format,
    share: Callable[[float, int], str] = lambda value, digits: f"{value:.{digits}%}",
) -> str:
    """How far answers can be trusted. errors: rows of decisions.calibration, if any. say: one of
    TRUST_WORDS with its places filled. share: a share of 1 with so many digits."""
    if errors is None or errors.is_empty():
        return say(TRUST_WORDS["never"])
    poor = errors.filter(~pl.col("is_trusted")).sort("error", descending=True)
    classes = ", ".join(
        say(
            TRUST_WORDS["class"],
            item_class=row["item_class"],
            location_id=row["location_id"],
            error=share(row["error"], 0),
        )
        for row in poor.iter_rows(named=True)
    )
    said = {"error": share(overall_error(errors), 1), "most": share(TRUSTED, 0)}
    if not classes:
        return say(TRUST_WORDS["within"], **said)
    return say(TRUST_WORDS["beyond"], classes=classes, **said)


@dataclass(frozen=True)
class Trust:
    """How far answers can be trusted. errors: rows of decisions.calibration. classes: the item
    class of every item and place; both None where the twin was never compared with counts.
    """

    errors: pl.DataFrame | None
    classes: pl.DataFrame | None

    @property
    def is_trusted(self) -> bool:
        """Whether no class is beyond the threshold anywhere."""
        return self.errors is not None and bool(self.errors["is_trusted"].all())

    @property
    def words(self) -> str:
        """For whoever reads an answer."""
        return trust_in_words(self.errors)

    def marked(self, lanes: pl.DataFrame) -> pl.DataFrame:
        """A table by item and place with item_class and is_trusted, empty where nobody knows."""
        if self.errors is None or self.classes is None:
            return lanes.with_columns(
                item_class=pl.lit(None, pl.String), is_trusted=pl.lit(None, pl.Boolean)
            )
        keys = ["item_id", "location_id"]
        known = self.classes.unique(keys, keep="first")
        error = self.errors.select("item_class", "location_id", "is_trusted")
        marked = lanes.join(known, on=keys, how="left", maintain_order="left")
        return marked.join(
            error, on=["item_class", "location_id"], how="left", maintain_order="left"
        )

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        names = ("item_class", "location_id", "counts", "counted", "error", "bias", "is_trusted")
        rows = [] if self.errors is None else self.errors.select(names).to_dicts()
        return {"is_trusted": self.is_trusted, "words": self.words, "classes": rows}


@dataclass(frozen=True, kw_only=True)
class Study:
    """The answers to several scenarios on the same futures. run_id: the published run whose state
    and forecast they start from; as_of: its Now.

    survival: how long customers would not notice that a supplier or a shipping place is missing.
    """

    study_id: str
    world: str
    currency: str
    run_id: str
    as_of: datetime
    first: date
    grain: str
    periods: int
    futures: int
    seed: int
    policy: str
    version: str
    answers: Sequence[Answer]
    survival: pl.DataFrame
    trust: Trust
    asked: Asked
    twin: Twin

    def tables(self) -> dict[str, pl.DataFrame]:
        """Margin by item and lane, and stock by place and period, of every scenario, by the name of
        their file; and how long every node survives.
        """
        found = {"time_to_survive": self.survival}
        for answer in self.answers:
            found[f"{answer.scenario.name}_lanes"] = self.trust.marked(answer.lanes)
            found[f"{answer.scenario.name}_stock"] = answer.depth
            found[f"{answer.scenario.name}_flows"] = answer.flows
            found[f"{answer.scenario.name}_orders"] = answer.orders
            found[f"{answer.scenario.name}_spoilage"] = answer.spoilage
            if lines := measure_lines(self.twin, answer):
                found[f"{answer.scenario.name}_measures"] = pl.DataFrame(lines)
        return found

    def robustness(self) -> list[dict[str, Any]]:
        """Whether the champion holds against each rival policy, over all scenarios."""
        return robustness(self.answers, self.policy, self.twin.scales)

    def as_dict(self) -> dict[str, Any]:
        """The study as plain data, without its tables."""
        return {
            "study_id": self.study_id,
            "world": self.world,
            "currency": self.currency,
            "run_id": self.run_id,
            "as_of": self.as_of.isoformat(sep=" "),
            "first_period": self.first.isoformat(),
            "grain": self.grain,
            "periods": self.periods,
            "futures": self.futures,
            "seed": self.seed,
            "policy": self.policy,
            "version": self.version,
            "against": self.asked.against,
            "demand": in_words(self.asked.demand),
            "waiting_share": self.twin.network.economics.waits,
            "shelf_life": shelf_life_in_words(*self.twin.dated),
            "shelf_stock": dict(zip(("dated", "units"), self.twin.dated, strict=True)),
            "time_to_survive": self.survival.to_dicts(),
            "scenarios": [answer.as_dict() for answer in self.answers],
            "robustness": self.robustness(),
            "trust": self.trust.as_dict(),
        }


#: What a study says of stock that can spoil.
SHELF_WORDS = (
    "Of {units} units in stock that can spoil in these periods, {dated} have a date on record; the "
    "others count as fresh as what arrives. What spoils first is sold first."
)


def shelf_life_in_words(dated: float, units: float) -> str:
    """How much of the stock that can spoil has a date on record; empty where none can. dated,
    units: as `Twin.dated`."""
    if not units:
        return ""
    return SHELF_WORDS.format(units=f"{units:,.0f}", dated=f"{dated:,.0f}")


def measure_lines(twin: Twin, answer: Answer) -> list[dict[str, Any]]:
    """The order lines of every measure, as plain data."""
    rows = twin.rows.select("item_id", "location_id").rows()
    timeline = twin.published.inputs.timeline
    return [
        {
            "measure": one.measure,
            "item_id": rows[line.row][0],
            "location_id": rows[line.row][1],
            "kind": line.way.kind,
            "from_id": line.way.from_id,
            "way": line.way.name,
            "quantity": line.quantity,
            "arrives_on": timeline.shift(timeline.origin, line.arrives),
            "unit_cost": float(line.way.unit_cost),
            "premium": line.premium * line.quantity,
        }
        for one in answer.measures
        for line in one.lines
    ]


def robustness(
    answers: Sequence[Answer], champion: str, scales: Mapping[str, float]
) -> list[dict[str, Any]]:
    """By rival policy: in how many scenarios it is cheaper than the champion for sure, the most
    that the champion costs beyond it, and whether it should be tuned and never was: it is then
    weaker here than it could be. scales: by policy, what the last rehearsal tuned.
    """
    found = []
    for name in sorted({name for answer in answers for name in answer.policies}):
        against = [one.policies[name] for one in answers if name in one.policies]
        found.append(
            {
                "policy": name,
                "champion": champion,
                "scenarios": len(against),
                "cheaper_for_sure": sum(one["mean_upper"] < 0 for one in against),
                "dearer_for_sure": sum(one["mean_lower"] > 0 for one in against),
                "mean_difference": float(np.mean([one["difference"] for one in against])),
                "most_regret": max(0.0, *(-one["difference"] for one in against)),
                "is_untuned": name == BaseStock.name and name not in scales,
            }
        )
    return found
