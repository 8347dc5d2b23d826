"""Gradients and held-out loss of shared scores: what the rows of a joint boosting bring to each tree.

Statement
    Parties: asker (label), provider, helper.
    Who learns what: as `staircase`, `choices` and `operands`: nothing but masked words. If asked for, both
    owners learn whether the held-out loss is the lowest so far, and nothing else of it.
    Assumption: as `tongzhou.secure.aided`.
    Cost: two rounds; with n rows and K harmonics 8 n (5 + 4 K) bytes; the loss takes four rounds more.
    Method: logistic loss of second order; the loss that is compared is the mean squared residual (Brier's
    score), a proper score that needs products only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.boost_model import OwnTree
from tongzhou.secure.boost_settings import FLOOR_BITS, LARGEST_WEIGHT_BITS, BoostFormat, BoostSettings
from tongzhou.secure.choices import Choice, choose
from tongzhou.secure.cuts import Cuts
from tongzhou.secure.halves import Halved, reduced
from tongzhou.secure.histograms import Column
from tongzhou.secure.logistic import OwnerBlock
from tongzhou.secure.lookups import open_bits
from tongzhou.secure.operands import multiply, open_operands
from tongzhou.secure.party import OWNERS
from tongzhou.secure.refusals import no_label
from tongzhou.secure.ring import encode
from tongzhou.secure.shared import Shared
from tongzhou.secure.signs import negative
from tongzhou.secure.staircase import LINE_BITS, mask_angles

__all__ = ["Boosting", "base_score", "gradients", "loss_fell"]

_DEALT_BITS = 22
_LOSS_WIDTH = 60


@dataclass
class Boosting:
    """A training under way.

    Attributes:
        engine: who computes.
        settings: as agreed.
        block: this owner's rows; ``None`` at the helper.
        cuts: this owner's cuts.
        codes: this owner's bins.
        columns: all columns as the histograms need them.
        scores: shared score of each row.
        label: the asker's label as shared bits.
        count: number of trees so far.
        trees: what this owner knows of them; empty at the helper.
        best: how many trees had the lowest held-out loss.
        gains: shared gains of the splits of each tree, if they are asked for.
        least: shared, the lowest held-out loss.
    """

    engine: AidedEngine
    settings: BoostSettings
    block: OwnerBlock | None
    cuts: list[Cuts]
    codes: list[NDArray[np.uint8]]
    columns: list[Column]
    scores: Shared
    label: Choice
    count: int = 0
    trees: list[OwnTree] = field(default_factory=list)
    best: int = 0
    gains: list[Shared] = field(default_factory=list)
    least: Shared | None = None

    @property
    def own_directions(self) -> tuple[int, ...]:
        """Directions of this owner's columns."""
        split = self.settings.asker_columns
        every = self.settings.monotone
        return every[:split] if self.engine.party.role == "asker" else every[split:]

    @property
    def form(self) -> BoostFormat:
        """The number format."""
        return BoostFormat.of(self.settings)


def base_score(settings: BoostSettings, block: OwnerBlock) -> float:
    """Log-odds of the event among the asker's training rows, as a multiple of the score's unit."""
    if block.label is None:
        raise no_label()
    rate = float(block.label[: settings.trained_rows].mean())
    unit = 2.0 ** BoostFormat.of(settings).score
    return round(math.log(rate / (1 - rate)) * unit) / unit


def gradients(training: Boosting) -> tuple[Halved, Halved]:
    """Gradient and curvature of each row, ``(2, n)``, and the residuals ``(n,)`` for the loss."""
    engine, form = training.engine, training.form
    staircase = training.settings.staircase
    scores = training.scores
    angles = mask_angles(engine, scores.scaled(1 << (staircase.logit_bits - form.score)))
    risen, slope = (
        angles.sum(series, dealt_bits=_DEALT_BITS, bits=form.series)
        for series in (staircase.sigmoid, staircase.slope)
    )
    line = round(staircase.line * 2.0**LINE_BITS)
    half = np.full(scores.shape, 1 << (form.series - 1), dtype=np.uint64)
    chance = engine.add_public(risen + scores.scaled(line), half)
    gradient = reduced(engine, _less_label(training, chance), form.series - form.gradient)
    constant_slope = (line << (form.series - LINE_BITS)) + (1 << (form.series - FLOOR_BITS))
    slope = engine.add_public(slope, np.full(scores.shape, constant_slope, dtype=np.uint64))
    curvature = reduced(engine, slope, form.series - form.curvature) + _absolute(training, chance)
    share = None
    if gradient.share is not None and curvature.share is not None:
        share = np.stack([gradient.share, curvature.share])
    return Halved((2, *scores.shape), share), gradient


def _less_label(training: Boosting, chance: Shared) -> Shared:
    block = training.block
    if block is None or block.label is None:
        return chance
    return training.engine.add_public(chance, encode(-block.label, training.form.series))


def _absolute(training: Boosting, chance: Shared) -> Halved:
    """One part in 128 of each row's absolute gradient: of ``y + p - 2 y p``."""
    engine, form = training.engine, training.form
    # A unit of the curvature is 128 units here.
    coarse = reduced(engine, chance, form.series - (form.curvature - LARGEST_WEIGHT_BITS))
    kept = choose(engine, training.label, coarse)
    total = coarse - kept.scaled(2)
    block = training.block
    if total.share is None or block is None or block.label is None:
        return total
    one = np.uint32(1 << (form.curvature - LARGEST_WEIGHT_BITS))
    return Halved(total.shape, total.share + block.label.astype(np.uint32) * one)


def loss_fell(training: Boosting, residuals: Halved) -> bool:
    """Whether the held-out rows' sum of squared residuals is the lowest so far; opened to both owners."""
    engine, settings = training.engine, training.settings
    (opened,) = open_operands(engine, residuals.sliced(slice(settings.trained_rows, None)))
    (squares,) = multiply(engine, [(1, opened, opened)])
    share = None if squares.share is None else squares.share.sum(keepdims=True)
    loss = Shared((1,), share)
    if training.least is None:
        training.least = loss
        return True
    bit = open_bits(engine, "held-out loss", negative(engine, loss - training.least, _LOSS_WIDTH), (1,))
    fell = bool(bit[0])
    engine.party.record("whether the held-out loss fell", 1, OWNERS, "when to stop")
    if fell:
        training.least, training.best = loss, training.count
    return fell
