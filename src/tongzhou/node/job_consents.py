"""Consents in a job: only clients who consented are matched, and who relies on that checks each row.

Where the grant says that the asker keeps the consents, the asker matches only clients whose consent it holds,
and then shows the provider, for each matched client, the consent's terms and salt. The provider knows the
client, so it can check that the consent is about this client, this purpose, this asker and itself, and that
it holds now. Where the provider keeps them, it matches only clients who consented to it. Either way one
digest over the salted commitments of all rows goes into the receipt.

Statement
    Who learns what: the provider of a grant whose consents the asker keeps learns, for each matched client,
    the digest of the signed form and from when until when it holds. Nobody else learns anything.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import GrantError, ProtocolError
from tongzhou.evidence.merkle import Frontier, leaf_hash
from tongzhou.node.job_context import JobContext
from tongzhou.parties.consents import SALT_BYTES, Consent, ConsentUse, KeptConsent, commitment_of
from tongzhou.parties.times import parse_utc, utc_text
from tongzhou.wire.messages import ArraySpec, Link

__all__ = ["consent_roots", "covered_places", "keeps_consents", "recheck_consents"]

_TAG = "match.consents"
_DIGEST_BYTES = 32
# The first and last second of the years that a time in UTC can be written in.
_SECONDS_MIN, _SECONDS_MAX = -62_135_596_800, 253_402_300_799


def covered_places(context: JobContext, identifiers: Sequence[str]) -> NDArray[np.int64]:
    """Places of the own clients that may be matched: all, or those whose consents this party keeps.

    Raises:
        GrantError: a grant demands consents and this party keeps none that holds.
    """
    covered = set(identifiers)
    for source in _kept_for(context):
        covered &= set(_covering(context, source, identifiers))
    if not covered:
        raise GrantError(
            "a grant demands consents kept by {party}, and it keeps none that holds now for {purpose}",
            party=context.home.party_id,
            purpose=context.plan.purpose,
            missing="consents",
        )
    return np.array([place for place, one in enumerate(identifiers) if one in covered], dtype=np.int64)


def consent_roots(context: JobContext, matched: Sequence[str]) -> dict[str, str]:
    """The digest over the consents of the matched clients, by provider whose grant demands them.

    The asker learns all of them, a provider its own.

    Args:
        context: an owner's.
        matched: identifiers in the common order.

    Raises:
        GrantError: the consents do not cover every row.
    """
    me = context.home.party_id
    if context.role != "asker":
        keeper = context.consents.get(me, "none")
        if keeper == "none":
            return {}
        link = context.party.peer
        if keeper == "asker":
            return {me: _check_shown(context, link, matched)}
        root = _root([one.commitment for one in _all_kept(context, me, matched)])
        link.send(_TAG, root)
        return {me: root}
    roots = {}
    for role, party in context.party.names.items():
        keeper = context.consents.get(party, "none")
        if keeper == "asker":
            kept = _all_kept(context, party, matched)
            _show(context, context.party.link(role), kept)
            roots[party] = _root([one.commitment for one in kept])
        elif keeper == "provider":
            roots[party], _ = context.party.link(role).recv(_TAG, str)
    return roots


def recheck_consents(context: JobContext, matched: Sequence[str]) -> None:
    """Stop a run whose clients took their consent back since they were matched.

    Raises:
        GrantError: some do not hold any more.
    """
    for source in _kept_for(context):
        _all_kept(context, source, matched)


def keeps_consents(context: JobContext) -> bool:
    """Whether this party keeps consents that the run rests on."""
    return bool(_kept_for(context))


def _kept_for(context: JobContext) -> list[str]:
    """Providers for whose data this party must keep consents."""
    me = context.home.party_id
    if context.role == "asker":
        return [source for source, keeper in context.consents.items() if keeper == "asker"]
    return [me] if context.consents.get(me) == "provider" else []


def _covering(context: JobContext, source: str, identifiers: Sequence[str]) -> dict[str, KeptConsent]:
    use = ConsentUse(purpose=context.plan.purpose, user=context.plan.parties.asker, source=source)
    return context.home.consents.covering(identifiers, use, context.clock())


def _all_kept(context: JobContext, source: str, matched: Sequence[str]) -> list[KeptConsent]:
    """The consent of each matched client, in order."""
    kept = _covering(context, source, matched)
    _all_covered(context, len(matched) - len(kept), len(matched))
    return [kept[one] for one in matched]


def _all_covered(context: JobContext, lacking: int, rows: int) -> None:
    if lacking:
        raise GrantError(
            "the consents of {count} of the {rows} matched clients do not hold; start a new run",
            count=lacking,
            rows=rows,
            missing="consents",
        )


def _show(context: JobContext, link: Link, ordered: Sequence[KeptConsent]) -> None:
    """Tell the provider terms and salt of each matched client's consent."""
    rows = len(ordered)
    salts = np.frombuffer(b"".join(one.salt for one in ordered), dtype=np.uint8).reshape(rows, SALT_BYTES)
    documents = b"".join(bytes.fromhex(one.consent.document) for one in ordered)
    spans = [
        [
            int(parse_utc(text, "valid").timestamp())
            for text in (one.consent.valid_from, one.consent.valid_until)
        ]
        for one in ordered
    ]
    link.send(
        _TAG,
        None,
        [
            salts,
            np.frombuffer(documents, dtype=np.uint8).reshape(rows, _DIGEST_BYTES),
            np.array(spans, dtype=np.int64).reshape(rows, 2),
        ],
    )
    context.party.record("consent of each matched client", rows, ("provider",), "grant: consents")


def _check_shown(context: JobContext, peer: Link, matched: Sequence[str]) -> str:
    rows = len(matched)
    specs = [
        ArraySpec("|u1", (rows, SALT_BYTES)),
        ArraySpec("|u1", (rows, _DIGEST_BYTES)),
        ArraySpec("<i8", (rows, 2)),
    ]
    _, (salts, documents, spans) = peer.recv(_TAG, None, specs)
    if rows and (int(spans.min()) < _SECONDS_MIN or int(spans.max()) > _SECONDS_MAX):
        raise ProtocolError("{peer} showed a consent outside the years 1 to 9999", peer=peer.peer)
    context.party.record("consent of each matched client", rows, ("provider",), "grant: consents")
    parties, now = context.plan.parties, int(context.clock().timestamp())
    _all_covered(context, int(((spans[:, 0] > now) | (spans[:, 1] <= now)).sum()), rows)
    commitments = []
    for place, identifier in enumerate(matched):
        start, end = (utc_text(datetime.fromtimestamp(int(second), UTC)) for second in spans[place])
        document = documents[place].tobytes().hex()
        consent = Consent(
            identifier=identifier,
            purpose=context.plan.purpose,
            user=parties.asker,
            source=context.home.party_id,
            document=document,
            valid_from=start,
            valid_until=end,
        )
        commitments.append(commitment_of(consent, salts[place].tobytes()))
    return _root(commitments)


def _root(commitments: Sequence[bytes]) -> str:
    """The Merkle tree of RFC 6962 over the rows: one row's consent can later be shown without the others'."""
    tree = Frontier()
    for one in commitments:
        tree.push(leaf_hash(one))
    return tree.root().hex()
