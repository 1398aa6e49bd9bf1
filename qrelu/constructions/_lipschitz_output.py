"""What the two Lipschitz constructions share: three copies of the code, the last map, the bound."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from ._arguments import check_dtype, check_positive, digits, name_of, round_up
from ._codes import SigmaDelta, check_steps, encode, gapped_code, sample
from ._construction import Certificate, Construction, count
from ._extraction import add_median, add_values, check_code, groups
from ._layers import Layers, Rows

COPIES = 3
# Points and steps that are no binary numbers are rounded; what this adds to the error, in units of
# the Lipschitz constant: a few roundings of numbers of at most 1.
_ROUNDING = Fraction(1, 2**49)


class Plan(NamedTuple):
    """What is asked for, checked.

    n cells of m steps; B and Y of the cells -1, ..., n - 1 of the three copies, which are moved by
    0, 1/4 and 2/4 of a cell to the right.
    """

    call: str
    target: str
    cells: int
    steps: int
    per_layer: int
    lipschitz: float
    offset: float
    bases: np.ndarray
    codes: np.ndarray
    dtype: np.dtype

    @property
    def shift(self) -> float:
        """What makes all values positive, in units of h: |B| <= nm/2 + 1, and t <= m."""
        return float((self.cells + 1) * self.steps + 1)


def plan(
    call: str,
    function: Callable[[np.ndarray], Any],
    cells: int,
    steps: int,
    sizes: str,
    per_layer: int,
    lipschitz: Any,
    dtype: Any,
    allow_rounding: bool,
) -> Plan:
    """Check everything and encode the three copies."""
    constant = check_positive(f"{call}(lipschitz=...)", lipschitz)
    kind = check_dtype(call, dtype)
    check_steps(call, cells * steps)
    check_code(f"{call}({sizes})", steps, kind, allow_rounding)
    _check_evaluation(call, cells, steps, kind, allow_rounding)
    _check_size(call, largest_whole(cells, steps, min(per_layer, steps)), kind, allow_rounding)
    height = constant / (cells * steps)
    middle = float(sample(call, function, np.array([0.5]), constant)[0])
    offset = height * np.rint(middle / height)
    made: list[SigmaDelta] = [
        encode(call, function, cells, steps, constant, offset, s * steps / 4) for s in range(COPIES)
    ]
    at_zero = float(sample(call, function, np.zeros(1), constant)[0])
    # The cell before the first one of copy 0 is [-1/n, 0], where the function is constant.
    flat = lambda x: np.full(x.shape, at_zero)  # noqa: E731
    left = encode(call, flat, 1, steps, steps * height, offset)
    bases = np.stack([np.append(left.bases, made[0].bases), *(c.bases for c in made[1:])])
    bits = [np.concatenate([left.bits, made[0].bits]), *(c.bits for c in made[1:])]
    codes = np.stack([gapped_code(b) for b in bits])
    return Plan(
        call, name_of(function), cells, steps, per_layer, constant, offset, bases, codes, kind
    )


def finish(layers: Layers, t: Rows, code: Rows, base: Rows, made: Plan, source: str):
    """The decoder, the median and the last map behind a front that gives t, Y and B + shift."""
    values = add_values(layers, t, code, base, groups(made.steps, made.per_layer))
    median = add_median(layers, values)
    height = Fraction(made.lipschitz) / (made.cells * made.steps)
    scale = float(made.dtype.type(float(height)))
    bias = float(made.dtype.type(made.offset - made.shift * float(height)))
    output = median * scale + bias
    network = layers.network(output, made.dtype)
    # The last map gives scale u + bias instead of height (u - shift) + offset, for all values u of
    # the median: |u - shift| <= shift.
    ends = (Fraction(0), 2 * Fraction(made.shift))
    slope = Fraction(scale) - height
    constant = Fraction(bias) + height * Fraction(made.shift) - Fraction(made.offset)
    error = height + max(abs(slope * u + constant) for u in ends)
    if not _is_binary(height) or not _is_binary(Fraction(1, made.cells * made.steps)):
        error += Fraction(made.lipschitz) * _ROUNDING
    whole = largest_whole(made.cells, made.steps, min(made.per_layer, made.steps))
    rounded = made.steps > (digits(made.dtype) + 1) // 2 or whole > 2 ** digits(made.dtype)
    certificate = Certificate(
        bound=math.inf if rounded else round_up(error),
        target=made.target,
        domain=((0.0,), (1.0,)),
        assumptions=f"|f(x) - f(y)| <= {made.lipschitz:g} |x - y|, and its values are computed "
        "without error",
        source=source,
    )
    return Construction(network, certificate, count(network))


def largest_whole(cells: int, steps: int, per_layer: int) -> int:
    """A bound on the whole numbers among the parameters: knots, B + shift, what reads k bits."""
    return max(4 * cells, math.ceil(1.5 * cells * steps) + steps + 2, 2 * 4 ** (2 * per_layer - 1))


def _check_size(call: str, largest: int, kind: np.dtype, allow_rounding: bool) -> None:
    """Refuse whole numbers that the type cannot hold."""
    most = 2 ** digits(kind)
    if largest > most and not allow_rounding:
        raise ValueError(
            f"`{call}(..., dtype=...)` must be able to hold whole numbers up to {largest}; {kind} "
            f"is exact up to {most}. Use fewer cells, steps or bits per layer, or "
            '"float64"; `allow_rounding=True` builds it nevertheless, with no proven error.'
        )


# Rounding errors of the code grow by 4 with every bit that is read. Measured: up to these sizes the
# error of an evaluation stays within 1 % of the bound.
_EVALUATED = {"float32": 2**19, "float64": 2**48}


def _check_evaluation(
    call: str, cells: int, steps: int, kind: np.dtype, allow_rounding: bool
) -> None:
    """Refuse sizes at which an evaluation in the type would leave the bound."""
    most = _EVALUATED[kind.name]
    if 4 ** (steps + 1) * cells > most and not allow_rounding:
        raise ValueError(
            f"`{call}(..., dtype=...)` must have 4^(m + 1) n of at most 2^{most.bit_length() - 1} "
            f"in {kind}, for n = {cells} cells of m = {steps} steps: beyond, evaluation in {kind} "
            "amplifies rounding errors above the bound. Use fewer steps; `allow_rounding=True` "
            "builds the network for exact arithmetic, `networks.realize_exact`."
        )


def _is_binary(value: Fraction) -> bool:
    d = value.denominator
    return d & (d - 1) == 0
