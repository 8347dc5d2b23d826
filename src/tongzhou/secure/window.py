"""Whether scores stay inside the window of the logistic function, and a wider one where they do not.

Statement
    Parties: as `tongzhou.secure.logistic`, with weights opened to their owners.
    Who learns what: each owner learns how far the other's part of a score reaches from zero, rounded up to
    two digits; the helper learns whether the wide window was needed. Each owner learns its weights once more
    if it was.
    Assumption: as `tongzhou.secure.logistic`.
    Cost: one round; with the wide window two or three evaluations more.
"""

import numpy as np

from tongzhou.secure.logistic import CardOpening, OwnerBlock, OwnerFit, Training, open_weights, widen
from tongzhou.secure.refusals import beyond_window
from tongzhou.secure.staircase import NARROW

__all__ = ["open_within_window"]

_SHARE = 0.75
"""Part of the period that the owners' reaches may add up to. The window ends at half the period, but the sum
is well above the largest score: the extremes of both owners do not meet in one row."""


def open_within_window(training: Training, block: OwnerBlock | None, card: CardOpening) -> OwnerFit | None:
    """Open the weights as the grant says, after training on in the wide window if scores reach that far.

    Where weights stay shared nobody can say how far scores reach, and the window stays as it is.

    Raises:
        DataError: scores leave the wide window too, as where a column separates the classes.
    """
    fit = open_weights(training, card)
    if card == "shared":
        return fit
    reach = _reach(training, fit, block)
    if training.staircase is NARROW and _tell_wide(training, reach):
        widen(training, block)
        fit = open_weights(training, card)
        reach = _reach(training, fit, block)
    limit = _SHARE * training.staircase.period
    if reach is not None and not reach < limit:
        raise beyond_window(reach, limit)
    return fit


def _reach(training: Training, fit: OwnerFit | None, block: OwnerBlock | None) -> float | None:
    """How far both parts of a score reach together; ``None`` at the helper."""
    party = training.engine.party
    party.record("largest part of a score", 1, ("asker", "provider"), "range of the logistic function")
    if fit is None or block is None:
        return None
    exact = float(np.abs(block.values @ fit.coefficients + fit.intercept).max())
    own = float(f"{1.005 * exact:.2g}")
    party.peer.send("train.reach", own)
    theirs, _ = party.peer.recv("train.reach", float)
    return own + theirs


def _tell_wide(training: Training, reach: float | None) -> bool:
    """Whether the wide window is needed; the asker tells the helper."""
    # Not a number counts as far, so that it ends in a refusal.
    wide = None if reach is None else not reach < _SHARE * NARROW.period
    return training.engine.announce(
        "train.wide",
        wide,
        bool,
        what="whether scores reach far",
        reason="window of the logistic function",
    )
