"""Distances in several variables against closed forms, SciPy's cubature and finer rules."""

import numpy as np
import pytest
from scipy import integrate

from qrelu import families, networks, norms, targets

ZERO = {d: networks.ReLUNetwork([np.zeros((1, d))], [np.zeros(1)]) for d in (2, 3, 4, 10)}


def _random(d, neurons, seed):
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(neurons, d))
    b = -(w * rng.random((neurons, d))).sum(axis=1)
    outer = rng.normal(size=(1, neurons)) / neurons
    return networks.ReLUNetwork([w, outer], [b, rng.normal(size=1)])


@pytest.mark.parametrize("name", [n for d in (2, 3, 4, 10) for n in targets.names(d)])
def test_the_distance_from_zero_is_the_norm(name):
    target = targets.get(name)
    measured = norms.L2().distance(ZERO[target.dimension], target)
    assert abs(measured - target.l2) <= measured.uncertainty
    # In ten dimensions functions that are large in a small part of the cube are hard.
    relative = {2: 1e-6, 3: 2e-4, 4: 1e-2, 10: 0.15}[target.dimension]
    # Cells that a jump crosses are left with an error like their area.
    relative = 2e-4 if name == "cartoon" else relative
    assert measured.uncertainty < relative * target.l2


def test_the_integral_of_the_hat_and_its_largest_value():
    # The integral of 1 - |2 t - 1| is 1/2; the largest value is 1, in the middle.
    for d in (2, 3):
        one = norms.L1().distance(ZERO[d], targets.get(f"hat{d}d"))
        assert one == pytest.approx(2.0**-d, rel=1e-12)
    for d in (2, 3, 4):
        top = norms.Sup().distance(ZERO[d], targets.get(f"hat{d}d"))
        assert top == pytest.approx(1.0, abs=1e-6)
        assert top.location == pytest.approx((0.5,) * d, abs=1e-6)
        assert top.assumption == "found by search"


def test_a_box_of_its_own_against_cubature():
    box = (np.array([-1.0, 2.0]), np.array([1.0, 5.0]))
    target = targets.Multivariate(lambda x: x[:, 0] * x[:, 1] ** 2, box, name="product")
    network = _random(2, 4, 0)
    w, b = network.weights, network.biases

    def difference(y, x):
        h = np.maximum(w[0] @ np.array([x, y]) + b[0], 0)
        return float((w[1] @ h + b[1])[0]) - x * y**2

    for norm, power in ((norms.L1(), 1), (norms.L2(), 2)):
        found = norm.distance(network, target)
        want, _ = integrate.dblquad(
            lambda y, x, p=power: abs(difference(y, x)) ** p, -1, 1, 2, 5, epsabs=1e-5
        )
        assert float(found) == pytest.approx(want ** (1 / power), rel=1e-5)
    corner = max(abs(difference(y, x)) for x in (-1, 1) for y in (2, 5))
    assert norms.Sup().distance(network, target) >= corner


@pytest.mark.parametrize("d", [2, 3, 4, 10])
@pytest.mark.parametrize("norm", [norms.L1, norms.L2])
def test_the_uncertainty_is_honest(d, norm):
    target = targets.get(f"sines{d}d")
    for seed, neurons in ((0, 2), (1, 12)):
        network = _random(d, neurons, seed)
        coarse = norm(points=2**12).distance(network, target)
        fine = norm(points=2**17).distance(network, target)
        assert abs(coarse - fine) <= coarse.uncertainty + fine.uncertainty
        assert fine.uncertainty < coarse.uncertainty < 0.2 * coarse


@pytest.mark.parametrize("norm", [norms.L1, norms.L2, norms.Sup])
@pytest.mark.parametrize("scale", [2.0**-548, 2.0**-300, 2.0**300, 2.0**664])
@pytest.mark.parametrize("d", [2, 4])
def test_a_distance_scales(d, scale, norm):
    """Squares and the variances of squares leave the range of float64, the distance does not."""
    sines = targets.get(f"sines{d}d")
    scaled = targets.Multivariate(
        lambda x: scale * np.asarray(sines(x)), sines.domain, name="scaled"
    )
    one, other = (norm(points=2**12).distance(ZERO[d], target) for target in (sines, scaled))
    assert float(other) / scale == pytest.approx(float(one), rel=1e-14)
    assert other.uncertainty / scale == pytest.approx(one.uncertainty, rel=0.01)


def test_a_supremum_is_reached_and_not_below_samples():
    target = targets.get("gabor3d")
    network = _random(3, 8, 3)
    top = norms.Sup().distance(network, target)
    x = np.random.default_rng(0).random((4096, 3))
    h = np.maximum(x @ network.weights[0].T + network.biases[0], 0)
    values = np.abs((h @ network.weights[1].T + network.biases[1])[:, 0] - target(x))
    assert top >= values.max()
    place = np.array(top.location)[None]
    h = np.maximum(place @ network.weights[0].T + network.biases[0], 0)
    there = (h @ network.weights[1].T + network.biases[1])[0, 0] - target(place)[0]
    assert abs(there) == pytest.approx(float(top))
    assert "at x = (" in repr(top)


def test_any_function_of_points_is_an_approximant():
    target = targets.get("sines2d")
    assert norms.L2().distance(target, target) < 1e-12
    half = norms.L2().distance(lambda x: target(x)[:, None] / 2, target)
    assert half == pytest.approx(0.25, rel=1e-9)
    sparse = networks.sparsify(_random(2, 6, 0))
    same = norms.L2().distance(sparse, target)
    assert same == pytest.approx(float(norms.L2().distance(_random(2, 6, 0), target)), rel=1e-12)


BAD = {
    "inputs": (lambda: _random(3, 2, 0), "2 inputs and one output; got 3 and 1"),
    "shape": (lambda: np.sin, "one value per point"),
    "not finite": (lambda: lambda x: np.full(len(x), np.inf), "an approximant that is finite"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_approximants(case):
    make, words = BAD[case]
    with pytest.raises(ValueError, match=words):
        norms.L2().distance(make(), targets.get("sines2d"))


def test_what_needs_one_variable_says_so():
    target = targets.get("sines2d")
    with pytest.raises(ValueError, match="needs a function of one variable; `sines2d` has 2"):
        norms.L2().between(np.array([0.0, 1.0]), np.zeros(2), target)
    for name in families.names():
        with pytest.raises(ValueError, match="needs a function of one variable; `sines2d` has 2"):
            families.get(name).fit(target, 64, norm=norms.L2())
    with pytest.raises(TypeError, match="or a function of points"):
        norms.L2().distance(3, target)


def _off(d, inside, volume, seed):
    """|L1 norm of an indicator - volume| over its uncertainty."""
    box = (np.zeros(d), np.ones(d))
    target = targets.Multivariate(lambda x: 1.0 * inside(x), box, name=f"set {seed}")
    norm = norms.L1(points=2**15 if d == 2 else 2**17)
    measured = norm.distance(ZERO[d], target)
    assert measured.uncertainty < (0.1 if d == 2 else 0.25) * measured
    return abs(measured - volume) / measured.uncertainty


@pytest.mark.parametrize("d", [2, 3])
def test_the_uncertainty_covers_jumps_wherever_they_are(d):
    """Balls, and half-spaces whose faces run between nodes and sides of cells."""
    rng = np.random.default_rng(d)
    ball = {2: np.pi, 3: 4 * np.pi / 3}[d]
    off = []
    for seed in range(60 if d == 2 else 12):
        c, r, a = rng.uniform(0.35, 0.65, d), rng.uniform(0.1, 0.3), rng.uniform(0.05, 0.95)
        off.append(_off(d, lambda x, c=c, r=r: ((x - c) ** 2).sum(1) < r * r, ball * r**d, seed))
        off.append(_off(d, lambda x, a=a: x[:, d - 1] < a, a, seed))
    assert max(off) <= 1


def test_a_kink_between_the_nodes_and_the_side_of_every_cell():
    for a in (0.03, 0.012, 0.2 + 1e-3, 0.5 - 2e-3, 0.71):
        box = (np.zeros(2), np.ones(2))
        target = targets.Multivariate(lambda x, a=a: x[:, 1] - a, box, name="plane")
        for points in (2**9, 2**12, 2**17):
            measured = norms.L1(points=points).distance(ZERO[2], target)
            assert abs(measured - (a * a + (1 - a) ** 2) / 2) <= measured.uncertainty


def test_an_approximant_may_be_infinite_at_a_corner_of_the_box():
    zero = targets.Multivariate(lambda x: 0 * x[:, 0], (np.zeros(2), np.ones(2)), name="zero")
    measured = norms.L1().distance(lambda x: np.log(x).sum(axis=1), zero)
    assert abs(measured - 2) <= measured.uncertainty < 1e-2
