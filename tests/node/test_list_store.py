"""Records of lists as files: whole or not at all, mapped and not read, private, and damage is found."""

import stat
from pathlib import Path

import numpy as np
import pytest

from tongzhou.errors import PlanError, StorageError
from tongzhou.node import list_store
from tongzhou.node.list_store import FolderListStore
from tongzhou.secure.list_store import MemoryListStore, Record

ARRAYS = (
    np.arange(21, dtype=np.uint64).reshape(7, 3),
    np.array([[1], [0]], dtype=np.uint8),
    np.empty((0, 4), dtype=np.uint64),
    np.array([-5, 6], dtype=np.int64),
)


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    return FolderListStore(tmp_path / "deep" / "lists") if request.param == "folder" else MemoryListStore()


def test_records_come_back(store: FolderListStore) -> None:
    assert store.get("e1.provider.base") is None
    store.put("e1.provider.base", Record(b"head", ARRAYS))
    store.put("e1", Record(b""))
    found = store.get("e1.provider.base")
    assert found.head == b"head"
    for got, wanted in zip(found.arrays, ARRAYS, strict=True):
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
        assert np.array_equal(got, wanted)
    assert store.names() == ["e1", "e1.provider.base"]
    store.put("e1", Record(b"newer"))
    assert store.get("e1").head == b"newer"
    store.drop("e1")
    store.drop("e1")
    assert store.names() == ["e1.provider.base"]


def test_a_record_in_memory_is_a_copy() -> None:
    store, array = MemoryListStore(), np.zeros(3, np.uint64)
    store.put("a", Record(b"", (array,)))
    array[:] = 7
    assert store.get("a").arrays[0].tolist() == [0, 0, 0]


def test_arrays_are_mapped_read_only_and_aligned(tmp_path: Path) -> None:
    store = FolderListStore(tmp_path)
    store.put("a", Record(b"odd", ARRAYS))
    array = store.get("a").arrays[0]
    assert isinstance(array, np.memmap)
    assert array.ctypes.data % 64 == 0
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_a_mapped_array_outlives_its_replacement(tmp_path: Path) -> None:
    """A table may be replaced while an asker still reads the older one."""
    store = FolderListStore(tmp_path)
    store.put("a", Record(b"", (np.full(1000, 1, np.uint64),)))
    older = store.get("a").arrays[0]
    store.put("a", Record(b"", (np.full(1000, 2, np.uint64),)))
    store.drop("a")
    assert int(older.sum()) == 1000


def test_files_are_private(tmp_path: Path) -> None:
    store = FolderListStore(tmp_path / "lists")
    store.put("a", Record(b"secret"))
    assert stat.S_IMODE((tmp_path / "lists").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "lists" / "a.list").stat().st_mode) == 0o600


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderListStore(tmp_path)
    store.put("a", Record(b"older", ARRAYS))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(list_store.os, "fsync", full)
    with pytest.raises(StorageError, match=r"a\.list was not written: No space left on device"):
        store.put("a", Record(b"newer"))
    assert store.get("a").head == b"older"
    assert [path.name for path in tmp_path.iterdir()] == ["a.list"]


@pytest.mark.parametrize("name", ["", ".", "a/b", "../a", "a..b", ".a", "a.", "a b"])
def test_names_are_words(tmp_path: Path, name: str) -> None:
    with pytest.raises(PlanError, match="is no name of a record"):
        FolderListStore(tmp_path).get(name)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"TZls",
        b"nope" + bytes(8),
        b"TZls" + bytes([9, 0, 0, 0, 0, 0, 0, 0]),
        b"TZls\1\0\0\0\xff\xff\xff\xff",
    ],
)
def test_a_file_that_is_no_record(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.list").write_bytes(content)
    with pytest.raises(StorageError, match=r"a\.list is damaged: set the lists up anew"):
        FolderListStore(tmp_path).get("a")


def test_every_shorter_file_is_found_damaged(tmp_path: Path) -> None:
    store = FolderListStore(tmp_path)
    store.put("a", Record(b"head", ARRAYS[:1]))
    whole = (tmp_path / "a.list").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "a.list").write_bytes(whole[:length])
        with pytest.raises(StorageError, match="is damaged"):
            store.get("a")


def test_other_types_of_numbers_are_refused(tmp_path: Path) -> None:
    store = FolderListStore(tmp_path)
    store.put("a", Record(b"", (np.zeros(2, np.float64),)))
    with pytest.raises(StorageError, match="is damaged"):
        store.get("a")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file was not written"):
        FolderListStore(tmp_path / "file")
