"""Lists as files: CSV that no spreadsheet takes for formulas."""

from __future__ import annotations

import polars as pl
from starlette.responses import Response

from models.procurement.csv_format import FORMULA


def safe_csv(frame: pl.DataFrame) -> str:
    """A frame as CSV; a text that a spreadsheet would reckon begins with an apostrophe."""
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    guarded = frame.with_columns(
        pl.when(pl.any_horizontal(pl.col(name).str.starts_with(sign) for sign in FORMULA))
        .then(pl.lit("'") + pl.col(name))
        .otherwise(pl.col(name))
        .alias(name)
        for name in texts
    )
    return guarded.write_csv()


def as_file(frame: pl.DataFrame, name: str) -> Response:
    """A frame as a file to keep."""
    return Response(
        "\ufeff" + safe_csv(frame),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}.csv"'},
    )


def page_of(frame: pl.DataFrame, page: int, size: int) -> list[dict[str, object]]:
    """One page of a frame's rows."""
    return frame.slice(max(page - 1, 0) * size, size).to_dicts()
