"""Conditions on classes: the examples of the papers, and definitions written out."""

import anonymise_naive as naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.risk.anonymise_criteria import (
    ClassCounts,
    Closeness,
    DistinctDiversity,
    EntropyDiversity,
    RecursiveDiversity,
    Sensitive,
)
from tongzhou.risk.anonymise_domains import category_domain, number_domain

SALARIES = [3, 4, 5, 6, 7, 8, 9, 10, 11]  # in thousands, table 3 of Li, Li, Venkatasubramanian 2007


def measured(criterion, domain, classes):
    classes = np.asarray(classes)
    counts = ClassCounts.of(classes, domain.codes, groups=int(classes.max()) + 1, size=domain.size)
    return criterion.measure(counts, Sensitive(domain, ()).overall())


def test_the_ordered_distances_of_the_paper():
    """Section 5.1: P1 = {3, 4, 5} is 0.375 from the whole, P2 = {6, 8, 11} is 0.167."""
    domain = number_domain("salary", SALARIES)
    classes = [0, 0, 0, 1, 2, 1, 2, 2, 1]
    distances = measured(Closeness(1, "ordered", domain), domain, classes)
    assert distances[0] == pytest.approx(0.375)
    assert distances[1] == pytest.approx(1 / 6)


def test_the_recursive_example_of_the_paper():
    """Machanavajjhala et al.: a class is (c, l)-diverse if r1 < c (rl + ... + rm)."""
    domain = category_domain("x", list("aaaabbcd"))
    (at_most,) = measured(RecursiveDiversity(1, 2), domain, [0] * 8)
    assert at_most == pytest.approx(4 / 4)
    assert not RecursiveDiversity(1, 2).allows(np.array([at_most]))[0], "strictly less"
    assert RecursiveDiversity(1.01, 2).allows(np.array([at_most]))[0]
    assert measured(RecursiveDiversity(1, 5), domain, [0] * 8)[0] == np.inf


def test_equal_shares_are_as_diverse_as_their_number():
    domain = category_domain("x", list("abcabc"))
    assert measured(EntropyDiversity(3), domain, [0] * 6)[0] == pytest.approx(3)
    assert measured(DistinctDiversity(3), domain, [0] * 6)[0] == 3
    assert EntropyDiversity(3).allows(np.array([3 - 1e-12]))[0], "rounding does not decide"


def test_a_class_like_the_whole_has_no_distance():
    domain = number_domain("x", [1, 2, 3, 1, 2, 3])
    for distance in ("equal", "ordered", "hierarchy"):
        assert measured(Closeness(0, distance, domain), domain, [0, 0, 0, 1, 1, 1]) == pytest.approx([0, 0])


PATHS = {"a": ["p", "u"], "b": ["p", "u"], "c": ["q", "u"], "d": ["r", "v"], "e": ["r", "v"]}
ROWS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abcde")), min_size=1, max_size=40)


def split(rows):
    """Classes numbered without gaps, and values."""
    number = {one: at for at, one in enumerate(sorted({group for group, _ in rows}))}
    return [number[group] for group, _ in rows], [value for _, value in rows]


@given(rows=ROWS)
def test_every_measure_is_its_definition(rows):
    classes, values = split(rows)
    plain = category_domain("x", values)
    tree = category_domain("x", values, PATHS)
    order = sorted(set(values))
    groups = [
        [value for group, value in zip(classes, values, strict=True) if group == one]
        for one in range(max(classes) + 1)
    ]
    cases = [
        (DistinctDiversity(2), plain, lambda own: len(set(own))),
        (EntropyDiversity(2), plain, naive.entropy_l),
        (RecursiveDiversity(2, 2), plain, lambda own: naive.recursive_c(own, 2)),
        (Closeness(0.2, "equal", plain), plain, lambda own: naive.equal_t(own, values)),
        (Closeness(0.2, "ordered", plain), plain, lambda own: naive.ordered_t(own, values, order)),
        (Closeness(0.2, "hierarchy", tree), tree, lambda own: naive.tree_t(own, values, PATHS)),
    ]
    for criterion, domain, defined in cases:
        assert measured(criterion, domain, classes) == pytest.approx([defined(own) for own in groups]), (
            criterion
        )


@given(rows=ROWS)
def test_one_class_is_counted_as_many_are(rows):
    classes, values = split(rows)
    domain = category_domain("x", values)
    own = domain.codes[np.array(classes) == 0]
    alone, together = (
        ClassCounts.single(own, domain.size),
        ClassCounts.of(np.array(classes), domain.codes, groups=max(classes) + 1, size=domain.size),
    )
    first = slice(together.starts[0], together.starts[1])
    assert alone.value.tolist() == together.value[first].tolist()
    assert alone.count.tolist() == together.count[first].tolist()
    assert alone.sizes[0] == together.sizes[0] == own.size


@given(rows=ROWS)
def test_entries_that_stand_for_many_rows_count_as_many(rows):
    classes, values = split(rows)
    domain = category_domain("x", values)
    pairs, counted = np.unique(np.column_stack((classes, domain.codes)), axis=0, return_counts=True)
    one = ClassCounts.of(np.array(classes), domain.codes, groups=max(classes) + 1, size=domain.size)
    many = ClassCounts.of(pairs[:, 0], pairs[:, 1], groups=max(classes) + 1, size=domain.size, rows=counted)
    assert one.count.tolist() == many.count.tolist()
    assert one.sizes.tolist() == many.sizes.tolist()


def test_hierarchies_larger_than_one_batch(monkeypatch):
    from tongzhou.risk import anonymise_criteria

    values = list("abcde") * 20
    domain = category_domain("x", values, PATHS)
    classes = np.arange(100) // 3
    criterion = Closeness(0.2, "hierarchy", domain)
    whole = measured(criterion, domain, classes)
    monkeypatch.setattr(anonymise_criteria, "_DENSE_MAX", 12)
    assert measured(criterion, domain, classes) == pytest.approx(whole)


@pytest.mark.parametrize(
    ("criterion", "kind", "bound", "worst"),
    [
        (DistinctDiversity(3), "distinct", 3, 1.0),
        (EntropyDiversity(2.5), "entropy", 2.5, 1.0),
        (RecursiveDiversity(4, 2), "recursive", 4, 9.0),
        (Closeness(0.2, "ordered", number_domain("x", [1])), "ordered", 0.2, 9.0),
    ],
)
def test_a_condition_says_what_it_is(criterion, kind, bound, worst):
    assert (criterion.kind, criterion.bound) == (kind, bound)
    assert criterion.worst(np.array([1.0, 9.0, 3.0])) == worst
