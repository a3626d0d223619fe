"""A file of stages is read whole, or refused with its line, its field and how to mend it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from orchestration.app.stage_file import COLUMNS, place_stock, read_stages
from orchestration.landing.contract.errors import ContractError

WILLEMS = Path(__file__).resolve().parents[3] / "shared" / "data" / "willems"
HEAD = ",".join(COLUMNS)
GOOD = ("part,4,,10,2,,,", "made,2,,5,2,,,,part,1", "shop,1,0,1,,8,2,2,made,1")


def written(folder: Path, *lines: str, head: str = HEAD) -> Path:
    path = folder / "chain.csv"
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def test_a_chain_is_read_as_it_says_and_its_stock_is_written(tmp_path: Path) -> None:
    path = written(tmp_path, *GOOD)
    found = read_stages(path, 0.5)
    assert found.unit_cost.tolist() == [10, 15, 16]
    assert found.stages.holding.tolist() == [5, 7.5, 8]
    assert found.stages.bound.tolist() == pytest.approx([4, 4, 4])
    assert found.stages.longest.tolist() == [4, 6, 7]
    said = place_stock(path, 0.5, tmp_path / "out", 10.0, lambda _: None)
    assert said == json.loads((tmp_path / "out" / "placement.json").read_text())
    table = pl.read_csv(tmp_path / "out" / "stages.csv")
    assert table["cost"].sum() == pytest.approx(said["cost"])
    # all three held: 5 * 4 * 2 + 7.5 * 4 * sqrt(2) + 8 * 4 * 1; all at the shop: 8 * 4 * sqrt(7)
    ways = [40 + 30 * np.sqrt(2) + 32, 40 + 32 * np.sqrt(3), 32 * np.sqrt(7), 30 * np.sqrt(6) + 32]
    assert said["cost"] == pytest.approx(min(ways)) and said["gap"] == pytest.approx(0.0)
    assert said["on_time"] > 0.9


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("part,-4,,10,2,,,", *GOOD[1:]), r"chain.csv:2 lead_time: '-4' is no number from 0 on"),
        (("part,four,,10,2,,,", *GOOD[1:]), "chain.csv:2 lead_time: 'four' is no number"),
        ((*GOOD, "shop,1,0,1,,8,2,2,made,1"), "chain.csv:5 stage_id: 'shop' stands there twice"),
        ((*GOOD[:2], "shop,1,0,1,,8,2,2,mill,1"), "chain.csv:4 up_stages: shop needs 'mill'"),
        ((*GOOD[:2], "shop,1,0,1,,8,2,2,made"), "'made' has no number of units beside it"),
        ((*GOOD[:2], "shop,1,0,1,,8,2,2,made,3"), "'3' units of an input for one of this stage"),
        ((*GOOD[:2], "shop,1,0,1,,,,2,made,1"), "ext_demand_mean: nobody asks shop for anything"),
        (("part,4,,10,2,,,,shop,1", *GOOD[1:]), "in a circle: part, made, shop"),
        ((*GOOD[:2], "shop,1,0,1,0.5,8,2,2,made,1"), "risk_pool: '0.5' is no number from 1 on"),
        ((*GOOD[:2], "shop,1,0,1,,0,0,2,made,1"), "ext_demand_mean: customers ask for nothing"),
        ((), "there is no stage in it"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(
    tmp_path: Path, lines: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        read_stages(written(tmp_path, *lines), 0.5)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"chain.csv:1: there is no column lead_time"):
        read_stages(written(tmp_path, *GOOD, head=HEAD.replace("lead_time", "days")), 0.5)


@pytest.mark.parametrize("path", sorted(WILLEMS.glob("willems_*.csv")), ids=lambda path: path.stem)
def test_every_published_chain_is_read(path: Path) -> None:
    found = read_stages(path, 0.35)
    assert (found.stages.bound >= 0).all() and found.mean.sum() > 0
    # a last stage that customers ask for nothing stands in one of them, and needs no stock
    assert found.stages.size == len(path.read_text().splitlines()) - 1
