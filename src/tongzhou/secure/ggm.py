"""Trees of pseudorandom blocks that can be handed over but for one leaf.

A *tree* grows from one secret block: each node gives two children by a hash, and the leaves are the output.
Who holds the root knows every leaf. Who is given, for each level, the sum of all nodes on the side that its
path does *not* take, can compute every leaf but the one at the end of its path, and nothing of that one.

Assumption: ``P0(s) ^ s`` and ``P1(s) ^ s``, with P0 and P1 AES-128 under two public keys, are pseudorandom
in s (AES as an ideal permutation).

Papers: Goldreich, Goldwasser and Micali, How to construct random functions (J. ACM 1986); the handing over
after Schoppmann, Gascón, Reichert and Raykova, Distributed vector-OLE (CCS 2019), and Boyle et al.,
Efficient two-round OT extension and silent non-interactive secure computation (CCS 2019).

All trees of a call grow together, level by level. Leaf j of a tree is reached by the bits of j, the lowest
first.
"""

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.fixed_hash import HASH_KEY_BYTES, BlockCipher, Blocks

__all__ = ["GROVE_KEY_BYTES", "Grove"]

GROVE_KEY_BYTES = 2 * HASH_KEY_BYTES
"""Bytes of the public key of a `Grove`."""

_PIECE = 1 << 14
"""Nodes expanded at a time, so that they stay in the cache."""


class Grove:
    """Trees under one public key.

    Args:
        key: 32 bytes, public, fresh for a run.
    """

    def __init__(self, key: bytes) -> None:
        self._ciphers = (BlockCipher(key[:HASH_KEY_BYTES]), BlockCipher(key[HASH_KEY_BYTES:]))

    def grow(self, roots: Blocks, depth: int) -> tuple[Blocks, Blocks]:
        """All leaves of all trees.

        Args:
            roots: ``(t, 2)`` secret blocks, one a tree.
            depth: levels, from 1.

        Returns:
            leaves ``(2^depth, t, 2)``, and the sums ``(depth, 2, t, 2)`` of the nodes on either side of each
            level.
        """
        nodes = roots[None]
        sums = np.empty((depth, 2, len(roots), 2), dtype=np.uint64)
        for level in range(depth):
            nodes = self._children(nodes)
            sums[level] = _side_sums(nodes)
        return nodes, sums

    def grow_around(self, holes: NDArray[np.int64], told: Blocks) -> Blocks:
        """All leaves but one of each tree.

        Args:
            holes: ``(t,)`` the leaf of each tree that stays unknown.
            told: ``(depth, t, 2)`` for each level the sum of the side that the path to the hole does not
            take.

        Returns:
            ``(2^depth, t, 2)``, with a zero block in each hole.
        """
        count = len(holes)
        trees = np.arange(count)
        nodes = np.zeros((1, count, 2), dtype=np.uint64)
        for level in range(len(told)):
            half = 1 << level
            nodes = self._children(nodes)
            path = holes & (half - 1)
            # What grew from the unknown node is not the tree: both children go, the sibling comes back by
            # its sum.
            nodes[path, trees] = nodes[path + half, trees] = 0
            sibling = 1 - ((holes >> level) & 1)
            known = _side_sums(nodes)[sibling, trees]
            nodes[path + sibling * half, trees] = known ^ told[level]
        return nodes

    def _children(self, nodes: Blocks) -> Blocks:
        """``(w, t, 2)`` to ``(2 w, t, 2)``: the first children of all nodes, then the second."""
        width, count, _ = nodes.shape
        flat = nodes.reshape(-1, 2)
        out = np.empty((2, width * count, 2), dtype=np.uint64)
        for start in range(0, len(flat), _PIECE):
            piece = flat[start : start + _PIECE]
            for side, cipher in enumerate(self._ciphers):
                np.bitwise_xor(cipher.encrypt(piece), piece, out=out[side, start : start + _PIECE])
        return out.reshape(2 * width, count, 2)


def _side_sums(nodes: Blocks) -> Blocks:
    """Sums of the first and of the second half of a level: ``(2, t, 2)``."""
    width, count, _ = nodes.shape
    sums: Blocks = np.bitwise_xor.reduce(nodes.reshape(2, width // 2, 2 * count), axis=1)
    return sums.reshape(2, count, 2)
