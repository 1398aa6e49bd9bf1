"""A Lipschitz function: blocks of layers that look up many cells, then layers that read bits."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ._arguments import check_whole
from ._construction import Construction
from ._extraction import LARGEST_GROUP
from ._layers import Layers, Rows, stack
from ._lipschitz_output import COPIES, Plan, finish, plan

_SOURCE = "derived; lookup, bit extraction and the median of three copies as in [ou2024], recalled"


# n = R P q cells: R segments of P groups of q cells, looked up by blocks of three hidden layers,
# one block per segment. The coordinate is c = 4 n x + 1, in quarters of a cell, and segment r is
# where y = clip(c - 4 r P q, 0, 4 P q) varies (the last one is not cut at its end). Segments begin
# and end in the last quarter of a cell, where all copies are right. Each block gives a quantity at
# its y; at the end of its segment that is what the next block gives at the beginning of its own, so
# the sum of (value of the block - its value at the beginning) is the value at x.
#
# Copy s, group p: the first quarter of its first cell is y in [1 + 4pq + s, 2 + 4pq + s], in which
# Z_p = K_(1+4pq+s) - K_(2+4pq+s), K_j = rho(y - j), goes from 0 to 1. Layer by layer:
#   1. the units K_j for these 4 P knots j.
#   2. sigma = 3 - s + y - 4 Z_0 - 4 q sum_(p>0) Z_p, the place in the group in quarters: it begins
#      in the last quarter of a cell of its own, and falls to 1 where a group begins. Also, as
#      functions of the group that change linearly with Z_p, alpha_0 = v_0 and the two signs of
#      alpha_j = v_j - v_(j-1) for v the values of the q cells. Units: sigma, rho(sigma - 4j),
#      rho(sigma - 4j - 1), whose difference step_j goes from 0 to 1 in the first quarter of cell j;
#      alpha_0; alpha_j^+-.
#   3. gates rho(alpha_j^+- + M (step_j - 1)) with M at least alpha_j^+-: 0 before cell j, and
#      alpha_j^+- from its second quarter on. Units: alpha_0, the gates, t = m (sigma/4 - sum
#      step_j).
# The value is alpha_0 + sum_j (gate_j^+ - gate_j^-): right outside of first quarters.
def lipschitz_by_lookup(
    function: Callable[[np.ndarray], Any],
    segments: int,
    groups: int,
    group_cells: int,
    *,
    per_layer: int,
    layers: int,
    lipschitz: float | int = 1.0,
    dtype: Any = np.float64,
    allow_rounding: bool = False,
) -> Construction:
    r"""A network for any Lipschitz function on $[0, 1]$ at the full rate, with error $1/(RPqkJ)$.

    As `lipschitz_by_bits`, with a front that uses width and depth fully: $n = RPq$ cells in $R$
    segments of $P$ groups of $q$. Three hidden layers look up $Pq$ cells with about $4P + 18q$
    units; $R$ such blocks follow each other. Then $J$ layers read $k$ bits each: $m = kJ$ steps per
    cell. Depth $3R + J + 6$, at least 10. Width at most
    $\max(4P + 11, 18q + 10, 3(2^{k+1} + 2k + 1))$. With $P, q, 2^k$ in proportion to a width $W$
    and $R, J$ to a depth $L$ the error falls like $1/(W^2 L^2 \log W)$, and with
    $kJ \le (b + 2)/2$ for $b$ bits after the point like $1/(W^2 L b)$.

    Only the codes in the second layer of each block, the quarters of $t$, and the last map have
    bits after the point: $2kJ - 2$, 2, and those of $1/(nm)$. All other parameters are whole
    numbers. Connectivity grows like $n$.

    Evaluation: as `lipschitz_by_bits`, with $n = RPq$ and $m = kJ$.

    **Arguments:**

    - `function`: array of points (points,) -> array of values, on $[0, 1]$.
    - `segments`, `groups`, `group_cells`: $R$, $P$, $q$.
    - `per_layer`, `layers`: $k$ and $J$.
    - `lipschitz`, `dtype`, `allow_rounding`: as in `lipschitz_by_bits`.

    **Returns:**

    A `Construction`.

    **Raises:**

    - `ValueError`: as `lipschitz_by_bits`.

    **Reference:** the upper bound of [ou2024], recalled; with these weights derived, above the
    code.
    """
    call = "lipschitz_by_lookup"
    r = check_whole(f"{call}(segments)", segments, 1)
    p = check_whole(f"{call}(groups)", groups, 1)
    q = check_whole(f"{call}(group_cells)", group_cells, 1)
    j = check_whole(f"{call}(layers=...)", layers, 1)
    k = check_whole(f"{call}(per_layer=...)", per_layer, 1, LARGEST_GROUP)
    sizes = f"per_layer={k}, layers={j}"
    made = plan(call, function, r * p * q, k * j, sizes, k, lipschitz, dtype, allow_rounding)
    shape = _Shape(r, p, q)
    net = Layers(1)
    line = Rows(np.array([[4.0 * made.cells]]), np.ones(1))
    y, *cut = net.relu(line, *([line - shape.length] if r > 1 else []))
    y = y - cut[0] if cut else y
    sums: list[Rows] = []
    for segment in range(r):
        tables = [_table(made, shape, segment, s) for s in range(COPIES)]
        values, y, cut, sums = _block(net, made, shape, tables, y, cut, segment + 2 < r, sums)
        if sums:
            starts = [np.array([table.before[i] for table in tables]) for i in range(3)]
            values = [
                total + value - start
                for total, value, start in zip(sums, values, starts, strict=True)
            ]
        sums = values
    base, code, t = sums
    return finish(net, t, code, base, made, _SOURCE)


class _Shape(NamedTuple):
    segments: int
    groups: int
    group_cells: int

    @property
    def length(self) -> float:
        """Quarters of a cell in a segment."""
        return 4.0 * self.groups * self.group_cells


class _Table(NamedTuple):
    """What one copy looks up in one segment: B + shift and Y, groups below each other.

    The first row is the cell before the segment, as a group whose cells are all equal; `before` has
    B + shift, Y and t at the beginning of the segment.
    """

    values: tuple[np.ndarray, np.ndarray]  # each (P + 1, q)
    before: tuple[float, float, float]


def _table(made: Plan, shape: _Shape, segment: int, s: int) -> _Table:
    first = segment * shape.groups * shape.group_cells  # the cell before it, from cell -1 on
    values = []
    for cells in (made.bases[s] + made.shift, made.codes[s]):
        here = cells[first : first + shape.groups * shape.group_cells + 1]
        before = np.full((1, shape.group_cells), here[0])
        values.append(np.concatenate([before, here[1:].reshape(shape.groups, -1)]))
    start = made.steps * (3 - s) / 4
    return _Table(tuple(values), (values[0][0, 0], values[1][0, 0], start))


def _block(
    net: Layers,
    made: Plan,
    shape: _Shape,
    tables: list[_Table],
    y: Rows,
    cut: list[Rows],
    more: bool,
    sums: list[Rows],
) -> tuple[list[Rows], Rows, list[Rows], list[Rows]]:
    """Three hidden layers: B + shift, Y and t of the copies, then what the next block needs.

    `cut` has the part of the coordinate beyond this segment, if there is another one; `more` says
    whether that is cut again.
    """
    p, q = shape.groups, shape.group_cells
    knots = (1.0 + 4 * q * np.arange(p)[:, None] + np.arange(4)).ravel()
    units = net.relu(y.combine(np.ones((4 * p, 1))) - knots, y, *cut, *sums)
    (ks, y), (cut, sums) = units[:2], _divided(units[2:], len(cut))

    lookups, places = [], []
    for s, table in enumerate(tables):
        z = ks[4 * np.arange(p) + s] - ks[4 * np.arange(p) + s + 1]
        falls = np.full((1, p), -4.0 * q)
        falls[0, 0] = -4.0
        places.append(y + z.combine(falls) + (3.0 - s))
        for values in table.values:
            alphas = np.diff(values, axis=1)
            parts = values[:, :1], np.maximum(alphas, 0), np.maximum(-alphas, 0)
            columns = np.concatenate(parts, axis=1)
            lookups.append(z.combine(np.diff(columns, axis=0).T) + columns[0])
    sigma = stack(places)
    edges = [sigma - (4.0 * j + d) for j in range(1, q) for d in (0, 1)]
    units = net.relu(sigma, *lookups, *edges, *cut, *sums)
    sigma, lookups, edges = units[0], units[1:7], units[7 : 7 + len(edges)]
    cut, sums = _divided(units[7 + len(edges) :], len(cut))

    steps = [edges[i] - edges[i + 1] for i in range(0, len(edges), 2)]
    t = sigma * (made.steps / 4)
    for step in steps:
        t = t - step * float(made.steps)
    # Neighbors have |B' - B| <= m + 1 (in units of h) and |Y' - Y| < 4/3.
    gates = []
    for i, rows in enumerate(lookups):
        most = (made.steps + 1.0, 2.0)[i % 2]
        closed = [step[[i // 2]] * most - most for step in steps] * 2
        gates.append(stack([rows[[0]], *(rows[[1 + j]] + c for j, c in enumerate(closed))]))
    beyond = [cut[0] - shape.length] if more else []
    t, *units = net.relu(t, *gates, *cut, *beyond, *sums)
    gates, (going, sums) = units[:6], _divided(units[6:], len(cut) + len(beyond))

    signs = np.concatenate([[1.0], np.ones(q - 1), -np.ones(q - 1)])[None, :]
    found = [g.combine(signs) for g in gates]
    y = going[0] - going[1] if beyond else going[0] if going else y
    return [stack(found[0::2]), stack(found[1::2]), t], y, going[1:], sums


def _divided(units: list[Rows], count_: int) -> tuple[list[Rows], list[Rows]]:
    return units[:count_], units[count_:]
