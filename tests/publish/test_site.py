"""The pages of a home: one folder, whole or not at all, that asks no other machine for anything it
needs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestration.expectations import GATES, validate
from orchestration.facts.snapshots import PublishError, publish
from orchestration.home import Home
from orchestration.reports.dashboard.site import write_site
from tests.gates.tiny_company import found


def test_a_home_s_pages_are_one_folder_that_opens_from_disk(tmp_path: Path) -> None:
    home = Home.found(tmp_path / "home", "tiny")
    with pytest.raises(PublishError, match="Nothing is published"):
        write_site(home)
    found(home.warehouse)
    validate(home.warehouse, GATES["orders_out"], "run-1", data_docs_dir=home.data_docs)
    publish(home.warehouse, home.published, "run-1", "2024-12-30")
    index = write_site(home)
    page = index.read_text(encoding="utf-8")
    links = re.findall(r'href="([^"]+)"', page)
    assert links == ["dashboard.html", "dbt.html", "gates/orders_out/index.html"]
    assert all((index.parent / link).stat().st_size > 1000 for link in links)
    tables = (index.parent / "dbt.html").read_text(encoding="utf-8")
    assert "Net demand of every closed period" in tables  # our words are inside, not fetched
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"\']https?://", tables)
    assert not (home.derived / "docs.aside").exists()
