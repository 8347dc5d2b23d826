"""Signed notes, checkpoints and cosignatures, with published vectors."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.evidence import EvidenceCheckError, EvidenceError, EvidenceFormatError, make_vkey, witness_vkey
from tongzhou.evidence.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint_text, sign_checkpoint
from tongzhou.evidence.cosignature import check_cosignature, check_quorum, cosign, cosigned_by
from tongzhou.evidence.note import (
    COSIGNATURE_TYPE,
    decode_base64,
    encode_base64,
    open_note,
    parse_note,
    parse_vkey,
    sign_note,
    signature_line,
)

# c2sp.org/signed-note, section "Verifier keys", example.
C2SP_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
C2SP_NOTE = """This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
"""
# Documentation of golang.org/x/mod/sumdb/note, the implementation that the format comes from: a private key,
# its vkey, and the note that Ed25519 signing (which is deterministic) must give.
GO_SEED = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""
# A tree head of Go's checksum database at 35,225,469 entries, under its published key (sum.golang.org).
SUMDB_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUMDB_HEAD = """go.sum database tree
35225469
vt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=

— sum.golang.org Az3grpukl5AXaVfYkLiDGORx/DN2nlcS5kZHR5uYOBV2KA2HgXpD+gu9HHONebHLAyaKbbTM75QTtPydhKCExixSfwQ=
"""
# c2sp.org/tlog-cosignature: the example line, whose time the text states as 1679315147; and a witness key of
# type 0x04 in public use, which fixes how such key ids are computed.
C2SP_COSIGNATURE = (
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZ"
    "qhf5nNo0xUe+mbIUBkBIfZ+qnA=="
)
PUBLIC_WITNESS = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"

TEXT = "bank.example/log\n3\n" + encode_base64(bytes(range(32))) + "\n"


@pytest.mark.parametrize(("key", "note"), [(C2SP_KEY, C2SP_NOTE), (GO_KEY, GO_NOTE), (SUMDB_KEY, SUMDB_HEAD)])
def test_published_notes_verify_and_any_change_fails(key: str, note: str) -> None:
    opened = open_note(note, [parse_vkey(key)])
    assert str(opened) == note
    with pytest.raises(EvidenceCheckError, match=r"the signature by .* is wrong"):
        open_note(note.replace("e", "f", 1), [parse_vkey(key)])


def test_signing_gives_the_published_note() -> None:
    seed = decode_base64(GO_SEED, "seed")[1:]

    class Peter:
        name = "PeterNeumann"
        public_key_bytes = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()

        def sign(self, data: bytes) -> bytes:
            return Ed25519PrivateKey.from_private_bytes(seed).sign(data)

    assert sign_note(GO_NOTE.partition("\n\n")[0] + "\n", Peter()) == GO_NOTE
    assert make_vkey(Peter.name, Peter.public_key_bytes) == GO_KEY


def test_a_public_tree_head_is_read() -> None:
    head = parse_checkpoint_text(parse_note(SUMDB_HEAD).text)
    assert (head.origin, head.size, head.extensions) == ("go.sum database tree", 35225469, ())


def test_published_cosignature_and_witness_key_have_our_layout() -> None:
    signature = signature_line(C2SP_COSIGNATURE)
    assert int.from_bytes(signature.data[:8], "big") == 1679315147
    assert len(signature.data) == 72
    key = parse_vkey(PUBLIC_WITNESS, COSIGNATURE_TYPE)
    assert witness_vkey(key.name, key.public_key) == PUBLIC_WITNESS


def test_a_cosignature_is_what_the_specification_says(signer) -> None:
    """Derived a second time with plain `cryptography`, from the text of c2sp.org/tlog-cosignature."""
    witness = signer("w.example", 7)
    key = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32)
    public = key.public_key().public_bytes_raw()
    key_id = hashlib.sha256(b"w.example\n\x04" + public).digest()[:4]
    message = f"cosignature/v1\ntime 1700000000\n{TEXT}".encode()
    data = key_id + (1_700_000_000).to_bytes(8, "big") + key.sign(message)
    assert cosign(TEXT, witness, 1_700_000_000) == f"— w.example {encode_base64(data)}\n"


def test_a_signature_by_an_unknown_key_is_ignored(signer) -> None:
    known, stranger = signer("bank.example/log", 1), signer("stranger", 2)
    note = sign_note(TEXT, stranger, known)
    assert [one.name for one in open_note(note, [parse_vkey(known.vkey)]).signatures] == ["bank.example/log"]
    with pytest.raises(EvidenceCheckError, match=r"the note is not signed by bank\.example/log"):
        open_note(sign_note(TEXT, stranger), [parse_vkey(known.vkey)])
    with pytest.raises(EvidenceCheckError, match="the note is not signed by -"):
        open_note(note, [])


def test_one_wrong_signature_by_a_known_key_spoils_the_note(signer) -> None:
    one, two = signer("one", 1), signer("two", 2)
    good = parse_note(sign_note(TEXT, one, two))
    wrong = parse_note(sign_note("other\n", two)).signatures[0]
    note = f"{good.text}\n{good.signatures[0].line}{wrong.line}"
    assert open_note(note, [parse_vkey(one.vkey)]).signatures == (good.signatures[0],)
    with pytest.raises(EvidenceCheckError, match="the signature by two is wrong"):
        open_note(note, [parse_vkey(one.vkey), parse_vkey(two.vkey)])


def test_same_name_with_another_key_is_another_key(signer) -> None:
    ours, theirs = signer("bank", 1), signer("bank", 2)
    with pytest.raises(EvidenceCheckError, match="not signed by bank"):
        open_note(sign_note(TEXT, theirs), [parse_vkey(ours.vkey)])


def test_a_signer_whose_key_does_not_fit_is_caught(signer) -> None:
    class Wrong:
        name = "bank"
        public_key_bytes = signer("bank", 1).public_key_bytes

        def sign(self, data: bytes) -> bytes:
            return signer("bank", 2).sign(data)

    with pytest.raises(EvidenceCheckError, match="the signature by bank is wrong"):
        sign_note(TEXT, Wrong())


SIGNATURE = GO_NOTE.partition("\n\n")[2]


@pytest.mark.parametrize(
    ("note", "sentence"),
    [
        ("", "a note needs a text, an empty line and signature lines"),
        ("text\n", "a note needs a text"),
        ("text\n\n", "a note needs a text"),
        ("\n\n" + SIGNATURE, "a note needs a text"),
        ("text\n\n" + SIGNATURE[:-1], "a note needs a text"),
        ("text\n\n" + SIGNATURE + "more\n", "a signature line has the form"),
        ("text\n\n—" + SIGNATURE[2:], "a signature line has the form"),
        ("text\n\n- PeterNeumann AAAA\n", "a signature line has the form"),
        ("text\n\n— Peter Neumann x08go/ZJ\n", "a signature line has the form"),
        ("text\n\n— a+b x08go/ZJ\n", "a signature line has the form"),
        ("text\n\n—  x08go/ZJ\n", "a signature line has the form"),
        ("text\n\n— a x08go/Z\n", "the field signature is not Base 64"),
        ("text\n\n— a x08go/Z*\n", "the field signature is not Base 64"),
        ("text\n\n— a x08goz==\n", "the field signature is not Base 64"),
        ("text\n\n— a x08gow==\n", "the signature line of a has no signature"),
        ("te\tt\n\n" + SIGNATURE, "control character"),
        ("te\rt\n\n" + SIGNATURE, "control character"),
        ("te\x00t\n\n" + SIGNATURE, "control character"),
        ("te\ud800\n\n" + SIGNATURE, "half of a UTF-16 pair"),
        ("text\n\n" + SIGNATURE * 101, "a note has 101 signatures; at most 100 are read"),
        ("t" * (1 << 20) + "\n\n" + SIGNATURE, "at most 1048576 are read"),
    ],
)
def test_malformed_notes(note: str, sentence: str) -> None:
    with pytest.raises(EvidenceFormatError, match=sentence):
        parse_note(note)


def test_a_text_with_empty_lines_ends_at_the_last_one() -> None:
    assert parse_note("a\n\nb\n\n" + SIGNATURE).text == "a\n\nb\n"


@pytest.mark.parametrize(
    ("vkey", "sentence"),
    [
        ("", r"has the form name\+id\+base64"),
        ("a+b", r"has the form name\+id\+base64"),
        (GO_KEY.replace("c74f20a3", "c74f20a4"), "has id c74f20a3, but says «c74f20a4»"),
        (GO_KEY.replace("c74f20a3", "C74F20A3"), "but says «C74F20A3»"),
        (GO_KEY[:-4], "has 29 bytes; an Ed25519 key has 32"),
        ("a+00000000+", "has 0 bytes"),
        ("a+00000000+@@@@", "the field key is not Base 64"),
        (
            GO_KEY.replace("PeterNeumann", "Peter Neumann"),
            "a key name is one or more characters without space",
        ),
        (GO_KEY.replace("PeterNeumann", ""), "a key name is one or more characters without space"),
        (PUBLIC_WITNESS, "has type 0x04, but type 0x01 is needed here"),
    ],
)
def test_malformed_keys(vkey: str, sentence: str) -> None:
    with pytest.raises(EvidenceFormatError, match=sentence):
        parse_vkey(vkey)


def test_a_log_key_is_no_witness_key(signer) -> None:
    with pytest.raises(EvidenceFormatError, match="has type 0x01, but type 0x04 is needed here"):
        parse_vkey(signer("bank", 1).vkey, COSIGNATURE_TYPE)


@given(st.text(max_size=200))
def test_rubbish_is_refused_as_evidence_error_only(text: str) -> None:
    for read in (parse_note, parse_vkey, parse_checkpoint_text, signature_line):
        try:
            read(text)
        except EvidenceError as error:
            assert str(error)


@given(st.binary(max_size=80))
def test_base64_has_one_spelling(data: bytes) -> None:
    text = encode_base64(data)
    assert decode_base64(text, "it") == data
    for other in (text + "\n", text.rstrip("=") + "====", " " + text):
        with pytest.raises(EvidenceFormatError, match="the field it is not Base 64"):
            decode_base64(other, "it")


def test_checkpoints_are_signed_and_opened(signer) -> None:
    bank = signer("bank.example/log", 1)
    head = Checkpoint("bank.example/log", 3, bytes(range(32)))
    note = sign_checkpoint(head, bank)
    assert open_checkpoint(note, bank.name, [parse_vkey(bank.vkey)]) == head
    with pytest.raises(EvidenceCheckError, match=r"is of log bank\.example/log, not of log other"):
        open_checkpoint(note, "other", [parse_vkey(bank.vkey)])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a\n1\n", "three or more lines"),
        ("a\n1\n" + encode_base64(bytes(32)), "three or more lines"),
        ("a\n\n" + encode_base64(bytes(32)) + "\n", "three or more lines"),
        ("a\n01\n" + encode_base64(bytes(32)) + "\n", "a decimal number without leading zero, got '01'"),
        ("a\n-1\n" + encode_base64(bytes(32)) + "\n", "a decimal number"),
        ("a\n+1\n" + encode_base64(bytes(32)) + "\n", "a decimal number"),
        ("a\n١\n" + encode_base64(bytes(32)) + "\n", "a decimal number"),
        ("a\n9223372036854775808\n" + encode_base64(bytes(32)) + "\n", "a decimal number"),
        ("a\n" + "9" * 30 + "\n" + encode_base64(bytes(32)) + "\n", "a decimal number"),
        ("a\n1\n" + encode_base64(bytes(31)) + "\n", "the root of a checkpoint has 31 bytes"),
        ("a\n1\nroot\n", "the root of a checkpoint has 3 bytes"),
    ],
)
def test_malformed_checkpoints(text: str, sentence: str) -> None:
    with pytest.raises(EvidenceFormatError, match=sentence):
        parse_checkpoint_text(text)


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "cosignature/v1", "subtree/v1", "a\nb"])
def test_origins_that_could_be_mistaken_are_refused(signer, origin: str) -> None:
    with pytest.raises(
        EvidenceFormatError, match="the origin of a log is a short name without space or plus"
    ):
        sign_checkpoint(Checkpoint(origin, 0, bytes(32)), signer("bank", 1))


def test_a_cosignature_binds_time_and_text(signer) -> None:
    witness = signer("w", 3)
    key = parse_vkey(witness.witness_vkey, COSIGNATURE_TYPE)
    line = signature_line(cosign(TEXT, witness, 1_700_000_000))
    assert check_cosignature(TEXT, line, key) == 1_700_000_000
    with pytest.raises(EvidenceCheckError, match="the signature by w is wrong"):
        check_cosignature(TEXT + "extension\n", line, key)
    later = signature_line(
        f"— w {encode_base64(line.key_id + (1_700_000_001).to_bytes(8, 'big') + line.data[8:])}"
    )
    with pytest.raises(EvidenceCheckError, match="the signature by w is wrong"):
        check_cosignature(TEXT, later, key)
    short = signature_line(f"— w {encode_base64(line.key_id + line.data[:-1])}")
    with pytest.raises(EvidenceCheckError, match="has the wrong length"):
        check_cosignature(TEXT, short, key)
    far = signature_line(f"— w {encode_base64(line.key_id + bytes([255]) * 8 + line.data[8:])}")
    with pytest.raises(EvidenceCheckError, match="has an impossible time"):
        check_cosignature(TEXT, far, key)
    with pytest.raises(EvidenceCheckError, match="the cosignature is by w, not by v"):
        check_cosignature(TEXT, line, parse_vkey(signer("v", 3).witness_vkey, COSIGNATURE_TYPE))


@pytest.mark.parametrize("time", [0, -1, 2**63])
def test_a_cosignature_needs_a_real_time(signer, time: int) -> None:
    with pytest.raises(EvidenceFormatError, match="seconds since 1970, above zero"):
        cosign(TEXT, signer("w", 3), time)


def test_a_plain_signature_by_the_same_key_is_no_cosignature(signer) -> None:
    """One Ed25519 key may sign a log and witness others: the two statements never pass for one another."""
    both = signer("bank.example/log", 1)
    note = sign_note(TEXT, both)
    assert cosigned_by(parse_note(note), {"bank": both.witness_vkey}) == {}
    cosigned = TEXT + "\n" + cosign(TEXT, both, 1_700_000_000)
    with pytest.raises(EvidenceCheckError, match="the note is not signed by"):
        open_note(cosigned, [parse_vkey(both.vkey)])


def test_a_quorum_counts_each_witness_once(signer) -> None:
    bank, one, two = signer("bank", 1), signer("one", 2), signer("two", 3)
    keys = {"first": one.witness_vkey, "second": two.witness_vkey}
    note = sign_note(TEXT, bank) + cosign(TEXT, one, 100) + cosign(TEXT, one, 200)
    assert check_quorum(note, keys, 1) == {"first": 200}
    with pytest.raises(
        EvidenceCheckError, match="1 of 2 known witnesses cosigned the checkpoint, and 2 are needed"
    ):
        check_quorum(note, keys, 2)
    assert check_quorum(note + cosign(TEXT, two, 300), keys, 2) == {"first": 200, "second": 300}
    with pytest.raises(EvidenceFormatError, match="two witnesses have the same key"):
        check_quorum(note, {"a": one.witness_vkey, "b": signer("alias", 2).witness_vkey}, 1)


def test_errors_show_foreign_text_safely_and_short() -> None:
    with pytest.raises(EvidenceFormatError) as caught:
        signature_line("\x1b[31m" + "x" * 500)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 200
