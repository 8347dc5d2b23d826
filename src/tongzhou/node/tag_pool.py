"""Processes that compute buckets of tags side by side, each at its own pace."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from queue import Empty, SimpleQueue
from threading import Thread

import msgspec

from tongzhou.errors import DataError, StorageError
from tongzhou.node.tag_worker import BucketDone, BucketJob, run_bucket

__all__ = ["run_buckets"]

_Jobs = SimpleQueue[BucketJob]
_Results = SimpleQueue[BucketDone]


def run_buckets(jobs: Sequence[BucketJob], workers: int, done: Callable[[int], None]) -> list[BucketDone]:
    """Do all jobs.

    Args:
        jobs: one a bucket.
        workers: processes; none to compute in this one.
        done: called with the number of tags so far.

    Returns:
        What became of each, in the order in which they ended.

    Raises:
        DataError: an identifier came twice.
        StorageError: a bucket or a process failed.
    """
    results: list[BucketDone] = []
    tags = 0
    with ExitStack() as stack:
        source = _beside(jobs, min(workers, len(jobs)), stack) if workers else map(run_bucket, jobs)
        for result in source:
            if result.repeats:
                raise DataError("the identifiers hold repeats; matching needs each identifier once")
            if result.lost:
                raise StorageError("a process that computes tags ended before it had answered")
            if result.failure:
                raise StorageError("tags could not be computed: {cause}", cause=result.failure)
            results.append(result)
            tags += result.computed + result.kept
            done(tags)
    return results


def _beside(jobs: Sequence[BucketJob], workers: int, stack: ExitStack) -> Iterator[BucketDone]:
    waiting: _Jobs = SimpleQueue()
    results: _Results = SimpleQueue()
    for job in jobs:
        waiting.put(job)
    for _ in range(workers):
        process = _start()
        stack.callback(_end, process)
        Thread(target=_drive, args=(process, waiting, results), daemon=True).start()
    for _ in jobs:
        yield results.get()


def _start() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "tongzhou.node.tag_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()


def _drive(process: "subprocess.Popen[bytes]", waiting: _Jobs, results: _Results) -> None:
    """Give one process a job after another."""
    while True:
        try:
            job = waiting.get_nowait()
        except Empty:
            return
        try:
            done = _ask(process, job)
        except (OSError, ValueError, msgspec.MsgspecError):
            # It was killed, or ended by itself: the line is missing or cut off.
            done = BucketDone(lost=True)
        results.put(done)


def _ask(process: "subprocess.Popen[bytes]", job: BucketJob) -> BucketDone:
    if process.stdin is None or process.stdout is None:
        raise OSError("the process has no pipes")
    process.stdin.write(msgspec.json.encode(job) + b"\n")
    process.stdin.flush()
    return msgspec.json.decode(process.stdout.readline(), type=BucketDone)
