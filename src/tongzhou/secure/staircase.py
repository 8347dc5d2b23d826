"""The logistic function of a shared number, by one opening and a short sine series.

Statement
    Parties: two data owners and the helper (`aided`).
    Who learns what: both owners learn ``z - r`` modulo the period with r uniform, which is uniform;
    nobody learns anything else.
    Assumption: as `tongzhou.secure.aided`.
    Cost: one round; per row 8 bytes each way between the owners and 16 K bytes from the helper for K
    harmonics.
    Source: sine and cosine of a masked angle follow the addition theorems (the idea is in use since
    Zheng, Zhang, Wang et al., arXiv 2311.09606, for periodic functions under sharing). The periodised
    logistic below is our own derivation.

Replace the logistic function s by its staircase: the sum of s shifted by every multiple of the period P,
less the steps before zero. It rises by one every period and equals s up to ``2 e^-(P-|z|)`` inside a period
around zero. Being "linear plus periodic and smooth", it has a closed and quickly falling Fourier series
(Poisson summation; the transform of s' is ``πω / sinh(πω)``)::

    F(z) = 1/2 + z/P + Σ_k (2π/P) / sinh(2π²k/P) · sin(2πkz/P)

With P = 16 and eight harmonics the error is below 2e-5 for |z| ≤ 4 and below 4e-4 for |z| ≤ 8. Outside the
period F goes on rising, so a training that strays there is pulled back instead of being thrown off.
Numbers enter at the scale where one period is the entire ring, so the wrap-around of Z_2^64 is the period.
"""

import math
from dataclasses import dataclass

import numpy as np

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.party import OWNERS
from tongzhou.secure.ring import Reals, Words, encode
from tongzhou.secure.shared import Shared
from tongzhou.wire.messages import ArraySpec

__all__ = ["LOGIT_BITS", "PERIOD", "Angles", "share_angles", "sigmoid_coefficients", "slope_coefficients"]

PERIOD_BITS = 4
PERIOD = float(1 << PERIOD_BITS)
LOGIT_BITS = 64 - PERIOD_BITS
"""Fractional bits of a logit whose period is the whole ring."""

_CHUNK_ROWS = 1 << 14
"""Rows handled at a time: the working arrays of one chunk stay in the second-level cache."""

_RADIANS = math.pi / 2.0**63


def sigmoid_coefficients(harmonics: int) -> list[float]:
    """Sine coefficients b_1 … b_K of the staircase (the line ``1/2 + z/P`` is added by the caller)."""
    return [2 * math.pi / PERIOD / math.sinh(2 * math.pi**2 * k / PERIOD) for k in range(1, harmonics + 1)]


def slope_coefficients(harmonics: int) -> list[float]:
    """Cosine coefficients of the staircase's derivative (the constant ``1/P`` is added by the caller)."""
    return [b * 2 * math.pi * k / PERIOD for k, b in enumerate(sigmoid_coefficients(harmonics), start=1)]


@dataclass(frozen=True)
class Angles:
    """Shared sines and cosines of the multiples of a secret angle, ready to be summed.

    Attributes:
        engine: who computes.
        rows: number of angles.
        harmonics: K.
        bits: fractional bits of the dealt sines and cosines.
        opened: ``(n,)`` masked angle, public to the owners.
        dealt: ``(2K, n)`` this owner's shares of cos(k r), then sin(k r).
    """

    engine: AidedEngine
    rows: int
    harmonics: int
    bits: int
    opened: Words | None
    dealt: Words | None

    def sine_series(self, coefficients: list[float], bits: int) -> Shared:
        """Shared ``Σ_k b_k sin(k θ)`` with ``bits`` fractional bits."""
        return self._series(coefficients, bits, sine=True)

    def cosine_series(self, coefficients: list[float], bits: int) -> Shared:
        """Shared ``Σ_k b_k cos(k θ)`` with ``bits`` fractional bits."""
        return self._series(coefficients, bits, sine=False)

    def _series(self, coefficients: list[float], bits: int, *, sine: bool) -> Shared:
        if self.opened is None or self.dealt is None:
            return Shared((self.rows,), None)
        total = np.empty(self.rows, dtype=np.uint64)
        for start in range(0, self.rows, _CHUNK_ROWS):
            part = slice(start, start + _CHUNK_ROWS)
            table = multiples(self.opened[part], len(coefficients))
            public = self._public_factors(table, coefficients, bits - self.bits, sine=sine)
            total[part] = np.einsum("kn,kn->n", public, self._dealt_rows(part, len(coefficients)))
        return Shared((self.rows,), total)

    def _dealt_rows(self, part: slice, count: int) -> Words:
        assert self.dealt is not None  # noqa: S101 - the caller has looked
        return np.concatenate([self.dealt[:count, part], self.dealt[self.harmonics :][:count, part]])

    @staticmethod
    def _public_factors(table: Reals, coefficients: list[float], bits: int, *, sine: bool) -> Words:
        """Factors of cos(k r) and sin(k r) by the addition theorems, times the coefficients."""
        weights = np.array(coefficients)[:, np.newaxis]
        cosines, sines = np.split(table, 2)
        factors = (sines * weights, cosines * weights) if sine else (cosines * weights, sines * -weights)
        return encode(np.concatenate(factors), bits)


def share_angles(engine: AidedEngine, logits: Shared, harmonics: int, bits: int) -> Angles:
    """Open the masked angle and take shares of the mask's sines and cosines.

    Args:
        engine: who computes.
        logits: shared ``(n,)`` with `LOGIT_BITS` fractional bits.
        harmonics: K, how many multiples.
        bits: fractional bits of the dealt values.
    """
    (rows,) = logits.shape
    if logits.share is None:
        _deal(engine, rows, harmonics, bits)
        return Angles(engine, rows, harmonics, bits, None, None)
    party = engine.party
    masked = logits.share - engine.stream(party.role).words(rows)
    party.peer.send("masked.angle", None, [masked])
    _, (theirs,) = party.peer.recv("masked.angle", None, [ArraySpec("<u8", (rows,))])
    dealt = np.empty((2 * harmonics, rows), dtype=np.uint64)
    for start in range(0, rows, _CHUNK_ROWS):
        stop = min(start + _CHUNK_ROWS, rows)
        if party.role == "asker":
            dealt[:, start:stop] = engine.stream("asker").words(2 * harmonics, stop - start)
        else:
            spec = ArraySpec("<u8", (2 * harmonics, stop - start))
            dealt[:, start:stop] = party.link("helper").recv("deal.angle", None, [spec])[1][0]
    return Angles(engine, rows, harmonics, bits, masked + theirs, dealt)


def _deal(engine: AidedEngine, rows: int, harmonics: int, bits: int) -> None:
    """Helper: deal cos(k r) and sin(k r) for the mask r that the owners' streams add up to."""
    mask = engine.stream(OWNERS[0]).words(rows) + engine.stream(OWNERS[1]).words(rows)
    for start in range(0, rows, _CHUNK_ROWS):
        stop = min(start + _CHUNK_ROWS, rows)
        values = encode(multiples(mask[start:stop], harmonics), bits)
        values -= engine.stream("asker").words(2 * harmonics, stop - start)
        engine.party.link("provider").send("deal.angle", None, [values])


def multiples(words: Words, harmonics: int) -> Reals:
    """``cos(k θ)`` for k = 1 … K, then ``sin(k θ)``, of the angle that a ring element stands for."""
    angle = words.view(np.int64) * _RADIANS
    table = np.empty((2, harmonics, len(words)))
    cosines, sines = table
    np.cos(angle, out=cosines[0])
    np.sin(angle, out=sines[0])
    for k in range(1, harmonics):
        # Doubling halves the rounding error of a plain recurrence and costs the same.
        half, rest = (k + 1) // 2 - 1, (k + 1) - (k + 1) // 2 - 1
        cosines[k] = cosines[half] * cosines[rest] - sines[half] * sines[rest]
        sines[k] = sines[half] * cosines[rest] + cosines[half] * sines[rest]
    return table.reshape(2 * harmonics, len(words))
