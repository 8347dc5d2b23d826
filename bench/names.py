"""Normal forms of companies' names, and the search for variants: how fast, and how many of them it finds.

Real words come from data sets beside the checkout where they lie there; ``real`` says whether they did.
"""

import csv
import gzip
import io
import json
import sys
from collections import Counter, defaultdict
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

from bench.measures import Meter, bounded, peak_rss_mb, ratio, rounded, run_json
from bench.name_worlds import DATA, NameWorld, chinese_world, latin_world
from tongzhou.data.companies import company_form
from tongzhou.data.similar import find_candidates

__all__ = ["figures", "main", "measure"]

_SIZE, _VARIANTS, _LARGE, _SMALL = 20_000, 5_000, 100_000, 5_000
_QUICK_DIVISOR = 50
_LEAST = 0.8  # the default of the command
_PEER_LEAST = 85.0
_REPEATS = 3
_TIMEOUT_S = 240.0
_WORLDS = {"chinese": chinese_world, "latin": latin_world}

Subject = dict[str, Any]
Subjects = dict[str, Subject]


def measure(folder: Path, *, quick: bool, peers: bool) -> Subjects:
    """Measure every subject, each repeat in a process of its own.

    Args:
        folder: not used.
        quick: one repeat, a fiftieth of the names.
        peers: RapidFuzz alone is installed with the extra and always measured.
    """
    jobs = {
        "tongzhou forms": ("forms", _LARGE),
        "tongzhou chinese": ("chinese", _SIZE),
        "tongzhou latin": ("latin", _SIZE),
        "tongzhou chinese 100k": ("chinese", _LARGE),
        "tongzhou aliases": ("aliases", 0),
        "tongzhou latin 5k": ("latin", _SMALL),
        "rapidfuzz latin 5k": ("peer", _SMALL),
    }
    subjects = {}
    for name, (kind, size) in jobs.items():
        run = partial(_in_own_process, kind, size // (_QUICK_DIVISOR if quick else 1))
        subjects[name] = bounded(name, 1 if quick else _REPEATS, run)
    return subjects


def figures(subjects: Subjects) -> dict[str, float | None]:
    """Speed, and precision and recall at the default score."""
    found: dict[str, float | None] = {}
    forms = subjects.get("tongzhou forms", {})
    found["name_forms_per_cpu_s"] = rounded(forms["names"] / forms["cpu_s"]) if forms.get("cpu_s") else None
    found["names_100k_cpu_s"] = subjects.get("tongzhou chinese 100k", {}).get("cpu_s")
    for kind in ("chinese", "latin", "aliases"):
        for figure in ("precision", "recall"):
            found[f"{kind}_{figure}"] = subjects.get(f"tongzhou {kind}", {}).get(figure)
    ours, peer = subjects.get("tongzhou latin 5k", {}), subjects.get("rapidfuzz latin 5k", {})
    found["cpu_vs_rapidfuzz_5k"] = ratio(ours, peer, "cpu_s")
    for figure in ("precision", "recall"):
        found[f"rapidfuzz_{figure}_5k"] = peer.get(figure)
        found[f"tongzhou_{figure}_5k"] = ours.get(figure)
    return found


def main() -> None:
    """One repeat: ``python -m bench.names KIND SIZE``."""
    kind, size = sys.argv[1], int(sys.argv[2])
    measures = {"forms": _forms, "aliases": _aliases, "peer": _peer}.get(kind, partial(_search, kind))(size)
    sys.stdout.write(json.dumps(measures | {"rss_mb": peak_rss_mb(), "bytes": 0}))


def _in_own_process(kind: str, size: int) -> Subject:
    return run_json([sys.executable, "-m", "bench.names", kind, str(size)], timeout_s=_TIMEOUT_S)


def _forms(size: int) -> Subject:
    names = chinese_world(size // 2, 0).names + latin_world(size // 2, 0).names
    meter = Meter()
    for name in names:
        company_form(name)
    return meter.read() | {"names": len(names)}


def _search(kind: str, size: int) -> Subject:
    world = _WORLDS[kind](size, _VARIANTS * size // _SIZE)
    meter = Meter()
    found = find_candidates(world.names, least=_LEAST)
    pairs = {frozenset((world.names[one.first], world.names[one.second])) for one in found}
    return meter.read() | _quality(world, pairs)


def _peer(size: int) -> Subject:
    """RapidFuzz's own way: every name with every other, words sorted, one thread."""
    from rapidfuzz import fuzz, process  # noqa: PLC0415 - only where it is installed

    world = latin_world(size, _VARIANTS * size // _SIZE)
    meter = Meter()
    scores = process.cdist(
        world.names, world.names, scorer=fuzz.token_sort_ratio, score_cutoff=_PEER_LEAST, workers=1
    )
    pairs = {
        frozenset((world.names[one], world.names[other]))
        for one, other in zip(*(scores >= _PEER_LEAST).nonzero(), strict=True)
        if one < other
    }
    return meter.read() | _quality(world, pairs)


def _quality(world: NameWorld, pairs: set[frozenset[str]]) -> Subject:
    hits = Counter(world.pairs[pair] for pair in pairs if pair in world.pairs)
    made = Counter(world.pairs.values())
    right = sum(hits.values())
    return {
        "names": len(world.names),
        "real": world.real,
        "candidates": len(pairs),
        "variants": len(world.pairs),
        "precision": rounded(right / max(1, len(pairs))),
        "recall": rounded(right / max(1, len(world.pairs))),
        "recall_by_way": {way: rounded(hits[way] / count) for way, count in made.items()},
        "equal_by_normal_form": world.same,
        "made_by_way": world.made,
    }


def _aliases(_size: int) -> Subject:
    """Names and other names of sanctioned organisations: many are translations, which no spelling tells."""
    folder = DATA / "sanctions_lists"
    if not folder.exists():
        sys.exit("the lists of sanctions are not beside the checkout")
    organisations = {
        row[0]: row[1] for row in _rows(folder / "sdn.csv.gz") if len(row) > 2 and "-0-" in row[2]
    }
    groups = defaultdict(set)
    for number, name in organisations.items():
        groups[number].add(company_form(name))
    for row in _rows(folder / "alt.csv.gz"):
        if row[0] in organisations and len(row) > 3:
            groups[row[0]].add(company_form(row[3]))
    named = [group - {""} for group in groups.values() if len(group - {""}) > 1]
    truth = {frozenset(pair) for group in named for pair in combinations(group, 2)}
    names = sorted({name for group in groups.values() for name in group if name})
    meter = Meter()
    found = find_candidates(names, least=_LEAST)
    pairs = {frozenset((names[one.first], names[one.second])) for one in found}
    reached = {name for pair in pairs & truth for name in pair}
    return meter.read() | {
        "names": len(names),
        "candidates": len(pairs),
        "precision": rounded(len(pairs & truth) / max(1, len(pairs))),
        # of the names whose organisation has others: those found together with one of them
        "recall": rounded(len(reached) / len(set().union(*named))),
    }


def _rows(path: Path) -> list[list[str]]:
    text = gzip.decompress(path.read_bytes()).decode("latin-1")
    return [row for row in csv.reader(io.StringIO(text)) if len(row) > 1]


if __name__ == "__main__":
    main()
