"""The jobs of many institutions with the same columns, each one object with the same call in every mode.

In mode ``group`` the institutions add up by `tongzhou.secure.aggregation`; in mode ``local`` all tables lie
in one process and are joined: the same lines, with nothing to add up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError, PlanError
from tongzhou.secure.aggregation import Aggregation
from tongzhou.secure.aggregation_settings import AggregationSettings, for_sum
from tongzhou.secure.federated_averaging import fit_averaging
from tongzhou.secure.federated_boost import BoostFit, FederatedBoostSettings, fit_boost
from tongzhou.secure.federated_columns import (
    Moments,
    Table,
    check_table,
    column_edges,
    column_moments,
    count_bins,
)
from tongzhou.secure.federated_logistic import FederatedFit, FederatedLogisticSettings, fit_federated
from tongzhou.secure.party import Role
from tongzhou.secure.private_logistic import fit_private
from tongzhou.secure.private_sums import (
    Budget,
    PrivacyReport,
    PrivacySettings,
    Release,
    noise_hands,
    private_sum,
    spend,
)
from tongzhou.secure.ring import Reals, decode
from tongzhou.secure.summing import Alone, Summing
from tongzhou.secure.tasks import Seat

__all__ = [
    "AggregateInput",
    "AggregateResult",
    "AggregateSettings",
    "AggregateTask",
    "ColumnStatistics",
    "FederatedBoostTask",
    "FederatedLogisticTask",
    "FederatedStatisticsTask",
    "StatisticsSettings",
]

Result = TypeVar("Result")

_SLOTS = 16
"""Sums for which keys are made at a time, in jobs of many sums."""


class AggregateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all institutions agree on before vectors are added up.

    Attributes:
        aggregation: how.
        length: of the vectors.
        bits: fractional bits of the numbers.
        to_all: whether the institutions learn the sum, and not the asker alone.
        privacy: adds noise, so that no single record shows in the sum.
        clip: with `privacy`, the longest record, in the Euclidean norm.
    """

    aggregation: AggregationSettings
    length: int
    bits: int = 30
    to_all: bool = False
    privacy: PrivacySettings | None = None
    clip: float = 1.0


@dataclass(frozen=True)
class AggregateInput:
    """What an institution brings to a sum.

    Attributes:
        values: ``(n, length)`` one record a row; they are added up at home.
        budget: what the institution still allows to be learnt; for sums with noise.
    """

    values: Reals
    budget: Budget | None = None


@dataclass(frozen=True)
class AggregateResult:
    """What a party learns of a sum.

    Attributes:
        total: ``(length,)`` the sum, or ``None`` where it is not told.
        stayed: roles whose records are in it.
        deviation: standard deviation of the noise on each number; 0 without noise.
        privacy: what it cost each record, if noise was added.
    """

    total: Reals | None
    stayed: tuple[Role, ...]
    deviation: float = 0.0
    privacy: PrivacyReport | None = None


@dataclass(frozen=True)
class AggregateTask:
    """Add up records of many institutions; see `tongzhou.secure.aggregation`."""

    settings: AggregateSettings

    def run(self, seat: Seat, own: AggregateInput | None) -> AggregateResult:
        """The sum where it is told, and at every party who is in it."""
        if seat.mode == "local":
            return seat.gather(own, self.clear)
        return self._sum(_group(seat, "aggregate", self.settings.aggregation, 1), own)

    def clear(self, inputs: Mapping[Role, AggregateInput | None]) -> dict[Role, AggregateResult]:
        """The same in one process."""
        there = {role: own for role, own in inputs.items() if own is not None}
        for own in there.values():
            self._check(own)
        owners = list(there.values())
        joined = AggregateInput(np.concatenate([own.values for own in owners]), _Budgets.of(owners))
        result = self._sum(Alone(tuple(there)), joined)
        hidden = AggregateResult(None, result.stayed, result.deviation, result.privacy)
        return {role: result if role == "asker" or self.settings.to_all else hidden for role in inputs}

    def _sum(self, summing: Summing, own: AggregateInput | None) -> AggregateResult:
        settings = self.settings
        if own is not None:
            self._check(own)
        if settings.privacy is not None:
            return self._noised(summing, own, settings.privacy)
        words = None
        if own is not None:
            words = for_sum(own.values.sum(axis=0), settings.bits, summing.institutions)
        total = summing.sum(
            words, length=settings.length, what="sum of records", reason="aggregate", to_all=settings.to_all
        )
        return AggregateResult(None if total is None else decode(total, settings.bits), summing.stayed)

    def _noised(
        self, summing: Summing, own: AggregateInput | None, privacy: PrivacySettings
    ) -> AggregateResult:
        settings = self.settings
        release = Release(privacy.rho(), settings.clip, settings.length, noise_hands(summing, privacy))
        budget = None if own is None else own.budget
        report = spend(privacy, [release], budget, member=summing.is_member, what="a sum with noise")
        records = None if own is None else [own.values]
        total = private_sum(summing, records, release, what="sum of records", to_all=settings.to_all)
        return AggregateResult(total, summing.stayed, release.deviation(len(summing.stayed)), report)

    def _check(self, own: AggregateInput) -> None:
        minimum = self.settings.aggregation.minimum_rows
        if own.values.ndim != 2 or own.values.shape[1] != self.settings.length:
            raise DataError(
                "records have {got} numbers, {agreed} were agreed",
                got=own.values.shape[-1],
                agreed=self.settings.length,
            )
        if len(own.values) < minimum:
            raise DataError(
                "{rows} rows are too few to take part: at least {minimum} were agreed, so that a sum hides "
                "each",
                rows=len(own.values),
                minimum=minimum,
            )
        if self.settings.privacy is not None and not 0 < self.settings.clip < float("inf"):
            raise PlanError("clip must be above zero, got {got}", got=self.settings.clip)


class StatisticsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all institutions agree on before their columns are described.

    Attributes:
        aggregation: how vectors are added up.
        columns: names of the columns, the same at every institution.
        label: whether events are counted.
        bins: bins of about equal rows in each column, with their rows and events; 0 for none.
    """

    aggregation: AggregationSettings
    columns: tuple[str, ...]
    label: bool = True
    bins: int = 0


@dataclass(frozen=True)
class ColumnStatistics:
    """Of all rows together; what scaling and weights of evidence are made of.

    Attributes:
        moments: rows, events, means, deviations.
        edges: of the bins of each column; see `tongzhou.secure.federated_columns.column_edges`.
        totals, events: rows and events in each bin of each column, the missing last.
        stayed: roles whose rows are in it.
    """

    moments: Moments
    edges: list[Reals]
    totals: list[NDArray[np.int64]]
    events: list[NDArray[np.int64]]
    stayed: tuple[Role, ...]


@dataclass(frozen=True)
class FederatedStatisticsTask:
    """Scale and bins of columns over many institutions; see `tongzhou.secure.federated_columns`."""

    settings: StatisticsSettings

    def run(self, seat: Seat, own: Table | None) -> ColumnStatistics:
        """The statistics, at every party."""
        if seat.mode == "local":
            return seat.gather(own, self.clear)
        return self._describe(_group(seat, "federated statistics", self.settings.aggregation, 7), own)

    def clear(self, inputs: Mapping[Role, Table | None]) -> dict[Role, ColumnStatistics]:
        """The same in one process."""
        joined = _joined(self.settings.aggregation, self.settings.columns, inputs, label=self.settings.label)
        return dict.fromkeys(inputs, self._describe(_alone(inputs), joined))

    def _describe(self, summing: Summing, table: Table | None) -> ColumnStatistics:
        settings, count = self.settings, len(self.settings.columns)
        if table is not None:
            check_table(settings.aggregation, settings.columns, table, label=settings.label)
        moments = column_moments(summing, count, table)
        if not settings.bins:
            return ColumnStatistics(moments, [], [], [], summing.stayed)
        edges = column_edges(summing, count, None if table is None else table.values, bins=settings.bins)
        counted = count_bins(summing, edges, table)
        totals, events = ([counts[kind] for counts in counted] for kind in (0, 1))
        return ColumnStatistics(moments, edges, totals, events, summing.stayed)


@dataclass(frozen=True)
class FederatedLogisticTask:
    """Logistic regression over many institutions' rows; see `tongzhou.secure.federated_logistic`."""

    settings: FederatedLogisticSettings

    def run(self, seat: Seat, own: Table | None) -> FederatedFit:
        """The model, at every party."""
        if seat.mode == "local":
            return seat.gather(own, self.clear)
        return self._fit(_group(seat, "federated logistic", self.settings.aggregation, _SLOTS), own)

    def clear(self, inputs: Mapping[Role, Table | None]) -> dict[Role, FederatedFit]:
        """The same model of all rows in one place."""
        joined = _joined(self.settings.aggregation, self.settings.columns, inputs, label=True)
        return dict.fromkeys(inputs, self._fit(_alone(inputs), joined))

    def _fit(self, summing: Summing, table: Table | None) -> FederatedFit:
        if self.settings.privacy is not None:
            return fit_private(summing, self.settings, table)
        if self.settings.method == "newton":
            return fit_federated(summing, self.settings, table)
        return fit_averaging(summing, self.settings, table)


@dataclass(frozen=True)
class FederatedBoostTask:
    """Boosted trees over many institutions' rows; see `tongzhou.secure.federated_boost`."""

    settings: FederatedBoostSettings

    def run(self, seat: Seat, own: Table | None) -> BoostFit:
        """The model, at every party."""
        if seat.mode == "local":
            return seat.gather(own, self.clear)
        group = _group(seat, "federated boost", self.settings.aggregation, 2 * _SLOTS)
        return fit_boost(group, self.settings, own)

    def clear(self, inputs: Mapping[Role, Table | None]) -> dict[Role, BoostFit]:
        """The same model of all rows in one place."""
        joined = _joined(self.settings.aggregation, self.settings.columns, inputs, label=True)
        return dict.fromkeys(inputs, fit_boost(_alone(inputs), self.settings, joined))


def _group(seat: Seat, task: str, settings: AggregationSettings, slots: int) -> Aggregation:
    seat.require(task)
    return Aggregation(seat.party, settings, slots=slots)


def _alone(inputs: Mapping[Role, object]) -> Alone:
    return Alone([role for role, own in inputs.items() if own is not None])


def _joined(
    settings: AggregationSettings,
    columns: tuple[str, ...],
    inputs: Mapping[Role, Table | None],
    *,
    label: bool,
) -> Table:
    """All rows in one table, each institution's checked as it would do at home."""
    tables = [own for own in inputs.values() if own is not None]
    for table in tables:
        check_table(settings, columns, table, label=label)
    labels = [table.label for table in tables if table.label is not None]
    joined = np.concatenate(labels) if len(labels) == len(tables) else None
    return Table(np.concatenate([t.values for t in tables]), columns, joined, _Budgets.of(tables))


class _Budgets:
    """The budgets of all tables, of which each must allow a run."""

    def __init__(self, budgets: Sequence[Budget]) -> None:
        self._budgets = budgets

    @classmethod
    def of(cls, owners: Sequence[Table] | Sequence[AggregateInput]) -> "_Budgets | None":
        """Of all owners, or none if one keeps none."""
        budgets = [owner.budget for owner in owners if owner.budget is not None]
        return cls(budgets) if len(budgets) == len(owners) else None

    def spend(self, rho: float, what: str) -> None:
        """Enter a loss everywhere."""
        for budget in self._budgets:
            budget.spend(rho, what)
