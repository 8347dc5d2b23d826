import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.evidence import (
    Draft,
    EvidenceCheckError,
    EvidenceError,
    EvidenceFormatError,
    EvidenceNotFoundError,
    Log,
    Witness,
    gather_cosignature,
    verify_proof,
)
from tongzhou.evidence.note import encode_base64
from tongzhou.evidence.proof import Proof, parse_proof

HASH = encode_base64(bytes(32))


@pytest.fixture
def proven(world):
    """A log of 20 entries with a cosigned checkpoint."""
    log = world.new_log()
    log.append_many([Draft({"n": i, "name": f"客户{i}"}, "decision", f"d-{i}") for i in range(20)])
    log.checkpoint()
    gather_cosignature(log, world.witness().add_checkpoint, witness_key=world.partner.witness_vkey)
    return log


def test_a_proof_shows_its_entry_with_public_keys_alone(proven, world) -> None:
    for index in range(20):
        text = proven.prove(index, quorum=1)
        report = verify_proof(text, log_key=world.bank.vkey, witness_keys=world.witness_keys, quorum=1)
        assert (report.origin, report.index, report.size) == ("bank.example/log", index, 20)
        assert (report.kind, report.key, report.time) == ("decision", f"d-{index}", int(world.clock.now))
        assert report.record == {"n": index, "name": f"客户{index}"}
        assert report.cosigned == {"cardnet": int(world.clock.now)}


def test_the_file_has_the_form_of_the_specification(proven) -> None:
    """c2sp.org/tlog-proof: header, extra, index, hashes, empty line, checkpoint verbatim."""
    lines = proven.prove(3).split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[1].startswith("extra ")
    assert lines[2] == "index 3"
    assert len(lines[3:8]) == 5
    assert all(len(line) == 44 for line in lines[3:8])
    assert lines[8] == ""
    assert "\n".join(lines[9:]) == proven.cosigned_checkpoint()


def test_forms_that_the_specification_fixes() -> None:
    assert str(Proof(5, (bytes(32), bytes(32)), "a checkpoint\n")) == (
        f"c2sp.org/tlog-proof@v1\nindex 5\n{HASH}\n{HASH}\n\na checkpoint\n"
    )
    assert str(Proof(10, (bytes(32),), "a checkpoint\n", b"extra information")) == (
        f"c2sp.org/tlog-proof@v1\nextra ZXh0cmEgaW5mb3JtYXRpb24=\nindex 10\n{HASH}\n\na checkpoint\n"
    )
    assert str(Proof(0, (), "a checkpoint\n")) == "c2sp.org/tlog-proof@v1\nindex 0\n\na checkpoint\n"


@given(
    st.integers(0, 2**63 - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63),
    st.none() | st.binary(max_size=100),
)
def test_proofs_are_read_back(index: int, hashes: list[bytes], extra: bytes | None) -> None:
    proof = Proof(index, tuple(hashes), "a\n\nb\n", extra)
    assert parse_proof(str(proof)) == proof


def test_an_undisclosed_proof_shows_kind_and_time_only(proven, world) -> None:
    text = proven.prove(4, disclose=False)
    report = verify_proof(text, log_key=world.bank.vkey)
    assert (report.kind, report.key, report.record) == ("decision", None, None)
    assert encode_base64(b"d-4")[:3] not in text
    with pytest.raises(EvidenceCheckError, match="entry 4 is in the log, but it is not the given record"):
        verify_proof(text, log_key=world.bank.vkey, record={"n": 4, "name": "客户4"})


def test_the_reader_can_bring_record_or_leaf(proven, world) -> None:
    text = proven.prove(4)
    verify_proof(text, log_key=world.bank.vkey, record={"name": "客户4", "n": 4})
    with pytest.raises(EvidenceCheckError, match="it is not the given record"):
        verify_proof(text, log_key=world.bank.vkey, record={"name": "客户4", "n": 5})
    bare = str(Proof(4, parse_proof(text).hashes, parse_proof(text).checkpoint))
    with pytest.raises(
        EvidenceCheckError, match="the proof does not carry its leaf, so the leaf must be given"
    ):
        verify_proof(bare, log_key=world.bank.vkey)
    leaf = proven.entry(4).row.leaf
    assert verify_proof(bare, log_key=world.bank.vkey, leaf=leaf).kind == "decision"
    with pytest.raises(EvidenceCheckError, match="does not lead to the signed root"):
        verify_proof(bare, log_key=world.bank.vkey, leaf=proven.entry(5).row.leaf)


def altered(text: str, **changes: object) -> str:
    proof = parse_proof(text)
    fields = {
        "index": proof.index,
        "hashes": proof.hashes,
        "checkpoint": proof.checkpoint,
        "extra": proof.extra,
    }
    return str(Proof(**{**fields, **changes}))


def test_a_changed_record_key_or_salt_is_not_what_was_committed_to(proven, world) -> None:
    text = proven.prove(4)
    extra = parse_proof(text).extra
    for old, new in ((b'"n":4', b'"n":5'), (b'"key":"d-4"', b'"key":"d-5"')):
        assert old in extra
        with pytest.raises(EvidenceCheckError, match="the disclosed record is not what entry 4 commits to"):
            verify_proof(altered(text, extra=extra.replace(old, new)), log_key=world.bank.vkey)
    salted = extra.rpartition(b'"salt":"')
    with pytest.raises(EvidenceCheckError, match="not what entry 4 commits to"):
        verify_proof(
            altered(text, extra=salted[0] + salted[1] + HASH.encode() + b'"}'), log_key=world.bank.vkey
        )


def test_a_changed_leaf_index_or_hash_leads_elsewhere(proven, world) -> None:
    text = proven.prove(4)
    proof = parse_proof(text)
    with pytest.raises(EvidenceCheckError, match="entry 4 does not lead to the signed root"):
        verify_proof(
            altered(text, extra=proof.extra.replace(b"2023-11-14", b"2022-11-14")), log_key=world.bank.vkey
        )
    with pytest.raises(EvidenceCheckError, match="entry 5 does not lead to the signed root"):
        verify_proof(altered(text, index=5), log_key=world.bank.vkey)
    with pytest.raises(EvidenceCheckError, match="the tree of 20 entries has no entry 20"):
        verify_proof(altered(text, index=20), log_key=world.bank.vkey)
    with pytest.raises(EvidenceCheckError, match="has too few hashes"):
        verify_proof(altered(text, hashes=proof.hashes[:-1]), log_key=world.bank.vkey)
    with pytest.raises(EvidenceCheckError, match="has too many hashes"):
        verify_proof(altered(text, hashes=(*proof.hashes, bytes(32))), log_key=world.bank.vkey)


def test_a_proof_under_another_key_or_log_is_nothing(proven, world, signer) -> None:
    text = proven.prove(4)
    with pytest.raises(EvidenceCheckError, match=r"the note is not signed by bank\.example/log"):
        verify_proof(text, log_key=signer("bank.example/log", 8).vkey)
    with pytest.raises(EvidenceCheckError, match="the note is not signed by other"):
        verify_proof(text, log_key=signer("other", 1).vkey)
    with pytest.raises(
        EvidenceCheckError, match="0 of 1 known witnesses cosigned the checkpoint, and 1 are needed"
    ):
        verify_proof(text, log_key=world.bank.vkey, witness_keys={"x": signer("x", 9).witness_vkey}, quorum=1)


def test_entries_beyond_the_last_checkpoint_cannot_be_proved_yet(proven) -> None:
    proven.append({"n": 20}, kind="decision", key="d-20")
    with pytest.raises(EvidenceNotFoundError, match="has 21 entries or more"):
        proven.prove(20)
    proven.checkpoint()
    assert parse_proof(proven.prove(20)).index == 20
    with pytest.raises(EvidenceNotFoundError, match="has 21 entries or more and 1 cosignatures"):
        proven.prove(20, quorum=1)
    with pytest.raises(EvidenceNotFoundError, match="has no entry 21"):
        proven.prove(21)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "a proof file begins with"),
        (
            "c2sp.org/tlog-proof@v2\nindex 0\n\ncheckpoint\n",
            "a proof file begins with c2sp.org/tlog-proof@v1",
        ),
        ("c2sp.org/tlog-proof@v1\nindex 0\ncheckpoint\n", "holds an empty line before its checkpoint"),
        ("c2sp.org/tlog-proof@v1\n\ncheckpoint\n", "a line that gives the index"),
        ("c2sp.org/tlog-proof@v1\nextra !!\nindex 0\n\nc\n", "the field extra is not Base 64"),
        ("c2sp.org/tlog-proof@v1\nindex 0\nextra YQ==\n\nc\n", "the field hash is not Base 64"),
        ("c2sp.org/tlog-proof@v1\nindex x\n\nc\n", "a decimal number without leading zero, got 'x'"),
        ("c2sp.org/tlog-proof@v1\nindex -5\n\nc\n", "a decimal number"),
        ("c2sp.org/tlog-proof@v1\nindex 05\n\nc\n", "a decimal number"),
        ("c2sp.org/tlog-proof@v1\nindex 0\n!!\n\nc\n", "the field hash is not Base 64"),
        (f"c2sp.org/tlog-proof@v1\nindex 0\n{encode_base64(bytes(64))}\n\nc\n", "a hash has 64 bytes"),
        (
            "c2sp.org/tlog-proof@v1\nindex 0\n" + f"{HASH}\n" * 64 + "\nc\n",
            "a proof has 64 hashes; at most 63",
        ),
        ("x" * (5 << 20), "at most 4194304 are read"),
    ],
)
def test_malformed_proofs(text: str, sentence: str) -> None:
    with pytest.raises(EvidenceFormatError, match=sentence):
        parse_proof(text)


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        (b"\xff", "the extra data of a proof is not text"),
        (b"[]", "holds leaf, salt, key and record, and nothing else"),
        (b'{"other":1}', "holds leaf, salt, key and record, and nothing else"),
        (b'{"leaf": 1}', "not in its canonical form"),
        (b'{"leaf":1}', "the proof does not carry its leaf"),
        (b'{"salt":"AA=="}', "the proof does not carry its leaf"),
    ],
)
def test_malformed_extra_data(proven, world, extra: bytes, sentence: str) -> None:
    with pytest.raises(EvidenceError, match=sentence):
        verify_proof(altered(proven.prove(4), extra=extra), log_key=world.bank.vkey)


def test_a_salt_of_the_wrong_kind(proven, world) -> None:
    text = proven.prove(4)
    leaf = parse_proof(proven.prove(4, disclose=False)).extra
    for more in (b',"salt":1}', b',"salt":"AAAA"}', b',"key":"d","record":[],"salt":"AAAA"}'):
        extra = (
            leaf[:-1] + more
            if b"key" not in more
            else b'{"key":"d",' + leaf[1:-1] + b',"record":[],"salt":"AAAA"}'
        )
        with pytest.raises(EvidenceFormatError, match="and nothing else"):
            verify_proof(altered(text, extra=extra), log_key=world.bank.vkey)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_changed_byte_of_a_proof_goes_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, signer, position: int, change: int
) -> None:
    text = _shared_proof(tmp_path_factory, signer).encode()
    at = position % len(text)
    changed = text[:at] + bytes([text[at] ^ change]) + text[at + 1 :]
    key = signer("bank", 1).vkey
    witnesses = {"w": signer("w", 2).witness_vkey}
    with pytest.raises((EvidenceError, UnicodeDecodeError)):
        verify_proof(changed.decode(), log_key=key, witness_keys=witnesses, quorum=1)


_CACHE: list[str] = []


def _shared_proof(factory: pytest.TempPathFactory, signer) -> str:
    if not _CACHE:
        folder = factory.mktemp("proof")
        bank, partner = signer("bank", 1), signer("w", 2)
        with Log.create(folder / "log.db", "bank", bank) as log:
            log.append_many([Draft({"n": i}, "a", str(i)) for i in range(7)])
            log.checkpoint()
            witness = Witness(folder / "w.db", partner, {"bank": bank.vkey})
            gather_cosignature(log, witness.add_checkpoint, witness_key=partner.witness_vkey)
            witness.close()
            _CACHE.append(log.prove(3, quorum=1))
    return _CACHE[0]
