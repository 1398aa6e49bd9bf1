"""Mistakes of the caller of training, each with its own sentence."""

import warnings

import equinox as eqx
import jax
import numpy as np
import pytest

from qrelu import ReLUNetwork, networks, norms, quantize, targets, training
from qrelu.quantizers import AbsMax, MinMax, Uniform
from qrelu.training._arrays import grids_of
from qrelu.training._losses import as_loss

KEY = jax.random.key(0)
X = np.linspace(0, 1, 12)
Y = np.exp(X)
NET = networks.he_normal((1, 4, 1), key=KEY)
MASK = networks.mask(NET, (1, 4, 1))
RULE = norms.GaussLegendre((0, 1), 8)
ATOMS = training.ReLUDictionary(np.ones(3), np.array([0.0, -0.2, -0.6]))
RANDOM = training.RandomReLUDictionary


@pytest.mark.parametrize(
    "data, error, match",
    [
        ((["a", "b"], [1, 2]), TypeError, "x of type <U1"),
        ((X, Y + 1j), TypeError, "y of type complex128"),
        ((np.array([1, None]), [1, 2]), TypeError, "x of type object"),
        (([[1.0], [1.0, 2.0]], [1, 2]), ValueError, "rows of one length; those of x"),
        ((lambda x: 1j * x, RULE), TypeError, "y of type complex"),
        ((np.exp, (0, 1)), TypeError, "got tuple of ufunc, tuple"),
        ([X, Y, Y], TypeError, "got list of ndarray, ndarray, ndarray"),
        ("exp", TypeError, "got str. Get a target by name"),
    ],
)
@pytest.mark.parametrize("call", [training.fit, training.fit_least_squares])
def test_data_that_are_no_real_numbers(call, data, error, match):
    with pytest.raises(error, match=match):
        call(NET, data, steps=1)


@pytest.mark.parametrize(
    "labels, match",
    [
        (np.arange(12) % 3 - 1, "from -1 on"),
        (np.arange(12) % 3 * 1.0, "astype"),
        (np.eye(3)[np.arange(12) % 3], "argmax"),
    ],
)
def test_labels_that_are_none(labels, match):
    net = networks.he_normal((1, 4, 3), key=KEY)
    with pytest.raises(ValueError, match=match):
        training.fit(net, (X, labels), loss="cross_entropy", steps=1)


@pytest.mark.parametrize("call", [training.fit, training.fit_least_squares])
@pytest.mark.parametrize(
    "mask", [3, networks.mask(NET, (1, 5, 1)), eqx.tree_at(lambda m: m.biases[0], MASK, None)]
)
def test_masks_of_another_model(call, mask):
    with pytest.raises(ValueError, match="an entry for each parameter"):
        call(NET, (X, Y), mask=mask, steps=1)


def test_numbers_of_numpy_are_numbers():
    for p in (np.float32(3), np.int64(3)):
        assert as_loss(p).p == 3


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda: training.fit(NET, (X, Y), checkpoint="."), ValueError, "a folder"),
        (
            lambda: training.fit(NET, (X, Y), steps=5, quantizer=[(0, None), (5, AbsMax(4))]),
            ValueError,
            "below the 5 of training; got 5",
        ),
        (
            lambda: training.fit_shallow(targets.get("sines2d"), 4, key=KEY),
            ValueError,
            "of one variable; sines2d has 2",
        ),
        (
            lambda: training.freeze_gradually(NET, (X, Y), Uniform(0.1, "stochastic")),
            ValueError,
            "deterministic",
        ),
        (lambda: training.ReLUDictionary(["a"], [1.0]), ValueError, "real numbers"),
        (lambda: training.ReLUDictionary([1j], [1.0]), ValueError, "real numbers"),
        (lambda: training.ReLUDictionary.product([1.0], [[1.0], [1.0, 2.0]]), ValueError, "biases"),
        (lambda: RANDOM((0, 1), biases="a"), ValueError, "interval"),
        (lambda: RANDOM((0, 1), biases=(1, 2, 3)), ValueError, "interval"),
        (lambda: RANDOM((0, 1), seed=-1), ValueError, "from 0 on"),
        (
            lambda: training.orthogonal_greedy(lambda x: 1j * x, ATOMS, 1, quadrature=RULE),
            TypeError,
            "real values",
        ),
    ],
)
def test_mistakes(call, error, match):
    with pytest.raises(error, match=match):
        call()


@pytest.mark.parametrize("calibration", [AbsMax, MinMax])
def test_one_grid_for_a_network_of_numpy_keeps_float64(calibration):
    rng = np.random.default_rng(0)
    shapes = [(4, 1), (1, 4), (4,), (1,)]
    a, b, c, d = (rng.normal(size=shape) for shape in shapes)
    net = ReLUNetwork([a, b], [c, d])
    wide = quantize(net, calibration(5, "network"))
    with jax.enable_x64(False), warnings.catch_warnings():
        warnings.simplefilter("error")
        narrow = quantize(net, calibration(5, "network"))
    for u, v in zip(jax.tree.leaves(wide), jax.tree.leaves(narrow), strict=True):
        assert u.dtype == v.dtype == np.float64
        assert np.array_equal(u, v)


def test_a_grid_that_zeroes_a_layer_is_told_by_its_name():
    first = np.array([[1e-6], [2e-6], [-1e-6]])
    net = ReLUNetwork([first, np.ones((1, 3))], [np.ones(3), np.zeros(1)])
    with pytest.warns(UserWarning, match=r"`tree.weights\[0\]` to the single value 0"):
        grids = grids_of(net, AbsMax(3, "network"))
    assert [float(g.step) for g in grids] == [1 / 3] * 4
