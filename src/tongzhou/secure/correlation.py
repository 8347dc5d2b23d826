"""Correlations between two owners' columns, and how much each column is inflated by all others.

Statement
    Parties: asker and provider (owners); the helper (`aided`).
    The receivers learn: with ``cross`` the correlations of each column of the asker with each of the
    provider; with ``matrix`` also those within each owner's columns; with ``inflation`` only the variance
    inflation factor of each column, and no correlation.
    The helper learns: the shapes.
    Both owners learn nothing further.
    Assumption: as `tongzhou.secure.aided` and `tongzhou.secure.linear`.
    Cost: n rows, d_a and d_p columns: 8 n (d_a + d_p) bytes and one round; the factors 2 k + 9 rounds on
    small matrices, k = 13.
    Papers: as `tongzhou.secure.aided` and `tongzhou.secure.linear`.

Each owner scales its columns to mean 0 and length 1. The products of the columns are the correlations, right
to 1e-7.

The factors are the diagonal of the inverse of the correlation matrix. Each owner makes its own columns
uncorrelated first, by itself: with ``R_a = L_a L_aᵀ`` what is left between the owners is
``B = L_a^-1 C L_p^-T``, whose singular values are the canonical correlations, and::

    R^-1 = [L_a^-T W L_a^-1, .; ., L_p^-T (1 + Bᵀ W B) L_p^-1],    W = (1 - B Bᵀ)^-1

W is computed under protection (`tongzhou.secure.linear`): the eigenvalues of 1 - B Bᵀ lie in (0, 1]. Factors
up to 500 are right to a thousandth; where columns of the two owners determine each other beyond that, they
are told too small, but not below 500.
"""

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError
from tongzhou.secure.cells import Part
from tongzhou.secure.differencing import admit
from tongzhou.secure.group_parts import held_sets, joint
from tongzhou.secure.guard import Guard
from tongzhou.secure.linear import INVERSE_BITS, MATRIX_BITS, MAX_DOUBLINGS, invert
from tongzhou.secure.numbered_sets import Question
from tongzhou.secure.owner_side import OwnerSide
from tongzhou.secure.party import OWNERS, Role
from tongzhou.secure.ring import Reals, Words, decode, encode
from tongzhou.secure.rounding import round_to
from tongzhou.secure.shared import Shared, join
from tongzhou.secure.statistic_answers import CorrelationAnswer
from tongzhou.secure.statistic_requests import Correlation, owner_of
from tongzhou.secure.whitening import row_bits

__all__ = ["answer_correlation"]

_COLLINEAR = 2e-3
"""A column whose own part is less than this: 500 is the largest factor within one owner's columns."""
_CONSTANT = 1e-12
_MIX_BITS = 20
_SQUARE_BITS = 20
_FACTOR_BITS = 20
_ROUNDED = 1000
_WHOLE_BITS = 23
"""Under a policy that rounds, correlations and factors are told in thousandths."""


def answer_correlation(guard: Guard, request: Correlation) -> CorrelationAnswer:
    """Correlations or variance inflation factors over all matched rows.

    Args:
        guard: the policy.
        request: what is asked.

    Raises:
        GrantError: the policy forbids it.
        DataError: a column is constant, or the others of its owner determine it.
    """
    names = {owner: [name for name in request.columns if owner_of(name)[0] == owner] for owner in OWNERS}
    held = {owner: _unit_columns(guard, owner, names[owner]) for owner in guard.holders}
    everything = {
        owner: Part(owner, 1, sets=_all_rows(guard) if owner in held else None, values=[]) for owner in OWNERS
    }
    cells = joint(guard, everything)
    told = guard.large_cells(request.name, cells.counts, (1, 1))
    width: dict[Role, int] = {owner: len(names[owner]) for owner in request.receivers}
    own = {owner: matrix for owner, matrix in held.items() if owner in width}
    admit(guard, Question(request.name, held_sets(everything), told.known, cells.sketches, width, own))
    shape = (len(names["asker"]), len(names["provider"]))
    crossed = _cross(guard, held, shape)
    ordered = (*names["asker"], *names["provider"])
    if request.shows == "inflation":
        factors = _factors(guard, _unmixed_all(held, names), shape, crossed)
        opened = _opened(guard, request, factors, "variance inflation factors", _FACTOR_BITS)
        return CorrelationAnswer(request.name, request.receivers, ordered, None, opened)
    whole = crossed if request.shows == "cross" else _with_own(guard, held, shape, crossed)
    opened = _opened(guard, request, whole, "correlations", MATRIX_BITS)
    if opened is not None and request.shows == "cross":
        opened = _framed(opened)
    return CorrelationAnswer(request.name, request.receivers, ordered, opened)


# --- what the owners bring -------------------------------------------------------------------------------


def _all_rows(guard: Guard) -> NDArray[np.bool_]:
    return np.ones((1, guard.rows), dtype=np.bool_)


def _unit_columns(guard: Guard, owner: Role, names: list[str]) -> Reals:
    """An owner's columns ``(d, n)``, of mean 0 and length 1."""
    side, everywhere = guard.holders[owner].side, np.ones(guard.rows, dtype=np.bool_)
    return np.array([_unit(side, name, everywhere) for name in names])


def _unit(side: OwnerSide, name: str, everywhere: NDArray[np.bool_]) -> Reals:
    values = side.column(name, everywhere)
    centred = values - values.mean()
    length = float(np.linalg.norm(centred))
    if length <= _CONSTANT * float(np.abs(values).max(initial=0.0)) * np.sqrt(len(values)):
        raise DataError("column {column} is constant; a correlation needs columns that differ", column=name)
    unit: Reals = centred / length
    return unit


def _unmixed_all(held: dict[Role, Reals], names: dict[Role, list[str]]) -> dict[Role, Reals]:
    return {owner: _unmixed(matrix, names[owner]) for owner, matrix in held.items()}


def _unmixed(matrix: Reals, names: list[str]) -> Reals:
    """``L^-1`` of an owner's own correlations ``L Lᵀ``.

    Raises:
        DataError: a column is (nearly) determined by those before it.
    """
    own = matrix @ matrix.T
    for place in range(1, len(own)):
        rest, _, _, _ = np.linalg.lstsq(own[:place, :place], own[:place, place], rcond=None)
        if 1.0 - float(own[:place, place] @ rest) < _COLLINEAR:
            raise DataError(
                "column {column} is a combination of its owner's columns before it; inflation factors need "
                "columns that differ: leave it out",
                column=names[place],
            )
    inverse: Reals = np.linalg.inv(np.linalg.cholesky(own))
    return inverse


# --- under protection --------------------------------------------------------------------------------------


def _cross(guard: Guard, held: dict[Role, Reals], shape: tuple[int, int]) -> Shared:
    """Correlations between the owners: shared ``(d_a, d_p)`` with `MATRIX_BITS`."""
    engine, rows = guard.engine, guard.rows
    # Columns of length 2^(L / 2) with 2^L at least n use the bits that a sum over n rows leaves.
    length_bits = row_bits(rows)
    bits = (62 - length_bits) // 2
    words = {owner: encode(matrix * 2.0 ** (length_bits / 2), bits) for owner, matrix in held.items()}
    hidden = engine.hide("asker", (shape[0], rows), words.get("asker"))
    product = engine.transpose_times(hidden, engine.own("provider", (shape[1], rows), words.get("provider")))
    return engine.truncate(product, 2 * bits + length_bits - MATRIX_BITS)


def _with_own(guard: Guard, held: dict[Role, Reals], shape: tuple[int, int], crossed: Shared) -> Shared:
    """The whole matrix: shared ``(d, d)``."""
    blocks = {}
    for owner, size in zip(OWNERS, shape, strict=True):
        words = encode(held[owner] @ held[owner].T, MATRIX_BITS) if owner in held else None
        blocks[owner] = guard.engine.own(owner, (size, size), words)
    upper = join(blocks["asker"], crossed.transposed()).transposed()
    lower = join(crossed, blocks["provider"]).transposed()
    return join(upper, lower)


def _factors(guard: Guard, unmix: dict[Role, Reals], shape: tuple[int, int], crossed: Shared) -> Shared:
    """Variance inflation factors, the asker's first: shared ``(d,)`` with `_FACTOR_BITS`."""
    engine = guard.engine
    half = _mixed(guard, unmix, "asker", crossed.transposed())
    left = _mixed(guard, unmix, "provider", half)
    # left is Bᵀ (d_p, d_a); the smaller of the two squares is inverted.
    small, large = ("provider", "asker") if shape[1] <= shape[0] else ("asker", "provider")
    between = left if small == "provider" else left.transposed()
    square = engine.matmul(between, between.transposed(), drop=MATRIX_BITS)
    rest = engine.add_public(square.scaled(-1), encode(np.eye(square.shape[0]), MATRIX_BITS))
    inner = _refined(guard, rest, invert(engine, rest, doublings=MAX_DOUBLINGS))
    turned = engine.matmul(inner, between, drop=MATRIX_BITS)
    outer = engine.matmul(between.transposed(), turned, drop=MATRIX_BITS)
    outer = engine.add_public(outer, encode(np.eye(outer.shape[0]), INVERSE_BITS))
    found = {small: _diagonal(guard, unmix, small, inner), large: _diagonal(guard, unmix, large, outer)}
    return join(found["asker"], found["provider"])


def _refined(guard: Guard, matrix: Shared, inverse: Shared) -> Shared:
    """One step of Newton's: what truncation left in the inverse is squared."""
    engine = guard.engine
    product = engine.matmul(matrix, inverse, drop=INVERSE_BITS)
    error = engine.add_public(product.scaled(-1), encode(np.eye(matrix.shape[0]), MATRIX_BITS))
    return inverse + engine.matmul(inverse, error, drop=MATRIX_BITS)


def _mixed(guard: Guard, unmix: dict[Role, Reals], owner: Role, rows: Shared) -> Shared:
    """``L^-1`` of an owner times the transpose of shared ``rows (k, d)``: shared ``(d, k)``."""
    size = rows.shape[1]
    words = encode(unmix[owner], _MIX_BITS) if owner in unmix else None
    product = guard.engine.transpose_times(guard.engine.hide(owner, (size, size), words), rows)
    return guard.engine.truncate(product, _MIX_BITS)


def _diagonal(guard: Guard, unmix: dict[Role, Reals], owner: Role, inner: Shared) -> Shared:
    """The diagonal of ``L^-T inner L^-1``: shared ``(d,)``."""
    size = inner.shape[0]
    words = None
    if owner in unmix:
        mix = unmix[owner].T
        words = encode((mix[:, :, None] * mix[:, None, :]).reshape(size, size * size), _SQUARE_BITS)
    hidden = guard.engine.hide(owner, (size, size * size), words)
    product = guard.engine.transpose_times(hidden, inner.reshaped(size * size))
    return guard.engine.truncate(product, INVERSE_BITS + _SQUARE_BITS - _FACTOR_BITS)


def _opened(guard: Guard, request: Correlation, value: Shared, what: str, bits: int) -> Reals | None:
    """The numbers at the receivers."""
    policy, shape, reason = guard.policy, value.shape, "the answer"
    unit = round(2**bits / _ROUNDED) if policy.count_base > 1 or policy.sum_base else 1
    if unit > 1:
        flat = value.reshaped(int(np.prod(shape)))
        value = round_to(guard.engine, flat, unit, bits=bits + _WHOLE_BITS).reshaped(*shape)
        reason = "the answer, in thousandths"
    words: Words | None = guard.engine.open(
        value, what=f"{what} of {request.name}", receivers=request.receivers, reason=reason
    )
    if words is None:
        return None
    return decode(words, bits) if unit == 1 else words.view(np.int64) / unit / _ROUNDED


def _framed(crossed: Reals) -> Reals:
    """Correlations between the owners in a matrix whose other blocks are not told."""
    own, other = crossed.shape
    whole = np.full((own + other, own + other), np.nan)
    whole[:own, own:] = crossed
    whole[own:, :own] = crossed.T
    return whole
