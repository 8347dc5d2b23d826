"""Which variables enter a card, and why the others do not.

Each step returns what was kept and, for each variable dropped, the rule and a sentence, so that a validator
can read the choice. Selection by information value needs no rows and serves joint work; correlation needs the
rows of one owner.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from tongzhou.errors import DataError

from ._types import Floats
from .logistic import LogisticFit, fit_logistic

__all__ = [
    "Candidate",
    "Dropped",
    "Selection",
    "drop_correlated",
    "fit_with_signs",
    "select_variables",
    "wrong_signs",
]


class Candidate(msgspec.Struct, frozen=True):
    """A variable that may enter a card.

    Args:
        name: column name.
        iv: information value.
        owner: party that holds the column.
        bins: number of its numeric and special bins, when known.
    """

    name: str
    iv: float
    owner: str = ""
    bins: int | None = None


class Dropped(msgspec.Struct, frozen=True):
    """A variable left out.

    Args:
        name: column name.
        rule: short code: "min_iv", "max_iv", "single_bin", "limit", "correlation", "sign", "p_value".
        template: English sentence with fields, also the key of its translation.
        values: what fills the fields.
    """

    name: str
    rule: str
    template: str
    values: dict[str, str | float | int]

    @property
    def reason(self) -> str:
        """The sentence in English."""
        return self.template.format(**self.values)


class Selection(msgspec.Struct, frozen=True):
    """Outcome of a selection; ``kept`` is in descending order of information value."""

    kept: tuple[Candidate, ...]
    dropped: tuple[Dropped, ...]

    @property
    def names(self) -> list[str]:
        """Names of the variables kept."""
        return [candidate.name for candidate in self.kept]


def select_variables(
    candidates: Sequence[Candidate],
    *,
    min_iv: float = 0.02,
    max_iv: float | None = None,
    limit: int | None = None,
) -> Selection:
    """Keep variables whose information value is high enough, the best first.

    Args:
        candidates: in any order; equal values are ordered by name.
        min_iv: least information value; 0.02 is the common border of "not predictive".
        max_iv: most, when a higher value would mean a leak of the label.
        limit: most variables kept.

    Raises:
        DataError: one name twice, or a value that is negative or not finite.
    """
    _check_candidates(candidates)
    kept: list[Candidate] = []
    dropped: list[Dropped] = []
    for candidate in sorted(candidates, key=lambda c: (-c.iv, c.name)):
        why = _why_dropped(candidate, min_iv, max_iv)
        if why is None and limit is not None and len(kept) >= limit:
            why = _drop(
                candidate.name, "limit", "{limit} variables with a higher IV are kept already", limit=limit
            )
        if why is None:
            kept.append(candidate)
        else:
            dropped.append(why)
    return Selection(tuple(kept), tuple(dropped))


def drop_correlated(
    candidates: Sequence[Candidate], columns: ArrayLike, *, threshold: float = 0.8
) -> Selection:
    """Of columns that say nearly the same, keep the one with the highest information value.

    Goes through the candidates from the best on and drops each that correlates with one kept before.

    Args:
        candidates: k variables in the order of the columns.
        columns: n rows, k columns of one owner (weights of evidence, say), finite.
        threshold: largest absolute correlation of two variables kept, above 0 and at most 1.

    Raises:
        DataError: shapes that do not fit, values not finite, or a threshold out of range.
    """
    _check_candidates(candidates)
    matrix = np.asarray(columns, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] != len(candidates) or matrix.shape[0] < 2:
        raise DataError("there must be a column for each of {count} variables", count=len(candidates))
    if not np.isfinite(matrix).all():
        raise DataError("correlations need finite numbers in every row")
    if not 0 < threshold <= 1:
        raise DataError("the correlation threshold must be above 0 and at most 1, got {got}", got=threshold)
    strength = np.abs(_correlation(matrix))
    kept: list[int] = []
    dropped: list[Dropped] = []
    for i in sorted(range(len(candidates)), key=lambda i: (-candidates[i].iv, candidates[i].name)):
        rival = max(kept, key=lambda k: strength[i, k], default=None)
        if rival is None or strength[i, rival] <= threshold:
            kept.append(i)
            continue
        template = "correlates at {correlation} with {rival}, which has the higher IV"
        values = {"correlation": round(float(strength[i, rival]), 3), "rival": candidates[rival].name}
        dropped.append(_drop(candidates[i].name, "correlation", template, **values))
    return Selection(tuple(candidates[i] for i in kept), tuple(dropped))


def wrong_signs(names: Sequence[str], coefficients: Sequence[float] | Floats) -> list[str]:
    """Return the variables whose coefficient of the weight of evidence is not positive, the worst first.

    Such a coefficient pays points for what the variable alone shows to be riskier: it only corrects another
    variable, which no reason given to a customer could explain.

    Raises:
        DataError: names and coefficients differ in number.
    """
    if len(names) != len(coefficients):
        raise DataError(
            "{columns} columns were given with {names} names", columns=len(coefficients), names=len(names)
        )
    wrong = [(float(c), name) for name, c in zip(names, coefficients, strict=True) if not c > 0]
    return [name for _, name in sorted(wrong)]


def fit_with_signs(
    woe: ArrayLike,
    y: ArrayLike,
    names: Sequence[str],
    *,
    max_p_value: float | None = None,
    l2: float = 0.0,
    tolerance: float = 1e-8,
) -> tuple[LogisticFit, tuple[Dropped, ...]]:
    """Fit on weights of evidence and drop, one at a time, variables with a wrong sign or a weak effect.

    The variable with the lowest coefficient leaves first; when all are positive, the one with the highest
    p-value above ``max_p_value``.

    Args:
        woe: n rows, k columns of weights of evidence.
        y: n labels, 0 or 1.
        names: of the k columns.
        max_p_value: highest p-value of a variable kept; None keeps all with the right sign.
        l2: as for :func:`tongzhou.risk.logistic.fit_logistic`.
        tolerance: likewise.

    Returns:
        The fit, with the names kept, and what was dropped in order.

    Raises:
        DataError: as :func:`tongzhou.risk.logistic.fit_logistic`, or no variable is left.
    """
    matrix = np.asarray(woe, dtype=np.float64)
    left = list(names)
    dropped: list[Dropped] = []
    while left:
        fit = fit_logistic(matrix, y, l2=l2, tolerance=tolerance, names=left)
        why = _weakest(fit, max_p_value)
        if why is None:
            return fit, tuple(dropped)
        dropped.append(why)
        matrix = np.delete(matrix, left.index(why.name), axis=1)
        left.remove(why.name)
    raise DataError(
        "no variable has a positive and strong enough effect; {count} were tried", count=len(names)
    )


def _weakest(fit: LogisticFit, max_p_value: float | None) -> Dropped | None:
    wrong = wrong_signs(fit.names, fit.coefficients)
    if wrong:
        value = float(fit.coefficients[fit.names.index(wrong[0])])
        template = "its coefficient {coefficient} is not positive: it only corrects other variables"
        return _drop(wrong[0], "sign", template, coefficient=round(value, 4))
    weakest = int(np.argmax(fit.p_values))
    value = float(fit.p_values[weakest])
    if max_p_value is None or value <= max_p_value:
        return None
    template = "its p-value {p_value} is above {max_p_value}"
    return _drop(fit.names[weakest], "p_value", template, p_value=round(value, 4), max_p_value=max_p_value)


def _check_candidates(candidates: Sequence[Candidate]) -> None:
    seen: set[str] = set()
    for candidate in candidates:
        if candidate.name in seen:
            raise DataError("the variable {variable} is a candidate twice", variable=candidate.name)
        seen.add(candidate.name)
        if not (np.isfinite(candidate.iv) and candidate.iv >= 0):
            raise DataError("the IV of {variable} must be zero or more", variable=candidate.name)


def _why_dropped(candidate: Candidate, min_iv: float, max_iv: float | None) -> Dropped | None:
    if candidate.bins is not None and candidate.bins < 2:
        return _drop(candidate.name, "single_bin", "all its values share one bin")
    if candidate.iv < min_iv:
        template = "its IV {iv} is below {min_iv}"
        return _drop(candidate.name, "min_iv", template, iv=round(candidate.iv, 6), min_iv=min_iv)
    if max_iv is not None and candidate.iv > max_iv:
        template = "its IV {iv} is above {max_iv}: too good to be true, look for a leak of the label"
        return _drop(candidate.name, "max_iv", template, iv=round(candidate.iv, 6), max_iv=max_iv)
    return None


def _drop(name: str, rule: str, template: str, **values: Any) -> Dropped:
    return Dropped(name, rule, template, values)


def _correlation(matrix: Floats) -> Floats:
    """Return the correlation matrix; a constant column correlates with nothing."""
    centred = matrix - matrix.mean(axis=0)
    lengths = np.sqrt(np.sum(centred**2, axis=0))
    scaled = centred / np.where(lengths > 0, lengths, 1.0)
    correlation: Floats = scaled.T @ scaled
    return correlation
