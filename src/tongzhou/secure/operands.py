"""Products of shared fixed-point numbers in one round each, the dropping of fractional bits included.

Statement
    Parties: two data owners and the helper (`aided`).
    Who learns what: both owners learn each operand plus a uniform mask modulo 2^32, which is uniform; the
    helper learns the shapes.
    Assumption: as `tongzhou.secure.aided`.
    Cost: an operand takes 4 bytes each way between the owners and 12 from the helper, one round for any
    number of operands; a product takes 16 bytes from the helper and no round.
    Papers: Beaver, Efficient multiparty protocols using circuit randomization (CRYPTO 1991); the wrap of a
    masked number from the top bits of number and mask: Escudero, Ghosh, Keller, Rachuri and Scholl (CRYPTO
    2020); the smaller ring: see `halves`.

An operand x lies in [-2^30, 2^30). With a uniform mask r modulo 2^32 the owners open z = x + 2^30 + r. The
sum x + 2^30 is below 2^31, so it wrapped exactly where r has its top bit set and z has not. Hence, modulo
2^64 and with n = 1 where the top bit of z is clear, ::

    x = (z - 2^30) - e,    e = r - 2^32 n [top bit of r]

where z and n are public and r and its top bit are dealt. The product of two such operands is linear in what
is dealt besides: r s, [top of r] s and [top of s] r; the last two count 2^32 times, so they are needed modulo
2^32 only. A product is a value shared modulo 2^64 with the bits of both factors; `halves.reduced` makes it an
operand again. One opening serves any number of products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.dealing import Array, deal, exchange, mask
from tongzhou.secure.halves import Halved, Halves
from tongzhou.secure.ring import Words
from tongzhou.secure.shared import Shared

__all__ = ["OPERAND_LIMIT_BITS", "Operand", "Term", "multiply", "open_operands"]

OPERAND_LIMIT_BITS = 30
"""An operand's absolute value is below 2^30 units."""

_SHIFT = np.uint64(1 << OPERAND_LIMIT_BITS)
_HALF_SHIFT = np.uint32(1 << OPERAND_LIMIT_BITS)
_HIGH = np.uint64(32)
_TOP = np.uint32(31)


@dataclass(frozen=True, slots=True)
class Operand:
    """A shared number, opened under a mask.

    Attributes:
        shape: shape of the number.
        public: ``z - 2^30`` at the owners.
        clear: n at the owners: 1 where the top bit of z is clear.
        error: an owner's share of e.
        mask: at the helper, r.
        top: at the helper, the top bit of r.
    """

    shape: tuple[int, ...]
    public: Words | None = None
    clear: Halves | None = None
    error: Words | None = None
    mask: Words | None = None
    top: Halves | None = None

    def lifted(self, engine: AidedEngine) -> Shared:
        """The same number, shared modulo 2^64."""
        if self.public is None or self.error is None:
            return Shared(self.shape, None)
        share = np.negative(self.error)
        if engine.party.role == "asker":
            share += self.public
        return Shared(self.shape, share)


Term = tuple[int, Operand, Operand]
"""A public integer and two operands."""


def open_operands(engine: AidedEngine, *values: Halved) -> list[Operand]:
    """Open numbers below 2^30 units under fresh masks, all in one round."""
    sizes = [int(np.prod(value.shape)) for value in values]
    total = sum(sizes)
    drawn = mask(engine, "<u4", (total,))
    whole, top = deal(
        engine,
        "operand",
        [("<u8", (total,)), ("<u4", (total,))],
        lambda: [drawn.astype(np.uint64), drawn >> _TOP],
    )
    if not engine.is_owner:
        return _parts(values, sizes, lambda shape, own: Operand(shape, mask=own(whole), top=own(top)))
    flat = np.concatenate([value.share.reshape(-1) for value in values if value.share is not None])
    flat += drawn
    if engine.party.role == "asker":
        flat += _HALF_SHIFT
    (theirs,) = exchange(engine, "operand", flat)
    opened = flat + theirs
    clear = (opened >> _TOP) ^ np.uint32(1)
    error = whole - ((clear * top).astype(np.uint64) << _HIGH)
    public = opened - _SHIFT
    return _parts(values, sizes, lambda shape, own: Operand(shape, own(public), own(clear), own(error)))


def multiply(engine: AidedEngine, *sums: Sequence[Term]) -> list[Shared]:
    """Sums of products of operands, without a round; shapes of operands are broadcast.

    Args:
        engine: who computes.
        sums: each a sequence of terms, of which the products are added.

    Returns:
        One shared value a sum. Its fractional bits are those of both factors together; the caller proves that
        it fits.
    """
    shapes = [_shape(terms) for terms in sums]
    distinct = [_distinct(terms) for terms in sums]
    layout: list[tuple[str, tuple[int, ...]]] = []
    for shape, operands in zip(shapes, distinct, strict=True):
        layout += [("<u8", shape), *[("<u4", shape)] * len(operands)]
    dealt = deal(
        engine,
        "product",
        layout,
        lambda: [one for terms, shape in zip(sums, shapes, strict=True) for one in _crosses(terms, shape)],
    )
    results, place = [], 0
    for terms, shape, operands in zip(sums, shapes, distinct, strict=True):
        crosses = dealt[place : place + 1 + len(operands)]
        place += 1 + len(operands)
        share = _product(engine, terms, operands, crosses) if engine.is_owner else None
        results.append(Shared(shape, share))
    return results


def _parts(
    values: Sequence[Halved],
    sizes: Sequence[int],
    make: Callable[[tuple[int, ...], Callable[[Array], Array]], Operand],
) -> list[Operand]:
    """Cut what was computed for all values together into one operand each."""
    found, start = [], 0
    for value, size in zip(values, sizes, strict=True):
        found.append(make(value.shape, _cutter(start, start + size, value.shape)))
        start += size
    return found


def _cutter(start: int, stop: int, shape: tuple[int, ...]) -> Callable[[Array], Array]:
    return lambda whole: whole[start:stop].reshape(shape)


def _shape(terms: Sequence[Term]) -> tuple[int, ...]:
    return np.broadcast_shapes(*(one.shape for _, left, right in terms for one in (left, right)))


def _distinct(terms: Sequence[Term]) -> list[Operand]:
    """Each operand of a sum once, in order."""
    found: list[Operand] = []
    for _, *pair in terms:
        for operand in pair:
            if not any(operand is known for known in found):
                found.append(operand)
    return found


def _crosses(terms: Sequence[Term], shape: tuple[int, ...]) -> list[Array]:
    """Helper: the products of masks, and of each operand's top bit with the masks of its partners."""
    whole = np.zeros(shape, dtype=np.uint64)
    operands = _distinct(terms)
    partners = [np.zeros(shape, dtype=np.uint64) for _ in operands]
    for factor, left, right in terms:
        if left.mask is None or right.mask is None:
            continue
        scale = np.uint64(factor % (1 << 64))
        whole += scale * left.mask * right.mask
        for place, operand in enumerate(operands):
            if operand is left:
                partners[place] += scale * right.mask
            if operand is right:
                partners[place] += scale * left.mask
    tops = [operand.top for operand in operands if operand.top is not None]
    return [whole, *(partner.astype(np.uint32) * top for partner, top in zip(partners, tops, strict=True))]


def _product(
    engine: AidedEngine, terms: Sequence[Term], operands: Sequence[Operand], crosses: Sequence[Array]
) -> Words:
    """An owner's share of a sum of products."""
    first = engine.party.role == "asker"
    wraps = np.zeros_like(crosses[1])
    for operand, cross in zip(operands, crosses[1:], strict=True):
        if operand.clear is not None:
            wraps += operand.clear * cross
    share: Words = crosses[0] - (wraps.astype(np.uint64) << _HIGH)
    for factor, left, right in terms:
        if left.public is None or left.error is None or right.public is None or right.error is None:
            continue
        part = left.public * (right.public - right.error) if first else left.public * right.error
        other = right.public * left.error
        part = part - other if first else -(part + other)
        share += part if factor == 1 else part * np.uint64(factor % (1 << 64))
    return share
