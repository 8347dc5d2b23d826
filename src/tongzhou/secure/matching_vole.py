"""Private set intersection of two owners' identifiers by silent VOLE: a fraction of the cost of public keys.

Statement
    Parties: asker and provider; nobody else.
    Who learns what: both learn the size of the other's list and which of their own identifiers are common. Of
    the others they learn random-looking words only. The asker compares, so it sees the number of matches,
    and which of its own identifiers they are, before the minimum is applied; below the minimum the provider
    learns only that it was not reached.
    Assumption: semi-honest; learning parity with regular noise, and the others of `tongzhou.secure.vole`;
    AES under a key of the run, chosen after both lists stand, as an ideal permutation. A mistake (an
    identifier taken for common that is not, or one tag more that the asker can tell from random) has chance
    below 2^-39.
    Cost: about 10 bytes for each identifier of the asker and 10 (for more than a million 12) for each of the
    provider, and 8 a match; once 1 to 6 MB; a few rounds. About 0.7 µs of processor time an identifier.
    Paper: Raghuraman and Rindal, Blazing fast PSI from improved OKVS and subfield VOLE (CCS 2022), the
    semi-honest protocol of figure 11, with words of 64 bits in the table and D in 128.

How it works. The asker fills a table P from which each of its identifiers x reads h(x), a hash of 64 bits
(`tongzhou.secure.okvs`), and sends P + a, where VOLE gave it a and ``c = b + a·D``, and the provider b and
D. The provider computes ``k = b + (P + a)·D = c + P·D``. For an identifier y it reads k(y) + h(y)·D; since
reading is linear, that is c(y) + (P(y) + h(y))·D: what the asker reads from c if y is its identifier, and
blinded by D if not. Both hash what they read; the provider sends its hashes in their own order, and the
asker compares.

Why 64 bits suffice. For an identifier y that the asker does not hold, h(y) is independent of the table and of
where y reads in it, so P(y) = h(y) by chance 2^-64 for each y of the provider: 2^-42 for four million. (The
paper counts pairs of identifiers, as for a hash that stands for the identifier itself; here a digest of 128
bits does.) That the tags of unlike identifiers are alike is counted over pairs: they have 40 bits more than
that takes.
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated

import msgspec

from tongzhou.errors import ProtocolError
from tongzhou.secure.fixed_hash import HASH_KEY_BYTES, BlockCipher, Blocks, FixedKeyHash
from tongzhou.secure.gf64 import FixedProduct
from tongzhou.secure.match_rules import (
    MatchSettings,
    Places,
    check_list,
    check_size,
    finish_as_follower,
    finish_as_leader,
    named_context,
    own_places,
    repeated,
)
from tongzhou.secure.okvs import Keys, Store, hash_keys, table_size
from tongzhou.secure.ot_extension import OtReceiver, OtSender
from tongzhou.secure.party import Party
from tongzhou.secure.prg import SEED_BYTES, new_seed
from tongzhou.secure.ring import Words
from tongzhou.secure.sorted_tags import Tags, check_rising, join_tags, rising_order, sort_tags, tail_type
from tongzhou.secure.text_digests import digest_texts
from tongzhou.secure.vole import VoleReceiver, VoleSender
from tongzhou.wire.messages import ArraySpec

__all__ = ["match_vole"]

_DOMAIN = b"tongzhou/match/v2/vole/"
_ATTEMPTS = 8
"""A table that cannot be filled gets a new hash; that the second is needed has chance below 2^-40."""


class _Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first message: how long the list is, and half of the run's key."""

    size: Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]
    nonce: Annotated[bytes, msgspec.Meta(min_length=SEED_BYTES, max_length=SEED_BYTES)]


class _Run:
    """What both know before the protocol proper: sizes, and hashes under a key of the run."""

    def __init__(self, party: Party, settings: MatchSettings, size: int) -> None:
        own = _Hello(size, new_seed())
        party.peer.send("match.hello", own)
        other, _ = party.peer.recv("match.hello", _Hello)
        check_size(party.peer.peer, other.size)
        asker, provider = (own, other) if party.role == "asker" else (other, own)
        self.table_keys = asker.size
        self.provider_size = provider.size
        self.tail = tail_type(asker.size * provider.size)
        self._key = hashlib.sha256(
            named_context(_DOMAIN, settings.context) + asker.nonce + provider.nonce
        ).digest()

    def key(self, purpose: str) -> bytes:
        """A key of 16 bytes."""
        return hashlib.sha256(self._key + purpose.encode()).digest()[:HASH_KEY_BYTES]

    def digests(self, identifiers: Sequence[str]) -> tuple[Blocks, Places]:
        """Digests in rising order, which says nothing of the list's, and the places they come from."""
        digests = digest_texts(identifiers, self.key("digest"))
        order = rising_order(digests[:, 0], digests[:, 1])
        digests = digests.take(order, axis=0)
        if bool((digests[1:] == digests[:-1]).all(axis=1).any()):
            raise repeated()
        return digests, order

    def hashed(self, digests: Blocks, attempt: int) -> Keys:
        """Where each identifier reads, and what it should read."""
        return hash_keys(digests, BlockCipher(self.key(f"table {attempt}")), self.table_keys)

    def tags(self, read: Blocks, digests: Blocks) -> tuple[Tags, Places]:
        """What is compared."""
        return sort_tags(FixedKeyHash(self.key("tag")).tagged(read, digests), self.tail)


def match_vole(party: Party, settings: MatchSettings, identifiers: Sequence[str]) -> Places:
    """Find the common identifiers.

    Args:
        party: an owner's seat.
        settings: agreed settings.
        identifiers: this owner's normalised identifiers, without repeats.

    Returns:
        Places of the common identifiers in `identifiers`.

    Raises:
        DataError: a list is empty, too long or holds repeats, or too few are common.
        ProtocolError: the peer sent what the protocol does not allow.
    """
    check_list(identifiers)
    run = _Run(party, settings, len(identifiers))
    digests, order = run.digests(identifiers)
    if party.role == "asker":
        return order[_compare(party, settings, run, digests)]
    places = order[_answer(party, run, digests)]
    return own_places(finish_as_follower(party, settings), places)


def _compare(party: Party, settings: MatchSettings, run: _Run, digests: Blocks) -> Places:
    """Asker: hide the own digests in a table, compare what the provider makes of it."""
    masks, sums = VoleReceiver(OtReceiver(party.peer)).extend(table_size(run.table_keys))
    table, keys, attempt = _filled(run, digests)
    masks ^= table
    party.peer.send("match.table", attempt, [masks])
    own, order = run.tags(Store(run.table_keys).read(sums, keys), digests)
    specs = [ArraySpec("<u8", (run.provider_size,)), ArraySpec(run.tail, (run.provider_size,))]
    theirs = Tags(*party.peer.recv("match.tags", None, specs)[1])
    check_rising(theirs)
    return order[finish_as_leader(party, settings, *join_tags(own, theirs))]


def _filled(run: _Run, digests: Blocks) -> tuple[Words, Keys, int]:
    store = Store(run.table_keys)
    for attempt in range(_ATTEMPTS):
        keys = run.hashed(digests, attempt)
        table = store.fill(keys)
        if table is not None:
            return table, keys, attempt
    raise ProtocolError("no table holds these identifiers after {attempts} attempts", attempts=_ATTEMPTS)


def _answer(party: Party, run: _Run, digests: Blocks) -> Places:
    """Provider: send the tags; returns the places of their digests."""
    vole = VoleSender(OtSender(party.peer))
    sums = vole.extend(table_size(run.table_keys))
    product = FixedProduct(vole.delta)
    attempt, (masked,) = party.peer.recv("match.table", int, [ArraySpec("<u8", (len(sums),))])
    if not 0 <= attempt < _ATTEMPTS:
        raise ProtocolError(
            "{peer} took {got} attempts; at most {limit} are allowed",
            peer=party.peer.peer,
            got=attempt,
            limit=_ATTEMPTS,
        )
    product.add_to(sums, masked)
    keys = run.hashed(digests, attempt)
    read = Store(run.table_keys).read(sums, keys)
    product.add_to(read, keys.words)
    tags, order = run.tags(read, digests)
    party.peer.send("match.tags", None, tags.arrays)
    return order
