"""Proven bounds of the difference of two networks on small convex cells."""

import math
from typing import NamedTuple

import numpy as np

from ._outward import TINY, UNIT, gamma
from ._pair import Arithmetic, Layers, product
from ._passage import Passage, errors_at

# Numbers per block of cells: two megabytes per array.
BLOCK = 2**18
# Cells whose bound exceeds the largest difference seen by no more than this are tight enough.
_LOOSE = 2.0**-10
# A radius is also sharpened beyond this share of the largest value in its cell: new rounding errors
# are relative to what a value can be.
_WIDE = 2.0**-6
# Two errors are as good as equal up to this share.
_TIED = 2.0**-20


class _Affine(NamedTuple):
    """An affine function per unit and cell, and how far the values may be from it."""

    center: np.ndarray  # (n, K), at the cells' centers
    slopes: np.ndarray  # (inputs, n, K)
    radius: np.ndarray  # (n, K)


class _Span(NamedTuple):
    """Between which values the affine functions lie in every cell, and the rounding of sums."""

    low: np.ndarray
    high: np.ndarray
    guard: np.ndarray


class CellBounds(NamedTuple):
    """Bounds of the largest absolute difference in cells."""

    upper: np.ndarray  # (K,)
    near: np.ndarray  # (K,), the difference at the best vertex, not a bound
    vertex: np.ndarray  # (K,), which vertex that is


# On a cell conv(v_1, ..., v_m) + [-delta, delta]^d let every unit h of a layer satisfy
#     |h(x) - (c + g . (x - x_0))| <= r,
# where h is the exact value or any floating-point evaluation. W h + b then has center W c + b,
# slopes W g, and the radius is the sum of
#   |W| r,
#   the rounding errors of computing W c + b and W g here: gamma_(n+2) (|W| (|c| + |g| rho) + |b|),
#   those of evaluation: gamma_(n+2) (|W| H + |b|) with H = |c| + |g| rho + r >= |h|, in its unit,
# where rho is the largest |x - x_0| per input and gamma_n = n u / (1 - n u) holds for any order of
# the sum, fused or not (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1).
# A result that underflows loses at most the smallest normal number more, per operation.
#
# relu: let y = A + e, |e| <= r, low <= A <= high on the cell. Taking A itself for relu(y) is wrong
# by at most max(r, -low): for y >= 0 the error is e, for y < 0 it is -A <= -low, and -A >= -r.
# Taking 0 is wrong by at most max(0, high + r). Both are of the size of rounding when the sign of A
# is constant on the cell up to rounding, which is what the cells are cut for; but they hold always.
def bound_cells(
    net: Layers, other: Layers, vertices: np.ndarray, delta: np.ndarray, *, seen: float = 0.0
) -> CellBounds:
    """Bounds on cells given by vertices (K, m, inputs), repeated where there are fewer than m.

    They are sharp, as far as they are above a difference that was `seen` elsewhere.
    """
    width = max(max(w.shape) for w in (*net.weights, *other.weights))
    count, _, inputs = vertices.shape
    block = max(1, BLOCK // (width * (1 + inputs)))
    parts = [
        _bound_block(net, other, vertices[i : i + block], delta[i : i + block])
        for i in range(0, count, block)
    ]
    upper, near, vertex = (np.concatenate(column) for column in zip(*parts, strict=True))
    # The radii grow with the product of absolute weights. Where they matter they are sharpened,
    # the largest bounds first, until what is left is below a bound that stays.
    order = np.flatnonzero(upper > max(near.max(), seen) * (1 + _LOOSE))
    order = order[np.argsort(-upper[order])]
    largest = 0.0
    for i in range(0, len(order), block):
        part = order[i : i + block]
        if upper[part[0]] <= largest:
            break
        sharp, *_ = _bound_block(net, other, vertices[part], delta[part], sharp=True)
        upper[part] = np.minimum(upper[part], sharp)
        largest = max(largest, float(upper[part].max()))
    return CellBounds(upper, near, vertex)


def values_at(
    layers: Layers, x: np.ndarray, *, sharp: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Values (outputs, points) at points, and radii that hold the exact and computed ones."""
    result, *_ = _propagate(layers, x[:, None, :], np.zeros(len(x)), sharp)
    return result.center, result.radius


# The recursion above with intervals: |h| <= H on the box, exact or computed.
def evaluation_radius(layers: Layers, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Bounds of |computed - exact| for the outputs on a box, whatever the order of sums."""
    arithmetic = layers.arithmetic
    sizes = unit_sizes(layers, lower, upper)
    radius = np.zeros(len(lower))
    if arithmetic.rounds_input:
        radius = 2 * arithmetic.unit * sizes[0] + arithmetic.tiny
    if arithmetic.unit == 0:
        return np.zeros(len(layers.biases[-1]))
    with np.errstate(over="ignore", invalid="ignore"):
        for w, b, size in zip(layers.weights, layers.biases, sizes, strict=True):
            columns = w.shape[1]
            there = gamma(columns + 2, arithmetic.unit)
            values = size + radius
            radius = abs(w) @ (radius + there * values) + there * abs(b)
            radius += (columns + 2) * arithmetic.tiny + arithmetic.tiny * values.sum()
            radius *= 1 + (2 * columns + 40) * UNIT
            overflow = abs(w) @ values + abs(b) >= arithmetic.largest * (1 - 2.0**-6)
            overflow |= max(abs(w).max(), abs(b).max()) > arithmetic.largest
            radius = np.where(overflow | np.isnan(radius), math.inf, radius)
    return radius


def unit_sizes(layers: Layers, lower: np.ndarray, upper: np.ndarray) -> list[np.ndarray]:
    """Bounds of the absolute inputs of every layer on a box, by intervals."""
    low, high = lower, upper
    sizes = []
    with np.errstate(over="ignore", invalid="ignore"):
        for i, (w, b) in enumerate(zip(layers.weights, layers.biases, strict=True)):
            if i > 0:
                low, high = np.maximum(low, 0.0), np.maximum(high, 0.0)
            sizes.append(np.maximum(abs(low), abs(high)))
            plus, minus = np.maximum(w, 0.0), np.minimum(w, 0.0)
            error = gamma(2 * w.shape[1] + 4, UNIT) * (abs(w) @ sizes[-1] + abs(b))
            error += TINY * w.shape[1]
            low, high = plus @ low + minus @ high + b - error, plus @ high + minus @ low + b + error
    return sizes


def _bound_block(
    net: Layers, other: Layers, vertices: np.ndarray, delta: np.ndarray, *, sharp: bool = False
) -> tuple:
    a, offsets, rho = _propagate(net, vertices, delta, sharp)
    b, *_ = _propagate(other, vertices, delta, sharp)
    values, error = _at_vertices(a.center - b.center, a.slopes - b.slopes, offsets, rho, delta)
    # Subtracting centers and slopes rounds once, relative to the parts.
    size = abs(a.center) + abs(b.center)
    for i in range(len(rho)):
        size = size + (abs(a.slopes[i]) + abs(b.slopes[i])) * rho[i]
    radius = a.radius + b.radius + error + 4 * UNIT * size
    magnitude = abs(values).max(0)  # (outputs, K)
    upper = magnitude + radius
    # Whoever subtracts two computed outputs rounds once more.
    unit = max(net.arithmetic.unit, other.arithmetic.unit)
    tiny = max(net.arithmetic.tiny, other.arithmetic.tiny)
    upper = upper * (1 + unit + 8 * UNIT) + tiny
    upper = np.where(np.isnan(upper), math.inf, upper).max(0)
    best = abs(values).max(1)  # (m, K)
    return upper, best.max(0), best.argmax(0)


def _propagate(layers: Layers, vertices: np.ndarray, delta: np.ndarray, sharp: bool):
    """The affine functions of the outputs, vertices minus centers, and the cells' radii."""
    count, _, inputs = vertices.shape
    center = vertices.mean(1)  # any point near the cell
    offsets = np.moveaxis(vertices - center[:, None, :], 0, -1)  # (m, inputs, K)
    # The difference of two floats is rounded once.
    rho = abs(offsets).max(0) * (1 + 2 * UNIT) + delta  # (inputs, K)
    rho = np.where(rho > 0, rho * (1 + 2 * UNIT), 0.0)
    unit = np.broadcast_to(np.eye(inputs)[:, :, None], (inputs, inputs, count))
    radius = np.zeros((inputs, count))
    if layers.arithmetic.rounds_input:
        arithmetic = layers.arithmetic
        radius = 2 * arithmetic.unit * (abs(center.T) + rho) + arithmetic.tiny
    h = _Affine(np.ascontiguousarray(center.T), unit, radius)
    share, slack, path = np.zeros_like(radius), radius, []
    for i, (w, b) in enumerate(zip(layers.weights, layers.biases, strict=True)):
        if not sharp:
            h = h if i == 0 else _relu(h, _span(h, offsets, rho, delta))
            h = _layer(layers.arithmetic, w, b, h, rho)
            continue
        if i > 0:
            span = _span(h, offsets, rho, delta)
            h = _sharpen(h, path, _doubtful(h, span))
            share, slack = _passing(h, span)
            h = _relu(h, span)
        h, passage = _passage(layers.arithmetic, w, b, h, rho, share, slack)
        path.append(passage)
    if sharp:
        h = _sharpen(h, path, np.ones(h.radius.shape, dtype=bool))
    return h, offsets, rho


def _sizes(h: _Affine, rho: np.ndarray) -> np.ndarray:
    """Bounds of the absolute values of the affine functions in the cells."""
    size = abs(h.center)
    for i in range(len(rho)):
        size = size + abs(h.slopes[i]) * rho[i]
    return size


def _layer(arithmetic: Arithmetic, w: np.ndarray, b: np.ndarray, h: _Affine, rho: np.ndarray):
    rows, columns = w.shape
    size = _sizes(h, rho)
    here = gamma(columns + 2, UNIT)
    there = gamma(columns + 2, arithmetic.unit)
    values = size + h.radius
    bias = abs(b)[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        spread = h.radius + here * size + there * values
        magnitude = abs(w)
        radius = product(magnitude, spread) + (here + there) * bias
        radius = radius + _losses(arithmetic, values, rho)
        # All terms are non-negative: computing the radius rounds relative to itself.
        radius = radius * (1 + (2 * columns + 40) * UNIT)
        radius = np.where(_overflows(arithmetic, magnitude, bias, values), math.inf, radius)
    return _Affine(*_apply(w, b, h), radius)


def _passage(arithmetic: Arithmetic, w, b, h: _Affine, rho: np.ndarray, share, slack):
    """The same layer, with the errors that are new in it apart from those that it hands on."""
    rows, columns = w.shape
    size = _sizes(h, rho)
    here = gamma(columns + 2, UNIT)
    values = size + h.radius
    bias, magnitude = abs(b)[:, None], abs(w)
    # Where an input is zero in the whole cell, computed or not, adding it is no operation.
    counts = (values > 0).sum(0)
    there = np.array([gamma(k + 2, arithmetic.unit) for k in range(columns + 1)])[counts]
    with np.errstate(over="ignore", invalid="ignore"):
        fresh = product(magnitude, here * size + there * values) + (here + there) * bias
        fresh = fresh + _losses(arithmetic, values, rho)
        handed = product(magnitude, h.radius)
        inflation = 1 + (2 * columns + 40) * UNIT
        overflow = _overflows(arithmetic, magnitude, bias, values)
        radius = np.where(overflow, math.inf, (fresh + handed) * inflation)
        # Carrying rows of weights back through this layer rounds too.
        fresh = np.where(overflow, math.inf, (fresh + here * handed) * inflation)
        loss = 2 * TINY * ((columns + 1) * h.radius.sum(0) + radius.sum(0))
    return _Affine(*_apply(w, b, h), radius), Passage(w, share, slack, fresh, loss)


def _apply(w: np.ndarray, b: np.ndarray, h: _Affine) -> tuple[np.ndarray, np.ndarray]:
    slopes = np.stack([product(w, g) for g in h.slopes]) if len(h.slopes) else h.slopes
    return product(w, h.center) + b[:, None], slopes


def _losses(arithmetic: Arithmetic, values: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """What underflow may cost, here and there."""
    loss = (len(values) + 2) * (arithmetic.tiny + TINY) * (1 + len(rho))
    return loss + arithmetic.tiny * values.sum(0)


def _overflows(arithmetic: Arithmetic, magnitude, bias, values: np.ndarray) -> np.ndarray | bool:
    if not math.isfinite(arithmetic.largest):
        return False
    overflow = product(magnitude, values) + bias >= arithmetic.largest * (1 - 2.0**-6)
    return overflow | bool(max(magnitude.max(), bias.max()) > arithmetic.largest)


def _span(z: _Affine, offsets: np.ndarray, rho: np.ndarray, delta: np.ndarray) -> _Span:
    size, reach = abs(z.center), np.zeros_like(z.center)
    for g, distance in zip(z.slopes, rho, strict=True):
        reach += abs(g) * distance
    size += reach
    error = gamma(len(rho) + 4, UNIT) * size + TINY * (len(rho) + 1)
    low, high = z.center - reach - error, z.center + reach + error
    # Where the box around the cell does not tell the sign, the vertices may.
    unit, cell = np.nonzero((low < z.radius) & (high > -z.radius))
    values, error = _at_vertices(
        z.center[unit, cell],
        z.slopes[:, unit, cell],
        offsets[:, :, cell],
        rho[:, cell],
        delta[cell],
    )
    low[unit, cell], high[unit, cell] = values.min(0) - error, values.max(0) + error
    # A sum of two floats is rounded once.
    return _Span(low, high, 2 * UNIT * size)


def _relu(z: _Affine, span: _Span) -> _Affine:
    on, as_itself, as_zero = _choice(z, span)
    radius = np.where(on, as_itself, as_zero)
    return _Affine(z.center * on, z.slopes * on, radius)


def _choice(z: _Affine, span: _Span) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether A is taken for relu(y), and what is wrong with that and with zero."""
    as_itself = np.maximum(z.radius, span.guard - span.low)
    as_zero = np.maximum(span.high + z.radius + span.guard, 0.0) * (1 + 4 * UNIT)
    # When a radius that is large makes no difference between the two, the sign decides.
    tied = abs(as_itself - as_zero) <= _TIED * as_itself
    return np.where(tied, span.low + span.high > 0, as_itself < as_zero), as_itself, as_zero


def _passing(z: _Affine, span: _Span) -> tuple[np.ndarray, np.ndarray]:
    """Which share of the error e of a unit passes its activation, and how much may be added."""
    on, _, as_zero = _choice(z, span)
    beyond = np.where(on, z.radius + 2 * span.guard - span.low, as_zero)
    whole = np.maximum(beyond, 0.0) * (1 + 4 * UNIT)
    wrong = np.where(on, 2 * span.guard - span.low, span.high + 2 * span.guard)
    half = (z.radius / 2 + np.maximum(wrong, 0.0)) * (1 + 4 * UNIT)
    # An error that passes whole, or not at all, adds nothing where the sign is certain.
    return np.where(whole <= half, on * 1.0, 0.5), np.fmin(whole, half)


def _doubtful(z: _Affine, span: _Span) -> np.ndarray:
    """Units whose sign the radius leaves open, or whose radius is a large part of the values."""
    reach = z.radius + 2 * span.guard
    alive = span.high > -reach
    size = np.maximum(abs(span.low), abs(span.high)).max(0)
    return alive & ((span.low < reach) | (z.radius > _WIDE * size))


def _sharpen(z: _Affine, path: list[Passage], where: np.ndarray) -> _Affine:
    """Smaller radii of some units, from the errors of all layers carried to them."""
    unit, cell = np.nonzero(where)
    if len(path) == 1 or len(unit) == 0:
        return z
    radius = z.radius.copy()
    block = max(1, BLOCK // max(passage.weights.shape[1] for passage in path))
    with np.errstate(over="ignore", invalid="ignore"):
        for i in range(0, len(unit), block):
            at = unit[i : i + block], cell[i : i + block]
            radius[at] = np.fmin(radius[at], errors_at(path, *at))
    return z._replace(radius=radius)


def _at_vertices(center, slopes, offsets, rho, delta):
    """Values at the vertices, a leading axis, and by how much the cell's may exceed them."""
    inputs = len(slopes)
    values = np.broadcast_to(center, (len(offsets), *center.shape)).copy()
    size, steepness = abs(center), np.zeros_like(center)
    for i in range(inputs):
        values += slopes[i] * (offsets[:, i] if center.ndim == 1 else offsets[:, i][:, None, :])
        size = size + abs(slopes[i]) * rho[i]
        steepness += abs(slopes[i])
    error = gamma(inputs + 4, UNIT) * size + steepness * delta * (1 + (inputs + 4) * UNIT)
    return values, error + TINY * (inputs + 1)
