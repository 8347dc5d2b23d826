"""Matching: ours between two owners and with a helper, beside SPU's RR22 on the same files."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.measures import BenchError, bounded, ratio, rounded
from bench.peers_env import peers_python, spu_match
from bench.trio import ROLES, play

__all__ = ["figures", "measure"]

_SIZES = {"1m": 1_000_000, "20k": 20_000}
_LARGE, _SMALL = _SIZES
_QUICK_DIVISOR = 100
_REPEATS = 3
_TIMEOUT_S = 60.0
_PAIR = ("provider", "asker")
_OURS = (("vole", _LARGE), ("aided", _LARGE), ("vole", _SMALL), ("aided", _SMALL), ("dh", _SMALL))
_PEER = f"spu rr22 {_LARGE}"

Subject = dict[str, Any]
Subjects = dict[str, Subject]


def measure(folder: Path, *, quick: bool, peers: bool) -> Subjects:
    """Measure every protocol, and the peer.

    Args:
        folder: empty; lists go there.
        quick: one repeat, lists a hundredth as long, no peer.
        peers: whether peers of other environments run.
    """
    divisor = _QUICK_DIVISOR if quick else 1
    sizes = {name: size // divisor for name, size in _SIZES.items()}
    for name, size in sizes.items():
        _write_lists(folder / name, size)
    subjects: Subjects = {}
    for subject, (name, run) in _runs(folder, peers=peers and not quick).items():
        size = sizes[name]
        found = bounded(subject, 1 if quick else _REPEATS, partial(_checked, run, size // 2))
        subjects[subject] = found | {"identifiers": 2 * size, "common": size // 2}
    if _PEER not in subjects:
        reason = "not asked for" if not peers or quick else "cannot be installed here"
        subjects[_PEER] = {"skipped": reason}
    return subjects


def figures(subjects: Subjects) -> dict[str, float | None]:
    """The figures, from the subjects alone; ``None`` where a subject is missing."""

    def named(name: str) -> Subject:
        return subjects.get(name, {})

    pair, aided, peer = named(f"tongzhou vole {_LARGE}"), named(f"tongzhou aided {_LARGE}"), named(_PEER)
    return {
        "pair_vs_rr22": ratio(pair, peer, "cpu_s"),
        "aided_vs_rr22": ratio(aided, peer, "cpu_s"),
        "pair_wall_vs_rr22": ratio(pair, peer, "wall_s"),
        "pair_bytes_vs_rr22": ratio(pair, peer, "bytes"),
        "pair_rss_mb": pair.get("rss_mb"),
        "aided_rss_mb": aided.get("rss_mb"),
        "dh_ids_per_cpu_s": _rate(named(f"tongzhou dh {_SMALL}")),
        "vole_ids_per_cpu_s": _rate(pair),
        "aided_ids_per_cpu_s": _rate(aided),
    }


def _rate(subject: Subject) -> float | None:
    return rounded(subject["identifiers"] / subject["cpu_s"]) if subject.get("cpu_s") else None


def _runs(folder: Path, *, peers: bool) -> dict[str, tuple[str, Callable[[], Subject]]]:
    """The subjects: the size of each, and how it is run."""
    runs: dict[str, tuple[str, Callable[[], Subject]]] = {
        f"tongzhou {protocol} {name}": (name, partial(_match, folder / name, protocol))
        for protocol, name in _OURS
    }
    python = peers_python() if peers else None
    if python is not None:
        runs[_PEER] = (_LARGE, partial(spu_match, python, folder / _LARGE, timeout_s=_TIMEOUT_S))
    return runs


def _checked(run: Callable[[], Subject], common: int) -> Subject:
    """A match that finds something else is no measurement."""
    found = run()
    if found["matched"] != common:
        raise BenchError(f"it found {found['matched']} common identifiers, and there are {common}")
    return found


def _match(folder: Path, protocol: str) -> Subject:
    aided = protocol == "aided"
    roles, mode = (ROLES, "aided") if aided else (_PAIR, "pair")
    parts = play(["match", protocol, str(folder)], timeout_s=_TIMEOUT_S, roles=roles, mode=mode)
    return {
        "cpu_s": sum(part["cpu_s"] for part in parts.values()),
        "wall_s": max(part["wall_s"] for part in parts.values()),
        "rss_mb": max(part["rss_mb"] for part in parts.values()),
        "bytes": sum(part["bytes"] for part in parts.values()),
        "rounds": max(part["rounds"] for part in parts.values()),
        "cpu_s_by_role": {role: rounded(part["cpu_s"]) for role, part in parts.items()},
        "cpu_s_without_files": sum(part["cpu_s"] - part["files_cpu_s"] for part in parts.values()),
        "matched": parts["asker"]["matched"],
    }


def _write_lists(folder: Path, size: int) -> None:
    """Two files with half of the identifiers in both; each side has its own for the rest."""
    folder.mkdir(parents=True)
    for role, first in (("asker", 0), ("provider", size // 2)):
        names = [f"TW-{number:07}" for number in range(first, first + size)]
        (folder / f"{role}.csv").write_text("id\n" + "\n".join(names) + "\n", encoding="utf-8")
