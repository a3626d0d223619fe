"""A network of stages as a CSV file, in the columns in which Willems (2008) published real supply
chains: read whole or refused with line, field and cure, and its safety stock placed and tried out.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from models.domain import Floats
from models.replenishment.guaranteed_service import Stages, place, pooled_bound
from models.twin.assembly import try_out
from orchestration.home import files
from orchestration.landing.contract.errors import ContractError

COLUMNS = (
    "stage_id",
    "lead_time",
    "max_s_time",
    "cost_rate",
    "risk_pool",
    "ext_demand_mean",
    "ext_demand_std",
    "ext_demand_thres",
    "up_stages",
)
#: A placement is tried out on so many futures of so many periods, once all stages have filled.
FUTURES, PERIODS = 8, 365
Tell = Callable[[str], None]


@dataclass(frozen=True)
class StageRow:
    """One line of the file: units and periods as written, money added to a unit at this stage."""

    line: int
    lead_time: float
    longest_promise: float
    cost: float
    pooling: float
    mean: float
    deviation: float
    quantile: float
    suppliers: tuple[str, ...]
    #: whether the file says what customers ask of it, be it nothing
    is_asked: bool


@dataclass(frozen=True)
class StageNetwork:
    """A network as its file says it: the stages, and mean and deviation of what customers ask of
    each a period, (N,) units; unit_cost: (N,) money in a unit when it leaves the stage."""

    stages: Stages
    mean: Floats
    deviation: Floats
    unit_cost: Floats


def read_stages(path: Path, holding_rate: float) -> StageNetwork:
    """Read a network of stages. holding_rate: what keeping a unit for the time that cost is asked
    for costs, as a share of the money in it.

    What a stage adds to a unit counts from there on down. The bound of a stage's demand pools those
    of its customers: (sum of bound^p)^(1/p), p its risk_pool, 2 where that is empty. Raises
    ContractError with file, line and field.
    """
    rows = _rows(path)
    names = list(rows)
    number = {name: k for k, name in enumerate(names)}
    _check_suppliers(path, rows)
    arcs = [(number[above], k) for k, row in enumerate(rows.values()) for above in row.suppliers]

    def column(word: str) -> Floats:
        return np.array([getattr(row, word) for row in rows.values()], dtype=np.float64)

    try:
        shape = Stages(
            names=names,
            arcs=np.array(arcs, dtype=np.int64).reshape(-1, 2),
            lead_time=column("lead_time"),
            holding=np.zeros(len(names)),
            bound=np.zeros(len(names)),
            longest_promise=column("longest_promise"),
        )
    except ValueError as error:
        raise ContractError(
            str(error), where=f"{path.name} up_stages", mend="take one of these arcs out"
        ) from None
    if idle := [
        k for k in range(shape.size) if not shape.customers[k] and not rows[names[k]].is_asked
    ]:
        row = rows[names[idle[0]]]
        raise _wrong(
            path,
            row.line,
            "ext_demand_mean",
            f"nobody asks {names[idle[0]]} for anything, neither a stage nor a customer",
            "say its demand, or leave it out",
        )
    if not column("mean").any():
        raise ContractError(
            "customers ask for nothing", where=f"{path.name} ext_demand_mean", mend="say a demand"
        )
    own = column("quantile") * column("deviation")
    bound, unit_cost = pooled_bound(shape, own, column("pooling")), column("cost")
    for stage in shape.order:
        unit_cost[stage] += sum(unit_cost[above] for above in shape.suppliers[stage])
    stages = Stages(
        names=names,
        arcs=shape.arcs,
        lead_time=shape.lead_time,
        holding=holding_rate * unit_cost,
        bound=bound,
        longest_promise=shape.longest_promise,
    )
    return StageNetwork(stages, column("mean"), column("deviation"), unit_cost)


def _check_suppliers(path: Path, rows: Mapping[str, StageRow]) -> None:
    for name, row in rows.items():
        for above in row.suppliers:
            if above not in rows:
                raise _wrong(
                    path,
                    row.line,
                    "up_stages",
                    f"{name} needs {above!r}, which is no stage of this file",
                    "give it a line, or leave it out",
                )


def _rows(path: Path) -> dict[str, StageRow]:
    try:
        lines = list(csv.reader(path.read_text("utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ContractError(f"cannot be read: {error}", where=str(path)) from None
    head = tuple(lines[0]) if lines else ()
    if missing := [name for name in COLUMNS if name not in head[: len(COLUMNS)]]:
        raise ContractError(
            f"there is no column {missing[0]}",
            where=f"{path.name}:1",
            mend=f"the first line names {', '.join(COLUMNS)}, the last of them at the end",
        )
    found: dict[str, StageRow] = {}
    for number, line in enumerate(lines[1:], start=2):
        if not any(line):
            continue
        said = dict(zip(head, line, strict=False))
        name = said.get("stage_id", "").strip()
        if not name or name in found:
            what = f"{name!r} stands there twice" if name else "the stage has no name"
            raise _wrong(path, number, "stage_id", what, "give every stage a name of its own")
        found[name] = _row(path, number, said, line[head.index("up_stages") :])
    if not found:
        raise ContractError("there is no stage in it", where=path.name)
    return found


def _row(path: Path, number: int, said: dict[str, str], rest: list[str]) -> StageRow:
    def figure(field: str, absent: float, above: float = 0.0) -> float:
        text = said.get(field, "").strip()
        if not text:
            return absent
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= above):
            raise _wrong(
                path, number, field, f"{text!r} is no number from {above:g} on", "write one there"
            )
        return value

    pairs = [text.strip() for text in rest]
    while pairs and not pairs[-1]:
        pairs.pop()
    if odd := [units for units in pairs[1::2] if units not in ("1", "1.0")]:
        raise _wrong(
            path,
            number,
            "up_stages",
            f"{odd[0]!r} units of an input for one of this stage",
            "count the input in what one unit needs, so that it is 1",
        )
    if len(pairs) % 2:
        raise _wrong(
            path,
            number,
            "up_stages",
            f"{pairs[-1]!r} has no number of units beside it",
            "write stages and units in turn",
        )
    return StageRow(
        line=number,
        lead_time=figure("lead_time", 0.0),
        longest_promise=figure("max_s_time", math.inf),
        cost=figure("cost_rate", 0.0),
        pooling=figure("risk_pool", 2.0, above=1.0),
        mean=figure("ext_demand_mean", 0.0),
        deviation=figure("ext_demand_std", 0.0),
        quantile=figure("ext_demand_thres", 0.0),
        suppliers=tuple(pairs[::2]),
        is_asked=bool(said.get("ext_demand_mean", "").strip()),
    )


def _wrong(path: Path, line: int, field: str, what: str, mend: str) -> ContractError:
    return ContractError(what, where=f"{path.name}:{line} {field}", mend=mend)


def place_stock(
    path: Path, holding_rate: float, out: Path, seconds: float, tell: Tell
) -> dict[str, Any]:
    """Place the safety stock of a network of stages where it costs least, try it out on sampled
    demand, and write placement.json and stages.csv; returns what placement.json says."""
    network = read_stages(path, holding_rate)
    tell(f"placing the safety stock of {network.stages.size} stages")
    made = place(network.stages, seconds=seconds)
    tell("trying it out")
    tried = try_out(made, network.mean, network.deviation, periods=PERIODS, futures=FUTURES)
    table = pl.DataFrame(
        {
            "stage_id": list(network.stages.names),
            "promised": made.service_time,
            "is_promised": made.inbound,
            "covers": made.net,
            "safety_stock": made.safety_stock,
            "unit_cost": network.unit_cost,
            "cost": network.stages.cost(made.net),
            "on_time": tried.on_time,
            "on_hand": tried.on_hand,
            "inputs_waiting": tried.inputs_waiting,
        }
    ).sort("cost", descending=True)
    asked = network.mean > 0
    said = {
        "network": path.stem,
        "stages": network.stages.size,
        "arcs": len(network.stages.arcs),
        "holding_rate": holding_rate,
        "cost": made.cost,
        "at_least": made.at_least,
        "gap": made.gap,
        "method": made.method,
        "stages_with_stock": int((made.safety_stock > 0).sum()),
        "futures": FUTURES,
        "periods": PERIODS,
        "on_time": float(np.average(tried.on_time[asked], weights=network.mean[asked])),
        "worst_on_time": float(tried.on_time[asked].min()),
    }
    files.write(out / "stages.csv", table.write_csv())
    files.write(out / "placement.json", json.dumps(said, indent=1))
    return said
