"""Branch and bound: the largest difference of two networks on a box of many inputs."""

import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..networks import ReLUNetwork, deepen, pad
from ._joint import Pair, joint_bounds
from ._open_boxes import OpenBoxes
from ._outward import UNIT
from ._pair import Layers

# Boxes per call: their intermediate results fit into a processor's cache. The calls of one step run
# side by side, one per processor.
BLOCK = 256
# Boxes per step, unless there are fewer or very many.
BATCH = 2048
# Boxes that are split in every input to learn which one to split, at most, with so many halves.
_LESSON, _HALVES = 64, 1024
# Steps of the ascent, and how many steps of splitting lie between two of them.
_ASCENT, _ROUNDS = 40, 16
# No input is halved below this share of the largest coordinate, hence at most 45 times, and each
# time the center is off by 2^-53 of it: boxes that are larger by this share leave no gaps.
_OVERHANG = 2.0**-43


class Search(NamedTuple):
    """What branch and bound found, for the functions in real arithmetic."""

    upper: float
    points: np.ndarray  # where large differences were seen, best first
    boxes: int


def as_pair(a: Layers, b: Layers) -> Pair:
    """Two networks brought to the same widths, without changing their functions."""
    if [w.shape for w in a.weights] != [w.shape for w in b.weights]:
        nets = [ReLUNetwork(layers.weights, layers.biases) for layers in (a, b)]
        depth = max(net.depth for net in nets)
        nets = [deepen(net, depth) if net.depth < depth else net for net in nets]
        widths = [max(n) for n in zip(*(net.widths for net in nets), strict=True)]
        nets = [pad(net, widths) for net in nets]
        a, b = (Layers(tuple(n.weights), tuple(n.biases), a.arithmetic) for n in nets)  # type: ignore
    return Pair(
        a.weights,
        a.biases,
        tuple(w - v for w, v in zip(a.weights, b.weights, strict=True)),
        tuple(w - v for w, v in zip(a.biases, b.biases, strict=True)),
        b.weights,
        b.biases,
    )


def _values(pair: Pair, x):
    """The differences at points (inputs, points), for the search only."""
    h = k = x
    for i, (w, b, v, c) in enumerate(
        zip(pair.weights, pair.biases, pair.other_weights, pair.other_biases, strict=True)
    ):
        if i > 0:
            h, k = jnp.maximum(h, 0), jnp.maximum(k, 0)
        h = jnp.matmul(w, h, precision=jax.lax.Precision.HIGHEST) + b[:, None]
        k = jnp.matmul(v, k, precision=jax.lax.Precision.HIGHEST) + c[:, None]
    return h - k


@jax.jit
def bound_batch(pair: Pair, centers, radii):
    """For boxes (boxes, inputs): bounds (boxes, 2 outputs), points, and differences there."""
    x, r = centers.T, radii.T
    out = joint_bounds(pair, x, r)
    worst = out.upper.argmax(0)[None, None]
    shape = (x.shape[0], 1, x.shape[1])
    slope = jnp.take_along_axis(out.slopes, jnp.broadcast_to(worst, shape), 1)[:, 0]
    corner = x + jnp.sign(slope) * r
    here, there = abs(out.center).max(0), abs(_values(pair, corner)).max(0)
    point = jnp.where((here >= there)[None], x, corner)
    return out.upper.T, point.T, jnp.maximum(here, there)


@jax.jit
def ascend(pair: Pair, points, lower, upper):
    """Points (points, inputs) moved uphill, each in its own box, and the differences there."""

    def size(x):
        return abs(_values(pair, x)).max(0)

    def step(carry, rate):
        x, best, value = carry
        here, pull = jax.vjp(size, x)
        slope = pull(jnp.ones_like(here))[0]
        best = jnp.where((here > value)[None], x, best)
        # Uphill by a share of the box in every input.
        x = jnp.clip(x + rate * (high - low) * jnp.sign(slope), low, high)
        return (x, best, jnp.maximum(here, value)), None

    x, low, high = points.T, lower.T, upper.T
    rates = 0.25 * 0.8 ** jnp.arange(_ASCENT, dtype=x.dtype)
    (_, best, value), _ = jax.lax.scan(step, (x, x, jnp.zeros_like(x[0])), rates)
    return best.T, value


def in_blocks(function: Callable, pair: Pair, *columns: np.ndarray) -> list[np.ndarray]:
    """The function's results for all rows, in blocks of one size, one per processor at a time."""
    count = len(columns[0])
    rows = np.arange(-(-count // BLOCK) * BLOCK) % count

    def call(start: int) -> list[np.ndarray]:
        block = rows[start : start + BLOCK]
        with jax.enable_x64(True):  # it holds for one thread
            return [np.asarray(c) for c in function(pair, *(column[block] for column in columns))]

    starts = range(0, len(rows), BLOCK)
    parts = [call(0)]  # compiled here, not once per thread
    if len(starts) > 1:
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            parts += threads.map(call, starts[1:])
    return [np.concatenate(column)[:count] for column in zip(*parts, strict=True)]


def branch_and_bound(
    a: Layers,
    b: Layers,
    box: tuple[np.ndarray, np.ndarray],
    gap: float,
    allowance: float,
    budget: int,
    seconds: float,
) -> Search:
    """An upper bound within the gap, unless the budget runs out.

    `allowance` is what the caller adds to the upper bound and takes off the lower one.
    """
    with jax.enable_x64(True):
        pair = jax.device_put(as_pair(a, b))
    lower, upper = box
    inputs = len(lower)
    largest = float(np.maximum(abs(lower), abs(upper)).max())
    start = (lower + upper) / 2
    # Rounded, the center may be off; the radius reaches both ends.
    reach = np.maximum(upper - start, start - lower) * (1 + 4 * UNIT)
    extra = _OVERHANG * largest

    def evaluate(centers, radii):
        bounds, points, values = in_blocks(bound_batch, pair, centers, radii + extra)
        return np.where(np.isnan(bounds), math.inf, bounds).max(1), points, values

    def climb(points):
        ends = (np.broadcast_to(end, points.shape) for end in box)
        best, value = in_blocks(ascend, pair, points, *ends)
        i = int(value.argmax())
        return float(value[i]), best[i]

    bounds, points, values = evaluate(start[None], reach[None])
    if not math.isfinite(bounds[0]):
        return Search(math.inf, start[None], 1)
    draws = np.random.default_rng(0).uniform(size=(BATCH, inputs))
    draws[: BATCH // 2] = np.round(draws[: BATCH // 2])  # corners
    reached, witness = max(
        climb(lower + draws * (upper - lower)),
        (float(values[0]), points[0]),
        key=lambda found: found[0],
    )
    begin = time.perf_counter()
    pool = OpenBoxes(start, reach, float(bounds[0]), extra)
    settled, boxes, rounds, lesson = 0.0, 1, 0, BLOCK

    def goal() -> float:
        # The caller's ratio is (upper + allowance) / (reached - allowance).
        wanted = (1 + gap) * (reached - allowance) - allowance
        return max(wanted, (1 + gap / 4) * reached)

    def late() -> bool:
        return time.perf_counter() - begin > seconds

    while pool.largest > goal() and budget - boxes >= 2 and not late():
        if boxes >= lesson:
            # As many boxes again are split four times before the next one.
            count = max(1, min(_LESSON, _HALVES // (2 * inputs), boxes // (4 * inputs)))
            centers, radii, rows = pool.samples(count)
            bounds, points, values = evaluate(centers, radii)
            pool.learn(rows, bounds)
            lesson = 4 * boxes
        centers, radii, parents = pool.take(BATCH // 2, budget - boxes)
        bounds, best = parents.copy(), []
        for i in range(0, len(centers), _slice()):
            if i > 0 and late():
                break
            part = slice(i, i + _slice())
            found, points, values = evaluate(centers[part], radii[part])
            bounds[part] = np.minimum(found, parents[part])
            boxes += len(found)
            order = np.argsort(-values)[: BLOCK // 4]
            best.append((values[order], points[order]))
        values, points = (np.concatenate(column) for column in zip(*best, strict=True))
        i = int(values.argmax())
        if values[i] > reached:
            reached, witness = float(values[i]), points[i]
        if rounds % _ROUNDS == 0:
            value, point = climb(points[np.argsort(-values)[: BLOCK // 4]])
            if value > reached:
                reached, witness = value, point
        rounds += 1
        small = ~(radii > extra).any(1)  # not to be split again
        settled = max(settled, float(bounds[small].max(initial=0.0)))
        pool.put(centers[~small], radii[~small], bounds[~small])
        settled = max(settled, pool.drop(goal()))
    top = max(settled, pool.largest)
    return Search(top, np.clip(witness, lower, upper)[None], boxes)


def _slice() -> int:
    """Boxes between two looks at the clock."""
    return 8 * BLOCK * (os.cpu_count() or 1)
