"""Ciphertexts that one owner makes and the other computes on: BFV, from the library SEAL through TenSEAL.

Statement
    Parties: a key holder and an evaluator.
    Who learns what: the evaluator receives a public key and ciphertexts. The holder decrypts a sum of
    ciphertexts times the evaluator's numbers, plus the evaluator's uniform mask, and learns nothing else of
    those numbers: what it receives is made independent of them, see below.
    Assumption: semi-honest parties; ring learning with errors, in dimension 8192 with at most 218 bits of
    modulus, which the Homomorphic Encryption Standard and the library rate at 128 bits of security.
    Papers: Brakerski, Fully homomorphic encryption without modulus switching from classical GapSVP (CRYPTO
    2012), Fan and Vercauteren, Somewhat practical fully homomorphic encryption (2012); Albrecht and others,
    Homomorphic encryption standard (2018) for the parameters.

The cipher, its keys and its noise are the library's. What is ours is what the evaluator does before it
sends a result back. A plain result would tell the holder, who knows its key and its own noise, much of the
numbers it was multiplied with: the second half of the ciphertext is their product with a half that the
holder knows, and so is the noise. Therefore

1. a fresh public-key encryption of zero is added. Its second half is pseudo-random to the holder too, because
   it is a ring-learning-with-errors sample with a secret of the evaluator;
2. the mask is added, so that the message is uniform;
3. the modulus is switched down by 120 bits. A coefficient of the first half then depends on the noise only if
   the noise carries it across a rounding boundary. Let m numbers below t enter a coefficient of the sum. But
   for a chance of 2^-60, the noise is below ``9 · 3.2 · t/√12 · sqrt(m)``: the first factor is that of the
   chance, the second the library's standard deviation. With t = 2^50 and m up to 2^25 (`ROWS`, `SLOTS`), or
   t = 2^56 and m up to 2^13 (`SMALL`), that is 2^65.6, and one of the 8,192 boundaries is crossed with a
   chance of at most ``2 · 8192 · 2^65.6 / 2^120``, less than 2^-40.

So a result is within a statistical distance of 2^-40 of one that does not depend on the evaluator's numbers
but through the masked message.
"""

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Final
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import PlanError, ProtocolError
from tongzhou.secure.ring import Words

__all__ = ["DEGREE", "ROWS", "SLOTS", "SMALL", "Evaluator", "KeyHolder", "Kind", "Lattice", "require_library"]

DEGREE: Final = 8192
"""Coefficients, or slots, of a polynomial."""

Blob = NDArray[np.uint8]

_HEADER = struct.Struct("<HBBBBHQ")
_NO_COMPRESSION = 0
_MOST_BYTES = 1 << 20
"""No key or ciphertext of these parameters is larger."""


@dataclass(frozen=True)
class Kind:
    """Parameters of one plaintext modulus.

    Attributes:
        name: for messages.
        bits: of the plaintext modulus.
        slots: whether the modulus is a prime whose polynomials have slots, or the power of two ``2^bits``.
        primes: bits of the primes of the ciphertext modulus; the last is never part of a ciphertext.
        kept: how many primes are left when a result is sent back.
    """

    name: str
    bits: int
    slots: bool
    primes: tuple[int, ...]
    kept: int


ROWS: Final = Kind("rows", 50, False, (60, 60, 60, 30), 1)
"""For inner products over rows, modulo 2^50."""

SLOTS: Final = Kind("slots", 50, True, (60, 60, 60, 30), 1)
"""For products of numbers in the same place, modulo a prime below 2^50."""

SMALL: Final = Kind("small", 56, False, (34, 34, 60, 60, 26), 2)
"""For products of small matrices, modulo 2^56."""


@cache
def require_library() -> Any:
    """The library, which is needed for mode `pair` only.

    Raises:
        PlanError: it is not installed, or the system cannot hand memory to it as a file.
    """
    if not hasattr(os, "memfd_create"):
        raise PlanError("mode pair needs Linux, for files that never leave memory")
    try:
        return import_module("tenseal.sealapi")
    except ImportError as error:
        raise PlanError(
            "mode pair needs the library TenSEAL; install it with: pip install 'tongzhou[pair]'"
        ) from error


class _Memory:
    """A file in memory, through which the library's objects come and go as bytes."""

    def __init__(self) -> None:
        self._file = os.memfd_create("tongzhou")
        self.path = f"/proc/self/fd/{self._file}"
        finalize(self, os.close, self._file)

    def put(self, *parts: bytes | memoryview) -> str:
        """Write bytes; returns the path to read them from."""
        os.ftruncate(self._file, 0)
        os.pwritev(self._file, parts, 0)
        return self.path

    def take(self) -> Blob:
        """What was written to the path."""
        size = os.fstat(self._file).st_size
        out = np.empty(size, dtype=np.uint8)
        os.preadv(self._file, [out.data], 0)
        os.ftruncate(self._file, 0)
        return out


class Lattice:
    """What both sides of one kind need: parameters, and plain polynomials.

    Args:
        kind: which parameters.
    """

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.api = require_library()
        self.memory = _Memory()
        self.context = self._context()
        modulus: int = self.context.first_context_data().parms().plain_modulus().value()
        self.modulus = modulus
        """The plaintext modulus t."""
        self._encoder = self.api.BatchEncoder(self.context) if kind.slots else None
        self._version = self._written_version()

    def _context(self) -> Any:
        api, kind = self.api, self.kind
        parameters = api.EncryptionParameters(api.SCHEME_TYPE.BFV)
        parameters.set_poly_modulus_degree(DEGREE)
        parameters.set_coeff_modulus(api.CoeffModulus.Create(DEGREE, list(kind.primes)))
        plain = api.PlainModulus.Batching(DEGREE, kind.bits) if kind.slots else 1 << kind.bits
        parameters.set_plain_modulus(plain)
        return api.SEALContext(parameters, True, api.SEC_LEVEL_TYPE.TC128)

    def _written_version(self) -> tuple[int, int]:
        """The version that the library writes into headers."""
        self.api.Plaintext(1).save(self.memory.path)
        _, _, major, minor, *_ = _HEADER.unpack(self.memory.take()[: _HEADER.size].tobytes())
        return major, minor

    def _header(self, size: int) -> bytes:
        major, minor = self._version
        return _HEADER.pack(0xA15E, _HEADER.size, major, minor, _NO_COMPRESSION, 0, size)

    def polynomial(self, words: Words) -> Any:
        """A plain polynomial: with coefficients ``(8192,)`` modulo 2^bits, or with slots below the prime.

        Coefficients go in through the library's own format, which takes a tenth of the time of a list.
        """
        if self._encoder is not None:
            plain = self.api.Plaintext()
            self._encoder.encode(words.tolist(), plain)
            return plain
        return self._loaded(words & np.uint64(self.modulus - 1))

    def _loaded(self, words: Words) -> Any:
        body = words.nbytes
        inner = self._header(_HEADER.size + 8 + body) + struct.pack("<Q", len(words))
        head = bytes(32) + struct.pack("<Qd", len(words), 1.0)
        outer = self._header(_HEADER.size + len(head) + len(inner) + body)
        plain = self.api.Plaintext()
        plain.load(self.context, self.memory.put(outer + head + inner, words.data.cast("B")))
        return plain

    def saved(self, thing: Any) -> Blob:
        """An object of the library as bytes."""
        thing.save(self.memory.path)
        return self.memory.take()

    def loaded(self, thing: Any, blob: Blob, peer: str) -> Any:
        """An object of the library from bytes that a peer sent.

        Raises:
            ProtocolError: they are not one.
        """
        try:
            thing.load(self.context, self.memory.put(blob.data))
        except (RuntimeError, ValueError) as error:
            raise ProtocolError("{peer} sent a ciphertext that is none", peer=peer) from error
        return thing


class KeyHolder(Lattice):
    """The side that encrypts and decrypts, with a fresh key of its own.

    Args:
        kind: which parameters.
    """

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)
        keys = self.api.KeyGenerator(self.context)
        self._public = self.api.PublicKey()
        keys.create_public_key(self._public)
        secret = keys.secret_key()
        self._encryptor = self.api.Encryptor(self.context, secret)
        self._decryptor = self.api.Decryptor(self.context, secret)

    def public_key(self) -> Blob:
        """What the evaluator needs."""
        return self.saved(self._public)

    def encrypt(self, words: Words) -> Blob:
        """A ciphertext of one polynomial ``(8192,)``; half of it travels as a seed."""
        return self.saved(self._encryptor.encrypt_symmetric(self.polynomial(words)))

    def decrypt(self, blob: Blob, places: NDArray[np.intp] | None, peer: str) -> Words:
        """The message of a result.

        Args:
            blob: as the evaluator sent it.
            places: which coefficients; ``None`` for all 8,192, or for all slots.
            peer: who sent it.

        Raises:
            ProtocolError: it is not a result of this kind.
        """
        sealed = self.loaded(self.api.Ciphertext(), blob, peer)
        if sealed.size() != 2 or sealed.coeff_modulus_size() != self.kind.kept or sealed.is_ntt_form():
            raise ProtocolError("{peer} sent a ciphertext that is none", peer=peer)
        plain = self.api.Plaintext()
        self._decryptor.decrypt(sealed, plain)
        if self._encoder is not None:
            return np.array(self._encoder.decode_uint64(plain), dtype=np.uint64)
        # Leading zeros are not kept.
        kept = plain.coeff_count()
        out = np.zeros(DEGREE if places is None else len(places), dtype=np.uint64)
        wanted = range(kept) if places is None else places[places < kept].tolist()
        found = np.fromiter(map(plain.__getitem__, wanted), dtype=np.uint64)
        out[slice(kept) if places is None else places < kept] = found
        return out


class Evaluator(Lattice):
    """The side that multiplies ciphertexts by its own numbers.

    Args:
        kind: which parameters.
        public_key: the holder's, as it came.
        peer: who sent it.

    Raises:
        ProtocolError: it is no key of these parameters.
    """

    def __init__(self, kind: Kind, public_key: Blob, peer: str) -> None:
        super().__init__(kind)
        key = self.loaded(self.api.PublicKey(), public_key, peer)
        self._encryptor = self.api.Encryptor(self.context, key)
        self._evaluator = self.api.Evaluator(self.context)
        self._level = self.context.first_parms_id()

    def ciphertext(self, blob: Blob, peer: str) -> Any:
        """A ciphertext as it came, transformed for products.

        Raises:
            ProtocolError: it is no fresh ciphertext of these parameters.
        """
        sealed = self.loaded(self.api.Ciphertext(), blob, peer)
        if sealed.size() != 2 or sealed.parms_id() != self._level or sealed.is_ntt_form():
            raise ProtocolError("{peer} sent a ciphertext that is none", peer=peer)
        self._evaluator.transform_to_ntt_inplace(sealed)
        return sealed

    def factor(self, words: Words) -> Any:
        """Own numbers ``(8192,)`` as a factor, transformed for products; ``None`` if all are zero."""
        if not words.any():
            return None
        plain = self.polynomial(words)
        self._evaluator.transform_to_ntt_inplace(plain, self._level)
        return plain

    def combine(self, products: Iterable[tuple[Any, Any]], mask: Words) -> Blob:
        """The sum of ciphertexts times factors, plus a uniform mask, ready to be sent back.

        Args:
            products: ciphertexts and factors.
            mask: ``(8192,)`` uniform below the modulus.
        """
        evaluator = self._evaluator
        total, work = None, self.api.Ciphertext()
        for sealed, factor in products:
            if factor is None:
                continue
            evaluator.multiply_plain(sealed, factor, work)
            if total is None:
                total, work = work, self.api.Ciphertext()
            else:
                evaluator.add_inplace(total, work)
        # Fresh randomness, so that the result says nothing of the factors; see the module text.
        fresh = self.api.Ciphertext()
        self._encryptor.encrypt_zero(fresh)
        if total is not None:
            evaluator.transform_from_ntt_inplace(total)
            evaluator.add_inplace(fresh, total)
        evaluator.add_plain_inplace(fresh, self.polynomial(mask))
        while fresh.coeff_modulus_size() > self.kind.kept:
            evaluator.mod_switch_to_next_inplace(fresh)
        return self.saved(fresh)
