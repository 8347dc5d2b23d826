"""The reader of SQLite's pages, against files that SQLite wrote."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tongzhou.evidence import _pages
from tongzhou.evidence._format import SCHEMA, sqlite_version_number
from tongzhou.evidence._pages import Cell, Damage, Image, check_record, encode_record
from tongzhou.evidence._records import ROOTS
from tongzhou.evidence.sqlite_store import SqliteStore
from tongzhou.evidence.store import About, EntryRow

INTEGERS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300)


def written_by_sqlite(values: tuple[object, ...]) -> bytes:
    """Return the record that SQLite writes for a row, cut out of a file in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    columns = ", ".join(f"c{number}" for number in range(len(values)))
    connection.execute(f"CREATE TABLE t({columns})")
    connection.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(values))})", values)
    raw = connection.serialize()
    connection.close()
    image = Image(raw)
    image.page_bytes = int.from_bytes(raw[16:18], "big")
    (cell,) = image.rows(2)
    check_record(cell)
    return cell.payload


@settings(max_examples=100, deadline=None)
@given(st.lists(st.none() | INTEGERS | TEXTS | st.binary(max_size=300), min_size=1, max_size=8))
def test_records_are_what_sqlite_writes(values: list[object]) -> None:
    assert encode_record(values) == written_by_sqlite(tuple(values))


@pytest.mark.parametrize(
    "value", [0, 1, 2, -1, 127, 128, -128, -129, 2**15, 2**23, 2**31, 2**47, -(2**47) - 1]
)
def test_whole_numbers_take_the_fewest_bytes(value: int) -> None:
    assert encode_record([value]) == written_by_sqlite((value,))


@pytest.mark.parametrize("length", [0, 57, 58, 127, 128, 3900, 4061, 4062, 5000, 8192, 60_000])
def test_long_records_are_followed_through_their_pages(length: int) -> None:
    assert encode_record(["x" * length]) == written_by_sqlite(("x" * length,))


def test_a_number_too_large_for_sqlite() -> None:
    with pytest.raises(OverflowError):
        encode_record([2**63])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TEXTS, st.integers(0, 6000)), max_size=60))
def test_every_row_and_index_record_of_a_store_is_walked(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int]]
) -> None:
    path = tmp_path_factory.mktemp("pages") / "log.db"
    store = SqliteStore.create(path, About("bank", "key"))
    made = [
        EntryRow(index, "kind", f"{text[:20]}-{index}", index, text, bytes(32), "b" * length)
        for index, (text, length) in enumerate(rows)
    ]
    for row in made:
        with store.transaction():
            store.add_entries([row])
    store.close()
    image = Image(path.read_bytes())
    image.check_header()
    image.check_counters(len(SCHEMA))
    assert [cell.payload for cell in image.rows(ROOTS["bodies"])] == [
        encode_record([None, row.salt, row.body]) for row in made
    ]
    assert [cell.rowid for cell in image.rows(ROOTS["entries"])] == list(range(len(made)))
    keys = sorted((row.kind, row.key.encode(), row.index) for row in made)
    assert [cell.payload for cell in image.index(ROOTS["entry_keys"])] == [
        encode_record([kind, key.decode(), index]) for kind, key, index in keys
    ]
    for root in (1, *(ROOTS[name] for name in ("about", "tiles", "checkpoints", "cosignatures"))):
        list(image.rows(root))
    list(image.index(ROOTS["cosignature_sizes"]))
    image.check_all_seen()


def test_a_page_may_be_walked_once_only(tmp_path: Path) -> None:
    store = SqliteStore.create(tmp_path / "log.db", About("bank", "key"))
    store.close()
    image = Image((tmp_path / "log.db").read_bytes())
    image.check_header()
    list(image.rows(2))
    with pytest.raises(Damage, match="byte 4096"):
        list(image.rows(2))
    with pytest.raises(Damage, match="byte 0"):
        image.check_all_seen()
    with pytest.raises(Damage):
        list(image.rows(99))


def test_where_a_byte_of_a_record_stands() -> None:
    cell = Cell(7, b"abcdef", ((100, 4), (500, 2)))
    assert [cell.offset_of(position) for position in range(8)] == [100, 101, 102, 103, 500, 501, 502, 502]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x02",  # a header of two bytes that ends after one
        b"\x01\x00",  # bytes that no type speaks for
        b"\x02\x01",  # a number of one byte without that byte
        b"\x02\x0a",  # a type that SQLite reserves
        b"\x02\x07" + bytes(8),  # a float, which a log has none of
        b"\x80\x02\x00",  # a header length in a longer spelling
        b"\x02\x81",  # a type that goes on beyond the record
    ],
)
def test_records_that_do_not_fit_themselves(payload: bytes) -> None:
    with pytest.raises(Damage, match="byte 1"):
        check_record(Cell(1, payload, ((10, len(payload)),)))


@given(st.binary(max_size=300))
def test_rubbish_is_damage_and_nothing_else(data: bytes) -> None:
    for start in (b"", b"SQLite format 3\x00"):
        image = Image(start + data)
        with pytest.raises(Damage):
            image.check_header()
    try:
        check_record(Cell(1, data, ((0, len(data)),)))
    except Damage as damage:
        assert damage.rowid == 1


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_page_of_rubbish_never_hangs_or_crashes(sample_file: bytes, draw: st.DataObject) -> None:
    page = draw.draw(st.integers(1, len(sample_file) // 4096 - 1))
    rubbish = draw.draw(st.binary(min_size=1, max_size=64)) * 4096
    image = Image(sample_file[: page * 4096] + rubbish[:4096] + sample_file[(page + 1) * 4096 :])
    image.check_header()
    with pytest.raises(Damage):
        for name, root in ROOTS.items():
            for cell in (
                image.index(root) if name in ("entry_keys", "cosignature_sizes") else image.rows(root)
            ):
                check_record(cell)
        list(image.rows(1))
        image.check_all_seen()


@pytest.fixture(scope="module")
def sample_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sample") / "log.db"
    store = SqliteStore.create(path, About("bank", "key"))
    rows = [EntryRow(i, "kind", f"{i}", i, "leaf" * 30, bytes(32), "b" * (i * 13 % 700)) for i in range(300)]
    with store.transaction():
        store.add_entries(rows)
    store.close()
    return path.read_bytes()


def test_versions_are_the_number_that_sqlite_writes(tmp_path: Path) -> None:
    assert sqlite_version_number((3, 40, 1)) == 3_040_001
    connection = sqlite3.connect(tmp_path / "any.db")
    connection.execute("CREATE TABLE t(x)")
    connection.close()
    raw = (tmp_path / "any.db").read_bytes()
    assert int.from_bytes(raw[96:100], "big") == sqlite_version_number(sqlite3.sqlite_version_info)


def test_a_file_from_another_version_of_sqlite_is_claimed_when_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening for writing brings both copies of the version level again, whichever version wrote last."""
    path = tmp_path / "log.db"
    SqliteStore.create(path, About("bank", "key")).close()
    raw = bytearray(path.read_bytes())
    raw[60:64] = raw[96:100] = (3_053_000).to_bytes(4, "big")
    path.write_bytes(raw)
    SqliteStore.open(path).close()
    image = Image(path.read_bytes())
    image.check_header()
    image.check_counters(len(SCHEMA))
    assert image.raw[60:64] == image.raw[96:100] != bytes(raw[60:64])
    assert _pages.NO_ROWID < 0
