"""Running the command line inside the test's process."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from tongzhou.cli.main import run


@dataclass
class Result:
    """What one command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Cli:
    """Runs commands for one institution's folder and captures what they print."""

    def __init__(self, home: Path, capsys) -> None:
        self.home = home
        self._capsys = capsys

    def __call__(self, *words: object, home: Path | None = None) -> Result:
        self._capsys.readouterr()
        code = run([*map(str, words), "--home", str(home or self.home)])
        printed = self._capsys.readouterr()
        return Result(code, printed.out, printed.err)

    def ok(self, *words: object, home: Path | None = None) -> Any:
        """Run with --json and expect success."""
        result = self(*words, "--json", home=home)
        assert result.code == 0, result.out + result.err
        return result.json

    def fails(self, code: int, *words: object, home: Path | None = None) -> str:
        """Run for people and expect one sentence on the error stream and this exit code."""
        result = self(*words, home=home)
        assert result.code == code, f"exit code {result.code}: {result.out}{result.err}"
        lines = result.err.strip().splitlines()
        assert len(lines) == 1, result.err
        return lines[0]


def write_csv(path: Path, **columns: list) -> Path:
    """A small CSV file."""
    pyarrow.csv.write_csv(pa.table(columns), path)
    return path


def clients(path: Path, rows: int = 40) -> Path:
    """A small table with identifiers, a label and two columns."""
    return write_csv(
        path,
        id=[f"c{row:03}" for row in range(rows)],
        age=[20 + row % 30 for row in range(rows)],
        limit=[1000 * (row % 7) for row in range(rows)],
        bad=[int(row % 5 == 0) for row in range(rows)],
    )
