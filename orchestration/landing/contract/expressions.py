"""One DuckDB scalar expression over one row: parsed, judged on its syntax tree, its names resolved,
written back as SQL.

Row-local by law: no subquery, window, aggregate, star, lambda or table function, and only the
functions listed here. So the order in which rows arrive cannot matter, no file or setting can be
reached, and each canonical row has one source row.
"""

from __future__ import annotations

import copy
import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import duckdb

from orchestration.landing.contract.errors import ContractError

Node = dict[str, Any]

#: Pure scalar functions. A list of what is known to be harmless, not of what is known to harm.
FUNCTIONS = frozenset(
    """
    + - * / // % ** ^ & | << >> ~ || ~~ !~~ ~~* !~~* ~~~ @ abs ceil ceiling floor round trunc sign
    sqrt cbrt exp ln log log10 log2 pow power greatest least mod divide multiply add subtract even
    factorial gcd lcm pi sin cos tan asin acos atan atan2 degrees radians isnan isinf isfinite xor
    bit_count nullif ifnull if constant_or_null ascii bar chr concat concat_ws contains ends_with
    starts_with suffix prefix ^@ format printf instr strpos position lcase lower ucase upper left
    right length len char_length character_length lpad rpad ltrim rtrim trim repeat replace reverse
    split split_part str_split string_split string_to_array str_split_regex string_split_regex
    regexp_split_to_array substr substring translate strip_accents unicode ord hex unhex to_hex
    from_hex md5 sha1 sha256 hash levenshtein editdist3 damerau_levenshtein jaccard jaro_similarity
    jaro_winkler_similarity regexp_extract regexp_extract_all regexp_full_match regexp_matches
    regexp_replace regexp_escape like_escape ilike_escape not_like_escape not_ilike_escape
    nfc_normalize url_decode url_encode to_base base64 from_base64 to_base64 bin date_add date_sub
    datesub date_diff datediff date_part datepart date_trunc datetrunc day dayname dayofmonth
    dayofweek dayofyear decade century millennium year month monthname week weekday weekofyear
    isodow isoyear yearweek quarter hour minute second millisecond microsecond epoch epoch_ms
    epoch_us epoch_ns era julian last_day make_date make_time make_timestamp make_timestamp_ms
    make_timestamp_ns make_timestamptz strftime strptime try_strptime time_bucket timezone
    to_timestamp age to_years to_months to_days to_weeks to_hours to_minutes to_seconds
    to_milliseconds to_microseconds to_quarters to_decades to_centuries to_millennia list_value
    array_value row struct_pack list_concat list_cat array_concat array_cat list_contains
    array_contains list_has list_distinct list_element list_extract array_extract list_position
    list_indexof list_slice array_slice list_sort array_sort list_reverse list_unique flatten
    list_aggregate array_length array_to_string list_resize struct_extract struct_extract_at map
    map_extract element_at json_extract json_extract_string json_extract_path json_extract_path_text
    json_array_length json_keys json_type json_valid json_value json_exists json_contains -> ->>
    typeof
    """.split()  # noqa: SIM905 - a list of words is read as words
)
CLASSES = frozenset(
    (
        "FUNCTION",
        "COLUMN_REF",
        "CONSTANT",
        "CAST",
        "CASE",
        "CONJUNCTION",
        "COMPARISON",
        "OPERATOR",
        "BETWEEN",
    )
)
#: What a name under a node may be called; used to say what is wrong in the user's words.
FORBIDDEN = {
    "SUBQUERY": "a subquery",
    "WINDOW": "a window",
    "STAR": "a star",
    "LAMBDA": "a lambda",
    "PARAMETER": "a parameter",
    "POSITIONAL_REFERENCE": "a positional reference",
    "COLLATE": "a collation",
    "DEFAULT": "a default",
    "LAMBDA_REF": "a lambda",
}
LARGEST_EXPRESSION = 20_000  # characters
DEEPEST = 200
MOST_TIMES = 10_000  # how many times longer than the cells it reads a value may be
#: Functions whose answer is as long as an argument says, and which argument that is.
SIZED = {"repeat": 1, "lpad": 1, "rpad": 1, "list_resize": 1, "bar": 3}
REPLACING = {"replace", "regexp_replace", "translate"}
SHAPED = {"format", "printf"}


def parser() -> duckdb.DuckDBPyConnection:
    """A DuckDB that sees no file and no variable: it only turns text into syntax trees and back."""
    con = duckdb.connect(":memory:", config={"enable_external_access": "false", "threads": "1"})
    con.execute("SET python_enable_replacements=false")
    con.execute("SET lock_configuration=true")
    return con


def children(node: Node) -> Iterator[Node]:
    """The expressions directly under a node of DuckDB's syntax tree."""
    for value in node.values():
        if isinstance(value, dict):
            yield from [value] if "class" in value else children(value)
        elif isinstance(value, list):
            for entry in value:
                if isinstance(entry, dict):
                    yield from [entry] if "class" in entry else children(entry)


def walk(node: Node, depth: int = 0) -> Iterator[Node]:
    """A node and every expression below it. Raises ContractError where they are nested deeper than
    DEEPEST."""
    if depth > DEEPEST:
        raise ContractError("the expression is nested too deeply")
    yield node
    for child in children(node):
        yield from walk(child, depth + 1)


def replace_children(node: Node, change: Callable[[Node], Node]) -> Node:
    """A copy of the node whose direct expression children went through `change`."""

    def visit(value: Any) -> Any:
        if isinstance(value, dict):
            return (
                change(value)
                if "class" in value
                else {key: visit(entry) for key, entry in value.items()}
            )
        return [visit(entry) for entry in value] if isinstance(value, list) else value

    return {key: visit(value) for key, value in node.items()}


def parse(con: duckdb.DuckDBPyConnection, text: str) -> Node:
    """The syntax tree of one scalar expression; ContractError where it is none."""
    if len(text) > LARGEST_EXPRESSION:
        raise ContractError(
            f"the expression has {len(text):,} characters", mend=f"at most {LARGEST_EXPRESSION:,}"
        )
    row = con.execute("SELECT json_serialize_sql(?)", [f"SELECT ({text}\n)"]).fetchone()
    try:
        tree = json.loads(row[0]) if row else {"error": True, "error_message": "empty"}
    except RecursionError:
        raise ContractError("the expression is nested too deeply") from None
    if tree["error"]:
        raise ContractError(
            f"`{shorten(text)}` is no SQL expression: {tree['error_message']}",
            mend="names with blanks go in double quotes",
        )
    statements = tree["statements"]
    query = statements[0]["node"]
    plain = (
        len(statements) == 1
        and query["type"] == "SELECT_NODE"
        and len(query["select_list"]) == 1
        and query["from_table"]["type"] == "EMPTY"
        and not query["modifiers"]
        and not query["cte_map"]["map"]
        and all(query.get(part) is None for part in ("where_clause", "having", "sample", "qualify"))
    )
    if not plain:
        raise ContractError(f"`{shorten(text)}` is a query, not one expression over one row")
    found: Node = query["select_list"][0]
    return found


def shorten(text: str) -> str:
    """A text as messages quote it, at most 80 characters."""
    return text if len(text) <= 80 else text[:77] + "..."


def check_row_local(node: Node, own: Mapping[str, Any]) -> None:
    """Refuse whatever needs more than this row: the law that makes arrival order irrelevant."""
    for part in walk(node):
        kind = part["class"]
        if kind not in CLASSES:
            raise ContractError(
                f"{FORBIDDEN.get(kind, kind.lower())} is not row-local",
                mend="joins and totals are SQL in the warehouse",
            )
        if kind != "FUNCTION":
            continue
        name = str(part["function_name"]).lower()
        if part.get("filter") or part.get("distinct") or part["order_bys"]["orders"]:
            raise ContractError(
                f"`{name}` with filter, distinct or order is an aggregate, not row-local"
            )
        if name not in own and name not in FUNCTIONS:
            close = difflib.get_close_matches(name, [*FUNCTIONS, *own], 1)
            raise ContractError(
                f"the function `{name}` is not allowed here",
                mend=f"did you mean `{close[0]}`?"
                if close
                else "only pure functions of one row; write your own under `functions:`",
            )
        if name == "age" and len(part["children"]) != 2:
            raise ContractError(
                "`age` of one time asks the clock", mend="name both: `age(later, earlier)`"
            )
        if (
            name == "list_aggregate"
            and part["children"][1:2]
            and part["children"][1]["class"] != "CONSTANT"
        ):
            raise ContractError("the aggregate of `list_aggregate` must be written out")


def check_growth(node: Node) -> None:
    """Refuse an expression that could make much of little, such as `repeat(item, 1500000000)`."""
    if _times(node) > MOST_TIMES:
        raise ContractError(
            "the expression could make its cells too long",
            mend=f"at most {MOST_TIMES:,} times what it reads",
        )


def _times(node: Node, depth: int = 0) -> int:
    """How many times longer than a cell the expression's value may be."""
    if depth > DEEPEST:
        raise ContractError("the expression is nested too deeply")
    inner = max(sum(_times(child, depth + 1) for child in children(node)), 1)
    if node["class"] != "FUNCTION":
        return inner
    name, given = str(node["function_name"]).lower(), node["children"]
    if name in SIZED and len(given) > SIZED[name]:
        return inner * max(_written_number(name, given[SIZED[name]]), 1)
    if name in REPLACING and len(given) > 2:
        written = _constant(given[2])
        return inner * (MOST_TIMES if written is None else len(str(written)) + 1)
    if name in SHAPED:
        widths = re.findall(r"\d{4,}", str(_constant(given[0]) or "")) if given else []
        if widths or (given and _constant(given[0]) is None):
            raise ContractError(f"`{name}` takes a written pattern, widths below 1,000")
        return inner * 2
    return inner


def _written_number(name: str, node: Node) -> int:
    number = _constant(node)
    if not isinstance(number, int):
        raise ContractError(f"`{name}` takes a length that is written out as a number")
    return number


def _constant(node: Node) -> Any:
    """What a constant says; None where it is none."""
    return node["value"].get("value") if node["class"] == "CONSTANT" else None


def column_names(node: Node) -> list[str]:
    """Every column name an expression mentions."""
    return [name["column_names"][0] for name in walk(node) if name["class"] == "COLUMN_REF"]


def to_sql(con: duckdb.DuckDBPyConnection, node: Node) -> str:
    """The syntax tree as SQL text."""
    frame = json.loads(con.execute("SELECT json_serialize_sql('SELECT 1')").fetchone()[0])  # type: ignore[index]
    frame["statements"][0]["node"]["select_list"] = [{**node, "alias": ""}]
    written = con.execute("SELECT json_deserialize_sql(?)", [json.dumps(frame)]).fetchone()
    return str(written[0]).removeprefix("SELECT ") if written else ""


def substitute(node: Node, values: Mapping[str, Node]) -> Node:
    """The expression with names replaced by other expressions (parameters by arguments)."""
    if (
        node["class"] == "COLUMN_REF"
        and len(node["column_names"]) == 1
        and node["column_names"][0].lower() in values
    ):
        return copy.deepcopy(values[node["column_names"][0].lower()])
    return replace_children(node, lambda child: substitute(child, values))
