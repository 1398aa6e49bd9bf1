"""The cached network by weights +-1/2: the same function as with real weights, counts, refusals."""

import math
from fractions import Fraction

import numpy as np
import pytest

from qrelu import constructions, networks
from qrelu.constructions import cached_lipschitz, two_value_cached_lipschitz


def _zigzag(seed, pieces):
    steps = np.random.default_rng(seed).choice([-1.0, 1.0], pieces) / pieces
    heights = np.concatenate([[0.0], np.cumsum(steps)])
    return lambda x: np.interp(x, np.arange(pieces + 1) / pieces, heights)


FUNCTIONS = [
    np.sin,
    lambda x: -0.7 * x,
    lambda x: 0 * x + 0.3,
    lambda x: np.abs(x - 1 / 3) - 0.9,
    _zigzag(0, 64),
    _zigzag(1, 1000),
]
SIZES = [(1, 1, 1), (1, 4, 1), (4, 1, 1), (4, 2, 1), (8, 4, 2), (16, 8, 4), (2, 4, 8), (32, 8, 1)]


def _path(f, steps):
    """k_i: of the parity of k_0 + i, the largest integer that is at most N f(i/N) at first."""
    values = f(np.arange(steps + 1) / steps) * steps
    path = [math.floor(values[0])]
    for v in values[1:]:
        path.append(path[-1] + (1 if v >= path[-1] + 1 else -1))
    return path


def _digits(numbers):
    return sum(abs(int(n)).bit_count() for n in numbers)


def _numbers(f, t, m):
    """B, H and S of the stated count, from the path by hand."""
    path = _path(f, t * m)
    rises = [path[(i + 1) * m] - path[i * m] for i in range(t)]
    patterns = set()
    for i, rise in enumerate(rises):
        heights = tuple(m * (path[i * m + r] - path[i * m]) - r * rise for r in range(1, m))
        if any(heights):
            patterns.add((i % 2, heights))
    heights = [h for _, pattern in patterns for h in pattern]
    return len(patterns), sum(h != 0 for h in heights), _digits(rises) + _digits(heights)


@pytest.mark.parametrize("t, m, k", SIZES)
def test_it_is_the_function_of_the_path(t, m, k):
    for f in FUNCTIONS:
        made = two_value_cached_lipschitz(lambda x, f=f: k * f(x), cells=t, steps=m, lipschitz=k)
        assert made.certificate.bound == k / (t * m)
        assert constructions.alphabet(made).tolist() == [-0.5, 0.5]
        nodes = np.random.default_rng(0).permutation(t * m + 1)[:40]
        points = [Fraction(int(i), t * m) for i in nodes]
        points += [(x + Fraction(1, 2 * t * m)) for x in points if x < 1][:10]
        points += [Fraction(i, 1009) for i in range(0, 1009, 91)]
        values = networks.realize_exact(made.network, [[x] for x in points])[:, 0]
        path = _path(f, t * m)
        for x, value in zip(points, values, strict=True):
            i = min(int(x * t * m), t * m - 1)
            a, b = path[i] + 1, path[i + 1] + 1
            assert value == (a + (b - a) * (x * t * m - i)) * Fraction(k, t * m)
            error = abs(float(value) - k * f(float(x)))
            assert error <= made.certificate.bound * (1 + 1e-12)


def test_it_is_the_function_of_the_real_network():
    for f in FUNCTIONS[2:]:
        real = cached_lipschitz(f, cells=8, steps=4)
        made = two_value_cached_lipschitz(f, cells=8, steps=4)
        points = [[Fraction(i, 320)] for i in range(0, 321, 7)]
        first, second = (networks.realize_exact(c.network, points).tolist() for c in (real, made))
        assert first == second
        assert real.counts.values > 10


@pytest.mark.parametrize("t, m, k", [*SIZES, (64, 4, 1), (128, 1, 1), (256, 8, 1), (64, 32, 1)])
def test_counts_are_within_the_stated_forms(t, m, k):
    p, q = t.bit_length() - 1, m.bit_length() - 1
    for f in FUNCTIONS:
        made = two_value_cached_lipschitz(lambda x, f=f: k * f(x), cells=t, steps=m, lipschitz=k)
        b, h, s = _numbers(f, t, m)
        main = 16 * (q + 1) * b + 26 * h + 2 * s
        rest = 2 * m**2 + 10 * m + 70 * (q + 1) ** 2 + 25 * p + 60
        assert 70 * t + 24 * h + (16 * q + 16) * b < made.counts.connectivity
        assert made.counts.connectivity <= 76 * t + main + rest
        if k == 1:
            assert made.counts.depth <= 3 * (p + q) + 12
        assert constructions.count(made) == made.counts


def test_fewer_weights_than_one_per_step_and_bit():
    """At 2^-14 less than one_bit_lipschitz; and the fewest of the sizes nearby, about."""
    f = _zigzag(3, 2**15)
    made = two_value_cached_lipschitz(f, 2.0**-14)
    assert made.certificate.bound == 2.0**-14
    assert made.counts.connectivity < 0.75 * 23 * 2**14
    x = np.random.default_rng(0).integers(0, 2**15 + 1, 60) / 2**15
    h = x[None]
    for i, (w, b) in enumerate(zip(made.network.weights, made.network.biases, strict=True)):
        w = w.to_scipy() if isinstance(w, networks.SparseMatrix) else w
        h = w @ (np.maximum(h, 0) if i else h) + b[:, None]
    assert np.abs(h[0] - f(x)).max() <= 2.0**-14


@pytest.mark.parametrize("dtype, t, m", [(np.float32, 128, 4), (np.float32, 16, 16)])
def test_types_hold_what_the_docstring_says(dtype, t, m):
    f = _zigzag(4, 4 * t * m)
    made = two_value_cached_lipschitz(f, cells=t, steps=m, dtype=dtype)
    x = (np.arange(0, 2 * t * m + 1, 5) / (2 * t * m)).astype(dtype)[:, None]
    h = x.T
    for i, (w, b) in enumerate(zip(made.network.weights, made.network.biases, strict=True)):
        w = w.to_scipy() if isinstance(w, networks.SparseMatrix) else np.asarray(w)
        h = w @ (np.maximum(h, 0) if i else h) + np.asarray(b)[:, None]
        assert h.dtype == dtype
    some = np.arange(0, len(x), 16)
    exact = networks.realize_exact(made.network, x[some])[:, 0]
    assert h[0][some].tolist() == exact.astype(float).tolist()


@pytest.mark.parametrize("accuracy", [0.9, 0.3, 0.1, 1 / 64, 0.003])
def test_accuracy_takes_the_fewest_steps(accuracy):
    for options in ({}, {"cells": 16}, {"steps": 2}):
        made = two_value_cached_lipschitz(np.sin, accuracy, **options)
        assert made.certificate.bound <= accuracy
        assert made.certificate.bound * 2 > accuracy or made.certificate.bound >= 1 / 16


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda c: c(np.sin), "an accuracy or both sizes"),
        (lambda c: c(np.sin, cells=4), "an accuracy or both sizes"),
        (lambda c: c(np.sin, 0.0), "strictly between 0 and 1"),
        (
            lambda c: c(np.sin, cells=3, steps=4),
            r"cells=...\)` must be a power of two; got 3. 4 is",
        ),
        (lambda c: c(np.sin, cells=4, steps=64), "from 1 to 32; got 64"),
        (lambda c: c(np.sin, 0.01, cells=4, steps=4), "product of at least 128"),
        (lambda c: c(np.sin, 1e-9), "at most 2.20 steps"),
        (lambda c: c(np.sin, 0.001, cells=2), "32 of them in a cell"),
        (lambda c: c(np.sin, 0.1, lipschitz=3), "power of two of at least 1; got 3"),
        (lambda c: c(lambda x: 2 * x, 0.1), "slopes reach 2 .*larger `lipschitz`"),
        (lambda c: c(lambda x: x + 1.5, 0.1), r"\|f\(0\)\| of at most"),
        (lambda c: c(lambda x: x / 0, 0.1), "finite numbers; got NaN or infinity at 0"),
        (lambda c: c(np.sin, 1e-4, dtype=np.float32), "at most 24 binary digits in float32"),
    ],
)
def test_bad_input(make, text):
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=text):
        make(two_value_cached_lipschitz)
