"""Now, believed: the newest time the mass of the facts speaks of, so that no wrong years move
the plan or the books, be it one of them or one a day.

A typed year is a row far from all the others. Rows beyond a pause that nothing supports are kept
and told of, and no station reads them until enough others join them, the file is mended, or
`--as-of` says that the pause is real. Nothing supports them as long as deliveries go on to bring
days from before the pause: a company does not live on both sides of one.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import duckdb

from orchestration.home.sql import document_key

#: A pause is unusual when it is longer than this, and than so many of the usual ones: shops close
#: for two weeks at Christmas.
PAUSE_DAYS = 14
UNUSUAL = 3
#: What lies beyond a pause is believed when it holds this share of what lies on this side.
MASS = 0.2
#: A pause of up to a year is believed sooner: after a day as busy as half the usual ones, after
#: three days that follow one another, with a quarter of the usual rows each, or when a source
#: speaks for the first time.
YEAR = 366
DAYS_IN_A_ROW = 3
BUSY_ROWS = 5
QUIET = 0.25
#: The near side lives when at least so many deliveries moved it on while others told of the far
#: side, and half as many as those.
STEPS = 2
ALIVE = 0.5
#: So far may one source be behind another that has just begun.
BEHIND_DAYS = 92
#: History may begin with a gap; a first day more than this long before the rest is a wrong year.
HEAD_DAYS = 3 * YEAR
#: So small a share of rows before such a gap is wrong even where its days follow one another.
FEW = 0.01

#: Every fact by which a company's clock is read: the source and table that says it, and when it was
#: known.
CLOCK = f"""
    SELECT source_id, 'sales' AS fact, delivery, known_at AS moment FROM raw.sales
        WHERE known_at IS NOT NULL
    UNION ALL SELECT source_id, 'returns', delivery, known_at FROM raw.returns
    UNION ALL SELECT source_id, 'stock', delivery, known_at FROM raw.stock
    UNION ALL SELECT s.source_id, 'sales', s.delivery,
        greatest(o.event_at + s.known_lag, s.handed_over_at)
      FROM raw.sales AS s JOIN (
          SELECT {document_key("order_id")} AS order_key,
              max(event_at) AS event_at FROM raw.orders GROUP BY ALL
      ) AS o ON {document_key("s.order_id")} = o.order_key
      WHERE s.known_at IS NULL
    UNION ALL SELECT s.source_id, 'sales', s.delivery, greatest(c.day::TIMESTAMP + s.known_lag,
        s.handed_over_at)
      FROM raw.sales AS s JOIN (SELECT period_id, max(day) AS day FROM raw.calendar
          GROUP BY ALL) AS c USING (period_id)
      WHERE s.known_at IS NULL AND s.event_at IS NULL AND s.order_id IS NULL
"""
#: When those facts happened, as far as they say so themselves.
BOOKS = " UNION ALL ".join(
    (
        f"SELECT source_id, '{table}' AS fact, delivery, event_at AS moment FROM raw.{table} "
        "WHERE event_at IS NOT NULL"
    )
    for table in ("sales", "returns", "stock")
)


@dataclass(frozen=True)
class News:
    """How many rows of one day one delivery of a source brought; seq: the how-manieth delivery of
    all."""

    day: date
    source: str
    rows: int
    seq: int = 0


@dataclass(frozen=True)
class Clock:
    """now_at: the newest time that is believed. begins_at: facts from before it are not; None where
    all of them are. UTC, naive."""

    now_at: datetime | None
    begins_at: datetime | None


def read_clock(cur: duckdb.DuckDBPyConnection) -> Clock:
    """What the facts in schema raw say of the company's time."""
    newest = last_believed(_news(cur, CLOCK))
    first = first_believed(_news(cur, BOOKS)) if _spans_years(cur) else None
    now = None
    if newest is not None:
        after = datetime.combine(newest + timedelta(days=1), datetime.min.time())
        row = cur.execute(f"SELECT max(moment) FROM ({CLOCK}) WHERE moment < ?", [after]).fetchone()
        now = row[0] if row else None
    return Clock(now, datetime.combine(first, datetime.min.time()) if first else None)


def _spans_years(cur: duckdb.DuckDBPyConnection) -> bool:
    """Whether the books are long enough to begin with such a gap: most are not, and then their
    days need not be counted."""
    spans = f"SELECT max(moment) - min(moment) > INTERVAL {HEAD_DAYS} DAYS FROM ({BOOKS})"
    return cur.execute(f"{spans} WHERE isfinite(moment)").fetchone() == (True,)


def _news(cur: duckdb.DuckDBPyConnection, facts: str) -> list[News]:
    rows = cur.execute(
        f"""WITH counted AS (
            SELECT moment::DATE AS day, source_id, fact, delivery, count(*) AS found
            FROM ({facts}) WHERE isfinite(moment) GROUP BY ALL
        ), landed AS (
            SELECT source_id, delivery, min(landed_seq) AS seq FROM raw.manifest GROUP BY ALL
        )
        SELECT day, source_id || '/' || fact AS source, sum(found)::BIGINT, coalesce(seq, 0) AS seq
        FROM counted LEFT JOIN landed USING (source_id, delivery) GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    return [News(*row) for row in rows]


def last_believed(news: Sequence[News]) -> date | None:
    """The last day before the first pause that nothing on its far side supports; None where there
    are no facts."""
    if not news:
        return None
    days, rows = _by_day(news)
    for k in range(len(days) - 1):
        pause = (days[k + 1] - days[k]).days
        if pause <= PAUSE_DAYS or pause <= (usual := _usual_pause(days, k)):
            continue
        if not _is_supported(news, days, rows, k, usual):
            return days[k]
    return days[-1]


def first_believed(news: Sequence[News]) -> date | None:
    """The first day after a pause of years with nothing before it but odd days; None where history
    has no such pause.

    Years are mistyped one at a time, and systems write an unknown day as 1753, 1900 or 1970, some
    of them in many rows: odd are days that do not follow one another, and next to no rows at all.
    """
    days, rows = _by_day(news)
    for k in reversed(range(len(days) - 1)):
        pause = (days[k + 1] - days[k]).days
        if pause <= HEAD_DAYS or pause <= (usual := _usual_pause(days, k)):
            continue
        before, after = sum(rows[: k + 1]), sum(rows[k + 1 :])
        is_scattered = not _goes_on(days[: k + 1], usual)
        is_history = before >= MASS * after and not _goes_on(days[k + 1 :], usual)
        if before < FEW * after or (is_scattered and not is_history):
            return days[k + 1]
    return None


def _goes_on(days: Sequence[date], usual: int) -> bool:
    """Whether some three days follow one another."""
    reach = DAYS_IN_A_ROW - 1
    return any((days[k + reach] - days[k]).days <= reach * usual for k in range(len(days) - reach))


def _by_day(news: Sequence[News]) -> tuple[list[date], list[int]]:
    found: dict[date, int] = {}
    for one in news:
        found[one.day] = found.get(one.day, 0) + one.rows
    days = sorted(found)
    return days, [found[day] for day in days]


def _usual_pause(days: Sequence[date], but: int) -> int:
    """How long a pause may be, by nine in ten of the other ones; `but` is the one under
    judgment."""
    others = sorted((days[k + 1] - days[k]).days for k in range(len(days) - 1) if k != but)
    return max(PAUSE_DAYS, UNUSUAL * others[int(0.9 * (len(others) - 1))]) if others else PAUSE_DAYS


def _is_supported(
    news: Sequence[News], days: Sequence[date], rows: Sequence[int], k: int, usual: int
) -> bool:
    """Whether what lies beyond the pause after day k is more than odd rows."""
    pause = (days[k + 1] - days[k]).days
    is_new = bool(
        {one.source for one in news if one.day > days[k]}
        - {one.source for one in news if one.day <= days[k]}
    )
    if _is_alive(news, days[k]):
        return is_new and pause <= BEHIND_DAYS
    before, after = sum(rows[: k + 1]), sum(rows[k + 1 :])
    soon = rows[k + 1 : bisect.bisect_right(days, days[k + 1] + timedelta(days=usual))]
    is_going_on = (
        k + DAYS_IN_A_ROW < len(days) and (days[k + DAYS_IN_A_ROW] - days[k + 1]).days <= 2 * usual
    )
    if sum(soon) >= MASS * before or (is_going_on and after >= MASS * before):
        return True
    if pause > YEAR:
        return False
    median = sorted(rows)[len(rows) // 2]
    if is_going_on and sum(soon) >= QUIET * median * len(soon):
        return True
    return is_new or max(soon) >= max(BUSY_ROWS, median / 2)


def _is_alive(news: Sequence[News], last: date) -> bool:
    """Whether the days up to `last` went on, delivery by delivery, while others told of days
    beyond: then these are wrong, and no pause is over."""
    far = sorted({one.seq for one in news if one.day > last})
    newest: dict[int, date] = {}
    for one in news:
        if one.day <= last:
            newest[one.seq] = max(one.day, newest.get(one.seq, one.day))
    edge = max((day for seq, day in newest.items() if seq <= far[0]), default=None)
    if edge is None:  # the newest files came first, and the old ones after them
        return False
    steps = 0
    for seq in sorted(seq for seq in newest if far[0] < seq <= far[-1]):
        if newest[seq] > edge:
            edge, steps = newest[seq], steps + 1
    return steps >= max(STEPS, ALIVE * (len(far) - 1))
