"""AES over arrays is AES, and the hash is what its definition says."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from secure_worlds import chi_square

from tongzhou.secure.fixed_hash import BlockCipher, FixedKeyHash

# FIPS 197, appendix C: keys of 128, 192 and 256 bits, one plaintext.
PLAIN = "00112233445566778899aabbccddeeff"
FIPS_197 = [
    (bytes(range(16)), "69c4e0d86a7b0430d8cdb78070b4c55a"),
    (bytes(range(24)), "dda97ca4864cdfe06eaf70a0ec0d7191"),
    (bytes(range(32)), "8ea2b7ca516745bfeafc49904b496089"),
]
KEY = bytes(range(16))


def blocks(*texts: str) -> np.ndarray:
    return np.frombuffer(bytes.fromhex("".join(texts)), dtype=np.uint64).reshape(-1, 2)


def random_blocks(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, (count, 2), dtype=np.uint64)


def permuted(block: int) -> int:
    """One block by the library's own one-block call, as a little-endian number."""
    encryptor = Cipher(AES(KEY), ECB()).encryptor()
    return int.from_bytes(encryptor.update(block.to_bytes(16, "little")), "little")


@pytest.mark.parametrize(("key", "cipher"), FIPS_197)
def test_published_blocks(key: bytes, cipher: str) -> None:
    found = BlockCipher(key).encrypt(blocks(PLAIN, PLAIN))
    assert found.tobytes().hex() == cipher * 2


def test_any_shape_is_encrypted_block_by_block() -> None:
    data = random_blocks(60)
    flat = BlockCipher(KEY).encrypt(data)
    assert np.array_equal(BlockCipher(KEY).encrypt(data.reshape(3, 4, 5, 2)), flat.reshape(3, 4, 5, 2))
    assert BlockCipher(KEY).encrypt(data[:0]).shape == (0, 2)


@pytest.mark.parametrize("words", [1, 2, 3, 8])
def test_the_hash_is_its_definition(words: int) -> None:
    data, first = random_blocks(7), 2**40 + 5
    got = FixedKeyHash(KEY).pads(data, first, words)
    assert got.shape == (7, words)
    for row, block in enumerate(data):
        inner = permuted(int(block[0]) | int(block[1]) << 64)
        wanted = [permuted(inner ^ (first + row) ^ (part << 64)) ^ inner for part in range((words + 1) // 2)]
        flat = b"".join(part.to_bytes(16, "little") for part in wanted)
        assert got[row].tobytes() == flat[: 8 * words]


def test_pieces_do_not_show() -> None:
    data = random_blocks(40_000)
    hasher = FixedKeyHash(KEY)
    whole = hasher.pads(data, 9, 3)
    assert np.array_equal(hasher.pads(data[33_000:], 9 + 33_000, 3), whole[33_000:])


def test_equal_blocks_with_other_tweaks_or_keys_give_unlike_pads() -> None:
    data = np.zeros((20_000, 2), dtype=np.uint64)
    one, other = FixedKeyHash(KEY).pads(data, 0), FixedKeyHash(bytes(16)).pads(data, 0)
    assert len(np.unique(np.concatenate([one, other]))) == 40_000
    assert abs(chi_square(one.reshape(-1).view(np.uint8))) < 6


def test_keys_are_not_shown() -> None:
    assert "00" not in repr(BlockCipher(bytes(16)))
