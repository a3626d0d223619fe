"""The agent on the line: trained by the command, in shadow at its first rehearsal, champion a review
later where it is cheaper, and then its orders are traced, made anew and approved like any other's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.learning import saving
from models.learning.company_agent import INPUTS
from orchestration.facts import decisions, kept_agents
from orchestration.home import Home
from tests.line import small_shop
from tests.line.small_shop import DAYS, FIRST, write_world


def growing(folder: Path, days: int) -> Path:
    """The small shop with so many articles that a rehearsal is sure of itself, of which more is
    sold every day from the 90th on: forecasts come too low, and so do all rules that use them."""
    write_world(folder, days)
    random, rows = np.random.default_rng(6), ["day,article,pieces"]
    for k in range(days):
        rate = 6 * (1 + max(0, k - 90) / 70)
        day = FIRST + timedelta(days=k)
        rows += [f"{day},{name},{random.poisson(rate)}" for name in small_shop.ARTICLES]
    (folder / "till.csv").write_text("\n".join(rows) + "\n", "utf-8")
    return folder


def champions(home: Home) -> pl.DataFrame:
    """The newest rehearsal."""
    found = decisions.latest(home.decisions, "champions")
    assert found is not None
    return found


def made_to_win(home: Home) -> None:
    """Have the kept agent order half a review's demand more, which wins here: this is about what
    follows from winning, not about how well it learns."""
    kept = kept_agents.kept_agent(home)
    assert kept is not None
    wide = {"low": np.full(len(INPUTS), -1e9), "high": np.full(len(INPUTS), 1e9)}
    params = kept.policy.params | wide | {"scale": np.full(1, 3.0), "bias1": np.full(1, 9.0)}
    data = saving.to_bytes(replace(kept.policy, params=params))
    kept_agents.keep_agent(home, data, kept.card | {"sha256": hashlib.sha256(data).hexdigest()})


@pytest.mark.long
@pytest.mark.line
def test_an_agent_is_trained_stands_in_shadow_and_then_orders_like_any_policy(
    tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small_shop, "ARTICLES", [f"cup-{k}" for k in range(24)])
    shop, at = growing(tmp_path / "shop", DAYS), ("--home", tmp_path / "home")
    command("run", shop, *at)
    home = Home.open(tmp_path / "home")
    before = champions(home)

    said = command("learn", shop, *at, "--seed", "0", "--out", tmp_path / "out")
    card = json.loads((tmp_path / "out" / "agent.json").read_text("utf-8"))
    assert f"--start {card['trained_until']} --periods {card['unseen_periods']} " in " ".join(
        said.stdout.split()
    )
    assert "seed 0, step 15 of 120" in said.stderr
    assert (tmp_path / "out" / "learning.png").read_bytes().startswith(b"\x89PNG")
    made_to_win(home)

    assert "agent (in shadow)" in command("run", shop, *at).stdout
    shadow = champions(home)
    assert shadow["as_of"][0] == before["as_of"][0]  # the same review, rehearsed again for it
    judged = shadow.filter(policy="agent").row(0, named=True)
    assert judged["upper"] < 0 and not judged["is_champion"] and judged["is_in_shadow"]

    command("run", growing(shop, DAYS + 7), *at)
    assert champions(home).filter("is_champion")["policy"].item() == "agent"
    listed = json.loads(command("orders", *at, "--json").stdout)["orders"]
    told = command("trace", listed[0]["id"], *at).stdout
    assert "changed by the agent" in told
    asked = ("trace", listed[0]["id"], "--replay", "--world", shop)
    assert json.loads(command(*asked, *at, "--json").stdout)["is_same"]
    command("approve", listed[0]["id"], "--by", "anna", *at)
    kept = json.loads(command("orders", *at, "--json").stdout)["orders"]
    assert {one["id"]: one["status"] for one in kept}[listed[0]["id"]] == "approved"
