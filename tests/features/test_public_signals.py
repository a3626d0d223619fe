"""Real signals reach the same features through the worlds' contracts, each from the moment it could
be known and not before."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import pytest
from feast import FeatureStore

from feature_repo.store import open_store
from orchestration.landing import World

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
BERLIN = ZoneInfo("Europe/Berlin")
MINUTE = timedelta(minutes=1)
pytestmark = [pytest.mark.shared, pytest.mark.xdist_group("public_signals")]


def featured(world: str, folder: Path, sales: str, few: str) -> FeatureStore:
    """The world's feature store: every signal as delivered, and of the sales only those that `few`
    (SQL) picks."""
    data = folder / "data"
    # landing follows no link out of the data folder
    shutil.copytree(SHARED / world, data, ignore=shutil.ignore_patterns(sales))
    with duckdb.connect() as con:
        con.execute(
            f"copy (from '{SHARED / world / sales}' where {few}) to '{data / sales}' (format "
            "parquet)"
        )
    contract = ROOT / "tests" / "worlds" / world.removesuffix("_weekly")
    command = [
        str(Path(sys.executable).with_name("stockhouse")),
        "run",
        str(contract),
        "--data",
        str(data),
        "--home",
        str(folder / "home"),
    ]
    done = subprocess.run(
        [*command, "--until", "features"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return open_store(
        folder / "home" / "derived" / "warehouse.duckdb", folder / "home" / "derived" / "features"
    )


def known(
    store: FeatureStore, features: list[str], at: datetime, **keys: list[str]
) -> pl.DataFrame:
    """The features of the keys as known at one moment."""
    rows = pl.DataFrame(keys).with_columns(
        event_timestamp=pl.lit(at.astimezone(UTC)).cast(pl.Datetime("us", "UTC"))
    )
    return pl.DataFrame(store.get_historical_features(rows.to_arrow(), features).to_arrow()).drop(
        "event_timestamp"
    )


@pytest.fixture(scope="module")
def rossmann(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    few = "Store in (1, 2, 3, 400) and Date between date '2015-01-01' and date '2015-06-30'"
    return featured("rossmann", tmp_path_factory.mktemp("rossmann"), "train_full.parquet", few)


@pytest.fixture(scope="module")
def walmart(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    few = "Store in (1, 2, 45) and Dept in (1, 2) and Date >= date '2012-01-01'"
    return featured("walmart_weekly", tmp_path_factory.mktemp("walmart"), "train.parquet", few)


def test_the_weather_of_sixteen_states_is_known_when_its_day_has_ended(
    rossmann: FeatureStore,
) -> None:
    states = World.load(ROOT / "tests" / "worlds" / "rossmann").functions["state"]
    regions = sorted(states.values())
    assert len(regions) == 16
    for day in (date(2015, 3, 10), date(2015, 5, 2)):  # in winter and in summer time
        measured = {
            states[path.stem]: float(row["Mean_TemperatureC"])
            for path in (SHARED / "rossmann" / "weather").glob("*.csv")
            for row in pl.read_csv(path, separator=";", infer_schema=False)
            .filter(pl.col("Date") == str(day))
            .iter_rows(named=True)
        }
        midnight = datetime.combine(day + timedelta(days=1), datetime.min.time(), BERLIN)
        after = known(rossmann, ["region_signals:signal_weather"], midnight, region_id=regions)
        assert dict(after.rows()) == measured
        before = known(
            rossmann, ["region_signals:signal_weather"], midnight - MINUTE, region_id=regions
        )
        assert dict(before.rows()) != measured


def test_search_interest_of_fourteen_regions_is_known_when_its_week_has_ended(
    rossmann: FeatureStore,
) -> None:
    asked = {}
    for path in (SHARED / "rossmann" / "googletrend").glob("*.csv"):
        weeks = pl.read_csv(path, skip_rows=1, has_header=False, new_columns=["week", "interest"])
        first = {week[:10]: float(interest) for week, interest in weeks.rows()}
        asked[path.stem.removeprefix("Rossmann_DE_").removeprefix("Rossmann_")] = (
            first["2015-03-01"],
            first["2015-03-08"],
        )
    assert len(asked) == 14
    midnight = datetime(2015, 3, 15, tzinfo=BERLIN)
    for moment, place in ((midnight - MINUTE, 0), (midnight, 1)):
        told = known(
            rossmann, ["region_signals:signal_search_interest"], moment, region_id=sorted(asked)
        )
        assert dict(told.rows()) == {region: weeks[place] for region, weeks in asked.items()}


def test_a_competitors_distance_is_known_from_the_month_it_opens(rossmann: FeatureStore) -> None:
    stores = pl.read_csv(SHARED / "rossmann" / "store.csv", infer_schema=False, null_values=[""])
    opened = stores.filter(
        (pl.col("CompetitionOpenSinceYear") == "2015")
        & pl.col("CompetitionOpenSinceMonth").is_in(["2", "3", "4"])
    )
    assert len(opened) > 10
    ids = opened["Store"].to_list()
    for month in (1, 5):
        told = known(
            rossmann,
            ["location_signals:competitor_distance_m"],
            datetime(2015, month, 15, tzinfo=BERLIN),
            location_id=ids,
        )
        distances = opened["CompetitionDistance"].cast(pl.Float64).to_list()
        assert told["competitor_distance_m"].to_list() == (
            [None] * len(ids) if month == 1 else distances
        )
    old = stores.filter(pl.col("CompetitionOpenSinceYear").cast(pl.Int32) < 2015)
    told = known(
        rossmann,
        ["location_signals:competitor_distance_m"],
        datetime(2015, 1, 15, tzinfo=BERLIN),
        location_id=old["Store"].to_list(),
    )
    assert (
        told["competitor_distance_m"].to_list()
        == old["CompetitionDistance"].cast(pl.Float64).to_list()
    )


def test_each_walmart_stores_temperature_and_fuel_price_are_known_when_the_week_has_ended(
    walmart: FeatureStore,
) -> None:
    said = pl.read_csv(SHARED / "walmart_weekly" / "features.csv", infer_schema=False)
    features = ["region_signals:signal_weather", "region_signals:signal_fuel_price"]
    stores = sorted(said["Store"].unique())
    ended = datetime(2012, 3, 10, tzinfo=UTC)  # the week of Friday 9 March
    for moment, friday in ((ended - MINUTE, "2012-03-02"), (ended, "2012-03-09")):
        week = (
            said.filter(pl.col("Date") == friday)
            .sort("Store")
            .select(pl.col("Temperature", "Fuel_Price").cast(pl.Float32))
        )
        assert (
            known(walmart, features, moment, region_id=stores)
            .sort("region_id")
            .drop("region_id")
            .rows()
            == week.rows()
        )


def test_walmarts_monthly_figures_are_known_after_they_could_be_published(
    walmart: FeatureStore,
) -> None:
    said = pl.read_csv(SHARED / "walmart_weekly" / "features.csv", infer_schema=False).filter(
        pl.col("Store") == "1"
    )
    features = ["region_signals:signal_consumer_confidence", "region_signals:signal_unemployment"]
    moment = datetime(2012, 6, 1, tzinfo=UTC)
    last = (
        said.filter(
            pl.col("Date").str.to_date() - timedelta(days=6) <= (moment - timedelta(days=75)).date()
        )
        .sort("Date")
        .tail(1)
    )
    expected = last.select(pl.col("CPI", "Unemployment").cast(pl.Float32)).row(0)
    assert known(walmart, features, moment, region_id=["1"]).drop("region_id").row(0) == expected
    assert last["Date"].item() == "2012-03-23"


def planned(store: FeatureStore, feature: str, week: date, moment: datetime) -> int | None:
    """What was known at a moment to be planned in a week for department 1 of store 1."""
    rows = pl.DataFrame({"item_id": ["1"], "location_id": ["1"], "target_on": [week]})
    asked = rows.with_columns(event_timestamp=pl.lit(moment).cast(pl.Datetime("us", "UTC")))
    answer = store.get_historical_features(asked.to_arrow(), [f"plan_at_target:{feature}"])
    return pl.DataFrame(answer.to_arrow())[feature].item()


def test_a_markdown_is_a_promotion_known_when_its_week_begins(walmart: FeatureStore) -> None:
    said = pl.read_csv(SHARED / "walmart_weekly" / "features.csv", infer_schema=False)
    week = said.filter((pl.col("Store") == "1") & (pl.col("Date") == "2012-03-09"))
    count = sum(week[f"MarkDown{k}"].item() != "NA" for k in range(1, 6))
    assert count
    begins = datetime(2012, 3, 3, tzinfo=UTC)
    for moment, expected in ((begins - MINUTE, None), (begins, count)):
        assert planned(walmart, "promotion_count", begins.date(), moment) == expected


def test_a_week_with_a_holiday_has_one_event_and_is_known_a_year_before(
    walmart: FeatureStore,
) -> None:
    begins = datetime(2012, 9, 1, tzinfo=UTC)  # the week of Labor Day, which ends on 7 September
    known = begins - timedelta(days=365)
    for moment, expected in ((known - MINUTE, None), (known, 1), (begins, 1)):
        assert planned(walmart, "event_count", begins.date(), moment) == expected
    after = begins + timedelta(days=7)
    assert not planned(walmart, "event_count", after.date(), begins)
