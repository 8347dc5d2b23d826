"""What an asker can learn from a provider of which it shares few clients and few columns: transfer learning.

Statement
    Parties: asker (columns and label of its rows), provider (other columns, mostly of other rows), helper.
    The places of the few rows that both have are known to both (`matching`).
    Who learns what: the asker learns, for each of its columns and each of the provider's few components,
    their mean product over the matched rows, and so the linear map that foretells a component from its own
    columns; of no single row anything that this does not say. The provider learns the shapes. The model of
    the matched rows is trained and opened as `tongzhou.secure.logistic` says, with the asker's score as its
    one column.
    Assumption: as `tongzhou.secure.aided`.
    Cost: with m matched rows, a columns of the asker and k components 8 m (k + a + 1) bytes and a training.
    Papers: Liu, Kang, Xing, Chen and Yang, A secure federated transfer learning framework (IEEE Intelligent
    Systems 35, 2020) for the setting; Kakade and Foster, Multi-view regression via canonical correlation
    analysis (COLT 2007) for why what two views have in common needs few labels; Chatterjee, Chen, Maas and
    Carroll, Constrained maximum likelihood estimation for model calibration using summary-level information
    (JASA 111, 2016) for a large model of few columns within a small one of many.

Three things are transferred:

1. The provider's *representation*: components of its columns, from all its rows, with no label. A few of them
   take the place of many columns, so that few matched rows suffice. 2. A *map* from the asker's columns to
   these components, from the matched rows, with no label. It tells the asker which directions of its own
   columns are worth a weight. That helps where the asker has few labels; where it has many it changes
   nothing, and its own cross-validation then leaves it out. 3. The asker's *score*, from all its labelled
   rows (also those that the provider does not know), as one column of the joint model of the matched rows.

What comes out is a score for everybody (`OwnScore`, which the asker computes alone) and a better one for
those whom the provider knows too. Nothing is gained for clients whom the provider does not know beyond 2.
"""

import math
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError
from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.refusals import one_class
from tongzhou.secure.ring import Reals, decode, encode

__all__ = [
    "OwnScore",
    "Representation",
    "TransferSettings",
    "TransferTable",
    "asker_block",
    "check_asker",
    "cross_moments",
    "cross_moments_clear",
    "own_score",
    "represent",
]

Places = NDArray[np.int64]

_BITS: Final = 20
_REACH: Final = 5.0
"""Standardised values are cut here: one row cannot dominate a mean product."""
_LEVERAGE: Final = 0.5
_LEAST_WEIGHT: Final = 0.01
_ROUNDS: Final = 60
_MINIMUM_ROWS: Final = 50
_FOLDS: Final = 5
_MOST_ROWS: Final = 5000
"""Rows that the choice of a penalty looks at."""
_STEPS: Final = 30
_PENALTIES: Final = (1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1)
_OWN_WEIGHT: Final = 0.3
"""Beside transferred columns the own ones are this much smaller, so that the penalty weighs more on them."""
_MAP_PENALTY: Final = 0.1
_EPSILON: Final = 1e-12


class TransferSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the parties agree on before a transfer.

    Attributes:
        rows: matched rows.
        asker_columns: columns of the asker.
        components: of the provider.
        l2: ridge penalty of the joint model, on scores and components of unit variance; 0 takes ten over the
            number of matched rows.
        tolerance: of the joint training.
    """

    rows: int
    asker_columns: int
    components: int = 3
    l2: float = 0.0
    tolerance: float = 1e-5

    @property
    def penalty(self) -> float:
        """The ridge penalty."""
        return self.l2 or 10.0 / self.rows


@dataclass(frozen=True)
class TransferTable:
    """What an owner brings.

    Attributes:
        values: ``(n, d)`` all its rows, finite.
        names: of the columns.
        matched: ``(m,)`` places of the matched rows, in the order that both owners share.
        label: ``(n,)`` of 0 and 1 at the asker.
    """

    values: Reals
    names: list[str]
    matched: Places
    label: Reals | None = None


@dataclass(frozen=True)
class Representation:
    """A linear map of an owner's columns to columns of unit variance.

    Attributes:
        means, deviations: ``(d,)`` of its columns.
        directions: ``(d, k)``.
    """

    means: Reals
    deviations: Reals
    directions: Reals

    def apply(self, values: Reals) -> Reals:
        """``(m, k)`` of rows ``(m, d)``."""
        scaled = np.clip((values - self.means) / self.deviations, -_REACH, _REACH)
        result: Reals = scaled @ self.directions
        return result


@dataclass(frozen=True)
class OwnScore:
    """A score of clients from the asker's columns alone.

    Attributes:
        scale: of the asker's columns, without directions of its own.
        weights: ``(d,)`` of the standardised columns.
        intercept: log odds at their means.
        transferred: whether what was learnt from the provider is in it.
        loss_alone, loss_transferred: mean loss in cross-validation on the asker's own rows without and with
            it.
    """

    scale: Representation
    weights: Reals
    intercept: float
    transferred: bool
    loss_alone: float
    loss_transferred: float

    def logit(self, values: Reals) -> Reals:
        """Log odds of rows ``(m, d)``."""
        score: Reals = self.scale.apply(values) @ self.weights + self.intercept
        return score


# --- the provider ------------------------------------------------------------------------------------------


def represent(table: TransferTable, components: int) -> Representation:
    """The components of a table that vary most, from all its rows; no label is looked at.

    Raises:
        DataError: a column is constant or not finite, or there are fewer columns than components.
    """
    scale = _scale(table)
    if components > len(table.names):
        raise DataError(
            "{components} components are more than the {columns} columns",
            components=components,
            columns=len(table.names),
        )
    scaled = scale.apply(table.values)
    values, vectors = np.linalg.eigh(np.cov(scaled.T).reshape(len(table.names), -1))
    order = np.argsort(values)[::-1][:components]
    if float(values[order[-1]]) < _EPSILON:
        raise DataError(
            "the columns have fewer than {components} directions in which they vary", components=components
        )
    return Representation(scale.means, scale.deviations, vectors[:, order] / np.sqrt(values[order]))


def _scale(table: TransferTable) -> Representation:
    with np.errstate(invalid="ignore", over="ignore"):
        means, deviations = table.values.mean(axis=0), table.values.std(axis=0)
    for name, mean, deviation in zip(table.names, means.tolist(), deviations.tolist(), strict=True):
        if not math.isfinite(mean) or not math.isfinite(deviation):
            raise DataError("column {column} has a value that is missing or not finite", column=name)
        if deviation <= _EPSILON * max(abs(mean), 1e-300):
            raise DataError(
                "column {column} is constant; a joint regression needs columns that differ: remove it",
                column=name,
            )
    return Representation(means, deviations, np.eye(len(table.names)))


# --- the map -----------------------------------------------------------------------------------------------


def check_asker(settings: TransferSettings, table: TransferTable) -> Representation:
    """Refuse a table that cannot serve.

    Returns:
        Scale of the asker's columns.

    Raises:
        DataError: few matched rows, no label, a column that is constant or not finite.
    """
    rows, columns = len(table.matched), len(table.names)
    if (rows, columns) != (settings.rows, settings.asker_columns):
        raise DataError(
            "the block has {rows} rows and {columns} columns; {agreed_rows} and {agreed} were agreed",
            rows=rows,
            columns=columns,
            agreed_rows=settings.rows,
            agreed=settings.asker_columns,
        )
    if rows < max(_MINIMUM_ROWS, 2 * (columns + 1)):
        raise DataError(
            "{rows} matched rows are too few for a transfer: at least {minimum}, and two for each column",
            rows=rows,
            minimum=_MINIMUM_ROWS,
        )
    if table.label is None or table.label.shape != (len(table.values),):
        raise DataError("the asker needs a label, one of 0 and 1 for each row")
    if not 0 < float(table.label.mean()) < 1:
        raise one_class()
    return _scale(table)


def asker_block(scale: Representation, table: TransferTable) -> tuple[Reals, Reals]:
    """The matched rows of the asker, and how much each counts in the map.

    What is opened are products of the weighted columns with the provider's. No combination of columns may be
    so much larger in one row than in all others that the products would tell this row's values: rows that
    stand out count less, until none makes up more than half of any combination (its leverage). A row that is
    the only one with something does not count at all.

    Returns:
        ``(m, a + 1)`` standardised columns after ones, and ``(m,)`` weights.

    Raises:
        DataError: rows stand out whatever their weights.
    """
    block = np.column_stack([np.ones(len(table.matched)), scale.apply(table.values[table.matched])])
    weights = np.ones(len(block))
    for _ in range(_ROUNDS):
        left, lengths, _ = np.linalg.svd(block * weights[:, None], full_matrices=False)
        leverage = (left[:, lengths > _EPSILON * lengths[0]] ** 2).sum(axis=1)
        if float(leverage.max()) <= _LEVERAGE:
            return block, weights
        weights = weights * np.sqrt(np.minimum(1.0, 0.8 * _LEVERAGE / np.maximum(leverage, _EPSILON)))
        # Exactly zero: what is merely small would still be told, in its last digits.
        weights[weights < _LEAST_WEIGHT] = 0.0
    raise DataError(
        "one of the matched rows stands out in the asker's columns so much that the map would tell its "
        "values at the provider: leave out columns that few rows have, or match more rows"
    )


def cross_moments(engine: AidedEngine, settings: TransferSettings, own: Reals | None) -> Reals | None:
    """Mean products of the asker's columns with the provider's components, ``(k, a + 1)``, at the asker.

    Args:
        engine: who computes.
        settings: as agreed.
        own: ``(m, a + 1)`` weighted columns of `asker_block` at the asker, ``(m, k)`` components at the
            provider,
            ``None`` at the helper.
    """
    rows, components, columns = settings.rows, settings.components, settings.asker_columns + 1
    words = None if own is None else encode(np.ascontiguousarray(own.T), _BITS)
    is_asker = engine.party.role == "asker"
    provider = engine.hide("provider", (components, rows), None if is_asker else words)
    asker = engine.own("asker", (columns, rows), words if is_asker else None)
    product = engine.transpose_times(provider, asker)
    opened = engine.open(
        product,
        what="products of the asker's columns with the provider's components",
        receivers=("asker",),
        reason="map of one owner's columns to the other's",
    )
    return None if opened is None else decode(opened, 2 * _BITS) / rows


def cross_moments_clear(asker: Reals, provider: Reals) -> Reals:
    """The same in the clear, from both owners' rows."""
    result: Reals = provider.T @ asker / len(asker)
    return result


# --- the asker ---------------------------------------------------------------------------------------------


def own_score(
    table: TransferTable, scale: Representation, moments: Reals, *, rows: tuple[Reals, Reals]
) -> tuple[OwnScore, Reals]:
    """The asker's score of everybody, and of the matched rows by models that did not see them.

    Args:
        table: the asker's.
        scale: of its columns.
        moments: ``(k, a + 1)`` from `cross_moments`.
        rows: matched rows and weights, from `asker_block`.

    Returns:
        The score, and ``(m,)`` log odds of the matched rows.
    """
    scaled = scale.apply(table.values)
    label = np.zeros(len(scaled)) if table.label is None else table.label
    directions = _map(*rows, moments)
    foretold = scaled @ directions
    lengths = np.asarray(np.maximum(foretold.std(axis=0), _EPSILON), dtype=np.float64)
    both = np.column_stack([_OWN_WEIGHT * scaled, foretold / lengths])
    alone, transferred = _best(scaled, label), _best(both, label)
    use = transferred[0] < alone[0]
    design, penalty = (both, transferred[1]) if use else (scaled, alone[1])
    fitted = _ridge(design, label, penalty)
    weights: Reals = fitted[1:]
    if use:
        count = scaled.shape[1]
        weights = _OWN_WEIGHT * weights[:count] + directions @ (weights[count:] / lengths)
    score = OwnScore(scale, weights, float(fitted[0]), use, alone[0], transferred[0])
    return score, _unseen(design, label, penalty, table.matched)


def _map(block: Reals, weights: Reals, moments: Reals) -> Reals:
    """Directions ``(a, k)`` of the standardised columns that foretell the components, by ridge regression."""
    penalty = _MAP_PENALTY * float(weights.mean()) * np.eye(block.shape[1])
    penalty[0, 0] = 0.0
    square = (block.T * weights) @ block / len(block)
    return np.asarray(np.linalg.solve(square + penalty, moments.T)[1:], dtype=np.float64)


def _ridge(design: Reals, label: Reals, penalty: float) -> Reals:
    """Weights, the intercept first, of a logistic regression with a ridge penalty on the mean loss."""
    block = np.column_stack([np.ones(len(design)), design])
    ridge = np.full(block.shape[1], penalty)
    ridge[0] = 0.0
    weights = np.zeros(block.shape[1])
    rate = min(max(float(label.mean()), 1e-6), 1 - 1e-6)
    weights[0] = math.log(rate / (1 - rate))
    for _ in range(_STEPS):
        chance = 0.5 * (1 + np.tanh(block @ weights / 2))
        gradient = block.T @ (chance - label) / len(block) + ridge * weights
        curvature = (block.T * (chance * (1 - chance))) @ block / len(block) + np.diag(ridge + _EPSILON)
        step = np.linalg.solve(curvature, gradient)
        # A penalised step of more than this would leave the region where the curvature is right.
        weights = weights - step * min(1.0, 5.0 / max(float(np.abs(step).max()), _EPSILON))
        if float(np.abs(gradient).max()) < 1e-9:
            break
    return weights


def _best(design: Reals, label: Reals) -> tuple[float, float]:
    """Least mean loss in cross-validation, and the penalty that gives it."""
    step = max(1, len(design) // _MOST_ROWS)
    design, label = design[::step], label[::step]
    losses = []
    for penalty in _PENALTIES:
        logits = _by_fold(design, label, penalty)
        losses.append(float(np.mean(np.logaddexp(0.0, logits) - label * logits)))
    least = int(np.argmin(losses))
    return losses[least], _PENALTIES[least]


def _by_fold(design: Reals, label: Reals, penalty: float) -> Reals:
    """Log odds of each row by a model of the other folds."""
    fold = np.arange(len(design)) % _FOLDS
    logits = np.empty(len(design))
    for part in range(_FOLDS):
        weights = _ridge(design[fold != part], label[fold != part], penalty)
        logits[fold == part] = design[fold == part] @ weights[1:] + weights[0]
    return logits


def _unseen(design: Reals, label: Reals, penalty: float, matched: Places) -> Reals:
    """Log odds of the matched rows, each by a model from which its fold of the matched was left out."""
    logits = np.empty(len(matched))
    fold = np.arange(len(matched)) % _FOLDS
    for part in range(_FOLDS):
        keep = np.ones(len(design), dtype=bool)
        keep[matched[fold == part]] = False
        weights = _ridge(design[keep], label[keep], penalty)
        logits[fold == part] = design[matched[fold == part]] @ weights[1:] + weights[0]
    return logits
