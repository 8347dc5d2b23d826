"""The Merkle tree of a store: its edge in memory, its full tiles on disk, proofs from both."""

from collections.abc import Sequence

from tongzhou.evidence.errors import EvidenceNotFoundError, EvidenceStoreError
from tongzhou.evidence.merkle import HASH_BYTES, consistency_proof, inclusion_proof, leaf_hash
from tongzhou.evidence.store import EntryRow, Store
from tongzhou.evidence.tiles import TILE_WIDTH, Edge, Tile, tile_sequence

__all__ = ["StoredTree"]

_TILES_KEPT = 64  # full tiles held in memory, 8 kB each


class StoredTree:
    """The tree over all entries of a store.

    The edge in memory may fall behind when another process appends; `catch_up` brings it level again.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[int, bytes] = {}
        self._edge = Edge.load(store.size(), self._leaf_hashes, self._tile)

    @property
    def size(self) -> int:
        """Number of entries that the edge in memory knows."""
        return self._edge.size

    def catch_up(self) -> None:
        """Take in entries that another process has appended.

        Raises:
            EvidenceStoreError: the store lost entries.
        """
        size = self._store.size()
        if size < self._edge.size:
            raise EvidenceStoreError(
                "the store had {old} entries and now has {new}: it was rolled back",
                old=self._edge.size,
                new=size,
            )
        for leaf in self._leaf_hashes(self._edge.size, size):
            self._edge.push(leaf)

    def grown(self, rows: Sequence[EntryRow]) -> tuple[Edge, list[Tile]]:
        """Return the edge with these entries added, and the tiles that they fill; the tree itself stays."""
        edge = self._edge.copy()
        tiles = [tile for row in rows for tile in edge.push(leaf_hash(row.leaf.encode()))]
        return edge, tiles

    def adopt(self, edge: Edge) -> None:
        """Take over an edge from `grown`, once what it describes is on disk."""
        self._edge = edge

    def root(self, size: int) -> bytes:
        """Return the root over the first ``size`` entries, 32 bytes."""
        self._check_size(size)
        return self._edge.root(size, self._tile)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the inclusion proof of an entry in the tree of the first ``size`` entries."""
        self._check_size(size)
        return inclusion_proof(index, size, self._node)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the first ``new`` entries begin with the first ``old``."""
        self._check_size(new)
        return consistency_proof(old, new, self._node)

    def _check_size(self, size: int) -> None:
        if not 0 <= size <= self._edge.size:
            raise EvidenceNotFoundError(
                "the log has {got} entries, not {size}", got=self._edge.size, size=size
            )

    def _node(self, level: int, index: int) -> bytes:
        return self._edge.node(level, index, self._tile)

    def _tile(self, level: int, index: int) -> bytes:
        sequence = tile_sequence(level, index)
        if sequence not in self._kept:
            if len(self._kept) >= _TILES_KEPT:
                self._kept.pop(next(iter(self._kept)))  # the one that has been here longest
            hashes = self._store.tile(sequence)
            if len(hashes) != TILE_WIDTH * HASH_BYTES:
                raise EvidenceStoreError("tile {tile} of the log is damaged", tile=sequence)
            self._kept[sequence] = hashes
        return self._kept[sequence]

    def _leaf_hashes(self, start: int, stop: int) -> list[bytes]:
        return [leaf_hash(row.leaf.encode()) for row in self._store.entries(start, stop)]
