"""The checker: what it reports, and what it says of a log that was changed through SQL."""

import ast
import sqlite3
from pathlib import Path

import pytest

from tongzhou.evidence import (
    Draft,
    EvidenceCheckError,
    EvidenceConflictError,
    EvidenceError,
    EvidenceFormatError,
    EvidenceNotFoundError,
    EvidenceStoreError,
    Log,
    checker,
    copy_tampered,
    gather_cosignature,
    verify_log,
)
from tongzhou.evidence.checker import read_image, verify_image
from tongzhou.evidence.cosignature import cosign
from tongzhou.evidence.leaf import Leaf, build_body, commit


def fill(world, *, steps: tuple[int, ...] = (3, 4, 300)) -> Log:
    """A closed log with a cosigned checkpoint after each step."""
    log, witness = world.new_log(), world.witness()
    for count in steps:
        log.append_many([Draft({"n": i}, "decision", f"d-{i}") for i in range(log.size, log.size + count)])
        log.checkpoint()
        gather_cosignature(log, witness.add_checkpoint, witness_key=world.partner.witness_vkey)
    log.close()
    return log


def verify(world, **more: object):
    options = {"log_key": world.bank.vkey, "witness_keys": world.witness_keys, "quorum": 1, **more}
    return verify_log(world.path, **options)


def change(world, *statements: str, values: tuple[object, ...] = ()) -> None:
    connection = sqlite3.connect(world.path, isolation_level=None)
    connection.execute("PRAGMA secure_delete=ON")
    for statement in statements:
        connection.execute(statement, values)
    connection.close()


def test_a_good_log_is_reported(world) -> None:
    fill(world)
    report = verify(world)
    assert (report.origin, report.entries, report.signed_size, report.checkpoints) == (
        "bank.example/log",
        307,
        307,
        3,
    )
    assert (report.witnessed_size, report.cosignatures, report.unknown_cosignatures) == (
        307,
        {"cardnet": 3},
        0,
    )
    blind = verify_log(world.path, log_key=world.bank.vkey)
    assert (blind.cosignatures, blind.unknown_cosignatures, blind.root) == ({}, 3, report.root)


def test_entries_after_the_last_checkpoint_are_reported_as_unsigned(world) -> None:
    fill(world, steps=(3,))
    with world.open_log() as log:
        log.append({"n": 9}, kind="decision", key="d-9")
    report = verify(world)
    assert (report.entries, report.signed_size, report.witnessed_size) == (4, 3, 3)


def test_an_empty_log_verifies(world) -> None:
    world.new_log().close()
    report = verify_log(world.path, log_key=world.bank.vkey)
    assert (report.entries, report.checkpoints) == (0, 0)


def test_a_log_in_use_can_be_checked_and_its_newest_entries_too(world) -> None:
    log = world.new_log()
    for number in range(5):
        log.append({"n": number}, kind="a", key=str(number))
        assert verify_log(world.path, log_key=world.bank.vkey).entries == number + 1
    log.checkpoint()
    assert verify_log(world.path, log_key=world.bank.vkey).signed_size == 5


def test_checking_changes_nothing(world) -> None:
    fill(world)
    before = {path.name: path.read_bytes() for path in world.folder.iterdir() if path.name.startswith("log")}
    verify(world)
    after = {path.name: path.read_bytes() for path in world.folder.iterdir() if path.name.startswith("log")}
    assert before == after


ENTRY_CHANGES = [
    (
        "UPDATE bodies SET body = replace(body, '\"n\":5', '\"n\":6') WHERE idx = 5",
        5,
        "the stored record is not what",
    ),
    (
        "UPDATE bodies SET body = replace(body, 'd-5', 'd-6') WHERE idx = 5",
        5,
        "the stored record is not what",
    ),
    ("UPDATE bodies SET salt = zeroblob(32) WHERE idx = 2", 2, "the stored record is not what"),
    ("UPDATE bodies SET salt = zeroblob(31) WHERE idx = 2", 2, "a salt has 31 bytes"),
    ("UPDATE bodies SET body = '{' WHERE idx = 2", 2, "the stored record is not what"),
    ("UPDATE entries SET kind = 'grant' WHERE idx = 300", 300, "kind, key or time differ"),
    ("UPDATE entries SET key = 'x' WHERE idx = 300", 300, "kind, key or time differ"),
    ("UPDATE entries SET time = time + 1 WHERE idx = 300", 300, "kind, key or time differ"),
    ("UPDATE entries SET leaf = replace(leaf, 'v1', 'v2') WHERE idx = 0", 0, "is not of the required form"),
    ("UPDATE entries SET leaf = leaf || 'x' WHERE idx = 0", 0, "is not of the required form"),
    ("DELETE FROM bodies WHERE idx = 7", 7, "entry 7 is missing, or only half of it is there"),
    ("DELETE FROM entries WHERE idx = 7", 7, "entry 7 is missing, or only half of it is there"),
    ("DELETE FROM entries WHERE idx = 306", 306, "entry 306 is missing, or only half of it is there"),
    ("UPDATE entries SET idx = 900 WHERE idx = 306", 306, "entry 306 is missing"),
]


@pytest.mark.parametrize(("statement", "index", "sentence"), ENTRY_CHANGES)
def test_a_changed_entry_is_named(world, statement: str, index: int, sentence: str) -> None:
    fill(world)
    change(world, statement)
    with pytest.raises(EvidenceCheckError, match=sentence) as caught:
        verify(world)
    assert caught.value.index == index


def forge(world, index: int, record: dict[str, object], *, tile: bool = False) -> None:
    """Replace an entry by another one that is right in itself: body, salt and leaf fit together."""
    body, salt = build_body(f"d-{index}", record), bytes(32)
    leaf = Leaf("decision", int(world.clock.now), commit(salt, body)).text
    change(world, "UPDATE entries SET leaf = ? WHERE idx = ?", values=(leaf, index))
    change(world, "UPDATE bodies SET salt = ?, body = ? WHERE idx = ?", values=(salt, body, index))
    if tile:
        change(world, "DELETE FROM tiles")


def test_a_forged_entry_differs_from_its_tile(world) -> None:
    fill(world)
    forge(world, 100, {"n": 1})
    with pytest.raises(
        EvidenceCheckError, match="entry 100 is not the one that was signed: the tree of 307"
    ) as caught:
        verify(world)
    assert caught.value.index == 100


def test_a_forged_entry_outside_tiles_is_bracketed_by_checkpoints(world) -> None:
    fill(world, steps=(3, 4, 1))
    forge(world, 5, {"n": 1})
    with pytest.raises(EvidenceCheckError, match="one of the entries 3 to 6 is not the one that was signed"):
        verify(world)
    forge(world, 5, {"n": 5})  # still another salt
    change(world, "DELETE FROM checkpoints WHERE size = 7", "DELETE FROM cosignatures WHERE size = 7")
    with pytest.raises(EvidenceCheckError, match="one of the entries 3 to 7 is not"):
        verify(world)


def test_a_forged_entry_alone_under_its_checkpoint_is_named(world) -> None:
    fill(world, steps=(3, 4, 1))
    forge(world, 7, {"n": 1})
    with pytest.raises(EvidenceCheckError, match="one of the entries 7 to 7 is not") as caught:
        verify(world)
    assert caught.value.index == 7


def test_a_cut_log_misses_entries_that_it_signed(world) -> None:
    fill(world, steps=(3, 4))
    change(world, "DELETE FROM entries WHERE idx > 4", "DELETE FROM bodies WHERE idx > 4")
    with pytest.raises(
        EvidenceCheckError, match="has 5 entries, but it signed a checkpoint of 7: entries are missing"
    ):
        verify(world)


def test_a_log_cut_with_its_checkpoints_is_found_by_a_checkpoint_held_elsewhere(world) -> None:
    held = fill_and_hold(world)
    change(
        world,
        "DELETE FROM entries WHERE idx > 2",
        "DELETE FROM bodies WHERE idx > 2",
        "DELETE FROM checkpoints WHERE size > 3",
        "DELETE FROM cosignatures WHERE size > 3",
    )
    with pytest.raises(EvidenceCheckError, match="has 3 entries, but it signed a checkpoint of 7"):
        verify(world, held=[held])


def fill_and_hold(world) -> str:
    log = world.new_log()
    witness = world.witness()
    for count in (3, 4):
        log.append_many([Draft({"n": i}, "decision", f"d-{i}") for i in range(log.size, log.size + count)])
        log.checkpoint()
        gather_cosignature(log, witness.add_checkpoint, witness_key=world.partner.witness_vkey)
    log.close()
    return witness.latest(world.bank.name)


def test_a_second_history_is_found_by_a_checkpoint_held_elsewhere(world, tmp_path_factory) -> None:
    held = fill_and_hold(world)
    assert verify(world, held=[held]).entries == 7
    path = tmp_path_factory.mktemp("fork") / "log.db"
    with Log.create(path, world.bank.name, world.bank, clock=world.clock) as fork:
        fork.append_many([Draft({"n": -i}, "decision", f"d-{i}") for i in range(9)])
        fork.checkpoint()
    assert verify_log(path, log_key=world.bank.vkey).entries == 9
    with pytest.raises(EvidenceCheckError, match="one of the entries 0 to 6 is not the one that was signed"):
        verify_log(path, log_key=world.bank.vkey, held=[held])
    with pytest.raises(EvidenceFormatError, match="a note needs a text"):
        verify_log(path, log_key=world.bank.vkey, held=["rubbish"])


OTHER_CHANGES = [
    ("UPDATE tiles SET hashes = zeroblob(8192)", "stored tile 0 does not follow from the entries"),
    ("UPDATE tiles SET seq = 1", "stored tile 0 does not follow from the entries"),
    ("DELETE FROM tiles", "stored tile 0 does not follow from the entries"),
    ("INSERT INTO tiles SELECT seq + 1, hashes FROM tiles", "stored tile 1 does not follow from the entries"),
    (
        "UPDATE checkpoints SET note = replace(note, '307', '306')",
        "checkpoint of 307 entries is wrong: the signature by",
    ),
    ("UPDATE checkpoints SET note = 'x'", "the stored checkpoint of 3 entries is wrong: a note needs a text"),
    ("UPDATE checkpoints SET size = 8 WHERE size = 7", "the stored checkpoint of 8 entries is one of 7"),
    (
        "UPDATE cosignatures SET line = replace(line, 'cardnet', 'cardnex')",
        "cosignature 1 is wrong: it was changed",
    ),
    (
        "UPDATE cosignatures SET size = 7 WHERE seq = 1",
        "stored cosignature 1 is wrong: it was changed in the store",
    ),
    (
        "UPDATE cosignatures SET digest = zeroblob(32) WHERE seq = 2",
        "stored cosignature 2 is wrong: it was changed",
    ),
    ("DELETE FROM checkpoints WHERE size = 3", "stored cosignature 1 is wrong: it was changed in the store"),
    ("DELETE FROM cosignatures", "no checkpoint is cosigned by 1 of the 1 known witnesses"),
    (
        "UPDATE about SET origin = 'other'",
        r"the file is not the log of bank\.example/log under the given key",
    ),
    ("DELETE FROM about", r"the file is not the log of bank\.example/log under the given key"),
    ("INSERT INTO about SELECT * FROM about", r"the file is not the log of bank\.example/log"),
    ("CREATE TABLE more(x)", "the store is damaged at byte"),
    ("CREATE INDEX more ON entries(time)", "the store is damaged at byte"),
    ("DROP TABLE cosignatures", "the store is damaged at byte"),
    ("PRAGMA user_version = 7", "the store is damaged at byte 96"),
    ("PRAGMA application_id = 7", "the store is damaged at byte 68"),
]


@pytest.mark.parametrize(("statement", "sentence"), OTHER_CHANGES)
def test_what_follows_from_entries_is_compared(world, statement: str, sentence: str) -> None:
    fill(world)
    change(world, statement)
    with pytest.raises(EvidenceCheckError, match=sentence):
        verify(world)


def test_a_forged_cosignature_is_found_with_the_key_of_the_witness(world) -> None:
    log = world.new_log()
    log.append({"n": 1}, kind="a", key="1")
    log.checkpoint()
    log.add_cosignature(cosign("another text\n", world.partner, 5))
    log.close()
    with pytest.raises(EvidenceCheckError, match="stored cosignature 1 is wrong: the signature by cardnet"):
        verify(world)
    assert verify_log(world.path, log_key=world.bank.vkey).unknown_cosignatures == 1


def test_an_older_entry_after_a_newer_one(world) -> None:
    log = world.new_log()
    log.append({"n": 1}, kind="decision", key="d-0")
    log.append({"n": 1}, kind="decision", key="d-1")
    log.close()
    world.clock.now -= 50
    forge(world, 1, {"n": 1})
    change(world, "UPDATE entries SET time = time - 50 WHERE idx = 1")
    with pytest.raises(EvidenceCheckError, match=r"entry 1 \(decision\) is older than the one before"):
        verify_log(world.path, log_key=world.bank.vkey)


def test_a_key_that_is_not_the_logs(world, signer) -> None:
    fill(world, steps=(2,))
    with pytest.raises(EvidenceCheckError, match="the file is not the log of other under the given key"):
        verify(world, log_key=signer("other", 1).vkey)
    with pytest.raises(EvidenceCheckError, match="the file is not the log of"):
        verify(world, log_key=signer(world.bank.name, 9).vkey)
    with pytest.raises(EvidenceFormatError, match="has type 0x04, but type 0x01 is needed"):
        verify(world, log_key=world.partner.witness_vkey)
    with pytest.raises(EvidenceFormatError, match="two witnesses have the same key"):
        verify(world, witness_keys={"a": world.partner.witness_vkey, "b": world.partner.witness_vkey})


def test_files_that_are_no_logs(world) -> None:
    with pytest.raises(EvidenceNotFoundError, match="there is no file"):
        verify(world)
    for rubbish in (b"", b"x", b"SQLite format 3\x00", b"rubbish" * 5000):
        world.path.write_bytes(rubbish)
        with pytest.raises(EvidenceCheckError, match="the store is damaged at byte"):
            verify(world)
    fill_path = world.folder / "other"
    fill_path.mkdir()
    world.path.unlink()
    world.path.mkdir()
    with pytest.raises(EvidenceNotFoundError, match="there is no file"):
        verify(world)


@pytest.mark.parametrize("length", [99, 100, 4096, 8192, 20_000])
def test_a_truncated_file(world, length: int) -> None:
    fill(world)
    raw = world.path.read_bytes()
    world.path.write_bytes(raw[:length])
    with pytest.raises(EvidenceCheckError, match="the store is damaged at byte"):
        verify(world)
    world.path.write_bytes(raw + bytes(4096))
    with pytest.raises(EvidenceCheckError, match="the store is damaged at byte 28"):
        verify(world)


def test_a_wal_that_cannot_be_read_is_a_sentence(world) -> None:
    fill(world, steps=(2,))
    world.path.write_bytes(b"rubbish" * 100)
    world.path.with_name("log.db-wal").write_bytes(b"x" * 100)
    with pytest.raises(EvidenceStoreError, match="cannot be used"):
        read_image(world.path)


def test_a_tampered_copy_is_found_and_the_entry_named(world) -> None:
    fill(world)
    copy = world.folder / "tampered.db"
    done = copy_tampered(world.path, copy)
    raw, changed = world.path.read_bytes(), copy.read_bytes()
    assert [i for i, (one, other) in enumerate(zip(raw, changed, strict=True)) if one != other] == [
        done.offset
    ]
    assert (raw[done.offset], changed[done.offset]) == (done.before, done.after)
    with pytest.raises(
        EvidenceCheckError, match=r"entry 153 \(decision\): the stored record is not"
    ) as caught:
        verify_log(copy, log_key=world.bank.vkey)
    assert caught.value.index == done.index == 153
    assert verify(world).entries == 307


def test_a_tampered_copy_of_a_log_in_use(world) -> None:
    log = world.new_log()
    log.append_many([Draft({"text": "x" * 9000 + "no digit"}, "a", f"k-{i}") for i in range(3)])
    done = copy_tampered(world.path, world.folder / "copy.db", index=2)
    with pytest.raises(EvidenceCheckError, match="entry 2"):
        verify_log(done.path, log_key=world.bank.vkey)
    with pytest.raises(EvidenceConflictError, match="exists already"):
        copy_tampered(world.path, done.path)
    with pytest.raises(EvidenceNotFoundError, match="the log has no entry 3"):
        copy_tampered(world.path, world.folder / "more.db", index=3)


def test_larger_logs_of_several_page_levels_verify(world) -> None:
    log = world.new_log()
    for step in range(6):
        log.append_many(
            [
                Draft({"n": i, "t": "y" * (i % 900)}, f"kind-{i % 5}", f"{i * 7919 % 10007}")
                for i in range(step * 900, step * 900 + 900)
            ]
        )
        log.checkpoint()
    log.close()
    assert verify_log(world.path, log_key=world.bank.vkey).entries == 5400


@pytest.mark.parametrize("size", [0, 10, 4096])
def test_long_records_reach_into_overflow_pages(world, size: int) -> None:
    log = world.new_log()
    log.append({"t": "z" * (size * 20 + 3000)}, kind="a", key="k")
    log.append({"t": "z" * (size * 20 + 9000)}, kind="a", key="k2")
    log.close()
    raw = bytearray(world.path.read_bytes())
    assert verify_image(bytes(raw), log_key=world.bank.vkey).entries == 2
    raw[raw.rindex(b"zzzz")] ^= 1
    with pytest.raises(EvidenceCheckError, match="entry 1") as caught:
        verify_image(bytes(raw), log_key=world.bank.vkey)
    assert caught.value.index == 1


def test_the_checker_does_not_lean_on_the_log() -> None:
    """Independence: no module of the checker imports the log, its store, its tree or its tiles."""
    folder = Path(checker.__file__).parent
    for name in ("checker", "_records", "_pages"):
        tree = ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))
        used = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        for part in ("log", "store", "sqlite_store", "tree", "tiles", "witness", "_sqlite"):
            assert f"tongzhou.evidence.{part}" not in used


def test_errors_are_of_one_family() -> None:
    for kind in (EvidenceCheckError, EvidenceConflictError, EvidenceFormatError, EvidenceNotFoundError):
        error = kind("entry {index} of {what}", index=3, what="x")
        assert isinstance(error, EvidenceError)
        assert (error.template, error.values, str(error)) == (
            "entry {index} of {what}",
            {"index": 3, "what": "x"},
            "entry 3 of x",
        )
    assert EvidenceCheckError("x").index is None
