"""Small parts of public worlds, cut so that the whole line runs on them in seconds: real demand,
real dirt, few items."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import polars as pl

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"


def vn2(folder: Path, rows: int = 60) -> Path:
    """VN2 with its first so many store-products; returns the folder of world and data."""
    shutil.copy(ROOT / "tests" / "worlds" / "vn2" / "world.yml", folder / "world.yml")
    names = ("sales", "in_stock", "master", "initial_state")
    frames = {
        name: pl.read_csv(SHARED / "vn2_history" / f"{name}.csv", infer_schema=False)
        for name in names
    }
    kept = frames["initial_state"].select("Store", "Product").head(rows)
    for name, frame in frames.items():
        frame.join(kept, on=["Store", "Product"], how="semi", maintain_order="left").write_csv(
            folder / f"{name}.csv"
        )
    return folder


def uci(folder: Path, days: int = 150, codes: int = 40) -> Path:
    """The last days of UCI Online Retail with the lines of its most sold codes; returns the folder
    of world and data."""
    shutil.copy(ROOT / "tests" / "worlds" / "uci" / "world.yml", folder / "world.yml")
    with tarfile.open(SHARED / "uci_online_retail" / "by-day.tar.gz") as archive:
        names = sorted(name for name in archive.getnames() if name.endswith(".csv"))[-days:]
        files = {name: archive.extractfile(name) for name in names}
        drops = {
            name: pl.read_csv(file.read(), infer_schema=False)
            for name, file in files.items()
            if file
        }
    sold = (
        pl.concat(drops.values())
        .group_by("StockCode")
        .len()
        .sort("len", "StockCode", descending=True)
    )
    kept = sold.head(codes)["StockCode"].implode()
    with tarfile.open(folder / "by-day.tar.gz", "w:gz") as archive:
        for name, frame in drops.items():
            content = frame.filter(pl.col("StockCode").is_in(kept)).write_csv().encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return folder
