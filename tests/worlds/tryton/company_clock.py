"""Tryton at another time than ours; run by the Python of Tryton's own environment.

`python company_clock.py CONFIG CLOCK trytond …` serves a database as `trytond -c CONFIG …` does, and
`trytond-admin …` makes one. What Tryton takes for now, its day and the times it writes, is what the
file CLOCK says: nothing else of it is changed.
"""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

from trytond import config


def follow(clock: str) -> None:
    """Take the time from a file from now on."""
    from trytond.backend.sqlite import database
    from trytond.ir import date

    def now():
        return dt.datetime.fromisoformat(Path(clock).read_text(encoding="utf-8").strip())

    database.now = lambda: now().isoformat(" ")
    date.Date.today = staticmethod(lambda timezone=None: now().date())


if __name__ == "__main__":
    settings, file, name, *more = sys.argv[1:]
    config.update_etc([settings])
    follow(file)
    from trytond import cli
    from trytond.cli import admin

    sys.argv = [name, "-c", settings, *more]
    {"trytond": cli.main, "trytond-admin": admin.main}[name]()
