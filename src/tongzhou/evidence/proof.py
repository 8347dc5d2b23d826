"""Proof files (c2sp.org/tlog-proof@v1): one text that shows offline that an entry is in a log.

The ``extra`` line holds canonical JSON with the leaf's four lines and, when the entry is disclosed, key,
record and salt. Extra data is not signed; it is trusted only after it has been hashed up to the signed root.
Files are named ``*.tlog-proof``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tongzhou.evidence.canonical import Json, canonical_json, parse_canonical_json
from tongzhou.evidence.checkpoint import open_checkpoint, parse_size
from tongzhou.evidence.cosignature import check_quorum
from tongzhou.evidence.errors import EvidenceCheckError, EvidenceFormatError
from tongzhou.evidence.leaf import Leaf, build_body, commit, parse_leaf
from tongzhou.evidence.merkle import HASH_BYTES, MAX_PROOF, leaf_hash, verify_inclusion
from tongzhou.evidence.note import MAX_NOTE_BYTES, decode_base64, encode_base64, parse_vkey

__all__ = [
    "PROOF_HEADER",
    "Proof",
    "ProofReport",
    "disclosure",
    "parse_hashes",
    "parse_proof",
    "verify_proof",
]

PROOF_HEADER = "c2sp.org/tlog-proof@v1"
_MAX_CHARACTERS = 4 * MAX_NOTE_BYTES  # a record of a megabyte in Base 64, and a note


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof file: index, sibling hashes from the leaf up, signed checkpoint, extra data if any."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def __str__(self) -> str:
        extra = "" if self.extra is None else f"extra {encode_base64(self.extra)}\n"
        hashes = "".join(f"{encode_base64(one)}\n" for one in self.hashes)
        return f"{PROOF_HEADER}\n{extra}index {self.index}\n{hashes}\n{self.checkpoint}"


@dataclass(frozen=True, slots=True)
class ProofReport:
    """What a proof showed.

    Attributes:
        origin: the log.
        index: the entry's place in it, from 0.
        size: of the tree that the checkpoint signs.
        kind: of the entry.
        time: the log's time of the entry, seconds since 1970 UTC.
        key: of the entry; None if it was not disclosed.
        record: content of the entry; None if it was not disclosed.
        cosigned: from witness label to the time of its cosignature.
    """

    origin: str
    index: int
    size: int
    kind: str
    time: int
    key: str | None
    record: Mapping[str, Json] | None
    cosigned: Mapping[str, int]


def disclosure(leaf: str, salt: bytes | None = None, key: str = "", record: object = None) -> bytes:
    """Return the extra data of a proof: the leaf alone, or with what it commits to when a salt is given."""
    fields: dict[str, object] = {"leaf": leaf}
    if salt is not None:
        fields |= {"key": key, "record": record, "salt": encode_base64(salt)}
    return canonical_json(fields).encode()


def parse_proof(text: str) -> Proof:
    """Take a proof file apart without checking what it claims.

    Raises:
        EvidenceFormatError: it does not have the form of a proof file.
    """
    if len(text) > _MAX_CHARACTERS:
        raise EvidenceFormatError(
            "a proof file has {got} characters; at most {limit} are read",
            got=len(text),
            limit=_MAX_CHARACTERS,
        )
    head, blank, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if lines[0] != PROOF_HEADER or not blank:
        raise EvidenceFormatError(
            "a proof file begins with {header} and holds an empty line before its checkpoint",
            header=PROOF_HEADER,
        )
    rest = lines[1:]
    extra = None
    if rest and rest[0].startswith("extra "):
        extra = decode_base64(rest.pop(0).removeprefix("extra "), "extra")
    if not rest or not rest[0].startswith("index "):
        raise EvidenceFormatError("a proof file has a line that gives the index of the entry")
    index = parse_size(rest[0].removeprefix("index "))
    return Proof(index, parse_hashes(rest[1:]), checkpoint, extra)


def parse_hashes(lines: list[str]) -> tuple[bytes, ...]:
    """Read the hash lines of a proof, at most 63.

    Raises:
        EvidenceFormatError: too many, or a line is not a hash.
    """
    if len(lines) > MAX_PROOF:
        raise EvidenceFormatError(
            "a proof has {got} hashes; at most {limit} are read", got=len(lines), limit=MAX_PROOF
        )
    hashes = tuple(decode_base64(line, "hash") for line in lines)
    for one in hashes:
        if len(one) != HASH_BYTES:
            raise EvidenceFormatError("a hash has {got} bytes; it must have 32", got=len(one))
    return hashes


def verify_proof(
    text: str,
    *,
    log_key: str,
    witness_keys: Mapping[str, str] | None = None,
    quorum: int = 0,
    leaf: str | None = None,
    record: Mapping[str, object] | None = None,
) -> ProofReport:
    """Check a proof file with nothing but public keys.

    Args:
        text: the proof file.
        log_key: vkey of the log; its name is the log's origin.
        witness_keys: from the reader's label of a witness to its vkey.
        quorum: how many of these witnesses must have cosigned.
        leaf: the entry's leaf, if the reader has it; else it is taken from the proof.
        record: the record that the entry must disclose, if the reader has it.

    Returns:
        What the proof shows.

    Raises:
        EvidenceFormatError: not a proof file.
        EvidenceCheckError: it proves nothing, and why.
    """
    proof = parse_proof(text)
    extra = _read_extra(proof.extra)
    lines = extra.get("leaf") if leaf is None else leaf
    if not isinstance(lines, str):
        raise EvidenceCheckError("the proof does not carry its leaf, so the leaf must be given")
    key = parse_vkey(log_key)
    checkpoint = open_checkpoint(proof.checkpoint, key.name, [key])
    cosigned = check_quorum(proof.checkpoint, witness_keys or {}, quorum)
    verify_inclusion(proof.index, checkpoint.size, leaf_hash(lines.encode()), proof.hashes, checkpoint.root)
    parsed = parse_leaf(lines)
    disclosed_key, disclosed = _open_leaf(proof.index, parsed, extra)
    if record is not None and (disclosed is None or canonical_json(record) != canonical_json(disclosed)):
        raise EvidenceCheckError(
            "entry {index} is in the log, but it is not the given record", index=proof.index
        )
    return ProofReport(
        key.name, proof.index, checkpoint.size, parsed.kind, parsed.time, disclosed_key, disclosed, cosigned
    )


def _read_extra(extra: bytes | None) -> dict[str, Json]:
    if extra is None:
        return {}
    try:
        fields = parse_canonical_json(extra.decode())
    except UnicodeDecodeError as error:
        raise EvidenceFormatError("the extra data of a proof is not text") from error
    if not isinstance(fields, dict) or not fields.keys() <= {"leaf", "salt", "key", "record"}:
        raise EvidenceFormatError(
            "the extra data of a proof holds leaf, salt, key and record, and nothing else"
        )
    return fields


def _open_leaf(index: int, leaf: Leaf, extra: dict[str, Json]) -> tuple[str | None, dict[str, Json] | None]:
    """Return key and record if the proof discloses them and they are what the leaf commits to."""
    if "salt" not in extra:
        return None, None
    salt, key, record = extra.get("salt"), extra.get("key"), extra.get("record")
    if not isinstance(salt, str) or not isinstance(key, str) or not isinstance(record, dict):
        raise EvidenceFormatError(
            "the extra data of a proof holds leaf, salt, key and record, and nothing else"
        )
    if commit(decode_base64(salt, "salt"), build_body(key, record)) != leaf.commitment:
        raise EvidenceCheckError("the disclosed record is not what entry {index} commits to", index=index)
    return key, record
