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

from models.forecasting.attribution import attribute  # noqa: E402
from models.forecasting.demand_model import fit  # noqa: E402
from models.forecasting.inputs import Spec  # noqa: E402

#: What a surge must exceed, as a multiple of the forecast made before it, to be looked into.
SURGE = 1.3


def surges(spec: Spec, weeks: int = 14) -> str:
    """Planted surges of each kind, found by their size and told apart by the largest part; weeks
    with several causes are left out."""
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
        parts = attribute(model, now, world.plans, before, world.plans, came)
        units = np.stack(
            [
                parts.filter(part=name)["units"].to_numpy().reshape(came.shape).sum(axis=1)
                for name in KINDS.values()
            ],
            axis=1,
        )
        usual = model.expected(before, world.plans).sum(axis=1)
        is_surge = came.sum(axis=1) > SURGE * usual
        told += [
            list(KINDS)[k] if hit else "none"
            for k, hit in zip(units.argmax(axis=1), is_surge, strict=True)
        ]
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
