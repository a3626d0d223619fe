"""The only room that knows all the others: when, where, in which order."""

import os

# Read when XGBoost is first imported: its waiting threads otherwise spin, and a busy machine
# crawls.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

#: The line, in the order data flows down it; each is a group of assets.
STATIONS = ("land", "transform", "features", "forecast", "rehearse", "replenish", "publish")
#: Runs with this tag write to the warehouse; the queue starts one at a time.
WRITER_TAG = "stockhouse/writer"
