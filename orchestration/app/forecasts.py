"""The forecast that is published: what demand is expected, by item, place, period and quantile."""

from __future__ import annotations

from typing import Any

from orchestration.app.snapshot_queries import Row, published, rows
from orchestration.home import Home

#: The mean's place in the order of quantiles: before all of them.
MEAN = -1.0
_PAGE = """
select item_id, location_id, period_start, quantile, value, model, as_of
from decisions.forecasts
where ($item = '' or item_id = $item) and ($place = '' or location_id = $place)
    and (not $behind or
        (item_id, location_id, period_start, coalesce(quantile, -1))
        > ($a, $b, cast($c as date), $d))
order by item_id, location_id, period_start, coalesce(quantile, -1) limit $size
"""


def forecasts(
    home: Home, item: str, place: str, after: tuple[Any, ...] | None, size: int
) -> list[Row]:
    """The next rows of the published forecast in the order of item, place, period and quantile.

    after: (item_id, location_id, ISO day, quantile, MEAN for the mean) of the last row before.
    quantile is None for the mean; value in the item's units a period.
    """
    start = after or ("", "", "0001-01-01", MEAN)
    given: dict[str, Any] = {"item": item, "place": place, "behind": after is not None}
    given |= dict(zip("abcd", start, strict=True))
    with published(home) as con:
        return rows(con, _PAGE, given | {"size": size})
