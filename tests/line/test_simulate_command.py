"""`stockhouse simulate` answers the two questions that ship with the sample company."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from orchestration.app import demand_file, publishing, scenario_record, scenarios, studies
from orchestration.app.scenario_answers import Study
from orchestration.facts import decisions, published_snapshots
from orchestration.home import Home
from orchestration.home.sql import frame
from orchestration.landing import World
from orchestration.landing.contract.errors import ContractError

pytestmark = pytest.mark.line

QUESTIONS = [
    f"sample_data/scenarios/{name}.yml" for name in ("hub_blocked_48h", "fuel_up_10_percent")
]


def test_a_blocked_hub_moves_stock_and_dearer_fuel_moves_money_only(
    sample_home: Path, command: Callable[..., Any], tmp_path: Path
) -> None:
    asked = [word for path in QUESTIONS for word in ("--scenario", path)]
    home = ("--home", sample_home, "--paths", "2", "--json")
    done = command("simulate", "sample_data", *asked, "--out", tmp_path / "out", *home)
    said = json.loads(done.stdout)
    assert said == json.loads((tmp_path / "out" / "study.json").read_text())
    block, fuel = said["scenarios"]
    for name in ("cost", "demand", "sold", "lost", "bought", "moved", "fill_rate"):
        assert set(list(fuel["totals"][name].values())[2:]) == {0.0}, name
    assert fuel["totals"]["freight"]["lower"] > 0 > fuel["totals"]["margin"]["upper"]
    assert block["totals"]["demand"]["difference"] == 0
    assert block["totals"]["co2_kg"]["before"] > 0 == fuel["totals"]["co2_kg"]["difference"]
    stock = pl.read_csv(tmp_path / "out" / "hub_blocked_48h_stock.csv", try_parse_dates=True)
    before = pl.col("period_start") < pl.date(2011, 12, 17)
    assert stock.filter(before)["difference"].abs().max() == 0
    assert stock.filter(~before)["difference"].abs().max() > 0  # type: ignore[operator]
    kept = pl.read_parquet(sample_home / "state" / "decisions" / "scenarios" / "*.parquet")
    assert set(kept["run_id"]) == {said["study_id"]}
    again = command("simulate", "sample_data", "--replay", said["study_id"], *home[:2], "--json")
    assert json.loads(again.stdout)["differing"] == []
    assert json.loads(again.stdout)["figures"] > 100

    lost = tmp_path / "lost.yml"
    lost.write_text(Path(QUESTIONS[0]).read_text().replace("DC1", "DC7"))
    refused = command(
        "simulate", "sample_data", "--scenario", lost, "--out", tmp_path / "no", *home, code=2
    )
    assert "no location_id is called 'DC7'" in refused.stderr and not (tmp_path / "no").exists()


def test_several_at_once_are_a_scenario_too_and_rivals_meet_the_same_futures(
    sample_home: Path, command: Callable[..., Any]
) -> None:
    asked = [word for path in QUESTIONS for word in ("--scenario", path)]
    asked += ["--together", "--policies", "min_max, quantile_order_up_to"]
    home = ("--home", sample_home, "--paths", "2", "--json")
    said = json.loads(command("simulate", "sample_data", *asked, *home).stdout)
    block, fuel, both = said["scenarios"]
    assert both["scenario"] == f"{fuel['scenario']}_and_{block['scenario']}"
    for name in ("lost", "sold", "bought", "moved", "cost"):  # fuel moves money and no goods
        assert both["totals"][name] == block["totals"][name], name
    freight = [one["totals"]["freight"]["difference"] for one in (block, fuel, both)]
    assert freight[2] not in freight[:2]  # what the block leaves to send is sent with dearer fuel
    assert freight[2] == pytest.approx(freight[0] + freight[1], rel=0.01)
    assert said["policy"] == "quantile_order_up_to"  # it is no rival of its own
    (row,) = said["robustness"]
    costs = [one["policies"]["min_max"] for one in said["scenarios"]]
    assert (row["policy"], row["scenarios"]) == ("min_max", 3)
    assert costs[0]["before"] == pytest.approx(block["totals"]["cost"]["after"])
    for one in costs:
        assert one["after"] - one["before"] == pytest.approx(one["difference"])
        assert one["lower"] <= one["difference"] <= one["upper"]
    assert row["mean_difference"] == pytest.approx(sum(one["difference"] for one in costs) / 3)
    assert row["most_regret"] == pytest.approx(max(0.0, *(-one["difference"] for one in costs)))
    assert costs[0] == costs[2] and costs[0]["difference"] != 0

    kept = pl.read_parquet(_decided(sample_home, "scenarios", said["study_id"]))
    assert set(kept.filter(part="policy")["name"]) == {"min_max"}
    assert set(kept["is_nightly"]) == {False}
    again = command("simulate", "sample_data", "--replay", said["study_id"], *home[:2], "--json")
    assert json.loads(again.stdout)["differing"] == []
    wrong = command("simulate", "sample_data", *asked[:-1], "hunch", *home, code=2)
    assert "there is no policy 'hunch'" in wrong.stderr


def _decided(home: Path, table: str, study_id: str) -> Path:
    return home / "state" / "decisions" / table / f"{study_id}.parquet"


def test_the_night_s_stress_set_is_told_apart_and_all_it_says_can_be_read(
    sample_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenario_record, "STRESS_FUTURES", 2)
    home, world = Home.open(sample_home), World.load(Path("sample_data"))
    asked = scenarios.study(home, world, [Path(QUESTIONS[0])], 2)
    scenario_record.record(home, asked)
    (night,) = scenario_record.rehearse_stress(home, world)
    scenario_record.record(home, night)  # the same, asked by a person afterwards
    assert {row["policy"] for row in night.robustness()} == {"eoq_reorder_point", "min_max"}
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as con:
        decisions.load(con, home.decisions)
        found = con.execute(
            "select run_id, bool_and(is_nightly) from decisions.scenarios group by all"
        ).fetchall()
        assert set(found) == {(asked.study_id, False), (night.study_id, True)}
    moment = datetime(2012, 1, 1)
    publishing.write_snapshot(tmp_path / "warehouse.duckdb", tmp_path / "shown", "run", moment)
    with published_snapshots.current(tmp_path / "shown").connect() as con:
        for study in (asked, night):
            _says_what_the_study_says(con, study)


def _says_what_the_study_says(con: duckdb.DuckDBPyConnection, study: Study) -> None:
    """The published tables of a study beside its answers."""
    for answer in study.answers:
        at = {"study": study.study_id, "scenario": answer.scenario.name}
        which = "where run_id = $study and scenario = $scenario"
        lanes = frame(con, f"select * from decisions.scenario_lanes {which}", at)
        places = frame(con, f"select * from decisions.scenario_places {which}", at)
        keys = ["item_id", "location_id", "from_id"]
        both = answer.lanes.join(lanes, on=keys, validate="1:1")
        assert both.height == answer.lanes.height == lanes.height
        for name in ("margin", "cost_to_serve"):
            change = both[f"{name}_after"] - both[f"{name}_before"]
            kept = lanes[f"{name}_difference"].sum()
            assert both[f"{name}_difference"].to_list() == pytest.approx(change, abs=1e-3)
            assert kept == pytest.approx(change.sum(), abs=0.1)  # money, to the digit
            assert (lanes[f"{name}_lower"] <= lanes[f"{name}_upper"]).all()
        stores = places.filter(kind="place")
        assert set(stores["node_id"]) >= set(answer.places["location_id"])
        missing = study.survival.select("node_id", "kind", "periods")
        seen = places.join(missing, on=["node_id", "kind"], validate="1:1")
        assert seen.height == missing.height
        assert seen["survival_periods"].to_list() == seen["periods"].to_list()
        felt = stores.join(answer.depth, left_on="node_id", right_on="location_id")
        low = felt.group_by("node_id").agg(
            pl.col("difference").min() - pl.col("deepest_difference").first()
        )
        assert low["difference"].abs().max() < 1e-9  # type: ignore[operator]


@pytest.mark.parametrize("demand", ["history", "sample_data/scenarios/demand/nervous.yml"])
def test_other_demand_than_the_forecast_s_is_kept_with_the_study_and_asked_again(
    sample_home: Path, demand: str
) -> None:
    home, world = Home.open(sample_home), World.load(Path("sample_data"))
    said = demand_file.asked_of(demand)
    found = scenarios.study(home, world, [Path(QUESTIONS[0])], 2, demand=said)
    total = found.as_dict()["scenarios"][0]["totals"]
    assert found.as_dict()["demand"] == demand_file.in_words(said) != "as forecast"
    assert total["demand"]["before"] > 0 == total["demand"]["difference"]
    assert total["lost"]["difference"] >= 0
    scenario_record.record(home, found)
    for name in ("ann", "bob"):
        studies.keep(home, found, name)
    assert studies.study_made(home, found.study_id).by == "ann"
    again = scenario_record.replay(home, world, found.study_id)
    assert again.differing == () and again.figures > 50


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("trend: lots", "trend"),
        ("wave: 3", "wave"),
        ("promotion: {factor: 2, every_days: 3, days: 4}", "it has to end"),
        ("correlation: 1.5", "correlation"),
    ],
)
def test_a_demand_that_cannot_be_meant_is_refused_with_its_line(
    tmp_path: Path, line: str, says: str
) -> None:
    path = tmp_path / "odd.yml"
    path.write_text(f"demand: odd\ntitle: odd\n{line}\n", encoding="utf-8")
    with pytest.raises(ContractError, match=says) as refused:
        demand_file.asked_of(str(path))
    assert "odd.yml" in str(refused.value)


def test_a_promoted_measure_is_in_the_ledger_once(
    sample_home: Path, command: Callable[..., Any], tmp_path: Path
) -> None:
    late = tmp_path / "late.yml"
    late.write_text(LATE)
    asked = ("simulate", "sample_data", "--scenario", late, "--paths", "4", "--home", sample_home)
    promote = ("--promote", "late", "--measure", "pre_build", "--by", "ann", "--json")
    first, second = (json.loads(command(*asked, *promote).stdout) for _ in range(2))
    done, again = first["promoted"], second["promoted"]
    assert done["new_orders"] == done["lines"] > 0
    assert again["new_orders"] == 0 and again["document_ids"] == done["document_ids"]
    book = json.loads(command("orders", "--home", sample_home, "--json").stdout)
    listed = book if isinstance(book, list) else next(iter(book.values()))
    documents = [one["document_id"] for one in listed]
    assert all(documents.count(name) == 1 for name in done["document_ids"].values())
    keys = list(done["document_ids"])
    assert len(set(keys)) == len(keys) and all("scenario late pre_build" in key for key in keys)
    refused = command(*asked, "--promote", "late", "--measure", "magic", code=2)
    assert "there is no measure 'magic'" in refused.stderr


LATE = """scenario: late
title: All suppliers are five weeks late from now on
starts_on: 2011-12-10
ends_on: 2012-01-31
effects:
  - {kind: demand_factor, factor: 1.5}
  - {kind: lead_time_delay, scope: {location_id: DC1}, days: 35}
"""


def test_an_earlier_day_is_asked_with_what_was_known_then(
    sample_home: Path, command: Callable[..., Any], tmp_path: Path
) -> None:
    for name, text in SPRING.items():
        (tmp_path / f"{name}.yml").write_text(text)
    files = [word for name in SPRING for word in ("--scenario", tmp_path / f"{name}.yml")]
    asked = ("simulate", "sample_data", *files, "--against", "surge", "--paths", "2")
    then = (*asked, "--as-of", "2011-04-15", "--home", sample_home)
    before = (sample_home / "state" / "ledger.sqlite").read_bytes()
    said = json.loads(command(*then, "--out", tmp_path / "out", "--json").stdout)
    cutoff, first = "2011-04-15 23:00:00", "2011-04-16"
    assert (said["as_of"], said["first_period"]) == (cutoff, first)
    (block,) = said["scenarios"]  # beside the surge, not beside nothing
    assert block["scenario"] == "block" and block["totals"]["demand"]["upper"] < 0
    lines = pl.read_csv(tmp_path / "out" / "block_orders.csv", try_parse_dates=True)
    assert lines.height and (lines["differs"] > 0).all()
    assert lines["ordered_on"].min() >= date.fromisoformat(first)  # type: ignore[operator]
    assert lines["difference"].to_list() == pytest.approx(lines["after"] - lines["before"])

    (past,) = (Home(path) for path in (sample_home / "derived" / "past").glob("2011-04-15-*"))
    with duckdb.connect(str(past.warehouse), read_only=True) as con:
        for table in ("fct_demand", "fct_stock", "fct_prices", "fct_lead_times"):
            newest = con.execute(f"select max(known_at) from marts.{table}").fetchall()[0][0]
            assert str(newest) <= cutoff, table
    made = pl.read_parquet(past.decisions / "forecasts" / "*.parquet")
    assert str(made["period_start"].min()) == first
    assert not (past.state / "ledger.sqlite").exists()
    assert (sample_home / "state" / "ledger.sqlite").read_bytes() == before

    stands = past.warehouse.stat().st_mtime_ns
    replayed = command("simulate", "sample_data", "--replay", said["study_id"], *then[-2:])
    assert "figures are the same" in replayed.stdout
    assert past.warehouse.stat().st_mtime_ns == stands
    (tmp_path / "block.yml").write_text(SPRING["block"].replace("hours: 120", "hours: -5"))
    command(*asked, "--as-of", "2011-05-15", "--home", sample_home, code=2)
    assert not list((sample_home / "derived" / "past").glob("2011-05-15-*"))  # refused at once
    (tmp_path / "block.yml").write_text(SPRING["block"])
    late = command(*asked, "--as-of", "2012-01-31", "--home", sample_home, code=2)
    assert "nothing is known of that day's end" in late.stderr
    ordered = command(*then, "--promote", "block", code=2)
    assert "nothing can be ordered then" in ordered.stderr


SPRING = {
    "surge": """scenario: surge
title: All sells half more for two weeks
starts_on: 2011-04-20
ends_on: 2011-05-03
effects:
  - {kind: demand_factor, factor: 1.5}
""",
    "block": """scenario: block
title: Nothing passes the distribution centre for five days
starts_at: 2011-04-22T08:00
hours: 120
effects:
  - {kind: hub_blocked, scope: {location_id: DC1}}
""",
}
