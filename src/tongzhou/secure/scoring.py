"""Joint scores of new rows: only the total is opened, and only to the asker.

Statement
    Parties: asker and provider with their columns of the new rows and their shares of the weights; in
    mode `aided` a helper.
    Who learns what: the asker learns the total logit of each row. No partial sum crosses the wire. (An asker
    that knows its own weights can subtract its own part from the total: that follows from the result and the
    grant's ``card`` opening, not from the protocol. With ``card = "shared"`` it cannot.) The provider learns
    the number of rows, the helper the shapes.
    Assumption: as the engine of the mode, `tongzhou.secure.aided` or `tongzhou.secure.pair`.
    Cost: in mode `aided` with m rows and d columns, the intercept included, 8 m (d + 3) bytes, two rounds.
"""

from dataclasses import dataclass

from tongzhou.secure.engine import Engine
from tongzhou.secure.logistic import WEIGHT_BITS
from tongzhou.secure.ring import Reals, Words, decode
from tongzhou.secure.shared import Shared
from tongzhou.secure.whitening import Whitened, whiten_new

__all__ = ["ScoreShape", "ScoringKey", "score_rows"]

_TOTAL_BITS = 57


@dataclass(frozen=True)
class ScoringKey:
    """What an owner keeps to score later.

    Attributes:
        whitened: its own transformation (without the training rows).
        weights: its share of all d weights.
    """

    whitened: Whitened
    weights: Words


@dataclass(frozen=True)
class ScoreShape:
    """Public sizes of one scoring.

    Attributes:
        rows: new rows m.
        asker_columns: variables of the asker, without the intercept.
        provider_columns: variables of the provider.
        block_bits: fractional bits of the blocks, as in training.
    """

    rows: int
    asker_columns: int
    provider_columns: int
    block_bits: int


def score_rows(
    engine: Engine, shape: ScoreShape, key: ScoringKey | None, values: Reals | None
) -> Reals | None:
    """Total logits of the new rows.

    Args:
        engine: who computes.
        shape: agreed sizes.
        key: an owner's key; ``None`` at the helper.
        values: an owner's ``(m, d)`` new rows, in the agreed order.

    Returns:
        ``(m,)`` logits at the asker, ``None`` elsewhere.
    """
    words = None if key is None or values is None else whiten_new(key.whitened, values)
    split = shape.asker_columns + 1
    columns = split + shape.provider_columns
    asker = engine.hide("asker", (split, shape.rows), words)
    provider = engine.hide("provider", (shape.provider_columns, shape.rows), words)
    weights = Shared((columns,), None if key is None else key.weights)
    # Scaled up, so that nothing of the weights is rounded off; a logit stays below 2^6.
    lift = _TOTAL_BITS - shape.block_bits - WEIGHT_BITS
    total = engine.times_both(asker, provider, weights.scaled(1 << lift))
    opened = engine.open(total, what="total logit of each row", receivers=("asker",), reason="the score")
    return None if opened is None else decode(opened, _TOTAL_BITS)
