"""The witness protocol: the matrix of statuses, memory, races, and how a log gathers cosignatures."""

import sqlite3
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.evidence import (
    Draft,
    EvidenceCheckError,
    EvidenceError,
    EvidenceFormatError,
    EvidenceStoreError,
    Log,
    Witness,
    WitnessAnswer,
    gather_cosignature,
)
from tongzhou.evidence.checkpoint import Checkpoint, sign_checkpoint
from tongzhou.evidence.cosignature import cosign, cosigned_by
from tongzhou.evidence.merkle import EMPTY_ROOT
from tongzhou.evidence.note import parse_note, sign_note
from tongzhou.evidence.witness import SIZE_CONTENT_TYPE, build_request, parse_request


def grow(log: Log, count: int) -> str:
    log.append_many([Draft({"n": i}, "a", str(i)) for i in range(log.size, log.size + count)])
    return log.checkpoint()


def request(log: Log, old: int) -> str:
    size, note = log.stored_checkpoint()
    return build_request(old, log.consistency(old, size), note)


def test_a_growing_log_is_cosigned_step_by_step(world) -> None:
    log, witness = world.new_log(), world.witness()
    size = 0
    for count in (1, 1, 5, 300):
        note = grow(log, count)
        world.clock.now += 10
        answer = witness.add_checkpoint(request(log, size))
        assert answer.status == 200
        size += count
        cosigned = parse_note(note + answer.body)
        assert cosigned_by(cosigned, world.witness_keys) == {"cardnet": int(world.clock.now)}
        assert witness.latest(world.bank.name) == note + answer.body


def test_the_same_checkpoint_may_be_cosigned_again(world) -> None:
    log, witness = world.new_log(), world.witness()
    note = grow(log, 3)
    first = witness.add_checkpoint(request(log, 0))
    world.clock.now += 60
    again = witness.add_checkpoint(build_request(3, [], note))
    assert (first.status, again.status) == (200, 200)
    assert first.body != again.body


def test_an_empty_log_is_cosigned(world) -> None:
    log, witness = world.new_log(), world.witness()
    log.checkpoint()
    assert witness.add_checkpoint(request(log, 0)).status == 200
    grow(log, 2)
    assert witness.add_checkpoint(request(log, 0)).status == 200


def test_404_for_a_log_that_is_not_watched(world, signer) -> None:
    other = signer("other.example/log", 4)
    note = sign_checkpoint(Checkpoint(other.name, 0, EMPTY_ROOT), other)
    answer = world.witness().add_checkpoint(build_request(0, [], note))
    assert (answer.status, answer.body) == (404, "this witness does not watch that log\n")


def test_403_without_a_signature_by_the_log(world, signer) -> None:
    text = Checkpoint(world.bank.name, 0, EMPTY_ROOT).text
    note = sign_note(text, signer("stranger", 4))
    answer = world.witness().add_checkpoint(build_request(0, [], note))
    assert answer.status == 403
    assert "not signed by bank.example/log" in answer.body


def test_403_with_a_wrong_signature_by_the_log(world) -> None:
    good = sign_checkpoint(Checkpoint(world.bank.name, 0, EMPTY_ROOT), world.bank)
    other = sign_note("other text\n", world.bank)
    note = good.partition("\n\n")[0] + "\n\n" + other.partition("\n\n")[2]
    answer = world.witness().add_checkpoint(build_request(0, [], note))
    assert answer.status == 403
    assert "the signature by bank.example/log is wrong" in answer.body


def test_400_when_the_old_size_is_beyond_the_checkpoint(world) -> None:
    log, witness = world.new_log(), world.witness()
    note = grow(log, 3)
    answer = witness.add_checkpoint(build_request(4, [], note))
    assert (answer.status, answer.body) == (400, "the old size is larger than the checkpoint's\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "old 0\n",
        "new 0\n\n",
        "old 00\n\nx\n",
        "old -1\n\nx\n",
        "old 0\nrubbish\n\nx\n",
        "old 0\n\nx\n",
        "old\n\nx",
    ],
)
def test_400_for_what_is_no_request(world, text: str) -> None:
    assert world.witness().add_checkpoint(text).status == 400


def test_400_for_more_than_63_hashes(world) -> None:
    log = world.new_log()
    note = grow(log, 3)
    answer = world.witness().add_checkpoint(build_request(1, [bytes(32)] * 64, note))
    assert answer.status == 400
    assert "a proof has 64 hashes; at most 63 are read" in answer.body


def test_409_tells_the_size_that_the_witness_has_seen(world) -> None:
    log, witness = world.new_log(), world.witness()
    grow(log, 3)
    witness.add_checkpoint(request(log, 0))
    grow(log, 3)
    for old in (0, 2, 4, 6):
        answer = witness.add_checkpoint(request(log, old))
        assert (answer.status, answer.body, answer.content_type) == (409, "3\n", SIZE_CONTENT_TYPE)


def test_422_for_an_empty_tree_with_another_root(world) -> None:
    note = sign_checkpoint(Checkpoint(world.bank.name, 0, bytes(32)), world.bank)
    assert world.witness().add_checkpoint(build_request(0, [], note)).status == 422


def test_422_for_a_proof_from_nothing(world) -> None:
    log = world.new_log()
    note = grow(log, 3)
    assert world.witness().add_checkpoint(build_request(0, [bytes(32)], note)).status == 422


def test_422_for_a_wrong_proof(world) -> None:
    log, witness = world.new_log(), world.witness()
    grow(log, 3)
    witness.add_checkpoint(request(log, 0))
    note = grow(log, 3)
    proof = log.consistency(3, 6)
    for wrong in ([], proof[:-1], [*proof, bytes(32)], [bytes(32), *proof[1:]]):
        answer = witness.add_checkpoint(build_request(3, wrong, note))
        assert answer.status == 422
        assert "nothing proves that the tree of 6 entries begins with the tree of 3" in answer.body
    assert witness.add_checkpoint(build_request(3, proof, note)).status == 200


def test_422_for_a_second_history_and_both_are_kept_as_proof(world, tmp_path_factory) -> None:
    log, witness = world.new_log(), world.witness()
    honest = grow(log, 3)
    witness.add_checkpoint(request(log, 0))
    fork_path = tmp_path_factory.mktemp("fork") / "log.db"
    with Log.create(fork_path, world.bank.name, world.bank, clock=world.clock) as fork:
        fork.append_many([Draft({"n": -i}, "a", str(i)) for i in range(3)])
        forged = fork.checkpoint()
        assert witness.add_checkpoint(build_request(3, [], forged)).status == 422
        fork.append({"n": 3}, kind="a", key="3")
        fork.checkpoint()
        assert witness.add_checkpoint(request(fork, 3)).status == 422
    assert witness.conflicts(world.bank.name) == [(honest, forged)]
    assert witness.conflicts("another") == []
    assert witness.latest(world.bank.name).startswith(honest)


def test_a_hostile_log_cannot_fill_the_disk_with_conflicts(world) -> None:
    log, witness = world.new_log(), world.witness()
    grow(log, 3)
    witness.add_checkpoint(request(log, 0))
    for number in range(30):
        note = sign_checkpoint(Checkpoint(world.bank.name, 3, bytes([number]) * 32), world.bank)
        assert witness.add_checkpoint(build_request(3, [], note)).status == 422
    assert len(witness.conflicts(world.bank.name)) == 16


def test_a_witness_remembers_over_a_restart(world) -> None:
    log, witness = world.new_log(), world.witness()
    grow(log, 3)
    answer = witness.add_checkpoint(request(log, 0))
    witness.close()
    again = world.witness()
    assert again.latest(world.bank.name) == log.checkpoint() + answer.body
    assert again.add_checkpoint(request(log, 0)).status == 409


def test_what_is_answered_is_on_disk_first(world) -> None:
    """The moment of signing is before the commit: if the commit fails, nothing is answered or remembered."""
    log, witness = world.new_log(), world.witness()
    grow(log, 3)
    blocker = sqlite3.connect(world.folder / "witness.db", isolation_level=None)
    blocker.execute("CREATE TRIGGER full BEFORE INSERT ON latest BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(EvidenceStoreError, match="cannot be used: no"):
        witness.add_checkpoint(request(log, 0))
    assert witness.latest(world.bank.name) is None
    blocker.execute("DROP TRIGGER full")
    blocker.close()
    assert witness.add_checkpoint(request(log, 0)).status == 200


def test_the_time_of_cosignatures_never_runs_back(world) -> None:
    log, witness = world.new_log(), world.witness()
    grow(log, 1)
    witness.add_checkpoint(request(log, 0))
    world.clock.now -= 1000
    note = grow(log, 1)
    answer = witness.add_checkpoint(request(log, 1))
    assert cosigned_by(parse_note(note + answer.body), world.witness_keys) == {"cardnet": 1_700_000_000}
    world.clock.now = -5
    fresh = world.witness("fresh.db")
    answer = fresh.add_checkpoint(request(log, 0))
    assert cosigned_by(parse_note(note + answer.body), world.witness_keys) == {"cardnet": 1}


def test_two_requests_at_once_never_roll_back(world) -> None:
    """The race of c2sp.org/tlog-witness: sizes 3 and 5, both from 1; one wins, the other gets 409."""
    log = world.new_log()
    grow(log, 1)
    witnesses = [world.witness(), world.witness()]
    witnesses[0].add_checkpoint(request(log, 0))
    grow(log, 2)
    small = request(log, 1)
    grow(log, 2)
    large = request(log, 1)
    answers: list[WitnessAnswer] = []
    barrier = threading.Barrier(2)

    def ask(witness: Witness, text: str) -> None:
        barrier.wait()
        answers.append(witness.add_checkpoint(text))

    threads = [
        threading.Thread(target=ask, args=pair) for pair in zip(witnesses, (small, large), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status for answer in answers) == [200, 409]
    seen = next(answer.body for answer in answers if answer.status == 409)
    assert seen in ("3\n", "5\n")
    assert f"\n{seen}" in witnesses[0].latest(world.bank.name)


def test_a_log_gathers_and_keeps_cosignatures(world) -> None:
    log, witness = world.new_log(), world.witness()
    asked: list[int] = []

    def ask(text: str) -> WitnessAnswer:
        asked.append(parse_request(text).old)
        return witness.add_checkpoint(text)

    for count in (2, 3):
        note = grow(log, count)
        line = gather_cosignature(log, ask, witness_key=world.partner.witness_vkey)
        assert log.cosigned_checkpoint(quorum=1) == note + line
    assert asked == [0, 2]


def test_a_log_that_lost_a_cosignature_learns_the_size_from_the_witness(world) -> None:
    log, witness = world.new_log(), world.witness()
    grow(log, 2)
    witness.add_checkpoint(request(log, 0))  # the answer is lost
    grow(log, 2)
    gather_cosignature(log, witness.add_checkpoint, witness_key=world.partner.witness_vkey)
    assert log.last_cosigned(world.partner.witness_vkey) == 4


def test_a_log_that_went_back_is_told_so(world, tmp_path_factory) -> None:
    log, witness = world.new_log(), world.witness()
    grow(log, 5)
    witness.add_checkpoint(request(log, 0))
    path = tmp_path_factory.mktemp("short") / "log.db"
    with Log.create(path, world.bank.name, world.bank) as restored:
        grow(restored, 3)
        with pytest.raises(EvidenceCheckError, match=r"has seen 5 entries, but the checkpoint has 3"):
            gather_cosignature(restored, witness.add_checkpoint, witness_key=world.partner.witness_vkey)
        grow(restored, 3)
        with pytest.raises(
            EvidenceCheckError, match="refused the checkpoint with status 422: nothing proves"
        ):
            gather_cosignature(restored, witness.add_checkpoint, witness_key=world.partner.witness_vkey)


def test_a_witness_that_answers_nonsense(world, signer) -> None:
    log = world.new_log()
    grow(log, 1)
    text = parse_note(log.checkpoint()).text
    key = world.partner.witness_vkey
    stranger = cosign(text, signer("stranger", 8), 5)
    wrong = cosign("other\n", world.partner, 5)
    for answer, sentence in (
        (WitnessAnswer(200, stranger), "the answer holds no cosignature by cardnet"),
        (WitnessAnswer(200, ""), "the answer holds no cosignature by cardnet"),
        (WitnessAnswer(200, wrong), "the signature by cardnet.example/witness is wrong"),
        (WitnessAnswer(200, "rubbish\n"), "a signature line has the form"),
        (WitnessAnswer(409, "many\n"), "a decimal number"),
        (WitnessAnswer(409, "0\n"), "refused the checkpoint with status 409"),
        (WitnessAnswer(500, "sorry " * 100), "refused the checkpoint with status 500: sorry"),
    ):
        with pytest.raises(EvidenceError, match=sentence) as caught:
            gather_cosignature(log, lambda _, answer=answer: answer, witness_key=key)
        assert len(str(caught.value)) < 400
    assert log.last_cosigned(key) == 0
    mixed = stranger + cosign(text, world.partner, 5)
    gather_cosignature(log, lambda _: WitnessAnswer(200, mixed), witness_key=key)
    assert log.cosigned_checkpoint(quorum=1).count("— ") == 2


def test_trust_can_be_added_later(world, signer) -> None:
    other = signer("other.example/log", 4)
    witness = world.witness()
    asked = build_request(0, [], sign_checkpoint(Checkpoint(other.name, 0, EMPTY_ROOT), other))
    assert witness.add_checkpoint(asked).status == 404
    witness.trust(other.name, other.vkey)
    assert witness.add_checkpoint(asked).status == 200


def test_a_file_that_is_no_memory_of_a_witness(world) -> None:
    world.new_log().close()
    with pytest.raises(EvidenceStoreError, match="is not the memory of a witness"):
        world.witness("log.db")


@given(st.text(max_size=120))
def test_rubbish_requests_are_format_errors(text: str) -> None:
    try:
        parse_request(text)
    except EvidenceFormatError as error:
        assert str(error)
