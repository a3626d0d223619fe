"""Data Docs that open anywhere: Great Expectations' own pages without the scripts, styles and
pixels they fetch from elsewhere."""

from __future__ import annotations

import re
import shutil
from html import escape
from pathlib import Path
from typing import Any

from orchestration.expectations.laws import Gate
from orchestration.home import files

STYLE = """<style>
:root { color-scheme: light dark; }
body { font: 14px/1.45 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
body { max-width: 1180px; margin: 24px auto; height: auto; }
table { border-collapse: collapse; margin: 8px 0; }
td, th { text-align: left; vertical-align: top; }
td, th { padding: 4px 14px 4px 0; border-bottom: 1px solid #8884; }
th { font-weight: 600; }
td table td, td table th { font-size: 12px; padding: 2px 12px 2px 0; }
a { color: inherit; }
h4, h5, h6 { font-size: 15px; margin: 18px 0 6px; }
.text-success::before { content: "✓"; color: #2a9d5c; }
.text-danger::before { content: "✗"; color: #d04545; font-weight: 700; }
.text-warning::before { content: "!"; color: #c98a14; font-weight: 700; }
.col-lg-2, .collapse, a[data-toggle="collapse"] { display: none; }
ol, ul { list-style: none; padding: 0; }
nav { height: auto !important; }
</style>"""
#: What the pages would fetch from other hosts, or run; and the bar that asks to subscribe.
FOREIGN = re.compile(
    r"<script\b.*?</script>|<link\b[^>]*>|<img\b[^>]*https?://[^>]*>|<footer\b.*?</footer>",
    flags=re.DOTALL | re.IGNORECASE,
)


def write_docs(context: Any, gate: Gate, results: dict[str, Any], folder: Path) -> None:
    """Render the newest validation of a gate into folder, replaced whole: an index of the laws, and
    a page a table."""
    with files.replacing(folder) as aside:
        _write_site(context, gate, results, aside)


def _write_site(context: Any, gate: Gate, results: dict[str, Any], aside: Path) -> None:
    site = {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(aside),
        },
    }
    context.add_data_docs_site(site_name="data_docs", site_config=site)
    context.build_data_docs(site_names=["data_docs"])
    shutil.rmtree(aside / "static", ignore_errors=True)  # logos, fonts and animations, 4 MB
    for page in aside.rglob("*.html"):
        page.write_text(
            FOREIGN.sub("", page.read_text(encoding="utf-8")).replace("</head>", f"{STYLE}</head>"),
            encoding="utf-8",
        )
    (aside / "index.html").write_text(_index(gate, results, aside), encoding="utf-8")


def _index(gate: Gate, results: dict[str, Any], site: Path) -> str:
    pages = {
        page.stem.removeprefix("warehouse-"): page.relative_to(site).as_posix()
        for page in site.glob("validations/**/*.html")
    }
    rows = []
    for law in gate.laws:
        result = results[law.name]
        sign = (
            "text-success"
            if result.success
            else "text-danger"
            if law.severity == "error"
            else "text-warning"
        )
        broken = result.result.get("observed_value", "")
        link = f'<a href="{escape(pages[law.table])}">{escape(law.table)}</a>'
        cells = (
            f'<i class="{sign}"></i>',
            law.severity,
            link,
            escape(law.description),
            "" if result.success else f"{broken} rows",
        )
        rows.append(
            (result.success, "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
        )
    rows.sort(key=lambda row: row[0])  # broken laws first
    kept = sum(success for success, _ in rows)
    head = "<tr><th></th><th>severity</th><th>table</th><th>law</th><th>broken by</th></tr>"
    title = f"Gate {gate.name}"
    return (
        '<!doctype html><html lang="en"><head><meta '
        f'charset="utf-8"><title>{title}</title>{STYLE}</head><body>'
        f"<h1>{title}</h1><p>{kept} of {len(rows)} laws are kept. A table's page names the rows "
        "that break one.</p>"
        f"<table>{head}{''.join(row for _, row in rows)}</table></body></html>"
    )
