"""One party's part in a measurement of the kinds of matching, and the preparation of a long list.

``python -m bench.kind_jobs FOLDER IDENTIFIERS`` prepares a list in a new folder and prints its measures.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.measures import peak_rss_mb
from tongzhou.node.tag_cache import FileTagCache
from tongzhou.node.tag_store import TagStore
from tongzhou.secure.cached_match import CachedInput, CachedMatchSettings, CachedMatchTask
from tongzhou.secure.common_to_all import PartiesMatchTask
from tongzhou.secure.joining import Joined, JoinInput, JoinSettings, JoinTask
from tongzhou.secure.matching import MatchSettings
from tongzhou.secure.overlap import Overlap, SizeSettings, SizeTask
from tongzhou.secure.party import Role
from tongzhou.secure.payload import Column
from tongzhou.secure.tag_lists import MemoryTagCache, MemoryTagSource

__all__ = ["KINDS", "LIST_NAME", "found_by", "listed", "main", "task_and_input", "warm_up"]

LIST_NAME = "bench"
"""What the prepared list is called."""

_WARM = 10
_MOST = 100_000
_COLUMNS = (Column("limit"), Column("city", 16))

Part = tuple[Any, Any]


def listed(first: int, count: int) -> list[str]:
    """Made-up identifiers."""
    return [f"TW-{number:09}" for number in range(first, first + count)]


def task_and_input(kind: str, role: Role, folder: Path) -> Part:
    """What a role plays, and with what.

    Args:
        kind: one of `KINDS`.
        role: a role; the helper has no input.
        folder: where ``ROLE.txt`` holds identifiers, ``store`` a prepared list, ``copy`` a copy of its tags.
    """
    if role == "helper":
        return KINDS[kind](role, folder, None)
    path = folder / f"{role}.txt"
    own = path.read_text(encoding="utf-8").split() if path.exists() else []
    return KINDS[kind](role, folder, own)


def warm_up(kind: str, role: Role) -> Part:
    """The same in small."""
    own = None if role == "helper" else listed(0, _WARM)
    if kind != "cached":
        return KINDS[kind](role, Path(), own)
    task = CachedMatchTask(CachedMatchSettings("warm", 1, _MOST))
    if role == "asker":
        return task, CachedInput(own or [], cache=MemoryTagCache())
    return task, None if own is None else CachedInput(source=MemoryTagSource("warm", own))


def found_by(result: Any) -> int:
    """How many identifiers a result is about."""
    if isinstance(result, Overlap):
        return result.size or 0
    if isinstance(result, Joined):
        return len(result.places)
    return 0 if result is None else len(result)


def _size(role: Role, folder: Path, own: list[str] | None) -> Part:
    return SizeTask(SizeSettings("bench", 5, 1, "both")), own


def _join(role: Role, folder: Path, own: list[str] | None) -> Part:
    task = JoinTask(JoinSettings("bench", 1, _COLUMNS))
    if own is None or role == "asker":
        return task, None if own is None else JoinInput(own)
    table = {"limit": np.arange(len(own), dtype=np.float64), "city": ["Taipei"] * len(own)}
    return task, JoinInput(own, table)


def _common(role: Role, folder: Path, own: list[str] | None) -> Part:
    return PartiesMatchTask(MatchSettings(1, "bench")), own


def _cached(role: Role, folder: Path, own: list[str] | None) -> Part:
    task = CachedMatchTask(CachedMatchSettings(LIST_NAME, 1, _MOST))
    if own is None:
        return task, None
    if role == "asker":
        return task, CachedInput(own, cache=FileTagCache(folder / "copy"))
    return task, CachedInput(source=TagStore.open(folder / "store").source())


KINDS: dict[str, Callable[[Role, Path, list[str] | None], Part]] = {
    "size": _size,
    "join": _join,
    "common": _common,
    "cached": _cached,
}
"""What can be played, by name."""


def main() -> None:
    """Prepare a list, on all cores."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    store = TagStore.create(folder, LIST_NAME)
    names = listed(0, count)
    before, wall = _cpu_s(), time.perf_counter()
    prepared = store.prepare([names[start : start + 10_000] for start in range(0, count, 10_000)], count)
    measures = {
        "cpu_s": _cpu_s() - before,
        "wall_s": time.perf_counter() - wall,
        "rss_mb": max(peak_rss_mb(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6),
        "bytes": len(store.source().table.content),
        "computed": prepared.computed,
    }
    sys.stdout.write(json.dumps(measures))


def _cpu_s() -> float:
    """CPU seconds of this process and of those that it started and that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
