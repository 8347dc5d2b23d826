"""The best split of each node of a level, found without opening a sum, a gain or a comparison.

Statement
    Parties: two data owners and the helper (`aided`).
    Who learns what: both owners learn whose column splits each node, or that none does; the owner of the
    column learns which column and where. Sums, gains and everything in between stay shared; see `operands`,
    `signs` and `tournaments` for what is opened under masks. The helper learns the shapes.
    Assumption: as `tongzhou.secure.aided`.
    Cost: 31 rounds a level, four fewer with up to 36 candidates; for each node and candidate about 170
    bytes between the owners each way and 1.1 kB from the helper.
    Method: gains of second order, Chen and Guestrin, XGBoost (KDD 2016), put into one fraction.

With T = H + 2 l2 and the left child's sums G_l and a = H_l + l2, the gain of a split differs by a constant of
the node from ``(G_l T - G a)² / (a (T - a) T)``. All sums of a node are first multiplied by a scale close to
1 / T, which changes no comparison: p = a / T and q = G_l / T, for the whole node t and m. What is compared
is ::

    u² / (p (t - p)),    u = q t - m p

The candidate that sends all rows left has exactly the score that a split must beat to gain anything; it
stands for "no split" and wins ties.

Ranges. With W = 2^7 the format keeps |G_l| ≤ 2 W H_l (twice what the rows guarantee), so |q| < 2^8 p, |u| <
2^9 p (t - p) ≤ 2^7 and u / (p (t - p)) < 2^9. p and t are at most 1 by the choice of scale: with y = 1 / (H +
l2), the scale y (1 - l2 y) makes t = 1 - (l2 y)².
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.boost_settings import BoostFormat, BoostSettings
from tongzhou.secure.choices import choose, open_choice
from tongzhou.secure.halves import Halved, Halves, reduced
from tongzhou.secure.lookups import PLACES, Bits, Table, look_up
from tongzhou.secure.operands import Operand, multiply, open_operands
from tongzhou.secure.reciprocals import INVERSE_DROP, REST_BITS, inverse
from tongzhou.secure.shared import Shared
from tongzhou.secure.signs import negative
from tongzhou.secure.tournaments import place_bits, ranked, win

__all__ = [
    "NOBODY",
    "SMALLEST_GAIN",
    "Candidates",
    "Found",
    "Level",
    "best_splits",
    "children",
    "constant",
    "root",
]

NOBODY: Final = 0
"""Code of "no split"; 1 is the asker, 2 the provider."""

_MEAN_BITS = 21
_LEAN_BITS = 22
_INVERSE_BITS = 17
_SCORE_BITS = 2 * _LEAN_BITS
SMALLEST_GAIN: Final = 2.0**-22
"""A split must gain this part of the node's curvature besides, so that rounding decides nothing."""
_THRESHOLD_BITS = 26
_FINE_BITS = 8

_Number = TypeVar("_Number", np.uint32, np.float64)

_ALL_CLEAR: Table = tuple(int(place & 0b111 == 0) for place in range(PLACES))


@dataclass(frozen=True)
class Level:
    """The nodes of one level, ``(k,)`` each.

    Attributes:
        gradient, curvature: their sums G and H.
        scale: close to 1 / (H + 2 l2).
        inverse: close to 1 / (H + l2), with the same bits.
    """

    gradient: Halved
    curvature: Halved
    scale: Halved
    inverse: Halved


@dataclass(frozen=True)
class Candidates:
    """Public shape of all splits that are tried.

    Attributes:
        settings: as agreed.
        columns: which of all columns take part, in order.
    """

    settings: BoostSettings
    columns: tuple[int, ...]

    @property
    def count(self) -> int:
        """Candidates of a node; the first is "no split"."""
        return len(self.owners)

    @cached_property
    def owners(self) -> Halves:
        """Whose split each candidate is."""
        mine = [1 if column < self.settings.asker_columns else 2 for column, _, _ in self._splits]
        return np.array([NOBODY, *mine], dtype=np.uint32)

    @cached_property
    def codes(self) -> Halves:
        """What each candidate means to its owner; see `meaning`."""
        bins, split = self.settings.bins, self.settings.asker_columns
        own = [
            ((column if column < split else column - split) * bins + code) * 2 + left
            for column, code, left in self._splits
        ]
        return np.array([0, *own], dtype=np.uint32)

    @cached_property
    def directions(self) -> NDArray[np.int64]:
        """Direction that each candidate must respect."""
        monotone = self.settings.monotone
        return np.array([0, *(monotone[column] for column, _, _ in self._splits)], dtype=np.int64)

    def meaning(self, code: int) -> tuple[int, int, bool]:
        """An owner's column, the last bin that goes left, and whether missing values go left."""
        rest, left = divmod(code, 2)
        column, last = divmod(rest, self.settings.bins)
        return column, last, bool(left)

    def left_sums(self, sums: NDArray[_Number], total: NDArray[_Number]) -> NDArray[_Number]:
        """From sums ``(k, columns, bins)`` those of the left child of each candidate, ``(k, count)``."""
        running = np.cumsum(sums, axis=2, dtype=sums.dtype)[:, :, :-1]
        nodes = len(running)
        parts = [total[:, np.newaxis], running.reshape(nodes, -1)]
        if self.settings.missing == "learned":
            parts.append((running[:, :, 1:] - sums[:, :, :1]).reshape(nodes, -1))
        return np.concatenate(parts, axis=1)

    @cached_property
    def _splits(self) -> list[tuple[int, int, int]]:
        """Column, last bin on the left, and 1 where missing values go left."""
        bins = self.settings.bins
        found = [(column, code, 1) for column in self.columns for code in range(bins - 1)]
        if self.settings.missing == "learned":
            found += [(column, code, 0) for column in self.columns for code in range(1, bins - 1)]
        return found


@dataclass(frozen=True)
class Found:
    """What belongs to the best candidate of each node, ``(k,)`` each.

    Attributes:
        gradient, curvature: sums of the left child.
        portion: p.
        inverse: ``1 / (4 p (t - p))``.
        whole: t.
        owner: whose split it is.
        code: which.
    """

    gradient: Halved
    curvature: Halved
    portion: Halved
    inverse: Halved
    whole: Halved
    owner: Halved
    code: Halved


def constant(engine: AidedEngine, values: Halves) -> Halved:
    """Public numbers as shared ones."""
    if not engine.is_owner:
        return Halved(values.shape, None)
    return Halved(values.shape, values if engine.party.role == "asker" else np.zeros_like(values))


def root(engine: AidedEngine, settings: BoostSettings, gradient: Halved, curvature: Halved) -> Level:
    """The root as a level of one node, from its sums."""
    form = BoostFormat.of(settings)
    whole = curvature + constant(engine, _units(2 * settings.l2, form.curvature, 1))
    # Read with 30 fractional bits, T is a number below 1.
    (opened,) = open_operands(engine, whole)
    rest = _rest(engine, opened.lifted(engine), factor=1, bits=30)
    scale = reduced(engine, inverse(engine, rest), INVERSE_DROP)
    less = 47 - form.curvature - form.scale
    if less:
        (opened,) = open_operands(engine, scale)
        scale = reduced(engine, opened.lifted(engine), less)
    return Level(gradient, curvature, scale, scale)


def best_splits(
    engine: AidedEngine, settings: BoostSettings, candidates: Candidates, level: Level, sums: Halved
) -> Found:
    """Find the best candidate of each node.

    Args:
        engine: who computes.
        settings: as agreed.
        candidates: which splits are tried.
        level: the nodes.
        sums: shared ``(k, columns, bins, 2)`` sums of gradient and curvature.
    """
    nodes = level.gradient.shape[0]
    shape = (nodes, candidates.count)
    gradient, curvature = (
        _left(candidates, sums.at(lane), total, shape)
        for lane, total in enumerate((level.gradient, level.curvature))
    )
    scaled = _scale(engine, settings, level, gradient, curvature)
    valid = _valid(engine, settings, candidates, level, curvature, scaled)
    scores = _scores(engine, scaled, valid)
    scores = _threshold(engine, settings, level, scaled, scores)
    slots = candidates.count
    keys = ranked(engine, scores.share, slots, 5 + place_bits(slots))
    fixed = [constant(engine, np.tile(one, (nodes, 1))) for one in (candidates.owners, candidates.codes)]
    payload = [gradient, curvature, scaled.portion, scaled.inverse, *fixed]
    won = win(
        engine,
        keys,
        [one.share for one in payload if one.share is not None],
        [("<u4", shape)] * len(payload),
        nodes,
        slots,
    )
    found = [Halved((nodes,), share) for share in won] or [Halved((nodes,), None)] * len(payload)
    first, second, portion, inverted, owner, code = found
    return Found(first, second, portion, inverted, scaled.whole.reshaped(nodes), owner, code)


def children(
    engine: AidedEngine, settings: BoostSettings, level: Level, found: Found, split: NDArray[np.bool_] | None
) -> Level:
    """The next level: both children of each node, left before right.

    Args:
        engine: who computes.
        settings: as agreed.
        level: the nodes.
        found: their best splits.
        split: ``(k,)``: which nodes are split at all; ``None`` at the helper. In the others all rows go left.
    """
    other = found.whole - found.portion
    left, inverted, right, scale = open_operands(engine, found.portion, found.inverse, other, level.scale)
    # 1 / (4 p) from 1 / (4 p (t - p)), and so for the other side.
    quarters = [
        reduced(engine, one, REST_BITS)
        for one in multiply(engine, [(1, right, inverted)], [(1, left, inverted)])
    ]
    first, second = open_operands(engine, *quarters)
    raw = [one.scaled(4) for one in multiply(engine, [(1, first, scale)], [(1, second, scale)])]
    inverses = [reduced(engine, one, _INVERSE_BITS) for one in raw]
    scales = _scales(engine, settings, raw, inverses)
    pairs = [
        (found.gradient, level.gradient - found.gradient),
        (found.curvature, level.curvature - found.curvature),
        tuple(_kept(one, level.scale, split) for one in scales),
        tuple(_kept(one, level.inverse, split) for one in inverses),
    ]
    return Level(*(_woven(one, two) for one, two in pairs))


# --- one node's numbers ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scaled:
    """Scaled sums of all candidates ``(k, c)``, and of the nodes ``(k, 1)``."""

    portion: Halved
    whole: Halved
    lean: Operand
    inverse: Halved
    inverse_operand: Operand
    lean_value: Halved


def _left(candidates: Candidates, sums: Halved, total: Halved, shape: tuple[int, int]) -> Halved:
    if sums.share is None or total.share is None:
        return Halved(shape, None)
    return Halved(shape, candidates.left_sums(sums.share, total.share))


def _scale(
    engine: AidedEngine, settings: BoostSettings, level: Level, gradient: Halved, curvature: Halved
) -> _Scaled:
    """The p, t, u and ``1 / (4 p (t - p))`` of all candidates."""
    form = BoostFormat.of(settings)
    nodes = gradient.shape[0]
    penalty = _units(settings.l2, form.curvature, 1)
    values = [
        curvature + constant(engine, penalty),
        gradient,
        level.curvature.reshaped(nodes, 1) + constant(engine, 2 * penalty),
        level.gradient.reshaped(nodes, 1),
        level.scale.reshaped(nodes, 1),
    ]
    *sums, scale = open_operands(engine, *values)
    raw = multiply(engine, *([(1, one, scale)] for one in sums))
    weight, slope = form.curvature + form.scale - REST_BITS, form.gradient + form.scale - _MEAN_BITS
    portion, mean, whole, middle = (
        reduced(engine, one, bits) for one, bits in zip(raw, (weight, slope, weight, slope), strict=True)
    )
    p, q, t, m = open_operands(engine, portion, mean, whole, middle)
    spread, lean = multiply(engine, [(1, p, t), (-1, p, p)], [(1, q, t), (-1, m, p)])
    lean_value = reduced(engine, lean, _MEAN_BITS + REST_BITS - _LEAN_BITS)
    inverted = reduced(
        engine, inverse(engine, _rest(engine, spread, factor=4, bits=2 * REST_BITS)), INVERSE_DROP
    )
    u, y = open_operands(engine, lean_value, inverted)
    return _Scaled(portion, whole, u, inverted, y, lean_value)


def _rest(engine: AidedEngine, value: Shared, *, factor: int, bits: int) -> Halved:
    """``1 - (63 / 32) factor v`` for v with so many bits, as `reciprocals` wants it."""
    shift = 5 - (factor.bit_length() - 1)
    one = np.full(value.shape, 1 << (bits + shift), dtype=np.uint64)
    total = engine.add_public(value.scaled(-63), one)
    return reduced(engine, total, bits + shift - REST_BITS)


def _valid(
    engine: AidedEngine,
    settings: BoostSettings,
    candidates: Candidates,
    level: Level,
    curvature: Halved,
    scaled: _Scaled,
) -> Bits | None:
    """Shared bits: both children are heavy enough and the direction is respected."""
    form = BoostFormat.of(settings)
    shape = curvature.shape
    least = constant(engine, _units(settings.min_child_weight, form.curvature, 1))
    tested = [curvature - least, level.curvature.reshaped(shape[0], 1) - curvature - least]
    constrained = np.flatnonzero(candidates.directions)
    if len(constrained):
        tested.append(_against(candidates, scaled.lean_value, constrained))
    flat = _flat(tested)
    signs = negative(engine, flat, 32)
    packed = None if signs is None else _packed_signs(signs, shape, constrained)
    found = look_up(engine, packed, [_ALL_CLEAR], shape=shape)
    if not found:
        return None
    valid = found[0]
    # "No split" is always possible.
    valid[:, 0] = 1 if engine.party.role == "asker" else 0
    return valid


def _against(candidates: Candidates, lean: Halved, constrained: NDArray[np.intp]) -> Halved:
    """The u of constrained candidates, negative where the direction is not respected."""
    shape = (lean.shape[0], len(constrained))
    if lean.share is None:
        return Halved(shape, None)
    factors = candidates.directions[constrained].astype(np.uint32)
    return Halved(shape, lean.share[:, constrained] * factors)


def _flat(values: Sequence[Halved]) -> Shared:
    """All numbers in one row, as words."""
    size = sum(int(np.prod(one.shape)) for one in values)
    shares = [one.share.reshape(-1) for one in values if one.share is not None]
    return Shared((size,), np.concatenate(shares).astype(np.uint64) if shares else None)


def _packed_signs(signs: Bits, shape: tuple[int, ...], constrained: NDArray[np.intp]) -> Bits:
    size = int(np.prod(shape))
    packed: Bits = signs[:size].reshape(shape) | (signs[size : 2 * size].reshape(shape) << np.uint8(1))
    if len(constrained):
        packed[:, constrained] |= signs[2 * size :].reshape(shape[0], -1) << np.uint8(2)
    return packed


def _scores(engine: AidedEngine, scaled: _Scaled, valid: Bits | None) -> Shared:
    """A quarter of each candidate's score, zero where it is not valid."""
    (ratio,) = multiply(engine, [(1, scaled.lean, scaled.inverse_operand)])
    half = reduced(engine, ratio, _INVERSE_BITS)
    kept = choose(engine, open_choice(engine, valid, half.shape), half)
    (opened,) = open_operands(engine, kept)
    (scores,) = multiply(engine, [(1, scaled.lean, opened)])
    return scores


def _threshold(
    engine: AidedEngine, settings: BoostSettings, level: Level, scaled: _Scaled, scores: Shared
) -> Shared:
    """Raise the score of "no split" by the least gain that is asked for."""
    nodes = scores.shape[0]
    extra = Shared((nodes,), np.zeros(nodes, dtype=np.uint64) if engine.is_owner else None)
    if settings.min_gain:
        extra = _asked(engine, settings, level, scaled)
    if scores.share is None or extra.share is None:
        return scores
    share = scores.share.copy()
    share[:, 0] += extra.share
    if engine.party.role == "asker":
        share[:, 0] += np.uint64(int(SMALLEST_GAIN / 4 * (1 << _SCORE_BITS)))
    return Shared(scores.shape, share)


def _asked(engine: AidedEngine, settings: BoostSettings, level: Level, scaled: _Scaled) -> Shared:
    """A quarter of the least gain, in units of scores: gain times scale times t."""
    form = BoostFormat.of(settings)
    nodes = level.scale.shape[0]
    (scale, whole) = open_operands(engine, level.scale, scaled.whole.reshaped(nodes))
    gain = round(settings.min_gain * (1 << _FINE_BITS))
    wide = scale.lifted(engine).scaled(gain)
    # A quarter: two bits more.
    threshold = reduced(engine, wide, form.scale + _FINE_BITS + 2 - _THRESHOLD_BITS)
    coarse = reduced(engine, whole.lifted(engine), REST_BITS + _THRESHOLD_BITS - _SCORE_BITS)
    first, second = open_operands(engine, threshold, coarse)
    (product,) = multiply(engine, [(1, first, second)])
    return product


# --- children ----------------------------------------------------------------------------------------------


def _scales(
    engine: AidedEngine, settings: BoostSettings, raw: Sequence[Shared], inverses: Sequence[Halved]
) -> list[Halved]:
    """``y (1 - l2 y)`` of both children."""
    form = BoostFormat.of(settings)
    penalty = round(settings.l2 * (1 << _FINE_BITS))
    bits = form.scale + _INVERSE_BITS + _FINE_BITS
    one = np.full(raw[0].shape, 1 << bits, dtype=np.uint64)
    rests = [
        reduced(engine, engine.add_public(value.scaled(-penalty), one), bits - REST_BITS) for value in raw
    ]
    y_left, y_right, r_left, r_right = open_operands(engine, *inverses, *rests)
    products = multiply(engine, [(1, y_left, r_left)], [(1, y_right, r_right)])
    return [reduced(engine, value, REST_BITS) for value in products]


def _kept(new: Halved, old: Halved, split: NDArray[np.bool_] | None) -> Halved:
    """The new number where the node is split, else that of the node."""
    if new.share is None or old.share is None or split is None:
        return new
    return Halved(new.shape, np.where(split, new.share, old.share))


def _woven(left: Halved, right: Halved) -> Halved:
    """Left and right in turn, ``(2 k,)``."""
    shape = (2 * left.shape[0],)
    if left.share is None or right.share is None:
        return Halved(shape, None)
    return Halved(shape, np.stack([left.share, right.share], axis=1).reshape(shape))


def _units(value: float, bits: int, size: int) -> Halves:
    return np.full(size, round(value * 2.0**bits), dtype=np.uint32)
