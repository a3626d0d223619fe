"""The gap table is made anew problem by problem, and a network of one's own is learned on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from models.learning.training import Settings
from orchestration.app import gap_table, learning
from orchestration.app.gap_table import LearningError
from orchestration.app.network_file import read_network
from orchestration.cli import app

QUICK = learning.Effort(
    Settings(steps=(40, 40), paths=32, periods=30, check=20, dev_paths=50, dev_periods=80), 50
)
NETWORK = """
name: hub-and-two-shops
nodes:
  hub: {lead_time: 2, holding: 0.5}
  north: {from: hub, lead_time: 1, holding: 1, shortage: 9, demand: {poisson: 4}}
  south: {from: hub, lead_time: 1, holding: 1, shortage: 9, demand: {negative_binomial: [3, 3]}}
"""


def quiet(_: str) -> None:
    """Nobody listens."""


def test_a_problem_is_made_anew_and_the_others_stay(tmp_path: Path) -> None:
    kept, other = tmp_path / "small.json", {"problem": "zipkin-L1-p4", "policy": "ppo", "seed": 3}
    other |= {"cost": 5.0, "reference": 4.0, "gap": 0.25, "interval": [0.2, 0.3], "seconds": 9.0}
    (tmp_path / "ppo.json").write_text(json.dumps([other]), encoding="utf-8")
    first = learning.retrain(["zipkin-L1-p4"], [0], quiet, kept, QUICK)
    assert other in first["rows"]  # of another program: beside ours, and never one of them
    assert other not in gap_table.read(kept)["rows"]
    both = learning.retrain(["zipkin-L1-p9"], [0], quiet, kept, QUICK)
    assert first["rows"] == [row for row in both["rows"] if row["problem"] == "zipkin-L1-p4"]
    assert {row["problem"] for row in both["rows"]} == {"zipkin-L1-p4", "zipkin-L1-p9"}
    assert both["is_current"]
    assert both["curves"]["zipkin-L1-p9"][1]["ended"]
    kept.write_text(kept.read_text().replace(both["code"], "0" * 12))
    assert not gap_table.report(kept)["is_current"]


def test_an_unknown_problem_or_no_table_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(LearningError, match="zipkin-L9-p1"):
        learning.retrain(["zipkin-L9-p1"], [0], quiet, tmp_path / "small.json")
    with pytest.raises(LearningError, match="--retrain"):
        gap_table.report(tmp_path / "small.json")


def test_a_network_is_learned_on_and_kept_with_its_card(tmp_path: Path) -> None:
    path = tmp_path / "network.yml"
    path.write_text(NETWORK, encoding="utf-8")
    told: list[str] = []
    card = learning.learn_network(path, [0, 1], tmp_path / "out", told.append, QUICK)
    assert card == json.loads((tmp_path / "out/agent.json").read_text(encoding="utf-8"))
    assert {row["policy"] for row in card["rows"]} == {
        "echelon_base_stock",
        "agent",
        "agent_candidate",
    }
    assert card["nodes"] == ["hub", "north", "south"]
    assert 0 <= card["handed_over"] < 0.5
    assert any("step 40 of 40" in line for line in told)
    agent = learning.read_agent(tmp_path / "out")
    assert agent.form.scale.tolist() == pytest.approx([7, 4, 3], rel=1e-6)
    far = np.full(agent.form.inputs, 1e6)
    strange = replace(agent, params=agent.params | {"low": far, "high": far + 1})
    _, problem = read_network(path)
    assert learning._handed_over(problem, strange, QUICK) == 1
    kept = tmp_path / "out/agent.safetensors"
    kept.write_bytes(kept.read_bytes()[:-1] + b"\x00")
    with pytest.raises(LearningError, match="checksum"):
        learning.read_agent(tmp_path / "out")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("from: hub", "from: moon", "moon"),
        ("hub: {", "hub: {from: north, ", "circle"),
        ("poisson: 4", "poisson: -4", "greater than 0"),
        ("poisson: 4", "poisson: .inf", "less than or equal"),
        ("[3, 3]", "[3, 1]", "deviation above"),
        (", demand: {poisson: 4}", "", "nobody asks"),
        ("holding: 0.5", "holding: .nan", "finite"),
        ("holding: 0.5", "hold: 0.5", "hold"),
        ("nodes:", "nodes: [", "network.yml"),
    ],
)
def test_a_network_file_that_says_something_wrong_is_refused_in_one_line(
    old: str, new: str, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "network.yml"
    path.write_text(NETWORK.replace(old, new, 1), encoding="utf-8")
    done = CliRunner().invoke(app, ["learn", str(path), "--out", str(tmp_path / "out")])
    assert done.exit_code == 2, done.output
    assert reason in done.stderr
    assert not (tmp_path / "out").exists()


def test_learn_alone_says_what_it_needs() -> None:
    done = CliRunner().invoke(app, ["learn"])
    assert done.exit_code == 2
    assert "--report" in done.stderr


def test_the_front_pays_more_for_holding_where_a_missing_unit_costs_more(tmp_path: Path) -> None:
    path = tmp_path / "one.yml"
    path.write_text(
        "name: one\nnodes: {shop: {lead_time: 1, holding: 1, shortage: 8, demand: {poisson: 5}}}",
        encoding="utf-8",
    )
    found = learning.learn_front(path, 0, tmp_path / "out", quiet, QUICK, (0.25, 4))
    assert found == json.loads((tmp_path / "out/front.json").read_text(encoding="utf-8"))
    holding, service = ([row[name] for row in found["rows"]] for name in ("holding", "fill_rate"))
    assert [row["price"] for row in found["rows"]] == [0.25, 4]
    assert holding == sorted(holding)
    assert service == sorted(service)


def test_learning_curves_of_the_problems_that_are_named_are_drawn(tmp_path: Path) -> None:
    asked = ["learn", "--report", "--out", str(tmp_path), "--problem"]
    done = CliRunner().invoke(app, [*asked, "zipkin-L4-p9", "--json"])
    assert done.exit_code == 0, done.output
    assert [path.name for path in tmp_path.iterdir()] == ["zipkin-L4-p9.png"]
    assert (tmp_path / "zipkin-L4-p9.png").read_bytes().startswith(b"\x89PNG")
    refused = CliRunner().invoke(app, [*asked, "zipkin-L9-p9"])
    assert refused.exit_code == 2
    assert "zipkin-L9-p9" in refused.stderr
