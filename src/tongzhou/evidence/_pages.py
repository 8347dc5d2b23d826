"""A reader of SQLite's file format that accounts for every byte, so that no flipped bit hides in a log.

SQLite reads a file tolerantly: spare bytes, unused header fields and second spellings of a number pass
unseen. This reader walks the trees of pages itself (https://www.sqlite.org/fileformat2.html), demands the
spelling that SQLite writes, and demands zero wherever nothing is stored. It uses that a log is only appended
to: pages of table rows fill from the end, without holes. One kind of byte stays free: a tree that has
outgrown its first pages leaves stale bytes in the unused middle of inner pages and of index pages, which no
reader looks at.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tongzhou.evidence._format import APPLICATION_ID

__all__ = ["NO_ROWID", "Cell", "Damage", "Image", "check_record", "encode_record"]

NO_ROWID = -1  # of a record in an index
_HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\x00"
_TABLE_INNER, _TABLE_LEAF, _INDEX_INNER, _INDEX_LEAF = 0x05, 0x0D, 0x02, 0x0A
_MAX_DEPTH = 20  # SQLite's own bound
# Offset, length and value of the header fields that never differ between logs, and say how to read the file.
_FIXED_FIELDS = (
    (0, 16, int.from_bytes(_MAGIC, "big")),
    (18, 1, 2),  # written by WAL
    (19, 1, 2),  # read by WAL
    (20, 1, 0),  # no reserved bytes in a page
    (21, 1, 64),
    (22, 1, 32),
    (23, 1, 32),
    (44, 4, 4),  # schema format
    (48, 4, 0),
    (52, 4, 0),
    (56, 4, 1),  # UTF-8
    (64, 4, 0),
    (68, 4, APPLICATION_ID),
    (72, 20, 0),
)


_Span = tuple[int, int, int | None]  # where a cell begins and ends, and its row id


class Damage(Exception):  # noqa: N818  (turned into a sentence by the checker)
    """Bytes that do not stand where a log has them.

    Attributes:
        offset: first such byte in the file.
        rowid: row that it belongs to, if known.
    """

    def __init__(self, offset: int, rowid: int | None = None) -> None:
        super().__init__(f"byte {offset}")
        self.offset = offset
        self.rowid = rowid


@dataclass(frozen=True, slots=True)
class Cell:
    """A stored row or index entry: its row id (rows only), its record, and where the record's bytes stand."""

    rowid: int
    payload: bytes
    pieces: tuple[tuple[int, int], ...]

    def offset_of(self, position: int) -> int:
        """Return where in the file a byte of the record stands, or the first byte after the record."""
        for start, length in self.pieces[:-1]:
            if position < length:
                return start + position
            position -= length
        start, length = self.pieces[-1]
        return start + min(position, length)


class Image:
    """The bytes of a log's SQLite file.

    Args:
        raw: the whole file, without anything left in a WAL.
    """

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.page_bytes = 0
        self._seen: set[int] = set()

    def check_header(self) -> None:
        """Check those of the first 100 bytes that say how to read the rest."""
        raw = self.raw
        if len(raw) < _HEADER_BYTES:
            raise Damage(len(raw))
        for offset, length, value in _FIXED_FIELDS:
            if int.from_bytes(raw[offset : offset + length], "big") != value:
                raise Damage(offset)
        size = int.from_bytes(raw[16:18], "big")
        self.page_bytes = 65536 if size == 1 else size
        if self.page_bytes < 512 or self.page_bytes & (self.page_bytes - 1):
            raise Damage(16)
        if self._u32(28) * self.page_bytes != len(raw):
            raise Damage(28)

    def check_counters(self, schema_objects: int) -> None:
        """Check the rest of the first 100 bytes: what would show changes that a log does not make.

        Two fields follow from nothing, so each is there twice: the change counter (the second copy is
        SQLite's own) and SQLite's version (the second copy is ours).
        """
        for offset, value in (
            (32, 0),
            (36, 0),
            (40, schema_objects),
            (92, self._u32(24)),
            (96, self._u32(60)),
        ):
            if self._u32(offset) != value:
                raise Damage(offset)

    def rows(self, root: int) -> Iterator[Cell]:
        """Yield the rows of the table whose tree has this root page, in order."""
        last = [-1]
        yield from self._walk_table(root, last, 0, root_page=True)

    def index(self, root: int) -> Iterator[Cell]:
        """Yield the records of the index whose tree has this root page, in order."""
        alone = self._page_type(root) == _INDEX_LEAF
        yield from self._walk_index(root, 0, strict=alone)

    def check_all_seen(self) -> None:
        """Check that every page has been walked, once `rows` and `index` have been used on all trees."""
        for page in range(1, len(self.raw) // self.page_bytes + 1):
            if page not in self._seen:
                raise Damage((page - 1) * self.page_bytes)

    def _walk_table(self, page: int, last: list[int], depth: int, *, root_page: bool) -> Iterator[Cell]:
        base, head = self._enter(page, depth)
        if self.raw[head] == _TABLE_LEAF:
            yield from self._table_leaf(page, base, head, last)
            return
        if self.raw[head] != _TABLE_INNER:
            raise Damage(head, last[0] + 1)
        spans: list[_Span] = []
        for start in self._pointers(base, head, 12):
            yield from self._walk_table(self._u32(start), last, depth + 1, root_page=False)
            rowid, end = self._varint(start + 4, last[0])
            if rowid != last[0]:  # an inner page names the last row below each child
                raise Damage(start + 4, last[0])
            spans.append((start, end, None))
        only_leaves_below = self._page_type(self._u32(head + 8)) == _TABLE_LEAF
        yield from self._walk_table(self._u32(head + 8), last, depth + 1, root_page=False)
        self._check_layout(base, head, 12, spans, strict=root_page and only_leaves_below)

    def _table_leaf(self, page: int, base: int, head: int, last: list[int]) -> Iterator[Cell]:
        spans: list[_Span] = []
        for start in self._pointers(base, head, 8):
            length, after = self._varint(start, last[0] + 1)
            rowid, after = self._varint(after, last[0] + 1)
            if rowid <= last[0]:
                raise Damage(start, last[0] + 1)
            cell, end = self._cell(after, length, self.page_bytes - 35, rowid)
            spans.append((start, end, rowid))
            last[0] = rowid
            yield cell
        self._check_layout(base, head, 8, spans, strict=True)

    def _walk_index(self, page: int, depth: int, *, strict: bool) -> Iterator[Cell]:
        base, head = self._enter(page, depth)
        inner = self.raw[head] == _INDEX_INNER
        if not inner and self.raw[head] != _INDEX_LEAF:
            raise Damage(head)
        spans: list[_Span] = []
        for start in self._pointers(base, head, 12 if inner else 8):
            if inner:
                yield from self._walk_index(self._u32(start), depth + 1, strict=False)
            length, after = self._varint(start + 4 if inner else start, None)
            cell, end = self._cell(after, length, (self.page_bytes - 12) * 64 // 255 - 23, None)
            spans.append((start, end, None))
            yield cell
        if inner:
            yield from self._walk_index(self._u32(head + 8), depth + 1, strict=False)
        self._check_layout(base, head, 12 if inner else 8, spans, strict=strict)

    def _enter(self, page: int, depth: int) -> tuple[int, int]:
        """Return where a page and its header begin; a page may be entered once."""
        base = (page - 1) * self.page_bytes
        if depth > _MAX_DEPTH or page in self._seen or not 0 < page <= len(self.raw) // self.page_bytes:
            raise Damage(max(min(base, len(self.raw) - 1), 0))
        self._seen.add(page)
        return base, base + _HEADER_BYTES if page == 1 else base

    def _page_type(self, page: int) -> int:
        base = (page - 1) * self.page_bytes
        if not 0 <= base < len(self.raw):
            raise Damage(0)
        return self.raw[base + _HEADER_BYTES if page == 1 else base]

    def _pointers(self, base: int, head: int, header_bytes: int) -> list[int]:
        """Return where the cells of a page begin, in key order."""
        count = self._u16(head + 3)
        first = head + header_bytes
        if first + 2 * count > base + self.page_bytes:
            raise Damage(head + 3)
        starts = [base + self._u16(first + 2 * i) for i in range(count)]
        for position, start in enumerate(starts):
            if not first + 2 * count <= start < base + self.page_bytes:
                raise Damage(first + 2 * position)
        return starts

    def _cell(self, start: int, length: int, limit: int, rowid: int | None) -> tuple[Cell, int]:
        """Return a record that begins here, and where its cell ends; follow it into overflow pages."""
        local = length
        if length > limit:
            least = (self.page_bytes - 12) * 32 // 255 - 23
            local = least + (length - least) % (self.page_bytes - 4)
            local = local if local <= limit else least
        end = start + local
        if end + 4 * (length > limit) > len(self.raw) or length > len(self.raw):
            raise Damage(start, rowid)
        pieces = [(start, local)]
        if length > limit:
            pieces += self._overflow(end, length - local, rowid)
            end += 4
        payload = b"".join(self.raw[first : first + size] for first, size in pieces)
        return Cell(NO_ROWID if rowid is None else rowid, payload, tuple(pieces)), end

    def _overflow(self, pointer: int, rest: int, rowid: int | None) -> list[tuple[int, int]]:
        pieces: list[tuple[int, int]] = []
        while rest:
            page = self._u32(pointer)
            base = (page - 1) * self.page_bytes
            if page in self._seen or not 0 < page <= len(self.raw) // self.page_bytes:
                raise Damage(pointer, rowid)
            self._seen.add(page)
            size = min(rest, self.page_bytes - 4)
            pieces.append((base + 4, size))
            self._check_zero(base + 4 + size, base + self.page_bytes, rowid)
            pointer, rest = base, rest - size
        if self._u32(pointer):
            raise Damage(pointer, rowid)
        return pieces

    def _check_layout(
        self, base: int, head: int, header_bytes: int, spans: Sequence[_Span], *, strict: bool
    ) -> None:
        """Check that cells do not overlap; if strict, that they fill the page's end and all else is zero."""
        content = base + (self._u16(head + 5) or 65536)
        expected = base + self.page_bytes
        for start, end, rowid in sorted(spans, key=lambda span: span[0], reverse=True):
            if end > expected or (strict and max(end, start + 4) != expected):
                raise Damage(start, rowid)
            expected = start
        if content > expected or (strict and content != expected):
            raise Damage(head + 5)
        if strict:
            if self._u16(head + 1) or self.raw[head + 7]:
                raise Damage(head + 1)
            self._check_zero(head + header_bytes + 2 * len(spans), content, None)

    def _check_zero(self, start: int, stop: int, rowid: int | None) -> None:
        if self.raw.count(0, start, stop) != max(stop - start, 0):
            first = next(i for i in range(start, stop) if self.raw[i])
            raise Damage(first, rowid)

    def _varint(self, start: int, rowid: int | None) -> tuple[int, int]:
        """Read a number of 1 to 9 bytes; a longer spelling than needed is damage."""
        value = 0
        for position in range(start, min(start + 8, len(self.raw))):
            byte = self.raw[position]
            value = (value << 7) | (byte & 0x7F)
            if byte < 0x80:
                if position > start and self.raw[start] == 0x80:
                    break
                return value, position + 1
        raise Damage(start, rowid)  # nine bytes would be a number beyond 2**56, and a log has none

    def _u16(self, offset: int) -> int:
        return int.from_bytes(self.raw[offset : offset + 2], "big")

    def _u32(self, offset: int) -> int:
        return int.from_bytes(self.raw[offset : offset + 4], "big")


def check_record(cell: Cell) -> None:
    """Check that a record has a form that SQLite writes, whatever its values are.

    Raises:
        Damage: its header does not fit its length.
    """
    payload, at, total = cell.payload, 0, 0
    head, position = _decode_varint(payload, 0)
    if position != 1 or not head <= len(payload):
        raise Damage(cell.offset_of(0), cell.rowid)
    while position < head:
        at = position
        serial, position = _decode_varint(payload, at)
        if serial in (7, 10, 11):
            raise Damage(cell.offset_of(at), cell.rowid)
        total += (serial - 12) // 2 if serial >= 12 else (0, 1, 2, 3, 4, 6, 8, 0, 0, 0)[serial]
    if position != head or head + total != len(payload):
        raise Damage(cell.offset_of(at), cell.rowid)


def _decode_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for position in range(at, len(data)):
        value = (value << 7) | (data[position] & 0x7F)
        if data[position] < 0x80:
            return value, position + 1
    return value, len(data) + 1


def encode_record(values: Iterable[int | str | bytes | None]) -> bytes:
    """Return a record as SQLite writes it; a row id stands in it as None."""
    types, bodies = [], []
    for value in values:
        serial, body = _encode_value(value)
        types.append(_encode_varint(serial))
        bodies.append(body)
    head = b"".join(types)
    return _encode_varint(len(head) + 1) + head + b"".join(bodies)


def _encode_value(value: int | str | bytes | None) -> tuple[int, bytes]:
    if value is None:
        return 0, b""
    if isinstance(value, str):
        text = value.encode()
        return 13 + 2 * len(text), text
    if isinstance(value, bytes):
        return 12 + 2 * len(value), value
    if value in (0, 1):
        return 8 + value, b""
    for serial, width in ((1, 1), (2, 2), (3, 3), (4, 4), (5, 6), (6, 8)):
        if -(1 << (8 * width - 1)) <= value < 1 << (8 * width - 1):
            return serial, value.to_bytes(width, "big", signed=True)
    raise OverflowError(value)


def _encode_varint(value: int) -> bytes:
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(0x80 | value & 0x7F)
    return bytes(reversed(groups))
