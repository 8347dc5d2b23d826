"""A process that computes tags of identifiers, one bucket of a list after another.

``python -m tongzhou.node.tag_worker`` reads one job a line and answers each with one line; it ends when its
input ends, so it does not outlive the process that started it.

A bucket's file holds an entry for each identifier (its tag, its row in the owner's table, and its mark, which
is a keyed hash) and the SHA-256 of all entries. Marks found in an earlier file of the same key need no new
tag: so work that was cut off goes on where it stopped, and a changed list costs what changed.
"""

import hashlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import StorageError, TongzhouError
from tongzhou.node.files import read_file, write_file
from tongzhou.secure.blind_prf import BlindKey, evaluate
from tongzhou.secure.tag_lists import text_of
from tongzhou.secure.tag_table import tags_of

__all__ = ["BUCKET", "MARK_BYTES", "BucketDone", "BucketJob", "load_bucket", "main", "run_bucket", "spilled"]

MARK_BYTES: Final = 16
BUCKET: Final = np.dtype([("tag", "<u8"), ("row", "<u4"), ("mark", f"V{MARK_BYTES}")])
"""An entry of a bucket's file; entries ascend by tag."""

_HASH_BYTES = _KEY_BYTES = 32
_SPILL_BYTES = 1 << 30

Bucket = NDArray[np.void]


class BucketJob(msgspec.Struct, frozen=True):
    """What one bucket needs.

    Attributes:
        list_name: what the list is called.
        key: file of the secret key.
        spill: file of identifiers, marks and rows.
        known: files of earlier tags under the same key.
        target: file to write.
    """

    list_name: str
    key: str
    spill: str
    known: tuple[str, ...]
    target: str


class BucketDone(msgspec.Struct, frozen=True):
    """What became of it.

    Attributes:
        computed: tags that were computed.
        kept: tags that were known.
        repeats: whether an identifier came twice; nothing was written then.
        failure: a sentence, if the bucket failed.
        lost: whether the process ended before it had answered.
    """

    computed: int = 0
    kept: int = 0
    repeats: bool = False
    failure: str = ""
    lost: bool = False


class _Piece(msgspec.Struct, frozen=True, array_like=True):
    """What is spilled at once: rows as 4-byte words, marks one after the other, identifiers."""

    rows: bytes
    marks: bytes
    identifiers: list[str]


def spilled(rows: list[int], marks: list[bytes], identifiers: list[str]) -> bytes:
    """One piece of a spill file, with its length before it."""
    piece = _Piece(np.array(rows, dtype="<u4").tobytes(), b"".join(marks), identifiers)
    content = msgspec.msgpack.encode(piece)
    return len(content).to_bytes(4, "big") + content


def load_bucket(path: Path) -> Bucket:
    """The entries of a bucket's file.

    Raises:
        StorageError: it cannot be read, or is damaged.
    """
    content = memoryview(read_file(path, _SPILL_BYTES))
    entries, digest = content[:-_HASH_BYTES], content[-_HASH_BYTES:]
    if hashlib.sha256(entries).digest() != digest:
        raise StorageError("{file} is damaged; remove it and prepare the list anew", file=path)
    return np.frombuffer(entries, dtype=BUCKET)


def run_bucket(job: BucketJob) -> BucketDone:
    """Compute the tags of one bucket and write its file, whole or not at all.

    Raises:
        StorageError: a file cannot be read or written.
    """
    rows, marks, identifiers = _read_spill(Path(job.spill))
    if len(set(marks)) != len(marks):
        return BucketDone(repeats=True)
    known = _known(job)
    new = [place for place, mark in enumerate(marks) if mark not in known]
    key = BlindKey(read_file(Path(job.key), _KEY_BYTES))
    texts = [text_of(identifiers[place]) for place in new]
    for place, tag in zip(new, tags_of(evaluate(key, job.list_name, texts)).tolist(), strict=True):
        known[marks[place]] = tag
    _write(Path(job.target), rows, marks, known)
    return BucketDone(len(new), len(marks) - len(new))


def main() -> None:
    """Answer jobs until the input ends."""
    for line in sys.stdin.buffer:
        try:
            done = run_bucket(msgspec.json.decode(line, type=BucketJob))
        except TongzhouError as error:
            done = BucketDone(failure=str(error))
        sys.stdout.buffer.write(msgspec.json.encode(done) + b"\n")
        sys.stdout.buffer.flush()


def _read_spill(path: Path) -> tuple[NDArray[np.uint32], list[bytes], list[str]]:
    rows, marks, identifiers = [], b"", []
    for piece in _pieces(read_file(path, _SPILL_BYTES)):
        rows.append(np.frombuffer(piece.rows, dtype="<u4"))
        marks += piece.marks
        identifiers += piece.identifiers
    cut = [marks[start : start + MARK_BYTES] for start in range(0, len(marks), MARK_BYTES)]
    return np.concatenate([np.empty(0, dtype="<u4"), *rows]), cut, identifiers


def _pieces(content: bytes) -> Iterator[_Piece]:
    start = 0
    while start < len(content):
        stop = start + 4 + int.from_bytes(content[start : start + 4], "big")
        yield msgspec.msgpack.decode(content[start + 4 : stop], type=_Piece)
        start = stop


def _known(job: BucketJob) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for path in job.known:
        bucket = load_bucket(Path(path))
        marks = bucket["mark"].tobytes()
        cut = (marks[start : start + MARK_BYTES] for start in range(0, len(marks), MARK_BYTES))
        found |= dict(zip(cut, bucket["tag"].tolist(), strict=True))
    return found


def _write(path: Path, rows: NDArray[np.uint32], marks: list[bytes], tags: Mapping[bytes, int]) -> None:
    bucket = np.empty(len(marks), dtype=BUCKET)
    bucket["row"] = rows
    bucket["tag"] = [tags[mark] for mark in marks]
    bucket["mark"] = np.frombuffer(b"".join(marks), dtype=f"V{MARK_BYTES}")
    entries = bucket[np.argsort(bucket["tag"], kind="stable")].tobytes()
    write_file(path, entries + hashlib.sha256(entries).digest())


if __name__ == "__main__":
    main()
