"""Values without rounding, against fractions by hand and against the pieces of a network."""

from fractions import Fraction

import numpy as np
import pytest

from qrelu import networks


def _by_hand(network, point):
    h = [Fraction(t) for t in point]
    for i, (w, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        h = [max(t, Fraction(0)) for t in h] if i > 0 else h
        h = [
            sum((Fraction(float(v)) * t for v, t in zip(row, h, strict=True)), Fraction(float(c)))
            for row, c in zip(np.asarray(w), np.asarray(b), strict=True)
        ]
    return h


@pytest.mark.parametrize("seed", range(3))
def test_equals_fractions_by_hand(seed):
    rng = np.random.default_rng(seed)
    widths = [(1, 3, 1), (2, 5, 4, 3), (3, 1, 2, 2)][seed]
    make = lambda *shape: rng.normal(size=shape).astype([np.float64, np.float32][seed % 2])  # noqa: E731
    weights = [
        make(n, m) * (rng.uniform(size=(n, m)) < 0.7)
        for m, n in zip(widths[:-1], widths[1:], strict=True)
    ]
    network = networks.ReLUNetwork(weights, [make(n) for n in widths[1:]])
    xs = [[Fraction(int(rng.integers(-9, 9)), int(rng.integers(1, 9))) for _ in range(widths[0])]]
    xs += rng.normal(size=(4, widths[0])).tolist()
    expected = [_by_hand(network, x) for x in xs]
    for form in (network, networks.sparsify(network, max_density=1.0)):
        values = networks.realize_exact(form, xs)
        assert values.tolist() == expected


def test_shapes_and_large_exponents():
    network = networks.ReLUNetwork(
        [np.array([[2.0**-900], [-(2.0**900)]]), np.array([[2.0**900, 1.0]])],
        [np.zeros(2), np.array([2.0**-60])],
    )
    values = networks.realize_exact(network, np.array([[[0.5], [-1.0]]]))
    assert values.shape == (1, 2, 1)
    expected = [Fraction(1, 2) + Fraction(1, 2**60), 2**900 + Fraction(1, 2**60)]
    assert values.ravel().tolist() == expected


def test_bad_input():
    network = networks.ReLUNetwork([np.ones((1, 2))], [np.zeros(1)])
    with pytest.raises(ValueError, match=r"shape \(\.\.\., 2\)"):
        networks.realize_exact(network, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="finite points"):
        networks.realize_exact(network, [1.0, np.inf])
    broken = networks.ReLUNetwork([np.array([[1.0, np.nan]])], [np.zeros(1)])
    with pytest.raises(ValueError, match="finite parameters"):
        networks.realize_exact(broken, [1.0, 2.0])
