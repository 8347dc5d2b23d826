"""Binning: from a column of numbers to few bins with weights of evidence.

Three steps, so that two institutions can share them. The owner of a column makes fine bins and assigns its
rows; rows and events per fine bin come from anywhere (one table, or a joint protocol); merging and weights
need those counts only.
"""

from ._bins import Bins
from ._fine import FINE_BINS_MAX, fine_bins
from ._merge import Direction, MergedBins, Monotone, merge_bins
from ._woe import SMOOTHING, BinTable, bin_table, evidence

__all__ = [
    "FINE_BINS_MAX",
    "SMOOTHING",
    "BinTable",
    "Bins",
    "Direction",
    "MergedBins",
    "Monotone",
    "bin_table",
    "evidence",
    "fine_bins",
    "merge_bins",
]
