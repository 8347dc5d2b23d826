"""Which names are compared: held to looking at every pair."""

from collections import Counter
from itertools import combinations
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.data._blocking import Pieces, shared_pairs

NAMES = st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6), min_size=1, max_size=14)


def dice(names, one, other):
    """The weighted Dice coefficient by its definition."""
    holders = Counter(piece for pieces in names for piece in set(pieces))
    weight = {piece: log((len(names) + 1) / count) for piece, count in holders.items()}
    a, b = set(names[one]), set(names[other])
    total = sum(weight[piece] for piece in a) + sum(weight[piece] for piece in b)
    return 2 * sum(weight[piece] for piece in a & b) / total


def pairs(names, least, **words):
    found = shared_pairs(Pieces.cut(names), least, **words)
    return [tuple(pair) for pair in found.tolist()]


@given(names=NAMES, least=st.floats(0.05, 1.0))
def test_no_pair_that_is_alike_enough_is_missed(names, least):
    found = pairs(names, least)
    alike = {pair for pair in combinations(range(len(names)), 2) if dice(names, *pair) > least + 1e-6}
    assert alike <= set(found)


@given(names=NAMES, least=st.floats(0.05, 1.0))
def test_pairs_are_ordered_once_and_share_something(names, least):
    found = pairs(names, least)
    assert found == sorted(set(found))
    assert all(one < other for one, other in found)
    assert all(set(names[one]) & set(names[other]) for one, other in found)


@given(names=NAMES, least=st.floats(0.05, 1.0), share=st.floats(0, 1))
def test_across_two_lists_are_the_pairs_of_one_list_that_cross(names, least, share):
    split = round(share * len(names))
    crossing = [pair for pair in pairs(names, least) if pair[0] < split <= pair[1]]
    assert pairs(names, least, split=split) == crossing


def test_rare_pieces_come_first_and_weigh_more():
    pieces = Pieces.cut([["x", "y"], ["x", "z"], ["x"]])
    assert pieces.of.tolist() == [0, 2, 4, 5]
    assert pieces.weights[0] == pieces.weights[1] == pytest.approx(log(4))
    assert pieces.weights[2] == pytest.approx(log(4 / 3))
    assert [np.diff(pieces.ids[a:b]).min(initial=1) > 0 for a, b in ((0, 2), (2, 4))] == [True, True]


def test_a_budget_follows_the_rarest_pieces_first():
    """Ten names share a common piece, two of them a rare one too."""
    names = [["common", f"own{at}"] for at in range(10)]
    names[3].append("rare")
    names[7].append("rare")
    assert (3, 7) in pairs(names, 0.05, budget=5)
    assert len(pairs(names, 0.05, budget=5)) == 1
    assert len(pairs(names, 0.01)) == 45


def test_no_names_have_no_pairs():
    assert pairs([["a"]], 0.5) == []
    assert pairs([["a"], ["b"]], 0.5) == []
