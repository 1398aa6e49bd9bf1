"""The three regimes of quantized networks, with networks that are really built."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..bounds import Regime, regime
from ..networks import ReLUNetwork, SparseMatrix, realize_exact
from ._arguments import check_whole
from ._construction import Counts, count
from ._designs import MOST_STEPS, Design, best_design, build, whole_bits
from ._tradeoff import on_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# More bits than any network here needs before the point.
_PLENTY = 60
# Where rounding can change what is measured, values are exact: so many products at most, which take
# about a second, and never fewer points than that.
_PRODUCTS, _FEW, _MANY = 600_000, 8, 1024
_DRAWN, _PIECES = 3, 64


class BuiltNetwork(NamedTuple):
    """What is known at one number of bits.

    **Attributes:**

    - `fraction_bits`: the bits $b$ after the point.
    - `regime`: the three lower bounds of the minimax error, and which is active.
    - `design`: the construction with the least proven error.
    - `bound`: its proven error: an upper bound of the minimax error.
    - `counts`: of the network for the zigzag, its parameters on the grid.
    - `zigzag`: the measured error of the network that is built for a zigzag.
    - `drawn`: the largest measured error of those built for the drawn functions.
    - `exact`: whether errors were measured without rounding, on fewer points.
    """

    fraction_bits: int
    regime: Regime
    design: Design
    bound: float
    counts: Counts
    zigzag: float
    drawn: float
    exact: bool


class RegimeDiagram(NamedTuple):
    """Networks of one width and depth, built for growing numbers of bits.

    **Attributes:**

    - `width`, `depth`: the largest ones, $W$ and $L$.
    - `integer_bits`: $a$: all parameters are below $2^{a+1}$ in size.
    - `networks`: one `BuiltNetwork` per number of bits, ascending.
    - `last`: from this number of bits on the proven error stays the same, as far as was looked.
    - `functions`: the functions on which errors were measured, in words.
    - `notes`: what a reader should know, in sentences.
    """

    width: int
    depth: int
    integer_bits: int
    networks: tuple[BuiltNetwork, ...]
    last: int
    functions: dict[str, str]
    notes: tuple[str, ...]

    def figure(self, *others: "RegimeDiagram") -> "Figure":
        """The error and bits times error against bits, with the three lower bounds.

        **Arguments:**

        - `others`: more diagrams, each in a row of its own below.

        **Returns:**

        A Matplotlib figure.
        """
        from ._regimes_figure import draw

        return draw([self, *others])


FUNCTIONS = {
    "zigzag": "a zigzag with slopes +1 and -1 in random order, whose corners lie half-way between "
    "the steps of the network",
    "drawn": f"{_DRAWN} functions with {_PIECES} random slopes from -1 to 1; the largest error",
}


def regime_diagram(
    width: int,
    depth: int,
    *,
    fraction_bits: Sequence[int] | None = None,
    integer_bits: int | None = None,
    seed: int = 0,
) -> RegimeDiagram:
    r"""The error of networks that are built within a width and a depth, against their bits.

    For every number $b$ of bits after the point the construction with the least proven error is
    built, with all parameters in $\mathcal{Q}_a^b$, for a zigzag and for drawn functions, and its
    error is measured. Beside it stand the three lower bounds of the minimax error over the class of
    all functions with Lipschitz constant 1, and the proven upper bound. A measured error is the
    error on that function: it is at most the upper bound, and neither an upper nor a lower bound of
    the minimax error.

    At a large depth (10 and more) $b$ times the error stays within a constant factor while $b$
    grows, the proper regime, until depth and width have no use for more bits, over-quantization. At
    a small depth and a large width the error falls like $2^{-(L-1)b}$, under-quantization, until
    the width is used up.

    **Arguments:**

    - `width`: the largest width $W$.
    - `depth`: the largest depth $L$.
    - `fraction_bits`: the numbers $b$, positive; without it, from 1 to twice the last one that
        improves the bound.
    - `integer_bits`: $a$, at least 1. Without it, what the best networks of all $b$ need.
    - `seed`: of the drawn functions, a whole number from 0 on.

    **Returns:**

    A `RegimeDiagram`; its `figure()` draws it.

    **Raises:**

    - `ValueError`: for a width, depth or number of bits below 1.

    **Reference:** the regimes are those of [ou2024]; the bounds and networks are derived, see
    `bounds.regime`, `lipschitz_by_slopes`, `lipschitz_by_bits` and `lipschitz_by_lookup`.
    """
    call = "regime_diagram"
    width = check_whole(f"{call}(width)", width, 1)
    depth = check_whole(f"{call}(depth)", depth, 1)
    asked = None
    check_whole(f"{call}(seed=...)", seed, 0)
    if fraction_bits is not None:
        if not isinstance(fraction_bits, Iterable) or isinstance(fraction_bits, str):
            raise TypeError(
                f"`{call}(fraction_bits=...)` must be a sequence of whole numbers; got "
                f"{fraction_bits!r}."
            )
        asked = sorted({check_whole(f"{call}(fraction_bits=...)", b, 1) for b in fraction_bits})
        if not asked:
            raise ValueError(f"`{call}(fraction_bits=...)` must have at least one number.")
    if integer_bits is None:
        looked = asked or _DEFAULT
        needs = [whole_bits(best_design(width, depth, b, _PLENTY)) for b in looked]
        integer_bits = max(max(needs) - 1, 1)
    a = check_whole(f"{call}(integer_bits=...)", integer_bits, 1)
    # No bound improves beyond: codes have 2 (MOST_STEPS - 1) bits; the biases of `slopes` and the
    # last map of the others have fewer.
    last = _first(lambda b: best_design(width, depth, b, a).bound, 2 * MOST_STEPS)
    numbers = asked or _grid(last)
    functions = _drawn_functions(seed)
    networks, known = [], {}
    for b in numbers:
        design = best_design(width, depth, b, a)
        # The constant is rounded to b bits; the others are one network for every b.
        key = (design, b) if design.name == "constant" else design
        if key not in known:
            known[key] = _measure(design, functions, b, seed)
        network, errors = known[key]
        shorter = on_grid(network, a + 1, b)
        bounds = regime(width, depth, b, a)
        networks.append(BuiltNetwork(b, bounds, design, design.bound, count(shorter), *errors))
    notes = _notes(width, depth, a, networks)
    return RegimeDiagram(width, depth, a, tuple(networks), last, FUNCTIONS, notes)


_DEFAULT = range(1, 2 * MOST_STEPS + 1)


def _first(value: Callable[[int], float], most: int) -> int:
    """The first number from which on the value is that at `most`."""
    b = most
    while b > 1 and value(b - 1) <= value(most):
        b -= 1
    return b


def _grid(last: int) -> list[int]:
    """Numbers of bits, each about a fifth more than the one before, and twice the last one."""
    numbers, b = [], 1
    while b < last:
        numbers.append(b)
        b = max(b + 1, round(1.2 * b))
    return [*numbers, last, max(round(1.4 * last), last + 1), 2 * last + 1]


def zigzag(signs: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Slopes +-1 on intervals of length 1/N, the first and last half as long."""
    n = len(signs) - 1
    corners = np.concatenate([[0.0], (np.arange(n) + 0.5) / n, [1.0]])
    values = np.concatenate([[0.0], np.cumsum(signs * np.diff(corners))])
    return lambda x: np.interp(x, corners, values)


def _drawn_functions(seed: int) -> list[Callable[[np.ndarray], np.ndarray]]:
    rng = np.random.default_rng([seed, 1])
    knots = np.arange(_PIECES + 1) / _PIECES
    draws = [np.cumsum(rng.uniform(-1, 1, _PIECES)) / _PIECES for _ in range(_DRAWN)]
    values = [np.concatenate([[0.0], draw]) for draw in draws]
    return [lambda x, v=v: np.interp(x, knots, v) for v in values]


def _measure(
    design: Design, drawn: list[Any], b: int, seed: int
) -> tuple[ReLUNetwork, tuple[float, float, bool]]:
    """The network for the zigzag, and the errors on it and on the drawn functions."""
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], design.steps + 1)
    functions = [zigzag(signs), *drawn]
    networks = [build(design, function, b).network for function in functions]
    exact = _needs_exact(design)
    errors = [
        _error(network, function, design, exact, seed)
        for network, function in zip(networks, functions, strict=True)
    ]
    return networks[0], (errors[0], max(errors[1:]), exact)


# Sums of up to 4P products of a code with a coordinate up to 4Pq, or 4n of each, are rounded, and
# every bit that is read multiplies that by 4.
def _needs_exact(design: Design) -> bool:
    if design.name in ("constant", "slopes"):
        return False
    cells = design.sizes[1] * design.sizes[2] if design.name == "lookup" else design.sizes[0]
    noise = 2.0**-53 * 4 * cells * np.sqrt(4.0 * cells) * 4.0**design.steps_per_cell
    return bool(noise > 2.0**-7)


def _error(network: ReLUNetwork, function, design: Design, exact: bool, seed: int) -> float:
    """The largest error on random points, some of them where lookups change, and the ends."""
    points = max(_PRODUCTS // network.connectivity, _FEW) if exact else _MANY
    points = min(points, _MANY)
    rng = np.random.default_rng([seed, 2])
    cells = design.steps // design.steps_per_cell
    changes = (rng.integers(0, cells, points // 3) + rng.uniform(0, 0.75, points // 3)) / cells
    steps = rng.integers(0, design.steps + 1, points // 3) / design.steps
    x = np.concatenate([rng.uniform(0, 1, points - 2 * (points // 3)), changes, steps, [0.0, 1.0]])
    x = np.clip(np.round(x * 2.0**30) / 2.0**30, 0, 1)
    if exact:
        values = realize_exact(network, x[:, None])[:, 0].astype(np.float64)
    else:
        values = _values(network, x)
    return float(np.max(np.abs(values - function(x))))


def _values(network: ReLUNetwork, x: np.ndarray) -> np.ndarray:
    """Values in NumPy float64, whatever JAX is set to, without compiling every shape."""
    h = x[None, :]
    for i, (w, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        matrix = w.to_scipy() if isinstance(w, SparseMatrix) else np.asarray(w)
        h = matrix @ (np.maximum(h, 0) if i else h) + np.asarray(b)[:, None]
    return h[0]


def _notes(width, depth, a, networks: Sequence[BuiltNetwork]) -> tuple[str, ...]:
    """What is too small for what."""
    names = {n.design.name for n in networks}
    notes = []
    if names == {"constant"}:
        notes.append(f"Width {width} or depth {depth} is too small for anything but a constant.")
    elif "lookup" not in names:
        free = best_design(width, depth, 2 * MOST_STEPS, _PLENTY)
        if depth < 10 or width < 28:
            reason = f"needs depth 10 and width 28; here are {depth} and {width}"
        elif free.name == "lookup":
            reason = (
                f"needs weights with {whole_bits(free)} bits before the point, here are {a + 1}, "
                "or more bits after it than were asked for"
            )
        else:
            reason = "has a larger error than others at this width and depth"
        notes.append(f"The construction with the full rate (`lipschitz_by_lookup`) {reason}.")
    if names == {"slopes"}:
        notes.append(
            "With one hidden layer of corners, one per unit, the width is used up at the last "
            "number of bits that helps."
        )
    if any(n.design.steps_per_cell == MOST_STEPS for n in networks):
        notes.append(
            f"Codes end at {MOST_STEPS} bits, which float64 can hold; with more of them the error "
            "would go on falling."
        )
    return tuple(notes)
