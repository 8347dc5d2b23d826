"""A hash of 128-bit blocks: AES with a fixed public key, fed forward.

H(x) = AES(x) xor x is correlation robust if AES under a public key behaves like a random permutation: for a
secret uniform s, the values H(s), H(s xor 1), H(s xor 2), … look uniform and independent. That makes it the
generator of the trees in `dpf` and `dcf`: one AES call a block, no key schedule.

Paper: Guo, Katz, Wang and Yu, Efficient and secure multiparty computation from fixed-key block ciphers
(IEEE S&P 2020), section 7.2.
"""

import hashlib
from functools import cache

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from tongzhou.secure.ring import Words

__all__ = ["BlockCipher", "BlockHash"]

_BLOCK_BYTES = 16
_DOMAIN = "tongzhou/blocks/v1/"


@cache
def _public_key(name: str) -> bytes:
    return hashlib.sha256((_DOMAIN + name).encode()).digest()[:_BLOCK_BYTES]


class BlockCipher:
    """AES of single blocks, many at a time. Belongs to one thread.

    Args:
        key: 16 or 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        # Single blocks are the primitive itself; nothing is encrypted in this mode.
        self._encryptor = Cipher(AES(key), ECB()).encryptor()  # noqa: S305

    def __repr__(self) -> str:
        return "BlockCipher(key=********)"

    def __call__(self, blocks: Words) -> Words:
        """Images of blocks, ``(…, 2)`` words in memory order."""
        solid = np.ascontiguousarray(blocks)
        out = np.empty(solid.nbytes + _BLOCK_BYTES - 1, dtype=np.uint8)
        self._encryptor.update_into(solid.reshape(-1).view(np.uint8).data, out.data)
        return out[: solid.nbytes].view(np.uint64).reshape(solid.shape)


class BlockHash:
    """The hash, under a key that follows from a public name. Belongs to one thread.

    Args:
        name: what it is used for; other names give independent hashes.
    """

    def __init__(self, name: str) -> None:
        self._cipher = BlockCipher(_public_key(name))

    def __call__(self, blocks: Words) -> Words:
        """Hashes of blocks, ``(…, 2)`` words."""
        image = self._cipher(blocks)
        image ^= blocks
        return image
