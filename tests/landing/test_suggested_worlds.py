"""`check --suggest` on files nobody prepared: how many of ten public data sets run as drafted, and
what is asked instead of guessed."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from orchestration.landing import ContractError, World, check, suggest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
#: Ten public data sets: the folder below ../shared/data and the files somebody would name.
PUBLIC = {
    "uci_online_retail": ["by-day.tar.gz"],
    "scms": ["SCMS_Delivery_History_Dataset.csv"],
    "rossmann": ["train_full.parquet", "store.csv", "store_states.csv"],
    "walmart_weekly": ["train.parquet", "stores.csv", "features.csv"],
    "m5": ["sales_daily_d1495_d1941.parquet", "calendar.csv", "sell_prices.parquet"],
    "vn2_history": ["sales.csv", "in_stock.csv", "master.csv", "initial_state.csv"],
    "favorita_weekly": ["weekly_sales_long.parquet"],
    "supplygraph/raw/Homogenoeus/Temporal Data/Unit": [
        "Delivery To distributor.csv",
        "Factory Issue.csv",
        "Production .csv",
        "Sales Order.csv",
    ],
    "willems": ["willems_01.csv"],
    "inventory_theory": ["zipkin2008_poisson.csv"],
}


def runs(folder: Path, draft: str, scratch: Path) -> bool:
    """Whether a draft loads as it is, and orders can be made of it."""
    (scratch / "world.yml").write_text(draft, encoding="utf-8")
    try:
        found = check(World.load(scratch), folder)
    except ContractError:
        return False
    plan = next(finding.message for finding in found if finding.kind == "plan")
    return plan.startswith("orders by") and not any(finding.is_error for finding in found)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data sets are not here")
def test_six_of_ten_public_data_sets_run_as_drafted(tmp_path: Path) -> None:
    whole = set()
    for folder, files in PUBLIC.items():
        place = SHARED / folder
        if runs(place, suggest([place / name for name in files]), tmp_path):
            whole.add(folder.split("/")[0])
    expected = {"uci_online_retail", "rossmann", "walmart_weekly", "m5", "vn2_history"}
    assert whole == expected | {"supplygraph"}


def drafted(folder: Path, **files: str) -> str:
    paths = []
    for name, content in files.items():
        paths.append(folder / f"{name}.csv")
        paths[-1].write_text(content, encoding="utf-8")
    return suggest(paths)


def test_a_column_for_each_day_is_unpivoted(tmp_path: Path) -> None:
    days = [f"2024-01-{day:02d}" for day in range(1, 29)]
    sheet = ",".join(["Store", "SKU", *days]) + "\n" + ",".join(["n", "a", *"1" * 28]) + "\n"
    sheet += ",".join(["n", "b", *"2" * 28]) + "\n"
    draft = drafted(tmp_path, sales=sheet)
    assert "unpivot: {keep: [Store, SKU], name: day, value: quantity}" in draft
    assert runs(tmp_path, draft, tmp_path)


def test_totals_of_one_weekday_make_a_weekly_plan_and_a_question(tmp_path: Path) -> None:
    rows = "".join(f"n,a,2024-01-{day:02d},{day}\n" for day in (1, 8, 15, 22))
    draft = drafted(tmp_path, sales="store,sku,date,qty\n" + rows)
    assert "grain: week, week_starts_on: monday" in draft
    assert "every sale is of a monday" in draft
    assert "known_after: 7 days" in draft
    assert runs(tmp_path, draft, tmp_path)


def test_a_sample_of_one_shop_makes_no_key_without_the_shop(tmp_path: Path) -> None:
    rows = "".join(f"n,a{i},2024-01-01,1\n" for i in range(9))
    draft = drafted(tmp_path, sales="store,sku,date,qty\n" + rows)
    assert "key: [sku, store, date]" in draft


def test_what_no_column_says_is_one_thing_and_asked(tmp_path: Path) -> None:
    draft = drafted(tmp_path, sales="date,qty\n2024-01-01,1\n2024-01-02,2\n")
    assert "item_id: \"'all'\"   # no column says which, so all are one" in draft
    assert runs(tmp_path, draft, tmp_path)


def test_a_second_source_of_sales_waits_for_an_answer(tmp_path: Path) -> None:
    rows = "store,sku,date,qty\nn,a,2024-01-01,1\nn,b,2024-01-03,1\n"
    draft = drafted(tmp_path, shipped=rows, sales=rows)
    assert "# shipped.csv is not loaded: are these other sales than those of sales.csv?" in draft
    assert list(World.load(_kept(tmp_path, draft)).sources) == ["sales"]


def test_a_file_with_an_open_question_waits_beside_those_that_can_be_loaded(
    tmp_path: Path,
) -> None:
    sales = "store,sku,date,qty\nn,a,2024-01-01,1\nn,b,2024-01-03,1\n"
    draft = drafted(tmp_path, sales=sales, price_list="sku,price\na,2\nb,3\n")
    assert "# price_list.csv is not loaded until somebody says: event_at" in draft
    assert runs(tmp_path, draft, tmp_path)


def test_an_archive_is_drafted_by_what_is_in_it(tmp_path: Path) -> None:
    content = b"store,sku,date,qty\nn,a,2024-01-01,1\nn,b,2024-01-03,1\n"
    with tarfile.open(tmp_path / "sales.tar.gz", "w:gz") as packed:
        for name in ("days/._1.csv", "days/1.csv"):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    draft = suggest([tmp_path / "sales.tar.gz"])
    assert "sales.tar.gz!days/*.csv" in draft
    assert runs(tmp_path, draft, tmp_path)


def _kept(folder: Path, draft: str) -> Path:
    (folder / "world.yml").write_text(draft, encoding="utf-8")
    return folder
