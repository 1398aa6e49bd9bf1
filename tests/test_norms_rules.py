"""Quadrature rules of a user's choice, against integrals in closed form."""

import numpy as np
import pytest

from qrelu import norms
from qrelu.norms import GaussLegendre, QuasiMonteCarlo


@pytest.mark.parametrize("points", [1, 2, 5])
def test_exact_for_polynomials(points):
    degree = 2 * points - 1
    rule = GaussLegendre(([-1.0, 2.0], [3.0, 2.5]), cells=(3, 2), points=points)
    x, y = rule.nodes.T
    integral = lambda a, b, k: (b ** (k + 1) - a ** (k + 1)) / (k + 1)  # noqa: E731
    expected = integral(-1, 3, degree) * integral(2, 2.5, degree)
    assert rule.weights @ (x**degree * y**degree) == pytest.approx(expected, rel=1e-13)
    even = rule.weights @ x ** (degree + 1)
    assert abs(even / (integral(-1, 3, degree + 1) * 0.5) - 1) > 1e-9  # and no further


def test_ways_to_say_a_box():
    boxes = [
        GaussLegendre((0, 1), cells=(2, 2)),
        GaussLegendre((0, 1), cells=2, points=(5, 5)),
        GaussLegendre(((0, 1), (0, 1)), cells=2),
        GaussLegendre(((0, 0), (1, 1)), cells=2),
        GaussLegendre((np.zeros(2), np.ones(2)), cells=2),
        GaussLegendre((0, 1), cells=np.array([2, 2]), points=np.array(5)),
    ]
    for box in boxes:
        assert box.dimension == 2 and np.array_equal(box.nodes, boxes[0].nodes)
        assert box.weights.sum() == pytest.approx(1, rel=1e-14)
    assert GaussLegendre(((0, 1),) * 3).dimension == 3
    assert GaussLegendre(((0, 1),)).dimension == GaussLegendre((0, 1)).dimension == 1
    assert GaussLegendre((np.array([0.0, 2.0]), np.array([1.0, 3.0]))).upper.tolist() == [1, 3]


def test_quasi_monte_carlo_converges_faster_than_random():
    f = lambda x: np.prod(1 + (x - 0.5) / 2, axis=1)  # noqa: E731, its integral is 1
    errors = []
    for points in (2**8, 2**12):
        rule = QuasiMonteCarlo((0, 1), points, dimension=10)
        assert rule.nodes.shape == (points, 10) and rule.weights.sum() == pytest.approx(1)
        errors.append(abs(rule.weights @ f(rule.nodes) - 1))
    assert errors[1] < 1e-3 < 0.5 * 12**-0.5 * 10**0.5 / 2**6  # what random points would do
    again = QuasiMonteCarlo((0, 1), 2**12, dimension=10)
    assert np.array_equal(again.nodes, rule.nodes)
    assert not np.array_equal(
        QuasiMonteCarlo((0, 1), 2**12, dimension=10, seed=1).nodes, rule.nodes
    )
    assert len(QuasiMonteCarlo((0, 1), 100).nodes) == 100


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: GaussLegendre((1, 0)), "lower < upper"),
        (lambda: GaussLegendre((0, np.inf)), "finite"),
        (lambda: GaussLegendre((0, np.nan)), "finite"),
        (lambda: GaussLegendre("unit"), "interval"),
        (lambda: GaussLegendre(((0, 2), (1, 3))), "two ways"),
        (lambda: GaussLegendre((0, 1), cells=0), "positive"),
        (lambda: GaussLegendre((0, 1), cells=np.array(2.0)), "positive"),
        (lambda: GaussLegendre((0, 1), points=True), "positive|Type-check"),
        (lambda: GaussLegendre(((0, 1),) * 3, cells=(2, 2)), "3 axes"),
        (lambda: GaussLegendre(((0, 1),) * 10, cells=10), "at most"),
        (lambda: norms.QuasiMonteCarlo((0, 1), 0), "positive"),
    ],
)
def test_bad_input(call, match):
    with pytest.raises((ValueError, TypeError), match=match):
        call()
