"""The Merkle tree of RFC 6962 section 2: hashes, roots, inclusion and consistency proofs.

Everything here is a pure function of hashes. A *node* ``(level, index)`` is the root of the complete
subtree over leaves ``index * 2**level`` up to (without) ``(index + 1) * 2**level``; level 0 are leaf hashes.
Generators of proofs take a function that fetches such nodes, so they do not care where nodes are stored.
Verification follows RFC 9162 sections 2.1.3.2 and 2.1.4.2; it returns nothing, or raises.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence

from tongzhou.evidence.errors import EvidenceCheckError, EvidenceNotFoundError

__all__ = [
    "EMPTY_ROOT",
    "HASH_BYTES",
    "MAX_PROOF",
    "MAX_SIZE",
    "Frontier",
    "NodeReader",
    "consistency_proof",
    "fold",
    "inclusion_proof",
    "leaf_hash",
    "node_hash",
    "range_root",
    "tree_root",
    "verify_consistency",
    "verify_inclusion",
]

NodeReader = Callable[[int, int], bytes]
"""Fetches the hash of node ``(level, index)``, 32 bytes."""

HASH_BYTES = 32
MAX_SIZE = 2**63 - 1  # of a tree, in leaves; the bound of every format that carries a size
MAX_PROOF = 63  # hashes in a proof over a tree of at most MAX_SIZE leaves
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Return SHA-256(0x00 || data): the hash of a leaf, 32 bytes."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right): the hash of an inner node, 32 bytes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the root over neighbouring hashes of one level; their number must be a power of two."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[i], level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]


class Frontier:
    """The roots of the complete subtrees of a growing tree: all that its root depends on."""

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[bytes] = []  # from left to right; one for each bit set in the size

    def push(self, leaf: bytes) -> None:
        """Add a leaf hash."""
        root, size = leaf, self.size
        while size & 1:
            root, size = node_hash(self._roots.pop(), root), size >> 1
        self._roots.append(root)
        self.size += 1

    def root(self) -> bytes:
        """Return the root over all leaves so far, 32 bytes."""
        if not self._roots:
            return EMPTY_ROOT
        *left, root = self._roots
        for one in reversed(left):
            root = node_hash(one, root)
        return root


def tree_root(hashes: Iterable[bytes]) -> bytes:
    """Return the root of the tree over all these leaf hashes, in their order."""
    frontier = Frontier()
    for leaf in hashes:
        frontier.push(leaf)
    return frontier.root()


def range_root(start: int, stop: int, node: NodeReader) -> bytes:
    """Return the root over leaves ``start`` up to (without) ``stop``, a range that such a tree contains.

    Args:
        start: first leaf; a multiple of the largest power of two that is not above the range's length.
        stop: first leaf after the range.
        node: fetches complete nodes.
    """
    if start == stop:
        return EMPTY_ROOT
    length = stop - start
    if length & (length - 1) == 0:
        level = length.bit_length() - 1
        return node(level, start >> level)
    middle = start + _split(length)
    return node_hash(range_root(start, middle, node), range_root(middle, stop, node))


def inclusion_proof(index: int, size: int, node: NodeReader) -> list[bytes]:
    """Return PATH(index, D[size]) of RFC 6962 section 2.1.1: siblings from the leaf up to the root.

    Raises:
        EvidenceNotFoundError: the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise EvidenceNotFoundError("the tree of {size} entries has no entry {index}", index=index, size=size)
    proof: list[bytes] = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            proof.append(range_root(middle, stop, node))
            stop = middle
        else:
            proof.append(range_root(start, middle, node))
            start = middle
    return proof[::-1]


def consistency_proof(old: int, new: int, node: NodeReader) -> list[bytes]:
    """Return PROOF(old, D[new]) of RFC 6962 section 2.1.2; empty when nothing needs proof.

    Raises:
        EvidenceNotFoundError: sizes below zero or old beyond new.
    """
    if not 0 <= old <= new:
        raise EvidenceNotFoundError("a tree of {new} entries never had {old} entries", old=old, new=new)
    if old in (0, new):
        return []
    proof: list[bytes] = []
    start, stop, whole = 0, new, True
    while old != stop:
        middle = start + _split(stop - start)
        if old <= middle:
            proof.append(range_root(middle, stop, node))
            stop = middle
        else:
            proof.append(range_root(start, middle, node))
            start, whole = middle, False
    if not whole:  # the verifier does not know this subtree's root, unless it is the old root itself
        proof.append(range_root(start, stop, node))
    return proof[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the tree of this size and root holds this leaf hash at this index.

    Raises:
        EvidenceCheckError: it does not.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise EvidenceCheckError("the tree of {size} entries has no entry {index}", index=index, size=size)
    _check_lengths([leaf, root, *proof])
    position, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise EvidenceCheckError("the inclusion proof of entry {index} has too many hashes", index=index)
        if position & 1 or position == last:
            computed = node_hash(sibling, computed)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise EvidenceCheckError("the inclusion proof of entry {index} has too few hashes", index=index)
    if computed != root:
        raise EvidenceCheckError(
            "the inclusion proof of entry {index} does not lead to the signed root", index=index
        )


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree ``new`` begins with every entry of the tree ``old``.

    Raises:
        EvidenceCheckError: it does not, or the proof is not one for these sizes.
    """
    if not 0 <= old <= new <= MAX_SIZE:
        raise EvidenceCheckError("a tree of {new} entries never had {old} entries", old=old, new=new)
    _check_lengths([old_root, new_root, *proof])
    if old in (0, new):
        _verify_trivial(old, new, old_root, new_root, proof)
        return
    path = list(proof)
    if old & (old - 1) == 0:  # the old tree is complete, so its root is the first node of the proof
        path.insert(0, old_root)
    first, last = old - 1, new - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    if not path:
        raise _inconsistent(old, new)
    from_old = from_new = path[0]
    for node in path[1:]:
        if last == 0:
            raise _inconsistent(old, new)
        if first & 1 or first == last:
            from_old, from_new = node_hash(node, from_old), node_hash(node, from_new)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            from_new = node_hash(from_new, node)
        first, last = first >> 1, last >> 1
    if last != 0 or from_old != old_root or from_new != new_root:
        raise _inconsistent(old, new)


def _verify_trivial(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    wrong_empty = (old == 0 and old_root != EMPTY_ROOT) or (new == 0 and new_root != EMPTY_ROOT)
    if proof or wrong_empty or (old == new and old_root != new_root):
        raise _inconsistent(old, new)


def _check_lengths(hashes: Sequence[bytes]) -> None:
    if any(len(one) != HASH_BYTES for one in hashes):
        raise EvidenceCheckError("a proof holds a hash that does not have 32 bytes")


def _inconsistent(old: int, new: int) -> EvidenceCheckError:
    return EvidenceCheckError(
        "nothing proves that the tree of {new} entries begins with the tree of {old} entries",
        old=old,
        new=new,
    )


def _split(length: int) -> int:
    """Return the largest power of two below ``length`` (which is at least 2)."""
    return 1 << ((length - 1).bit_length() - 1)
