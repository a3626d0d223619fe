"""As-of joins over two times, as DuckDB SQL: what did we know about an entity at time t?

A feature row with `event_at` e and `known_at` k can be served from a = max(e, k) on. The answer at
t is the row with the latest (e, k) among those with a <= t. Both cutoffs are the same t, so along a
the answer is a step function: a row that arrives after a later event is already known never answers
anything, and what remains is found by a single ASOF join on a.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


def quote(name: str) -> str:
    """A DuckDB identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class FeatureRows:
    """The rows of one feature view: a relation, its keys and features, and the two times that
    decide what may be served.

    relation: SQL after FROM. keys: {source column: asked column}. features: {source column: name in
    the answer}.
    event: when it happened, known: when we could have known (None: at once). ttl: how old an answer
    may be (None: any age).
    row_id: SQL that names a row of the relation, or None where it has none; the row stored last
    wins a complete tie.
    """

    relation: str
    keys: dict[str, str]
    features: dict[str, str]
    event: str
    known: str | None
    ttl: timedelta | None = None
    row_id: str | None = None

    @property
    def known_or_event(self) -> str:
        """k as SQL: when a row was known; a source without such a column knows a row when it
        happens."""
        return _time(self.known or self.event)

    @property
    def available(self) -> str:
        """a = max(e, k): from when on a row can be served."""
        return (
            f"greatest({_time(self.event)}, {self.known_or_event})"
            if self.known
            else _time(self.event)
        )

    def steps(self, columns: list[str], asked: str | None = None) -> str:
        """The step function: the rows that are, from `available_at` until the next one, the last
        event's last known version. asked: the relation whose keys are wanted; None for all."""
        keys = ", ".join(map(quote, self.keys))
        order = [
            self.available,
            _time(self.event),
            self.known_or_event,
            *([self.row_id] if self.row_id else []),
        ]
        return f"""
            SELECT {keys}, {self.available} AS available_at,
                {_time(self.event)} AS served_event_at, {", ".join(columns)}
            FROM {self.relation}
            WHERE {_time(self.event)} IS NOT NULL AND {self.known_or_event} IS NOT NULL
                {f"AND {self.is_wanted(asked)}" if asked else ""}
            WINDOW so_far AS (
                PARTITION BY {keys} ORDER BY {", ".join(order)} ROWS BETWEEN UNBOUNDED PRECEDING
                    AND CURRENT ROW
            )
            QUALIFY {_time(self.event)} = max({_time(self.event)}) OVER so_far
                AND {self.available} IS DISTINCT FROM lead({self.available}) OVER so_far"""

    def last(self, since: str | None, until: str) -> str:
        """Every key's answer at time `until` (SQL): its last event, from `since` on if given, in
        the version last known by then."""
        columns = [
            f"{quote(source)} AS {quote(name)}"
            for source, name in [*self.keys.items(), *self.features.items()]
        ]
        keys = ", ".join(map(quote, self.keys))
        newest = [_time(self.event), self.known_or_event, *([self.row_id] if self.row_id else [])]
        known = f"""
            WHERE {self.available} <= {until}
                AND {_time(self.event)} IS NOT NULL AND {self.known_or_event} IS NOT NULL
                {f"AND {_time(self.event)} >= {since}" if since else ""}"""
        told = f"SELECT {', '.join(columns + self.times())} FROM {self.relation}"
        if self.row_id is None:
            order = ", ".join(f"{part} DESC" for part in newest)
            return f"""{told} {known}
                QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {order}) = 1"""
        # which row it is takes three columns; a window would sort all of them
        return f"""{told}
            WHERE {self.row_id} IN (
                SELECT max(row({", ".join(newest)}))[{len(newest)}] FROM {self.relation} {known}
                GROUP BY {keys}
            )"""

    def is_wanted(self, asked: str) -> str:
        """SQL that tells the rows whose keys the relation `asked` has."""
        keys, targets = (", ".join(map(quote, names)) for names in (self.keys, self.keys.values()))
        return f"({keys}) IN (SELECT DISTINCT {targets} FROM {asked})"

    def times(self) -> list[str]:
        """SQL columns for e and, where the source has it, k, each as UTC without zone."""
        return [
            f"timezone('UTC', {_time(column)}) AS {quote(column)}"
            for column in (self.event, self.known)
            if column
        ]


def _time(column: str) -> str:
    """A time column as UTC without zone; the session's time zone is UTC, so zoned columns convert
    rightly."""
    return f"CAST({quote(column)} AS TIMESTAMP)"


def as_of(
    asked: str,
    at: str,
    columns: list[str],
    views: list[FeatureRows],
    fetch_late: list[bool],
    ask_few: list[bool],
) -> str:
    """SQL that answers every asked row from every view, in the order asked.

    asked: a relation with a row number `__row`, its time in column `at`, and `columns` to give
    back. fetch_late: per view, whether the join finds row ids first and reads the features
    afterwards, which is less to sort where a view is long and wide. ask_few: per view, whether its
    rows of other keys are left aside first, which is less to sort where few are asked for.
    """
    joins, features, reads, answers = [], [], [], []
    for number, (view, late, few) in enumerate(zip(views, fetch_late, ask_few, strict=True)):
        step, read = f"step_{number}", f"read_{number}"
        payload = (
            [f"{view.row_id} AS row_id"] if late else [quote(source) for source in view.features]
        )
        match = [
            f"asked.{quote(target)} = {step}.{quote(source)}"
            for source, target in view.keys.items()
        ]
        steps = view.steps(payload, "asked" if few else None)
        joins.append(
            f"ASOF LEFT JOIN ({steps}) AS {step}\n ON {' AND '.join(match)} AND "
            f"asked.__at >= {step}.available_at"
        )
        if late:
            features.append(f"{_alive(view, step, 'row_id')} AS row_id_{number}")
            wanted = f"WHERE {view.is_wanted('asked')}" if few else ""
            stored = f"(SELECT {view.row_id} AS row_id, * FROM {view.relation} {wanted})"
            reads.append(f"LEFT JOIN {stored} AS {read} ON {read}.row_id = found.row_id_{number}")
            answers += [
                f"{read}.{quote(source)} AS {quote(name)}" for source, name in view.features.items()
            ]
        else:
            features += [
                f"{_alive(view, step, quote(source))} AS {quote(name)}"
                for source, name in view.features.items()
            ]
            answers += [f"found.{quote(name)}" for name in view.features.values()]
    given = [f"asked.{quote(column)}" for column in columns]
    return f"""
        WITH asked AS (SELECT *, CAST({quote(at)} AS TIMESTAMP) AS __at FROM {asked}),
        found AS (SELECT asked.__row, {", ".join(given + features)} FROM asked {" ".join(joins)})
        SELECT {", ".join([f"found.{quote(column)}" for column in columns] + answers)}
        FROM found {" ".join(reads)}
        ORDER BY found.__row"""


def _alive(view: FeatureRows, step: str, column: str) -> str:
    """The column of the matched step, or null where its event is older than the view's ttl."""
    if not view.ttl:
        return f"{step}.{column}"
    microseconds = view.ttl // timedelta(microseconds=1)
    return (
        f"CASE WHEN {step}.served_event_at >= asked.__at - to_microseconds({microseconds}) THEN "
        f"{step}.{column} END"
    )
