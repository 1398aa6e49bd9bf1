"""A Lipschitz function: one hidden layer finds the cell, the others read its bits."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ._arguments import check_whole
from ._construction import Construction
from ._extraction import LARGEST_GROUP
from ._layers import Layers, Rows, stack
from ._lipschitz_output import COPIES, Plan, finish, plan

_SOURCE = "derived; bit extraction and the median of three copies as in [ou2024], recalled"


# Units r_j = rho(4 n x - j), j = 0, ..., 4 n - 1. Copy s has its cells at [i + s/4, i + 1 + s/4] in
# units of 1/n. A quantity that has the value v_i on cell i changes linearly from v_(i-1) to v_i in
# the first quarter of the cell, where r_(4i+s) - r_(4i+s+1) goes from 0 to 1. t goes up by m/4 per
# quarter and falls by m on top of that in the first one: from m to m/4. First quarters of different
# copies have no inner point in common, so that at every x two of the three copies have the right
# base, code and t, and are within h of f; so is the median.
def lipschitz_by_bits(
    function: Callable[[np.ndarray], Any],
    cells: int,
    steps: int,
    *,
    per_layer: int = 1,
    lipschitz: float | int = 1.0,
    dtype: Any = np.float64,
    allow_rounding: bool = False,
) -> Construction:
    r"""A network for any Lipschitz function on $[0, 1]$, with error $1/(nm)$.

    One hidden layer divides $[0, 1]$ into $n$ cells and looks up a base and an $m$-bit code for
    each; the following layers read the bits, `per_layer` = $k$ at a time, each of which says
    whether the function goes up or down on a step of length $1/(nm)$. Where a lookup is between two
    cells it is wrong; of three copies, a quarter of a cell apart, the median is right everywhere.

    Depth $\lceil m/k \rceil + 6$ and width at most $\max(4n, 3(2^{k+1} + 2k + 1))$, which is
    $\max(4n, 21)$ for $k = 1$. The weights of the lookup are multiples of $4^{1-m}$, those of the
    last map of $1/(nm)$, $t$ takes quarters; all others are whole numbers, so that $2m - 2$ bits
    after the point are enough. Connectivity grows like $n + m$.

    Evaluation: rounding of the code grows by 4 with every bit. It is harmless, at most 1 % of the
    error, while $4^{m+1} n \le 2^{48}$ in float64 (64 cells of 20 steps) and $2^{19}$ in float32 (8
    cells of 7 steps), measured; more is refused. `networks.realize_exact` has no such limit.

    **Arguments:**

    - `function`: array of points (points,) -> array of values, on $[0, 1]$.
    - `cells`: the number $n$ of cells.
    - `steps`: the number $m$ of steps in a cell. With powers of two for $n$ and $m$ all parameters
        are exact; else the last map is rounded, which the bound includes.
    - `per_layer`: the number $k$ of bits that a layer reads.
    - `lipschitz`: the constant $K$ with $|f(x) - f(y)| \le K |x - y|$; the error is $K/(nm)$. A
        function that changes faster between the points that are looked at is refused.
    - `dtype`: float32 or float64.
    - `allow_rounding`: whether to build networks that an evaluation in the type takes out of the
        bound, which holds in exact arithmetic then; where the type cannot hold the codes it is
        infinite.

    **Returns:**

    A `Construction`.

    **Raises:**

    - `ValueError`: for counts below 1, a function that is not finite or breaks the constant, or
        sizes beyond those above.

    **Reference:** the upper bound of [ou2024], recalled; with these weights derived, above the
    code.
    """
    call = "lipschitz_by_bits"
    n = check_whole(f"{call}(cells)", cells, 1)
    m = check_whole(f"{call}(steps)", steps, 1)
    k = check_whole(f"{call}(per_layer=...)", per_layer, 1, LARGEST_GROUP)
    made = plan(call, function, n, m, f"steps={m}", k, lipschitz, dtype, allow_rounding)
    layers = Layers(1)
    quarters = np.arange(4 * n)
    (r,) = layers.relu(Rows(np.full((4 * n, 1), 4.0 * n), -quarters.astype(np.float64)))
    parts = [_copy(made, s, r) for s in range(COPIES)]
    t, code, base = (stack(list(rows)) for rows in zip(*parts, strict=True))
    return finish(layers, t, code, base, made, _SOURCE)


def _copy(made: Plan, s: int, r: Rows) -> tuple[Rows, Rows, Rows]:
    """t, Y and B + shift of one copy."""
    n, m = made.cells, made.steps
    # Copy 0 begins in cell 0, the others in cell -1, which comes first in the arrays.
    first = 1 if s == 0 else 0
    starts = 4 * np.arange(first - 1, n)[1:] + s

    def lookup(values: np.ndarray, initial: float) -> Rows:
        row = np.zeros(4 * n)
        row[starts] += values
        row[starts + 1] -= values
        return r.combine(row[None, :]) + initial

    t = lookup(np.full(len(starts), -float(m)), m * (4 - s) / 4 if s else 0.0)
    t = t + r[[0]] * (m / 4)
    codes, bases = made.codes[s, first:], made.bases[s, first:] + made.shift
    return t, lookup(np.diff(codes), codes[0]), lookup(np.diff(bases), bases[0])
