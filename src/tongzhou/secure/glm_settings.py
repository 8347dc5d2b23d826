"""Settings and inputs of joint Poisson and Gamma regression, and what the asker makes of its outcome.

Both families are one problem. With rate or mean ``μ = exp(η)``, the Poisson loss of counts y on exposures e
is ``Σ e exp(η) - y η``; the Gamma loss of amounts y with weights w is ``Σ w y exp(-η) + w η``. Put -η for η
and the second is the first, with "counts" w on "exposures" w y. So a training minimises ``Σ p exp(η) - q η``
for numbers p and q that the asker alone knows, and Gamma coefficients change their sign at the end.
"""

import math
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from tongzhou.errors import DataError
from tongzhou.secure.ring import Reals

__all__ = ["MAX_ROWS", "MOST_HEADROOM", "Family", "GlmBlock", "GlmSettings", "Loss", "check_block", "loss_of"]

Family = Literal["poisson", "gamma"]

MAX_ROWS = 1 << 22
"""Rows that the number format holds."""

_LEAST_HEADROOM = 2
MOST_HEADROOM = 12
"""Residuals may exceed 1 by as many bits."""
_MARGIN = 2
"""Bits by which residuals may grow on the way to the optimum."""


class GlmSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all parties must agree on before training.

    Attributes:
        family: ``poisson`` for counts, ``gamma`` for positive amounts; the link is the logarithm.
        rows: number of matched training rows.
        asker_columns: variables of the asker, without the intercept.
        provider_columns: variables of the provider.
        tolerance: how short the gradient of the mean loss (over the mean count or weight, and over the size
            of residuals as a power of two) must be at the end, in whitened coordinates; below about 1e-6
            fixed-point noise decides.
        max_steps: bound on steps.
    """

    family: Family
    rows: int
    asker_columns: int
    provider_columns: int
    tolerance: float = 3e-6
    max_steps: int = 40

    @property
    def columns(self) -> int:
        """All columns, the intercept included."""
        return 1 + self.asker_columns + self.provider_columns

    @property
    def sign(self) -> int:
        """What the trained coefficients are multiplied by at the end."""
        return 1 if self.family == "poisson" else -1


@dataclass(frozen=True)
class GlmBlock:
    """What one owner brings.

    Attributes:
        values: ``(n, d)`` numbers, rows in the agreed order.
        names: column names.
        outcome: ``(n,)`` at the asker: counts (poisson) or mean amounts (gamma); ``None`` at the provider.
        exposure: ``(n,)`` at the asker: exposure of a count, or weight of an amount (the number of claims of
            which it is the mean); ones if ``None``.
        offset: ``(n,)`` at the asker: known part of the linear predictor; zeros if ``None``.
    """

    values: Reals
    names: list[str]
    outcome: Reals | None = None
    exposure: Reals | None = None
    offset: Reals | None = None


@dataclass(frozen=True)
class Loss:
    """The asker's loss ``Σ p exp(η) - q η``, scaled so that p and q are about 1 in the mean.

    Attributes:
        p, q: ``(n,)``; both have the same sum.
        mean: what q was divided by, two digits; it is told to the provider.
        centre: the intercept of the model without variables; η is counted from it.
        headroom: bits by which a residual may exceed 1 in the mean square; it is told to everybody.
    """

    p: Reals
    q: Reals
    mean: float
    centre: float
    headroom: int


def check_block(settings: GlmSettings, role: str, block: GlmBlock) -> None:
    """Hold an owner's block to what was agreed.

    Raises:
        DataError: it has another shape, or the asker's numbers are not what the family takes.
    """
    if settings.rows > MAX_ROWS:
        raise DataError(
            "{rows} training rows are too many: at most {limit} fit the number format",
            rows=settings.rows,
            limit=MAX_ROWS,
        )
    if settings.rows <= settings.columns:
        raise DataError(
            "{rows} rows do not define {columns} coefficients; there must be more rows",
            rows=settings.rows,
            columns=settings.columns,
        )
    agreed = settings.asker_columns if role == "asker" else settings.provider_columns
    rows, columns = block.values.shape
    if (rows, columns) != (settings.rows, agreed):
        raise DataError(
            "the block has {rows} rows and {columns} columns; {agreed_rows} and {agreed} were agreed",
            rows=rows,
            columns=columns,
            agreed_rows=settings.rows,
            agreed=agreed,
        )


def loss_of(settings: GlmSettings, block: GlmBlock) -> Loss:
    """The asker's loss.

    Raises:
        DataError: outcome, exposure or offset are missing, not finite or outside their range.
    """
    outcome = _column(settings, block.outcome, "outcome")
    exposure = np.ones(settings.rows) if block.exposure is None else block.exposure
    exposure = _column(settings, exposure, "exposure")
    offset = _column(settings, np.zeros(settings.rows) if block.offset is None else block.offset, "offset")
    if not float(exposure.min()) > 0:
        raise DataError("every row needs an exposure above zero; remove the rows without one")
    if settings.family == "poisson":
        if not float(outcome.min()) >= 0 or not float(outcome.max()) > 0:
            raise DataError("counts must not be negative, and some must be above zero")
        p, q = exposure * np.exp(offset), outcome
    else:
        if not float(outcome.min()) > 0:
            raise DataError("amounts must be above zero for a gamma regression; remove the other rows")
        p, q = exposure * outcome * np.exp(-offset), exposure
    mean = float(f"{q.mean():.2g}")
    centre = math.log(float(q.sum()) / float(p.sum()))
    p, q = p * (math.exp(centre) / mean), q / mean
    return Loss(p, q, mean, centre, _headroom(p - q))


def _column(settings: GlmSettings, values: Reals | None, name: str) -> Reals:
    if values is None or np.shape(values) != (settings.rows,):
        raise DataError(
            "the asker needs a column {name} with a number for each of the {rows} rows",
            name=name,
            rows=settings.rows,
        )
    if not np.isfinite(values).all():
        raise DataError("column {column} has a value that is missing or not finite", column=name)
    return values.astype(np.float64)


def _headroom(residuals: Reals) -> int:
    size = math.sqrt(float(np.square(residuals).mean()))
    bits = max(_LEAST_HEADROOM, math.ceil(math.log2(max(size, 1.0))) + _MARGIN)
    if bits > MOST_HEADROOM:
        raise DataError("outcomes are too unequal for the number format; cap the largest amounts or counts")
    return bits
