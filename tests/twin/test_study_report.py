"""The report of a study: one page that needs nothing beside it and takes any name as it is."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from orchestration.reports.study_report import POLICY, SCRIPT, page, write_study
from tests.twin.one_study import study


def test_the_page_draws_everything_in_its_own_colours_and_asks_nobody_for_anything() -> None:
    said, tables = study()
    text = page(said, tables)
    assert text.count("<svg ") == 4 and text.count('aria-label="') == 4
    assert "#0102" not in text and "var(--before)" in text and "var(--worse)" in text
    outside = set(re.findall(r"https?://[^\s\"'<]+", text))
    assert outside <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "<b>x</b>" not in text and "&lt;b&gt;x&lt;/b&gt;" in text
    assert "prefers-color-scheme: dark" in text
    assert "&#34;" not in "".join(
        re.findall(r"<t[hd][^>]*>", text)
    )  # no attribute of a cell is lost


def test_what_is_not_met_is_called_lost_only_where_nobody_waits() -> None:
    said, tables = study()
    assert "sales lost, units" in page(said, tables)
    for share, words in ((0.25, "(25% wait)"), (1.0, "(all wait)")):
        text = page(said | {"waiting_share": share}, tables)
        assert f"not met in their period, units {words}" in text and "sales lost" not in text


def test_the_one_script_of_the_page_is_the_one_that_a_server_lets_run() -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", page(*study()), re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert script == SCRIPT and f"script-src 'sha256-{digest}'" in POLICY


def test_the_folder_holds_page_tables_and_answers(tmp_path: Path) -> None:
    said, tables = study()
    write_study(said, tables, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"report.html", "study.json", *(f"{name}.csv" for name in tables)}
