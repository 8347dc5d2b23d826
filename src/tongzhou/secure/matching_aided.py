"""Blind matching by the helper under a key that only the owners hold.

Statement
    Parties: asker, provider, helper.
    Who learns what: the owners learn which of their own identifiers are common; the helper learns both sizes
    and the number of matches, and sees keyed tags under a fresh key that it never has. Tags arrive in the
    order of the tags, which says nothing of the order of either list.
    Assumption: semi-honest; the helper colludes with nobody; AES-CMAC is a pseudorandom function.
    Cost: 12 bytes an identifier to the helper, 8 a match back to each owner; one round.
    Paper: Kamara, Mohassel, Raykova and Sadeghian, Scaling private set intersection to billion-element sets
    (Financial Cryptography 2014), its semi-honest server-aided protocol.

Tags have 96 bits: unlike identifiers of two lists of 4 million have like tags with chance 2^-52.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from tongzhou.errors import ProtocolError
from tongzhou.secure.match_rules import (
    MatchSettings,
    Places,
    check_list,
    named_context,
    own_places,
    repeated,
    require_enough,
)
from tongzhou.secure.party import OWNERS, Party
from tongzhou.secure.prg import SEED_BYTES, new_seed
from tongzhou.secure.sorted_tags import WIDE_TAIL, Tags, check_rising, has_repeats, join_tags, sort_tags
from tongzhou.secure.text_digests import digest_texts
from tongzhou.wire.messages import ArraySpec

__all__ = ["match_aided"]

_DOMAIN = b"tongzhou/match/v2/aided/"


def match_aided(party: Party, settings: MatchSettings, identifiers: Sequence[str] | None) -> Places | None:
    """Find the common identifiers.

    Args:
        party: seat in the run.
        settings: agreed settings.
        identifiers: an owner's normalised identifiers, without repeats; ``None`` at the helper.

    Returns:
        Places of the common identifiers in `identifiers`; ``None`` at the helper.

    Raises:
        DataError: a list is empty, too long or holds repeats, or too few are common.
        ProtocolError: a party sent what the protocol does not allow.
    """
    if identifiers is None:
        _help(party, settings)
        return None
    check_list(identifiers)
    seed = _agree_seed(party)
    key = hashlib.sha256(named_context(_DOMAIN, settings.context) + seed).digest()
    tags, order = sort_tags(digest_texts(identifiers, key))
    if has_repeats(tags):
        raise repeated()
    helper = party.link("helper")
    helper.send("match.tags", None, tags.arrays)
    count, (places,) = helper.recv("match.places", int, [ArraySpec("<i8", (None,))])
    require_enough(count, settings)
    return own_places(places, order)


def _agree_seed(party: Party) -> bytes:
    """A secret of the owners, from the asker."""
    if party.role == "asker":
        seed = new_seed()
        party.peer.send("match.key", seed)
        return seed
    seed, _ = party.peer.recv("match.key", bytes)
    if len(seed) != SEED_BYTES:
        raise ProtocolError(
            "{peer} sent a seed of {got} bytes; {size} are due",
            peer=party.peer.peer,
            got=len(seed),
            size=SEED_BYTES,
        )
    return seed


def _help(party: Party, settings: MatchSettings) -> None:
    """Helper: match two lists of tags, tell each owner the places of the common ones."""
    specs = [ArraySpec("<u8", (None,)), ArraySpec(WIDE_TAIL, (None,))]
    lists = []
    for role in OWNERS:
        tags = Tags(*party.link(role).recv("match.tags", None, specs)[1])
        check_rising(tags)
        lists.append(tags)
    for role, places in zip(OWNERS, join_tags(*lists), strict=True):
        told = places if len(places) >= settings.minimum_rows else np.empty(0, dtype=np.int64)
        party.link(role).send("match.places", len(places) if len(told) else 0, [told])
    party.record("number of common identifiers", 1, ("helper",), "blind matching")
