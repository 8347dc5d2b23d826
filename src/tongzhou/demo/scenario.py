"""What the demonstration computes: the plan file, and the strategy under which applicants are decided."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tongzhou.data.example import card_network_table
from tongzhou.decide.strategy import Strategy, example_strategy

__all__ = ["APPLICANTS", "APPROVAL", "PLAN_FILE", "PROVIDER_COLUMNS", "demo_strategy", "write_plan"]

APPLICANTS: Final = 1000
"""Held-out clients who are decided as applicants."""

APPROVAL: Final = 0.8
"""Share of applicants approved at the cut-off, for every model alike."""

_REVIEW: Final = 0.9
"""Share above the lower end of the review band."""

PURPOSE: Final = "credit-scorecard"
PLAN_FILE: Final = "plan.toml"
PROVIDER_COLUMNS: Final = [name for name in card_network_table().column_names if name != "client_id"]

_PLAN = """\
# The demonstration's plan. Every party of the run works to this text; its digest stands in each receipt.
[plan]
name = "card-clients"
purpose = "{purpose}"
mode = "aided"

[parties]
asker = "bank"
provider = "cardnet"
helper = "helper"

[match]
protocol = "dh"
identifier = "client_id"
minimum_rows = 1000

[tables.bank]
table = "clients"
label = "default"
columns = ["limit", "sex", "education", "marriage", "age"]

[tables.cardnet]
table = "behaviour"
columns = [{columns}]
# "No consumption" and "paid in full" are not points on the scale of months late: each gets a bin of its own.
specials = {{ {specials} }}

[holdout]
share = 0.3
seed = "2005"

[binning]
fine = 32
max_bins = 6
min_share = 0.02

[selection]
min_iv = 0.01

[train]
tolerance = 1e-6

[openings]
bin_counts = "both"
card = "both"
reasons = 4
"""


def write_plan(folder: Path) -> Path:
    """Write the plan file and return where it is."""
    path = folder / PLAN_FILE
    columns = ", ".join(f'"{name}"' for name in PROVIDER_COLUMNS)
    specials = ", ".join(f"repay_{month} = [-2.0, -1.0]" for month in range(1, 7))
    path.write_text(_PLAN.format(purpose=PURPOSE, columns=columns, specials=specials), encoding="utf-8")
    return path


def demo_strategy(training_scores: NDArray[np.int64]) -> Strategy:
    """The example strategy with cut-offs from the training scores."""
    approve, review = np.quantile(training_scores, [1 - APPROVAL, 1 - _REVIEW])
    return example_strategy().revise(
        version="2.0.0", approve_from=float(round(approve)), review_from=float(round(review))
    )
