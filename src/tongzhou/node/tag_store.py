"""A provider's long list prepared for matching: its tags on disk, computed once for each key.

::

    FOLDER/name            what the list is called; it enters every hash
    FOLDER/keys/           the secret key of each epoch, 32 bytes; mode 0600
    FOLDER/spill/          identifiers sorted into buckets, while a preparation runs
    FOLDER/buckets/KEY/    tags of each bucket with rows and marks: what is private and spares work
    FOLDER/tables/         tables that askers fetch, and the row of each tag, by generation
    FOLDER/current         which generation is the present one

A preparation may be killed at any moment. What it finds when it is run again: sorting is done anew (seconds),
buckets that were finished are whole and are not computed again, and `current` names the old generation until
the new one is on disk. To go on after a kill and to take a changed list in are the same thing.
"""

import contextlib
import fcntl
import hashlib
import mmap
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import ConflictError, DataError, NotFoundError, ProtocolError, StorageError
from tongzhou.node.files import read_file, write_file
from tongzhou.node.tag_pool import run_buckets
from tongzhou.node.tag_worker import MARK_BYTES, BucketJob, load_bucket, spilled
from tongzhou.secure.blind_prf import BlindKey, evaluate
from tongzhou.secure.lists import Places
from tongzhou.secure.tag_lists import MAX_LISTED, PROBE
from tongzhou.secure.tag_table import Tags, TagTable, block_bits_for, table_parts, tags_of

__all__ = ["Generation", "Prepared", "Progress", "StoredTags", "TagStore", "mapped"]

_KEY_BYTES = 32
_SETTINGS_BYTES = 1 << 16
_BUCKET_ROWS = 1 << 14
"""About so many identifiers a bucket: a second and a half of work, which is what a kill loses."""
_CHUNK_ROWS = 1 << 21
"""Tags that are sorted at a time: 60 MB with their rows."""
_SPILL_ROWS = 1 << 18
"""Identifiers held back before they are written out."""
_KEPT: Final = 4
"""Generations kept, so that an asker that comes back after a while gets changes alone."""
_PROBE_ROW = np.uint32(2**32 - 1)
_MARKS = b"tongzhou/marks/v1/"

Progress = Callable[[str, int, int], None]
"""Called with what is being done (``sort``, ``tags``, ``table``), how much is done and how much there is."""


class Generation(msgspec.Struct, frozen=True):
    """One published table.

    Attributes:
        number: of the generation.
        epoch: which key its tags have.
        rows: identifiers in the list.
        version: of the table, hexadecimal.
        rows_hash: SHA-256 of the file that holds the row of each tag, hexadecimal.
    """

    number: int
    epoch: int
    rows: int
    version: str = ""
    rows_hash: str = ""


class _Current(msgspec.Struct, frozen=True):
    generations: tuple[Generation, ...]


@dataclass(frozen=True)
class Prepared:
    """What a preparation did.

    Attributes:
        generation: what it published.
        computed: tags that were computed.
        kept: tags that were known from before.
    """

    generation: Generation
    computed: int
    kept: int


class TagStore:
    """The folder of one prepared list; `TagStore.create` makes it, `TagStore.open` finds it.

    Args:
        folder: the folder.
        list_name: what the list is called.
    """

    def __init__(self, folder: Path, list_name: str) -> None:
        self.folder = folder
        self.list_name = list_name

    @classmethod
    def create(cls, folder: Path, list_name: str) -> Self:
        """Make an empty store with a new key: all of it, or nothing.

        Raises:
            ConflictError: the folder exists.
            StorageError: the disk does not take it.
        """
        if folder.exists():
            raise ConflictError("{folder} exists already and is not empty", folder=folder)
        staged = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
        with _disk(folder):
            try:
                for name in ("keys", "tables"):
                    (staged / name).mkdir(mode=0o700, parents=True)
                staged.chmod(0o700)
                write_file(staged / "name", list_name.encode())
                cls(staged, list_name).new_key()
                staged.rename(folder)
            finally:
                shutil.rmtree(staged, ignore_errors=True)
        return cls(folder, list_name)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a store.

        Raises:
            NotFoundError: there is none.
            StorageError: it cannot be read.
        """
        return cls(folder, read_file(folder / "name", _SETTINGS_BYTES).decode())

    def new_key(self) -> None:
        """Draw the key of a new epoch, which begins when the next preparation is done.

        That computes all tags anew, and askers fetch them all. What they hold of the old key tells them
        nothing of later lists.
        """
        with _disk(self.folder):
            path = self._key_path(self.epoch + 1)
            path.touch(mode=0o600)
        write_file(path, BlindKey().scalar)
        path.chmod(0o600)

    @property
    def epoch(self) -> int:
        """The epoch of the newest key."""
        return max((int(path.name) for path in (self.folder / "keys").glob("[0-9]*")), default=0)

    def source(self) -> "StoredTags":
        """What is published, to be matched with.

        Raises:
            NotFoundError: nothing was prepared yet.
            StorageError: a file is missing or damaged.
        """
        generations = self.generations
        if not generations:
            raise NotFoundError("the list {list} is not prepared", list=self.list_name)
        return StoredTags(self, generations)

    @property
    def generations(self) -> tuple[Generation, ...]:
        """What was published and is still kept, the present one first."""
        try:
            content = read_file(self.folder / "current", _SETTINGS_BYTES)
        except NotFoundError:
            return ()
        return msgspec.json.decode(content, type=_Current).generations

    def path(self, generation: Generation, kind: str) -> Path:
        """A file of a generation: its ``tags`` or its ``rows``."""
        return self.folder / "tables" / f"{generation.number:06}.{kind}"

    def prepare(
        self,
        batches: Iterable[Sequence[str]],
        rows: int,
        *,
        workers: int | None = None,
        progress: Progress = lambda stage, done, total: None,
    ) -> Prepared:
        """Compute the tags of a list and publish them.

        Args:
            batches: the normalised identifiers, in order, in pieces of any length.
            rows: how many there are.
            workers: processes that compute; one for each core by default, none to compute in this process.
            progress: see `Progress`.

        Raises:
            ConflictError: another process is preparing this list.
            DataError: the list is empty, too long, or holds repeats.
            StorageError: the disk does not take it, or a process failed.
        """
        if not 0 < rows <= MAX_LISTED:
            raise DataError(
                "a prepared list has 1 to {most} identifiers, got {got}", most=MAX_LISTED, got=rows
            )
        with self._alone(), _disk(self.folder):
            epoch, bits = self.epoch, (rows // _BUCKET_ROWS).bit_length()
            self._spill(epoch, bits, _counted(batches, rows, progress))
            jobs = [self._job(epoch, bits, number) for number in range(1 << bits)]
            count = _cores() if workers is None else workers
            done = run_buckets(jobs, count, lambda tags: progress("tags", tags, rows))
            shutil.rmtree(self.folder / "spill")
            self._forget_buckets(epoch, bits)
            draft = Generation(max((one.number for one in self.generations), default=0) + 1, epoch, rows)
            generation = self._publish(draft, bits, progress)
        return Prepared(generation, sum(one.computed for one in done), sum(one.kept for one in done))

    # --- buckets --------------------------------------------------------------------------------------

    def _spill(self, epoch: int, bits: int, batches: Iterable[Sequence[str]]) -> None:
        """Sort the identifiers into files by the first bits of their marks."""
        folder = self.folder / "spill"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        for number in range(1 << bits):
            (folder / f"{number:06x}").touch()
        mark_key = hashlib.sha256(_MARKS + self.key(epoch).scalar).digest()
        row = 0
        for identifiers in _batches_of(batches, _SPILL_ROWS):
            marks = [_mark(mark_key, identifier) for identifier in identifiers]
            for number, places in _grouped(marks, bits):
                piece = spilled(
                    [row + place for place in places],
                    [marks[place] for place in places],
                    [identifiers[place] for place in places],
                )
                with (folder / f"{number:06x}").open("ab") as file:
                    file.write(piece)
            row += len(identifiers)

    def _job(self, epoch: int, bits: int, number: int) -> BucketJob:
        target = self._bucket(epoch, bits, number)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return BucketJob(
            self.list_name,
            str(self._key_path(epoch)),
            str(self.folder / "spill" / f"{number:06x}"),
            tuple(str(path) for path in self._covering(epoch, bits, number)),
            str(target),
        )

    def _bucket(self, epoch: int, bits: int, number: int) -> Path:
        return self._bucket_folder(epoch) / f"{bits:02}-{number:06x}"

    def _bucket_folder(self, epoch: int) -> Path:
        return self.folder / "buckets" / f"{epoch:06}"

    def _covering(self, epoch: int, bits: int, number: int) -> Iterator[Path]:
        """Files that may hold marks of a bucket: its own, and those from when the list was cut otherwise."""
        for other in {int(path.name[:2]) for path in self._bucket_folder(epoch).glob("??-??????")}:
            if other <= bits:
                numbers = range(number >> (bits - other), (number >> (bits - other)) + 1)
            else:
                numbers = range(number << (other - bits), (number + 1) << (other - bits))
            paths = (self._bucket(epoch, other, one) for one in numbers)
            yield from (path for path in paths if path.exists())

    def _forget_buckets(self, epoch: int, bits: int) -> None:
        """Remove what other keys and other cuts have left."""
        for folder in (self.folder / "buckets").iterdir():
            if folder != self._bucket_folder(epoch):
                shutil.rmtree(folder)
        for path in self._bucket_folder(epoch).iterdir():
            if not path.name.startswith(f"{bits:02}-"):
                path.unlink()

    # --- tables -----------------------------------------------------------------------------------------

    def _publish(self, draft: Generation, bits: int, progress: Progress) -> Generation:
        """Write the table and the rows of its tags, then point to them, then forget what is old."""
        key, version = self.key(draft.epoch), b""
        with _writing(self.path(draft, "tags")) as tags, _writing(self.path(draft, "rows")) as places:
            chunks = self._sorted(draft, bits, places, progress)
            for version in table_parts(key.name, block_bits_for(draft.rows + 1), chunks):
                tags.write(version)
        # The last part is the version.
        rows_hash = hashlib.sha256(mapped(self.path(draft, "rows"))).hexdigest()
        generation = msgspec.structs.replace(draft, version=version.hex(), rows_hash=rows_hash)
        kept = tuple(one for one in self.generations if one.epoch == draft.epoch)[: _KEPT - 1]
        write_file(self.folder / "current", msgspec.json.encode(_Current((generation, *kept))))
        self._forget_tables(generation, kept)
        return generation

    def _forget_tables(self, present: Generation, kept: Sequence[Generation]) -> None:
        """Remove tables that nobody is offered any more, and the keys of earlier epochs."""
        wanted = {self.path(one, "tags") for one in (present, *kept)} | {self.path(present, "rows")}
        for path in set((self.folder / "tables").iterdir()) - wanted:
            path.unlink()
        for path in (self.folder / "keys").glob("[0-9]*"):
            if int(path.name) < present.epoch:
                path.unlink()

    def _sorted(self, draft: Generation, bits: int, places: BinaryIO, progress: Progress) -> Iterator[Tags]:
        """All tags, ascending, a range at a time; the row of each goes to another file."""
        buckets = [self._bucket(draft.epoch, bits, number) for number in range(1 << bits)]
        cut = (draft.rows // _CHUNK_ROWS).bit_length()
        probe = tags_of(evaluate(self.key(draft.epoch), self.list_name, [PROBE]))
        for part in range(1 << cut):
            pieces = [_range_of(load_bucket(path), part, cut) for path in buckets]
            extra = probe[[_part_of(int(probe[0]), cut) == part]]
            tags = np.concatenate([extra, *(tag for tag, _ in pieces)])
            own = np.concatenate([np.full(len(extra), _PROBE_ROW), *(row for _, row in pieces)])
            tags, first = np.unique(tags, return_index=True)
            places.write(own[first].astype("<u4").tobytes())
            progress("table", part + 1, 1 << cut)
            yield tags

    def key(self, epoch: int) -> BlindKey:
        """The key of an epoch: secret."""
        return BlindKey(read_file(self._key_path(epoch), _KEY_BYTES))

    def _key_path(self, epoch: int) -> Path:
        return self.folder / "keys" / f"{epoch:06}"

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock of this store; the system releases it when the process dies."""
        with (self.folder / "lock").open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConflictError(
                    "the list {list} is being prepared already", list=self.list_name
                ) from error
            yield


class StoredTags:
    """A published list, over mapped files: a `tongzhou.secure.tag_lists.TagSource`.

    Args:
        store: whose.
        generations: what is published, the present one first.
    """

    def __init__(self, store: TagStore, generations: Sequence[Generation]) -> None:
        self._store = store
        self._generations = generations
        self.list_name = store.list_name
        self.key = store.key(generations[0].epoch)
        self.table = self._table(generations[0])
        rows = mapped(store.path(generations[0], "rows"))
        if hashlib.sha256(rows).hexdigest() != generations[0].rows_hash:
            raise _damaged(store.path(generations[0], "rows"))
        self._rows = np.frombuffer(rows, dtype="<u4")

    def older(self, version: bytes) -> TagTable | None:
        """An earlier table under the same key, if it is kept."""
        found = [one for one in self._generations if one.version == version.hex()]
        return self._table(found[0]) if found else None

    def places(self, ranks: Places) -> Places:
        """Rows of the list for ranks in the table, -1 for the probe."""
        rows = self._rows[ranks]
        return np.where(rows == _PROBE_ROW, -1, rows.astype(np.int64))

    def _table(self, generation: Generation) -> TagTable:
        path = self._store.path(generation, "tags")
        try:
            table = TagTable.open(mapped(path))
        except ProtocolError as error:
            raise _damaged(path) from error
        if table.version.hex() != generation.version:
            raise _damaged(path)
        return table


def mapped(path: Path) -> memoryview:
    """A file mapped into memory, to be read.

    Raises:
        StorageError: it cannot be read, or is empty.
    """
    try:
        with path.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> StorageError:
    return StorageError("{file} is damaged; remove it and prepare the list anew", file=path)


def _counted(batches: Iterable[Sequence[str]], rows: int, progress: Progress) -> Iterator[Sequence[str]]:
    """Pass batches on, count them, and refuse a list of another length than was said."""
    done = 0
    for batch in batches:
        done += len(batch)
        yield batch
        progress("sort", done, rows)
    if done != rows:
        raise DataError("the list has {got} identifiers; {rows} were announced", got=done, rows=rows)


def _batches_of(batches: Iterable[Sequence[str]], most: int) -> Iterator[Sequence[str]]:
    for batch in batches:
        for start in range(0, len(batch), most):
            yield batch[start : start + most]


def _mark(key: bytes, identifier: str) -> bytes:
    return hashlib.blake2b(identifier.encode(), key=key, digest_size=MARK_BYTES).digest()


def _grouped(marks: list[bytes], bits: int) -> Iterator[tuple[int, list[int]]]:
    """Places of marks by their first bits."""
    heads = np.frombuffer(b"".join(mark[:4] for mark in marks), dtype=">u4").astype(np.int64)
    numbers = heads >> (32 - bits)
    order = np.argsort(numbers, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
        if len(group):
            yield int(numbers[group[0]]), group.tolist()


def _part_of(tag: int, cut: int) -> int:
    return tag >> (64 - cut)


def _range_of(bucket: NDArray[np.void], part: int, cut: int) -> tuple[Tags, NDArray[np.uint32]]:
    """Tags and rows of one bucket in one range of tags."""
    tags = np.ascontiguousarray(bucket["tag"])
    edges = [np.uint64(edge << (64 - cut)) for edge in (part, part + 1) if edge < 1 << cut]
    ends = [*np.searchsorted(tags, np.array(edges, dtype=np.uint64)).tolist(), len(tags)]
    start, stop = ends[0], ends[1]
    return tags[start:stop].astype(np.uint64), np.ascontiguousarray(bucket["row"][start:stop])


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[BinaryIO]:
    """A large file that is under its name only when all of it is on disk."""
    staged = path.with_suffix(f"{path.suffix}.part")
    with staged.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    staged.replace(path)


@contextlib.contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError("{file} cannot be used: {cause}", file=folder, cause=error.strerror) from error


def _cores() -> int:
    return len(os.sched_getaffinity(0))
