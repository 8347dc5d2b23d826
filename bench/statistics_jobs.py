"""Statistics of a world's columns: what is asked, as one party plays it, and the same in NumPy.

``python -m bench.statistics_jobs KIND FOLDER`` measures NumPy on both owners' columns in one place.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.measures import Meter, peak_rss_mb
from tongzhou.parties.disclosure import DisclosurePolicy
from tongzhou.secure.answered import MemoryHistory
from tongzhou.secure.comparison import negative
from tongzhou.secure.owner_side import StatisticsInput
from tongzhou.secure.shared import Shared
from tongzhou.secure.statistic_answers import Answer, CorrelationAnswer, QuantilesAnswer, TotalsAnswer
from tongzhou.secure.statistic_requests import Correlation, Quantiles, Request, Totals
from tongzhou.secure.statistics import StatisticsTask
from tongzhou.secure.tasks import Seat
from tongzhou.wire.session import total_traffic

__all__ = ["GROUPS", "KINDS", "compare_play", "main", "statistics_play"]

KINDS = ("correlation", "inflation", "group sums", "quantiles")
GROUPS = 100
_BANDS = 10
_PERCENTS = (10, 25, 50, 75, 90)
_WARM_ROWS = 400

Result = dict[str, Any]
Floats = NDArray[np.float64]


def statistics_play(seat: Seat, arguments: list[str]) -> Result:
    """``statistics KIND FOLDER ROWS ASKER_COLUMNS PROVIDER_COLUMNS``: one request under the usual policy.

    Each owner keeps a record of what is answered, so that its upkeep is measured too.
    """
    kind, folder = arguments[0], Path(arguments[1])
    rows, asker, provider = (int(text) for text in arguments[2:])
    names = [f"asker.{place}" for place in range(asker)] + [f"provider.{place}" for place in range(provider)]
    _task(kind, names, _WARM_ROWS).run(seat, _own(seat, folder, _WARM_ROWS))
    own = _own(seat, folder, rows)
    session = seat.party.session
    before = total_traffic(session)
    sent, rounds, meter = before.bytes_sent, before.rounds, Meter()
    answers = _task(kind, names, rows).run(seat, own)
    out = meter.read()
    after = total_traffic(session)
    out |= {"bytes": after.bytes_sent - sent, "rounds": after.rounds - rounds}
    if answers is not None and seat.party.role == "asker":
        out["answer"] = _numbers(answers[0])
    return out


def compare_play(seat: Seat, arguments: list[str]) -> Result:
    """``compare COUNT BITS``: signs of that many shared numbers of that many bits."""
    count, bits = (int(text) for text in arguments)
    engine = seat.engine("statistics")
    for size in (_WARM_ROWS, count):
        words = np.random.default_rng(size).integers(0, 1 << 62, size).astype(np.uint64)
        value = Shared((size,), words if engine.is_owner else None)
        before = total_traffic(seat.party.session)
        sent, rounds, meter = before.bytes_sent, before.rounds, Meter()
        negative(engine, value, bits=bits)
        out = meter.read()
    after = total_traffic(seat.party.session)
    return out | {"bytes": after.bytes_sent - sent, "rounds": after.rounds - rounds}


def main() -> None:
    """Measure NumPy on one kind of statistic."""
    kind, folder = sys.argv[1], Path(sys.argv[2])
    asker, provider = (np.load(folder / f"{role}.npy", allow_pickle=False) for role in ("asker", "provider"))
    meter = Meter()
    answer = _PLAIN[kind](asker, provider)
    measures = meter.read() | {"bytes": 0, "answer": np.asarray(answer).reshape(-1).tolist()}
    sys.stdout.write(json.dumps(measures | {"rss_mb": peak_rss_mb()}))


def _task(kind: str, names: list[str], rows: int) -> StatisticsTask:
    groups = {"asker.group": min(GROUPS, rows // 20), "asker.band": _BANDS}
    requests: dict[str, Request] = {
        "correlation": Correlation(name="c", columns=tuple(names)),
        "inflation": Correlation(name="v", columns=tuple(names), shows="inflation"),
        "group sums": Totals(name="g", by=("asker.group",), columns=("provider.sum",), decimals=6),
        "quantiles": Quantiles(name="q", by="asker.band", column="provider.sum", percents=_PERCENTS),
    }
    # Twenty clients a group are few for the usual minimum of ten; weights of evidence have no outliers.
    return StatisticsTask(rows, (requests[kind],), groups, DisclosurePolicy())


def _own(seat: Seat, folder: Path, rows: int) -> StatisticsInput | None:
    role = seat.party.role
    if role == "helper":
        return None
    block = np.load(folder / f"{role}.npy", allow_pickle=False)
    # The warm-up takes some of the same rows, so that its columns vary as they should.
    block = block[: min(rows, len(block))]
    columns = {str(place): np.ascontiguousarray(values) for place, values in enumerate(block.T)}
    columns["sum"] = block.sum(axis=1)
    categories = {"group": _groups(len(block), min(GROUPS, rows // 20)), "band": _groups(len(block), _BANDS)}
    names = [f"client-{row}" for row in range(len(block))]
    return StatisticsInput(columns, categories if role == "asker" else {}, names, MemoryHistory())


def _groups(rows: int, size: int) -> NDArray[np.int64]:
    """The asker's groups: the same for both, so that NumPy can count in them too."""
    return np.random.default_rng(size).permutation(rows) % size


def _numbers(answer: Answer) -> list[float]:
    if isinstance(answer, CorrelationAnswer):
        found = answer.matrix if answer.inflation is None else answer.inflation
    elif isinstance(answer, TotalsAnswer):
        found = answer.sums.get("provider.sum")
    elif isinstance(answer, QuantilesAnswer):
        found = answer.values
    else:
        found = None
    return [] if found is None else np.asarray(found).reshape(-1).tolist()


def _correlation(asker: Floats, provider: Floats) -> Floats:
    return np.asarray(np.corrcoef(np.hstack([asker, provider]), rowvar=False))


def _inflation(asker: Floats, provider: Floats) -> Floats:
    return np.diag(np.linalg.inv(_correlation(asker, provider)))


def _sums(asker: Floats, provider: Floats) -> Floats:
    return np.bincount(_groups(len(asker), GROUPS), provider.sum(axis=1))


def _quantiles(asker: Floats, provider: Floats) -> Floats:
    bands, values = _groups(len(asker), _BANDS), provider.sum(axis=1)
    shares = np.array(_PERCENTS) / 100
    return np.array([np.quantile(values[bands == band], shares) for band in range(_BANDS)])


_PLAIN: dict[str, Callable[[Floats, Floats], Floats]] = dict(
    zip(KINDS, (_correlation, _inflation, _sums, _quantiles), strict=True)
)


if __name__ == "__main__":
    main()
