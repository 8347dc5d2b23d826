"""The stream is AES-256 in counter mode: known answers, equal for equal seeds, and fair permutations."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_worlds import chi_square

from tongzhou.secure.prg import SEED_BYTES, Stream, new_seed

# NIST SP 800-38A, appendix F.5.5: key, first counter block, four blocks of plaintext and ciphertext.
KEY = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
COUNTER = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
PLAIN = (
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
CIPHER = (
    "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
    "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"
)
# NIST AESAVS, KeySbox, 256 bits: the encryption of the zero block, which is the first of a fresh stream.
ZERO_BLOCK = [
    (
        "c47b0294dbbbee0fec4757f22ffeee3587ca4730c3d33b691df38bab076bc558",
        "46f2fb342d6f0ab477476fc501242c5f",
    ),
    (
        "28d46cffa158533194214a91e712fc2b45b518076675affd910edeca5f41ac64",
        "4bf3b0a69aeb6657794f2901b1440ad4",
    ),
]


@pytest.mark.parametrize(("key", "block"), ZERO_BLOCK)
def test_a_fresh_stream_begins_with_the_published_block(key: str, block: str) -> None:
    assert Stream(bytes.fromhex(key)).words(2).tobytes().hex() == block


def test_the_counter_runs_as_published() -> None:
    stream = Stream(bytes.fromhex(KEY), start=bytes.fromhex(COUNTER))
    pad = np.concatenate([stream.words(2), stream.words(3, 2).reshape(-1)]).tobytes()
    assert bytes(a ^ b for a, b in zip(pad, bytes.fromhex(PLAIN), strict=True)).hex() == CIPHER


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=5))
def test_equal_seeds_draw_equal_words_in_any_pieces(sizes: list[int]) -> None:
    one, other = Stream(bytes(range(32))), Stream(bytes(range(32)))
    for size in sizes:
        assert np.array_equal(one.words(size), other.words(size))
        assert np.array_equal(one.halves(size, 3), other.halves(size, 3))
    one.words(1)
    assert not np.array_equal(one.words(4), Stream(bytes(range(32))).words(4))


def test_bytes_words_and_halves_are_of_one_stream() -> None:
    """Each draw takes whole blocks of sixteen bytes, whatever its type."""
    one, other = Stream(bytes(range(32))), Stream(bytes(range(32)))
    assert one.octets(5, 3).tobytes() == other.words(2).tobytes()[:15]
    assert one.octets(16).tobytes() == other.halves(4).tobytes()


def test_more_than_one_piece_of_keystream_is_one_stream() -> None:
    whole = Stream(bytes(32)).words(3 << 17)
    parts = Stream(bytes(32))
    assert np.array_equal(whole, np.concatenate([parts.words(1 << 17) for _ in range(3)]))


def test_words_are_uniform() -> None:
    stream = Stream(new_seed())
    assert abs(chi_square(stream.words(1 << 17).view(np.uint8))) < 6
    assert abs(chi_square(stream.halves(1 << 17).view(np.uint8))) < 6


@settings(deadline=None)
@given(st.integers(0, 300))
def test_a_permutation_holds_every_place_once(size: int) -> None:
    permutation = Stream(new_seed()).permutation(size)
    assert sorted(permutation.tolist()) == list(range(size))


def test_all_orders_are_equally_likely() -> None:
    stream = Stream(bytes(32))
    counts = Counter(tuple(stream.permutation(3).tolist()) for _ in range(6000))
    assert len(counts) == 6
    # Chi-square with five degrees of freedom; 30 is passed once in 70,000 seeds, and the seed is fixed.
    assert sum((n - 1000) ** 2 / 1000 for n in counts.values()) < 30


def test_seeds_are_fresh_and_never_shown() -> None:
    seeds = {new_seed() for _ in range(100)}
    assert len(seeds) == 100
    assert {len(seed) for seed in seeds} == {SEED_BYTES}
    seed = next(iter(seeds))
    assert seed.hex() not in repr(Stream(seed))
    assert repr(Stream(seed)) == "Stream(seed=********)"
