"""An institution's transparency log: append, sign, prove.

Order of writes, and what a crash leaves behind:

1. *Append.* Entry, body and the tiles that it fills are one transaction. Crash before its commit: nothing
   happened, and nothing was acknowledged. After it: the entry is there, and a caller that never heard the
   answer asks again with the same kind and key and gets the same index.
2. *Checkpoint.* Inside one transaction the size is read, the root is signed and the note is stored; the note
   leaves the process only after the commit. So a signature never covers an entry that could still be
   lost, and two writers cannot sign two different trees: the second one waits, then extends the first.
   Crash before the commit: a signature existed for a moment and was shown to nobody.
3. *Cosignature.* Stored as it came; a lost one is asked for again.

The normal start is the recovery: `Log.open` rebuilds the edge of the tree from what is stored and compares it
with the last signed checkpoint.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from tongzhou.evidence.canonical import Json
from tongzhou.evidence.checkpoint import (
    Checkpoint,
    check_origin,
    open_checkpoint,
    parse_checkpoint_text,
    sign_checkpoint,
)
from tongzhou.evidence.cosignature import check_cosignature
from tongzhou.evidence.errors import (
    EvidenceCheckError,
    EvidenceConflictError,
    EvidenceError,
    EvidenceNotFoundError,
    EvidenceStoreError,
)
from tongzhou.evidence.leaf import Leaf, build_body, check_kind, commit, new_salt, parse_leaf, read_body
from tongzhou.evidence.note import COSIGNATURE_TYPE, Signer, make_vkey, parse_note, parse_vkey, signature_line
from tongzhou.evidence.proof import Proof, disclosure
from tongzhou.evidence.sqlite_store import SqliteStore
from tongzhou.evidence.store import About, EntryRow, Store
from tongzhou.evidence.tree import StoredTree

__all__ = ["Draft", "Entry", "Log"]


class Draft(NamedTuple):
    """An entry to be appended: record, kind, key, and a salt if it must be shared with another log."""

    record: Mapping[str, object]
    kind: str
    key: str
    salt: bytes | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as it stands in the log."""

    row: EntryRow
    leaf: Leaf

    @property
    def index(self) -> int:
        """Place in the log, from 0."""
        return self.row.index

    @property
    def kind(self) -> str:
        """Kind of entry."""
        return self.row.kind

    @property
    def key(self) -> str:
        """The key that is unique within the kind."""
        return self.row.key

    @property
    def time(self) -> int:
        """The log's time, seconds since 1970 UTC."""
        return self.leaf.time

    @property
    def record(self) -> dict[str, Json]:
        """The content."""
        return read_body(self.row.body)[1]


class Log:
    """A transparency log over a store; threads may share it, and other processes may use the same file.

    Args:
        store: where it is kept.
        signer: who signs its checkpoints; None opens the log for appending and reading only.
        clock: gives seconds since 1970 UTC.
    """

    def __init__(self, store: Store, signer: Signer | None, clock: Callable[[], float] = time.time) -> None:
        _check_signer(store.about, signer)
        self._store = store
        self._signer = signer
        self._clock = clock
        self._lock = threading.RLock()
        self._tree = StoredTree(store)
        _check_last_checkpoint(store, self._tree)

    @classmethod
    def create(
        cls, path: Path | str, origin: str, signer: Signer, *, clock: Callable[[], float] = time.time
    ) -> "Log":
        """Make a new log in a new file.

        Args:
            path: the file; it must not exist.
            origin: name of the log, such as ``bank.example/log``; it is also the signer's name.
            signer: who signs its checkpoints.
            clock: gives seconds since 1970 UTC.

        Raises:
            EvidenceConflictError: the file exists, or the signer bears another name.
        """
        about = About(check_origin(origin), make_vkey(origin, signer.public_key_bytes))
        _check_signer(about, signer)
        return cls(SqliteStore.create(Path(path), about), signer, clock)

    @classmethod
    def open(
        cls, path: Path | str, signer: Signer | None = None, *, clock: Callable[[], float] = time.time
    ) -> "Log":
        """Open an existing log; without a signer no new checkpoint can be made.

        Raises:
            EvidenceNotFoundError: there is no such file.
            EvidenceStoreError: it is not a log, or cannot be used.
            EvidenceConflictError: the signer has another name or key than the log.
            EvidenceCheckError: the entries do not lead to the last signed checkpoint.
        """
        store = SqliteStore.open(Path(path))
        try:
            return cls(store, signer, clock)
        except EvidenceError:
            store.close()
            raise

    def close(self) -> None:
        """Release the log; after it, the file alone holds everything."""
        with self._lock:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def origin(self) -> str:
        """Name of the log."""
        return self._store.about.origin

    @property
    def vkey(self) -> str:
        """Key that readers need to check its checkpoints."""
        return self._store.about.vkey

    @property
    def size(self) -> int:
        """Number of entries."""
        with self._lock:
            return self._store.size()

    def append(self, record: Mapping[str, object], *, kind: str, key: str, salt: bytes | None = None) -> int:
        """Append one entry and return its index once it is on disk.

        Doing it again with the same kind, key and record returns the same index and changes nothing.

        Args:
            record: text, whole numbers, booleans, null, lists and objects; see `canonical`.
            kind: public; up to 64 of ``a-z 0-9 . _ / -``.
            key: private; unique within the kind.
            salt: 32 bytes, if the commitment must equal that of another log; random otherwise.

        Raises:
            EvidenceFormatError: record, kind or key is not allowed.
            EvidenceConflictError: this kind and key hold another record, or another salt than the given one.
            EvidenceStoreError: nothing was written, and why.
        """
        return self.append_many([Draft(record, kind, key, salt)])[0]

    def append_many(self, drafts: Iterable[Draft]) -> list[int]:
        """Append several entries in one transaction: all of them or none. See `append`."""
        wanted = [(draft, build_body(draft.key, draft.record)) for draft in drafts]
        for draft, _ in wanted:
            check_kind(draft.kind)
        with self._lock:
            with self._store.transaction():
                self._tree.catch_up()
                indexes, rows = self._plan(wanted)
                edge, tiles = self._tree.grown(rows)
                self._store.add_entries(rows)
                for tile in tiles:
                    self._store.add_tile(tile.sequence, tile.hashes)
            self._tree.adopt(edge)  # only now: had the commit failed, the tree in memory would be a lie
        return indexes

    def checkpoint(self) -> str:
        """Sign and store the tree as it is, and return the note; the stored one if nothing was appended.

        Raises:
            EvidenceStoreError: the log was opened without a signer, or nothing can be written.
        """
        if self._signer is None:
            raise EvidenceStoreError("the log {origin} was opened without its key", origin=self.origin)
        with self._lock, self._store.transaction():
            self._tree.catch_up()
            size = self._tree.size
            for _, note in self._store.checkpoints(size):
                return note
            note = sign_checkpoint(Checkpoint(self.origin, size, self._tree.root(size)), self._signer)
            self._store.add_checkpoint(size, note)
        return note

    def add_cosignature(self, line: str, *, witness_key: str | None = None, size: int | None = None) -> None:
        """Store a witness's cosignature; a second one by the same key changes nothing.

        Args:
            line: the signature line.
            witness_key: vkey of the witness. Give it whenever it is known: without it only the form of
                the line is checked, and a wrong line by a known key makes readers refuse the checkpoint.
            size: of the cosigned checkpoint; the largest one by default.

        Raises:
            EvidenceNotFoundError: there is no such checkpoint.
            EvidenceCheckError: the cosignature is wrong.
        """
        signature = signature_line(line)
        with self._lock, self._store.transaction():
            found, note = self.stored_checkpoint(size)
            if witness_key is not None:
                check_cosignature(parse_note(note).text, signature, parse_vkey(witness_key, COSIGNATURE_TYPE))
            known = [signature_line(stored) for stored in self._store.cosignatures(found)]
            if not any((old.name, old.key_id) == (signature.name, signature.key_id) for old in known):
                self._store.add_cosignature(found, signature.line)

    def stored_checkpoint(self, size: int | None = None) -> tuple[int, str]:
        """Return size and note of a stored checkpoint, the largest by default, without cosignatures.

        Raises:
            EvidenceNotFoundError: there is none.
        """
        with self._lock:
            for found, note in self._store.checkpoints(size or 0):
                if size in (None, found):
                    return found, note
        raise EvidenceNotFoundError("the log {origin} has no such checkpoint yet", origin=self.origin)

    def cosigned_checkpoint(self, *, quorum: int = 0, covering: int = 0) -> str:
        """Return the largest stored checkpoint that has ``quorum`` cosignatures, with all of them.

        Args:
            quorum: how many cosignatures, by different keys, it must have.
            covering: how many entries it must have at least.

        Raises:
            EvidenceNotFoundError: there is none.
        """
        with self._lock:
            for size, note in self._store.checkpoints(covering):
                lines = self._store.cosignatures(size)
                if len(lines) >= quorum:
                    return note + "".join(lines)
        raise EvidenceNotFoundError(
            "no checkpoint of the log {origin} has {size} entries or more and {quorum} cosignatures",
            origin=self.origin,
            size=covering,
            quorum=quorum,
        )

    def last_cosigned(self, witness_key: str) -> int:
        """Return the size of the largest checkpoint that this witness cosigned, 0 if none."""
        key = parse_vkey(witness_key, COSIGNATURE_TYPE)
        with self._lock:
            for size, _ in self._store.checkpoints():
                if any(signature_line(line).is_by(key) for line in self._store.cosignatures(size)):
                    return size
        return 0

    def prove(self, index: int, *, disclose: bool = True, quorum: int = 0) -> str:
        """Return a proof file for one entry (see `proof`).

        Args:
            index: the entry.
            disclose: whether the proof shows key and record; otherwise kind and time only.
            quorum: how many cosignatures the checkpoint in it must have.

        Raises:
            EvidenceNotFoundError: no such entry, or no checkpoint covers it yet.
        """
        row = self.entry(index).row
        note = self.cosigned_checkpoint(quorum=quorum, covering=index + 1)
        size = parse_checkpoint_text(parse_note(note).text).size
        extra = disclosure(row.leaf)
        if disclose:
            key, record = read_body(row.body)
            extra = disclosure(row.leaf, row.salt, key, record)
        with self._lock:
            self._tree.catch_up()
            return str(Proof(index, tuple(self._tree.inclusion(index, size)), note, extra))

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the hashes that prove that the tree of ``new`` entries begins with that of ``old``."""
        with self._lock:
            self._tree.catch_up()
            return self._tree.consistency(old, new)

    def root(self, size: int | None = None) -> bytes:
        """Return the root over the first ``size`` entries, all by default; 32 bytes."""
        with self._lock:
            self._tree.catch_up()
            return self._tree.root(self._tree.size if size is None else size)

    def find(self, kind: str, key: str) -> int | None:
        """Return the index of the entry with this kind and key, or None."""
        with self._lock:
            return self._store.find(kind, key)

    def entry(self, index: int) -> Entry:
        """Return one entry.

        Raises:
            EvidenceNotFoundError: there is none at this index.
        """
        with self._lock:
            for row in self._store.entries(index, index + 1):
                return Entry(row, parse_leaf(row.leaf))
        raise EvidenceNotFoundError("the log {origin} has no entry {index}", origin=self.origin, index=index)

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """Yield entries ``start`` up to (without) ``stop``, in order; later ones are left out."""
        for row in self._store.entries(start, self.size if stop is None else stop):
            yield Entry(row, parse_leaf(row.leaf))

    def payload(self, index: int) -> dict[str, Json]:
        """Return the record of one entry."""
        return self.entry(index).record

    def _plan(self, wanted: Sequence[tuple[Draft, str]]) -> tuple[list[int], list[EntryRow]]:
        """Return an index for each draft, and rows for those that are new."""
        now = max(
            int(self._clock()), _time_of_last(self._store)
        )  # a clock that is set back stops the log's time
        new: dict[tuple[str, str], EntryRow] = {}
        indexes = []
        for draft, body in wanted:
            name = (draft.kind, draft.key)
            row = new.get(name) or _stored(self._store, *name)
            if row is None:
                salt = new_salt() if draft.salt is None else draft.salt
                leaf = Leaf(draft.kind, now, commit(salt, body))
                row = EntryRow(self._tree.size + len(new), *name, now, leaf.text, salt, body)
                new[name] = row
            elif row.body != body or draft.salt not in (None, row.salt):
                raise EvidenceConflictError(
                    "entry {index} already has this kind {kind} and key, with another record or salt",
                    index=row.index,
                    kind=draft.kind,
                )
            indexes.append(row.index)
        return indexes, list(new.values())


def _stored(store: Store, kind: str, key: str) -> EntryRow | None:
    index = store.find(kind, key)
    return None if index is None else next(store.entries(index, index + 1), None)


def _time_of_last(store: Store) -> int:
    size = store.size()
    return max((row.time for row in store.entries(max(size - 1, 0), size)), default=0)


def _check_signer(about: About, signer: Signer | None) -> None:
    if signer is None:
        return
    if signer.name != about.origin:
        raise EvidenceConflictError(
            "the signer's name {got} is not the log's origin {wanted}", got=signer.name, wanted=about.origin
        )
    if make_vkey(signer.name, signer.public_key_bytes) != about.vkey:
        raise EvidenceConflictError("the log {origin} belongs to another key", origin=about.origin)


def _check_last_checkpoint(store: Store, tree: StoredTree) -> None:
    """Compare the tree with the last signed checkpoint, so that a fork is never signed on top of damage."""
    for size, note in store.checkpoints():
        tree.catch_up()  # another process may have appended since the tree was loaded
        head = open_checkpoint(note, store.about.origin, [parse_vkey(store.about.vkey)])
        if (head.size, head.root) != (size, tree.root(size) if size <= tree.size else b""):
            raise EvidenceCheckError(
                "the first {size} entries do not have the root that was signed for them", size=size
            )
        return
