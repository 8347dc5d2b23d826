"""Sentences that several protocols and modes share, so that each stands in one place."""

from tongzhou.errors import DataError

__all__ = [
    "beyond_exponential",
    "beyond_window",
    "no_label",
    "not_converged",
    "not_fitted",
    "one_class",
    "too_few_common",
    "too_many_rows",
    "undefined_coefficients",
    "undefined_weights",
]


def too_few_common(minimum: int) -> DataError:
    """The intersection is empty or below the minimum."""
    return DataError(
        "fewer than {minimum} identifiers are common, so no match is told; check that both sides "
        "normalise the same identifier, or lower match.minimum_rows within the grant",
        minimum=max(minimum, 1),
    )


def no_label() -> DataError:
    """The asker called without its label."""
    return DataError("the asker needs a label, one of 0 and 1 for each row")


def one_class() -> DataError:
    """The label does not vary."""
    return DataError("the label of the training rows is all one class; both 0 and 1 are needed")


def beyond_window(got: float, limit: float) -> DataError:
    """Scores reach beyond the window of the logistic function."""
    return DataError(
        "scores reach {got:.3g} log-odds, beyond the {limit:.0f} in which the protected logistic function is "
        "exact; a column may separate the classes: set train.l2, for example to 0.001",
        got=got,
        limit=limit,
    )


def not_converged(steps: int, got: float, allowed: float) -> DataError:
    """The gradient did not become short enough."""
    return DataError(
        "the training did not converge in {steps} steps: the gradient is {got:.2g} long, {allowed:.2g} was "
        "asked; a column may separate the classes: set train.l2, for example to 0.0001",
        steps=steps,
        got=got,
        allowed=allowed,
    )


def undefined_weights() -> DataError:
    """The curvature is singular, or nearly so."""
    return DataError(
        "the data do not define the weights: a column separates the classes, or columns of the two owners "
        "determine each other; remove it, or set train.l2, for example to 0.001"
    )


def too_many_rows(rows: int, limit: int) -> DataError:
    """The number format does not hold the sums."""
    return DataError(
        "{rows} training rows are too many: at most {limit} fit the number format", rows=rows, limit=limit
    )


def not_fitted(steps: int, got: float, allowed: float) -> DataError:
    """A regression with a logarithm as link did not come to its end."""
    return DataError(
        "the regression did not converge in {steps} steps: the gradient is {got:.2g} long, {allowed:.2g} was "
        "asked; a level without any claim has no finite coefficient: merge it with another",
        steps=steps,
        got=got,
        allowed=allowed,
    )


def beyond_exponential(got: float, limit: float) -> DataError:
    """Linear predictors reach beyond the window of the exponential."""
    return DataError(
        "linear predictors reach {got:.3g} from their mean, beyond the {limit:.2g} in which the protected "
        "exponential is exact; cap or transform columns with extreme values, or merge levels without any "
        "claim",
        got=got,
        limit=limit,
    )


def undefined_coefficients() -> DataError:
    """The curvature is singular, or nearly so."""
    return DataError(
        "the data do not define the coefficients: a level has hardly any claim, or columns of the two owners "
        "determine each other; remove or merge them"
    )
