"""A promise is for a local day: features, metrics and a plain calendar agree on who was late, in
every time zone and over summer time."""

from __future__ import annotations

import math
import random
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from warehouses import Row, build, make_warehouse, query

from models.lead_time_survival import survival
from orchestration.facts.timeline import DAYS_A_PERIOD, DAYS_A_YEAR, day_ending_at, midnight

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"

START = date(2024, 2, 20)  # both clocks change within the weeks that follow
SUPPLIERS = ("acme", "bolt")


def moment(day: date, zone: str, hour: float = 0.0) -> datetime:
    """The UTC time, without zone, of an hour of a local day."""
    local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)) + timedelta(hours=hour)
    return local.astimezone(UTC).replace(tzinfo=None)


def company(
    path: Path, zone: str, today: date
) -> tuple[Path, dict[str, list[tuple[date, date, date | None]]]]:
    """Orders due on days, received at hours of days, and what a clerk with a calendar notes:
    (ordered, promised, received)."""
    chance = random.Random(zone)
    notes: dict[str, list[tuple[date, date, date | None]]] = {name: [] for name in SUPPLIERS}
    orders: list[Row] = []
    receipts: list[Row] = []
    for number in range(60):
        ordered = START + timedelta(days=chance.randrange(45))
        promised = ordered + timedelta(days=chance.randrange(1, 9))
        received = promised + timedelta(days=chance.choice((-1, 0, 0, 0, 1, 2)))
        supplier = chance.choice(SUPPLIERS)
        key: Row = {
            "order_id": f"p{number}",
            "line_id": "1",
            "item_id": "cup",
            "location_id": "shop",
            "supplier_id": supplier,
        }
        orders.append(
            key
            | {"quantity": 5.0, "event_at": moment(ordered, zone), "due_at": moment(promised, zone)}
        )
        is_in = received < today
        if is_in:
            receipts.append(
                key
                | {"quantity": 5.0, "event_at": moment(received, zone, chance.uniform(0.1, 22.9))}
            )
        notes[supplier].append((ordered, promised, received if is_in else None))
    before = {"known_at": moment(START - timedelta(days=30), zone)}
    tables: dict[str, list[Row]] = {
        "items": [{"item_id": "cup", **before}],
        "locations": [{"location_id": "shop", **before}],
        "suppliers": [{"supplier_id": name, **before} for name in SUPPLIERS],
        "sales": [
            {
                "item_id": "cup",
                "location_id": "shop",
                "quantity": 1.0,
                "event_at": moment(START, zone, 10),
            }
        ],
        "purchase_orders": orders,
        "receipts": receipts,
    }
    return make_warehouse(path, {"now_at": moment(today, zone), "timezone": zone}, tables), notes


#: Suppliers whose metric is another than the feature served now (whose open lines are as old as
#: when something last changed).
DIFFERING = """
with served as (
    select *, row_number() over (partition by supplier_id order by event_at desc) as newest
    from features.feat_supplier_lead_times
)
select kept.supplier_id
from metrics.kpi_supplier_performance as kept
full join (select * from served where newest = 1) as served using (supplier_id)
where (1 - kept.otif_share)::float is distinct from served.late_share
    or kept.open_lines is distinct from served.open_order_count
"""


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "Europe/London"])
def test_lateness_is_the_same_in_the_mart_the_feature_and_the_metric(
    zone: str, tmp_path: Path
) -> None:
    today = START + timedelta(days=50)
    warehouse, notes = company(tmp_path / "warehouse.duckdb", zone, today)
    build(warehouse, "+kpi_supplier_performance +feat_supplier_lead_times", "run")
    lines = query(
        warehouse,
        (
            "select from_id, ordered_on, promised_on, received_on, promised_days, actual_days from "
            "marts.fct_lead_times"
        ),
    )
    assert sorted((name, *days) for name, *days, _, _ in lines) == sorted(
        (name, *line) for name in SUPPLIERS for line in notes[name]
    )
    for _, ordered, promised, received, promised_days, actual_days in lines:
        assert (promised_days, actual_days) == (
            (promised - ordered).days,
            ((received or today) - ordered).days,
        )
    kpi = dict(
        query(warehouse, "select supplier_id, otif_share from metrics.kpi_supplier_performance")
    )
    served = (
        "select supplier_id, max_by(late_share, event_at) from features.feat_supplier_lead_times "
        "group by all"
    )
    late = dict(query(warehouse, served))
    assert query(warehouse, DIFFERING) == [], "the scorecard and the served feature are one"
    times = "select supplier_id, lead_time_mean_days, lead_time_p90_days from metrics.kpi_supplier_performance"
    for name, mean_days, p90_days in query(warehouse, times):
        waits = survival(
            np.array(
                [((received or today) - ordered).days for ordered, _, received in notes[name]]
            ),
            np.array([received is None for _, _, received in notes[name]]),
        )  # as the ledger's own scorecard reckons
        assert mean_days == pytest.approx(waits.mean_days)
        assert p90_days == waits.quantile(0.9)
    for name in SUPPLIERS:
        due = [(promised, received) for _, promised, received in notes[name] if promised < today]
        on_time = sum(
            received is not None and received <= promised for promised, received in due
        ) / len(due)
        assert 0 < on_time < 1, "the case has both kinds"
        assert kpi[name] == pytest.approx(on_time)
        assert late[name] == pytest.approx(1 - on_time, abs=1e-6)


def test_a_period_has_as_many_days_in_the_marts_as_in_the_plan() -> None:
    settings = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))
    assert settings["vars"]["days_a_year"] == DAYS_A_YEAR
    macro = (
        (PROJECT / "macros" / "clock.sql")
        .read_text(encoding="utf-8")
        .partition("macro days_a_period")[2]
        .replace("{{ days_a_year() }}", str(DAYS_A_YEAR))
    )
    with duckdb.connect() as con:
        for grain, days in DAYS_A_PERIOD.items():
            (said,) = re.findall(
                rf"when '{grain}' then ([\d./ ]+\d)", macro.partition("endmacro")[0]
            )
            assert con.execute(f"select {said}").fetchone() == (pytest.approx(days),)
    assert math.ceil(91.3 / DAYS_A_PERIOD["month"]) == 3, "a quarter is three months"


def test_the_length_of_a_year_is_written_once() -> None:
    written = [
        f"{path.relative_to(PROJECT)}:{number}"
        for path in sorted(PROJECT.glob("m*/**/*.sql"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(r"\b36[456](\.25)?\b", line) and path.name != "demand_features.sql"
    ]  # a 364 there is the name of a lag
    assert written == ["macros/metrics.sql:5"]


@given(
    day=st.dates(date(1995, 1, 1), date(2035, 12, 31)),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
)
def test_a_now_says_as_of_which_day_it_is(day: date, zone: str) -> None:
    """The day whose end was asked for comes back from the Now it became, also through summer time;
    a Now that the data gave is no day's end."""
    now = midnight(day + timedelta(days=1), zone).replace(tzinfo=None)
    assert day_ending_at(now, zone) == day
    assert day_ending_at(now + timedelta(microseconds=1), zone) is None
    assert day_ending_at(now - timedelta(hours=2), zone) is None
