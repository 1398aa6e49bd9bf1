"""Measured <= proven, for every construction that takes an accuracy and every accuracy."""

import numpy as np
import pytest
from scipy.interpolate import PPoly

from qrelu import constructions
from qrelu.networks import SparseMatrix, realize_exact

ACCURACIES = [0.5, 0.1, 1e-2, 1e-3, 1e-5]


def _polynomial(x):
    return 3 * x[:, 0] ** 4 - 40 * x[:, 0] ** 2 + x[:, 0] - 7


def _hermite(x):
    return PPoly(np.array([[2.0, -3.0], [-1.5, 1.5], [0.0, 0.0], [0.0, 0.5]]), [0, 1, 2])(x[:, 0])


def _waves(x):
    return np.sin(x @ np.array([1.0, 0.5]))


def _waves_derivative(v, x):
    turns = [np.sin, np.cos, lambda t: -np.sin(t), lambda t: -np.cos(t)]
    return 0.5 ** v[1] * turns[sum(v) % 4](x @ np.array([1.0, 0.5]))


def _kinks(x):
    return np.abs(np.abs(x - 0.4) - 0.2)


# name -> (build from an accuracy, the function on points (P, inputs), lowest accuracy in the test)
TABLE = {
    "square": (constructions.square, lambda x: x[:, 0] ** 2, 0.0),
    "product": (lambda e: constructions.product(e, 1.5), lambda x: x[:, 0] * x[:, 1], 0.0),
    "unit_product": (constructions.unit_product, lambda x: x[:, 0] * x[:, 1], 0.0),
    "unit_product, midpoint": (
        lambda e: constructions.unit_product(e, form="midpoint"),
        lambda x: x[:, 0] * x[:, 1],
        0.0,
    ),
    "monomial": (lambda e: constructions.monomial(5, e, 1.2), lambda x: x[:, 0] ** 5, 0.0),
    "polynomial": (
        lambda e: constructions.polynomial([-7.0, 1.0, -40.0, 0.0, 3.0], e, 3.0),
        _polynomial,
        0.0,
    ),
    "piecewise_polynomial": (
        lambda e: constructions.piecewise_polynomial(
            [0, 1, 2], [[0, 0, -1.5, 2], [0.5, 0, 1.5, -3]], e
        ),
        _hermite,
        0.0,
    ),
    "smooth": (
        lambda e: constructions.smooth(lambda x: 1 / (2 - x), e, 0.8),
        lambda x: 1 / (2 - x[:, 0]),
        0.0,
    ),
    "cosine": (lambda e: constructions.cosine(25, e, 2), lambda x: np.cos(25 * x[:, 0]), 0.0),
    "sine": (lambda e: constructions.sine(0.7, e, 5), lambda x: np.sin(0.7 * x[:, 0]), 0.0),
    "sobolev_taylor": (
        lambda e: constructions.sobolev_taylor(
            _waves, e, dimension=2, order=3, derivative=_waves_derivative
        ),
        _waves,
        1e-3,
    ),
    "sobolev_taylor, order 1": (
        lambda e: constructions.sobolev_taylor(_waves, e, dimension=2),
        _waves,
        0.1,
    ),
    "cached_lipschitz": (
        lambda e: constructions.cached_lipschitz(_kinks, e),
        lambda x: _kinks(x[:, 0]),
        1e-3,
    ),
}


def _forward(net, xs):
    """The function in plain NumPy: nothing to compile for every architecture."""
    h = np.asarray(xs, np.float64).T
    for i, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        w = w.to_scipy() if isinstance(w, SparseMatrix) else np.asarray(w)
        h = w @ (np.maximum(h, 0) if i else h) + np.asarray(b)[:, None]
    return h.T


CASES = [(name, e) for name, (_, _, lowest) in TABLE.items() for e in ACCURACIES if e >= lowest]


@pytest.mark.parametrize("name, accuracy", CASES)
def test_measured_is_at_most_proven(name, accuracy):
    build, function, _ = TABLE[name]
    net, certificate, counts = build(accuracy)
    assert 0 <= certificate.bound <= accuracy
    low, high = (np.array(end) for end in certificate.domain)
    rng = np.random.default_rng(0)
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True)), -1).reshape(-1, low.size)
    halves = low + (high - low) * rng.integers(0, 2**8 + 1, (1500, low.size)) / 2**8
    xs = np.concatenate([low + (high - low) * rng.random((2500, low.size)), halves, corners])
    values = _forward(net, xs)[:, 0]
    # How far the evaluation in floating point is from the network is measured, not guessed.
    few = np.argsort(-np.abs(values - function(xs)))[:3]
    exact = realize_exact(net, xs[few])[:, 0].astype(np.float64)
    rounding = np.max(np.abs(exact - values[few]))
    assert rounding <= 1e-9
    measured = np.max(np.abs(exact - function(xs[few])))
    assert measured <= certificate.bound + 1e-14
    assert np.max(np.abs(values - function(xs))) <= certificate.bound + 1e-9
    assert counts == constructions.count(net)
    assert str(certificate) and certificate.to_dict()["bound"] == certificate.bound
