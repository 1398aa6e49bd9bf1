"""Measured <= proven, for every construction and every accuracy."""

import ast
import math
import pathlib

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


def _teeth(x):
    return 1 - np.abs(x[:, 0] * 32 % 2 - 1)


def _hats(x):
    nodes = np.stack(np.meshgrid(*[np.arange(5)] * 2, indexing="ij"), -1).reshape(-1, 2)
    u = 4 * x[:, None, :] - nodes
    low, high = np.minimum(u.min(axis=2), 0), np.maximum(u.max(axis=2), 0)
    return np.maximum(0, 1 + low - high)


def _bits(x):
    return np.floor(x * 4.0 ** np.arange(6) + 2.0**-20) % 2


def _power(accuracy):
    return 2 ** math.ceil(-math.log2(accuracy))


def _by_lookup(e):
    n = max(_power(e) // 8, 1)
    r, p = min(2, n), max(n // 2, 1)
    return constructions.lipschitz_by_lookup(_kinks, r, p, 1, per_layer=2, layers=4)


def _of_kinks(x):
    return _kinks(x[:, 0])


def _sine(x):
    return np.sin(x[:, 0])


def _sine_derivative(v, x):
    return [np.sin, np.cos, lambda t: -np.sin(t)][v[0]](x[:, 0])


# Where a certificate holds at some points of its domain only, these.
POINTS = {
    "bit_extraction": (np.arange(64)[:, None] >> np.arange(6)[::-1] & 1) @ 4.0 ** -np.arange(6),
}

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
    "sawtooth": (lambda e: constructions.sawtooth(5), _teeth, 0.1),
    "partition_of_unity": (lambda e: constructions.partition_of_unity(2, 4), _hats, 0.1),
    "spline": (
        lambda e: constructions.spline(np.linspace(0, 1, _power(e) + 1), np.sin, curvature=1),
        _sine,
        1e-3,
    ),
    "cached_lipschitz": (lambda e: constructions.cached_lipschitz(_kinks, e), _of_kinks, 1e-3),
    "two_value_square": (constructions.two_value_square, lambda x: x[:, 0] ** 2, 0.0),
    "two_value_product": (constructions.two_value_product, lambda x: x[:, 0] * x[:, 1], 0.0),
    "weight": (lambda e: constructions.weight(0.3, e), lambda x: 0.3 * x[:, 0], 0.0),
    "weight, 3 values": (
        lambda e: constructions.weight(-1 / 3, e, values=3, form="branch"),
        lambda x: -x[:, 0] / 3,
        0.0,
    ),
    "weight, linear": (
        lambda e: constructions.weight(0.7, e, values=4, linear=True),
        lambda x: 0.7 * x[:, 0],
        0.0,
    ),
    "two_value_sobolev": (
        lambda e: constructions.two_value_sobolev(_sine, e, order=3, derivative=_sine_derivative),
        _sine,
        1e-3,
    ),
    "few_value_sobolev": (
        lambda e: constructions.few_value_sobolev(_waves, e, dimension=2, values=3),
        _waves,
        0.5,
    ),
    "few_value_sobolev, linear": (
        lambda e: constructions.few_value_sobolev(_sine, e, values=4, linear=True),
        _sine,
        0.1,
    ),
    "one_bit_lipschitz": (lambda e: constructions.one_bit_lipschitz(_kinks, e), _of_kinks, 1e-3),
    "two_value_cached_lipschitz": (
        lambda e: constructions.two_value_cached_lipschitz(_kinks, e),
        _of_kinks,
        1e-3,
    ),
    "lipschitz_by_slopes": (
        lambda e: constructions.lipschitz_by_slopes(_kinks, e),
        _of_kinks,
        1e-5,
    ),
    "lipschitz_by_bits": (
        lambda e: constructions.lipschitz_by_bits(_kinks, max(_power(e) // 4, 1), 4),
        _of_kinks,
        1e-3,
    ),
    "lipschitz_by_lookup": (_by_lookup, _of_kinks, 1e-3),
    "Design.build": (
        lambda e: constructions.best_design(64, 16, 8, 12).build(_kinks, 8, 12),
        _of_kinks,
        0.1,
    ),
    "bit_extraction": (lambda e: constructions.bit_extraction(6, 2), _bits, 0.1),
    "lift": (
        lambda e: constructions.lift(constructions.cached_lipschitz(_kinks, e)),
        _of_kinks,
        1e-2,
    ),
    "trade_depth_for_precision": (
        lambda e: constructions.trade_depth_for_precision(
            constructions.cached_lipschitz(_kinks, cells=_power(e), steps=2)
        ),
        _of_kinks,
        1e-2,
    ),
    "trade_depth_for_precision, signed": (
        lambda e: constructions.trade_depth_for_precision(
            constructions.product(e, 1.5), signed=True
        ),
        lambda x: x[:, 0] * x[:, 1],
        1e-2,
    ),
}


def test_every_construction_is_in_the_table():
    """The public functions that say they return a `Construction`, from their source."""
    folder = pathlib.Path(constructions.__file__).parent
    trees = [ast.parse(path.read_text()) for path in sorted(folder.glob("_*.py"))]
    functions = [node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]
    names = {
        node.name
        for node in functions
        if isinstance(node.returns, ast.Name) and node.returns.id == "Construction"
    }
    public = {name for name in names & set(dir(constructions)) if not name.startswith("_")}
    assert len(public) >= 25
    assert public - {name.split(",")[0] for name in TABLE} == set()


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
    xs = POINTS[name][:, None] if name in POINTS else xs
    truth = np.reshape(function(xs), (len(xs), -1))
    values = _forward(net, xs)
    # How far the evaluation in floating point is from the network is measured, not guessed.
    few = np.argsort(-np.abs(values - truth).max(axis=1))[:3]
    exact = realize_exact(net, xs[few]).astype(np.float64)
    rounding = np.max(np.abs(exact - values[few]))
    assert rounding <= 1e-9
    assert np.max(np.abs(exact - truth[few])) <= certificate.bound + 1e-14
    assert np.max(np.abs(values - truth)) <= certificate.bound + 1e-9
    assert counts == constructions.count(net)
    assert constructions.Certificate.from_dict(certificate.to_dict()) == certificate
