"""The independent checker: rebuilds all that a log claims from its raw entries, and compares.

It shares with the log only what hashes, parses and checks signatures: it reads the file through plain
`sqlite3`, never writes, and derives again every commitment, leaf, tile, root and signature. It says in a
sentence which entry differs, of which kind, and how. Last it accounts for every byte of the file (see
`_pages`), so that damage that no query shows is found too.

The whole file is read into memory.
"""

import itertools
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tongzhou.evidence._format import cosignature_digest
from tongzhou.evidence._pages import Image
from tongzhou.evidence._records import Row, compare_all, sound, walk_all
from tongzhou.evidence.checkpoint import open_checkpoint
from tongzhou.evidence.cosignature import check_cosignature
from tongzhou.evidence.errors import (
    EvidenceCheckError,
    EvidenceFormatError,
    EvidenceNotFoundError,
    EvidenceStoreError,
)
from tongzhou.evidence.leaf import commit, parse_leaf, read_body
from tongzhou.evidence.merkle import Frontier, leaf_hash, tree_root
from tongzhou.evidence.note import (
    COSIGNATURE_TYPE,
    VerifierKey,
    encode_base64,
    parse_vkey,
    signature_line,
)
from tongzhou.evidence.proof import ProofReport, verify_proof

__all__ = ["LogReport", "ProofReport", "read_image", "verify_image", "verify_log", "verify_proof"]

_TILE_HASHES = 256


@dataclass(frozen=True, slots=True)
class LogReport:
    """What a whole log was found to be.

    Attributes:
        origin: name of the log.
        entries: how many entries there are; every one was checked.
        root: of the tree over all of them, Base 64.
        signed_size: how many entries the largest checkpoint covers; later ones are not signed yet.
        checkpoints: how many stored checkpoints were checked.
        witnessed_size: how many entries the largest checkpoint with the quorum covers.
        cosignatures: from witness label to how many of its cosignatures were checked.
        unknown_cosignatures: lines by witnesses whose key was not given.
    """

    origin: str
    entries: int
    root: str
    signed_size: int
    checkpoints: int
    witnessed_size: int
    cosignatures: Mapping[str, int]
    unknown_cosignatures: int


def verify_log(
    path: Path | str,
    *,
    log_key: str,
    witness_keys: Mapping[str, str] | None = None,
    quorum: int = 0,
    held: Sequence[str] = (),
) -> LogReport:
    """Check a whole log file; it may be in use by its owner meanwhile.

    Args:
        path: the log's file.
        log_key: vkey of the log, from a source other than the file.
        witness_keys: from the reader's label of a witness to its vkey.
        quorum: how many of these witnesses must have cosigned a checkpoint.
        held: signed checkpoints of this log that the reader got at any time; the log must contain their
            trees. This shows entries that were cut off, and another history that was shown to someone.

    Returns:
        What was found, if all of it is right.

    Raises:
        EvidenceCheckError: naming the entry, its kind and what differs, or where the store is damaged.
        EvidenceNotFoundError: there is no such file.
        EvidenceStoreError: the file cannot be read.
    """
    return verify_image(
        read_image(Path(path)), log_key=log_key, witness_keys=witness_keys, quorum=quorum, held=held
    )


def verify_image(
    raw: bytes,
    *,
    log_key: str,
    witness_keys: Mapping[str, str] | None = None,
    quorum: int = 0,
    held: Sequence[str] = (),
) -> LogReport:
    """Check the bytes of a log file; see `verify_log`."""
    key = parse_vkey(log_key)
    witnesses = {label: parse_vkey(vkey, COSIGNATURE_TYPE) for label, vkey in (witness_keys or {}).items()}
    if len({one.public_key for one in witnesses.values()}) != len(witnesses):
        raise EvidenceFormatError("two witnesses have the same key, so they are one witness")
    image = Image(raw)
    sound(image.check_header)
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.text_factory = bytes  # damaged text must reach us, not fail inside the driver
        # In memory there is no WAL, so the two bytes that ask for it are set back; they were just checked.
        connection.deserialize(raw[:18] + b"\x01\x01" + raw[20:])
        try:
            return _Check(connection, key, witnesses, quorum).run(held, image)
        except (
            sqlite3.Error,
            OverflowError,
            UnicodeError,
        ) as error:  # the driver may fail on its own messages
            sound(lambda: walk_all(image))  # names the place, if the pages themselves are damaged
            raise EvidenceCheckError("the store is damaged: {reason}", reason=str(error)) from error
    finally:
        connection.close()


def read_image(path: Path) -> bytes:
    """Return the bytes of a log's file with all that is committed, also while its owner writes."""
    if not path.is_file():
        raise EvidenceNotFoundError("there is no file {file}", file=str(path))
    try:
        if not _wal(path):
            before = path.stat()
            raw = path.read_bytes()
            after = path.stat()
            if not _wal(path) and (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size):
                return raw
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            return connection.serialize()
        finally:
            connection.close()
    except (OSError, sqlite3.Error) as error:
        raise EvidenceStoreError(
            "the store {file} cannot be used: {reason}", file=str(path), reason=str(error)
        ) from error


def _wal(path: Path) -> bool:
    wal = path.with_name(path.name + "-wal")
    return wal.exists() and wal.stat().st_size > 0


@dataclass(slots=True)
class _Signed:
    """A checkpoint's claim: size, root, and the text that witnesses cosign."""

    size: int
    root: bytes
    text: str


@dataclass(slots=True)
class _Tiles:
    """Tiles derived again, one after the other, and compared with the stored ones."""

    stored: Iterator[Row]
    levels: list[list[bytes]] = field(default_factory=list)
    count: int = 0
    wrong: int | None = None
    first_wrong_entry: int | None = None

    def push(self, leaf: bytes, size: int) -> None:
        """Take in a leaf hash, the last of a tree of this size."""
        level, carried = 0, leaf
        while True:
            if level == len(self.levels):
                self.levels.append([])
            hashes = self.levels[level]
            hashes.append(carried)
            if len(hashes) < _TILE_HASHES:
                return
            self._compare(hashes, size if level == 0 else None)
            carried = tree_root(hashes)
            hashes.clear()
            level += 1

    def _compare(self, hashes: list[bytes], size: int | None) -> None:
        row = next(self.stored, (None, b""))
        packed = row[1] if isinstance(row[1], bytes) else b""
        if row[0] != self.count or packed != b"".join(hashes):
            self.wrong = self.count if self.wrong is None else self.wrong
            if size is not None and self.first_wrong_entry is None and len(packed) == 32 * _TILE_HASHES:
                differing = (i for i, one in enumerate(hashes) if packed[32 * i : 32 * i + 32] != one)
                self.first_wrong_entry = size - _TILE_HASHES + next(differing, 0)
        self.count += 1


class _Check:
    """One run over one image."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        key: VerifierKey,
        witnesses: Mapping[str, VerifierKey],
        quorum: int,
    ) -> None:
        self._connection = connection
        self._key = key
        self._witnesses = witnesses
        self._quorum = quorum
        self._last_time = 0

    def run(self, held: Sequence[str], image: Image) -> LogReport:
        """Check everything and report."""
        self._about()
        stored = self._checkpoints()
        entries, root = self._tree(stored, [self._held(note) for note in held])
        cosigned = self._cosignatures(stored)
        witnessed = self._witnessed(stored, cosigned)
        self._connection.text_factory = str
        sound(lambda: compare_all(image, self._connection))
        _integrity(self._connection)
        counts = dict.fromkeys(self._witnesses, 0)
        for _, label in cosigned:
            if label is not None:
                counts[label] += 1
        unknown = sum(label is None for _, label in cosigned)
        signed = max((one.size for one in stored), default=0)
        return LogReport(
            self._key.name, entries, encode_base64(root), signed, len(stored), witnessed, counts, unknown
        )

    def _about(self) -> None:
        rows = self._connection.execute("SELECT origin, vkey FROM about").fetchall()
        wanted = (self._key.name.encode(), self._key.vkey.encode())
        if rows != [wanted]:
            raise EvidenceCheckError(
                "the file is not the log of {origin} under the given key", origin=self._key.name
            )

    def _checkpoints(self) -> list[_Signed]:
        stored = []
        for size, note in self._connection.execute("SELECT size, note FROM checkpoints ORDER BY size"):
            try:
                signed = self._held(_text(note))
            except (EvidenceCheckError, EvidenceFormatError) as error:
                raise EvidenceCheckError(
                    "the stored checkpoint of {size} entries is wrong: {reason}", size=size, reason=error
                ) from error
            if signed.size != size:
                raise EvidenceCheckError(
                    "the stored checkpoint of {size} entries is one of {got}", size=size, got=signed.size
                )
            stored.append(signed)
        return stored

    def _held(self, note: str) -> _Signed:
        checkpoint = open_checkpoint(note, self._key.name, [self._key])
        return _Signed(checkpoint.size, checkpoint.root, checkpoint.text)

    def _tree(self, stored: list[_Signed], held: list[_Signed]) -> tuple[int, bytes]:
        """Derive the tree from raw entries; compare it with tiles and with everything signed."""
        frontier = Frontier()
        tiles = _Tiles(self._connection.execute("SELECT seq, hashes FROM tiles ORDER BY seq"))
        claims = sorted(stored + held, key=lambda one: one.size)
        reached = self._roots(frontier, claims, 0, tiles)
        for leaf in self._leaves():
            frontier.push(leaf)
            tiles.push(leaf, frontier.size)
            reached = self._roots(frontier, claims, reached, tiles)
        if reached < len(claims):
            raise EvidenceCheckError(
                "the log has {got} entries, but it signed a checkpoint of {size}: entries are missing",
                got=frontier.size,
                size=claims[-1].size,
            )
        if tiles.wrong is not None or next(tiles.stored, None) is not None:
            tile = tiles.count if tiles.wrong is None else tiles.wrong
            raise EvidenceCheckError("stored tile {tile} does not follow from the entries", tile=tile)
        return frontier.size, frontier.root()

    def _roots(self, frontier: Frontier, claims: list[_Signed], reached: int, tiles: _Tiles) -> int:
        """Compare the tree so far with the claims about this size; return how many claims are done."""
        while reached < len(claims) and claims[reached].size == frontier.size:
            if claims[reached].root != frontier.root():
                self._wrong_root(claims[reached - 1].size if reached else 0, frontier.size, tiles)
            reached += 1
        return reached

    def _wrong_root(self, good: int, size: int, tiles: _Tiles) -> None:
        if tiles.first_wrong_entry is not None:
            raise EvidenceCheckError(
                "entry {index} is not the one that was signed: the tree of {size} entries has another root",
                index=tiles.first_wrong_entry,
                size=size,
            )
        raise EvidenceCheckError(
            "one of the entries {first} to {last} is not the one that was signed",
            index=good if size - good == 1 else None,
            first=good,
            last=size - 1,
        )

    def _leaves(self) -> Iterator[bytes]:
        """Yield the leaf hash of each entry, after checking the entry against what it commits to."""
        columns = "SELECT idx, kind, key, time, leaf FROM entries ORDER BY idx"
        bodies = self._connection.execute("SELECT idx, salt, body FROM bodies ORDER BY idx")
        entries = self._connection.execute(columns)
        for index in itertools.count():
            entry, body = entries.fetchone(), bodies.fetchone()
            if entry is None and body is None:
                return
            if entry is None or body is None or entry[0] != index or body[0] != index:
                raise EvidenceCheckError("entry {index} is missing, or only half of it is there", index=index)
            yield self._entry(index, entry, body)

    def _entry(self, index: int, entry: Row, body: Row) -> bytes:
        kind = _printable(entry[1])
        try:
            lines = _text(entry[4])
            leaf = parse_leaf(lines)
            text = _text(body[2])
            same = isinstance(body[1], bytes) and commit(body[1], text) == leaf.commitment
            key, _ = read_body(text) if same else ("", {})
        except EvidenceFormatError as error:
            raise EvidenceCheckError(
                "entry {index} ({kind}) is not of the required form: {reason}",
                index=index,
                kind=kind,
                reason=error,
            ) from error
        if not same:
            raise EvidenceCheckError(
                "entry {index} ({kind}): the stored record is not what the entry commits to",
                index=index,
                kind=kind,
            )
        if (leaf.kind.encode(), key.encode(), leaf.time) != (entry[1], entry[2], entry[3]):
            raise EvidenceCheckError(
                "entry {index} ({kind}): kind, key or time differ from what was committed to",
                index=index,
                kind=kind,
            )
        if leaf.time < self._last_time:
            raise EvidenceCheckError(
                "entry {index} ({kind}) is older than the one before", index=index, kind=kind
            )
        self._last_time = leaf.time
        return leaf_hash(lines.encode())

    def _cosignatures(self, stored: list[_Signed]) -> list[tuple[int, str | None]]:
        """Return size and witness label of each stored cosignature; the label is None for unknown keys."""
        texts = {one.size: one.text for one in stored}
        found: list[tuple[int, str | None]] = []
        for seq, size, line, digest in self._connection.execute(
            "SELECT seq, size, line, digest FROM cosignatures ORDER BY seq"
        ):
            try:
                if size not in texts or cosignature_digest(size, _text(line)) != digest:
                    raise EvidenceFormatError("it was changed in the store")  # noqa: TRY301
                found.append((size, self._cosigner(texts[size], _text(line))))
            except (EvidenceCheckError, EvidenceFormatError) as error:
                raise EvidenceCheckError(
                    "stored cosignature {number} is wrong: {reason}", number=seq, reason=error
                ) from error
        return found

    def _cosigner(self, text: str, line: str) -> str | None:
        signature = signature_line(line)
        for label, key in self._witnesses.items():
            if signature.is_by(key):
                check_cosignature(text, signature, key)
                return label
        return None

    def _witnessed(self, stored: list[_Signed], cosigned: list[tuple[int, str | None]]) -> int:
        """Return the size of the largest checkpoint with the quorum."""
        for size in sorted((one.size for one in stored), reverse=True):
            if len({label for at, label in cosigned if at == size and label is not None}) >= self._quorum:
                return size
        if self._quorum:
            raise EvidenceCheckError(
                "no checkpoint is cosigned by {quorum} of the {known} known witnesses",
                quorum=self._quorum,
                known=len(self._witnesses),
            )
        return 0


def _integrity(connection: sqlite3.Connection) -> None:
    """Let SQLite check its own file too."""
    (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if answer != "ok":
        raise EvidenceCheckError("the store is damaged: {reason}", reason=str(answer))


def _text(value: object) -> str:
    if not isinstance(value, bytes):
        raise EvidenceFormatError("a field that holds text holds something else")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise EvidenceFormatError("a text is not UTF-8 at byte {position}", position=error.start) from error


def _printable(value: object) -> str:
    shown = value.decode(errors="replace") if isinstance(value, bytes) else ""
    return "".join(c if c.isprintable() else "?" for c in shown[:64])
