"""Cutting a rectangle into the polygons on which two networks are both affine."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ._outward import UNIT
from ._pair import Layers, product

# Cells that are cut together, at most, and numbers in one of their arrays: a processor's cache.
_TOGETHER, _NUMBERS = 4096, 2**18
# A value is zero below this many rounding units of the sum of its absolute terms.
_SNAP = 64 * UNIT


class _Polygons(NamedTuple):
    vertices: np.ndarray  # (K, m, 2), in order, the last one repeated
    count: np.ndarray  # (K,), how many of the m
    cuts: np.ndarray  # (K,), how many cuts made this cell


# The cells are shadows of exact convex polygons that tile the rectangle. A cut chooses a contiguous
# run of the vertices and, on the two edges at its ends, parameters t in [0, 1]; the chord between
# the two points splits an exact convex polygon into two, whatever the choices. The vertices here
# differ from those of the exact polygon by at most delta, and the new ones by at most delta plus
# the rounding of v + t (w - v), which is at most 8 units of the largest coordinate. After n cuts
# the exact cell lies in conv(vertices) + [-delta, delta]^2 with delta = 8 n units. Where signs
# do not form one run, rounding has the say and the cell is not cut; what is proven on the cells
# holds wherever they are cut.
def cut_rectangle(
    net: Layers,
    other: Layers,
    lower: np.ndarray,
    upper: np.ndarray,
    budget: int,
    late: Callable[[], bool],
):
    """Cells (K, m, inputs), the distances delta (K,) of the proof, and whether all was cut.

    There are `budget` cells at most; nothing is cut any more when it is `late`.
    """
    axes = np.flatnonzero(upper > lower)
    (a, b), (c, d) = np.stack([lower[axes], upper[axes]], 1)
    start = _Polygons(
        np.array([[[a, c], [b, c], [b, d], [a, d]]]), np.array([4]), np.zeros(1, dtype=int)
    )
    # Layer by layer, both networks.
    steps = [
        (_reduce(network, lower, axes), layer)
        for layer in range(max(len(net.weights), len(other.weights)) - 1)
        for network in (net, other)
        if layer < len(network.weights) - 1
    ]
    stack, leaves = [(0, start)], []
    cells, complete = 1, True
    while stack:
        step, polygons = stack.pop()
        room = budget - cells
        if step == len(steps) or room <= 0 or late():
            complete &= step == len(steps)
            leaves.append(polygons)
            continue
        before = len(polygons.count)
        polygons, whole = _cut(polygons, *_lines(steps[step][0], polygons, steps[step][1]), room)
        complete &= whole
        cells += len(polygons.count) - before
        units = 1 if step + 1 == len(steps) else len(steps[step + 1][0].biases[steps[step + 1][1]])
        together = min(_TOGETHER, max(1, _NUMBERS // units))
        for i in range(0, len(polygons.count), together):
            part = _Polygons(*(column[i : i + together] for column in polygons))
            most = int(part.count.max())
            stack.append((step + 1, part._replace(vertices=part.vertices[:, :most])))

    most = max(part.vertices.shape[1] for part in leaves)
    flat = np.concatenate([_widen(part.vertices, most) for part in leaves])
    vertices = np.broadcast_to(lower, (*flat.shape[:2], len(lower))).copy()
    vertices[:, :, axes] = flat
    cuts = np.concatenate([part.cuts for part in leaves])
    largest = max(abs(lower[axes]).max(), abs(upper[axes]).max())
    return vertices, (8 * UNIT * largest) * cuts * (1 + 4 * UNIT), complete


def _reduce(network: Layers, lower: np.ndarray, axes: np.ndarray) -> Layers:
    """The network of the two free inputs; its rounding does not matter."""
    first, *others = network.weights
    fixed = lower.copy()
    fixed[axes] = 0.0
    biases = (network.biases[0] + first @ fixed, *network.biases[1:])
    return Layers((first[:, axes], *others), biases, network.arithmetic)


def _lines(network: Layers, polygons: _Polygons, layer: int):
    """Pre-activations c + g . (x - center) on every cell, and the centers."""
    center = polygons.vertices.mean(1)
    count = len(center)
    c = product(network.weights[0], center.T) + network.biases[0][:, None]
    g = np.broadcast_to(network.weights[0].T[:, :, None], (2, len(c), count))
    # A cell is on one side of every line of the layers before: its center tells which.
    for w, b in zip(network.weights[1 : layer + 1], network.biases[1 : layer + 1], strict=True):
        on = c > 0
        g = np.stack([product(w, part * on) for part in g])
        c = product(w, c * on) + b[:, None]
    return c, g, center


def _cut(
    polygons: _Polygons, c: np.ndarray, g: np.ndarray, center: np.ndarray, room: int
) -> tuple[_Polygons, bool]:
    """Cut every cell by the line of every unit, with `room` more cells; whether it was enough."""
    vertices, count, cuts = polygons
    whole = True
    reach = abs(vertices - center[:, None]).max(1).T
    size = (
        abs(c)
        + abs(g[0]) * (reach[0] + abs(center[:, 0]))
        + abs(g[1]) * (reach[1] + abs(center[:, 1]))
    )
    snap = _SNAP * size
    offset = vertices - center[:, None]
    low, high = np.full_like(c, np.inf), np.full_like(c, -np.inf)
    for k in range(vertices.shape[1]):
        s = c + g[0] * offset[:, k, 0] + g[1] * offset[:, k, 1]
        np.minimum(low, s, out=low)
        np.maximum(high, s, out=high)
    crossed = (low < -snap) & (high > snap)
    parent = np.arange(len(count))
    for unit in np.flatnonzero(crossed.any(1)):
        at = np.flatnonzero(crossed[unit, parent])
        mother = parent[at]
        x = vertices[at] - center[mother, None]
        s = c[unit, mother, None] + (x * g[:, unit, mother].T[:, None]).sum(-1)
        here, made = _split(vertices[at], count[at], s, snap[unit, mother])
        if len(here) == 0:
            continue
        left = room + len(polygons.count) - len(count)
        if len(here) > left:
            here, made, whole = here[:left], [part[:left] for part in made], False
            if left == 0:
                break
        at, m = at[here], made[0].shape[1]
        vertices = _widen(vertices, m)
        m = vertices.shape[1]
        vertices[at], count[at] = _widen(made[0], m), made[1]
        cuts = cuts.copy() if cuts is polygons.cuts else cuts
        cuts[at] += 1
        vertices = np.concatenate([vertices, _widen(made[2], m)])
        count = np.concatenate([count, made[3]])
        cuts = np.concatenate([cuts, cuts[at]])
        parent = np.concatenate([parent, parent[at]])
        most = int(count.max())
        vertices = vertices[:, :most]
    return _Polygons(vertices, count, cuts), whole


def _split(vertices: np.ndarray, count: np.ndarray, s: np.ndarray, snap: np.ndarray):
    """Which polygons the line crosses, and (vertices, count) of both sides of those."""
    m = vertices.shape[1]
    k = np.arange(m)
    real = k < count[:, None]
    s = np.where(abs(s) <= snap[:, None], 0.0, s)
    positive, after = s >= 0, (k + 1) % count[:, None]
    positive = positive & real
    following = np.take_along_axis(positive, after, 1)
    starts = following & ~positive & real  # the next vertex begins the positive run
    here = np.flatnonzero(starts.sum(1) == 1)
    here = here[(s.min(1) < 0)[here] & (s.max(1) > 0)[here]]
    vertices, count, s, positive = vertices[here], count[here], s[here], positive[here]
    n = count[:, None]
    first = (starts[here].argmax(1)[:, None] + 1) % n
    run = positive.sum(1)[:, None]
    rows = np.arange(len(here))[:, None]

    def crossing(i, j):
        i, j = i % n, j % n
        u, v = s[rows, i], s[rows, j]
        t = np.clip(u / (u - v), 0.0, 1.0)[..., None]
        p, q = vertices[rows, i], vertices[rows, j]
        return np.clip(p + t * (q - p), np.minimum(p, q), np.maximum(p, q))

    leave, enter = crossing(first + run - 1, first + run), crossing(first - 1, first)
    k = np.arange(m + 2)

    def side(begin, length, one, two):
        kept = vertices[rows, (begin + np.minimum(k, length - 1)) % n]
        kept = np.where((k == length)[..., None], one, kept)
        kept = np.where((k > length)[..., None], two, kept)
        number = length[:, 0] + 2
        most = int(number.max(initial=1))
        return kept[:, :most], number

    left, left_count = side(first, run, leave, enter)
    right, right_count = side(first + run, n - run, enter, leave)
    m = max(left.shape[1], right.shape[1])
    return here, (_widen(left, m), left_count, _widen(right, m), right_count)


def _widen(vertices: np.ndarray, m: int) -> np.ndarray:
    """At least m vertices, the last one repeated."""
    missing = m - vertices.shape[1]
    if missing <= 0:
        return vertices
    return np.concatenate([vertices, np.repeat(vertices[:, -1:], missing, 1)], 1)
