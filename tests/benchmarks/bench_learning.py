"""The gap table as Markdown: `python tests/benchmarks/bench_learning.py [--retrain]`; without it, as
it is kept in git."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from orchestration.app import gap_table


def main() -> None:
    if "--retrain" in sys.argv[1:]:
        from orchestration.app import learning

        learning.retrain(learning.SMALL, learning.SEEDS, lambda said: sys.stderr.write(said + "\n"))
    found = gap_table.report()
    print("| problems | policy | cases | mean gap | worst gap | CPU s a case |")
    print("|---|---|--:|--:|--:|--:|")
    for one in found["summary"]:
        print(
            f"| {one['problems']} | {one['policy']} | {one['cases']} | {one['mean_gap']:+.3%} | "
            f"{one['worst_gap']:+.3%} | {one['seconds']:.0f} |"
        )
    print("\nWhere nobody knows the optimum, above what no policy can go below:\n")
    print("| problem | policy | above | bound |")
    print("|---|---|--:|--:|")
    for one in found["bounds"]:
        print(f"| {one['problem']} | {one['policy']} | {one['above']:+.2%} | {one['bound']:.3f} |")
    print(f"\nBy case, with 95 % intervals; made by code {found['code']}.\n")
    print("| problem | policy | cost | reference | gap | interval | CPU s | seed |")
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    for row in found["rows"]:
        lower, upper = row["interval"]
        print(
            f"| {row['problem']} | {row['policy']} | {row['cost']:.3f} | {row['reference']:.3f} | "
            f"{row['gap']:+.3%} | {lower:+.3%} … {upper:+.3%} | {row['seconds']:.0f} | "
            f"{row['seed']} |"
        )


if __name__ == "__main__":
    main()
