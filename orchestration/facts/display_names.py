"""What people call the things of a line, where its goods go, and what its money is in."""

from __future__ import annotations

from typing import Any

import duckdb
import polars as pl

from models.procurement.messages import Wording

#: What `named` adds to a line.
NAMES = ("item_name", "from_name", "currency")
ITEMS = (
    "select item_id, any_value(name) as item_name from marts.dim_items where is_current group by 1"
)
SUPPLIERS = """
    select supplier_id as from_id, any_value(name) as supplier from marts.dim_suppliers
    where is_current group by 1
"""


def named(con: duckdb.DuckDBPyConnection, lines: pl.DataFrame) -> pl.DataFrame:
    """The lines with item_name, from_name and currency, in their order.

    lines: item_id, from_id, kind, and currency where some say their own. What nobody named is
    called by its id.
    """
    (currency,) = con.execute("select any_value(currency) from raw.world").fetchone() or (None,)
    own = pl.col("currency") if "currency" in lines.columns else pl.lit(None, pl.String)
    found = lines.drop("item_name", "from_name", strict=False).join(
        con.execute(ITEMS).pl(), on="item_id", how="left", maintain_order="left"
    )
    found = found.join(con.execute(SUPPLIERS).pl(), on="from_id", how="left", maintain_order="left")
    is_bought = pl.col("kind") == "purchase"
    return found.with_columns(
        item_name=pl.coalesce("item_name", "item_id"),
        from_name=pl.coalesce(pl.when(is_bought).then("supplier"), "from_id"),
        currency=pl.coalesce(own, pl.lit(currency, pl.String)),
    ).drop("supplier")


def wording(con: duckdb.DuckDBPyConnection) -> Wording:
    """What suppliers read beside the ids of an order, as published."""
    terms = "select supplier_id, payment_days from marts.dim_suppliers where is_current"
    # what was published before locations had names and addresses has neither
    places = con.execute("select * from marts.dim_locations where is_current").pl()
    return Wording(
        items=_said(con, ITEMS),
        suppliers=_said(con, SUPPLIERS),
        locations={
            row["location_id"]: ", ".join(filter(None, (row.get("name"), row.get("address"))))
            for row in places.iter_rows(named=True)
        },
        payment_days=_said(con, terms),
    )


def _said(con: duckdb.DuckDBPyConnection, query: str) -> dict[str, Any]:
    """What a query says of each thing, where it says anything."""
    return {key: said for key, said in con.execute(query).fetchall() if said not in (None, "")}
