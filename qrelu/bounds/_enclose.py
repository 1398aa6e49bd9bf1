"""The largest difference between two networks on a box, enclosed."""

import math
import time
from fractions import Fraction
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np

from ..networks import ReLUNetwork, pieces
from ._cells import bound_cells, evaluation_radius, values_at
from ._checks import as_positive
from ._enclosure import Enclosure
from ._halving import halve
from ._line import cut_segment
from ._outward import UNIT, Number
from ._pair import Layers, as_box, as_layers, as_network, check_pair
from ._polygons import cut_rectangle
from ._rational import exact_values, round_down, round_up
from ._search import branch_and_bound

# How many candidates are checked with rationals for the witness.
_CANDIDATES = 4
# Rounding errors of evaluation need no sharper bound below this share of the difference.
_SMALL = 2.0**-10


class _Found(NamedTuple):
    """What a method found; `upper` holds, `candidates` are points to check."""

    upper: float
    candidates: np.ndarray  # (points, inputs), best first
    method: str
    boxes: int
    exhausted: bool  # nothing but rounding errors is left


def enclose(
    net: ReLUNetwork | eqx.nn.MLP,
    other: ReLUNetwork | eqx.nn.MLP,
    box: Any,
    *,
    gap: Number = 1e-2,
    budget: int = 1_000_000,
    seconds: Number = math.inf,
    evaluation: Any = None,
) -> Enclosure:
    r"""Proven bounds of the largest difference of two networks on a box.

    $lower \le \sup_{x \in box} \|R(x) - R'(x)\|_\infty \le upper$, usually for a network and its
    rounded copy. An input whose ends coincide is fixed. With one free input the box is cut at every
    kink of both networks, with two into the polygons on which both are affine: the bounds then
    differ by rounding errors only. With more inputs, linear bounds of the difference are propagated
    through both networks jointly, and the box is split where they are widest until the gap or the
    budget is reached.

    The bounds hold in floating point: rounding errors of this computation are inside, and so are
    those of evaluating the networks (`evaluation`), in any order of summation, fused or not. Runs
    in float64 whatever JAX is set to, outside of `jit` and `grad`; `difference_bound` works inside.

    **Arguments:**

    - `net`, `other`: networks with the same numbers of inputs and outputs, of any depths and
        widths, dense or sparse; or `equinox.nn.MLP`s.
    - `box`: the ends (lower, upper), each a number or an array of shape $(N_0,)$.
    - `gap`: the search ends when `upper` $\le (1 +$ `gap` $)\,$`lower`.
    - `budget`: most pieces, cells or boxes.
    - `seconds`: most seconds for cutting cells or splitting boxes, without what compilation takes.
        With one or two free inputs the cells are bounded after that, which takes as long again.
    - `evaluation`: whose rounding errors are inside: None for each network's own floating type, a
        floating type such as "float32" for both, or "exact" for the functions in real arithmetic.
        With "exact" and one free input, rationals close the gap where floats do not. With two free
        inputs rounding errors are bounded cell by cell, and too widely where many neurons vanish at
        one point: for deep float32 networks without biases around 0, where a small difference may
        get an upper bound several times too large. With "exact" it does not.

    **Returns:**

    An `Enclosure`: `lower`, `upper`, `witness`, and how they were found. When the budget runs out
    it holds what was proven so far, with `complete` False.

    **Raises:**

    - `ValueError`: for networks whose inputs or outputs differ in number, stacks of networks,
      parameters that are not finite, boxes that are empty, inverted or unbounded, or a gap or a
      budget that is not positive.
    - `TypeError`: for other models, traced parameters, or ends and limits that are no numbers.

    **Reference:** derived; the proofs stand above the code of each part. Relaxing the activations
    by lines goes back to [zhang2018].
    """
    begin = time.perf_counter()
    call = "enclose(net, other, box)"
    net, other = as_network(call, net), as_network(call, other)
    check_pair(call, net, other)
    a, b = (as_layers(call, network, evaluation) for network in (net, other))
    lower_end, upper_end = as_box("enclose", box, a.inputs)
    for name, value in (("gap", gap), ("budget", budget), ("seconds", seconds)):
        as_positive(f"enclose({name}=...)", value, infinite=True)

    # Numbers beyond the range of float64 end in an infinite bound.
    with np.errstate(over="ignore", invalid="ignore"):
        found = _find(a, b, lower_end, upper_end, gap, budget, seconds)
        lower, witness, output = _best(a, b, found.candidates)
    complete = found.exhausted or found.upper <= (1 + gap) * lower
    return Enclosure(
        lower=lower,
        upper=max(found.upper, lower),
        witness=witness,
        output=output,
        box=(lower_end, upper_end),
        evaluation=(a.arithmetic.name, b.arithmetic.name),
        method=found.method,
        boxes=found.boxes,
        gap=float(gap),
        complete=bool(complete and math.isfinite(found.upper)),
        seconds=time.perf_counter() - begin,
    )


def _find(a: Layers, b: Layers, lower_end, upper_end, gap, budget: int, seconds) -> _Found:
    free = int((upper_end > lower_end).sum())
    deadline = time.perf_counter() + seconds

    def late() -> bool:
        return time.perf_counter() > deadline

    if free == 0:
        cells = lower_end[None, None, :]
        bounds = bound_cells(a, b, cells, np.zeros(1))
        return _Found(float(bounds.upper[0]), cells[0], "pieces", 1, True)
    if free == 1:
        return _on_segment(a, b, lower_end, upper_end, budget, gap, late)
    if free == 2:
        return _on_rectangle(a, b, lower_end, upper_end, budget, late)
    return _by_search(a, b, lower_end, upper_end, gap, budget, seconds)


def _on_segment(a: Layers, b: Layers, start, end, budget: int, gap: Number, late) -> _Found:
    cells, complete = cut_segment(a, b, start, end, budget, late)
    bounds = bound_cells(a, b, cells, np.zeros(len(cells)))
    if complete:
        cells, bounds = halve(a, b, cells, bounds, budget - len(cells), late)
    best = np.argsort(-bounds.near)[:_CANDIDATES]
    candidates = cells[best, bounds.vertex[best]]
    upper = float(bounds.upper.max())
    if a.arithmetic.name == b.arithmetic.name == "exact":
        lower = max(round_down(_differences(a, b, x)[0]) for x in candidates)
        if lower > 0 and not upper <= (1 + gap) * lower:
            upper = _refined(a, b, cells, bounds.upper, lower)
    return _Found(upper, candidates, "pieces", len(cells), complete)


def _on_rectangle(a: Layers, b: Layers, lower, upper, budget: int, late) -> _Found:
    cells, delta, complete = cut_rectangle(a, b, lower, upper, budget, late)
    bounds = bound_cells(a, b, cells, delta)
    best = np.argsort(-bounds.near)[:_CANDIDATES]
    candidates = np.clip(cells[best, bounds.vertex[best]], lower, upper)
    return _Found(float(bounds.upper.max()), candidates, "cells", len(cells), complete)


def _by_search(a: Layers, b: Layers, lower, upper, gap, budget: int, seconds) -> _Found:
    rounding = evaluation_radius(a, lower, upper) + evaluation_radius(b, lower, upper)
    unit = max(a.arithmetic.unit, b.arithmetic.unit)
    search = branch_and_bound(
        a, b, (lower, upper), float(gap), float(rounding.max()), budget, float(seconds)
    )
    # The subtraction of computed outputs rounds once more, and so does this sum.
    largest = (search.upper + float(rounding.max())) * (1 + unit + 4 * UNIT)
    return _Found(largest, search.points, "branch and bound", search.boxes, False)


# On the cells whose bound exceeds the difference that is attained, the exact pieces of both
# networks give the exact supremum: an affine function is largest at an end.
def _refined(a: Layers, b: Layers, cells: np.ndarray, upper: np.ndarray, lower: float) -> float:
    axis = int((cells[:, 1] > cells[:, 0]).any(0).argmax())
    survive = upper > lower
    largest = float(upper[~survive].max(initial=0.0))
    fixed = cells[0, 0].copy()
    fixed[axis] = 0.0
    for cell in cells[survive]:
        left, right = cell[:, axis]
        largest = max(largest, round_up(_exact_supremum(a, b, fixed, axis, left, right)))
    return largest


def _exact_supremum(a: Layers, b: Layers, fixed, axis: int, left: float, right: float) -> Fraction:
    first, second = (
        pieces(_along(layers, fixed, axis), Fraction(left), Fraction(right), exact=True)
        for layers in (a, b)
    )
    nodes = np.unique(np.concatenate([first.breakpoints, second.breakpoints]))
    return max(abs(d) for d in (first(nodes) - second(nodes)).ravel())


# relu(t) - relu(-t) = t and relu(|c|) = |c|: one more layer, all of whose parameters are floats.
def _along(layers: Layers, fixed: np.ndarray, axis: int) -> ReLUNetwork:
    """The network as a function of one input, the others fixed, without rounding."""
    first, *others = layers.weights
    if not fixed.any():
        return ReLUNetwork([first[:, [axis]], *others], layers.biases)
    spread = np.zeros((2 + len(fixed), 1))
    spread[:2, 0] = 1, -1
    bias = np.concatenate([[0.0, 0.0], abs(fixed)])
    merged = np.concatenate(
        [first[:, [axis]], -first[:, [axis]], first * np.sign(fixed)[None, :]], axis=1
    )
    return ReLUNetwork([spread, merged, *others], [bias, *layers.biases])


def _differences(a: Layers, b: Layers, x: np.ndarray) -> tuple[Fraction, int]:
    """The largest exact difference at a point, and its output."""
    pairs = zip(exact_values(a, x), exact_values(b, x), strict=True)
    sizes = [abs(u - v) for u, v in pairs]
    largest = max(sizes)
    return largest, sizes.index(largest)


def _best(a: Layers, b: Layers, candidates: np.ndarray) -> tuple[float, np.ndarray, int]:
    """The largest proven difference at the candidates, where it is, and in which output."""
    best = (-1.0, candidates[0], 0)
    for x in candidates:
        size, output = _differences(a, b, x)
        value = round_down(size)
        unit = max(a.arithmetic.unit, b.arithmetic.unit)
        if unit > 0:
            # Both the exact and the computed value lie within the radius of the center.
            for sharp in (False, True):
                radii = [values_at(layers, x[None], sharp=sharp)[1] for layers in (a, b)]
                error = 2 * float((radii[0] + radii[1])[output, 0])
                if error <= _SMALL * value:
                    break
            # The subtraction of computed outputs rounds once more, and so does this one.
            value = (value - error) * (1 - 2 * unit) if math.isfinite(error) else 0.0
        if value > best[0]:
            best = (value, x, output)
    value, x, output = best
    return max(value, 0.0), np.array(x), output
