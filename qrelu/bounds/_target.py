"""Enclosing the largest distance between a network with one input and a function."""

import dataclasses
import math
import time
from fractions import Fraction
from typing import Any

import numpy as np

from .._misc import shown
from ..networks import Pieces, pieces
from ._checks import as_numbers, as_positive
from ._enclosure import read_entries
from ._expression import Expression
from ._jet import flint, fraction_ball, middle_and_radius, upper_float
from ._outward import Number
from ._pair import as_network
from ._target_cells import EPS, Cells, Search, search

# Units of rounding that a target's float64 values, and their arguments, are trusted to.
TRUSTED = 8
# Bits of the ball arithmetic: room to spare over float64, in which bounds are returned.
PRECISION = 128
_FORMAT = "qrelu target enclosure, version 1"


@dataclasses.dataclass(frozen=True, eq=False)
class TargetEnclosure:
    r"""Proven bounds of the largest distance between a network and a function on an interval.

    `lower` $\le \sup_{x} |R(x) - f(x)| \le$ `upper`, for the network in real arithmetic.

    **Attributes:**

    - `lower`, `upper`: the bounds.
    - `witness`: a point of the interval, of shape (1,), where the distance is at least `lower`.
    - `box`: the ends (lower, upper) of the interval, arrays of shape (1,).
    - `target`: the function's name.
    - `method`: "ball arithmetic" or "declared curvature".
    - `assumptions`: what the bounds hold for, in words.
    - `boxes`: how many cells were used.
    - `gap`: the relative gap that was asked for.
    - `complete`: whether `upper` $\le (1 +$ `gap` $)\,$`lower`, or nothing but rounding errors is
        left between the two. If not, the budget ran out, and the bounds hold all the same.
    - `seconds`: how long it took.
    """

    lower: float
    upper: float
    witness: np.ndarray
    box: tuple[np.ndarray, np.ndarray]
    target: str
    method: str
    assumptions: str
    boxes: int
    gap: float
    complete: bool
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """The record in plain numbers, strings and lists, as JSON can hold them."""
        record = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        record["witness"] = [float(t) for t in self.witness]
        record["box"] = [[float(t) for t in end] for end in self.box]
        return {"format": _FORMAT, **record}

    @staticmethod
    def from_dict(record: Any) -> "TargetEnclosure":
        """The enclosure that `to_dict` wrote.

        **Arguments:**

        - `record`: the dictionary, for example from a JSON file.

        **Returns:**

        An equal `TargetEnclosure`.

        **Raises:**

        - `ValueError`: for a dictionary of another kind, or bounds in the wrong order.
        """
        call = "TargetEnclosure.from_dict(record)"
        return TargetEnclosure(**read_entries(call, _FORMAT, TargetEnclosure, record))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TargetEnclosure):
            return False
        mine, theirs = self.to_dict(), other.to_dict()
        return all(mine[name] == theirs[name] for name in mine if name != "seconds")

    def __hash__(self) -> int:
        return hash((self.lower, self.upper, self.target, self.boxes))

    def __str__(self) -> str:
        state = "" if self.complete else f", budget ran out before the gap {self.gap:g}"
        return (
            f"{shown(self.lower, 9, above=False)} <= largest distance from {self.target} "
            f"<= {shown(self.upper, 9, above=True)}\n"
            f"  witness {self.witness[0]:.9g}\n"
            f"  {self.method}, {self.boxes} boxes, {self.seconds:.2f} s{state}\n"
            f"  holds for: {self.assumptions}"
        )


def enclose_target(
    network: Any,
    target: Any,
    box: Any = None,
    *,
    gap: Number = 1e-6,
    budget: int = 200_000,
) -> TargetEnclosure:
    r"""Proven bounds of $\sup_x |R(x) - f(x)|$ for a network with one input and one output.

    The network is cut into its linear pieces in exact rationals. On each of them $|f - line|$ is
    enclosed by cutting further, best first: between two points the second derivative bounds how far
    the difference can leave its chord.

    With an `Expression` all is rigorous: values and second derivatives are enclosed in ball
    arithmetic. With a target from `targets` (or anything with its `curvature`) the bound on the
    second derivative, or the modulus of continuity where that is infinite, is the declared one, and
    its values in float64 are trusted to 8 units of rounding.

    **Arguments:**

    - `network`: a `ReLUNetwork` or `equinox.nn.MLP` with one input and one output.
    - `target`: an `Expression`, such as `bounds.expression("sine")`, or a target with `curvature`,
        such as `targets.get("sine")`.
    - `box`: the ends of the interval, inside of the target's domain; the domain if left out.
    - `gap`: the relative gap between the bounds to stop at.
    - `budget`: the largest number of cells; if it runs out the bounds so far are returned, and
        `complete` is False.

    **Returns:**

    A `TargetEnclosure`.

    **Raises:**

    - `ValueError`: for a network with several inputs or outputs, an interval that is empty,
        infinite or not inside the domain, a target without a bound on its second derivative, a gap
        or budget that is not positive.
    - `TypeError`: for a target of another kind.

    **Reference:** derived; the bound on a cell is proved above its code.
    """
    started = time.perf_counter()
    call = "enclose_target(network, ...)"
    net = as_network(call, network)
    if net.widths[0] != 1 or net.widths[-1] != 1:
        raise ValueError(
            f"`{call}` must get a network with one input and one output; got "
            f"{net.widths[0]} and {net.widths[-1]}. `enclose` compares two networks of any widths."
        )
    lower, upper = _interval(target, box)
    as_positive("enclose_target(gap=...)", gap)
    as_positive("enclose_target(budget=...)", budget)
    if not math.isfinite(net.magnitude):
        raise ValueError(f"`{call}` must get finite parameters; got NaN or infinity.")
    exact = pieces(net, lower, upper, exact=True)
    lines = _Lines(exact)
    with np.errstate(all="ignore"):
        if isinstance(target, Expression):
            with flint().ctx.workprec(PRECISION):
                balls = _Balls(lines, target)
                found = search(balls, lines.nodes, lines.every, float(gap), budget)
            method = "ball arithmetic"
            trust = "The network and the expression in real arithmetic, without assumptions."
        else:
            declared = _Declared(lines, target)
            nodes, piece = declared.cuts(lines.nodes)
            found = search(declared, nodes, piece, float(gap), budget)
            method = "declared curvature"
            trust = (
                "The network in real arithmetic; the target's declared bounds on its second "
                f"derivative and its modulus of continuity; its float64 values within {TRUSTED} "
                f"units of rounding, at arguments within {TRUSTED} units of rounding."
            )
    return _record(found, lower, upper, target, method, trust, float(gap), started)


def _record(
    found: Search,
    lower: float,
    upper: float,
    target: Any,
    method: str,
    trust: str,
    gap: float,
    started: float,
) -> TargetEnclosure:
    return TargetEnclosure(
        found.lower,
        found.upper,
        np.array([found.witness]),
        (np.array([lower]), np.array([upper])),
        str(getattr(target, "name", type(target).__name__)),
        method,
        trust,
        found.boxes,
        gap,
        found.complete,
        time.perf_counter() - started,
    )


def _interval(target: Any, box: tuple[Number, Number] | None) -> tuple[float, float]:
    if not (isinstance(target, Expression) or hasattr(target, "curvature")):
        raise TypeError(
            "`enclose_target(target=...)` must be a `bounds.Expression` or a target with "
            f"`curvature`; got {type(target).__name__}. For a function of your own write "
            "`bounds.Expression(lambda x: (3 * x).exp(), (0, 1))`."
        )
    domain = tuple(float(t) for t in target.domain)
    if box is None:
        return domain[0], domain[1]
    try:
        ends = [as_numbers("enclose_target(box=...)", end) for end in box]
        lower, upper = (end.reshape(()).item() for end in ends)
    except (TypeError, ValueError):
        raise ValueError(
            "`enclose_target(box=...)` must be a pair (lower, upper) of numbers or arrays of one; "
            f"got {box!r}."
        ) from None
    if not domain[0] <= lower < upper <= domain[1]:
        raise ValueError(
            f"`enclose_target(box=...)` must be an interval with lower < upper inside the domain "
            f"[{domain[0]:g}, {domain[1]:g}]; got [{lower:g}, {upper:g}]."
        )
    return lower, upper


class _Lines:
    """The pieces in floats, with what that changes.

    Between the exact end of a piece and its float the network follows the neighboring line: it
    differs there by at most the jump of the slope times the distance of the two.
    """

    def __init__(self, exact: Pieces):
        knots = list(exact.breakpoints)
        nodes = np.array([float(t) for t in knots])
        slopes = [row[0] for row in exact.slopes]
        jumps = [abs(r - s) for s, r in zip(slopes, slopes[1:], strict=False)]
        moved = [Fraction(0)]
        for jump, knot, node in zip(jumps, knots[1:-1], nodes[1:-1].tolist(), strict=True):
            moved.append(jump * abs(knot - Fraction(node)))
        moved.append(Fraction(0))
        errors = np.nextafter(np.array([float(m) for m in moved]), np.inf)
        self.sliver = np.maximum(errors[:-1], errors[1:])
        # Several knots may round to one float: their pieces have no float inside.
        kept = np.diff(nodes) > 0
        self.sliver = _spread(self.sliver, kept, jumps, knots)
        self.slopes = [s for s, keep in zip(slopes, kept, strict=True) if keep]
        self.starts = [t for t, keep in zip(knots[:-1], kept, strict=True) if keep]
        self.values = [row[0] for row, keep in zip(exact.values[:-1], kept, strict=True) if keep]
        self.nodes = np.append(nodes[:-1][kept], nodes[-1])
        self.every = np.arange(len(self.slopes))


def _spread(
    sliver: np.ndarray, kept: np.ndarray, jumps: list[Fraction], knots: list[Fraction]
) -> np.ndarray:
    """The errors of the kept pieces; where pieces were dropped, a bound over all of them."""
    if kept.all():
        return sliver
    # All knots that round to one float lie within a unit in the last place of each other.
    unit = float(np.spacing(max(abs(float(knots[0])), abs(float(knots[-1])))))
    total = float(sum(jumps, Fraction(0))) * (1 + 4 * EPS)
    return np.full(int(kept.sum()), total * unit * (1 + 4 * EPS))


class _Balls:
    """Lines minus an expression, in ball arithmetic."""

    batch = 64

    def __init__(self, lines: _Lines, expression: Expression):
        self.expression = expression
        self.sliver = lines.sliver
        self.slopes = [fraction_ball(s) for s in lines.slopes]
        self.offsets = [
            fraction_ball(v - s * t)
            for v, s, t in zip(lines.values, lines.slopes, lines.starts, strict=True)
        ]
        self.arb = flint().arb

    def _ball(self, low: float, high: float) -> Any:
        return self.arb(low).union(self.arb(high))

    def at(self, x: np.ndarray, piece: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        result = np.empty((2, len(x)))
        for i, (point, k) in enumerate(zip(x.tolist(), piece.tolist(), strict=True)):
            p = self.arb(point)
            d = self.slopes[k] * p + self.offsets[k] - self.expression.values(p)
            result[:, i] = middle_and_radius(d)
            if not math.isfinite(result[1, i]):
                raise ValueError(
                    "`enclose_target(target=...)` must be finite on the interval; the expression "
                    f"{self.expression.name!r} has no finite enclosure at x = {point!r}. Shrink "
                    "the box, or use a method such as `xlogx` that knows the limit."
                )
        return result[0], result[1] + self.sliver[piece]

    def curvature(self, cells: Cells) -> np.ndarray:
        return np.array(
            [
                upper_float(self.expression.second_derivative(self._ball(u, v)))
                for u, v in zip(cells.lower.tolist(), cells.upper.tolist(), strict=True)
            ]
        )

    def other(self, cells: Cells, unbounded: np.ndarray) -> np.ndarray:
        result = np.full(len(unbounded), np.inf)
        for i in np.flatnonzero(unbounded):
            x, k = self._ball(float(cells.lower[i]), float(cells.upper[i])), cells.piece[i]
            d = self.slopes[k] * x + self.offsets[k] - self.expression.values(x)
            result[i] = upper_float(d) + self.sliver[k]
        return result


class _Declared:
    """Lines minus a target with declared bounds, in float64."""

    batch = 4096

    def __init__(self, lines: _Lines, target: Any):
        self.target = target
        self.sliver = lines.sliver
        self.slopes = np.array([float(s) for s in lines.slopes])
        self.values = np.array([float(v) for v in lines.values])
        self.starts = lines.nodes[:-1]
        ends = lines.nodes[[0, -1]]
        self.width = float(ends[1] - ends[0])
        modulus = getattr(target, "modulus", None)
        known = modulus is not None and modulus(ends) is not None
        self.modulus = modulus if known else None
        if target.curvature(ends[:1], ends[1:]) is None:
            raise ValueError(
                f"`enclose_target(target=...)` must know a bound on its second derivative; "
                f"{target!r} declares none. Pass `curvature` to `targets.Function`, or write it as "
                "a `bounds.Expression`."
            )

    def cuts(self, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The nodes and the target's breakpoints between them, and the piece of each cell."""
        points = np.array(getattr(self.target, "breakpoints", ()), dtype=np.float64)
        inside = points[(points > nodes[0]) & (points < nodes[-1])]
        every = np.unique(np.concatenate([nodes, inside]))
        return every, np.searchsorted(nodes, every[:-1], side="right") - 1

    # The line is v + s (x - t) with v, s and t rounded, and three more roundings.
    def at(self, x: np.ndarray, piece: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        f = np.asarray(self.target(x), dtype=np.float64)
        if not np.isfinite(f).all():
            bad = x[~np.isfinite(f)][0]
            raise ValueError(
                f"`enclose_target(target=...)` must be finite on the interval; {self.target!r} is "
                f"not at x = {float(bad)!r}. Shrink the box."
            )
        s, v, t = self.slopes[piece], self.values[piece], self.starts[piece]
        rise = s * (x - t)
        d = v + rise - f
        line = np.abs(v) + 4 * np.abs(rise) + np.abs(s) * np.abs(t)
        error = EPS * (line + 2 * np.abs(d)) + self._noise(x, f) + self.sliver[piece]
        return d, error * (1 + 8 * EPS)

    def _noise(self, x: np.ndarray, f: np.ndarray) -> np.ndarray:
        """How far values are trusted: an argument moved by m changes them by at most
        |f'| m + max |f''| m^2/2, and by the modulus of m."""
        moved = TRUSTED * EPS * np.abs(x)
        low, high = self.starts[0], self.starts[0] + self.width
        slope = getattr(self.target, "derivative", lambda x: None)(x)
        if slope is None:
            h = self.width * 2.0**-20
            left, right = np.maximum(x - h, low), np.minimum(x + h, high)
            slope = (np.asarray(self.target(right)) - self.target(left)) / (right - left)
        change = moved * np.abs(np.asarray(slope))
        if self.modulus is not None:
            near = np.asarray(
                self.target.curvature(np.maximum(x - moved, low), np.minimum(x + moved, high))
            )
            # Infinity times zero is no number; fmin takes the modulus then.
            change = np.fmin(change + 0.5 * near * moved**2, self.modulus(moved))
        return TRUSTED * EPS * np.abs(f) + change

    def curvature(self, cells: Cells) -> np.ndarray:
        bound = np.asarray(self.target.curvature(cells.lower, cells.upper), dtype=np.float64)
        return np.abs(np.broadcast_to(bound, cells.lower.shape))

    # |f - interpolant| <= (1 - t) w(h/2) + t w(h) for t <= 1/2, at most (w(h/2) + w(h))/2.
    def other(self, cells: Cells, unbounded: np.ndarray) -> np.ndarray:
        if self.modulus is None:
            return np.full(len(unbounded), np.inf)
        h = cells.upper - cells.lower
        rise = 0.5 * (np.asarray(self.modulus(0.5 * h)) + np.asarray(self.modulus(h)))
        ends = np.maximum(np.abs(cells.a) + cells.error_a, np.abs(cells.b) + cells.error_b)
        return (ends + rise) * (1 + 16 * EPS)
