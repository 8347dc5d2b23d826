"""The tree against RFC 6962, against known answers, and against a second way to compute it."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.evidence import EvidenceCheckError, EvidenceNotFoundError
from tongzhou.evidence.merkle import (
    EMPTY_ROOT,
    MAX_SIZE,
    Frontier,
    consistency_proof,
    fold,
    inclusion_proof,
    leaf_hash,
    node_hash,
    range_root,
    tree_root,
    verify_consistency,
    verify_inclusion,
)

# The eight leaves that Certificate Transparency implementations share as a test (first in Google's
# certificate-transparency, 2013, `merkle_tree_test.cc`), and the roots over the first 0 to 8 of them.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def recursive_root(data: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word."""
    if not data:
        return hashlib.sha256().digest()
    if len(data) == 1:
        return hashlib.sha256(b"\x00" + data[0]).digest()
    k = 1
    while 2 * k < len(data):
        k *= 2
    return hashlib.sha256(b"\x01" + recursive_root(data[:k]) + recursive_root(data[k:])).digest()


def recursive_path(m: int, data: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1, word for word."""
    if len(data) == 1:
        return []
    k = 1
    while 2 * k < len(data):
        k *= 2
    if m < k:
        return [*recursive_path(m, data[:k]), recursive_root(data[k:])]
    return [*recursive_path(m - k, data[k:]), recursive_root(data[:k])]


def recursive_subproof(m: int, data: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2, word for word."""
    if m == len(data):
        return [] if whole else [recursive_root(data)]
    k = 1
    while 2 * k < len(data):
        k *= 2
    if m <= k:
        return [*recursive_subproof(m, data[:k], whole=whole), recursive_root(data[k:])]
    return [*recursive_subproof(m - k, data[k:], whole=False), recursive_root(data[:k])]


class Nodes:
    """Complete nodes over some leaves."""

    def __init__(self, data: Sequence[bytes]) -> None:
        self._hashes = [leaf_hash(one) for one in data]

    def __call__(self, level: int, index: int) -> bytes:
        piece = self._hashes[index << level : (index + 1) << level]
        assert len(piece) == 1 << level, "asked for a node that is not complete"
        return fold(piece)


def some_data(size: int) -> list[bytes]:
    return [number.to_bytes(4, "big") for number in range(size)]


def test_known_roots() -> None:
    for size, root in enumerate(ROOTS):
        assert tree_root(leaf_hash(one) for one in LEAVES[:size]).hex() == root
        assert range_root(0, size, Nodes(LEAVES)).hex() == root


def test_known_proof() -> None:
    """Proof of leaf 0 of 8: hash of leaf 1, then the nodes over 2..3 and 4..7 (same origin as the roots)."""
    assert [one.hex() for one in inclusion_proof(0, 8, Nodes(LEAVES))] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]


def test_leaf_and_node_hashes_are_apart() -> None:
    assert leaf_hash(b"") == hashlib.sha256(b"\0").digest()
    assert node_hash(b"a", b"b") == hashlib.sha256(b"\1ab").digest()
    assert hashlib.sha256().digest() == EMPTY_ROOT


def test_every_proof_of_small_trees_is_that_of_the_rfc_and_verifies() -> None:
    for size in range(1, 35):
        data = some_data(size)
        root = recursive_root(data)
        nodes = Nodes(data)
        for index in range(size):
            proof = inclusion_proof(index, size, nodes)
            assert proof == recursive_path(index, data)
            verify_inclusion(index, size, leaf_hash(data[index]), proof, root)
        for old in range(size + 1):
            proof = consistency_proof(old, size, nodes)
            assert proof == (recursive_subproof(old, data) if old else [])
            verify_consistency(old, size, recursive_root(data[:old]), root, proof)


def test_frontier_gives_the_root_at_every_size() -> None:
    frontier = Frontier()
    data = some_data(70)
    for size, one in enumerate(data):
        assert frontier.root() == recursive_root(data[:size])
        frontier.push(leaf_hash(one))


@given(st.integers(1, 200), st.data())
def test_a_changed_inclusion_proof_fails(size: int, draw: st.DataObject) -> None:
    data = some_data(size)
    root, nodes = recursive_root(data), Nodes(data)
    index = draw.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, nodes)
    leaf = leaf_hash(data[index])
    wrong = draw.draw(st.sampled_from(["leaf", "index", "short", "long", "flip", "swap", "root"]))
    other = draw.draw(st.integers(0, size - 1))
    with pytest.raises(EvidenceCheckError, match=r"entry|proof"):
        if wrong == "index" and other != index:
            verify_inclusion(other, size, leaf, proof, root)
        elif wrong == "short" and proof:
            verify_inclusion(index, size, leaf, proof[:-1], root)
        elif wrong == "long":
            verify_inclusion(index, size, leaf, [*proof, root], root)
        elif wrong == "flip" and proof:
            verify_inclusion(index, size, leaf, [bytes(32), *proof[1:]], root)
        elif wrong == "swap" and len(proof) > 1:
            verify_inclusion(index, size, leaf, proof[::-1], root)
        elif wrong == "root":
            verify_inclusion(index, size, leaf, proof, leaf_hash(b"x"))
        else:
            verify_inclusion(index, size, leaf_hash(b"another"), proof, root)


@given(st.integers(2, 200), st.data())
def test_a_rewritten_history_has_no_consistency_proof(size: int, draw: st.DataObject) -> None:
    data = some_data(size)
    old = draw.draw(st.integers(1, size))
    changed = list(data)
    changed[draw.draw(st.integers(0, old - 1))] = b"rewritten"
    proof = consistency_proof(old, size, Nodes(changed))
    with pytest.raises(EvidenceCheckError, match=f"tree of {size} entries begins with the tree of {old}"):
        verify_consistency(old, size, recursive_root(data[:old]), recursive_root(changed), proof)


@given(st.integers(2, 100), st.data())
def test_a_changed_consistency_proof_fails(size: int, draw: st.DataObject) -> None:
    data = some_data(size)
    old = draw.draw(st.integers(1, size - 1))
    proof = consistency_proof(old, size, Nodes(data))
    position = draw.draw(st.integers(0, len(proof) - 1))
    changes = [
        proof[:position] + proof[position + 1 :],
        [*proof[:position], bytes(32), *proof[position + 1 :]],
        [*proof, bytes(32)],
        [bytes(32), *proof],
    ]
    with pytest.raises(EvidenceCheckError, match="nothing proves"):
        verify_consistency(
            old, size, recursive_root(data[:old]), recursive_root(data), draw.draw(st.sampled_from(changes))
        )


@pytest.mark.parametrize(
    ("old", "new", "old_root", "new_root", "proof"),
    [
        (0, 3, EMPTY_ROOT, leaf_hash(b"a"), [leaf_hash(b"b")]),
        (0, 3, leaf_hash(b"a"), leaf_hash(b"b"), []),
        (3, 3, leaf_hash(b"a"), leaf_hash(b"b"), []),
        (3, 3, leaf_hash(b"a"), leaf_hash(b"a"), [leaf_hash(b"a")]),
        (0, 0, EMPTY_ROOT, leaf_hash(b"a"), []),
        (2, 3, leaf_hash(b"a"), leaf_hash(b"b"), []),
        (3, 5, leaf_hash(b"a"), leaf_hash(b"b"), []),
        (2, 3, b"short", leaf_hash(b"b"), [leaf_hash(b"c")]),
    ],
)
def test_consistency_at_the_edges(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: list[bytes]
) -> None:
    with pytest.raises(EvidenceCheckError, match=r"nothing proves|32 bytes"):
        verify_consistency(old, new, old_root, new_root, proof)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3), (0, MAX_SIZE + 1)])
def test_no_leaf_outside_the_tree(index: int, size: int) -> None:
    with pytest.raises(EvidenceCheckError, match=f"the tree of {size} entries has no entry {index}"):
        verify_inclusion(index, size, leaf_hash(b""), [], leaf_hash(b""))


def test_proofs_of_what_is_not_there() -> None:
    nodes = Nodes(some_data(3))
    with pytest.raises(EvidenceNotFoundError, match="the tree of 3 entries has no entry 3"):
        inclusion_proof(3, 3, nodes)
    with pytest.raises(EvidenceNotFoundError, match="a tree of 3 entries never had 4 entries"):
        consistency_proof(4, 3, nodes)
    with pytest.raises(EvidenceCheckError, match="a tree of 3 entries never had 4 entries"):
        verify_consistency(4, 3, EMPTY_ROOT, EMPTY_ROOT, [])
    with pytest.raises(EvidenceCheckError, match="does not have 32 bytes"):
        verify_inclusion(0, 1, b"", [], b"")


def test_a_proof_for_a_very_large_tree_is_short() -> None:
    asked: list[tuple[int, int]] = []

    def node(level: int, index: int) -> bytes:
        asked.append((level, index))
        return leaf_hash(f"{level}/{index}".encode())

    proof = inclusion_proof(123_456_789, 10**15 + 7, node)
    assert len(proof) <= 50
    assert all((index + 1) << level <= 10**15 + 7 for level, index in asked)
