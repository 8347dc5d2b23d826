"""Tiles (c2sp.org/tlog-tiles): stored hashes in pieces of 256, and the right edge of the tree.

Tile ``(level, index)`` holds the hashes of 256 neighbouring complete subtrees of height ``8 * level``. A full
tile never changes, so only full tiles are stored; what is not full yet, fewer than 256 hashes per level,
lives in memory as the *edge* and follows from the entries. Thus the store is only ever appended to.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from tongzhou.evidence.merkle import EMPTY_ROOT, HASH_BYTES, fold, range_root

__all__ = ["TILE_HEIGHT", "TILE_WIDTH", "Edge", "Tile", "TileReader", "tile_sequence", "tiles_in"]

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT

TileReader = Callable[[int, int], bytes]
"""Fetches the full tile ``(level, index)``: 256 hashes, 8,192 bytes."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A full tile: where it stands, and its 256 hashes one after the other."""

    level: int
    index: int
    hashes: bytes

    @property
    def sequence(self) -> int:
        """Its number in the order of creation, from 0."""
        return tile_sequence(self.level, self.index)


def tiles_in(size: int, level: int) -> int:
    """Return how many full tiles of this level a tree of this size has."""
    return size >> (TILE_HEIGHT * (level + 1))


def tile_sequence(level: int, index: int) -> int:
    """Return which tile this is in the order of creation, from 0.

    A tile is full when entry ``(index + 1) * 256**(level + 1)`` arrives; tiles that this one entry fills
    are created from the lowest level up. Hence the number of all tiles before it can be counted.
    """
    size = (index + 1) << (TILE_HEIGHT * (level + 1))
    lower = sum(tiles_in(size, below) for below in range(level))
    higher = 0
    above = level + 1
    while tiles_in(size, above - 1):
        higher += tiles_in(size - 1, above)
        above += 1
    return lower + index + higher


@dataclass(slots=True)
class Edge:
    """The right edge of a growing tree: size, and for each level the hashes of its unfinished tile.

    Args:
        size: number of leaves.
        levels: for level 0 the last ``size % 256`` leaf hashes, for level 1 the roots of the last
            full tiles of level 0, and so on.
    """

    size: int = 0
    levels: list[list[bytes]] = field(default_factory=list)

    @classmethod
    def load(cls, size: int, leaves: Callable[[int, int], list[bytes]], tile: TileReader) -> "Edge":
        """Rebuild the edge of a stored tree from its last leaf hashes and its full tiles."""
        edge = cls(size, [leaves(size - size % TILE_WIDTH, size)])
        level = 1
        while count := tiles_in(size, level - 1):
            first = count - count % TILE_WIDTH
            edge.levels.append([fold(_split(tile(level - 1, index))) for index in range(first, count)])
            level += 1
        return edge

    def copy(self) -> "Edge":
        """Return an edge that grows on its own."""
        return Edge(self.size, [list(level) for level in self.levels])

    def push(self, leaf: bytes) -> list[Tile]:
        """Add a leaf hash; return the tiles that it filled, lowest first."""
        filled: list[Tile] = []
        self.size += 1
        level, carried = 0, leaf
        while True:
            if level == len(self.levels):
                self.levels.append([])
            hashes = self.levels[level]
            hashes.append(carried)
            if len(hashes) < TILE_WIDTH:
                return filled
            filled.append(Tile(level, tiles_in(self.size, level) - 1, b"".join(hashes)))
            carried = fold(hashes)
            hashes.clear()
            level += 1

    def node(self, level: int, index: int, tile: TileReader) -> bytes:
        """Return the hash of a complete node of the tree (see `merkle`), 32 bytes."""
        tile_level, height = divmod(level, TILE_HEIGHT)
        first = index << height
        offset = first % TILE_WIDTH
        number = first // TILE_WIDTH
        if number < tiles_in(self.size, tile_level):
            packed = tile(tile_level, number)
            return fold(_split(packed[offset * HASH_BYTES : (offset + (1 << height)) * HASH_BYTES]))
        return fold(self.levels[tile_level][offset : offset + (1 << height)])

    def root(self, size: int, tile: TileReader) -> bytes:
        """Return the root of the tree as it was when it had ``size`` leaves, 32 bytes."""
        if size == 0:
            return EMPTY_ROOT
        return range_root(0, size, lambda level, index: self.node(level, index, tile))


def _split(packed: bytes) -> list[bytes]:
    return [packed[i : i + HASH_BYTES] for i in range(0, len(packed), HASH_BYTES)]
