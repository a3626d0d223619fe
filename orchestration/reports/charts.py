"""Pictures for people who would rather look than read: PNGs for Dagster's metadata and the
reports."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence

import dagster as dg
import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from matplotlib.figure import Figure

from models.domain import SERIES
from models.forecasting.forecast import Forecast

#: How much history stands before a forecast, in horizons.
LOOK_BACK = 3
INK, ACCENT, SOFT = "#1f2933", "#0b7285", "#99d8e0"


def forecast_fan(history: pl.DataFrame, ahead: Forecast, shown: int = 6) -> Figure:
    """The largest series: demand up to the origin, then the median with its 50 % and 95 %
    intervals.

    history: item_id, location_id, target_on, demand. ahead: a forecast with levels 0.025, 0.25,
    0.5, 0.75, 0.975.
    """
    largest = np.argsort(-ahead.mean.sum(axis=1), kind="stable")[:shown]
    figure, axes = plt.subplots(
        -(-len(largest) // 2),
        2,
        figsize=(11, 2.6 * -(-len(largest) // 2)),
        squeeze=False,
        layout="constrained",
    )
    for row, axis in zip(largest, axes.flat, strict=False):
        key = ahead.keys.select(SERIES).row(int(row), named=True)
        past = history.filter(**key).sort("target_on").tail(LOOK_BACK * len(ahead.period_starts))
        days = np.array(ahead.period_starts)
        axis.plot(past["target_on"].to_numpy(), past["demand"].to_numpy(), color=INK, linewidth=0.9)
        axis.fill_between(
            days, ahead.at(0.025)[row], ahead.at(0.975)[row], color=SOFT, alpha=0.5, linewidth=0
        )
        axis.fill_between(days, ahead.at(0.25)[row], ahead.at(0.75)[row], color=SOFT, linewidth=0)
        axis.plot(days, ahead.at(0.5)[row], color=ACCENT, linewidth=1.4)
        axis.set_title(
            f"{key['item_id']} at {key['location_id']}", fontsize=9, loc="left", parse_math=False
        )
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in list(axes.flat)[len(largest) :]:
        axis.set_visible(False)
    return figure


def policy_costs(champions: pl.DataFrame) -> Figure:
    """Holding and shortage cost of each policy, the cheapest on top."""
    frame = champions.sort("total_cost", descending=True)
    # money as decimals, unknown where nothing was rehearsed: a chart draws numbers
    frame = frame.with_columns(pl.col("holding_cost", "shortage_cost").cast(pl.Float64))
    figure, axis = plt.subplots(figsize=(8, 0.6 * len(frame) + 1), layout="constrained")
    names = [
        name + (" ★" if best else "")
        for name, best in frame.select("policy", "is_champion").iter_rows()
    ]
    axis.barh(names, frame["holding_cost"].to_numpy(), color=SOFT, label="holding")
    axis.barh(
        names,
        frame["shortage_cost"].to_numpy(),
        left=frame["holding_cost"].to_numpy(),
        color=ACCENT,
        label="shortage",
    )
    axis.legend(frameon=False, fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_xlabel("cost over the replayed periods")
    return figure


def cost_by_period(card: dict[str, object]) -> Figure:
    """Cost of each policy accumulating over the replayed periods: who leads, and when it was
    decided."""
    figure, axis = plt.subplots(figsize=(9, 4), layout="constrained")
    policies = card["policies"]
    assert isinstance(policies, dict)  # noqa: S101 - the scorecard's own contract
    for name, policy in policies.items():
        total = np.cumsum([entry["total_cost"] for entry in policy["by_period"]])
        best = name == card["champion"]
        axis.plot(
            total,
            label=name + (" ★" if best else ""),
            linewidth=2 if best else 1,
            color=ACCENT if best else None,
        )
    axis.legend(frameon=False, fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_xlabel("period of the replay")
    axis.set_ylabel("cost so far")
    return figure


def learning_curves(title: str, curves: Mapping[str, Sequence[Sequence[float]]]) -> Figure:
    """What each run of a training cost at its looks, in what is kept aside to choose by, and where
    it was cheapest.

    curves: by run, (step, cost) pairs. The cost axis is cut at three times the range of the later
    half of all looks, so that a bad start does not hide the rest.
    """
    figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
    late = [cost for curve in curves.values() for _, cost in curve[len(curve) // 2 :]]
    low = min(cost for curve in curves.values() for _, cost in curve)
    for (name, curve), colour in zip(curves.items(), (SOFT, ACCENT, INK), strict=False):
        steps, costs = np.array(curve, dtype=np.float64).T
        axis.plot(steps, costs, label=name, color=colour, linewidth=1.4)
        best = int(np.argmin(costs))
        axis.plot(steps[best], costs[best], "o", color=colour)
    reach = max(max(late) - low, 1e-3 * abs(low), 1e-9)
    axis.set_ylim(low - 0.1 * reach, low + 3 * reach)
    axis.set_title(title, fontsize=9, loc="left", parse_math=False)
    axis.legend(frameon=False, fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_xlabel("step")
    axis.set_ylabel("cost in what is kept aside")
    return figure


def scores_by_class(scores: pl.DataFrame) -> Figure:
    """WAPE and bias of each class that sold anything, the first class on top.

    scores: class, wape and bias, null where nothing was sold.
    """
    known = scores.drop_nulls("wape").reverse()
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9, 0.34 * len(known) + 1), sharey=True, layout="constrained"
    )
    names = known["class"].to_list()
    left.barh(names, known["wape"].to_numpy(), color=SOFT)
    left.set_xlabel("WAPE")
    right.barh(names, known["bias"].to_numpy(), color=ACCENT)
    right.axvline(0, color=INK, linewidth=0.8)
    right.set_xlabel("bias, as a share of what was sold")
    for axis in (left, right):
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def inline(figure: Figure) -> str:
    """The figure as text for an image's `data:image/png;base64,`."""
    return base64.b64encode(png(figure)).decode()


def png(figure: Figure) -> bytes:
    """The figure as PNG bytes; the figure is closed."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    plt.close(figure)
    return out.getvalue()


def metadata(figure: Figure) -> dg.MarkdownMetadataValue:
    """The figure as Dagster shows it: an image inside Markdown."""
    return dg.MetadataValue.md(f"![plot](data:image/png;base64,{inline(figure)})")


def markdown(frame: pl.DataFrame, digits: int = 0) -> str:
    """A small frame as a Markdown table, numbers rounded to so many digits (none: whole units of
    money)."""
    lines = ["| " + " | ".join(frame.columns) + " |", "|" + "---|" * frame.width]
    lines += [
        "| "
        + " | ".join(
            f"{cell:,.{digits}f}" if isinstance(cell, float) else str(cell) for cell in row
        )
        + " |"
        for row in frame.iter_rows()
    ]
    return "\n".join(lines)
