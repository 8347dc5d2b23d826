"""Known attacks on boosted trees over split columns: they succeed where partitions and sums are open, as in
SecureBoost, and do no better than chance on everything that a party of ours receives.

The baseline below is what such systems show: the provider learns which rows are in each node (it applies the
splits), and the asker decrypts the sums of gradients in the provider's bins.

Attacks: reverse sum (Weng and others, arXiv 2011.09290), labels from the sets of rows in nodes (ID2Graph,
Takahashi and others, arXiv 2307.10318), labels from the signs of gradients.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from boost_worlds import settings, table
from secure_worlds import Received, Watch

from tongzhou.secure.boost_tasks import BoostTask
from tongzhou.secure.cuts import bin_rows, cut_columns
from tongzhou.secure.histograms import RunShape
from tongzhou.secure.simulate import simulate

ROWS, BINS, TREES, DEPTH = 2000, 8, 4, 3
TARGETS = 16


@dataclass
class Open:
    """What a SecureBoost-like training shows.

    Attributes:
        members: to the provider: rows of each node of each tree, ``(n,)`` flags each.
        gradients: to a provider of a system without encryption: of each row, of the first tree.
        sums: to the asker: of its gradients in each bin of each of the provider's columns.
    """

    members: list[np.ndarray]
    gradients: np.ndarray
    sums: np.ndarray


def naive(blocks: Any, marked: np.ndarray) -> Open:
    """Boost in the open; the asker adds `marked` to the gradients whose sums it will see."""
    asker, provider = blocks
    codes = [bin_rows(cut_columns(b.values, BINS), b.values) for b in (asker, provider)]
    columns, split = codes[0] + codes[1], len(codes[0])
    scores, members, first = np.zeros(ROWS), [], None
    for _ in range(TREES):
        chance = 1 / (1 + np.exp(-scores))
        gradient, curvature = chance - asker.label, chance * (1 - chance)
        first = gradient if first is None else first
        nodes = [np.ones(ROWS, dtype=bool)]
        for _ in range(DEPTH):
            nodes = [part for rows in nodes for part in _halves(columns, rows, gradient, curvature)]
            members += nodes
        for rows in nodes:
            scores[rows] -= 0.5 * gradient[rows].sum() / (curvature[rows].sum() + 1)
    sums = np.array([np.bincount(one, first + marked, minlength=BINS) for one in columns[split:]])
    return Open(members, first, sums)


def _halves(columns: list[np.ndarray], rows: np.ndarray, g: np.ndarray, h: np.ndarray) -> list[np.ndarray]:
    best, parts = -1.0, [rows, rows & False]
    for column in columns:
        for code in range(BINS - 1):
            left = rows & (column <= code)
            right = rows & ~left
            gain = sum(g[side].sum() ** 2 / (h[side].sum() + 1) for side in (left, right))
            if gain > best:
                best, parts = gain, [left, right]
    return parts


def area(label: np.ndarray, guess: np.ndarray) -> float:
    """AUC; half is chance."""
    order = np.argsort(np.argsort(guess + 1e-9 * np.random.default_rng(0).random(len(guess))))
    positive = label == 1
    ranks = order[positive].sum() - positive.sum() * (positive.sum() - 1) / 2
    return float(ranks / (positive.sum() * (~positive).sum()))


def label_attack(members: list[np.ndarray], label: np.ndarray, known: np.ndarray) -> float:
    """ID2Graph in short: rows that share nodes are alike; a few labels that leaked tell which side is which.

    Rows are points whose coordinates are their nodes; each takes the label of the known rows by closeness.
    """
    points = np.array(members, dtype=np.float64).T
    points = (points - points.mean(axis=0)) / (points.std(axis=0) + 1e-9)
    closeness = points @ points[known].T / points.shape[1]
    weight = np.exp(4 * closeness)
    guess = weight @ label[known] / weight.sum(axis=1)
    hidden = np.setdiff1d(np.arange(len(label)), known)
    return area(label[hidden], guess[hidden])


@pytest.fixture(scope="module")
def blocks() -> Any:
    return table(ROWS, 3, 3)


@pytest.fixture(scope="module")
def watch(blocks) -> Watch:
    seen = Watch()
    given = settings(ROWS, 3, 3, trees=TREES, depth=DEPTH, bins=BINS)
    simulate("aided", BoostTask(given), *blocks, watch=seen)
    return seen


def row_vectors(view: list[Received], *tags: str) -> list[np.ndarray]:
    """Everything received that has one number or bit a row, ``(n,)`` each."""
    found = []
    for message in view:
        if tags and message.tag not in tags:
            continue
        for array in message.arrays:
            if message.tag == "masked.choice":
                bits = np.unpackbits(array)
                found += list(bits[: len(bits) // ROWS * ROWS].reshape(-1, ROWS))
            elif array.dtype.kind == "u" and array.itemsize > 1 and array.size % ROWS == 0 and array.size:
                signed = array.reshape(-1, ROWS).view(np.int64 if array.itemsize == 8 else np.int32)
                found += list(signed)
    return [np.asarray(one, dtype=np.float64) for one in found]


KNOWN = np.arange(0, ROWS, 50)


def test_open_partitions_betray_labels(blocks) -> None:
    """A fiftieth of the labels is known; the sets of rows in nodes tell most of the others."""
    shown = naive(blocks, np.zeros(ROWS))
    assert len(shown.members) == TREES * (2 + 4 + 8)
    assert label_attack(shown.members, blocks[0].label, KNOWN) > 0.7


def test_what_the_provider_receives_does_not(blocks, watch: Watch) -> None:
    """The same attack on masked bits and on signs of masked words, one a row, all of them."""
    chance = 6 * np.sqrt(1 / (12 * blocks[0].label.sum()) + 1 / (12 * (1 - blocks[0].label).sum()))
    bits = row_vectors(watch.views["provider"], "masked.choice")
    assert len(bits) >= 1 + TREES * (1 + 2 + 4)
    words = row_vectors(watch.views["provider"])
    assert len(words) > 100
    for members in (bits, [one > np.median(one) for one in words]):
        assert label_attack(members, blocks[0].label, KNOWN) == pytest.approx(0.5, abs=chance)


def test_open_gradients_betray_labels(blocks) -> None:
    shown = naive(blocks, np.zeros(ROWS))
    assert ((shown.gradients < 0) == (blocks[0].label == 1)).all()


def test_masked_words_do_not_go_with_labels(blocks, watch: Watch) -> None:
    """No received number of a row goes with its label or its gradient, nor does any pair sum of them."""
    vectors = np.array(row_vectors(watch.views["provider"]))
    label = blocks[0].label - blocks[0].label.mean()
    for centred in (vectors, vectors[:-1] + vectors[1:], np.sign(vectors)):
        spread = centred - centred.mean(axis=1, keepdims=True)
        norms = np.linalg.norm(spread, axis=1) * np.linalg.norm(label)
        agreement = spread[norms > 0] @ label / norms[norms > 0]
        assert np.abs(agreement).max() < 6 / np.sqrt(ROWS)


def bins_by_reverse_sum(sums: np.ndarray, unmarked: np.ndarray) -> np.ndarray:
    """Decode the bin of each marked row: its mark is a power of two above all honest sums."""
    excess = np.rint((sums - unmarked) / ROWS).astype(np.int64)
    return np.array([[int(np.argmax((column >> bit) & 1)) for bit in range(TARGETS)] for column in excess])


def test_open_sums_betray_the_providers_bins(blocks) -> None:
    """Marks in the gradients of sixteen rows are read back from the sums: the bin of each, in each column."""
    targets = np.arange(TARGETS) * 100
    marks = np.zeros(ROWS)
    marks[targets] = ROWS * 2.0 ** np.arange(TARGETS)
    shown = naive(blocks, marks)
    honest = naive(blocks, np.zeros(ROWS)).sums
    codes = np.array(bin_rows(cut_columns(blocks[1].values, BINS), blocks[1].values))
    assert (bins_by_reverse_sum(shown.sums, honest) == codes[:, targets]).all()


def test_what_the_asker_receives_holds_no_sum_to_reverse(blocks, watch: Watch) -> None:
    """The only messages about the provider's bins are orders: rows of one bin stand as far apart as any."""
    codes = np.array(bin_rows(cut_columns(blocks[1].values, BINS), blocks[1].values))
    orders = [m.arrays[0] for m in watch.views["asker"] if m.tag == "column.order"]
    assert len(orders) == len(codes)
    slots = RunShape(ROWS, BINS).slots
    for order, column in zip(orders, codes, strict=True):
        assert len(order) == slots
        padded = np.append(column, np.full(slots - ROWS, BINS, dtype=np.uint8))[order]
        same = (padded[1:] == padded[:-1]).mean()
        share = np.bincount(padded, minlength=BINS + 1) / slots
        chance = float((share**2).sum())
        assert same == pytest.approx(chance, abs=6 * np.sqrt(chance / slots))
        # Nor does the place in the order go with the bin.
        places = np.argsort(order)[:ROWS]
        assert abs(np.corrcoef(places, column)[0, 1]) < 6 / np.sqrt(ROWS)


def test_the_asker_cannot_read_bins_from_its_row_vectors(blocks, watch: Watch) -> None:
    codes = np.array(bin_rows(cut_columns(blocks[1].values, BINS), blocks[1].values), dtype=np.float64)
    codes -= codes.mean(axis=1, keepdims=True)
    vectors = np.array(row_vectors(watch.views["asker"]))
    spread = vectors - vectors.mean(axis=1, keepdims=True)
    norms = np.outer(np.linalg.norm(spread, axis=1), np.linalg.norm(codes, axis=1))
    kept = norms[:, 0] > 0
    agreement = (spread @ codes.T)[kept] / norms[kept]
    assert np.abs(agreement).max() < 6 / np.sqrt(ROWS)
