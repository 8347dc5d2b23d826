"""Keys for one query each: what a provider deals to asker and helper so that they can test and add.

Statement
    Parties: a provider that deals, asker and helper that hold shares of one row of the provider's table.
    Who learns what: the provider learns nothing of the queries; asker and helper learn words masked by fresh
    uniform words, and then hold shares of the answer.
    Assumption: as `tongzhou.secure.dpf`; the provider colludes with neither of the two as far as its own
    table is concerned, which it knows anyway.
    Cost: for each query and table 17 bytes for each of 48 bits, 8 for each word of the payload, and 8 more at
    the helper.
    Papers: Boyle, Gilboa and Ishai, Secure computation with preprocessing via function secret sharing (TCC
    2019), for testing a masked value with a key dealt before.

A key is for *slot* s of a day. Its dealer knows masks for each word of a row. Asker and helper open the row's
tag
minus the asked tag, plus the mask: the row matches where that equals the mask, which is the point of the key.
The payload is a gain and the product of gain and mask for each column that is opened, so that shares of
``gain · match · value`` follow without another word.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure import field
from tongzhou.secure.dpf import FIELD, Corrections, PointKeys, deal_points, evaluate_points
from tongzhou.secure.list_masks import authenticate
from tongzhou.secure.list_terms import TAG_BITS, Opened
from tongzhou.secure.prg import Stream, new_seed
from tongzhou.secure.ring import Words
from tongzhou.wire.messages import ArraySpec

__all__ = [
    "AskerKeys",
    "DealtKeys",
    "HelperKeys",
    "answer_shares",
    "correction_specs",
    "deal_keys",
    "gains_for",
    "low_bits",
]

Array = NDArray[Any]

_LOW = np.uint64((1 << TAG_BITS) - 1)


@dataclass(frozen=True, slots=True)
class DealtKeys:
    """What a provider deals for one table and day.

    Attributes:
        asker_seed, helper_seed: 32 bytes; roots and masks follow from them.
        corrections: of the keys, for both.
        checks: ``(slots,)`` for the helper: what authenticators of the asker's masks are short of.
    """

    asker_seed: bytes
    helper_seed: bytes
    corrections: Corrections
    checks: Words


class AskerKeys:
    """The asker's keys of one table and day.

    Args:
        seed: from the provider.
        corrections: from the provider.
        width: words of a row.

    Attributes:
        masks: ``(slots, width)`` what hides the words that are read.
        proofs: ``(slots,)`` authenticators of the masks.
    """

    def __init__(self, seed: bytes, corrections: Corrections, width: int) -> None:
        stream, slots = Stream(seed), len(corrections.right)
        self.corrections = corrections
        self.roots = stream.words(slots, 2)
        self.masks = field.from_words(stream.words(slots, width))
        self.proofs = field.from_words(stream.words(slots))

    def __repr__(self) -> str:
        return f"AskerKeys({len(self.proofs)} slots)"


class HelperKeys:
    """The helper's keys of one table and day.

    Args:
        seed: from the provider.
        corrections: from the provider.
        checks: from the provider.
        opened: how many columns are opened.

    Attributes:
        masks: ``(slots, 1 + opened)`` what hides the tag and the opened columns.
    """

    def __init__(self, seed: bytes, corrections: Corrections, checks: Words, *, opened: int) -> None:
        stream, slots = Stream(seed), len(corrections.right)
        self.corrections = corrections
        self.roots = stream.words(slots, 2)
        self.masks = field.from_words(stream.words(slots, 1 + opened))
        self.checks = checks

    def __repr__(self) -> str:
        return f"HelperKeys({len(self.checks)} slots)"


def deal_keys(factors: Words, opened: Opened, slots: int, *, gains: Words) -> DealtKeys:
    """Deal keys for the slots 0 to ``slots - 1`` of a day.

    Args:
        factors: of the table's `TableMask`.
        opened: the day's measures.
        slots: how many.
        gains: ``(slots, secret)`` of `gains_for`, the same for all tables of the provider.
    """
    asker_seed, helper_seed = new_seed(), new_seed()
    # Both sides' masks are drawn as the receivers will draw them; corrections do not matter for that.
    empty = Corrections(
        np.empty((slots, 0, 2), np.uint64), np.empty((slots, 0), np.uint8), np.empty((slots, 0), np.uint64)
    )
    asker = AskerKeys(asker_seed, empty, len(factors))
    helper = HelperKeys(helper_seed, empty, np.empty(slots, np.uint64), opened=len(opened.masked))
    points = low_bits(field.add(asker.masks[:, 0], helper.masks[:, 0]))
    masks = field.add(asker.masks[:, list(opened.masked)], helper.masks[:, 1:])
    corrections = deal_points(
        points, _payloads(opened, masks, gains), (asker.roots, helper.roots), bits=TAG_BITS, group=FIELD
    )
    checks = field.subtract(asker.proofs, authenticate(factors, asker.masks))
    return DealtKeys(asker_seed, helper_seed, corrections, checks)


def gains_for(secret: bytes, opened: Opened, slots: int) -> Words:
    """A provider's random gains ``(slots, secret measures)`` of a day.

    Args:
        secret: 32 bytes that only this provider has.
        opened: the day's measures.
        slots: how many.
    """
    seed = hashlib.blake2b(
        opened.day.to_bytes(4, "big"), key=secret, person=b"gains", digest_size=32
    ).digest()
    return field.from_words(Stream(seed).words(slots, sum(opened.secret)))


def _payloads(opened: Opened, masks: Words, gains: Words) -> Words:
    """Gains, and their products with the masks of the measures' columns, ``(slots, payload)``."""
    payloads = np.zeros((len(masks), opened.payload), dtype=np.uint64)
    drawn = iter(gains.T)
    for (gain, product), place, secret in zip(opened.parts, opened.places, opened.secret, strict=True):
        payloads[:, gain] = next(drawn) if secret else 1
        payloads[:, product] = field.multiply(payloads[:, gain], masks[:, opened.masked.index(place)])
    return payloads


def correction_specs(opened: Opened, slots: int) -> list[ArraySpec]:
    """What the arrays of corrections look like on arrival."""
    return [
        ArraySpec("<u8", (slots, TAG_BITS, 2)),
        ArraySpec("|u1", (slots, TAG_BITS)),
        ArraySpec("<u8", (slots, opened.payload)),
    ]


def answer_shares(opened: Opened, keys: PointKeys, differences: Words, columns: Words) -> Words:
    """One evaluator's shares of what each measure gives, from everything that was opened in masked form.

    Args:
        opened: the day's measures.
        keys: T·Q keys, table by table.
        differences: ``(T, Q)`` masked differences of tags.
        columns: ``(T, Q, opened)`` masked columns.

    Returns:
        ``(measures, Q)``.
    """
    tables, queries = differences.shape
    values = evaluate_points(keys, low_bits(differences).reshape(-1), group=FIELD)
    values = values.reshape(tables, queries, opened.payload)
    shares = []
    for (gain, product), place in zip(opened.parts, opened.places, strict=True):
        column = columns[:, :, opened.masked.index(place)]
        terms = field.subtract(field.multiply(values[:, :, gain], column), values[:, :, product])
        shares.append(field.sum_rows(terms, 0))
    return np.stack(shares)


def low_bits(elements: Words) -> Words:
    """The part of an element that keys compare."""
    return elements & _LOW
