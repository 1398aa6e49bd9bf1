"""A Lipschitz function in one bit per step, and bits in one number."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ._arguments import check_number, check_positive, check_whole
from ._samples import values_at

# How far the values of a function may differ beyond its Lipschitz constant: rounding.
_SLACK = 1e-9
# More would fill the memory.
_MOST_STEPS = 2**24


class SigmaDelta(NamedTuple):
    r"""A function with slopes $\pm K$ on every step, in one start and one bit per step and cell.

    **Attributes:**

    - `starts`: the left ends of the cells.
    - `bases`: the value at the start of every cell, in units of `height`; whole numbers.
    - `bits`: 0 (down) or 1 (up) for every cell and step.
    - `step`: the length $h$ of a step.
    - `height`: how far a step goes up or down, $K h$.
    - `offset`: what is added to all values.
    - `bound`: the proven error, $K h$.
    """

    starts: Float[np.ndarray, " cells"]
    bases: Float[np.ndarray, " cells"]
    bits: Int[np.ndarray, "cells steps"]
    step: float
    height: float
    offset: float
    bound: float

    def decode(self, xs: Any) -> Float[np.ndarray, " points"]:
        """The encoded function.

        **Arguments:**

        - `xs`: points in the cells, of shape (points,); outside of them the nearest cell goes on.

        **Returns:**

        Its values.
        """
        x = np.asarray(xs, np.float64)
        cell = np.clip(np.searchsorted(self.starts, x, side="right") - 1, 0, len(self.starts) - 1)
        t = np.clip((x - self.starts[cell]) / self.step, 0, self.bits.shape[1])
        whole = np.minimum(t.astype(np.int64), self.bits.shape[1] - 1)
        ups = np.concatenate([np.zeros((len(self.bits), 1)), np.cumsum(self.bits, 1)], 1)
        slope = 2 * self.bits[cell, whole] - 1
        value = self.bases[cell] + 2 * ups[cell, whole] - whole + slope * (t - whole)
        return self.offset + self.height * value


# With |g_k - f(x_k)| <= h and f 1-Lipschitz, let g go up by h if f(x_{k+1}) >= g_k and down
# otherwise. Up: g_k + h - f(x_{k+1}) is at most h, and at least g_k - f(x_k) >= -h. Down is the
# mirror image. In between g' = +-1 and |f'| <= 1, so g - f is monotone on the step. The base is the
# nearest multiple of h: an error of h / 2.
def sigma_delta(
    function: Callable[[np.ndarray], Any],
    cells: int,
    steps: int,
    *,
    lipschitz: float | int = 1.0,
    offset: float | int = 0.0,
    shift: float | int = 0.0,
) -> SigmaDelta:
    r"""The one-bit code of a Lipschitz function on $[0, 1]$, with its error.

    $[0, 1]$ is divided into $n$ cells of $m$ steps of length $h = 1/(nm)$. Every cell stores a
    start that is a multiple of $K h$ and one bit per step: the sign that brings the function that
    goes up or down by $K h$ closer. For $|f(x) - f(y)| \le K |x - y|$ its error is at most $K h$,
    at the grid points and between them. One cell takes one start and $1/h$ bits: but for the
    start, the fewest that any code needs for the whole class.

    **Arguments:**

    - `function`: array of points (points,) -> array of values, on $[0, 1]$. It is taken to be
        constant outside.
    - `cells`: the number $n$ of cells.
    - `steps`: the number $m$ of steps in a cell.
    - `lipschitz`: the constant $K$.
    - `offset`: a number that starts are taken relative to.
    - `shift`: how far all cells are moved to the right, in steps. Where that is not 0, one more
        cell comes before the others, so that $[0, 1]$ is covered.

    **Returns:**

    A `SigmaDelta` record.

    **Raises:**

    - `ValueError`: for values that are not finite or change more than the constant allows between
        the points that are looked at, a constant that is not positive, or counts below 1.

    **Reference:** first-order sigma-delta modulation; the error bound is derived, above the code.
    """
    call = "sigma_delta"
    n, m = check_whole(f"{call}(cells)", cells, 1), check_whole(f"{call}(steps)", steps, 1)
    constant = check_positive(f"{call}(lipschitz=...)", lipschitz)
    start = check_number(f"{call}(offset=...)", offset)
    moved = check_number(f"{call}(shift=...)", shift)
    check_steps(call, n * m)
    for name, number in (("offset", start), ("shift", moved)):
        if not np.isfinite(number):
            raise ValueError(f"`{call}({name}=...)` must be finite; got {number}.")
    return encode(call, function, n, m, constant, start, moved)


def encode(
    call: str,
    function: Callable[[np.ndarray], Any],
    n: int,
    m: int,
    constant: float,
    offset: float,
    shift: float = 0.0,
) -> SigmaDelta:
    """`sigma_delta` of what has been checked, for the function that was called."""
    first = -1 if shift else 0
    # Places in steps; all of them are whole numbers (halves, quarters with a shift).
    places = (np.arange(first, n) * m + shift)[:, None] + np.arange(m + 1)
    values = sample(call, function, places / (n * m), constant)
    height = constant / (n * m)
    f = (values - offset) / height
    bases = np.rint(f[:, 0])
    return SigmaDelta(
        places[:, 0] / (n * m),
        bases,
        modulate(f, bases),
        1 / (n * m),
        height,
        offset,
        height,
    )


def check_steps(call: str, steps: int) -> None:
    """Refuse what would fill the memory."""
    if steps > _MOST_STEPS:
        raise ValueError(f"`{call}(...)` must have at most 2^24 steps in all; got {steps}.")


def modulate(values: np.ndarray, bases: np.ndarray) -> np.ndarray:
    """The bits for values at the ends of the steps, in units of h, one row per cell."""
    bits = np.zeros((values.shape[0], values.shape[1] - 1), np.int64)
    g = bases
    for k in range(bits.shape[1]):
        bits[:, k] = values[:, k + 1] >= g
        g = g + 2 * bits[:, k] - 1
    return bits


def sample(
    call: str, function: Callable[[np.ndarray], Any], points: np.ndarray, lipschitz: float
) -> np.ndarray:
    """Values of a function that is constant outside of [0, 1], checked for its constant."""
    x = np.clip(points, 0.0, 1.0)
    flat = x.ravel()
    values = values_at(call, function, flat)
    order = np.argsort(flat, kind="stable")
    dx, df = np.diff(flat[order]), np.abs(np.diff(values[order]))
    scale = np.max(np.abs(values), initial=0.0)
    excess = df - lipschitz * dx * (1 + _SLACK) - 8 * np.finfo(np.float64).eps * (1 + scale)
    worst = int(np.argmax(excess)) if excess.size else 0
    if excess.size and excess[worst] > 0:
        a, b = flat[order][worst : worst + 2]
        there = dx > 1e-12  # closer ones differ by rounding
        steepest = float(np.max(df[there] / dx[there], initial=0.0))
        advice = (
            f"its slopes reach {steepest:.6g} between the points that are looked at. Pass a "
            "larger `lipschitz`: the bound on the error is that many times as large."
            if dx[worst] > 0
            else "it has two values at one point."
        )
        raise ValueError(
            f"`{call}(function, lipschitz={lipschitz:g})` must not change by more than that many "
            f"times the distance of two points; between {a:.6g} and {b:.6g} it changes by "
            f"{df[worst]:.6g}; {advice}"
        )
    return values.reshape(points.shape)


# Y = sum_j theta_j 4^-j, j = 0, 1, ...: what follows the first bit is at most 1/3, so that the two
# values of the first bit lie 2/3 apart.
def gapped_code(bits: Int[np.ndarray, "*batch steps"]) -> Float[np.ndarray, "*batch"]:
    r"""The number $\sum_{j \ge 0} \theta_j 4^{-j}$ of a sequence of bits.

    In base 4 with the digits 0 and 1 numbers with different first bits are at least $2/3$ apart, so
    that a ReLU network can read the bits exactly. In $[0, 4/3)$; $m$ bits need $2m - 2$ bits after
    the point: exact in float64 up to $m = 27$, in float32 up to 12.

    **Arguments:**

    - `bits`: zeros and ones, the first bit first.

    **Returns:**

    The codes, in float64.

    **Raises:**

    - `ValueError`: for entries that are not 0 or 1.

    **Reference:** derived: gaps as in the base-3 codes of [ou2024], recalled, with dyadic numbers.
    """
    array = np.asarray(bits)
    if array.ndim == 0 or not np.isin(array, (0, 1)).all():
        raise ValueError(
            "`gapped_code(bits)` must get a sequence of zeros and ones; got "
            + ("one number." if array.ndim == 0 else "other numbers.")
        )
    return array.astype(np.float64) @ 4.0 ** -np.arange(array.shape[-1])
