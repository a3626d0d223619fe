"""Everything a home can show, in one folder that opens from disk: `stockhouse docs`.

HOME/derived/docs/index.html, dashboard.html, reference.html (contract, columns, commands, metrics),
dbt.html (every table and column, with its lineage), gates/ (every law and who breaks it)
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path

from orchestration.facts.published_snapshots import Snapshot, current
from orchestration.home import Home, HomeError, files
from orchestration.reports.dashboard import write_dashboard
from orchestration.reports.dashboard.reference import Command, write_reference

DBT = Path(__file__).resolve().parents[3] / "dbt_project"
STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
body { max-width: 720px; margin: 48px auto; padding: 0 24px; }
h1 { font-size: 24px; margin: 0 0 4px; } p { margin: 0 0 28px; opacity: .7; }
a { display: block; padding: 14px 18px; margin: 12px 0; }
a { border: 1px solid #8886; border-radius: 8px; }
a { color: inherit; text-decoration: none; }
a:hover { border-color: #2a6fb5; } b { display: block; } span { opacity: .7; }
"""


def write_site(home: Home, commands: Sequence[Command]) -> Path:
    """Build the pages of a home that has been run up to publish; returns the index. Nothing on them
    is fetched from anywhere.

    commands: what the command line offers, for the reference. Raises PublishError before the first
    snapshot, and HomeError with dbt's own words where its pages cannot be made.
    """
    snapshot = current(home.published)
    site = home.derived / "docs"
    with files.replacing(site) as aside:
        aside.mkdir()
        _write_pages(home, snapshot, aside, commands)
    return site / "index.html"


def _write_pages(home: Home, snapshot: Snapshot, aside: Path, commands: Sequence[Command]) -> None:
    write_dashboard(snapshot.path, aside / "dashboard.html")
    manifest = _write_dbt_docs(home, aside / "dbt.html")
    write_reference(aside / "reference.html", manifest, commands)
    gates = sorted(
        folder.name for folder in home.data_docs.iterdir() if (folder / "index.html").exists()
    )
    shutil.copytree(home.data_docs, aside / "gates")
    links = [
        (
            "dashboard.html",
            "Dashboard",
            "What to order, what it rests on, and what needs a person.",
        ),
        (
            "reference.html",
            "Reference",
            "Words of world.yml, columns that may be mapped, commands, variables, metrics.",
        ),
        (
            "dbt.html",
            "The source of truth",
            "Every table and column with its meaning, its tests and its lineage (dbt docs).",
        ),
        *(
            (
                f"gates/{gate}/index.html",
                f"Gate {gate}",
                "Every law, and the rows that break one (Data Docs).",
            )
            for gate in gates
        ),
    ]
    cards = "".join(
        f'<a href="{escape(to)}"><b>{escape(name)}</b><span>{escape(what)}</span></a>'
        for to, name, what in links
    )
    world = escape(home.owner or "")
    (aside / "index.html").write_text(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{world} · '
        f"Stockhouse</title><style>{STYLE}</style></head>"
        f"<body><h1>{world}</h1><p>Snapshot {snapshot.version}, published "
        f"{escape(snapshot.published_at)} UTC</p>{cards}</body></html>",
        encoding="utf-8",
    )


def _write_dbt_docs(home: Home, target: Path) -> Path:
    """dbt's own pages as one file, with the catalogue of this home's warehouse inside; returns
    dbt's manifest."""
    scratch = home.derived / "dbt"
    command = [
        str(Path(sys.executable).with_name("stockhouse-dbt")),
        "--quiet",
        "--no-use-colors",
        "docs",
        "generate",
        "--static",
        "--project-dir",
        str(DBT),
        "--profiles-dir",
        str(DBT),
        "--target-path",
        str(scratch),
        "--log-path",
        str(scratch),
    ]
    told = {"STOCKHOUSE_WAREHOUSE": str(home.warehouse), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    # Our own arguments: nothing of the user enters the command.
    done = subprocess.run(  # noqa: S603
        command, env=os.environ | told, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise HomeError(f"dbt cannot describe {home.warehouse}: {done.stdout.strip()[-1500:]}")
    shutil.copyfile(scratch / "static_index.html", target)
    return scratch / "manifest.json"
