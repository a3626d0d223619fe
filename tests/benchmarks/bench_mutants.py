"""Would a test notice? Code changed in one place each (mutants), and the share of changes that a
test sees.

`python tests/benchmarks/bench_mutants.py [AREA …] [--seed N] [--number N] [--workers N] [--lab DIR]`,
best by `make mutation`. Of each area of AREAS it draws `--number` mutants by `--seed`, as many of
each module as it has of all (0 for no drawing), and runs each beside the tests that reach its function,
those first that reach little else, then the quickest. What nobody can tell from the original is written down by hand
in `equivalent_mutants.yml`, with the reason. `--lab` (MUTATION_LAB) keeps the folder, so that a next
call asks only whom no test has seen yet; the seconds are those of all its calls.

What is no mutant here: what an error says (all inside `raise`) and other texts for people (strings
with a blank), constants of modules, decorated functions, and SQL, which mutmut does not read.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import zip_longest
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.yml")
#: The modules of each area.
AREAS = {
    "money": [
        "models/procurement/currencies.py",
        "models/procurement/exact_numbers.py",
        "models/procurement/invoice_totals.py",
        "models/procurement/matching.py",
        "models/procurement/approval.py",
        "models/procurement/supplier_sale_terms.py",
        "models/procurement/unit_codes.py",
        "models/replenishment/landed_cost.py",
        "orchestration/ledger/approvals_and_limits.py",
        "orchestration/ledger/invoice_matching.py",
    ],
    "ledger": [
        "models/domain.py",
        "models/procurement/actors.py",
        "models/procurement/documents.py",
        "orchestration/ledger/audit.py",
        "orchestration/ledger/checkpoints.py",
        "orchestration/ledger/copying.py",
        "orchestration/ledger/idempotent_requests.py",
        "orchestration/ledger/proof.py",
        "orchestration/ledger/proposals.py",
        "orchestration/ledger/store.py",
        "orchestration/ledger/trigger_check.py",
    ],
    "landing identity": [
        "orchestration/landing/load/delivery_batches.py",
        "orchestration/landing/load/landed_order.py",
        "orchestration/landing/load/landing.py",
        "orchestration/landing/load/own_rows.py",
        "orchestration/landing/load/row_loader.py",
        "orchestration/landing/load/state_history.py",
        "orchestration/landing/load/store.py",
        "orchestration/landing/readers/drops.py",
    ],
    "decision pipeline": [
        "models/replenishment/agreed_shares.py",
        "models/replenishment/calendars.py",
        "models/replenishment/constraints.py",
        "models/replenishment/customer_orders.py",
        "models/replenishment/decision.py",
        "models/replenishment/echelon.py",
        "models/replenishment/order_rounding.py",
        "models/replenishment/overrides.py",
        "models/replenishment/plan.py",
        "models/replenishment/policies.py",
        "models/replenishment/safety_stock.py",
        "models/replenishment/shelf_life.py",
        "models/replenishment/situations.py",
        "models/replenishment/stock_projection.py",
        "models/replenishment/supplier_minimums.py",
    ],
}
#: The tests a mutant of an area meets: those that are about it, take no more than seconds each and
#: start no process of their own, which would not find mutmut.
#: Who dies in a slower one only (a kill drill, a whole line) counts as a survivor here.
ORDERS = [
    *(
        f"tests/procurement/test_{name}.py"
        for name in ("actors", "documents", "money", "names", "units")
    ),
    *(f"tests/procurement/test_procurement_{name}.py" for name in ("approval", "matching")),
    *(
        f"tests/ledger/test_{name}.py"
        for name in ("four_eyes", "limits_doors", "one_id", "requests")
    ),
    *(
        f"tests/ledger/test_ledger_{name}.py"
        for name in ("audit", "checkpoints", "conversations", "desk", "machine", "proof")
    ),
    "tests/ledger/test_ledger_proposals.py",
    *(f"tests/replenishment/test_{name}.py" for name in ("landed_cost", "views")),
]
TESTS = {
    "money": ORDERS,
    "ledger": ORDERS,
    "landing identity": [
        f"tests/landing/test_{name}.py"
        for name in (
            *("archive", "contract_reads_more", "corrected_by_leaving_out", "declared_grain"),
            *("forgotten_remains", "header_and_lines", "landed_again", "landed_order"),
            *("landing_drift", "landing_files", "landing_formats", "landing_hostile"),
            *("landing_laws", "landing_lines", "landing_order", "landing_privacy"),
            *("landing_quarantine", "landing_values", "one_odd_thing", "partitions"),
        )
    ],
    "decision pipeline": ["tests/replenishment"],
}
#: What a test of any area imports, once for all mutants: their forks come from a process that has
#: computed nothing, as the threads of Polars do not survive a fork.
PRELOADED = ["hypothesis", "pandas", "polars", "orchestration.landing", "orchestration.ledger"]
PLUGINS = ["-p", "xdist.plugin", "-p", "_hypothesis_pytestplugin"]
#: Seconds of tests a mutant meets, the closest first, and those who live on a second time.
FIRST_SECONDS, MOST_SECONDS = 12.0, 180.0
#: So many functions of each area are run unchanged first.
CONTROLS = 5
KILLED, SURVIVED, UNREACHED, UNDECIDED = "killed", "survived", "no test", "undecided"
#: By pytest's exit status (3: an error inside pytest) and mutmut's for a function no test reaches;
#: a signal says that no time was left. 2 and 255: a test's file cannot even be read any more.
VERDICTS = {0: SURVIVED, 1: KILLED, 2: KILLED, 255: KILLED, 33: UNREACHED} | dict.fromkeys(
    (-24, -9), UNDECIDED
)


@dataclass(frozen=True)
class Mutant:
    """One change of one function: how mutmut calls it, and the lines as they were and are."""

    name: str
    where: str
    was: str
    now: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.where, self.was, self.now

    def drawn(self, seed: int) -> str:
        """Its place in the draw: by what it is, so that a change elsewhere draws no others."""
        return hashlib.sha256("\n".join((str(seed), *self.key)).encode()).hexdigest()


def furnish(lab: Path, area: str) -> None:
    """A copy of the checkout as mutmut wants it: sources, and all else beside its mutants."""
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name in tracked:
        source, target = ROOT / name, lab / name
        if not source.is_file():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_bytes() != source.read_bytes():
            shutil.copyfile(source, target)
    sources = ["models", "orchestration", "feature_repo"]
    mutated = [path for other in TESTS if TESTS[other] == TESTS[area] for path in AREAS[other]]
    settings = {
        "source_paths": sources,
        "only_mutate": mutated,
        "also_copy": sorted({name.split("/")[0] for name in tracked} - set(sources)),
        "pytest_add_cli_args": ["--hypothesis-seed=0", *PLUGINS],
        "pytest_add_cli_args_test_selection": [
            *TESTS[area],
            "-m",
            "not line and not shared and not service",
        ],
        "process_isolation": "forkserver",
        "forkserver_warmup": "import",
        "preload_modules_file": "preloaded.txt",
    }
    own = [path.removesuffix(".py").replace("/", ".") for path in mutated]
    (lab / "preloaded.txt").write_text("\n".join([*PRELOADED, *own]), encoding="utf-8")
    said = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    with (lab / "pyproject.toml").open("a", encoding="utf-8") as out:
        out.write(f"\n[tool.mutmut]\n{said}")


def _changed(one: ast.AST, other: ast.AST) -> list[tuple[ast.AST, ast.AST]]:
    """From the function down to the smallest part in which two trees differ."""
    path = [(one, other)]
    while True:
        left, right = path[-1]
        if type(left) is not type(right):
            return path
        mine, yours = list(ast.iter_child_nodes(left)), list(ast.iter_child_nodes(right))
        if len(mine) != len(yours):
            return path
        differ = [
            pair for pair in zip(mine, yours, strict=True) if ast.dump(pair[0]) != ast.dump(pair[1])
        ]
        if len(differ) != 1:
            return path
        path.append(differ[0])


def decides_nothing(original: ast.AST, mutated: ast.AST) -> bool:
    """Whether a change is only in what a person reads, or in how code checks itself."""
    path = _changed(original, mutated)
    if len(path) == 1 and ast.dump(original) == ast.dump(mutated):
        return True
    if any(isinstance(one, ast.Raise) for one, _ in path):
        return True
    last = path[-1][0]
    return isinstance(last, ast.Constant) and isinstance(last.value, str) and " " in last.value


def _tree(text: str) -> ast.AST:
    """A function without its decorators, and without the `strict` of `zip`, which only asserts what
    the code around it makes sure of."""
    tree = ast.parse(textwrap.dedent(text)).body[0]
    assert isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef)
    tree.decorator_list = []
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "zip":
            call.keywords = [one for one in call.keywords if one.arg != "strict"]
    return tree


def _lines_that_differ(before: list[str], after: list[str]) -> tuple[str, str]:
    head = next(i for i, pair in enumerate(zip_longest(before, after)) if pair[0] != pair[1])
    tail = 0
    while tail < min(len(before), len(after)) - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    was, now = before[head : len(before) - tail], after[head : len(after) - tail]
    return " ".join(map(str.strip, was)), " ".join(map(str.strip, now))


def population(path: str) -> Iterator[Mutant]:
    """All mutants of a file but those of wording."""
    module = path.removesuffix(".py").replace("/", ".")
    spans = json.loads(Path("mutants", path + ".spans").read_text("utf-8"))["spans"]
    lines = Path("mutants", path).read_text("utf-8").split("\n")
    texts = {
        name: "\n".join(lines[first - 1 : last]).replace(name, name.partition("__mutmut_")[0])
        for name, (first, last) in spans.items()
    }
    trees: dict[str, ast.AST] = {}
    seen: Counter[tuple[str, str, str]] = Counter()
    for name, text in texts.items():
        mangled, _, number = name.partition("__mutmut_")
        if number == "orig":
            continue
        original = texts[f"{mangled}__mutmut_orig"]
        if mangled not in trees:
            trees[mangled] = _tree(original)
        if decides_nothing(trees[mangled], _tree(text)):
            continue
        was, now = _lines_that_differ(original.split("\n"), text.split("\n"))
        shown = mangled.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
        where = f"{module}:{shown}"
        seen[where, was, now] += 1
        again = f" #{seen[where, was, now]}" if seen[where, was, now] > 1 else ""
        yield Mutant(f"{module}.{name}", where, was, now + again)


def draw(area: str, number: int | None, seed: int) -> list[Mutant]:
    """The mutants of an area that are asked, of each module its share (largest remainders)."""
    of = {path: list(population(path)) for path in AREAS[area]}
    total = sum(map(len, of.values()))
    if number is None or number >= total:
        return [mutant for found in of.values() for mutant in found]
    exact = {path: number * len(found) / total for path, found in of.items()}
    share = {path: math.floor(part) for path, part in exact.items()}
    rest = number - sum(share.values())
    for path in sorted(of, key=lambda path: (share[path] - exact[path], path))[:rest]:
        share[path] += 1
    return [
        mutant
        for path, found in of.items()
        for mutant in sorted(found, key=lambda one: one.drawn(seed))[: share[path]]
    ]


class Trial:
    """Mutants beside their tests, with mutmut's server that imports once and forks for each."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._tests: dict[str, list[str]] = {}
        self._took: dict[str, float] = {}

    def prepare(self) -> None:
        """Write the mutants, and learn which tests reach which function and how long they take."""
        from mutmut import __main__ as mutmut
        from mutmut.mutation.trampoline import set_mutant_under_test
        from mutmut.state import state

        set_mutant_under_test("mutant_generation")
        Path("mutants").mkdir(exist_ok=True)
        mutmut.copy_src_dir()
        mutmut.copy_also_copy_files()
        mutmut.setup_source_paths()
        mutmut.create_mutants(self.workers)
        mutmut.collect_or_load_stats(self._runner(self.workers), apply_config_invalidation=True)
        self._took = dict(state().duration_by_test)
        reached = state().tests_by_mangled_function_name
        reach = Counter(test for tests in reached.values() for test in tests)
        self._tests = {
            name: sorted(tests, key=lambda test: (reach[test], self._took[test], test))
            for name, tests in reached.items()
        }
        set_mutant_under_test("")

    @staticmethod
    def _runner(workers: int) -> Any:
        from mutmut.workers.isolation import get_mutant_runner

        return get_mutant_runner(workers)

    def tests(self, mutant: Mutant, most: float = FIRST_SECONDS) -> list[str]:
        """The tests that reach its function, up to so many seconds of them: those first that reach
        little else, and of more than a first look the quickest, so that most of them are met."""
        found, seconds = [], 0.0
        among = self._tests.get(mutant.name.partition("__mutmut_")[0], [])
        if most > FIRST_SECONDS:
            among = sorted(among, key=lambda test: (self._took[test], test))
        for test in among:
            seconds += self._took[test]
            if seconds > most and found:
                break
            found.append(test)
        return found

    def run(
        self, mutants: Sequence[Mutant], workers: int, patience: float, most: float
    ) -> Iterator[tuple[Mutant, str]]:
        """Each mutant and what became of it, as they end."""
        runner = self._runner(workers)
        by_name = {mutant.name: mutant for mutant in mutants}
        runner.startup()
        try:
            waiting = list(mutants)
            while waiting or runner.pending_count():
                if waiting and runner.has_capacity():
                    mutant = waiting.pop(0)
                    tests = self.tests(mutant, most)
                    seconds = sum(self._took[test] for test in tests)
                    limit = math.ceil((60 + 6 * seconds) * patience)
                    runner.submit(mutant.name, tests, limit, seconds)
                    continue
                result = runner.wait_for_result()
                yield (
                    by_name[result.mutant_name],
                    VERDICTS.get(result.exit_code, f"broken {result.exit_code}"),
                )
        finally:
            runner.signal_work_complete()
            runner.shutdown()


def judge(trial: Trial, mutants: Sequence[Mutant], kept: Path) -> dict[Mutant, str]:
    """What becomes of each; one that lives, or runs out of time, is tried again alone, with more
    tests and time, and counts as seen by time only if it runs out of it twice."""
    known: dict[str, str] = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    known = {name: verdict for name, verdict in known.items() if verdict == KILLED}
    found = {mutant: known[mutant.drawn(0)] for mutant in mutants if mutant.drawn(0) in known}
    tries = ((trial.workers, 1.0, FIRST_SECONDS), (1, 3.0, MOST_SECONDS))
    for workers, patience, most in tries:
        left = [one for one in mutants if found.get(one) not in (KILLED, UNREACHED)]
        for mutant, verdict in trial.run(left, workers, patience, most):
            found[mutant] = verdict
            sys.stderr.write(f"{len(found)}/{len(mutants)} {verdict}: {mutant.where}\n")
            if verdict == KILLED:
                known[mutant.drawn(0)] = verdict
                kept.write_text(json.dumps(known), encoding="utf-8")
    return found


def control(trial: Trial, mutants: Sequence[Mutant]) -> None:
    """Unchanged code beside the tests of some mutants, in their way: nothing may be seen. Exits
    where something is, as every verdict would then say too much."""
    same = {
        name: replace(mutant, name=name)
        for mutant in sorted(mutants, key=lambda one: one.drawn(0))[:CONTROLS]
        if trial.tests(mutant)
        for name in [f"{mutant.name.partition('__mutmut_')[0]}__mutmut_0"]
    }
    for mutant, verdict in trial.run(list(same.values()), trial.workers, 3.0, FIRST_SECONDS):
        if verdict != SURVIVED:
            sys.exit(f"unchanged code does not pass alone: {mutant.where} ({verdict})")


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    z, share = 1.96, hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return middle - half, middle + half


def equivalents() -> dict[tuple[str, str, str], str]:
    """What nobody can tell from the original, and why."""
    said = yaml.safe_load(EQUIVALENT.read_text("utf-8")) if EQUIVALENT.exists() else []
    return {(one["where"], one["was"], one["now"]): one["why"] for one in said}


def measure(area: str, lab: Path, asked: argparse.Namespace) -> tuple[str, list[str]]:
    """An area's row of the table, and its survivors."""
    start, same = time.monotonic(), equivalents()
    furnish(lab, area)
    os.chdir(lab)
    trial = Trial(asked.workers)
    trial.prepare()
    drawn = draw(area, asked.number or None, asked.seed)
    equal = [mutant for mutant in drawn if mutant.key in same]
    control(trial, drawn)
    found = judge(trial, [one for one in drawn if one.key not in same], Path("verdicts.json"))
    seen = Counter(found.values())
    killed = seen[KILLED] + seen[UNDECIDED]
    low, high = wilson(killed, len(found))
    took = Path(f"seconds of {area}.txt")
    before = float(took.read_text("utf-8")) if took.exists() else 0.0
    took.write_text(str(before + time.monotonic() - start), encoding="utf-8")
    row = (
        f"| {area} | {sum(1 for path in AREAS[area] for _ in population(path)):,} | {len(drawn)} "
        f"| {killed} | {seen[UNDECIDED]} | {len(found) - killed} | {len(equal)} "
        f"| {killed / len(found):.1%} | {low:.1%} to {high:.1%} "
        f"| {float(took.read_text('utf-8')):,.0f} |"
    )
    return row, [
        f"- {area}: `{one.where}`: `{one.was}` → `{one.now}` ({verdict})"
        for one, verdict in found.items()
        if verdict not in (KILLED, UNDECIDED)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("areas", nargs="*", metavar="AREA", help=", ".join(AREAS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--number", type=int, default=200, help="of each area; 0 for all")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--lab", type=Path, default=os.environ.get("MUTATION_LAB"))
    asked = parser.parse_args()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    sys.path[:] = [one for one in sys.path if Path(one or ".").resolve() != ROOT]
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what mutmut prints is no result
    rows, survivors = [], []
    with tempfile.TemporaryDirectory() as folder:
        for area in asked.areas or AREAS:
            lab = Path(asked.lab or folder).resolve() / TESTS[area][0].split("/")[1]
            lab.mkdir(parents=True, exist_ok=True)
            # mutmut reads its settings once a process
            with ProcessPoolExecutor(1, get_context("spawn")) as alone:
                row, left = alone.submit(measure, area, lab, asked).result()
            rows.append(row)
            survivors += left
    head = "area mutants drawn killed by_time survived equivalent score interval_95_% seconds"
    print("|", " | ".join(head.split()).replace("_", " "), "|", file=out)
    print("|---|" + "--:|" * 9, file=out)
    print("\n".join(rows), file=out)
    print(f"\nSeed {asked.seed}. Survivors:\n", file=out)
    print("\n".join(sorted(survivors)), file=out, flush=True)


if __name__ == "__main__":
    main()
