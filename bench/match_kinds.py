"""The other kinds of matching: a prepared list, sizes, joined columns, and what all of three owners have."""

import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

from bench.kind_jobs import listed
from bench.measures import BenchError, bounded, rounded, run_json
from bench.trio import play

__all__ = ["figures", "measure"]

_LISTED = 60_000
_ASKED = 1_000
_IDENTIFIERS = 10_000
_QUICK_DIVISOR = 100
_REPEATS = 3
_TIMEOUT_S = 90.0
_PREPARE_FOR = 10_000_000
_CORES = 2
_OWNERS = {
    "size": ("provider", "asker"),
    "join": ("provider", "asker"),
    "common": ("provider2", "provider", "asker"),
}

Subject = dict[str, Any]
Subjects = dict[str, Subject]


def measure(folder: Path, *, quick: bool, peers: bool) -> Subjects:
    """Measure every kind in every mode that protects.

    Args:
        folder: empty; lists go there.
        quick: one repeat, lists a hundredth as long.
        peers: there are none here yet.
    """
    divisor, repeats = (_QUICK_DIVISOR, 1) if quick else (1, _REPEATS)
    subjects = _measure_prepared(folder / "long", divisor, repeats)
    short = folder / "short"
    count = _IDENTIFIERS // divisor
    _write_lists(short, count)
    for kind, owners in _OWNERS.items():
        for mode in ("pair", "aided"):
            roles = owners if mode == "pair" else ("helper", *owners)
            found = bounded(f"tongzhou {kind} {mode}", repeats, partial(_played, kind, mode, roles, short))
            subjects[f"tongzhou {kind} {mode}"] = found | {"identifiers": count * len(owners)}
    return subjects


def figures(subjects: Subjects) -> dict[str, float | None]:
    """Identifiers a CPU second of all parties together, and bytes an identifier, of each subject."""
    found: dict[str, float | None] = {}
    for name in (
        "prepare",
        "cached first",
        "cached later",
        *(f"{k} {m}" for k in _OWNERS for m in ("pair", "aided")),
    ):
        subject = subjects.get(f"tongzhou {name}", {})
        figure = name.replace(" ", "_")
        measured = bool(subject.get("cpu_s"))
        ids = subject.get("identifiers", 0)
        found[f"{figure}_ids_per_cpu_s"] = rounded(ids / subject["cpu_s"]) if measured else None
        found[f"{figure}_bytes_per_id"] = rounded(subject["bytes"] / ids) if measured else None
    rate = found["prepare_ids_per_cpu_s"]
    found["prepare_10m_minutes"] = rounded(_PREPARE_FOR / (rate * _CORES) / 60) if rate else None
    return found


def _measure_prepared(folder: Path, divisor: int, repeats: int) -> Subjects:
    """Prepare a list, then ask it twice: with no copy of the tags yet, and with one."""
    folder.mkdir()
    count, asked = _LISTED // divisor, _ASKED // divisor
    # Half of what is asked for is in the list.
    _write(folder / "asker.txt", listed(count - asked // 2, asked))
    subjects = {"tongzhou prepare": bounded("tongzhou prepare", repeats, partial(_prepared, folder, count))}
    subjects["tongzhou prepare"] |= {"identifiers": count}
    for name in ("first", "later"):
        found = bounded(f"tongzhou cached {name}", repeats, partial(_asked, folder, name))
        subjects[f"tongzhou cached {name}"] = found | {"identifiers": asked}
    return subjects


def _prepared(folder: Path, count: int) -> Subject:
    shutil.rmtree(folder / "store", ignore_errors=True)
    command = [sys.executable, "-m", "bench.kind_jobs", str(folder / "store"), str(count)]
    return run_json(command, timeout_s=_TIMEOUT_S)


def _asked(folder: Path, name: str) -> Subject:
    if not (folder / "store" / "current").exists():
        raise BenchError("no list was prepared")
    if name == "first":
        (folder / "copy").unlink(missing_ok=True)
    return _played("cached", "pair", ("provider", "asker"), folder)


def _played(kind: str, mode: str, roles: tuple[str, ...], folder: Path) -> Subject:
    parts = play(["kind", kind, str(folder)], timeout_s=_TIMEOUT_S, roles=roles, mode=mode)
    return {
        "cpu_s": sum(part["cpu_s"] for part in parts.values()),
        "wall_s": max(part["wall_s"] for part in parts.values()),
        "rss_mb": max(part["rss_mb"] for part in parts.values()),
        "bytes": sum(part["bytes"] for part in parts.values()),
        "rounds": max(part["rounds"] for part in parts.values()),
        "found": parts["asker"]["found"],
    }


def _write_lists(folder: Path, count: int) -> None:
    """Lists that overlap by four fifths, each with others than the rest."""
    folder.mkdir()
    for place, role in enumerate(("asker", "provider", "provider2")):
        alone = count // 5
        _write(folder / f"{role}.txt", [*listed(0, count - alone), *listed(10**6 * (place + 1), alone)])


def _write(path: Path, names: list[str]) -> None:
    path.write_text("\n".join(names), encoding="utf-8")
