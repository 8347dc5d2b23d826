"""A file of new applicants: identifiers for the partner, columns for the card, inputs for the strategy.

Everything that could be wrong with the file is found before a partner is called: a use of the grant is not
spent on a file that cannot be decided.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from tongzhou.data.columns import numeric_column, text_column
from tongzhou.data.findings import refuse
from tongzhou.data.identifiers import check_identifiers, normalise
from tongzhou.data.tables import read_table
from tongzhou.decide.engine import DecisionEngine
from tongzhou.decide.strategy import Input, Strategy
from tongzhou.errors import DataError, PlanError
from tongzhou.node.files import read_file
from tongzhou.node.job import Applicants
from tongzhou.parties.names import near_name

__all__ = ["ApplicantFile", "read_applicants"]

_FILE_BYTES_MAX: Final = 1 << 30
_SCORE_INPUTS: Final = ("score", "score_reasons")
_SEPARATOR: Final = ";"


@dataclass(frozen=True)
class ApplicantFile:
    """Applicants, read and checked.

    Attributes:
        names: identifiers as they stand in the file.
        applicants: the rows for the joint scoring.
        inputs: for each applicant, what the strategy may read, without the score.
    """

    names: list[str]
    applicants: Applicants
    inputs: list[dict[str, Any]]


def read_applicants(
    path: Path, engine: DecisionEngine, *, identifier: str, kind: str, columns: tuple[str, ...]
) -> ApplicantFile:
    """Read a CSV or Parquet file of applicants, and try each of them without a score.

    Args:
        path: the file.
        engine: the strategy that will decide; its score must be given with the application.
        identifier: column of identifiers.
        kind: their kind, see `data.identifiers`.
        columns: the asker's columns on the card.

    Raises:
        PlanError: the strategy does not take a score from outside.
        DataError: the file is no table, a column is missing, or a row cannot be decided; the row is named.
        NotFoundError: there is no such file.
    """
    strategy = engine.strategy
    if strategy.score.source != "input":
        raise PlanError(
            'strategy {strategy} has [score] source = "{source}"; a joint score needs source = "input"',
            strategy=strategy.name,
            source=strategy.score.source,
        )
    table = read_table(path)
    _check_columns(path, table, strategy, (identifier, *columns))
    if table.num_rows == 0:
        raise DataError("{file} holds no applicants", file=path)
    try:
        given = text_column(table, identifier)
        refuse(check_identifiers(given, kind, identifier))
        card = {name: numeric_column(table, name) for name in columns}
    except DataError as error:
        raise DataError("{file}: {cause}", file=path, cause=error) from error
    rows = pa.table({identifier: pa.array(normalise(given, kind), pa.string()), **card})
    digest = hashlib.sha256(read_file(path, _FILE_BYTES_MAX)).hexdigest()
    file = ApplicantFile([str(one) for one in given], Applicants(rows, digest), _inputs(table, strategy))
    _try_each(path, engine, file.inputs)
    return file


def _check_columns(path: Path, table: pa.Table, strategy: Strategy, names: tuple[str, ...]) -> None:
    required = [item.name for item in strategy.inputs if item.missing == "refuse"]
    for name in (*names, *required):
        if name in table.column_names or name in _SCORE_INPUTS:
            continue
        near = near_name(name, table.column_names)
        if near is not None:
            raise DataError(
                "{file} has no column {column}; did you mean {near}?", file=path, column=name, near=near
            )
        raise DataError(
            "{file} has no column {column}, which the card or strategy {strategy} needs",
            file=path,
            column=name,
            strategy=strategy.name,
        )


def _inputs(table: pa.Table, strategy: Strategy) -> list[dict[str, Any]]:
    """Values by name for each row, of the inputs that the strategy declares."""
    columns: dict[str, list[Any]] = {}
    for item in strategy.inputs:
        if item.name in table.column_names and item.name not in _SCORE_INPUTS:
            columns[item.name] = [_value(item, value) for value in table.column(item.name).to_pylist()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)] or [
        {} for _ in range(table.num_rows)
    ]


def _value(item: Input, value: Any) -> Any:
    """A cell as the strategy takes it: a CSV file knows neither lists nor texts that look like numbers."""
    if item.type == "texts" and isinstance(value, str):
        return [part.strip() for part in value.split(_SEPARATOR) if part.strip()]
    if item.type == "text" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def _try_each(path: Path, engine: DecisionEngine, inputs: list[dict[str, Any]]) -> None:
    wrong: list[tuple[int, DataError]] = []
    for row, application in enumerate(inputs, start=1):
        try:
            engine.decide_fast(application)
        except DataError as error:
            wrong.append((row, error))
    if not wrong:
        return
    row, cause = wrong[0]
    if len(wrong) == 1:
        raise DataError("{file}, row {row}: {cause}", file=path, row=row, cause=cause) from cause
    raise DataError(
        "{file}, row {row}: {cause}; further rows are wrong too, {rows} in all",
        file=path,
        row=row,
        cause=cause,
        rows=len(wrong),
    ) from cause
