"""What the codes of the data are called in plain words: one name for a policy, a measure or a kind
of exception, whoever shows it."""

from __future__ import annotations

#: Codes that their own words do not say plainly; all others are read as they are spelt.
PLAIN = {
    "eoq_reorder_point": "EOQ and reorder point",
    "eoq_reorder_point_fractile": "EOQ and reorder point, service from costs",
    "quantile_order_up_to": "order-up-to by quantile",
    "min_max": "min-max",
    "seasonal_naive": "as in the season before",
    "xgboost": "gradient-boosted quantiles (XGBoost)",
    "moving_average_cover": "cover by moving average",
    "periodic_review": "periodic review",
    "expedite": "have it come faster",
    "re_route": "send it another way",
    "pre_build": "order ahead",
    "substitute_supplier": "buy from another supplier",
    "do_nothing": "do nothing",
    "co2_kg": "kg of CO2 equivalent",
}
#: Why a measure without an order line has none.
IMPOSSIBLE = "no way in time that saves its cost"


def in_words(code: str) -> str:
    """A code as people say it, without a capital of its own: `re_route` is "send it another
    way"."""
    return PLAIN.get(code, code.replace("_", " "))
