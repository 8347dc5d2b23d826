"""Millions of oblivious transfers from 128 of them, by symmetric cryptography alone.

Statement
    Parties: a sender and a receiver, who may be any two parties of a run.
    Who learns what: the receiver gets, for each transfer, the one of two pads (or words, or messages) that
    its bit chooses, and nothing of the other; the sender learns nothing of the bits. What the sender
    receives is uniform.
    Assumption: semi-honest parties; AES-256 in counter mode is indistinguishable from uniform; the hash of
    `tongzhou.secure.fixed_hash`; for the 128 first transfers that of `tongzhou.secure.base_ot`.
    Cost: once, the first transfers (12 kB, about 70 ms a side); then 16 bytes a transfer from receiver to
    sender, and 8 bytes a word back where words or messages are transferred. One round.
    Papers: Ishai, Kilian, Nissim and Petrank, Extending oblivious transfers efficiently (CRYPTO 2003);
    Asharov, Lindell, Schneider and Zohner, More efficient oblivious transfer (CCS 2013), for random and
    correlated transfers.

The sender has a secret difference Δ of 128 bits. For a bit b the sender holds a block q, the receiver
q ^ b·Δ; hashed, q and q ^ Δ are the sender's two pads. One `OtSender` and one `OtReceiver` face each other
and are called in the same order with the same sizes. Two parties that need transfers both ways start one of
each.
"""

from collections.abc import Iterator

import numpy as np

from tongzhou.errors import ProtocolError
from tongzhou.secure.base_ot import Bits, receive_base, send_base
from tongzhou.secure.bits import pack_bits, transpose_bits
from tongzhou.secure.fixed_hash import HASH_KEY_BYTES, Blocks, FixedKeyHash
from tongzhou.secure.prg import Stream, new_seed
from tongzhou.secure.ring import Words
from tongzhou.wire.messages import ArraySpec, Link

__all__ = ["WIDTH", "OtReceiver", "OtSender"]

WIDTH = 128
"""Bits of Δ, and number of first transfers."""

_BATCH = 1 << 17
"""Transfers extended at a time: 2 MiB of columns, which stay in the cache."""
_ROUND_UP = 128
"""Columns are drawn in whole blocks of the cipher."""


class OtSender:
    """The party that ends with both pads of each transfer.

    Args:
        link: to the receiver, who constructs an `OtReceiver` at the same time. Constructing makes the first
            transfers.
    """

    def __init__(self, link: Link) -> None:
        self.link: Link = link
        """To the receiver."""
        self.delta: Blocks = Stream(new_seed()).words(2)
        """``(2,)``: the secret difference Δ."""
        choices = np.unpackbits(self.delta.view(np.uint8), bitorder="little").astype(np.bool_)
        self._choices = choices
        self._columns = [Stream(key.tobytes()) for key in receive_base(link, choices)]
        key = new_seed()[:HASH_KEY_BYTES]
        link.send("ot.hash", key)
        self._hash = FixedKeyHash(key)
        self._used = 0

    def __repr__(self) -> str:
        return f"OtSender(used={self._used})"

    def blocks(self, count: int) -> Blocks:
        """Correlated blocks: ``(count, 2)`` q, where the receiver with bit b gets ``q ^ b·Δ``.

        They are not hashed: use each once, and only where one difference Δ for all is wanted.
        """
        out = np.empty((count, 2), dtype=np.uint64)
        for start, stop, padded in _batches(count):
            spec = ArraySpec("<u8", (WIDTH, padded // 64))
            _, (hidden,) = self.link.recv("ot.columns", None, [spec])
            for column, chosen, row in zip(self._columns, self._choices, hidden, strict=True):
                drawn = column.words(padded // 64)
                # q = G(k) ^ Δ·u, in the array that arrived.
                row[:] = drawn ^ row if chosen else drawn
            out[start:stop] = transpose_bits(hidden)[: stop - start]
        return out

    def pads(self, count: int, words: int = 1) -> Words:
        """Random transfers: ``(2, count, words)`` pads; the receiver gets ``pads[b, i]``."""
        blocks = self.blocks(count)
        first = self._next(count)
        out = np.empty((2, count, words), dtype=np.uint64)
        out[0] = self._hash.pads(blocks, first, words)
        out[1] = self._hash.pads(blocks ^ self.delta, first, words)
        return out

    def correlated(self, differences: Words) -> Words:
        """Correlated transfers modulo 2^64.

        Args:
            differences: ``(m,)`` or ``(m, w)`` words d.

        Returns:
            Random x of the same shape; the receiver with bit b gets ``x + b·d``.
        """
        wanted = differences.reshape(len(differences), -1)
        zero, one = self.pads(*wanted.shape)
        self.link.send("ot.differences", None, [zero + wanted - one])
        random: Words = zero.reshape(differences.shape)
        return random

    def messages(self, zero: Words, one: Words) -> None:
        """Transfer chosen messages, ``(m,)`` or ``(m, w)`` words each: the receiver gets one of the two."""
        both = np.stack([part.reshape(len(part), -1) for part in (zero, one)])
        self.link.send("ot.messages", None, [both ^ self.pads(both.shape[1], both.shape[2])])

    def delta_rows(self, count: int) -> Words:
        """For each bit of Δ a row of random words, ``(128, count)``.

        The receiver, who names `count` words a, gets the same rows without the bits: row j differs by a where
        bit j of Δ is 1.
        """
        _, (rows,) = self.link.recv("ot.rows", None, [ArraySpec("<u8", (WIDTH, count))])
        for column, chosen, row in zip(self._columns, self._choices, rows, strict=True):
            drawn = column.words(count)
            row[:] = drawn ^ row if chosen else drawn
        return rows

    def _next(self, count: int) -> int:
        first, self._used = self._used, self._used + count
        return first


class OtReceiver:
    """The party that chooses.

    Args:
        link: to the sender, who constructs an `OtSender` at the same time.

    Raises:
        ProtocolError: the sender's hash key has the wrong size.
    """

    def __init__(self, link: Link) -> None:
        self.link: Link = link
        """To the sender."""
        self._columns = [tuple(Stream(key.tobytes()) for key in pair) for pair in send_base(link, WIDTH)]
        key, _ = link.recv("ot.hash", bytes)
        if len(key) != HASH_KEY_BYTES:
            raise ProtocolError(
                "{peer} sent a seed of {got} bytes; {size} are due",
                peer=link.peer,
                got=len(key),
                size=HASH_KEY_BYTES,
            )
        self._hash = FixedKeyHash(key)
        self._used = 0

    def __repr__(self) -> str:
        return f"OtReceiver(used={self._used})"

    def blocks(self, choices: Bits) -> Blocks:
        """Correlated blocks ``(m, 2)``: the sender's q, or ``q ^ Δ`` where the choice is 1."""
        out = np.empty((len(choices), 2), dtype=np.uint64)
        for start, stop, padded in _batches(len(choices)):
            chosen = pack_bits(choices[start:stop], padded)
            rows = np.empty((WIDTH, padded // 64), dtype=np.uint64)
            hidden = np.empty_like(rows)
            for place, (zero, one) in enumerate(self._columns):
                rows[place] = zero.words(padded // 64)
                np.bitwise_xor(rows[place], one.words(padded // 64), out=hidden[place])
            hidden ^= chosen
            self.link.send("ot.columns", None, [hidden])
            out[start:stop] = transpose_bits(rows)[: stop - start]
        return out

    def pads(self, choices: Bits, words: int = 1) -> Words:
        """Random transfers: ``(m, words)`` the chosen pads."""
        first, self._used = self._used, self._used + len(choices)
        return self._hash.pads(self.blocks(choices), first, words)

    def correlated(self, choices: Bits, words: int | None = None) -> Words:
        """Correlated transfers modulo 2^64: the sender's x, or ``x + d`` where the choice is 1.

        Args:
            choices: ``(m,)``.
            words: words a transfer; ``None`` for one, without an axis of its own.

        Returns:
            ``(m, words)``, or ``(m,)``.
        """
        count = 1 if words is None else words
        pads = self.pads(choices, count)
        _, (told,) = self.link.recv("ot.differences", None, [ArraySpec("<u8", pads.shape)])
        told *= choices.astype(np.uint64)[:, None]
        told += pads
        return told[:, 0] if words is None else told

    def messages(self, choices: Bits, words: int | None = None) -> Words:
        """The chosen messages: ``(m, words)``, or ``(m,)``."""
        count = 1 if words is None else words
        pads = self.pads(choices, count)
        _, (both,) = self.link.recv("ot.messages", None, [ArraySpec("<u8", (2, *pads.shape))])
        pads ^= np.where(choices[:, None], both[1], both[0])
        return pads[:, 0] if words is None else pads

    def delta_rows(self, values: Words) -> Words:
        """``(128, n)``: the sender's rows, each less ``values (n,)`` where the sender's bit is 1 (by XOR)."""
        rows = np.empty((WIDTH, len(values)), dtype=np.uint64)
        hidden = np.empty_like(rows)
        for place, (zero, one) in enumerate(self._columns):
            rows[place] = zero.words(len(values))
            np.bitwise_xor(rows[place], one.words(len(values)), out=hidden[place])
        hidden ^= values
        self.link.send("ot.rows", None, [hidden])
        return rows


def _batches(count: int) -> Iterator[tuple[int, int, int]]:
    """Start and stop of each batch, and its columns' length, rounded up."""
    for start in range(0, count, _BATCH):
        stop = min(start + _BATCH, count)
        yield start, stop, -(-(stop - start) // _ROUND_UP) * _ROUND_UP
