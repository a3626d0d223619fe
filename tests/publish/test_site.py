"""The pages of a home: one folder, whole or not at all, that asks no other machine for anything it
needs."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from typer.main import get_command

from orchestration.app.publishing import write_snapshot
from orchestration.cli import app
from orchestration.cli.home import offered
from orchestration.expectations import GATES, validate
from orchestration.facts.published_snapshots import PublishError
from orchestration.home import Home
from orchestration.landing.contract import column_glossary
from orchestration.landing.contract import world as contract
from orchestration.landing.contract.canonical import CANONICAL
from orchestration.reports.dashboard.reference import GRAMMAR, VARIABLES
from orchestration.reports.dashboard.site import DBT, write_site
from tests.gates.tiny_company import found

ROOT = DBT.parent
COMMANDS = offered(get_command(app))


def test_a_home_s_pages_are_one_folder_that_opens_from_disk(tmp_path: Path) -> None:
    home = Home.found(tmp_path / "home", "tiny")
    with pytest.raises(PublishError, match="Nothing is published"):
        write_site(home, COMMANDS)
    found(home.warehouse)
    validate(home.warehouse, GATES["orders_out"], "run-1", data_docs_dir=home.data_docs)
    write_snapshot(home.warehouse, home.published, "run-1", "2024-12-30")
    index = write_site(home, COMMANDS)
    page = index.read_text(encoding="utf-8")
    links = re.findall(r'href="([^"]+)"', page)
    assert links == [
        "dashboard.html",
        "reference.html",
        "dbt.html",
        "gates/orders_out/index.html",
    ]
    assert all((index.parent / link).stat().st_size > 1000 for link in links)
    tables = (index.parent / "dbt.html").read_text(encoding="utf-8")
    assert "Net demand of every closed period" in tables  # our words are inside, not fetched
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"\']https?://", tables)
    assert not (home.derived / "docs.aside").exists()
    whole_reference((index.parent / "reference.html").read_text(encoding="utf-8"))


def whole_reference(page: str) -> None:
    """Everything that a person may type or map stands on the page, with what it means."""
    text = unescape(page)
    for table in CANONICAL:
        section = text.split(f'<h3 id="{table}">')[1].split("<h3")[0]
        for column in CANONICAL[table].columns:
            row = section.split(f"<td><code>{column}</code>")[1].split("</tr>")[0]
            cells = re.findall(r"<td>(?:<small>)?(.*?)(?:</small>)?</td>", row)
            assert len(cells) == 5 and all(cells), (table, column, cells)
    grammar = text.split('<h2 id="grammar">')[1].split("<h2")[0]
    for group in GRAMMAR:
        for name, field in getattr(contract, group).model_fields.items():
            assert f"<td><code>{field.alias or name}</code>" in grammar, (group, name)
    rows = re.findall(r"<tr><td><code>.*?</tr>", grammar)
    assert rows and not [row for row in rows if row.endswith("<td></td></tr>")], "a meaning each"
    help_texts = [text.split(f"<h3><code>stockhouse {one.name}</code>")[1] for one in COMMANDS]
    assert all(
        said.startswith("</h3><p>") and not said.startswith("</h3><p></p>") for said in help_texts
    )
    for code in (0, 1, 2):
        assert f"<td><code>{code}</code>" in text
    for path in (DBT / "models/metrics").glob("*.sql"):
        assert f'<h3 id="{path.stem}">' in text, path.stem


def test_the_reference_names_every_variable_that_the_code_reads_and_no_other() -> None:
    read = {"DAGSTER_HOME", "XDG_STATE_HOME", "COLUMNS"}
    for room in ("orchestration", "feature_repo", "models", "dbt_project"):
        for path in (ROOT / room).rglob("*"):
            if path.suffix in {".py", ".yml", ".yaml", ".sql"} and "target" not in path.parts:
                read |= set(
                    re.findall(r"\bSTOCKHOUSE_[A-Z_]+[A-Z]\b", path.read_text(encoding="utf-8"))
                )
    assert set(VARIABLES) == read


def test_every_canonical_column_has_a_meaning_a_unit_and_an_example() -> None:
    used = {column for table in CANONICAL.values() for column in table.columns}
    assert set(column_glossary.COLUMNS) == used
    assert all(word.meaning and word.unit and word.example for word in column_glossary.words())
