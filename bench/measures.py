"""One measured repeat, and repeats put together: medians, with the least and the most beside them."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "ROOT",
    "BenchError",
    "Meter",
    "bounded",
    "end",
    "last_line",
    "peak_rss_mb",
    "ratio",
    "rounded",
    "run_json",
    "say",
    "summary",
]

ROOT = Path(__file__).resolve().parents[1]
"""The checkout."""

Sample = dict[str, Any]

_DIGITS = 6


class BenchError(Exception):
    """A repeat failed or took too long; the sentence says which."""


class Meter:
    """CPU seconds of this process (all its threads) and wall seconds since it was made."""

    def __init__(self) -> None:
        self._wall = time.perf_counter()
        self._cpu = time.process_time()

    def read(self) -> Sample:
        """Seconds so far."""
        return {"cpu_s": time.process_time() - self._cpu, "wall_s": time.perf_counter() - self._wall}


def peak_rss_mb() -> float:
    """Most memory that this process held at any time, in MB.

    Read from its own address space. ``getrusage`` would start from the peak of the process that forked it.
    """
    for text in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if text.startswith("VmHWM:"):
            return int(text.split()[1]) * 1024 / 1e6
    raise BenchError("the kernel does not tell the peak memory of a process")


def say(text: str) -> None:
    """Show progress."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def bounded(name: str, repeats: int, measure: Callable[[], Sample]) -> Sample:
    """Measure a subject `repeats` times, showing each, and put the samples together.

    One that fails or takes too long is skipped, and says so: the others are measured all the same.
    """
    samples = []
    for turn in range(1, repeats + 1):
        try:
            sample = measure()
        except BenchError as error:
            say(f"  {name} is skipped: {error}")
            return {"skipped": str(error)}
        samples.append(sample)
        shown = f"CPU {sample['cpu_s']:.3g} s, wall {sample['wall_s']:.3g} s, {sample['rss_mb']:.0f} MB"
        say(f"  {name}, {turn} of {repeats}: {shown}")
    return summary(samples)


def summary(samples: Sequence[Sample]) -> Sample:
    """Medians of all numbers; `spread` holds least and most; what is no number is taken from the last.

    Args:
        samples: one flat record a repeat, all with the same keys.
    """
    out: Sample = {}
    spread: dict[str, list[float]] = {}
    for key, last in samples[-1].items():
        values = [sample[key] for sample in samples]
        if isinstance(last, int | float) and not isinstance(last, bool):
            out[key] = rounded(statistics.median(values))
            spread[key] = [rounded(min(values)), rounded(max(values))]
        else:
            out[key] = last
    return out | {"repeats": len(samples), "spread": spread}


def rounded(value: float) -> float:
    """Six significant digits: more would be noise."""
    return value if isinstance(value, int) else float(f"{value:.{_DIGITS}g}")


def ratio(above: Sample | None, below: Sample | None, key: str) -> float | None:
    """Quotient of one measure of two subjects; ``None`` if either was not measured."""
    if not above or not below or not above.get(key) or not below.get(key):
        return None
    return rounded(above[key] / below[key])


def run_json(
    command: Sequence[str], *, timeout_s: float, environment: dict[str, str] | None = None
) -> Sample:
    """Run a command that prints one JSON object, and return that.

    Args:
        command: program and arguments.
        timeout_s: bound on its time, in seconds.
        environment: variables to set besides the present ones.

    Raises:
        BenchError: it failed, took too long, or printed something else.
    """
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | (environment or {}),
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{' '.join(command[:4])} took longer than {timeout_s:.0f} s") from error
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command[:4])} failed: {last_line(done.stderr)}")
    try:
        found: Sample = json.loads(done.stdout)
    except json.JSONDecodeError as error:
        raise BenchError(f"{' '.join(command[:4])} printed no JSON") from error
    return found


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process that still runs, and close what it was read through."""
    if process.poll() is None:
        process.kill()
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def last_line(errors: bytes) -> str:
    """The last thing that a process complained of."""
    return " ".join(errors.decode(errors="replace").strip().splitlines()[-1:])
