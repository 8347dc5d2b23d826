"""Array types and the checks that every function of this room shares."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tongzhou.errors import DataError

__all__ = ["Bools", "Floats", "Ints", "binary_labels", "float_vector", "integer_counts", "same_length"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def float_vector(values: ArrayLike, name: str) -> Floats:
    """Return ``values`` as a vector of float64, or say what else it is.

    Args:
        values: n numbers; NaN allowed.
        name: what the vector is called in the error.

    Raises:
        DataError: it is not one-dimensional or not numeric.
    """
    array: NDArray[Any] = np.asarray(values)
    if array.ndim != 1:
        raise DataError(
            "{name} must be one column of numbers, got {got} dimensions", name=name, got=array.ndim
        )
    if array.dtype.kind not in "biuf":
        raise DataError("{name} must be numbers, got values of type {got}", name=name, got=str(array.dtype))
    return np.ascontiguousarray(array, dtype=np.float64)


def binary_labels(y: ArrayLike, name: str = "label") -> NDArray[np.int8]:
    """Return labels as int8 zeros and ones, both present.

    Raises:
        DataError: another value occurs, or all labels are equal.
    """
    array = float_vector(y, name)
    wrong = np.flatnonzero((array != 0) & (array != 1))
    if wrong.size:
        raise DataError(
            "{name} must be 0 or 1 in every row: {count} rows are neither, the first is row {row}",
            name=name,
            count=int(wrong.size),
            row=int(wrong[0]) + 1,
        )
    ones = int(array.sum())
    if ones in {0, array.size}:
        raise DataError(
            "{name} must hold both 0 and 1: {ones} of {rows} rows are 1",
            name=name,
            ones=ones,
            rows=array.size,
        )
    return array.astype(np.int8)


def integer_counts(values: ArrayLike, variable: str, length: int) -> Ints:
    """Return ``length`` counts as int64.

    Raises:
        DataError: another length, a fraction, or a negative count.
    """
    array = float_vector(values, variable)
    if array.size != length:
        raise DataError(
            "{variable} must have one count for each of the {length} bins, got {got}",
            variable=variable,
            length=length,
            got=array.size,
        )
    if not np.all((array >= 0) & (array == np.floor(array)) & np.isfinite(array)):
        raise DataError("{variable}: counts per bin must be whole numbers, zero or more", variable=variable)
    return array.astype(np.int64)


def same_length(expected: int, got: int, name: str) -> None:
    """Refuse a column whose length differs from the others.

    Raises:
        DataError: the lengths differ.
    """
    if expected != got:
        raise DataError("{name} must have {expected} rows, got {got}", name=name, expected=expected, got=got)
