"""``python -m bench NAME --json FILE``: measure one thing and write what was found."""

import argparse
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from bench import (
    anonymise,
    boosting,
    card,
    federated,
    glm,
    graph,
    joint_lr,
    joint_lr_pair,
    joint_statistics,
    machine,
    match,
    match_kinds,
    names,
    online,
)
from bench.measures import say

__all__ = ["BENCHES", "main", "write_json"]

BENCHES: dict[str, ModuleType] = {
    "joint-lr": joint_lr,
    "match": match,
    "card": card,
    "names": names,
    "boosting": boosting,
    "graph": graph,
    "online": online,
    "match-kinds": match_kinds,
    "statistics": joint_statistics,
    "federated": federated,
    "joint-lr-pair": joint_lr_pair,
    "glm": glm,
    "anonymise": anonymise,
}
"""What can be measured, by name. Each module has `measure` and `figures`."""

Record = dict[str, Any]


def main(arguments: list[str] | None = None) -> int:
    """Measure, show, write."""
    given = _parser().parse_args(arguments)
    found = machine.describe()
    say(f"{given.name} on {machine.line(found)}")
    if given.quick:
        say("quick: one repeat of small sizes; the figures mean nothing")
    bench = BENCHES[given.name]
    with tempfile.TemporaryDirectory(prefix="tongzhou-bench-") as folder:
        subjects = bench.measure(Path(folder), quick=given.quick, peers=not given.no_peers)
    record = {
        "name": given.name,
        "measured": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "quick": given.quick,
        "machine": found,
        "subjects": subjects,
        "figures": bench.figures(subjects),
    }
    _show(record)
    if given.json is not None:
        write_json(record, given.json)
    return 0


def write_json(record: Record, path: Path) -> None:
    """Write the record whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(path.name + ".part")
    half.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    half.replace(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", choices=sorted(BENCHES), help="what to measure")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--quick", action="store_true", help="one repeat of small sizes, to see that it runs")
    parser.add_argument("--no-peers", action="store_true", help="leave out peers that must be installed")
    return parser


def _show(record: Record) -> None:
    rows = [("", "CPU s", "wall s", "RSS MB", "MB sent")]
    for name, subject in record["subjects"].items():
        if "skipped" in subject:
            rows.append((name, f"skipped: {subject['skipped']}", "", "", ""))
            continue
        sent = subject.get("bytes", 0) / 1e6
        numbers = (subject["cpu_s"], subject["wall_s"], subject["rss_mb"], sent)
        rows.append((name, *(f"{number:.4g}" for number in numbers)))
    width = max(len(row[0]) for row in rows)
    lines = [row[0].ljust(width) + "".join(f"  {cell:>9}" for cell in row[1:]).rstrip() for row in rows]
    lines += [
        f"{name} = {'not measured' if value is None else value}" for name, value in record["figures"].items()
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
