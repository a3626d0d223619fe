"""A home that lived through its days says what one says that was made on the last of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import slices

from orchestration.home.sql import quote, table_hash

ROOT = Path(__file__).resolve().parents[2]
#: A world of real demand, and the days on which its home is run, the last one last: night after
#: night, after some days of rest, and once as of a day before.
WORLDS: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "uci": (slices.uci, ("2011-12-01", "2011-12-02", "2011-12-05", "2011-12-03", "2011-12-06")),
    "vn2": (slices.vn2, ("2024-03-18", "2024-03-25", "2024-04-15")),
}


@pytest.mark.long
@pytest.mark.line
@pytest.mark.parametrize("world", WORLDS)
def test_a_home_that_grew_says_what_a_new_one_does(
    world: str, tmp_path: Path, command: Callable[..., Any]
) -> None:
    if not slices.SHARED.is_dir():
        pytest.skip("no public data beside this checkout")
    make, days = WORLDS[world]
    (folder := tmp_path / "world").mkdir()
    contract = make(folder) / "world.yml"
    grown, new = tmp_path / "grown", tmp_path / "new"

    def run(home: Path, day: str) -> None:
        where = ("--data", folder, "--home", home)
        command("run", contract, *where, "--as-of", day, "--until", "features")

    for day in days:
        run(grown, day)
    run(new, days[-1])
    told = tables(grown)
    assert told == tables(new)
    assert told["features.feat_demand"][0] > 1_000


def tables(home: Path) -> dict[str, tuple[int, int]]:
    """By table of the marts and of the features, its rows and a hash of what they say."""
    with duckdb.connect(str(home / "derived" / "warehouse.duckdb"), read_only=True) as con:
        named = con.execute(
            "select schema_name, table_name from duckdb_tables() "
            "where schema_name in ('marts', 'features')"
        ).fetchall()
        return {
            f"{schema}.{name}": table_hash(con, f"{quote(schema)}.{quote(name)}")
            for schema, name in named
        }
