"""Signals by region, generated and labelled so: plausible curves from the seed, no relation to the
real demand is meant or claimed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

from generator.calendar import LAST, day, stream
from generator.write import write_csv, write_json

# mean and swing of the year, °C
REGIONS = {"UK": (10.5, 7.0), "IE": (9.8, 5.5), "CONT": (11.0, 10.0), "ROW": (18.0, 5.0)}
LABEL = "generated"
#: the gift trade's fixed points, true dates of the United Kingdom: name, first day, last day, kind
SEASONS = (
    ("Christmas 2010", "2010-11-01", "2010-12-24", "season"),
    ("Valentine's Day", "2011-02-14", "2011-02-14", "day"),
    ("Mothering Sunday", "2011-04-03", "2011-04-03", "day"),
    ("Easter", "2011-04-22", "2011-04-25", "holiday"),
    ("Royal wedding", "2011-04-29", "2011-04-29", "holiday"),
    ("Father's Day", "2011-06-19", "2011-06-19", "day"),
    ("Halloween", "2011-10-31", "2011-10-31", "day"),
    ("Christmas 2011", "2011-11-01", "2011-12-24", "season"),
)

Row = dict[str, object]


def write(out: Path) -> None:
    """weather, weather forecast, fuel price, search interest (CSV), consumer confidence, competitor
    price (JSON), gift seasons (CSV)."""
    weather = {region: _weather(region) for region in REGIONS}
    write_csv(
        out / "weather.csv",
        (
            {
                "day": day(index).isoformat(),
                "region": region,
                "temperature_c": f"{celsius[index]:.1f}",
                "rain_mm": f"{rain[index]:.1f}",
                "published_at": f"{day(index + 1)} 08:00:00",
                "origin": LABEL,
            }
            for index in range(LAST)
            for region, (celsius, rain) in weather.items()
        ),
    )
    write_csv(out / "weather_forecast.csv", _forecasts(weather))
    write_csv(
        out / "fuel_price.csv",
        _walk("fuel_price", 7, lambda level: f"{level:.3f}", 1.2, 0.015, "gbp_per_litre"),
    )
    write_csv(
        out / "search_interest.csv",
        _walk("search_interest", 7, lambda level: f"{level:.0f}", 55, 4, "interest"),
    )
    write_json(
        out / "consumer_confidence.json",
        list(_walk("consumer_confidence", 28, lambda level: round(level, 1), -25, 2.5, "index")),
    )
    write_json(
        out / "competitor_price.json",
        list(
            _walk("competitor_price", 7, lambda level: round(level, 3), 1.0, 0.012, "price_index")
        ),
    )
    write_csv(
        out / "gift_seasons.csv",
        (
            {
                "name": name,
                "first_day": first,
                "last_day": last,
                "kind": kind,
                "announced_on": "2010-10-01",
            }
            for name, first, last, kind in SEASONS
        ),
    )


def _weather(region: str) -> tuple[list[float], list[float]]:
    """Temperature as a yearly wave with noise that remembers yesterday, and rain on four days of
    ten; 14 days longer than the sample."""
    draw, (middle, swing), noise = stream("weather", region), REGIONS[region], 0.0
    celsius, rain = [], []
    for index in range(LAST + 15):
        noise = 0.75 * noise + draw.gauss(0, 1.8)
        celsius.append(middle - swing * math.cos(2 * math.pi * (index - 45) / 365.25) + noise)
        rain.append(draw.expovariate(1 / 5) if draw.random() < 0.4 else 0.0)
    return celsius, rain


def _forecasts(weather: dict[str, tuple[list[float], list[float]]]) -> Iterator[Row]:
    """Every Friday the temperature of the next 14 days, less sure the farther ahead."""
    for issued in range(2, LAST + 1, 7):
        for region, (celsius, _rain) in weather.items():
            draw = stream("forecast", region, issued)
            for ahead in range(1, 15):
                guess = celsius[issued + ahead] + draw.gauss(0, 0.6 + 0.2 * ahead)
                yield {
                    "issued_at": f"{day(issued)} 18:00:00",
                    "region": region,
                    "target_on": day(issued + ahead).isoformat(),
                    "temperature_c": f"{guess:.1f}",
                    "origin": LABEL,
                }


def _walk(
    name: str, step: int, show: Callable[[float], object], level: float, noise: float, column: str
) -> Iterator[Row]:
    """A level that wanders back to where it began; one value a step of days, published two days
    after the step it describes."""
    state = {region: level for region in REGIONS}
    draws = {region: stream(name, region) for region in REGIONS}
    for index in range(-28, LAST - 1, step):
        for region in REGIONS:
            state[region] += 0.1 * (level - state[region]) + draws[region].gauss(0, noise)
            yield {
                "day": day(index).isoformat(),
                "region": region,
                column: show(state[region]),
                "published_at": f"{day(index + 2)} 09:00:00",
                "origin": LABEL,
            }
