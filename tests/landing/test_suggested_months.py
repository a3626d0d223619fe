"""`check --suggest` on a folder as people keep it: a file a month, one of them with a column more."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.landing import ContractError, World, check, suggest
from tests.landing.company import Company

MONTHS = {
    "2024-01": "Bon;Artikel;Filiale;Datum;Menge\n1;Kurbel groß;Mitte;02.01.2024;3\n",
    "2024-02": "Bon;Artikel;Filiale;Datum;Menge\n2;Kette;Mitte;05.02.2024;1\n",
    "2024-03": "Bon;Artikel;Filiale;Datum;Menge;Zahlart\n3;Kette;Mitte;04.03.2024;2;bar\n",
}


def shop(folder: Path, encoding: str = "windows-1252") -> Path:
    (folder / "kasse").mkdir(parents=True)
    for month, text in MONTHS.items():
        lines = text + text.splitlines()[1].replace(";Mitte", ";Nord").replace("1;", "10;", 1)
        (folder / f"kasse/verkauf_{month}.csv").write_bytes((lines + "\n").encode(encoding))
    orders = "po no,pos,vendor,sku,ship to,qty open,ordered,expected\n"
    for line in ("7,1,Velo,Kette,Mitte,100", "7,2,Velo,Kurbel,Mitte,20"):
        orders += f"{line},2024-02-20,2024-03-09\n"
    (folder / "open_po.csv").write_text(orders, encoding="utf-8")
    counts = (
        "shop,sku,counted,date\nMitte,Kette,60,2024-03-04 20:30\nNord,Kette,8,2024-03-04 20:30\n"
    )
    (folder / "count_2024-03-04.csv").write_text(counts, encoding="utf-8")
    (folder / "~$terms.xlsx").write_bytes(b"left by a program")
    return folder


def test_a_folder_is_drafted_as_it_lies_with_the_months_as_one_source(tmp_path: Path) -> None:
    folder = shop(tmp_path / "shop")
    draft = suggest([folder])
    (folder / "world.yml").write_text(draft, encoding="utf-8")
    world = World.load(folder)
    assert {name: source.path for name, source in world.sources.items()} == {
        "count_2024-03-04": "count_2024-03-04.csv",
        "verkauf": "kasse/verkauf_*.csv",
        "open_po": "open_po.csv",
    }
    assert world.sources["verkauf"].drift == "evolve"
    assert world.sources["open_po"].key == ["po no", "pos"]
    assert suggest([folder]) == draft, "a contract beside the files is none of them"
    found = [finding for finding in check(world, folder) if finding.is_error]
    assert found == []


def test_the_drafted_folder_loads_every_row_and_every_letter(tmp_path: Path) -> None:
    company = Company(tmp_path)
    shop(company.data)
    (company.data / "world.yml").write_text(suggest([company.data]), encoding="utf-8")
    try:
        company.land()
        sold = company.rows("SELECT item_id, location_id, quantity FROM raw.sales ORDER BY ALL")
        assert len(sold) == 6 and ("Kurbel groß", "Mitte", 3) in sold
        assert company.rows("SELECT count(*) FROM raw.purchase_orders") == [(2,)]
        assert company.rows("SELECT count(*) FROM raw.stock") == [(2,)]
    finally:
        company.con.close()


def test_months_in_two_encodings_stay_two_sources(tmp_path: Path) -> None:
    folder = shop(tmp_path / "shop")
    other = MONTHS["2024-01"].encode("utf-8")
    (folder / "kasse/verkauf_2023-12.csv").write_bytes(other)
    assert "verkauf_*" not in suggest([folder])


def test_an_empty_folder_says_that_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="no files to look at"):
        suggest([tmp_path])
