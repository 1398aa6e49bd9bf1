"""The three lower bounds of the minimax error, held against all networks of small classes."""

import itertools
import math

import numpy as np
import pytest

from qrelu import bounds, quantizers


@pytest.mark.parametrize(
    "width, depth, proper, over",
    [(1024, 2, 7, 36), (256, 2, 6, 33), (64, 8, 2, 144), (16, 16, 1, 290), (32, 32, 1, 676)],
)
def test_known_switches(width, depth, proper, over):
    assert bounds.regime_switches(width, depth) == (proper, over)
    names = [bounds.regime(width, depth, b).name for b in (proper - 1, proper, over - 1, over)]
    assert names[1:] == ["proper", "proper", "over"]
    assert names[0] == "under" or proper == 1


def _best_errors(width, depth, grid, functions, points):
    """For each function the smallest error on the points over all networks with these weights."""
    shapes = [(width, 1)] + [(width, width)] * (depth - 2) + [(1, width)] if depth > 1 else [(1, 1)]
    counts = [n * m + n for n, m in shapes]
    best = np.full(len(functions), np.inf)
    for parameters in itertools.product(grid, repeat=sum(counts)):
        h, start = points[None], 0
        for layer, (n, m) in enumerate(shapes):
            w = np.array(parameters[start : start + n * m]).reshape(n, m)
            b = np.array(parameters[start + n * m : start + n * m + n])
            start += n * m + n
            h = w @ (np.maximum(h, 0) if layer else h) + b[:, None]
        best = np.minimum(best, abs(functions - h).max(1))
    return best


@pytest.mark.parametrize(
    "width, depth, a, b", [(1, 1, 0, 0), (1, 1, 0, 2), (1, 2, 0, 0), (1, 2, 0, 1), (1, 3, 0, 0)]
)
def test_no_network_of_a_small_class_does_better(width, depth, a, b):
    """All networks, all zigzags: the bound must not exceed the worst best error."""
    known = bounds.regime(width, depth, b, a)
    grid = quantizers.paper_grid(a, b)
    values = np.arange(grid.range[0], grid.range[1] + grid.step / 2, grid.step)
    assert len(values) == 2**known.bits_per_weight - 1
    networks = len(values) ** known.parameters
    assert known.memory_bits >= math.floor(math.log2(networks))
    pieces = min(known.memory_bits + 1, 8)
    points = np.arange(pieces + 1) / pieces
    signs = np.array(list(itertools.product([-1, 1], repeat=pieces)))
    zigzags = np.concatenate([np.zeros((len(signs), 1)), np.cumsum(signs, 1) / pieces], 1)
    constant = np.full((1, pieces + 1), 2.0 ** -(depth * b + 1))
    errors = _best_errors(width, depth, values, np.concatenate([zigzags, constant]), points)
    assert errors[-1] >= known.precision
    assert errors.max() >= known.lower


def test_the_vc_bound_covers_what_small_networks_shatter():
    """Affine functions shatter 2 points; n hinges shatter n + 2, one sign change per interval."""
    assert bounds.vc_dimension(1, 1) >= 2
    for n in (1, 2, 5, 50):
        assert bounds.vc_dimension(n, 2) >= n + 2
    # More width and more depth contain less.
    sizes = [[bounds.vc_dimension(w, d) for d in (1, 2, 4, 8)] for w in (1, 3, 10, 40)]
    assert (np.diff(sizes, axis=0)[:, 1:] > 0).all() and (np.diff(sizes, axis=1) > 0).all()


def test_the_vc_inequality_fails_beyond_the_bound():
    for width, depth in ((1, 1), (3, 2), (10, 5), (64, 20)):
        v = bounds.vc_dimension(width, depth)
        counts = [2] if depth == 1 else [2 * width] + [width * (width + 1)] * (depth - 2)
        counts += [] if depth == 1 else [width + 1]
        upto = np.cumsum(counts)
        units = [width] * (depth - 1) + [1]
        for factor in (1.0, 1.5, 100.0):
            u = (v + 1) * factor
            allowed = sum(
                1 + n * math.log2(2 * math.e * u * k * (i + 1) / n)
                for i, (n, k) in enumerate(zip(upto.tolist(), units, strict=True))
            )
            assert u > allowed


def test_the_bounds_and_their_order():
    r = bounds.regime(64, 8, 4)
    parameters = 6 * 64 * 65 + 3 * 64 + 1
    assert r.parameters == parameters and r.bits_per_weight == 7
    assert r.memory_bits == math.floor(parameters * math.log2(2**7 - 1))
    assert r.precision == 2.0**-33
    assert r.memory <= 1 / (r.memory_bits + 1) and r.vc <= 1 / (2 * r.vc_dimension)
    assert r.lower == max(r.precision, r.memory, r.vc) == r.memory and r.name == "proper"
    shorter = bounds.regime(64, 8, 4, index="integer bits")
    assert shorter.bits_per_weight == 6 and shorter.memory > r.memory
    assert bounds.regime(64, 8, 4, 2, index="integer bits")[:-2] == r[:-2]
    deep = bounds.regime(8, 4000, 2000)
    assert deep.precision == 0.0 and deep.lower > 0


def test_bounds_fall_with_the_size_of_the_class():
    for a, b in ((0, 1), (1, 1), (1, 20)):
        table = [[bounds.regime(w, d, b, a).lower for d in (1, 2, 4, 9)] for w in (1, 2, 7, 30)]
        assert (np.diff(table, axis=0) <= 0).all() and (np.diff(table, axis=1) <= 0).all()


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: bounds.regime(0, 2, 1), "positive integer; got 0"),
        (lambda: bounds.regime(2, 2, -1), "fraction_bits=....*non-negative integer"),
        (lambda: bounds.regime(2, 2, 1, 0, index="integer bits"), "at least 1"),
        (lambda: bounds.regime_switches(2, 0), "regime_switches.*positive integer"),
        (lambda: bounds.vc_dimension(0, 1), "vc_dimension.*positive integer"),
    ],
)
def test_bad_arguments(make, text):
    with pytest.raises(ValueError, match=text):
        make()
