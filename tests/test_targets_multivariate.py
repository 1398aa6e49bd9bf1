"""Functions of several variables against mpmath, SciPy's cubature and quasi-Monte-Carlo."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from scipy import integrate
from scipy.stats import qmc

from qrelu import families, norms, targets

# Written anew for mpmath: the value at a point, a list of coordinates.
JUDGES = {
    "sines": lambda x: mp.fprod(mp.sinpi(t) for t in x),
    "gaussian": lambda x: mp.exp(-4 * mp.fsum((t - 0.5) ** 2 for t in x)),
    "gabor": lambda x: (
        mp.exp(-8 * mp.fsum((t - 0.5) ** 2 for t in x))
        * mp.cospi(4 * mp.fsum(t - 0.5 for t in x) / mp.sqrt(len(x)))
    ),
    "hat": lambda x: mp.fprod(1 - abs(2 * t - 1) for t in x),
}
NAMES = [f"{name}{d}d" for d in (2, 3, 4, 10) for name in JUDGES]


def test_every_name_is_built_in():
    assert targets.names(2) == (*NAMES[:4], "cartoon")
    assert [n for d in (3, 4, 10) for n in targets.names(d)] == NAMES[4:]
    assert targets.names(None) == (*targets.names(), *NAMES[:4], "cartoon", *NAMES[4:])
    assert targets.names(5) == ()
    lines = targets.describe(None)
    assert [line.name for line in lines] == list(targets.names(None))
    assert {line.dimension for line in lines} == {1, 2, 3, 4, 10}


@pytest.mark.parametrize("name", NAMES)
def test_values(name):
    target = targets.get(name)
    d = target.dimension
    assert name.endswith(f"{d}d") and [len(end) for end in target.domain] == [d, d]
    points = np.random.default_rng(0).random((3, 2, d))
    values = target(points)
    assert values.shape == (3, 2) and values.dtype == np.float64
    with mp.workdps(30):
        for x, value in zip(points.reshape(-1, d), values.ravel(), strict=True):
            truth = JUDGES[name.rstrip("d0123456789")]([mp.mpf(float(t)) for t in x])
            assert abs(value - truth) < 1e-14
    in_jax = jax.jit(target)(jnp.asarray(points))
    np.testing.assert_allclose(in_jax, values, atol=1e-14)
    slope = jax.grad(lambda t: jnp.sum(target(t)))(jnp.asarray(points))
    assert slope.shape == points.shape and bool(jnp.any(slope != 0))


@pytest.mark.parametrize("name", NAMES)
def test_norms_in_closed_form(name):
    target = targets.get(name)
    assert target.l2 is not None
    if target.dimension == 2:

        def square(y, x):
            return float(target(np.array([x, y]))) ** 2

        halves = [(a, a + 0.5, b, b + 0.5) for a in (0, 0.5) for b in (0, 0.5)]
        whole = sum(integrate.dblquad(square, *box, epsabs=1e-9)[0] for box in halves)
        assert target.l2 == pytest.approx(whole**0.5, rel=1e-7)
    else:
        # Sixteen independent scramblings: their mean is within five standard errors of the truth.
        means = []
        for seed in range(16):
            x = qmc.Sobol(target.dimension, rng=np.random.default_rng(seed)).random_base2(12)
            means.append(np.mean(target(x) ** 2))
        error = np.std(means, ddof=1) / 16**0.5
        assert abs(np.mean(means) - target.l2**2) < 5 * error
        assert error < (0.1 if target.dimension == 10 else 0.01) * target.l2**2


def test_nothing_is_claimed_without_a_proof():
    target = targets.get("sines2d")
    assert target.derivative(np.zeros((1, 2))) is None
    assert target.rate(None, norms.L2()) is None
    assert target.limit(norms.L2(), None, 10).label == "none"
    edge = targets.get("cartoon")
    assert edge.rate(families.TensorWavelet("db2"), norms.L2()).gamma == 0.5
    for family in (
        families.TensorWavelet(basis="hyperbolic"),
        families.TensorFourier("largest"),
        families.TensorPolynomial("hyperbolic"),
    ):
        assert edge.rate(family, norms.L2()) is None
    for family in (
        families.TensorFourier(),
        families.TensorPolynomial(),
        families.TensorPolynomial("tensor"),
    ):
        assert edge.rate(family, norms.L2()).gamma == 0.25
        assert edge.rate(family, norms.Sup()) is None
    assert edge.rate(families.TensorWavelet(), norms.L1()) is None


def test_a_function_of_your_own():
    box = (np.array([-1.0, 0.0]), np.array([1.0, 3.0]))
    mine = targets.Multivariate(lambda x: np.sin(x[:, 0]) * x[:, 1], box, name="mine")
    assert mine.dimension == 2 and mine.l2 is None
    assert mine(np.array([0.5, 2.0])) == pytest.approx(2 * np.sin(0.5))
    with jax.enable_x64(True):
        called_back = jax.jit(mine)(jnp.array([[0.5, 2.0]]))
    assert called_back[0] == pytest.approx(2 * np.sin(0.5))
    cube = targets.Multivariate(lambda x: jnp.sum(x, axis=-1), (0, 1), dimension=3)
    assert cube.name == "function" and cube(np.ones((4, 3))).tolist() == [3.0] * 4


BAD = {
    "one variable": ((np.sin, (0, 1)), {}, ValueError, "at least two dimensions"),
    "empty box": ((np.sin, (1, 1)), {"dimension": 2}, ValueError, "lower < upper"),
    "one number": ((lambda x: 1.0, (0, 1)), {"dimension": 2}, ValueError, "one value per point"),
    "one argument each": (
        (lambda x, y: x + y, (0, 1)),
        {"dimension": 2},
        ValueError,
        "array of points of shape",
    ),
    "complex": ((lambda x: x[:, 0] * 1j, (0, 1)), {"dimension": 2}, TypeError, "real numbers"),
    "not finite": (
        (lambda x: np.where(x[:, 0] > 0.5, np.nan, 1.0), (0, 1)),
        {"dimension": 2},
        ValueError,
        "finite on its domain",
    ),
    "norm": ((lambda x: x[:, 0], (0, 1)), {"dimension": 2, "l2": -1.0}, ValueError, "a norm"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    arguments, options, error, words = BAD[case]
    with pytest.raises(error, match=words):
        targets.Multivariate(*arguments, **options)


def test_points_of_another_dimension():
    with pytest.raises(ValueError, match=r"points of shape \(\.\.\., 2\); got the shape \(5, 3\)"):
        targets.get("hat2d")(np.zeros((5, 3)))
