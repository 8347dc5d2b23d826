"""Shared numbers and bits for tests of what boosted trees are made of, and a small joint table."""

from typing import Any

import numpy as np
from secure_worlds import clients, play

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.boost_settings import BoostSettings
from tongzhou.secure.halves import Halved
from tongzhou.secure.logistic import OwnerBlock
from tongzhou.secure.shared import Shared

SOURCE = np.random.default_rng(7)


def halves_of(engine: AidedEngine, values: np.ndarray, masks: np.ndarray) -> Halved:
    """Signed numbers as this party's view of values shared modulo 2^32."""
    return Halved(values.shape, _part(engine, values.astype(np.int64).astype(np.uint32), masks))


def words_of(engine: AidedEngine, values: np.ndarray, masks: np.ndarray) -> Shared:
    """The same modulo 2^64."""
    return Shared(values.shape, _part(engine, values.astype(np.int64).view(np.uint64), masks))


def bits_of(engine: AidedEngine, bits: np.ndarray, masks: np.ndarray) -> np.ndarray | None:
    """This party's shares of bits."""
    if not engine.is_owner:
        return None
    return bits ^ masks if engine.party.role == "asker" else masks.copy()


def masks_for(shape: tuple[int, ...], dtype: Any = np.uint32) -> np.ndarray:
    """Uniform shares for the provider."""
    return SOURCE.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def joined(results: dict[str, Any]) -> np.ndarray:
    """The value behind the owners' shares, signed."""
    assert results["helper"].share is None
    assert results["asker"].shape == results["provider"].shape == results["helper"].shape
    total = results["asker"].share + results["provider"].share
    assert total.shape == results["asker"].shape
    return total.view(np.int32 if total.dtype == np.uint32 else np.int64).astype(np.int64)


def each(results: dict[str, Any], place: int) -> dict[str, Any]:
    """One of several values that each party returned."""
    return {role: found[place] for role, found in results.items()}


def table(
    rows: int = 600, asker: int = 2, provider: int = 3, *, missing: float = 0.0
) -> tuple[OwnerBlock, OwnerBlock]:
    """Both owners' rows, with some values missing, more often where the label is 1.

    Each column has its own grid of values, so that bins of two columns seldom hold equally many rows.
    """
    blocks = clients(rows, asker, provider, seed=5, rate=0.3)
    source = np.random.default_rng(6)
    for side, block in enumerate(blocks):
        grid = 0.17 + 0.06 * np.arange(block.values.shape[1]) + 0.03 * side
        block.values[:] = np.rint(block.values / grid) * grid
        gone = source.random(block.values.shape) < missing * (1 + 2 * blocks[0].label[:, np.newaxis])
        block.values[gone] = np.nan
    return blocks


def settings(rows: int = 600, asker: int = 2, provider: int = 3, **options: Any) -> BoostSettings:
    """Small trees."""
    known = {"rows": rows, "asker_columns": asker, "provider_columns": provider}
    return BoostSettings(**(known | {"trees": 3, "depth": 2, "bins": 8} | options))


def _part(engine: AidedEngine, words: np.ndarray, masks: np.ndarray) -> np.ndarray | None:
    if not engine.is_owner:
        return None
    return masks.copy() if engine.party.role == "provider" else words - masks


__all__ = ["bits_of", "each", "halves_of", "joined", "masks_for", "play", "settings", "table", "words_of"]
