"""Each metric is reckoned the same wherever its formula stands: in dbt's models, in the semantic
layer and in the dashboard as code, on any sums, those of an empty shelf too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from jinja2 import Environment

ROOT = Path(__file__).resolve().parents[2]
DBT = ROOT / "dbt_project"
VARS = yaml.safe_load((DBT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
LAYER = yaml.safe_load(
    Environment()  # noqa: S701 - this is SQL
    .from_string((DBT / "models/semantic/weekly.yml").read_text(encoding="utf-8"))
    .render(var=VARS.get)
)
SUPERSET = ROOT / ".github/deploy/bi/superset/datasets/Stockhouse/kpi_weekly.yaml"
#: What the board calls otherwise than the semantic layer.
CALLED = {"stock_at_cost": "stock_value"}


def in_layer(name: str) -> str:
    """A metric of the semantic layer as one expression over sums of its weekly columns."""
    (metric,) = [one for one in LAYER["metrics"] if one["name"] == name]
    asked = metric["type_params"]
    if metric["type"] == "simple":
        return f"sum({asked['measure']})"
    if metric["type"] == "ratio":
        top, bottom = in_layer(asked["numerator"]), in_layer(asked["denominator"])
        return f"cast({top} as double) / nullif({bottom}, 0)"
    parts = "|".join(asked["metrics"])
    return re.sub(rf"\b({parts})\b", lambda part: in_layer(part[0]), asked["expr"])


def model(name: str) -> str:
    """A model's SQL, every week of the table counting."""
    calls: dict[str, Any] = {
        "var": VARS.get,
        "ref": lambda table: table,
        "in_last_year": lambda day: "true",
        "days_apart": lambda one, other: "7",
        "local_day": lambda moment: moment,
        "now_at": lambda: "now()",
    }
    macros = "".join(
        (DBT / f"macros/{name}.sql").read_text(encoding="utf-8") for name in ("metrics", "money")
    )
    own = re.sub(r"{% macro in_last_year.*?endmacro %}", "", macros, flags=re.DOTALL)
    text = (DBT / f"models/metrics/{name}.sql").read_text(encoding="utf-8")
    return Environment().from_string(own + text).render(**calls)  # noqa: S701 - this is SQL


@pytest.fixture(params=["usual", "nothing"])
def con(request: pytest.FixtureRequest) -> duckdb.DuckDBPyConnection:
    """A year of one company's weekly sums: as they come, or of a shop that had nothing at all."""
    measures = [
        one["name"] for view in LAYER["semantic_models"] for one in view.get("measures", [])
    ]
    value = "0" if request.param == "nothing" else "floor(random() * 90) + 1"
    columns = ", ".join(f"{value} as {name}" for name in measures)
    con = duckdb.connect()
    con.execute("select setseed(0.4)")
    con.execute(f"""create table kpi_weekly as
        select date '2024-01-01' + 7 * week::int as week_start, item_id, 'main' as location_id,
            {columns}
        from range(52) as weeks (week), (values ('a'), ('b')) as items (item_id)""")
    con.execute("""create table dim_item_locations as
        from (values ('a', 'main', 'tea'), ('b', 'main', 'mugs'))
        as planned (item_id, location_id, category)""")
    return con


def test_a_formula_gives_the_same_in_dbt_and_in_the_semantic_layer(
    con: duckdb.DuckDBPyConnection,
) -> None:
    shared = [one["name"] for one in LAYER["metrics"]]
    made = con.execute(f"from ({model('kpi_yearly')}) order by scope desc, category").pl()
    same = [name for name in shared if name in made.columns]
    assert {"fill_rate", "otif_share", "turns", "gmroi", "revenue"} <= set(same)
    wanted = ", ".join(f"{in_layer(name)} as {name}" for name in same)
    asked = con.execute(f"""select {wanted} from kpi_weekly
        join dim_item_locations using (item_id, location_id)
        group by grouping sets ((category), ())
        order by grouping(category) desc, category""").pl()
    for name in same:
        assert made[name].to_list() == pytest.approx(asked[name].to_list()), name
    items = con.execute(f"select gmroi from ({model('kpi_gmroi')}) order by item_id").fetchall()
    by_item = f"select {in_layer('gmroi')} from kpi_weekly group by item_id order by item_id"
    assert items == pytest.approx(con.execute(by_item).fetchall())
    weekly = con.execute(f"select otif_share from ({model('kpi_company_weekly')}) order by 1")
    by_week = f"select {in_layer('otif_share')} from kpi_weekly group by week_start order by 1"
    assert weekly.fetchall() == pytest.approx(con.execute(by_week).fetchall())


def test_a_formula_gives_the_same_on_the_dashboard_as_code(con: duckdb.DuckDBPyConnection) -> None:
    board = yaml.safe_load(SUPERSET.read_text(encoding="utf-8"))["metrics"]
    assert len(board) > 5
    for one in board:
        name = CALLED.get(one["metric_name"], one["metric_name"])
        asked = con.execute(f"select {in_layer(name)}, {one['expression']} from kpi_weekly")
        ours, drawn = asked.fetchone() or (0, 1)
        assert drawn == (None if ours is None else pytest.approx(ours)), name


def test_the_days_of_a_year_stand_in_one_place() -> None:
    written = [
        path.relative_to(DBT).as_posix()
        for path in [*DBT.rglob("models/**/*.sql"), *DBT.rglob("models/**/*.yml")]
        if str(VARS["days_a_year"]) in path.read_text(encoding="utf-8")
    ]
    assert written == []
