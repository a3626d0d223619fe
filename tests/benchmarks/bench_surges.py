"""Planted surges, found and told apart: `python tests/benchmarks/bench_surges.py`.

Surges are planted into a made-up company (tests/forecasting/planted_surges.py), as nobody knows the
cause of a real one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "forecasting")]

from demand_features import label_frame  # noqa: E402
from planted_surges import KINDS, plant  # noqa: E402

from models.domain import SERIES  # noqa: E402
from models.forecasting.demand_model import fit  # noqa: E402
from models.forecasting.inputs import Spec  # noqa: E402
from models.forecasting.surges import find_surges  # noqa: E402


def surges(spec: Spec, weeks: int = 14) -> str:
    """Planted surges of each kind, as the product finds them and tells them apart by the largest
    part; weeks with several causes are left out."""
    world, cause = plant(spec, weeks)
    columns = list(range(28, world.demand.shape[1] - spec.horizon + 1, 7))
    origins = world.origins(columns, spec)
    labels = label_frame(world.keys, world.demand, world.first, spec)
    starts = spec.starts(world.first, world.demand.shape[1])
    begins = [t for t in columns if t >= world.demand.shape[1] - 7 * weeks]
    cut = starts[begins[0]]
    model = fit(
        origins.filter(pl.col("origin") < cut),
        labels.filter(pl.col("target_on") < cut),
        world.plans,
        spec,
    )
    told, truth = [], []
    for week, t in enumerate(begins):
        now, before = (origins.filter(pl.col("origin") == starts[column]) for column in (t, t - 7))
        came = world.demand[:, t : t + 7]
        parts = find_surges(model, (now, world.plans), (before, world.plans), came)
        largest = (
            parts.filter(pl.col("part").is_in(list(KINDS.values())))
            .sort("units", descending=True)
            .unique(SERIES, keep="first", maintain_order=True)
        )
        named = now.select(SERIES).join(
            largest, on=SERIES, how="left", validate="1:1", maintain_order="left"
        )
        kinds = named["part"].replace({part: kind for kind, part in KINDS.items()})
        told += kinds.fill_null("none").to_list()
        truth += cause[:, week].tolist()
    is_clean = np.array(truth) != "several"
    said, real = np.array(told)[is_clean], np.array(truth)[is_clean]
    lines = ["| planted | surges | found and named | precision | recall |", "|---|--:|--:|--:|--:|"]
    for kind in KINDS:
        hit = int(((said == kind) & (real == kind)).sum())
        planted, named = int((real == kind).sum()), int((said == kind).sum())
        lines.append(
            f"| {kind} | {planted} | {hit} | {hit / max(named, 1):.2f} | "
            f"{hit / max(planted, 1):.2f} |"
        )
    quiet = real == "none"
    lines.append(
        f"| no surge | {int(quiet.sum())} | {int((said[quiet] == 'none').sum())} | | "
        f"{(said[quiet] == 'none').mean():.2f} |"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    print(surges(Spec("day", 7, levels=(), rows=80_000, rounds=80)))
