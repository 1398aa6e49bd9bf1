"""Which of the Lipschitz constructions fits a width, a depth and a number of bits best."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..networks import ReLUNetwork
from ._arguments import check_whole, name_of
from ._codes import sample
from ._construction import Certificate, Construction, count
from ._extraction import LARGEST_GROUP
from ._lipschitz_by_bits import lipschitz_by_bits
from ._lipschitz_by_lookup import lipschitz_by_lookup
from ._lipschitz_by_slopes import lipschitz_by_slopes
from ._lipschitz_output import largest_whole
from ._tradeoff import on_grid

# Codes of more bits do not fit into float64.
MOST_STEPS = 27
# Heights are rounded up to so many bits more than 1/(nm) needs: 3 % of the error at most.
_EXTRA = 5
# Twice what points that are no binary numbers add to the proven error.
_ROUNDING = 2.0**-48
# Corners of `slopes` beyond 2^20 would take minutes to encode.
_MOST_CORNERS = 20


class Design(NamedTuple):
    """A construction with its sizes.

    **Attributes:**

    - `name`: "slopes", "bits" or "lookup", of `lipschitz_by_slopes` and so on, or "constant".
    - `sizes`: its sizes, in the order of the arguments.
    - `bound`: the proven error for all functions with $|f| \\le 1$ and
        $|f(x) - f(y)| \\le |x - y|$.
    - `depth`, `width`: what it takes at most, its parameters on the grid that was asked for.
    """

    name: str
    sizes: tuple[int, ...]
    bound: float
    depth: int
    width: int

    @property
    def steps(self) -> int:
        """How many steps [0, 1] is divided into; 1 for the constant."""
        # N, or n m (and k, which does not count), or R P q k J.
        return math.prod(self.sizes[:2] if self.name == "bits" else self.sizes)

    @property
    def steps_per_cell(self) -> int:
        """How many bits one code has."""
        if self.name == "lookup":
            return self.sizes[3] * self.sizes[4]
        return self.sizes[1] if self.name == "bits" else 1

    def build(
        self, function: Callable[[Any], Any], fraction_bits: int, integer_bits: int
    ) -> Construction:
        """The network of this design with all parameters on a grid.

        **Arguments:**

        - `function`: array of points -> array of values on [0, 1], with slopes and
            values of at most 1; larger values may cost layers.
        - `fraction_bits`, `integer_bits`: as they were given to `best_design`.

        **Returns:**

        A `Construction`: its bound is that of the design.
        """
        made = build(self, function, fraction_bits)
        network = on_grid(made.network, integer_bits + 1, fraction_bits)
        return Construction(network, made.certificate, count(network))

    def __str__(self) -> str:
        symbols = {
            "constant": (),
            "slopes": ("N",),
            "bits": ("n", "m", "k"),
            "lookup": ("R", "P", "q", "k", "J"),
        }[self.name]
        sizes = [f"{s}={v}" for s, v in zip(symbols, self.sizes, strict=True)]
        return " ".join([self.name, *sizes])


def height(steps: int) -> tuple[float, int]:
    """A binary number that is at least 1/steps, and its bits after the point."""
    if steps & (steps - 1) == 0:
        return 1 / steps, steps.bit_length() - 1
    bits = steps.bit_length() + _EXTRA
    return math.ceil(2**bits / steps) / 2**bits, bits


def _bound(steps: int) -> float:
    """The proven error of a network with that many steps and that height."""
    binary = steps & (steps - 1) == 0
    return height(steps)[0] + (0.0 if binary else _ROUNDING)


def whole_bits(design: Design) -> int:
    """The bits before the point that the parameters of a design need, at most."""
    if design.name in ("constant", "slopes"):
        return 2
    n = math.prod(design.sizes[:3]) if design.name == "lookup" else design.sizes[0]
    m, k = design.steps_per_cell, design.sizes[3 if design.name == "lookup" else 2]
    return largest_whole(n, m, k).bit_length()


def best_design(width: int, depth: int, fraction_bits: int, integer_bits: int) -> Design:
    r"""The construction with the least proven error within a width, a depth and a grid.

    **Arguments:**

    - `width`: the largest width $W$.
    - `depth`: the largest depth $L$.
    - `fraction_bits`: $b$, the bits after the point.
    - `integer_bits`: $a$: parameters are below $2^{a+1}$ in size.

    **Returns:**

    A `Design`.

    **Raises:**

    - `ValueError`: for a width or depth below 1, fewer than 1 bit after the point, or $a$ below 1.

    **Reference:** derived: a search over the sizes of the constructions here.
    """
    call = "best_design"
    width = check_whole(f"{call}(width)", width, 1)
    depth = check_whole(f"{call}(depth)", depth, 1)
    b = check_whole(f"{call}(fraction_bits)", fraction_bits, 1)
    a = check_whole(f"{call}(integer_bits)", integer_bits, 1)
    found = [*_simple(width, depth, b)]
    found += [d for d in _coded(width, depth, b, a) if whole_bits(d) <= a + 1]
    return min(found, key=lambda d: (d.bound, d.depth, d.width))


def _simple(width: int, depth: int, b: int) -> Iterator[Design]:
    # f(1/2), rounded to the grid.
    yield Design("constant", (), 0.5 + 2.0 ** -(b + 1), 1, 1)
    if depth < 2 or width < 3:
        return
    # N/2 in (L - 1) b bits after the point; N + 1 units, also while biases are put together.
    power = min((depth - 1) * b + 1, (width - 1).bit_length() - 1, _MOST_CORNERS)
    maps = max(math.ceil((power - 1) / b), 1)
    yield Design("slopes", (2**power,), 2.0**-power, maps + 1, 2**power + 1)


def _coded(width: int, depth: int, b: int, a: int) -> Iterator[Design]:
    if b < 2 or depth < 7:  # quarters of steps
        return
    most = min(MOST_STEPS, (b + 2) // 2)
    for k in range(1, LARGEST_GROUP + 1):
        reading = 3 * (2 ** (k + 1) + 2 * k + 1)
        if reading > width:
            return
        for j in range(1, min(most // k, depth - 6) + 1):
            m = k * j
            n = min(width // 4, _cells(a, m))
            _, last = height(max(n * m, 1))
            layers = j + 5 + max(math.ceil(last / b), 1)
            if n >= 1 and layers <= depth:
                yield Design("bits", (n, m, k), _bound(n * m), layers, max(4 * n, reading))
            q = (width - 10) // 18
            for r in range(1, (depth - 6 - j) // 3 + 1):
                p = min((width - 11) // 4, _cells(a, m) // max(r * q, 1))
                if p < 1 or q < 1:
                    continue
                _, last = height(r * p * q * m)
                layers = 3 * r + j + 5 + max(math.ceil(last / b), 1)
                if layers <= depth:
                    wide = max(4 * p + 11, 18 * q + 10, reading)
                    yield Design("lookup", (r, p, q, k, j), _bound(r * p * q * m), layers, wide)


def _cells(a: int, m: int) -> int:
    """The most cells whose parameters are below 2^(a+1), and whole numbers of float64."""
    most = 2 ** min(a + 1, 53) - 1
    return min(int((most - m - 2) // (1.5 * m)), most // 4)


def build(design: Design, function: Callable[[Any], Any], fraction_bits: int) -> Construction:
    """The network of a design, as it is written down: `on_grid` makes its biases shorter."""
    if design.name == "constant":
        call = "Design.build"
        value = float(sample(call, function, np.array([0.0, 0.5, 1.0]), 1.0)[1])
        value = round(value * 2**fraction_bits) / 2**fraction_bits
        network = ReLUNetwork([np.zeros((1, 1))], [np.array([value])])
        certificate = Certificate(
            design.bound,
            name_of(function),
            ((0.0,), (1.0,)),
            assumptions="|f(x) - f(y)| <= 1 |x - y|, and its values are computed without error",
        )
        return Construction(network, certificate, count(network))
    if design.name == "slopes":
        return lipschitz_by_slopes(function, steps=design.sizes[0])
    # A constant slightly above 1 makes K/(nm) a binary number.
    constant = height(design.steps)[0] * design.steps
    exact = {"allow_rounding": True}  # where floats leave the bound, exact arithmetic is used
    if design.name == "bits":
        n, m, k = design.sizes
        return lipschitz_by_bits(function, n, m, per_layer=k, lipschitz=constant, **exact)
    r, p, q, k, j = design.sizes
    return lipschitz_by_lookup(
        function, r, p, q, per_layer=k, layers=j, lipschitz=constant, **exact
    )
