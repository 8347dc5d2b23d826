"""``tongzhou job result``: the table that a finished run left at this party."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tongzhou.cli.command import command
from tongzhou.cli.job_run import app
from tongzhou.cli.terminal import Terminal
from tongzhou.data.tables import csv_bytes, write_parquet
from tongzhou.node.files import write_file
from tongzhou.node.job_results import result_table

__all__ = ["result"]


@command(app, "result")
def result(
    terminal: Terminal,
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run, as `job show` lists it.")],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write it.")],
    form: Annotated[Literal["csv", "parquet"], typer.Option("--format", help="csv or parquet.")] = "csv",
) -> None:
    """Write what a finished run gave this party to a file: of a match, the own matched rows in common order.

    Example: tongzhou job result 20260401-0123456789ab --out matched.csv
    """
    table = result_table(terminal.home, run_id)
    if form == "parquet":
        write_parquet(table, out)
    else:
        write_file(out, csv_bytes(table))
    terminal.result({"run": run_id, "file": out, "rows": table.num_rows, "columns": table.column_names})
    terminal.say("{rows} rows of run {run} are in {file}", rows=table.num_rows, run=run_id, file=out)
