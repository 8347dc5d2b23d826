"""Matching: ours by Diffie and Hellman and with a blind helper, on lists as long as the example's."""

from functools import partial
from pathlib import Path
from typing import Any

from bench.measures import bounded, rounded
from bench.trio import play

__all__ = ["figures", "measure"]

_IDENTIFIERS = 27_000
_COMMON = 24_000
_QUICK_DIVISOR = 100
_REPEATS = 3
_TIMEOUT_S = 60.0

Subject = dict[str, Any]
Subjects = dict[str, Subject]


def measure(folder: Path, *, quick: bool, peers: bool) -> Subjects:
    """Measure both protocols.

    Args:
        folder: empty; lists go there.
        quick: one repeat, lists a hundredth as long.
        peers: there are none here yet.
    """
    divisor = _QUICK_DIVISOR if quick else 1
    size, common = _IDENTIFIERS // divisor, _COMMON // divisor
    _write_lists(folder, size, common)
    subjects = {}
    for protocol in ("dh", "aided"):
        run = partial(_match, folder, protocol)
        subjects[f"tongzhou {protocol}"] = bounded(f"tongzhou {protocol}", 1 if quick else _REPEATS, run) | {
            "identifiers": 2 * size,
            "common": common,
        }
    return subjects


def figures(subjects: Subjects) -> dict[str, float | None]:
    """Identifiers of both lists matched in a CPU second of all parties together."""
    return {f"{protocol}_ids_per_cpu_s": _rate(subjects, protocol) for protocol in ("dh", "aided")}


def _rate(subjects: Subjects, protocol: str) -> float | None:
    subject = subjects.get(f"tongzhou {protocol}", {})
    return rounded(subject["identifiers"] / subject["cpu_s"]) if subject.get("cpu_s") else None


def _match(folder: Path, protocol: str) -> Subject:
    parts = play(["match", protocol, str(folder)], timeout_s=_TIMEOUT_S)
    return {
        "cpu_s": sum(part["cpu_s"] for part in parts.values()),
        "wall_s": max(part["wall_s"] for part in parts.values()),
        "rss_mb": max(part["rss_mb"] for part in parts.values()),
        "bytes": sum(part["bytes"] for part in parts.values()),
        "rounds": max(part["rounds"] for part in parts.values()),
        "matched": parts["asker"]["matched"],
    }


def _write_lists(folder: Path, size: int, common: int) -> None:
    """Two lists with `common` identifiers in both; each side has its own for the rest."""
    alone = size - common
    for role, first in (("asker", 0), ("provider", alone)):
        names = [f"TW-{number:07}" for number in range(first, first + size)]
        (folder / f"{role}.txt").write_text("\n".join(names), encoding="utf-8")
