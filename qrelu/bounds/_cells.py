"""Proven bounds of the difference of two networks on small convex cells."""

import math
from typing import NamedTuple

import numpy as np

from ._pair import Arithmetic, Layers, product

# Half a unit in the last place of float64, in which the bounds themselves are computed.
UNIT = 2.0**-53
TINY = float(np.finfo(np.float64).tiny)
# Numbers per block of cells: two megabytes per array.
BLOCK = 2**18


class _Affine(NamedTuple):
    """An affine function per unit and cell, and how far the values may be from it."""

    center: np.ndarray  # (n, K), at the cells' centers
    slopes: np.ndarray  # (inputs, n, K)
    radius: np.ndarray  # (n, K)


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
def bound_cells(net: Layers, other: Layers, vertices: np.ndarray, delta: np.ndarray) -> CellBounds:
    """Bounds on cells given by vertices (K, m, inputs), repeated where there are fewer than m."""
    width = max(max(w.shape) for w in (*net.weights, *other.weights))
    count, _, inputs = vertices.shape
    block = max(1, BLOCK // (width * (1 + inputs)))
    parts = [
        _bound_block(net, other, vertices[i : i + block], delta[i : i + block])
        for i in range(0, count, block)
    ]
    return CellBounds(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def values_at(layers: Layers, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (outputs, points) at points, and radii that hold the exact and computed ones."""
    result, *_ = _propagate(layers, x[:, None, :], np.zeros(len(x)))
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


def _bound_block(net: Layers, other: Layers, vertices: np.ndarray, delta: np.ndarray) -> tuple:
    a, offsets, rho = _propagate(net, vertices, delta)
    b, *_ = _propagate(other, vertices, delta)
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


def _propagate(layers: Layers, vertices: np.ndarray, delta: np.ndarray):
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
    for i, (w, b) in enumerate(zip(layers.weights, layers.biases, strict=True)):
        if i > 0:
            h = _relu(h, offsets, rho, delta)
        h = _layer(layers.arithmetic, w, b, h, rho)
    return h, offsets, rho


def _layer(arithmetic: Arithmetic, w: np.ndarray, b: np.ndarray, h: _Affine, rho: np.ndarray):
    rows, columns = w.shape
    size = abs(h.center)
    for i in range(len(rho)):
        size = size + abs(h.slopes[i]) * rho[i]
    here = gamma(columns + 2, UNIT)
    there = gamma(columns + 2, arithmetic.unit)
    values = size + h.radius
    bias = abs(b)[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        spread = h.radius + here * size + there * values
        magnitude = abs(w)
        radius = product(magnitude, spread) + (here + there) * bias
        loss = (columns + 2) * (arithmetic.tiny + TINY) * (1 + len(rho))
        radius = radius + (loss + arithmetic.tiny * values.sum(0))
        # All terms are non-negative: computing the radius rounds relative to itself.
        radius = radius * (1 + (2 * columns + 40) * UNIT)
        if math.isfinite(arithmetic.largest):
            overflow = product(magnitude, values) + bias >= arithmetic.largest * (1 - 2.0**-6)
            overflow |= max(magnitude.max(), bias.max()) > arithmetic.largest
            radius = np.where(overflow, math.inf, radius)
    slopes = np.stack([product(w, g) for g in h.slopes]) if len(h.slopes) else h.slopes
    return _Affine(product(w, h.center) + b[:, None], slopes, radius)


def _relu(z: _Affine, offsets: np.ndarray, rho: np.ndarray, delta: np.ndarray) -> _Affine:
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
    guard = 2 * UNIT * size
    as_zero = np.maximum(high + z.radius + guard, 0.0) * (1 + 4 * UNIT)
    as_itself = np.maximum(z.radius, guard - low)
    on = as_itself < as_zero
    radius = np.where(on, as_itself, as_zero)
    return _Affine(z.center * on, z.slopes * on, radius)


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


def gamma(n: int, unit: float) -> float:
    """n u / (1 - n u), rounded upwards; infinity where it means nothing."""
    product = n * unit
    return math.inf if product >= 1 else product / (1 - product) * (1 + 8 * UNIT)
