"""Whether a shared sum exceeds a bound, and nothing else of it.

Statement
    Parties: a provider that deals, asker and helper that hold shares of a sum.
    Who learns what: asker and helper see the sum plus a uniform mask; then they hold shares of one bit, and
    the asker gets it.
    Assumption: the provider that deals a query's gate colludes with neither asker nor helper: with either of
    them it could read the sum. Providers take turns. An asker that deviates can shift its share of the sum
    and so choose another bound for this query; it still learns one bit.
    Cost: for each measure and query 61 · 50 + 16 bytes dealt to each of the two; one round.
    Paper: Boyle, Chandran, Gilboa, Gupta, Ishai, Kumar and Rathee, Function secret sharing for mixed-mode and
    fixed-point secure computation (EUROCRYPT 2021), section 4: an interval is two comparisons.

The sum exceeds the bound where it lies between bound + 1 and half the field. Behind a mask this is an
interval that may wrap around the end of the field; the dealer, who knows the mask, deals a share of whether
it does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure import field
from tongzhou.secure.dcf import ComparisonKeys, deal_comparisons, evaluate_comparisons
from tongzhou.secure.dpf import FIELD, Corrections
from tongzhou.secure.prg import Stream, new_seed
from tongzhou.secure.ring import Words
from tongzhou.wire.messages import ArraySpec

__all__ = ["DealtGates", "GateKeys", "deal_gates", "gate_slots", "gate_specs", "over_shares"]

Array = NDArray[Any]

_BITS: Final = 61
_ENDS: Final = 2
_HALF: Final = (field.PRIME - 1) // 2


@dataclass(frozen=True, slots=True)
class DealtGates:
    """What a provider deals for its turns of a day.

    Attributes:
        asker_seed, helper_seed: 32 bytes; roots and masks follow from them.
        corrections, values: of the comparison keys, for both; two keys a gate.
        wraps: ``(turns, gates)`` the helper's shares of whether an interval wraps.
    """

    asker_seed: bytes
    helper_seed: bytes
    corrections: Corrections
    values: Words
    wraps: Words


class GateKeys:
    """One party's gates of one dealer and day.

    Args:
        party: 0 for the asker, 1 for the helper.
        seed: from the dealer.
        corrections, values: from the dealer.
        wraps: from the dealer, at the helper.

    Attributes:
        masks: ``(turns, gates)`` this party's part of what hides the sums.
    """

    def __init__(
        self, party: Literal[0, 1], seed: bytes, corrections: Corrections, *, values: Words, wraps: Words
    ) -> None:
        turns, gates = wraps.shape
        stream = Stream(seed)
        self.party: Literal[0, 1] = party
        self.corrections = corrections
        self.values = values
        self.roots = stream.words(turns * gates * _ENDS, 2)
        self.masks = field.from_words(stream.words(turns, gates))
        drawn = field.from_words(stream.words(turns, gates))
        self.wraps = drawn if party == 0 else wraps

    def __repr__(self) -> str:
        return f"GateKeys({len(self.masks)} turns)"


def gate_slots(per_day: int, providers: int) -> int:
    """Turns of each provider: it deals the gates of every slot whose number leaves its own as rest."""
    return -(-per_day // providers)


def gate_specs(turns: int, gates: int) -> list[ArraySpec]:
    """What the arrays of gates look like on arrival: corrections, values."""
    keys = turns * gates * _ENDS
    return [
        ArraySpec("<u8", (keys, _BITS, 2)),
        ArraySpec("|u1", (keys, _BITS)),
        ArraySpec("<u8", (keys, 1)),
        ArraySpec("<u8", (keys, _BITS)),
    ]


def deal_gates(bounds: Sequence[int], turns: int) -> DealtGates:
    """Deal gates that tell whether a sum exceeds each bound.

    Args:
        bounds: one for each gate of a query.
        turns: how many queries.
    """
    asker_seed, helper_seed = new_seed(), new_seed()
    empty = Corrections(
        np.empty((0, 0, 2), np.uint64), np.empty((0, 0), np.uint8), np.empty((0, 1), np.uint64)
    )
    nothing = np.empty((turns, len(bounds)), np.uint64)
    asker = GateKeys(0, asker_seed, empty, values=nothing, wraps=nothing)
    helper = GateKeys(1, helper_seed, empty, values=nothing, wraps=nothing)
    masks = field.add(asker.masks, helper.masks)
    lowest = field.add(field.from_signed(np.array(bounds, dtype=np.int64) + 1), masks)
    highest = field.add(np.full(len(bounds), _HALF, dtype=np.uint64), masks)
    points = np.stack([highest + np.uint64(1), lowest], axis=2).reshape(-1)
    corrections, values = deal_comparisons(
        points, np.ones(len(points), np.uint64), (asker.roots, helper.roots), bits=_BITS, group=FIELD
    )
    wraps = field.subtract((lowest > highest).astype(np.uint64), asker.wraps)
    return DealtGates(asker_seed, helper_seed, corrections, values, wraps)


def over_shares(keys: Sequence[GateKeys], turns: Sequence[int], opened: Words) -> Words:
    """One party's shares of whether each sum exceeds its bound.

    Args:
        keys: the gates of each query's dealer, Q of them.
        turns: which of the dealer's turns each query is.
        opened: ``(gates, Q)`` the sums plus their masks.

    Returns:
        ``(gates, Q)``; both parties' add up to 0 or 1.
    """
    gates, queries = opened.shape
    parts = [_gate_keys(one, turn, gates) for one, turn in zip(keys, turns, strict=True)]
    joined = ComparisonKeys(
        keys[0].party,
        np.concatenate([roots for roots, _, _ in parts]),
        Corrections(
            *(np.concatenate(arrays) for arrays in zip(*(_parts(c) for _, c, _ in parts), strict=True))
        ),
        np.concatenate([values for _, _, values in parts]),
    )
    points = np.repeat(opened.T.reshape(-1), _ENDS)
    ends = evaluate_comparisons(joined, points, group=FIELD).reshape(queries, gates, _ENDS)
    wraps = np.stack([one.wraps[turn] for one, turn in zip(keys, turns, strict=True)])
    return field.add(field.subtract(ends[:, :, 0], ends[:, :, 1]), wraps).T


def _gate_keys(keys: GateKeys, turn: int, gates: int) -> tuple[Words, Corrections, Words]:
    own = slice(turn * gates * _ENDS, (turn + 1) * gates * _ENDS)
    return keys.roots[own], keys.corrections.some(own), keys.values[own]


def _parts(corrections: Corrections) -> tuple[Array, Array, Array]:
    return corrections.seeds, corrections.right, corrections.last
