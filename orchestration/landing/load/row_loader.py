"""One batch of deliveries of one source into the canonical tables, in the caller's transaction.

Rows of a source that is new to the warehouse go straight into their tables; whatever is bad,
repeated or meets earlier rows is staged, judged and deduplicated first. Both ways count every row
and every claim.
"""

from __future__ import annotations

import json

import duckdb

from orchestration.home.sql import literal, quote, repeated
from orchestration.landing.contract.canonical import CANONICAL, LINEAGE
from orchestration.landing.contract.world import World
from orchestration.landing.load.landed_order import order_by_landing
from orchestration.landing.load.rule_sql import CompiledRule, CompiledSource, row_text
from orchestration.landing.load.state_history import note_state_history, rewrite_state
from orchestration.landing.readers.rows import Reject
from orchestration.landing.readers.sourcing import Delivery, SourceRows

KEY_TWICE = "the same key twice in one delivery, with different content"
NO_RULE = "no rule takes this row"
BAD_SKIP = "a skip rule cannot be evaluated"
#: What happened and is added up: a row that was wrong counts until it is taken back.
MOVEMENTS = ("sales", "returns", "receipts", "adjustments")


class Loader:
    """Loads the rows of `src` by the compiled contract and leaves the counts in the deliveries.

    careful: expressions are wrapped in TRY, so that a bad cell spoils its row alone; asked for
    after the quick way met one.
    is_first: the warehouse holds no rows of this source yet.
    """

    def __init__(
        self, rows: SourceRows, compiled: CompiledSource, *, careful: bool, is_first: bool
    ) -> None:
        self.con, self.source_id, self.deliveries = rows.con, rows.source_id, rows.deliveries
        self.unpivot, self.columns = rows.source.unpivot, rows.columns
        self.compiled, self.careful, self.is_first = compiled, careful, is_first
        self.skip, self.claim = self._fate_sql()

    def load(self) -> None:
        """Judge, quarantine, deduplicate and insert every row of the batch."""
        for delivery in self.deliveries:
            delivery.forget_counts()
        if refused := self.deliveries[0].refused:
            self.skip, self.claim = "CAST(NULL AS INTEGER)", "false"
            self._count_fates()
            self._quarantine_unclaimed(refused)
            return
        self._count_fates()
        self._quarantine_unclaimed()
        for rule in self.compiled.rules:
            self._load_rule(rule)
        for delivery in self.deliveries:
            check_counts(delivery)

    def _each(self, sql: str) -> list[tuple[Delivery, int]]:
        """`SELECT _d, count` as (delivery, count)."""
        return [(self.deliveries[index], rows) for index, rows in self.con.execute(sql).fetchall()]

    # --- fates: skipped by name, claimed, or nobody's ---------------------------------------------

    def _fate_sql(self) -> tuple[str, str]:
        """(number of the skip reason or null, is claimed). Careful: a `when` that fails claims the
        row, so that its rule reports it."""
        skips, whens = self.compiled.skip.values(), [rule.when for rule in self.compiled.rules]
        if self.careful:
            cases = "".join(
                (
                    f" WHEN TRY({{'v': {sql}}}) IS NULL THEN {len(skips)} WHEN TRY({{'v': "
                    f"{sql}}}).v "
                    f"THEN {i}"
                )
                for i, sql in enumerate(skips)
            )
            claims = [
                f"coalesce(TRY({{'v': {when}}}) IS NULL OR TRY({{'v': {when}}}).v, false)"
                for when in whens
                if when
            ]
        else:
            cases = "".join(f" WHEN {sql} THEN {i}" for i, sql in enumerate(skips))
            claims = [f"coalesce({when}, false)" for when in whens if when]
        skip = f"CASE{cases} END" if cases else "CAST(NULL AS INTEGER)"
        return skip, "true" if None in whens else " OR ".join(claims)

    def _count_fates(self) -> None:
        reasons = list(self.compiled.skip)
        counted = self.con.execute(
            f"SELECT _d, skip, claim, count(*) FROM (SELECT _d, {self.skip} AS skip, "
            f"({self.claim}) AS claim FROM src) GROUP BY ALL"
        ).fetchall()
        for index, skip, claim, rows in counted:
            delivery = self.deliveries[index]
            delivery.counts["rows_in"] += rows
            if skip is not None and skip < len(reasons):
                delivery.counts["rows_skipped"] += rows
                delivery.skipped[reasons[skip]] = delivery.skipped.get(reasons[skip], 0) + rows
            else:
                delivery.counts["rows_claimed" if skip is None and claim else "rows_unclaimed"] += (
                    rows
                )

    def _quarantine_unclaimed(self, why: str = NO_RULE) -> None:
        """Rows that no rule takes, and pieces of the file that are no rows at all."""
        bad_skip = len(self.compiled.skip)
        if any(delivery.counts["rows_unclaimed"] for delivery in self.deliveries):
            rule = f"CASE WHEN skip = {bad_skip} THEN {literal(BAD_SKIP)} ELSE {literal(why)} END"
            source = literal(self.source_id)
            self.con.execute(
                f"""INSERT INTO raw.quarantine
                SELECT left(md5(concat_ws('|', {source}, delivery, batch.part, u.part, _row)), 16),
                    {source},
                  delivery, path, {_joined("u.part")}, _row, NULL, NULL, NULL, {rule}, raw_text,
                      'open', _row + rows_above
                FROM (SELECT _d, _row, {self._part(None)} AS part, {self.skip} AS skip,
                    ({self.claim}) AS claim,
                      {row_text(self.columns, self.compiled.personal)} AS raw_text FROM src) u
                          JOIN batch USING (_d)
                WHERE skip = {bad_skip} OR (skip IS NULL AND NOT claim)"""
            )
        for delivery in self.deliveries:
            delivery.counts["rows_in"] += len(delivery.rejects)
            delivery.counts["rows_unclaimed"] += len(delivery.rejects)
            for reject in delivery.rejects:
                quarantine_reject(self.con, self.source_id, delivery, reject)

    def _part(self, rule: CompiledRule | None) -> str:
        """`part` within the file: the unpivoted column and the rule that took the row."""
        pieces = [quote(self.unpivot.name)] if self.unpivot else []
        pieces += [literal(rule.label)] if rule else []
        return (
            f"concat_ws(' · ', {', '.join(pieces)})"
            if len(pieces) > 1
            else (pieces[0] if pieces else "''")
        )

    # --- one rule ---------------------------------------------------------------------------------

    def _load_rule(self, rule: CompiledRule) -> None:
        is_state = CANONICAL[rule.table].is_state
        is_direct = self.is_first and not is_state and not self.careful
        rest = self._load_directly(rule) if is_direct else self._select(rule)
        if rest is not None:
            self.con.execute(f"CREATE OR REPLACE TEMP TABLE staged AS {rest}")
            self._load_staged(rule)
            self.con.execute("DROP TABLE staged")

    def _select(self, rule: CompiledRule, where: str = "true") -> str:
        """The rows that a rule takes, judged."""
        columns = {
            name: kind
            for name, kind in self.compiled.columns.items()
            if name not in ("_file", "_row")
        }
        return rule.select(
            self.source_id,
            columns,
            careful=self.careful,
            where=f"({self.skip}) IS NULL AND {where}",
            extra=f", {self._part(rule)} AS part",
        )

    def _load_directly(self, rule: CompiledRule) -> str | None:
        """Insert all good rows at once; what remains to be staged is returned as a query, or None
        where nothing does."""
        select = self._select(rule)
        target = f"raw.{quote(rule.table)}"
        claims = self._each(
            f"SELECT _d, count(*) FROM src WHERE ({self.skip}) IS NULL AND "
            f"coalesce({rule.when or 'true'}, false) GROUP BY _d"
        )
        inserted = self._insert(rule, f"({select})", "problem IS NULL")
        mine = f"{target} WHERE source_id = {literal(self.source_id)}"
        twice = f"SELECT row_key AS k FROM ({repeated('row_key', mine)})"
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE twice AS {twice}")
        if self.con.execute("SELECT 1 FROM twice LIMIT 1").fetchone():
            self.con.execute(f"DELETE FROM {mine} AND row_key IN (SELECT k FROM twice)")
        elif inserted == sum(rows for _, rows in claims) and rule.delivered is None:
            for delivery, rows in claims:
                delivery.counts["claims"] += rows
                delivery.counts["rows_loaded"] += rows
            return None
        kept = f"{target} t JOIN batch USING (delivery) WHERE {self._mine(rule)}"
        for delivery, rows in self._each(f"SELECT _d, count(*) FROM {kept} GROUP BY _d"):
            delivery.counts["claims"] += rows
            delivery.counts["rows_loaded"] += rows
        for index, handed in self.con.execute(
            f"SELECT _d, max(handed_over_at) FROM {kept} GROUP BY _d"
        ).fetchall():
            self.deliveries[index].was_handed_over(handed)
        if inserted == sum(rows for _, rows in claims) and not rule.is_of_its_grain:
            # nothing is wrong with any row: only those that came twice are read once more
            return self._select(rule, f"{rule.row_key} IN (SELECT k FROM twice)")
        left = "problem IS NOT NULL OR row_key IN (SELECT k FROM twice)"
        return f"SELECT * FROM ({select}) WHERE {left}"

    def _mine(self, rule: CompiledRule) -> str:
        return f"source_id = {literal(self.source_id)} AND ends_with(t.part, {literal(rule.label)})"

    def _load_staged(self, rule: CompiledRule) -> None:
        """Send the bad rows of `staged` to quarantine and insert the versions that are not there
        yet."""
        checks = [(check.column, check.rule) for check in rule.checks(self.careful)]
        if rule.is_keyed and not CANONICAL[rule.table].is_state:
            checks.append(("key", KEY_TWICE))
            # versions of one grain may come together, as long as one of them is the newer
            told = ", known_at AS told" if rule.is_of_its_grain else ""
            same = "AND known_at IS NOT DISTINCT FROM told" if told else ""
            self.con.execute(
                f"""UPDATE staged SET problem = {len(checks) - 1} FROM (SELECT row_key AS k,
                    _d AS d{told} FROM staged WHERE problem IS NULL
                GROUP BY ALL HAVING count(*) > 1 AND min(row_hash) <> max(row_hash)) AS twice
                    WHERE row_key = k AND _d = d {same} AND problem IS NULL"""
            )
        self._quarantine(rule, checks)
        if not rule.is_keyed and not CANONICAL[rule.table].is_state:
            for delivery, rows in self._each(
                "SELECT _d, count(*) - count(DISTINCT row_hash) FROM staged "
                "WHERE problem IS NULL GROUP BY _d HAVING count(*) > count(DISTINCT row_hash)"
            ):
                delivery.twice[rule.table] = rows
        if rule.table in MOVEMENTS and not self.is_first:
            self._find_gone(rule)
        for index, handed in self.con.execute(
            "SELECT _d, max(handed_over_at) FROM staged GROUP BY _d"
        ).fetchall():
            self.deliveries[index].was_handed_over(handed)
        if rule.is_ordered_by_landing:
            order_by_landing(self.con, self.source_id, rule.table, is_state=rule.can_return)
        for delivery, rows in self._each("SELECT _d, count(*) FROM staged GROUP BY _d"):
            delivery.counts["claims"] += rows
        for delivery, rows in self._each(
            "SELECT _d, count(*) FROM staged WHERE problem IS NOT NULL GROUP BY _d"
        ):
            delivery.counts["rows_quarantined"] += rows
        for delivery, rows in self._each(
            "SELECT _d, count(*) FROM staged WHERE problem IS NULL GROUP BY _d"
        ):
            delivery.counts["rows_repeated"] += rows
        if rule.can_return and note_state_history(
            self.con, self.source_id, rule.table, _joined("s.part")
        ):
            rewrite_state(self.con, self.source_id, rule.table)
            fresh = (
                f"raw.{quote(rule.table)} t JOIN batch USING (delivery) WHERE {self._mine(rule)}"
            )
        else:
            self._keep_fresh(rule)
            self._insert(rule, "staged", "true")
            fresh = "staged"
        for delivery, rows in self._each(f"SELECT _d, count(*) FROM {fresh} GROUP BY _d"):
            delivery.counts["rows_loaded"] += rows
            delivery.counts["rows_repeated"] -= rows

    def _find_gone(self, rule: CompiledRule) -> None:
        """Note which rows a file of the same name had between the days of `staged` and lacks now:
        nothing takes them back, whoever corrected the file by leaving them out."""
        again = self.con.execute(
            "SELECT 1 FROM raw.manifest m JOIN batch b ON b.path = m.path AND b.delivery <> "
            "m.delivery WHERE m.source_id = ? LIMIT 1",
            [self.source_id],
        ).fetchone()
        if again is None:
            return
        found = self.con.execute(
            f"""SELECT days._d, count(DISTINCT t.row_key), min(t.row_no)
            FROM raw.{quote(rule.table)} t
            JOIN raw.manifest m USING (source_id, delivery)
            JOIN batch b ON b.path = m.path AND b.delivery <> t.delivery
            JOIN (SELECT _d, min(event_at) AS first, max(event_at) AS last FROM staged
                WHERE problem IS NULL GROUP BY _d) AS days ON days._d = b._d
            WHERE {self._mine(rule)} AND t.event_at > days.first AND t.event_at <= days.last
              AND t.row_key NOT IN (SELECT row_key FROM staged WHERE row_key IS NOT NULL)
            GROUP BY days._d"""
        ).fetchall()
        for index, rows, first in found:
            self.deliveries[index].gone[rule.table] = (rows, first)

    def _quarantine(self, rule: CompiledRule, checks: list[tuple[str, str]]) -> None:
        column = (
            "CASE problem "
            + " ".join(f"WHEN {i} THEN {literal(name)}" for i, (name, _) in enumerate(checks))
            + " END"
        )
        words = (
            "CASE problem "
            + " ".join(f"WHEN {i} THEN {literal(text)}" for i, (_, text) in enumerate(checks))
            + " END"
        )
        part = _joined("s.part")
        self.con.execute(
            f"""INSERT INTO raw.quarantine
            SELECT left(md5(concat_ws('|', {literal(self.source_id)}, delivery, {part}, row_no)),
                16), {literal(self.source_id)},
              delivery, path, {part}, row_no, {literal(rule.table)}, {column}, problem_value,
                  {words}, raw_text, 'open', row_no + rows_above
            FROM staged s JOIN batch USING (_d) WHERE problem IS NOT NULL"""
        )

    def _keep_fresh(self, rule: CompiledRule) -> None:
        """Leave in `staged` the versions that are new: of a state or a keyless row the earliest
        known, of a keyed fact each version."""
        is_state = CANONICAL[rule.table].is_state
        single = ("row_hash" if is_state else "row_key") if is_state or not rule.is_keyed else None
        identity = [single] if single else ["row_key", "row_hash", "known_at", "handed_over_at"]
        if single and rule.is_ordered_by_landing:  # a content may come back after another
            identity.append("handed_over_at")
        target, mine = f"raw.{quote(rule.table)}", f"t.source_id = {literal(self.source_id)}"
        same = " AND ".join(f"t.{name} IS NOT DISTINCT FROM s.{name}" for name in identity)
        self.con.execute("DELETE FROM staged WHERE problem IS NOT NULL")
        self.con.execute(
            f"""CREATE OR REPLACE TEMP TABLE fresh AS SELECT * FROM staged WHERE rowid IN (
            SELECT arg_min(rowid, (known_at, handed_over_at, _d, row_no, part)) FROM staged
                GROUP BY {", ".join(identity)})"""
        )
        if single:
            self.con.execute(
                f"""UPDATE {target} AS t SET known_at = s.known_at,
                    handed_over_at = s.handed_over_at, delivery = batch.delivery,
                row_no = s.row_no, part = {_joined("s.part")} FROM fresh s JOIN batch USING (_d)
                    WHERE {mine} AND {same}
                AND (s.known_at, coalesce(s.handed_over_at, 'epoch')) < (t.known_at,
                    coalesce(t.handed_over_at, 'epoch'))"""
            )
        self.con.execute(f"DELETE FROM fresh AS s USING {target} t WHERE {mine} AND {same}")
        self.con.execute("DROP TABLE staged")
        self.con.execute("ALTER TABLE fresh RENAME TO staged")

    def _insert(self, rule: CompiledRule, rows: str, where: str) -> int:
        """Insert rows with their delivery and part; a batch of one file needs no join to know
        them."""
        facts = ", ".join(quote(name) for name in CANONICAL[rule.table].columns)
        lineage = ", ".join(
            name for name in LINEAGE if name not in ("source_id", "delivery", "part")
        )
        if len(self.deliveries) == 1:
            only = self.deliveries[0]
            part = literal(only.part + " · ") + " || s.part" if only.part else "s.part"
            source, delivery = f"{rows} s", literal(only.sha256)
        else:
            source, delivery, part = (
                f"{rows} s JOIN batch USING (_d)",
                "delivery",
                _joined("s.part"),
            )
        row = self.con.execute(
            f"""INSERT INTO raw.{quote(rule.table)} ({facts}, {lineage}, source_id, delivery, part)
            SELECT {facts}, {lineage}, {literal(self.source_id)}, {delivery}, {part} FROM {source}
                WHERE {where}"""
        ).fetchone()
        return int(row[0]) if row else 0


def quarantine_reject(
    con: duckdb.DuckDBPyConnection, source_id: str, delivery: Delivery, reject: Reject
) -> None:
    """One piece of a file that is no row."""
    con.execute(
        """INSERT INTO raw.quarantine SELECT left(md5(concat_ws('|', $1::VARCHAR, $2, $3, $4, $5)),
            16), $1, $2, $6, $3, $4,
        NULL, NULL, NULL, $7, $5, 'open', $8""",
        [
            source_id,
            delivery.sha256,
            delivery.part,
            reject.row_no,
            reject.raw_text,
            delivery.path,
            reject.reason,
            reject.row_no + delivery.rows_above if reject.row_no else 0,
        ],
    )


def _joined(part: str) -> str:
    return f"concat_ws(' · ', nullif(batch.part, ''), {part})"


def check_counts(delivery: Delivery) -> None:
    """The counting law: no row and no claim is ever unaccounted for."""
    c = delivery.counts
    if c["rows_in"] != c["rows_claimed"] + c["rows_skipped"] + c["rows_unclaimed"]:
        raise AssertionError(f"{delivery.path}: rows do not add up: {c}")
    if c["claims"] != c["rows_loaded"] + c["rows_quarantined"] + c["rows_repeated"]:
        raise AssertionError(f"{delivery.path}: claims do not add up: {c}")


def manifest_row(
    world: World, source_id: str, delivery: Delivery, seq: int, contract: str
) -> list[object]:
    """The delivery's line in raw.manifest, in the order of store.MANIFEST; contract: the
    fingerprint it was read by."""
    c = delivery.counts
    columns = (
        [f"{name} {kind}" for name, kind in delivery.columns.items()]
        if delivery.columns and not delivery.refused and not delivery.fault
        else None
    )
    return [
        delivery.sha256,
        source_id,
        world.sources[source_id].silo,
        delivery.path,
        delivery.stem,
        delivery.bytes,
        seq,
        c["rows_in"],
        c["rows_skipped"],
        c["rows_unclaimed"],
        c["rows_claimed"],
        c["claims"],
        c["rows_loaded"],
        c["rows_quarantined"],
        c["rows_repeated"],
        json.dumps(delivery.skipped, sort_keys=True),
        delivery.handed_over_at,
        columns,
        delivery.drift or None,
        contract,
        delivery.rows_above,
    ]
