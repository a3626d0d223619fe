"""The kill drill: `python tests/landing/drill_landing.py [kills] [seed]` ends landings at named
moments and proves nothing was lost.

Each round lands the same drops in a fresh home, killed (as by kill -9) at a fail point drawn from
the seed, again and again until a landing ends by itself; the result must equal that of a landing
nobody disturbed. One line a round says how to replay it.
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from orchestration.home import Home, HomeError
from orchestration.landing import ContractError, LandReport, World, land, reland, table_hashes
from orchestration.landing.load.failpoints import POINTS, VARIABLE

ROOT = Path(__file__).resolve().parents[2]
DROPS = 4
CONTRACT = """
world: shop
currency: EUR
plan: {grain: day, review: weekly, absent_sales: zero, lead_time_days: 7}
sources:
  tills:
    silo: pos
    path: tills/*.csv
    key: [till, line]
    known_after: 1 day
    skip: {gift: price = '0'}
    into:
      - sales: {item_id: item, location_id: store, event_at: day, quantity: qty, unit_price: price}
  master: {silo: erp, path: items.csv, key: [item], known_at: date '2024-01-01', into: [items: {item_id: item, name: name}]}
"""


def write_company(folder: Path) -> None:
    """Four overlapping drops and a master: repeats, a skipped and a bad row."""
    (folder / "data" / "tills").mkdir(parents=True)
    (folder / "data" / "world.yml").write_text(CONTRACT)
    for day in range(1, DROPS + 1):
        lines = [
            f"T{d},{n},apple,north,2024-03-0{d},{n},1.50"
            for d in range(max(day - 1, 1), day + 1)
            for n in (1, 2)
        ]
        lines += [
            f"T{day},8,pear,north,2024-03-0{day},1,0",
            f"T{day},9,pear,north,2024-03-0{day},many,1",
        ]
        (folder / "data" / "tills" / f"{day}.csv").write_text(
            "till,line,item,store,day,qty,price\n" + "\n".join(lines) + "\n"
        )
    (folder / "data" / "items.csv").write_text("item,name\napple,Apple\npear,Pear\n")


def land_in_child(
    folder: Path, point: str | None, room: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Land `folder` in a process of its own; its status is -9 where it was killed.

    room: no file may grow beyond so many bytes, as on a full disk.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop(VARIABLE, None)
    if point is not None:
        environment[VARIABLE] = point
    bound = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))) if room else None
    return subprocess.run(
        [sys.executable, __file__, "--land", str(folder)],
        env=environment,
        check=False,
        cwd=ROOT,
        preexec_fn=bound,
        capture_output=True,
        text=True,
    )


def land_here(folder: Path) -> LandReport:
    """Land `folder` in this process."""
    home = Home.found(folder / "home", "shop")
    with home.connect() as con:
        return land(con, World.load(folder / "data"), folder / "data", home.archive)


def undisturbed(folder: Path) -> dict[str, str]:
    """The table hashes of a landing that nobody killed."""
    write_company(folder)
    land_here(folder)
    with Home.open(folder / "home").connect() as con:
        return table_hashes(con)


def check_survivor(folder: Path, expected: dict[str, str], said: str) -> None:
    """Nothing lost, nothing double: equal tables, each delivery once, nothing left to land, and a
    rebuild gives the same again."""
    assert land_here(folder).new_deliveries == 0, said
    home = Home.open(folder / "home")
    with home.connect() as con:
        assert table_hashes(con) == expected, f"{said}: tables differ"
        counted = con.execute(
            "SELECT count(*), count(DISTINCT (source_id, delivery)) FROM raw.manifest"
        ).fetchone()
        assert counted == (DROPS + 1, DROPS + 1), f"{said}: the manifest has {counted}"
        reland(con, World.load(folder / "data"), home.archive)
        assert table_hashes(con) == expected, f"{said}: a rebuild differs"


def round_of_kills(folder: Path, seed: int, expected: dict[str, str]) -> list[str]:
    """Kill landings at moments drawn from the seed, then let one finish; returns the moments."""
    chance = random.Random(seed)
    write_company(folder)
    kills: list[str] = []
    for _ in range(chance.randint(1, 3)):
        point = f"{chance.choice(POINTS)}:{chance.randint(1, 2)}"
        if land_in_child(folder, point).returncode == 0:
            break
        kills.append(point)
    assert land_in_child(folder, None).returncode == 0
    check_survivor(folder, expected, f"seed {seed} after {kills}")
    return kills


def drill(kills: int, seed: int) -> int:
    """Run rounds until so many landings were killed; returns how many were."""
    done = 0
    with tempfile.TemporaryDirectory(prefix="stockhouse-drill-") as scratch:
        expected = undisturbed(Path(scratch) / "undisturbed")
        while done < kills:
            moments = round_of_kills(Path(scratch) / str(seed), seed, expected)
            done += len(moments)
            print(
                f"seed {seed}: killed at {', '.join(moments) or 'no moment'}; nothing lost, "
                f"nothing twice ({done} of {kills})",
                flush=True,
            )
            seed += 1
    return done


if __name__ == "__main__":
    if sys.argv[1:2] == ["--land"]:
        try:
            land_here(Path(sys.argv[2]))
        except (ContractError, HomeError, OSError) as error:
            sys.exit(str(error))
    else:
        drill(int(sys.argv[1]) if sys.argv[1:] else 200, int(sys.argv[2]) if sys.argv[2:] else 1)
