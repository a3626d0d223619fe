"""Money: what foreign currencies were worth, at which rates price lists were agreed, and the VAT in
listed prices. Rates are written by hand, near what they were."""

from __future__ import annotations

from generator.calendar import day

HOME = "GBP"
#: GBP for one unit, by month from October 2010
RATES = {
    "EUR": (
        (0.877, 0.855, 0.849),
        (0.85, 0.849, 0.868, 0.883, 0.877, 0.887, 0.885, 0.876, 0.872, 0.87, 0.859, 0.845),
    ),
    "USD": (
        (0.631, 0.625, 0.641),
        (0.634, 0.62, 0.619, 0.611, 0.612, 0.617, 0.62, 0.611, 0.634, 0.635, 0.632, 0.641),
    ),
}
#: GBP for one unit when the suppliers' price lists were agreed
AGREED = {HOME: 1.0, "EUR": 0.855, "USD": 0.625}


def rate_rows(year: int) -> list[dict[str, object]]:
    """erp/exchange_rates/year=…/rates.csv: a year's rates, by month; the folder says the year."""
    place, first = (0, 10) if year == 2010 else (1, 1)
    return [
        {"month": month, "currency": currency, "rate": rate}
        for currency, years in RATES.items()
        for month, rate in enumerate(years[place], first)
    ]


def vat(index: int) -> float:
    """The United Kingdom's VAT on a day, as a share of the net price."""
    return 0.175 if day(index).year == 2010 else 0.2
