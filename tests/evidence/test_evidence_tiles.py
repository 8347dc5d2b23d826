import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongzhou.evidence.merkle import EMPTY_ROOT, fold, leaf_hash, tree_root
from tongzhou.evidence.tiles import TILE_WIDTH, Edge, Tile, tile_sequence, tiles_in

LEAVES = [leaf_hash(number.to_bytes(4, "big")) for number in range(70_000)]


class Kept:
    """Full tiles as a store would hold them."""

    def __init__(self) -> None:
        self.tiles: list[bytes] = []
        self.places: list[tuple[int, int]] = []

    def add(self, tiles: list[Tile]) -> None:
        for tile in tiles:
            assert tile.sequence == len(self.tiles)
            self.tiles.append(tile.hashes)
            self.places.append((tile.level, tile.index))

    def read(self, level: int, index: int) -> bytes:
        return self.tiles[tile_sequence(level, index)]


@pytest.fixture(scope="module")
def grown() -> tuple[Edge, Kept]:
    edge, kept = Edge(), Kept()
    for leaf in LEAVES:
        kept.add(edge.push(leaf))
    return edge, kept


def test_tiles_come_in_the_counted_order(grown: tuple[Edge, Kept]) -> None:
    """After 65,536 entries a tile of level 1 is full too; `Kept.add` compares each number with the count."""
    _, kept = grown
    assert kept.places[255:258] == [(0, 255), (1, 0), (0, 256)]
    assert len(kept.tiles) == 70_000 // 256 + 1


def test_order_of_creation_far_out() -> None:
    assert tile_sequence(0, 0) == 0
    assert tile_sequence(2, 0) == 65_536 + 256
    assert tile_sequence(0, 65_536) == 65_536 + 256 + 1
    assert tile_sequence(1, 256) == 65_536 + 256 + 1 + 256
    assert [tiles_in(2**24, level) for level in range(4)] == [65_536, 256, 1, 0]


def test_a_tile_is_256_hashes(grown: tuple[Edge, Kept]) -> None:
    _, kept = grown
    assert kept.tiles[3] == b"".join(LEAVES[768:1024])
    roots = [fold(LEAVES[i : i + TILE_WIDTH]) for i in range(0, 65_536, TILE_WIDTH)]
    assert kept.tiles[256] == b"".join(roots)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 70_000))
def test_root_at_every_earlier_size(grown: tuple[Edge, Kept], size: int) -> None:
    edge, kept = grown
    assert edge.root(size, kept.read) == tree_root(LEAVES[:size])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 16), st.data())
def test_every_complete_node(grown: tuple[Edge, Kept], level: int, draw: st.DataObject) -> None:
    edge, kept = grown
    index = draw.draw(st.integers(0, (len(LEAVES) >> level) - 1))
    assert edge.node(level, index, kept.read) == fold(LEAVES[index << level : (index + 1) << level])


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 66_000])
def test_a_loaded_edge_is_the_grown_edge(size: int) -> None:
    edge, kept = Edge(), Kept()
    for leaf in LEAVES[:size]:
        kept.add(edge.push(leaf))
    loaded = Edge.load(size, lambda start, stop: LEAVES[start:stop], kept.read)
    assert loaded.root(size, kept.read) == edge.root(size, kept.read) == tree_root(LEAVES[:size])
    more, same = (
        [edge.push(leaf) for leaf in LEAVES[size : size + 600]],
        [loaded.push(leaf) for leaf in LEAVES[size : size + 600]],
    )
    assert more == same


def test_a_copy_grows_alone() -> None:
    edge = Edge()
    edge.push(LEAVES[0])
    copy = edge.copy()
    copy.push(LEAVES[1])
    assert (edge.size, copy.size) == (1, 2)
    assert edge.root(1, Kept().read) == LEAVES[0]
    assert Edge().root(0, Kept().read) == EMPTY_ROOT
