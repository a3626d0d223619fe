"""Every shared case that can plan, run to orders: `python tests/line/drill_shared_cases.py
[CASE...]`; a minute each on a quiet machine."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from shared_case_runs import AT_THE_DOOR, TO_ORDERS, run_case


def main(wanted: list[str]) -> int:
    """Run the wanted cases, or all; the exit code is how many are not as expected."""
    cases = AT_THE_DOOR | TO_ORDERS
    wrong = 0
    for case in wanted or cases:
        with tempfile.TemporaryDirectory(prefix="stockhouse-case-") as folder:
            found = run_case(case, cases[case], Path(folder) / "home")
        sys.stdout.write(f"{case}: {'; '.join(found) or 'as expected'}\n")
        wrong += bool(found)
    return wrong


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
