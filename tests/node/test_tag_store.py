"""A prepared list on disk: what it holds, what a change costs, and what a kill or a full disk leaves."""

import fcntl
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tongzhou.errors import ConflictError, DataError, NotFoundError, ProtocolError, StorageError
from tongzhou.node import tag_pool, tag_store, tag_worker
from tongzhou.node.tag_cache import FileTagCache
from tongzhou.node.tag_store import TagStore
from tongzhou.node.tag_worker import BucketDone, BucketJob, run_bucket
from tongzhou.secure.cached_match import CachedInput, CachedMatchSettings, CachedMatchTask
from tongzhou.secure.simulate import simulate
from tongzhou.secure.tag_lists import MemoryTagSource
from tongzhou.secure.tag_table import block_bits_for, table_parts

LISTED = [f"c{n}" for n in range(300)]
TASK = CachedMatchTask(CachedMatchSettings("clients", 1, 10, "both"))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TagStore:
    """An empty store whose buckets are small, so that short lists have several."""
    monkeypatch.setattr(tag_store, "_BUCKET_ROWS", 64)
    monkeypatch.setattr(tag_store, "_CHUNK_ROWS", 256)
    return TagStore.create(tmp_path / "clients", "clients")


def prepare(store: TagStore, identifiers: list[str] = LISTED, **options: Any) -> tag_store.Prepared:
    batches = [identifiers[start : start + 100] for start in range(0, len(identifiers), 100)]
    return store.prepare(batches, len(identifiers), **({"workers": 0} | options))


def reference(store: TagStore, identifiers: list[str] = LISTED) -> MemoryTagSource:
    """The same list in memory under the same key."""
    return MemoryTagSource(store.list_name, identifiers, key=store.key(store.epoch))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- what it holds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 63, 64, 300])
def test_the_table_is_the_one_that_memory_holds(store: TagStore, count: int) -> None:
    prepared = prepare(store, LISTED[:count])
    expected = reference(store, LISTED[:count])
    source = store.source()
    assert source.table.version == expected.table.version == bytes.fromhex(prepared.generation.version)
    ranks = np.arange(count + 1)
    assert source.places(ranks).tolist() == expected.places(ranks).tolist()
    assert (prepared.computed, prepared.kept, prepared.generation.rows) == (count, 0, count)
    assert (source.list_name, source.key.name) == ("clients", expected.key.name)


def test_processes_give_the_same_table(store: TagStore) -> None:
    prepare(store, workers=2)
    assert store.source().table.version == reference(store).table.version


def test_a_store_is_matched_with(store: TagStore, tmp_path: Path) -> None:
    prepare(store)
    cache = FileTagCache(tmp_path / "copy")
    asked = ["c3", "nobody", "c299"]
    for _ in range(2):
        asker = CachedInput(asked, cache=cache)
        outcome = simulate("pair", TASK, asker, CachedInput(source=TagStore.open(store.folder).source()))
        assert [asked[place] for place in outcome.asker] == [LISTED[place] for place in outcome.provider]
        assert len(outcome.asker) == 2
    assert cache.current().version == store.source().table.version


def test_progress_tells_of_every_stage(store: TagStore) -> None:
    seen: list[tuple[str, int, int]] = []
    prepare(store, progress=lambda *step: seen.append(step))
    stages = {stage: [step for step in seen if step[0] == stage] for stage in ("sort", "tags", "table")}
    assert stages["sort"] == [("sort", 100 * n, 300) for n in range(1, 4)]
    assert stages["tags"][-1] == ("tags", 300, 300)
    assert len(stages["tags"]) == 8
    assert [done for _, done, _ in stages["tags"]] == sorted({done for _, done, _ in stages["tags"]})
    assert stages["table"] == [("table", n, 2) for n in range(1, 3)]


def test_no_identifier_is_left_outside_of_its_folder_s_rights(store: TagStore) -> None:
    prepare(store)
    assert store.folder.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in (store.folder / "keys").iterdir())
    assert not (store.folder / "spill").exists()
    assert not [name for name, content in contents(store.folder).items() if b"c299" in content]


def test_nothing_is_offered_before_it_is_prepared(store: TagStore) -> None:
    with pytest.raises(NotFoundError, match="the list clients is not prepared"):
        store.source()


def test_a_store_is_made_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise StorageError("{file} was not written: the disk is full", file=path)

    monkeypatch.setattr(tag_store, "write_file", full)
    with pytest.raises(StorageError, match="the disk is full"):
        TagStore.create(tmp_path / "clients", "clients")
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_made_once(store: TagStore, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="exists already"):
        TagStore.create(store.folder, "clients")
    with pytest.raises(NotFoundError, match="there is no file"):
        TagStore.open(tmp_path / "nowhere")
    assert TagStore.open(store.folder).list_name == "clients"


# --- what a change costs --------------------------------------------------------------------------------


def test_a_changed_list_computes_what_is_new(store: TagStore) -> None:
    first = prepare(store)
    changed = ["new", *LISTED[5:], "newer"]
    second = prepare(store, changed)
    assert (second.computed, second.kept) == (2, 295)
    source, expected = store.source(), reference(store, changed)
    assert source.table.version == expected.table.version
    assert source.places(np.arange(298)).tolist() == expected.places(np.arange(298)).tolist()
    assert source.older(bytes.fromhex(first.generation.version)) is not None


@pytest.mark.parametrize("sizes", [(100, 300), (300, 100), (60, 300), (300, 60)])
def test_a_list_that_grows_or_shrinks_keeps_its_tags(store: TagStore, sizes: tuple[int, int]) -> None:
    """The number of buckets changes; tags of earlier buckets are found all the same."""
    before, after = sizes
    prepare(store, LISTED[:before])
    second = prepare(store, LISTED[:after])
    assert (second.computed, second.kept) == (max(0, after - before), min(before, after))
    assert store.source().table.version == reference(store, LISTED[:after]).table.version
    left = {path.name[:2] for path in store._bucket_folder(store.epoch).iterdir()}
    assert left == {f"{(after // 64).bit_length():02}"}


def test_another_order_changes_rows_and_not_the_table(store: TagStore) -> None:
    first = prepare(store)
    second = prepare(store, LISTED[::-1])
    assert (second.computed, second.generation.version) == (0, first.generation.version)
    expected = reference(store, LISTED[::-1])
    assert store.source().places(np.arange(301)).tolist() == expected.places(np.arange(301)).tolist()


def test_four_generations_are_kept(store: TagStore) -> None:
    versions = [prepare(store, LISTED[: 100 + n]).generation.version for n in range(6)]
    source = store.source()
    found = [source.older(bytes.fromhex(version)) is not None for version in versions]
    assert found == [False, False, True, True, True, True]
    assert len(list((store.folder / "tables").iterdir())) == 5
    assert source.older(bytes(32)) is None


def test_a_new_key_takes_effect_with_the_next_preparation(store: TagStore) -> None:
    prepare(store)
    old = store.source()
    store.new_key()
    assert store.source().key.name == old.key.name
    prepared = prepare(store)
    new = store.source()
    assert (prepared.computed, prepared.kept) == (300, 0)
    assert new.key.name != old.key.name
    assert new.older(old.table.version) is None
    assert [path.name for path in (store.folder / "keys").iterdir()] == ["000002"]
    assert [path.name for path in (store.folder / "buckets").iterdir()] == ["000002"]
    # Who opened the old one before goes on to use it.
    assert old.table.find(old.table.block(0)).tolist() == list(range(len(old.table.block(0))))


# --- what cannot be ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identifiers", "rows", "sentence"),
    [
        ([], 0, "a prepared list has 1 to 100000000 identifiers, got 0"),
        (["a"], 100_000_001, "a prepared list has 1 to 100000000 identifiers, got 100000001"),
        (["a", "b", "a"], 3, "the identifiers hold repeats; matching needs each identifier once"),
        (["a", "b"], 3, "the list has 2 identifiers; 3 were announced"),
        (["a", "b", "c", "d"], 3, "the list has 4 identifiers; 3 were announced"),
    ],
)
@pytest.mark.parametrize("workers", [0, 1])
def test_lists_that_cannot_be_prepared(
    store: TagStore, identifiers: list[str], rows: int, sentence: str, workers: int
) -> None:
    with pytest.raises(DataError, match=sentence):
        store.prepare([identifiers], rows, workers=workers)
    assert store.generations == ()


def test_a_list_is_prepared_by_one_at_a_time(store: TagStore) -> None:
    with (store.folder / "lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ConflictError, match="the list clients is being prepared already"):
            prepare(store)
    prepare(store)


@pytest.mark.parametrize("victim", ["tags", "rows"])
@pytest.mark.parametrize("harm", ["cut", "flip", "gone"])
def test_a_damaged_file_is_a_sentence(store: TagStore, victim: str, harm: str) -> None:
    prepare(store)
    path = store.path(store.generations[0], victim)
    content = bytearray(path.read_bytes())
    if harm == "gone":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(b"")
    else:
        content[70] ^= 1
        path.write_bytes(content)
    with pytest.raises(StorageError, match="is damaged; remove it and prepare the list anew"):
        store.source()


def test_another_table_under_the_name_is_noticed(store: TagStore) -> None:
    prepare(store)
    path = store.path(store.generations[0], "tags")
    path.write_bytes(b"".join(table_parts(bytes(32), block_bits_for(1), [])))
    with pytest.raises(StorageError, match="is damaged; remove it and prepare the list anew"):
        store.source()


@pytest.mark.parametrize("place", [0, 9, -1])
def test_a_damaged_bucket_is_a_sentence_that_names_it(store: TagStore, place: int) -> None:
    prepare(store)
    bucket = next(store._bucket_folder(store.epoch).iterdir())
    content = bytearray(bucket.read_bytes())
    content[place] ^= 1
    bucket.write_bytes(content)
    with pytest.raises(StorageError, match=f"{bucket.name} is damaged; remove it and prepare the list anew"):
        prepare(store)
    bucket.unlink()
    assert prepare(store).computed > 0
    assert store.source().table.version == reference(store).table.version


def test_a_full_disk_leaves_the_old_generation(store: TagStore, monkeypatch: pytest.MonkeyPatch) -> None:
    before = prepare(store).generation

    def full(path: Path) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tag_store, "_writing", full)
    with pytest.raises(StorageError, match="cannot be used: No space left on device"):
        prepare(store, [*LISTED, "new"])
    assert store.generations == (before,)
    assert store.source().table.version == reference(store).table.version


# --- what a kill leaves ------------------------------------------------------------------------------------

SCRIPT = """
import sys
from pathlib import Path
from tongzhou.node import tag_store
tag_store._BUCKET_ROWS, tag_store._CHUNK_ROWS = 64, 256
store = tag_store.TagStore.open(Path(sys.argv[1]))
def progress(stage, done, total):
    print(stage, done, flush=True)
    if stage == sys.argv[2] and done >= int(sys.argv[3]):
        sys.stdin.readline()
listed = [f"c{n}" for n in range(300)]
batches = [listed[start : start + 100] for start in range(0, 300, 100)]
store.prepare(batches, 300, workers=int(sys.argv[4]), progress=progress)
"""


def killed_at(store: TagStore, stage: str, done: int, workers: int) -> list[str]:
    """Prepare in a process of its own that stops at a point of its progress, and kill it there.

    Returns:
        The processes that it had started and that still ran.
    """
    command = [sys.executable, "-c", SCRIPT, str(store.folder), stage, str(done), str(workers)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        for line in process.stdout:
            word, number = line.split()
            if word.decode() == stage and int(number) >= done:
                break
        else:
            raise AssertionError("it ended before it could be killed")
        return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.mark.parametrize(
    ("stage", "done", "kept"), [("sort", 200, 0), ("tags", 100, 100), ("tags", 300, 300), ("table", 2, 300)]
)
@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_preparation_goes_on_where_it_stopped(
    store: TagStore, stage: str, done: int, kept: int, workers: int
) -> None:
    killed_at(store, stage, done, workers)
    assert store.generations == ()
    with pytest.raises(NotFoundError):
        store.source()
    second = prepare(store)
    assert second.kept >= kept
    assert second.computed + second.kept == 300
    if stage == "tags" and done == 100:
        assert second.computed > 0
    assert store.source().table.version == reference(store).table.version
    assert not (store.folder / "spill").exists()
    assert not [path for path in store.folder.rglob("*") if path.name.endswith(".part")]


def test_a_kill_leaves_the_generation_that_was_there(store: TagStore) -> None:
    before = prepare(store, LISTED[:200]).generation
    killed_at(store, "table", 1, 0)
    assert store.generations == (before,)
    assert store.source().table.version == reference(store, LISTED[:200]).table.version
    assert prepare(store).computed == 0


def test_workers_do_not_outlive_a_killed_preparation(store: TagStore) -> None:
    """They end when their input ends."""
    workers = killed_at(store, "tags", 100, 2)
    assert len(workers) == 2
    for _ in range(500):
        if not any(_lives(worker) for worker in workers):
            return
        threading.Event().wait(0.02)
    raise AssertionError("a worker is still there")


def _lives(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- workers -----------------------------------------------------------------------------------------------


def test_a_worker_that_dies_is_a_sentence(store: TagStore, monkeypatch: pytest.MonkeyPatch) -> None:
    start = tag_pool._start

    def dying() -> Any:
        process = start()
        process.kill()
        process.wait()
        return process

    monkeypatch.setattr(tag_pool, "_start", dying)
    with pytest.raises(StorageError, match="a process that computes tags ended before it had answered"):
        prepare(store, workers=2)
    assert store.generations == ()


def test_a_worker_tells_what_went_wrong(store: TagStore, tmp_path: Path) -> None:
    job = BucketJob("clients", str(tmp_path / "no key"), str(tmp_path / "no spill"), (), str(tmp_path / "b"))
    done = list(tag_pool.run_buckets([], 1, lambda tags: None))
    assert done == []
    with pytest.raises(StorageError, match=r"tags could not be computed: there is no file .*no spill"):
        tag_pool.run_buckets([job], 1, lambda tags: None)
    with pytest.raises(NotFoundError, match=r"there is no file .*no spill"):
        run_bucket(job)


def test_repeats_write_no_bucket(store: TagStore, tmp_path: Path) -> None:
    (tmp_path / "spill").write_bytes(tag_worker.spilled([0, 1], [b"m" * 16] * 2, ["a", "a"]))
    job = BucketJob("clients", str(tmp_path / "key"), str(tmp_path / "spill"), (), str(tmp_path / "bucket"))
    assert run_bucket(job) == BucketDone(repeats=True)
    assert not (tmp_path / "bucket").exists()


# --- the asker's copy --------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path) -> FileTagCache:
    return FileTagCache(tmp_path / "copy.tags")


SMALL = b"".join(table_parts(bytes(32), 0, [np.array([1, 2], dtype=np.uint64)]))
OTHER = b"".join(table_parts(bytes(32), 0, [np.array([3], dtype=np.uint64)]))


def test_a_copy_is_kept_whole(cache: FileTagCache) -> None:
    assert cache.current() is None
    table = cache.replace([SMALL[:50], SMALL[50:]], SMALL[-32:])
    assert table.block(0).tolist() == [1, 2]
    assert FileTagCache(cache.path).current().version == SMALL[-32:]
    assert cache.replace([OTHER], OTHER[-32:]).block(0).tolist() == [3]
    # Who looked at the old copy still has it.
    assert table.block(0).tolist() == [1, 2]
    assert [path.name for path in cache.path.parent.iterdir()] == ["copy.tags"]


@pytest.mark.parametrize("content", [OTHER[:-1], OTHER + b"\0", b"", b"x" * 200])
def test_a_copy_that_came_wrong_leaves_the_old_one(cache: FileTagCache, content: bytes) -> None:
    cache.replace([SMALL], SMALL[-32:])
    with pytest.raises((ProtocolError, StorageError)):
        cache.replace([content], OTHER[-32:])
    with pytest.raises(ProtocolError, match="not the one that was announced"):
        cache.replace([OTHER], SMALL[-32:])
    assert cache.current().version == SMALL[-32:]
    assert [path.name for path in cache.path.parent.iterdir()] == ["copy.tags"]


def test_a_partner_that_breaks_off_leaves_the_old_copy(cache: FileTagCache) -> None:
    cache.replace([SMALL], SMALL[-32:])

    def parts() -> Any:
        yield OTHER[:60]
        raise ProtocolError("bank left")

    with pytest.raises(ProtocolError, match="bank left"):
        cache.replace(parts(), OTHER[-32:])
    assert cache.current().version == SMALL[-32:]
    assert [path.name for path in cache.path.parent.iterdir()] == ["copy.tags"]


def test_a_damaged_copy_is_as_none(cache: FileTagCache) -> None:
    for content in (SMALL[:-1], b"", SMALL[:40] + b"!" + SMALL[41:]):
        cache.path.write_bytes(content)
        assert cache.current() is None


def test_a_disk_that_takes_nothing_is_a_sentence(tmp_path: Path) -> None:
    cache = FileTagCache(tmp_path / "nowhere" / "copy")
    with pytest.raises(StorageError, match="was not written: No such file or directory"):
        cache.replace([SMALL], SMALL[-32:])
