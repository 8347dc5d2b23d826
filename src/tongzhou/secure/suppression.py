"""Which cells of a table stay closed, so that no total gives a small cell away. Pure logic, no numbers.

Whoever reads a table may know the totals of its rows and columns: each owner knows its own. What it can
compute of the closed cells are sums and differences of totals less the open cells of the same lines. Draw the
closed cells as edges between their row and their column. The combinations with the fewest cells are then the
cuts of that graph (Gusfield, A graph theoretic approach to statistical data security, SIAM J. Computing 1988;
Kao, Data security equals graph connectivity, 1996).

So a table is closed far enough when every cut holds a cell that is itself large enough to be opened: when the
*large* closed cells alone connect each small cell's row with its column. Then everything that can be computed
from totals and open cells tells about that large cell too, and so about at least the minimum of rows.

A table may have a last row and a last column for what is left of each owner's rows. Nobody asked for them, so
they are never opened, but totals give them away like any other. With them a single group is a table of four
cells: itself, and the three ways in which a client may be outside it.

The choice looks only at which cells are large, so both owners make the same one; it tells nothing further.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

__all__ = ["open_cells"]

Flags = NDArray[np.bool_]


def open_cells(large: Flags, core: tuple[int, int] | None = None) -> Flags | None:
    """The cells of a table that may be opened.

    Args:
        large: ``(r, c)`` which cells hold at least the minimum. A table with one row or one column counts as
            one line with a known total.
        core: how many rows and columns were asked for; what follows them is what is left. All, if not given.

    Returns:
        ``(r, c)`` flags, or ``None`` where nothing may be opened: no choice protects the small cells, or none
        leaves a cell open.
    """
    rows, columns = large.shape if core is None else core
    left = np.ones(large.shape, dtype=np.bool_)
    left[:rows, :columns] = False
    extra = _line(large, left) if 1 in large.shape else _grid(large, left)
    if extra is None:
        return None
    opened: Flags = large & ~left & ~extra
    return opened if bool(opened.any()) else None


def _line(large: Flags, left: Flags) -> Flags | None:
    """One total: where a cell is small, a large one must be closed, if need be the nearest to the first."""
    extra = large & left
    small, candidates = np.flatnonzero(~large), np.flatnonzero(large)
    if len(small) and not bool(extra.any()):
        if not len(candidates):
            return None
        nearest = candidates[int(np.argmin(np.abs(candidates - int(small[0]))))]
        extra.reshape(-1)[nearest] = True
    return extra


def _grid(large: Flags, left: Flags) -> Flags | None:
    """Totals of rows and columns: close a path of large cells around each small one."""
    extra = large & left
    for row, column in np.argwhere(~large):
        path = _path(large, extra, int(row), int(column))
        if path is None:
            return None
        for cell in path:
            extra[cell] = True
    return extra


def _path(large: Flags, extra: Flags, row: int, column: int) -> list[tuple[int, int]] | None:
    """Large cells that connect a row with a column, with the fewest that are not closed yet.

    A search by steps of weight 0 (a cell that is closed already) and 1, over rows and columns in order.
    """
    rows = large.shape[0]
    start, goal = row, rows + column
    best, cells = {start: 0}, dict[int, tuple[int, tuple[int, int]]]()
    queue = deque([start])
    while queue:
        here = queue.popleft()
        for there, cell in _neighbours(large, here):
            length = best[here] + (0 if extra[cell] else 1)
            if there not in best or length < best[there]:
                best[there], cells[there] = length, (here, cell)
                (queue.appendleft if extra[cell] else queue.append)(there)
    if goal not in best:
        return None
    path = []
    while goal != start:
        goal, cell = cells[goal]
        path.append(cell)
    return path


def _neighbours(large: Flags, place: int) -> list[tuple[int, tuple[int, int]]]:
    """Where the large cells of a row (or, counted after the rows, a column) lead."""
    rows = large.shape[0]
    if place < rows:
        return [(rows + int(column), (place, int(column))) for column in np.flatnonzero(large[place])]
    column = place - rows
    return [(int(row), (int(row), column)) for row in np.flatnonzero(large[:, column])]
