"""Millions of pairs (a, c) and b with ``c = b + a·D`` for one secret D, from a few kilobytes: silent VOLE.

Statement
    Parties: a sender and a receiver, who may be any two parties of a run.
    Who learns what: the sender gets a random D (two words) and random b, the receiver random a (words) and
    ``c = b + a·D``; neither learns anything of the other's. Sums are XOR, and a·D is the product in GF(2^64)
    of a with each word of D. All that either receives is uniform.
    Assumption: semi-honest parties; that of `tongzhou.secure.ot_extension` and `tongzhou.secure.ggm`;
    learning parity with regular noise for the code of `tongzhou.secure.accumulate_code`, at the parameters
    below.
    Cost: for up to `DIRECT_MAX` pairs 1 kB a pair. Beyond, once about 1.2 MB and then about 0.5 MB for each
    half million pairs; a few rounds.
    Papers: Boyle, Couteau, Gilboa and Ishai, Compressing vector OLE (CCS 2018); Boyle et al., Efficient
    two-round OT extension (CCS 2019), for the trees; Keller, Orsini and Scholl, MASCOT (CCS 2016), section
    3, for the first pairs; Yang, Sarkar, Weng and Wang, Wolverine (IEEE S&P 2021), for taking the first
    pairs of a batch from the batch before.

Parameters of the noise. A vector of N words has one random word at a random place in each of t blocks of
equal size; the code takes it to N/2 words. t is at least `NOISE_WEIGHT` = 843, the least with ``(1 - 0.1)^t
< 2^-128``, so that no linear test (Gauss, information sets, statistical decoding, BKW are all of them such)
tells the outputs from uniform unless the code has a word lighter than 0.1 N. The code is binary and the
noise is not, so an attacker may look at one bit of every word: then half of the noise vanishes. The bound
above allows for that. Beside it, the concrete attacks on binary noise of half the weight cost more than 2^300
(docs/protocols/transfers.md has them one by one) by the estimators of Liu, Wang, Yang and Yu, The hardness of
LPN over any integer ring and field for PCG applications (EUROCRYPT 2024), with those for regular noise of
Briaud and Øygarden (EUROCRYPT 2023) and Esser and Santini (CRYPTO 2024).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import ProtocolError
from tongzhou.secure.accumulate_code import GROUP, AccumulateCode
from tongzhou.secure.fixed_hash import Blocks
from tongzhou.secure.gf64 import DEGREE, combine_bits
from tongzhou.secure.ggm import GROVE_KEY_BYTES, Grove
from tongzhou.secure.ot_extension import OtReceiver, OtSender
from tongzhou.secure.prg import SEED_BYTES, Stream, new_seed
from tongzhou.secure.ring import Words
from tongzhou.wire.messages import ArraySpec

__all__ = ["DIRECT_MAX", "NOISE_WEIGHT", "VoleReceiver", "VoleSender"]

NOISE_WEIGHT: Final = 843
"""Fewest random words in a noise vector."""

DIRECT_MAX: Final = 4096
"""Up to this many pairs are made one by one: silent ones would cost more."""

_BATCH = 1 << 19
"""Pairs of one noise vector, about: its arrays stay in the cache."""
_SPARE = 2 * (NOISE_WEIGHT + 2)
"""More pairs than there can be trees in the next batch, which begins with them."""
_KEYS_BYTES = SEED_BYTES + GROVE_KEY_BYTES


@dataclass(frozen=True)
class _Shape:
    """A noise vector: `trees` blocks of ``2^depth`` words."""

    trees: int
    depth: int

    @property
    def length(self) -> int:
        return self.trees << self.depth


def _shape(outputs: int) -> _Shape:
    """The longest blocks that leave `NOISE_WEIGHT` of them."""
    length = -(-2 * outputs // GROUP) * GROUP
    depth = (length // NOISE_WEIGHT).bit_length() - 1
    # Blocks of 8 or more words, and their number a multiple of 3: whole groups of 24.
    trees = -(-length // (3 << depth)) * 3
    return _Shape(trees, depth)


def _sizes(count: int) -> list[int]:
    """How many pairs each batch gives."""
    batches = -(-count // _BATCH)
    return [count * (place + 1) // batches - count * place // batches for place in range(batches)]


class _Codes:
    """The public choices of a run: one code and one grove for all batches of a length."""

    def __init__(self, keys: bytes) -> None:
        self._seed, grove = keys[:SEED_BYTES], keys[SEED_BYTES:]
        self.grove = Grove(grove)
        self._codes: dict[int, AccumulateCode] = {}

    def of(self, length: int) -> AccumulateCode:
        if length not in self._codes:
            self._codes[length] = AccumulateCode(length, self._seed)
        return self._codes[length]


class VoleSender:
    """The party that holds D.

    Args:
        ot: transfers to the receiver, who constructs a `VoleReceiver` on the other end of them. Constructing
            sends the public choices.
    """

    def __init__(self, ot: OtSender) -> None:
        self._ot = ot
        keys = new_seed() + new_seed()
        ot.link.send("vole.keys", keys)
        self._codes = _Codes(keys)
        self._secrets = Stream(new_seed())
        self._spare = np.empty((0, 2), dtype=np.uint64)

    @property
    def delta(self) -> Blocks:
        """``(2,)``: the secret D."""
        return self._ot.delta

    def extend(self, count: int) -> Blocks:
        """The next `count` values b: ``(count, 2)``."""
        if count <= DIRECT_MAX:
            return self._direct(count)
        parts = []
        for size in _sizes(count):
            found = self._batch(_shape(size + _SPARE))
            parts.append(found[:size])
            self._spare = found[size:].copy()
        return np.concatenate(parts)

    def _direct(self, count: int) -> Blocks:
        rows = self._ot.delta_rows(count)
        return np.stack([combine_bits(rows[:DEGREE]), combine_bits(rows[DEGREE:])], axis=1)

    def _batch(self, shape: _Shape) -> Blocks:
        base = self._spare[: shape.trees] if len(self._spare) >= shape.trees else self._direct(shape.trees)
        leaves, sums = self._codes.grove.grow(self._secrets.words(shape.trees, 2), shape.depth)
        self._ot.messages(sums[:, 0].reshape(-1, 2), sums[:, 1].reshape(-1, 2))
        self._ot.link.send("vole.holes", None, [sums[-1, 0] ^ sums[-1, 1] ^ base])
        return self._codes.of(shape.length).compress(leaves.reshape(-1, 2))


class VoleReceiver:
    """The party that holds a.

    Args:
        ot: transfers from the sender.

    Raises:
        ProtocolError: the sender's public choices have the wrong size.
    """

    def __init__(self, ot: OtReceiver) -> None:
        self._ot = ot
        keys, _ = ot.link.recv("vole.keys", bytes)
        if len(keys) != _KEYS_BYTES:
            raise ProtocolError(
                "{peer} sent a seed of {got} bytes; {size} are due",
                peer=ot.link.peer,
                got=len(keys),
                size=_KEYS_BYTES,
            )
        self._codes = _Codes(keys)
        self._secrets = Stream(new_seed())
        self._spare = (np.empty(0, dtype=np.uint64), np.empty((0, 2), dtype=np.uint64))

    def extend(self, count: int) -> tuple[Words, Blocks]:
        """The next `count` pairs: a ``(count,)`` and c ``(count, 2)``."""
        if count <= DIRECT_MAX:
            return self._direct(count)
        parts = []
        for size in _sizes(count):
            values, sums = self._batch(_shape(size + _SPARE))
            parts.append((values[:size], sums[:size]))
            self._spare = (values[size:].copy(), sums[size:].copy())
        values, sums = (np.concatenate(part) for part in zip(*parts, strict=True))
        return values, sums

    def _direct(self, count: int) -> tuple[Words, Blocks]:
        values = self._secrets.words(count)
        rows = self._ot.delta_rows(values)
        return values, np.stack([combine_bits(rows[:DEGREE]), combine_bits(rows[DEGREE:])], axis=1)

    def _batch(self, shape: _Shape) -> tuple[Words, Blocks]:
        trees = np.arange(shape.trees)
        if len(self._spare[0]) >= shape.trees:
            noise, base = (part[: shape.trees] for part in self._spare)
        else:
            noise, base = self._direct(shape.trees)
        low = np.uint64((1 << shape.depth) - 1)
        holes = (self._secrets.words(shape.trees) & low).astype(np.int64)
        leaves = self._codes.grove.grow_around(holes, self._siblings(holes, shape))
        _, (told,) = self._ot.link.recv("vole.holes", None, [ArraySpec("<u8", (shape.trees, 2))])
        leaves[holes, trees] = np.bitwise_xor.reduce(leaves, axis=0) ^ told ^ base
        values = np.zeros((1 << shape.depth, shape.trees), dtype=np.uint64)
        values[holes, trees] = noise
        code = self._codes.of(shape.length)
        return code.compress(values.reshape(-1)), code.compress(leaves.reshape(-1, 2))

    def _siblings(self, holes: NDArray[np.int64], shape: _Shape) -> Blocks:
        """The sums beside each path, ``(depth, t, 2)``."""
        levels = np.arange(shape.depth)[:, None]
        beside = ((holes >> levels) & 1) == 0
        return self._ot.messages(beside.reshape(-1), 2).reshape(shape.depth, shape.trees, 2)
