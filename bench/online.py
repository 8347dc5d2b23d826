"""Questions that somebody waits for: one person asked of many institutions' lists at once.

Ten providers with a million entries each, every party a process, TLS between them. The tables stay on disk
between set-up and queries, and are asked again with a network that is 5 and 50 ms away.
"""

import shutil
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from bench.measures import bounded, rounded
from bench.trio import play
from tongzhou.secure.party import provider_roles

__all__ = ["figures", "measure"]

_PROVIDERS, _ENTRIES = 10, 1_000_000
_QUICK_PROVIDERS, _QUICK_ENTRIES = 2, 2_000
_SLOTS = 4000
_QUERIES = {0.0: 500, 5.0: 200, 50.0: 50}
"""Queries by milliseconds that each message is held back."""
_QUICK_QUERIES = 10
_QUICK_SLOTS = 200
_REPEATS = 3
_SETUP_TIMEOUT_S = 420.0
_QUERY_TIMEOUT_S = 120.0

Subject = dict[str, Any]
Subjects = dict[str, Subject]


def measure(folder: Path, *, quick: bool, peers: bool) -> Subjects:
    """Set up once, then ask at each distance.

    Args:
        folder: empty; the parties' stores go there.
        quick: one repeat, two providers with short lists.
        peers: there are none here yet.
    """
    providers, entries = (_QUICK_PROVIDERS, _QUICK_ENTRIES) if quick else (_PROVIDERS, _ENTRIES)
    lists = [str(folder / "lists"), str(providers), str(entries), str(_QUICK_SLOTS if quick else _SLOTS)]
    repeats = 1 if quick else _REPEATS
    sizes = {"providers": providers, "entries": entries}
    subjects = {"list set-up": bounded("list set-up", 1, partial(_set_up, lists, providers)) | sizes}
    turns = count()
    for delay, queries in _QUERIES.items():
        asked = _QUICK_QUERIES if quick else queries
        run = partial(_ask, lists, 0 if delay else providers, asked, delay=delay, turns=turns)
        name = f"list query {delay:g} ms"
        subjects[name] = bounded(name, repeats, run) | sizes
    return subjects


def figures(subjects: Subjects) -> dict[str, float | None]:
    """Milliseconds (wall) a query, and what it and the set-up cost."""
    setup, query = subjects.get("list set-up", {}), subjects.get("list query 0 ms", {})
    return {
        "list_query_p50_ms": query.get("p50_ms"),
        "list_query_p99_ms": query.get("p99_ms"),
        "list_query_p50_ms_5ms_away": subjects.get("list query 5 ms", {}).get("p50_ms"),
        "list_query_p50_ms_50ms_away": subjects.get("list query 50 ms", {}).get("p50_ms"),
        "list_query_cpu_ms": rounded(1000 * query["cpu_s"] / query["queries"]) if "cpu_s" in query else None,
        "list_query_bytes": query.get("bytes_a_query"),
        "list_query_rounds": query.get("rounds_a_query"),
        "list_setup_cpu_s_a_provider": setup.get("cpu_s_a_provider"),
        "list_table_bytes_a_provider": setup.get("table_bytes_a_provider"),
        "list_key_bytes_a_query": setup.get("key_bytes_a_query"),
    }


def _set_up(lists: list[str], providers: int) -> Subject:
    shutil.rmtree(lists[0], ignore_errors=True)
    roles = ("helper", *provider_roles(providers), "asker")
    parts = play(["list-setup", *lists], timeout_s=_SETUP_TIMEOUT_S, roles=roles)
    slots = int(lists[3])
    # The helper keeps keys and hardly more; the asker keeps the same keys beside the tables.
    keys = parts["helper"]["kept"] / slots
    return _together(parts) | {
        "cpu_s_a_provider": sum(parts[role]["cpu_s"] for role in provider_roles(providers)) / providers,
        "table_bytes_a_provider": (parts["asker"]["kept"] - keys * slots) / providers,
        "key_bytes_a_query": keys,
    }


def _ask(lists: list[str], providers: int, queries: int, *, delay: float, turns: Iterator[int]) -> Subject:
    roles = ("helper", *provider_roles(providers), "asker")
    job = ["list-query", *lists, str(next(turns)), str(queries)]
    parts = play(job, timeout_s=_QUERY_TIMEOUT_S, roles=roles, delays={"helper": delay} if delay else None)
    asker = parts["asker"]
    return _together(parts) | {
        "queries": queries,
        "p50_ms": asker["p50_ms"],
        "p99_ms": asker["p99_ms"],
        "listed": asker["listed"],
        "bytes_a_query": (asker["bytes"] + parts["helper"]["bytes"]) / queries,
        "rounds_a_query": asker["rounds"] / queries,
        "cpu_s_by_role": {role: rounded(part["cpu_s"]) for role, part in parts.items()},
    }


def _together(parts: dict[str, Subject]) -> Subject:
    return {
        "cpu_s": sum(part["cpu_s"] for part in parts.values()),
        "wall_s": parts["asker"]["wall_s"],
        "rss_mb": max(part["rss_mb"] for part in parts.values()),
        "bytes": sum(part["bytes"] for part in parts.values()),
        "rounds": max(part["rounds"] for part in parts.values()),
    }
