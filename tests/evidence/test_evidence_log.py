import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongzhou.evidence import (
    Draft,
    EvidenceCheckError,
    EvidenceConflictError,
    EvidenceFormatError,
    EvidenceNotFoundError,
    EvidenceStoreError,
    Log,
    verify_log,
)
from tongzhou.evidence.checkpoint import open_checkpoint, parse_checkpoint_text
from tongzhou.evidence.cosignature import cosign
from tongzhou.evidence.leaf import commit
from tongzhou.evidence.merkle import leaf_hash, tree_root, verify_consistency
from tongzhou.evidence.note import parse_note, parse_vkey

RECORD = {"rows": 27000, "parties": ["bank", "cardnet"], "note": "授权"}


def test_entries_come_back_in_order(world) -> None:
    log = world.new_log()
    assert log.append(RECORD, kind="job/receipt", key="run-1") == 0
    assert log.append({"n": 2}, kind="grant", key="g-1") == 1
    assert log.append_many([Draft({"n": i}, "decision", f"d-{i}") for i in range(3)]) == [2, 3, 4]
    assert [(entry.index, entry.kind, entry.key) for entry in log.entries(1, 4)] == [
        (1, "grant", "g-1"),
        (2, "decision", "d-0"),
        (3, "decision", "d-1"),
    ]
    assert log.payload(0) == RECORD
    assert log.find("grant", "g-1") == 1
    assert log.find("grant", "run-1") is None
    assert log.size == len(list(log.entries())) == 5


def test_the_tree_is_over_the_leaves(world) -> None:
    log = world.new_log()
    log.append_many([Draft({"n": i}, "decision", f"d-{i}") for i in range(600)])
    leaves = [leaf_hash(entry.row.leaf.encode()) for entry in log.entries()]
    assert log.root() == tree_root(leaves)
    assert log.root(300) == tree_root(leaves[:300])
    verify_consistency(300, 600, log.root(300), log.root(600), log.consistency(300, 600))


def test_a_leaf_commits_and_hides(world) -> None:
    log = world.new_log()
    log.append({"secret": "invoice 4711"}, kind="grant", key="key-of-a-client")
    entry = log.entry(0)
    assert entry.leaf.commitment == commit(entry.row.salt, entry.row.body)
    assert "4711" not in entry.row.leaf
    assert "key-of-a-client" not in entry.row.leaf
    assert (entry.leaf.kind, entry.time) == ("grant", int(world.clock.now))


def test_the_same_entry_again_is_the_same_entry(world) -> None:
    log = world.new_log()
    first = log.append(RECORD, kind="grant", key="g")
    world.clock.now += 100
    assert log.append(dict(reversed(RECORD.items())), kind="grant", key="g") == first
    assert log.append(RECORD, kind="other", key="g") == 1
    assert log.append_many(
        [Draft(RECORD, "grant", "g"), Draft({"a": 1}, "x", "y"), Draft({"a": 1}, "x", "y")]
    ) == [
        0,
        2,
        2,
    ]
    assert log.size == 3


def test_other_content_under_a_key_is_refused_and_nothing_is_written(world) -> None:
    log = world.new_log()
    log.append(RECORD, kind="grant", key="g")
    with pytest.raises(
        EvidenceConflictError, match="entry 0 already has this kind grant and key, with another record"
    ):
        log.append_many([Draft({"a": 1}, "new", "n"), Draft({"rows": 1}, "grant", "g")])
    assert log.size == 1
    with pytest.raises(EvidenceConflictError, match="entry 1 already has this kind x"):
        log.append_many([Draft({"a": 1}, "x", "y"), Draft({"a": 2}, "x", "y")])
    assert log.size == 1


def test_a_shared_salt_makes_the_same_commitment_in_two_logs(world, signer, tmp_path: Path) -> None:
    bank = world.new_log()
    other = signer("cardnet.example/log", 5)
    with Log.create(tmp_path / "other.db", other.name, other, clock=world.clock) as partner:
        for log in (bank, partner):
            log.append(RECORD, kind="job/receipt", key="run-1", salt=bytes(range(32)))
        assert bank.entry(0).leaf == partner.entry(0).leaf
    assert bank.append(RECORD, kind="job/receipt", key="run-1") == 0
    with pytest.raises(EvidenceConflictError, match="with another record or salt"):
        bank.append(RECORD, kind="job/receipt", key="run-1", salt=bytes(32))
    with pytest.raises(EvidenceFormatError, match="a salt has 5 bytes"):
        bank.append(RECORD, kind="job/receipt", key="run-2", salt=b"short")


@pytest.mark.parametrize(
    ("draft", "sentence"),
    [
        (Draft({"rate": 0.5}, "grant", "g"), r"record\.record\.rate is a fraction"),
        (Draft({"a": 1}, "Grant", "g"), "the kind of an entry"),
        (Draft({"a": 1}, "grant", ""), "the key of an entry"),
    ],
)
def test_bad_entries_are_refused_before_anything_is_written(world, draft: Draft, sentence: str) -> None:
    log = world.new_log()
    with pytest.raises(EvidenceFormatError, match=sentence):
        log.append_many([Draft({"a": 1}, "grant", "good"), draft])
    assert log.size == 0


def test_time_never_runs_back(world) -> None:
    log = world.new_log()
    log.append({"n": 1}, kind="a", key="1")
    world.clock.now -= 3600
    log.append({"n": 2}, kind="a", key="2")
    world.clock.now += 7200.9
    log.append({"n": 3}, kind="a", key="3")
    times = [entry.time for entry in log.entries()]
    assert times == [1_700_000_000, 1_700_000_000, 1_700_003_600]


def test_checkpoints_sign_the_tree_and_are_kept(world) -> None:
    log = world.new_log()
    log.append({"n": 1}, kind="a", key="1")
    note = log.checkpoint()
    head = open_checkpoint(note, world.bank.name, [parse_vkey(world.bank.vkey)])
    assert (head.size, head.root) == (1, log.root())
    assert log.checkpoint() == note
    log.append({"n": 2}, kind="a", key="2")
    assert parse_checkpoint_text(parse_note(log.checkpoint()).text).size == 2
    assert log.stored_checkpoint(1) == (1, note)
    with pytest.raises(EvidenceNotFoundError, match=r"the log bank\.example/log has no such checkpoint yet"):
        log.stored_checkpoint(7)


def test_an_empty_log_has_a_checkpoint_too(world) -> None:
    log = world.new_log()
    assert log.checkpoint().startswith("bank.example/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")
    assert log.stored_checkpoint(0)[0] == 0


def test_reopening_finds_everything(world) -> None:
    log = world.new_log()
    log.append_many([Draft({"n": i}, "decision", f"d-{i}") for i in range(700)])
    note, root = log.checkpoint(), log.root()
    log.close()
    again = world.open_log()
    assert (again.size, again.root(), again.checkpoint()) == (700, root, note)
    assert again.append({"n": 3}, kind="decision", key="d-3") == 3
    assert again.append({"n": 700}, kind="decision", key="d-700") == 700


def test_without_its_key_a_log_can_be_read_and_extended_but_not_signed(world) -> None:
    world.new_log().close()
    log = Log.open(world.path)
    assert log.append({"n": 1}, kind="a", key="1") == 0
    with pytest.raises(EvidenceStoreError, match=r"the log bank\.example/log was opened without its key"):
        log.checkpoint()
    log.close()


def test_opening_with_another_key_or_name_is_refused(world, signer) -> None:
    world.new_log().close()
    with pytest.raises(EvidenceConflictError, match="belongs to another key"):
        world.open_log(signer=signer(world.bank.name, 9))
    with pytest.raises(
        EvidenceConflictError, match=r"the signer's name other is not the log's origin bank\.example/log"
    ):
        world.open_log(signer=signer("other", 1))
    with pytest.raises(EvidenceConflictError, match="the signer's name"):
        Log.create(world.folder / "x.db", "other", world.bank)
    assert not (world.folder / "x.db").exists()


def test_what_exists_is_not_overwritten(world) -> None:
    log = world.new_log()
    log.append({"n": 1}, kind="a", key="1")
    log.close()
    before = world.path.read_bytes()
    with pytest.raises(EvidenceConflictError, match="exists already; it is not overwritten"):
        world.new_log()
    assert world.path.read_bytes() == before
    assert [path.name for path in world.folder.iterdir()] == ["log.db"]


def test_the_file_is_for_its_owner_only(world) -> None:
    world.new_log()
    assert stat.S_IMODE(world.path.stat().st_mode) == 0o600


def test_opening_what_is_no_log(world, tmp_path: Path) -> None:
    with pytest.raises(EvidenceNotFoundError, match="there is no file"):
        world.open_log()
    world.path.write_bytes(b"rubbish" * 1000)
    with pytest.raises(EvidenceStoreError, match="is damaged: file is not a database"):
        world.open_log()
    world.path.write_bytes(b"")
    with pytest.raises(EvidenceStoreError, match="is not an evidence log of this version"):
        world.open_log()
    with pytest.raises(EvidenceStoreError, match="cannot be used"):
        Log.create(tmp_path / "no" / "such" / "folder.db", world.bank.name, world.bank)


def test_opening_compares_the_tree_with_what_was_signed(world) -> None:
    log = world.new_log()
    log.append_many([Draft({"n": i}, "a", str(i)) for i in range(5)])
    log.checkpoint()
    log.close()
    raw = world.path.read_bytes()
    at = raw.index(b"2023-11-14T22:13:20Z")
    world.path.write_bytes(raw[:at] + b"2023-11-14T22:13:21Z" + raw[at + 20 :])
    with pytest.raises(EvidenceCheckError, match="the first 5 entries do not have the root that was signed"):
        world.open_log()


def test_cosignatures_are_stored_once_and_checked(world) -> None:
    log = world.new_log()
    with pytest.raises(EvidenceNotFoundError, match="has no such checkpoint yet"):
        log.add_cosignature(cosign("x\n", world.partner, 5))
    log.append({"n": 1}, kind="a", key="1")
    text = parse_note(log.checkpoint()).text
    good = cosign(text, world.partner, 100)
    with pytest.raises(EvidenceCheckError, match="the signature by cardnet"):
        log.add_cosignature(cosign("other\n", world.partner, 100), witness_key=world.partner.witness_vkey)
    with pytest.raises(EvidenceFormatError, match="a signature line has the form"):
        log.add_cosignature("rubbish")
    with pytest.raises(EvidenceNotFoundError, match="and 1 cosignatures"):
        log.cosigned_checkpoint(quorum=1)
    assert log.last_cosigned(world.partner.witness_vkey) == 0
    log.add_cosignature(good, witness_key=world.partner.witness_vkey)
    log.add_cosignature(cosign(text, world.partner, 200))
    assert log.cosigned_checkpoint(quorum=1) == log.checkpoint() + good
    assert log.last_cosigned(world.partner.witness_vkey) == 1
    log.append({"n": 2}, kind="a", key="2")
    log.checkpoint()
    assert log.cosigned_checkpoint(quorum=1).startswith(text)
    assert parse_checkpoint_text(parse_note(log.cosigned_checkpoint()).text).size == 2
    with pytest.raises(EvidenceNotFoundError, match="has 2 entries or more and 1 cosignatures"):
        log.cosigned_checkpoint(quorum=1, covering=2)


def test_asking_for_what_is_not_there(world) -> None:
    log = world.new_log()
    with pytest.raises(EvidenceNotFoundError, match=r"the log bank\.example/log has no entry 0"):
        log.payload(0)
    with pytest.raises(EvidenceNotFoundError, match="has no entry -1"):
        log.entry(-1)
    with pytest.raises(EvidenceNotFoundError, match="the log has 0 entries, not 4"):
        log.consistency(1, 4)
    with pytest.raises(EvidenceNotFoundError, match="the log has 0 entries, not -1"):
        log.root(-1)


def test_threads_share_one_log(world) -> None:
    log = world.new_log()

    def work(number: int) -> None:
        for turn in range(20):
            log.append({"n": turn}, kind="a", key=f"{number}-{turn}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.checkpoint()
    log.close()
    assert verify_log(world.path, log_key=world.bank.vkey).entries == 80


def test_two_openers_of_one_file_extend_the_same_tree(world) -> None:
    one = world.new_log()
    two = world.open_log()
    for number in range(300):
        (one, two)[number % 2].append({"n": number}, kind="a", key=str(number))
        if number % 50 == 0:
            (two, one)[number % 2].checkpoint()
    assert one.root() == two.root()
    assert one.checkpoint() == two.checkpoint()
    assert two.append({"n": 0}, kind="a", key="0") == 0
    one.close()
    two.close()
    assert verify_log(world.path, log_key=world.bank.vkey).checkpoints == 7


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["append", "checkpoint", "reopen"])), max_size=12)
)
def test_any_history_verifies(
    tmp_path_factory: pytest.TempPathFactory, signer, steps: list[tuple[int, str]]
) -> None:
    bank = signer("bank", 1)
    path = tmp_path_factory.mktemp("history") / "log.db"
    log = Log.create(path, bank.name, bank)
    seen: dict[str, int] = {}
    for number, step in steps:
        if step == "append":
            keys = [f"k{(number * 7 + i) % 30}" for i in range(number)]
            for key, index in zip(
                keys, log.append_many(Draft({"k": key}, "a", key) for key in keys), strict=True
            ):
                assert seen.setdefault(key, index) == index
        elif step == "checkpoint":
            log.checkpoint()
        else:
            log.close()
            log = Log.open(path, bank)
    log.close()
    assert verify_log(path, log_key=bank.vkey).entries == len(seen)
