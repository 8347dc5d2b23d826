"""Distributed comparison functions: two random keys whose values add up to a payload below a secret point.

Statement
    Parties: a dealer who knows the point and the payload, and two evaluators, 0 and 1.
    Who learns what: as `tongzhou.secure.dpf`: each key is indistinguishable from uniform.
    Assumption: as `tongzhou.secure.dpf`.
    Cost: 25 bytes for each bit of the domain and 8 more, the same for both evaluators, and a root of 16 bytes
    each; two AES calls for each bit and evaluated point.
    Paper: Boyle, Chandran, Gilboa, Gupta, Ishai, Kumar and Rathee, Function secret sharing for mixed-mode and
    fixed-point secure computation (EUROCRYPT 2021), figure 1.

A comparison function is worth the payload at every x below the point, and zero elsewhere.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tongzhou.secure.blocks import BlockHash
from tongzhou.secure.dpf import (
    Corrections,
    Group,
    PointKeys,
    children,
    clear_roots,
    convert,
    descend,
    signed,
    steer,
)
from tongzhou.secure.ring import Words

__all__ = ["ComparisonKeys", "deal_comparisons", "evaluate_comparisons"]

_ONE = np.uint64(1)


@dataclass(frozen=True, slots=True)
class ComparisonKeys:
    """One evaluator's batch of K keys; n bits.

    Attributes:
        party: 0 or 1.
        roots: ``(K, 2)`` this evaluator's own uniform blocks.
        corrections: what both hold, as for point functions with a payload of one word.
        values: ``(K, n)`` corrections of the levels' values; both hold them.
    """

    party: Literal[0, 1]
    roots: Words
    corrections: Corrections
    values: Words


def deal_comparisons(
    points: Words, payloads: Words, roots: tuple[Words, Words], *, bits: int, group: Group
) -> tuple[Corrections, Words]:
    """Deal keys for ``f(x) = payloads[k]`` where ``x < points[k]``, and zero elsewhere.

    Args:
        points: ``(K,)`` below ``2^bits``.
        payloads: ``(K,)`` elements of the group.
        roots: uniform blocks ``(K, 2)`` of evaluator 0 and of evaluator 1.
        bits: bits of the domain.
        group: where payloads live.

    Returns:
        `corrections` and `values` of `ComparisonKeys`, for both evaluators.
    """
    grow = BlockHash("dpf tree")
    nodes = clear_roots(np.stack(roots))
    nodes[1, :, 0] |= _ONE
    seeds, right = np.empty((len(points), bits, 2), np.uint64), np.empty((len(points), bits), np.uint8)
    values = np.empty((len(points), bits), np.uint64)
    reached = np.zeros((len(points), 1), np.uint64)  # what the values on the way to the point add up to
    for level in range(bits):
        step = (points >> np.uint64(bits - 1 - level)) & _ONE
        below = _level_values(nodes, group)
        goes_right = step.astype(bool)[:, None]
        lost = np.where(goes_right, below[0], below[1])
        kept = np.where(goes_right, below[1], below[0])
        second = nodes[1, :, 0] & _ONE
        wanted = group.subtract(group.subtract(lost[1], lost[0]), reached)
        wanted = np.where(goes_right, group.add(wanted, payloads[:, None]), wanted)
        correction = signed(wanted, second, group)
        values[:, level] = correction[:, 0]
        reached = group.add(
            group.add(reached, group.subtract(kept[0], kept[1])), signed(correction, second, group)
        )
        nodes = steer(children(grow, nodes), nodes, step, seeds[:, level], right[:, level])
    leaves = convert(clear_roots(nodes), 1, group)
    last = group.subtract(group.subtract(leaves[1], leaves[0]), reached)
    return Corrections(seeds, right, signed(last, nodes[1, :, 0] & _ONE, group)), values


def evaluate_comparisons(keys: ComparisonKeys, points: Words, *, group: Group) -> Words:
    """One evaluator's values of each key at its own point, ``(K,)``; both add up to the function."""
    bits = keys.values.shape[1]
    shifts = np.arange(bits - 1, -1, -1, dtype=np.uint64)
    steps = (points[None, :] >> shifts[:, None]) & _ONE
    total = np.zeros((len(points), 1), np.uint64)
    nodes = clear_roots(keys.roots)
    nodes[:, 0] |= np.uint64(keys.party)
    for level, below in enumerate(descend(PointKeys(keys.party, keys.roots, keys.corrections), steps)):
        control = np.uint64(0) - (nodes[:, 0] & _ONE)
        own = np.where(steps[level, :, None] == 1, *reversed(_level_values(nodes, group)))
        total = group.add(total, group.add(own, (keys.values[:, level] & control)[:, None]))
        nodes = below
    leaf = convert(clear_roots(nodes), 1, group)
    control = np.uint64(0) - (nodes[:, 0] & _ONE)
    total = group.add(total, group.add(leaf, keys.corrections.last & control[:, None]))
    return signed(total, np.full(len(points), keys.party, np.uint64), group)[:, 0]


def _level_values(nodes: Words, group: Group) -> tuple[Words, Words]:
    """The values of both children of each node, ``(…, 1)`` each."""
    left, right = children(BlockHash("dcf value"), nodes)
    return group.from_words(left[..., :1]), group.from_words(right[..., :1])
