"""Distributed point functions: two random keys whose values add up to zero but at one secret point.

Statement
    Parties: a dealer who knows the point and the payload, and two evaluators, 0 and 1.
    Who learns what: each evaluator's key is indistinguishable from uniform, so it learns neither the point
    nor the payload. Evaluation sends nothing. Each key serves one point; where an evaluator's inputs are
    masked by that point, each key serves one input.
    Assumption: the dealer is honest and colludes with neither evaluator; `tongzhou.secure.blocks` is
    correlation robust.
    Cost: 17 bytes for each bit of the domain and 8 for each word of the payload, the same for both
    evaluators, and a root of 16 bytes each; one AES call for each bit of the domain and evaluated point.
    Papers: Boyle, Gilboa and Ishai, Function secret sharing (EUROCRYPT 2015) and Function secret sharing:
    improvements and extensions (CCS 2016), figure 1.

All functions work on batches of keys, level by level. Payloads are vectors over a group: the ring Z_2^64
(`RING`) or the field of `tongzhou.secure.field` (`FIELD`).

A node of the tree is a block of 128 bits. Its lowest bit is the control bit, the others are the seed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure import field
from tongzhou.secure.blocks import BlockHash
from tongzhou.secure.ring import Words

__all__ = [
    "FIELD",
    "MAX_BITS",
    "RING",
    "Corrections",
    "Group",
    "PointKeys",
    "children",
    "clear_roots",
    "convert",
    "deal_points",
    "descend",
    "evaluate_everywhere",
    "evaluate_points",
    "signed",
    "steer",
]

MAX_BITS: Final = 64
"""Bits of the largest domain: points are words."""

Bits = NDArray[np.uint8]
_ONE = np.uint64(1)
_SEED = ~_ONE


@dataclass(frozen=True)
class Group:
    """Where payloads live.

    Attributes:
        name: for error messages and files.
        add: sums of elements.
        subtract: differences.
        from_words: elements from uniform words.
    """

    name: str
    add: Callable[[Words, Words], Words]
    subtract: Callable[[Words, Words], Words]
    from_words: Callable[[Words], Words]


def _same(words: Words) -> Words:
    return words


RING: Final = Group("ring", np.add, np.subtract, _same)
"""Z_2^64."""

FIELD: Final = Group("field", field.add, field.subtract, field.from_words)
"""The integers modulo 2^61 - 1."""


@dataclass(frozen=True, slots=True)
class Corrections:
    """The part of a batch of keys that both evaluators hold; K keys, n bits, L words of payload.

    Attributes:
        seeds: ``(K, n, 2)``; the lowest bit of the first word corrects control bits on the way left.
        right: ``(K, n)`` corrections of control bits on the way right, 0 or 1.
        last: ``(K, L)`` corrections of the payload.
    """

    seeds: Words
    right: Bits
    last: Words

    def some(self, keys: slice | NDArray[np.intp]) -> "Corrections":
        """The same for some of the keys."""
        return Corrections(self.seeds[keys], self.right[keys], self.last[keys])


@dataclass(frozen=True, slots=True)
class PointKeys:
    """One evaluator's batch of keys.

    Attributes:
        party: 0 or 1.
        roots: ``(K, 2)`` this evaluator's own uniform blocks.
        corrections: what both hold.
    """

    party: Literal[0, 1]
    roots: Words
    corrections: Corrections


def deal_points(
    points: Words, payloads: Words, roots: tuple[Words, Words], *, bits: int, group: Group
) -> Corrections:
    """Deal keys for ``f(points[k]) = payloads[k]`` and zero elsewhere.

    Args:
        points: ``(K,)`` below ``2^bits``.
        payloads: ``(K, L)`` elements of the group.
        roots: uniform blocks ``(K, 2)`` of evaluator 0 and of evaluator 1; each gets its own.
        bits: bits of the domain, 1 to `MAX_BITS`.
        group: where payloads live.

    Returns:
        The corrections, for both evaluators.
    """
    grow = BlockHash("dpf tree")
    nodes = clear_roots(np.stack(roots))
    nodes[1, :, 0] |= _ONE
    seeds = np.empty((len(points), bits, 2), dtype=np.uint64)
    right = np.empty((len(points), bits), dtype=np.uint8)
    for level in range(bits):
        step = (points >> np.uint64(bits - 1 - level)) & _ONE
        nodes = steer(children(grow, nodes), nodes, step, seeds[:, level], right[:, level])
    controls = nodes[:, :, 0] & _ONE
    values = convert(clear_roots(nodes), payloads.shape[1], group)
    last = group.add(group.subtract(payloads, values[0]), values[1])
    return Corrections(seeds, right, signed(last, controls[1], group))


def evaluate_points(keys: PointKeys, points: Words, *, group: Group) -> Words:
    """One evaluator's values of each key at its own point.

    Args:
        keys: K keys.
        points: ``(K,)`` one point a key.
        group: where payloads live.

    Returns:
        ``(K, L)``; both evaluators' values add up to the payload at the key's point and to zero elsewhere.
    """
    bits = keys.corrections.right.shape[1]
    shifts = np.arange(bits - 1, -1, -1, dtype=np.uint64)
    steps = (points[None, :] >> shifts[:, None]) & _ONE
    nodes = _root_nodes(keys)
    for below in descend(keys, steps):
        nodes = below
    return _values(keys, nodes, group)


def evaluate_everywhere(keys: PointKeys, *, group: Group) -> Words:
    """One evaluator's values of each key at every point of the domain, ``(K, 2^bits, L)``.

    Costs about two AES calls a point. For domains that fit into memory.
    """
    grow = BlockHash("dpf tree")
    count, bits = keys.corrections.right.shape
    nodes = _root_nodes(keys)[:, None]
    for level in range(bits):
        correction = np.stack([keys.corrections.seeds[:, level]] * 2, axis=1)
        correction[:, 1, 0] = (correction[:, 1, 0] & _SEED) | keys.corrections.right[:, level]
        mask = _spread(nodes[:, :, 0] & _ONE)
        below = np.stack(children(grow, nodes), axis=2)
        below ^= correction[:, None] & mask[:, :, None, None]
        nodes = below.reshape(count, -1, 2)
    return _values(keys, nodes, group)


def _root_nodes(keys: PointKeys) -> Words:
    nodes = clear_roots(keys.roots)
    nodes[:, 0] |= np.uint64(keys.party)
    return nodes


def _values(keys: PointKeys, nodes: Words, group: Group) -> Words:
    """Payload shares of leaves ``(K, 2)`` or ``(K, m, 2)``."""
    last = keys.corrections.last
    controls = nodes[..., 0] & _ONE
    if nodes.ndim == 3:
        last = last[:, None]
    values = group.add(
        convert(clear_roots(nodes), last.shape[-1], group), last & _spread(controls)[..., None]
    )
    return signed(values, np.full(controls.shape, keys.party, dtype=np.uint64), group)


# --- what the trees of this module and of `dcf` share ------------------------------------------------------


def children(grow: BlockHash, nodes: Words) -> tuple[Words, Words]:
    """Both children ``(…, 2)`` of each node, before correction."""
    below = np.stack([nodes, nodes])
    below[0, ..., 0] &= _SEED
    below[1, ..., 0] |= _ONE
    left, right = grow(below)
    return left, right


def steer(pair: tuple[Words, Words], nodes: Words, step: Words, seeds: Words, right: Bits) -> Words:
    """Deal one level: fill its corrections and go down to the children towards the points.

    Args:
        pair: `children` of the nodes.
        nodes: both evaluators' nodes on the way, ``(2, K, 2)``.
        step: ``(K,)`` 1 where the point lies to the right.
        seeds: the level's corrections of seeds, filled here.
        right: and of control bits on the way right, filled here.

    Returns:
        The nodes below, ``(2, K, 2)``. Off the way both evaluators' nodes are equal, so all below cancels.
    """
    lefts, rights = pair
    goes_right = step.astype(bool)[:, None]
    lost = np.where(goes_right, lefts[0] ^ lefts[1], rights[0] ^ rights[1])
    flips = [side[0, :, 0] ^ side[1, :, 0] for side in pair]
    left_bit, right_bit = (flips[0] ^ step ^ _ONE) & _ONE, (flips[1] ^ step) & _ONE
    seeds[:] = lost
    seeds[:, 0] = (lost[:, 0] & _SEED) | left_bit
    right[:] = right_bit
    correction = seeds.copy()
    correction[:, 0] = (lost[:, 0] & _SEED) | np.where(step == 1, right_bit, left_bit)
    kept = np.where(goes_right, rights, lefts)
    kept ^= correction & _spread(nodes[:, :, 0] & _ONE)[:, :, None]
    return kept


def descend(keys: PointKeys, steps: Words) -> Iterator[Words]:
    """One evaluator's nodes ``(K, 2)`` below the root, level by level.

    Args:
        keys: K keys of n bits.
        steps: ``(n, K)`` 1 where the way goes to the right.
    """
    grow = BlockHash("dpf tree")
    nodes = _root_nodes(keys)
    for step, correction in zip(steps, _on_the_way(keys.corrections, steps), strict=True):
        below = nodes.copy()
        below[:, 0] = (nodes[:, 0] & _SEED) | step
        below = grow(below)
        below ^= correction & _spread(nodes[:, 0] & _ONE)[:, None]
        nodes = below
        yield nodes


def _on_the_way(corrections: Corrections, steps: Words) -> Words:
    """The correction of each level for the side that a key's point takes, ``(n, K, 2)``."""
    chosen = np.ascontiguousarray(corrections.seeds.transpose(1, 0, 2))
    left = chosen[:, :, 0]
    chosen[:, :, 0] = np.where(steps == 1, (left & _SEED) | corrections.right.T, left)
    return chosen


def clear_roots(nodes: Words) -> Words:
    """A copy of blocks with their control bits cleared."""
    cleared = nodes.copy()
    cleared[..., 0] &= _SEED
    return cleared


def convert(seeds: Words, length: int, group: Group) -> Words:
    """Elements of the group from seeds whose lowest bit is clear: ``(…, 2)`` to ``(…, length)``."""
    pairs = -(-length // 2)
    blocks = np.repeat(seeds[..., None, :], pairs, axis=-2)
    blocks[..., 1] ^= np.arange(pairs, dtype=np.uint64)
    words = BlockHash("dpf payload")(blocks)
    return group.from_words(words.reshape(*seeds.shape[:-1], 2 * pairs)[..., :length])


def signed(values: Words, negative: Words, group: Group) -> Words:
    """Values ``(…, L)``, taken negative where ``negative (…)`` is 1."""
    return np.where(negative[..., None] == 1, group.subtract(np.zeros_like(values), values), values)


def _spread(controls: Words) -> Words:
    """All ones for 1, zero for 0."""
    return np.uint64(0) - controls
