"""A checker of published tables that shares nothing with the code it checks: loops and definitions."""

import math
from collections import Counter, defaultdict


def classes_by_label(rows):
    """Places of the rows that look alike, by what they look like."""
    found = defaultdict(list)
    for place, row in enumerate(rows):
        found[tuple(row)].append(place)
    return found


def shares(values):
    counts = Counter(values)
    return {value: count / len(values) for value, count in counts.items()}


def entropy_l(values):
    return math.exp(-sum(share * math.log(share) for share in shares(values).values()))


def recursive_c(values, first):
    """The c that just fails: most frequent over all from a place in that order on."""
    counts = sorted(Counter(values).values(), reverse=True)
    tail = sum(counts[first - 1 :])
    return counts[0] / tail if tail else math.inf


def equal_t(values, everybody):
    own, all_ = shares(values), shares(everybody)
    return sum(abs(own.get(value, 0) - share) for value, share in all_.items()) / 2


def ordered_t(values, everybody, order):
    """Sum of absolute cumulative differences over the ranks, as Li et al. give it."""
    own, all_ = shares(values), shares(everybody)
    if len(order) < 2:
        return 0.0
    total = running = 0.0
    for value in order:
        running += own.get(value, 0) - all_.get(value, 0)
        total += abs(running)
    return total / (len(order) - 1)


def tree_t(values, everybody, paths):
    """The earth moved over a tree: what crosses each edge, half the height of an edge each way.

    Two leaves that meet at height h of H are h / H apart, so each edge is 1 / (2 H) long.
    """
    own, all_ = shares(values), shares(everybody)
    height = 1 + max(len(path) for path in paths.values())
    total = 0.0
    for level in range(height):
        below = defaultdict(float)
        for value in set(own) | set(all_):
            below[(value, *paths[value])[level]] += own.get(value, 0) - all_.get(value, 0)
        total += sum(abs(difference) for difference in below.values())
    return total / (2 * height)
