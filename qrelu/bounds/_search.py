"""Branch and bound: the largest difference of two networks on a box of many inputs."""

import math
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..networks import ReLUNetwork, deepen, pad
from ._cells import UNIT
from ._joint import Pair, joint_bounds
from ._pair import Layers

# Boxes per step. Smaller batches leave a processor idle, larger ones fill its caches.
BATCH = 2048
# Steps of the ascent, and how many rounds of splitting lie between two of them.
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
    """For boxes (boxes, inputs): bounds (2 outputs, boxes), points, differences there, scores."""
    x, r = centers.T, radii.T
    out = joint_bounds(pair, x, r)
    worst = out.upper.argmax(0)[None, None]
    shape = (x.shape[0], 1, x.shape[1])
    slope = jnp.take_along_axis(out.slopes, jnp.broadcast_to(worst, shape), 1)[:, 0]
    corner = x + jnp.sign(slope) * r
    here, there = abs(out.center).max(0), abs(_values(pair, corner)).max(0)
    point = jnp.where((here >= there)[None], x, corner)
    return out.upper, point.T, jnp.maximum(here, there), out.score.T


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
    pair = as_pair(a, b)
    lower, upper = box
    largest = float(np.maximum(abs(lower), abs(upper)).max())
    start = (lower + upper) / 2
    # Rounded, the center may be off; the radius reaches both ends.
    reach = np.maximum(upper - start, start - lower) * (1 + 4 * UNIT)
    extra = _OVERHANG * largest

    def evaluate(centers, radii):
        count = len(centers)
        missing = (-count) % BATCH
        centers = np.concatenate([centers, np.repeat(centers[:1], missing, 0)])
        radii = np.concatenate([radii, np.repeat(radii[:1], missing, 0)])
        bounds, points, values, scores = [], [], [], []
        for i in range(0, len(centers), BATCH):
            rows = slice(i, i + BATCH)
            part = bound_batch(pair, centers[rows], radii[rows] + extra)
            upper, *others = (np.asarray(column) for column in part)
            bounds.append(np.where(np.isnan(upper), math.inf, upper).max(0))
            for column, more in zip((points, values, scores), others, strict=True):
                column.append(more)
        return (np.concatenate(column)[:count] for column in (bounds, scores, values, points))

    def climb(points):
        rows = np.resize(points, (BATCH, points.shape[1]))
        ends = (np.broadcast_to(end, rows.shape) for end in box)
        best, value = (np.asarray(c) for c in ascend(pair, rows, *ends))
        i = int(value.argmax())
        return float(value[i]), best[i]

    with jax.enable_x64(True):
        bounds, scores, values, points = evaluate(start[None], reach[None])
        if not math.isfinite(bounds[0]):
            return Search(math.inf, start[None], 1)
        draws = np.random.default_rng(0).uniform(size=(BATCH, len(lower)))
        draws[: BATCH // 2] = np.round(draws[: BATCH // 2])  # corners
        reached, witness = climb(lower + draws * (upper - lower))
        if values[0] > reached:
            reached, witness = float(values[0]), points[0]
        begin = time.perf_counter()
        pool = _Pool(start[None], reach[None], scores, bounds, extra)
        settled, boxes, rounds = 0.0, 1, 0

        def goal() -> float:
            # The caller's ratio is (upper + allowance) / (reached - allowance).
            wanted = (1 + gap) * (reached - allowance) - allowance
            return max(wanted, (1 + gap / 4) * reached)

        while len(pool.bounds) and pool.bounds.max() > goal():
            room = min(BATCH, budget - boxes)
            if room < 2 or time.perf_counter() - begin > seconds:
                break
            centers, radii, parents = pool.take(room)
            bounds, scores, values, points = evaluate(centers, radii)
            bounds = np.minimum(bounds, parents)
            boxes, rounds = boxes + len(bounds), rounds + 1
            i = int(values.argmax())
            if values[i] > reached:
                reached, witness = float(values[i]), points[i]
            if rounds % _ROUNDS == 1:
                value, point = climb(points[np.argsort(-values)[: BATCH // 4]])
                if value > reached:
                    reached, witness = value, point
            keep = (bounds > goal()) & (radii > extra).any(1)
            settled = max(settled, float(bounds[~keep].max(initial=0.0)))
            pool.put(centers[keep], radii[keep], scores[keep], bounds[keep])
    top = max(settled, float(pool.bounds.max(initial=0.0)))
    return Search(top, np.clip(witness, lower, upper)[None], boxes)


class _Pool:
    """Boxes that are not settled."""

    def __init__(self, centers, radii, scores, bounds, least):
        self.least = least
        self.centers, self.radii, self.scores, self.bounds = centers, radii, scores, bounds

    def take(self, room: int):
        """The boxes with the largest bounds, halved until there are nearly `room`."""
        count = min(len(self.bounds), room // 2)
        order = np.argpartition(-self.bounds, count - 1)
        best, rest = order[:count], order[count:]
        centers, radii = self.centers[best], self.radii[best]
        scores, bounds = self.scores[best], self.bounds[best]
        self.centers, self.radii = self.centers[rest], self.radii[rest]
        self.scores, self.bounds = self.scores[rest], self.bounds[rest]
        while 2 * len(centers) <= room:
            rows = np.arange(len(centers))
            # Where no slack is left to remove, the widest input is halved.
            worth = np.where(scores.max(1, keepdims=True) > 0, scores, radii)
            axis = np.where(radii > self.least, worth, -1.0).argmax(1)
            radii, scores = radii.copy(), scores.copy()
            radii[rows, axis] /= 2
            scores[rows, axis] /= 2
            left, right = centers.copy(), centers.copy()
            left[rows, axis] -= radii[rows, axis]
            right[rows, axis] += radii[rows, axis]
            centers, radii = np.concatenate([left, right]), np.concatenate([radii, radii])
            scores, bounds = np.concatenate([scores, scores]), np.concatenate([bounds, bounds])
        return centers, radii, bounds

    def put(self, centers, radii, scores, bounds):
        """Boxes that are still open."""
        self.centers = np.concatenate([self.centers, centers])
        self.radii = np.concatenate([self.radii, radii])
        self.scores = np.concatenate([self.scores, scores])
        self.bounds = np.concatenate([self.bounds, bounds])
