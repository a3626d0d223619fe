"""world.yml to SQL: the contract's words resolved against the columns that were delivered, rule by
rule."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace

import duckdb

from orchestration.home.sql import literal, quote
from orchestration.landing.contract.canonical import CANONICAL, DAY, FLAG, NUMBER, PERSONAL, TIME
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.contract.expressions import (
    Node,
    check_growth,
    check_row_local,
    column_names,
    parse,
    replace_children,
    to_sql,
)
from orchestration.landing.contract.functions import (
    BUILT_IN,
    Function,
    constant,
    inline,
    read_functions,
)
from orchestration.landing.contract.locales import Locale, exact_time, is_exact, local_time
from orchestration.landing.contract.validation import rules
from orchestration.landing.contract.world import RULE_WORDS, Value, World
from orchestration.landing.load.rule_sql import Cell, CompiledRule, CompiledSource

#: What every source row carries besides its own columns.
ROW = {"_file": "VARCHAR", "_row": "BIGINT"}
#: Functions of the engine that make a day of what is none: the 53rd week of a year of 52.
PARSING = ("strptime", "try_strptime")


class Compiler:
    """Turns the contract of one source into SQL, given the columns and types of what was
    delivered."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        world: World,
        source_id: str,
        columns: Mapping[str, str],
    ) -> None:
        self.con, self.world, self.source_id, self.source = (
            con,
            world,
            source_id,
            world.sources[source_id],
        )
        self.columns = {**columns, **ROW}
        self.by_lower = {name.lower(): name for name in self.columns}
        self.functions: dict[str, Function] = read_functions(con, world)
        self.locale = Locale(self.source, world.timezone)
        self.personal: frozenset[str] = frozenset()
        con.execute("DROP TABLE IF EXISTS proto")
        spec = ", ".join(f"{quote(name)} {kind}" for name, kind in self.columns.items())
        con.execute(f"CREATE TEMP TABLE proto ({spec})")

    def source_sql(self) -> CompiledSource:
        """Compile everything; the first impossible thing raises ContractError with its place in
        world.yml."""
        skip = {
            reason: self._cell(text, ("skip", reason)).sql
            for reason, text in self.source.skip.items()
        }
        delivered = (
            self._cell(self.source.delivered_at, ("delivered_at",))
            if self.source.delivered_at
            else None
        )
        self.personal = self._personal()
        compiled = [
            self._rule(i, label, table, words, delivered)
            for i, (label, table, words) in enumerate(rules(self.source))
        ]
        returning = {rule.table for rule in compiled if rule.can_return}
        compiled = [replace(rule, can_return=rule.table in returning) for rule in compiled]
        return CompiledSource(self.source_id, dict(self.columns), skip, compiled, self.personal)

    def _personal(self) -> frozenset[str]:
        """The columns that say who bought; ContractError where that would also be a column's or a
        file's name."""
        found: frozenset[str] = frozenset()
        for index, (_, table, words) in enumerate(rules(self.source)):
            for name in PERSONAL & words.keys():
                at = ("into", index, table, name)
                cell = self._cell(words[name], at)
                headings = {self.source.unpivot.name} if self.source.unpivot else set[str]()
                if cell.reads & {"_file", *headings}:
                    raise ContractError(
                        f"`{name}` is read from a name of a column or file, which is kept as it is",
                        where=self._where(at),
                        mend="hand it over as a cell of each row",
                    )
                found |= cell.reads
        return found - ROW.keys()

    def _rule(
        self, index: int, label: str, table: str, words: dict[str, Value], delivered: Cell | None
    ) -> CompiledRule:
        at = ("into", index, table)
        when = self._cell(str(words["when"]), (*at, "when")).sql if "when" in words else None
        cells = {
            name: self._cell(value, (*at, name))
            for name, value in words.items()
            if name not in RULE_WORDS
        }
        for name, cell in cells.items():
            self._check_type(cell, CANONICAL[table].columns[name], (*at, name))
        overrides = "known_at" in words or "known_after" in words
        known_text = words.get("known_at", None if overrides else self.source.known_at)
        lag = words.get("known_after", None if overrides else self.source.known_after)
        known = None
        if known_text is not None:
            times = {name: "TIMESTAMP" for name in cells if CANONICAL[table].columns[name] == TIME}
            known = self._cell(known_text, (*at, "known_at"), times)
            self._check_type(known, TIME, (*at, "known_at"))
        tag = literal(f"{self.source_id}/{label}")
        keys = self._key_columns()
        missing = (
            " OR ".join(f"{quote(name)} IS NULL" for name in keys if name not in ROW)
            if self.source.key
            else None
        )
        row_key = f"hash({', '.join([tag, *(self._steady(name) for name in keys)])})"
        is_of_its_grain = words.get("several") == "newest"
        return CompiledRule(
            label,
            table,
            when,
            cells,
            known,
            str(lag) if lag is not None else None,
            delivered,
            row_key,
            self.source.key is not None or is_of_its_grain,
            f"({missing})" if missing else None,
            self.locale,
            self.personal,
            self._can_return(table, words),
            is_of_its_grain,
        )

    def _can_return(self, table: str, words: dict[str, Value]) -> bool:
        if not CANONICAL[table].is_state or self.source.key is None:
            return False
        if self.source.delivered_at is not None:
            return True
        known_at = words.get("known_at", None if "known_after" in words else self.source.known_at)
        if not isinstance(known_at, str):
            return False
        named = (
            [known_at]
            if known_at.lower() in self.by_lower
            else column_names(parse(self.con, known_at))
        )
        keys = {name.lower() for name in self._key_columns()}
        return any(name.lower() not in keys for name in named)

    def _key_columns(self) -> list[str]:
        if self.source.key is None:
            return sorted(name for name in self.columns if name not in ROW)
        names = [self._column(name, ("key",)) for name in self.source.key]
        if self.source.unpivot and self.source.unpivot.name not in names:
            names.append(self.source.unpivot.name)
        return names

    def _steady(self, name: str) -> str:
        """The column as the key hashes it: widths and precisions that may drift do not change who a
        row is."""
        kind, column = self.columns[name].upper(), quote(name)
        if name in self.personal:
            return quote("h:" + name)  # a hash without a key would tell, by trying, who bought
        if kind.endswith("INT") or kind == "INTEGER":
            return f"CAST({column} AS BIGINT)"
        if kind in ("FLOAT", "DOUBLE"):
            return f"CAST({column} AS DOUBLE)"
        if kind.startswith(("DATE", "TIMESTAMP")) and "ZONE" not in kind:
            return f"CAST({column} AS TIMESTAMP)"
        if self.source.key is None:  # rows that differ in a blank are two rows
            return column if kind == "VARCHAR" else f"CAST({column} AS VARCHAR)"
        return self.locale.name(column, kind)

    def _column(self, name: str, at: tuple[str | int, ...]) -> str:
        found = self.by_lower.get(name.lower())
        if found is None:
            raise self._no_column(name, at)
        return found

    def _no_column(self, name: str, at: tuple[str | int, ...]) -> ContractError:
        own = [column for column in self.columns if column not in ROW]
        close = difflib.get_close_matches(name, own, 1)
        mend = (
            f"did you mean `{close[0]}`?"
            if close
            else f"it has {', '.join(own[:12])}; constants are written `\"'{name}'\"`"
        )
        return ContractError(
            f"`{name}` is no column of source `{self.source_id}`", where=self._where(at), mend=mend
        )

    def _where(self, at: tuple[str | int, ...]) -> str:
        return self.world.where("sources", self.source_id, *at)

    def _cell(
        self, value: Value | None, at: tuple[str | int, ...], times: Mapping[str, str] | None = None
    ) -> Cell:
        """A contract value as SQL: a column's name, a constant, or an expression with names
        resolved and functions written out."""
        if not isinstance(value, str):
            sql, reads = constant(value) if value is not None else "NULL", frozenset[str]()
        elif value.lower() in self.by_lower:
            name = self.by_lower[value.lower()]
            return Cell(quote(name), self.columns[name].upper(), frozenset({name}))
        else:
            try:
                node = parse(self.con, value)
                check_row_local(node, {**self.functions, **BUILT_IN})
                node = inline(node, self.functions)
                check_growth(node)
                node = self._resolve(node, at, times or {})
            except ContractError as error:
                if error.where:
                    raise
                mend = error.mend
                if "is no SQL expression" in error.what:
                    mend = (
                        f"no column of source `{self.source_id}` is called so either; it has "
                        f"{', '.join(list(self.columns)[:12])}"
                    )
                raise ContractError(error.what, where=self._where(at), mend=mend) from None
            sql, reads = to_sql(self.con, node), frozenset(column_names(node)) & self.columns.keys()
        return Cell(sql, self._type(sql, at, times or {}), reads)

    def _type(self, sql: str, at: tuple[str | int, ...], times: Mapping[str, str]) -> str:
        local = "".join(f", CAST(NULL AS TIMESTAMP) AS {quote('v:' + name)}" for name in times)
        try:
            row = self.con.execute(
                f"DESCRIBE SELECT {sql} AS c FROM (SELECT *{local} FROM proto)"
            ).fetchone()
        except duckdb.Error as error:
            said = str(error).split("\n")[0]
            raise ContractError(f"`{sql}` cannot be: {said}", where=self._where(at)) from None
        return str(row[1]) if row else "NULL"

    def _resolve(self, node: Node, at: tuple[str | int, ...], times: Mapping[str, str]) -> Node:
        node = replace_children(node, lambda child: self._resolve(child, at, times))
        if node["class"] == "COLUMN_REF":
            name = node["column_names"][0]
            if name.lower() in self.by_lower:
                return {
                    **node,
                    "column_names": [self.by_lower[name.lower()], *node["column_names"][1:]],
                }
            if name.lower() in times:
                return {**node, "column_names": ["v:" + name.lower()]}
            raise self._no_column(name, at)
        name = str(node.get("function_name", "")).lower()
        if node["class"] == "FUNCTION" and name in BUILT_IN:
            given = node["children"]
            if len(given) != BUILT_IN[name]:
                raise ContractError(
                    f"`{name}` takes {BUILT_IN[name]} arguments, not {len(given)}",
                    where=self._where(at),
                )
            parts = [to_sql(self.con, child) for child in given]
            types = [self._type(part, at, times) for part in parts]
            return parse(self.con, self.locale.built_in(name, parts, types))
        if node["class"] == "CAST" and node["cast_type"]["id"] == TIME and not node["try_cast"]:
            text = to_sql(self.con, node["child"])
            if self._type(text, at, times) == "VARCHAR" and column_names(node["child"]):
                return parse(self.con, local_time(text))
        if node["class"] == "FUNCTION" and name in PARSING:
            call, *given = (to_sql(self.con, one) for one in (node, *node["children"]))
            if is_exact(given[-1]):
                return parse(self.con, exact_time(call, given[0], given[-1]))
        return node

    def _check_type(self, cell: Cell, kind: str, at: tuple[str | int, ...]) -> None:
        if kind == "VARCHAR" and cell.type.startswith(("FLOAT", "DOUBLE", "DECIMAL")):
            raise ContractError(
                f"`{cell.sql}` is a {cell.type}; numbers with fractions are no names",
                where=self._where(at),
                mend="cast it: `x::bigint`",
            )
        if kind in (TIME, DAY) and not cell.type.startswith(
            ("VARCHAR", "DATE", "TIMESTAMP", '"NULL"')
        ):
            raise ContractError(
                f"`{cell.sql}` is a {cell.type}, not a time",
                where=self._where(at),
                mend="make_date(y, m, d), to_timestamp(seconds)",
            )
        if (kind == NUMBER and cell.type.startswith(("DATE", "TIME", "STRUCT", "MAP"))) or (
            kind == NUMBER and cell.type.endswith("[]")
        ):
            raise ContractError(
                f"`{cell.sql}` is a {cell.type}, not a number", where=self._where(at)
            )
        if kind == FLAG and cell.type.startswith(("DATE", "TIME", "STRUCT", "MAP")):
            raise ContractError(
                f"`{cell.sql}` is a {cell.type}, not a yes or no", where=self._where(at)
            )
