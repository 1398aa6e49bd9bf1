"""Square and product with weights +-1/2: exact errors, counts, alphabet, what the types hold."""

from fractions import Fraction

import numpy as np
import pytest

from qrelu import constructions, networks
from qrelu.constructions import two_value_product, two_value_square


@pytest.mark.parametrize("r", range(1, 9))
def test_square_is_the_interpolant(r):
    result = two_value_square(levels=r)
    found = networks.pieces(result.network, 0, 1, exact=True)
    knots = [Fraction(k, 2**r) for k in range(2**r + 1)]
    assert found.breakpoints.tolist() == knots
    assert found.values[:, 0].tolist() == [x**2 for x in knots]
    # A chord of x^2 is above it by at most a quarter of its length squared, at the midpoint.
    widest = max(b - a for a, b in zip(knots, knots[1:], strict=False))
    assert Fraction(result.certificate.bound) == widest**2 / 4 == Fraction(1, 2 ** (2 * (r + 1)))
    assert result.certificate.exact


@pytest.mark.parametrize("r", [1, 2, 3, 7, 12, 24])
def test_counts_and_alphabet(r):
    square, product = two_value_square(levels=r), two_value_product(levels=r)
    assert square.counts.connectivity == 33 * r + 7
    assert square.counts.depth == 2 * r + 3
    assert square.counts.width == (5 if r == 1 else 6)
    assert product.counts.connectivity == 93 * r + 135
    assert product.counts.depth == 2 * r + 5
    assert product.counts.width == (15 if r == 1 else 16)
    for result in (square, product):
        assert constructions.alphabet(result.network).tolist() == [-0.5, 0.5]
        assert constructions.count(result.network) == result.counts


@pytest.mark.parametrize("r", range(1, 6))
def test_product_has_exactly_the_error_stated(r):
    result = two_value_product(levels=r)
    # The midpoints of the sides of the triangles, where the error is largest, are multiples of
    # 2^-r; right at the corners, the multiples of 2^(1-r).
    steps = [Fraction(k, 2**r) for k in range(-(2**r), 2**r + 1)]
    near = steps if r < 4 else steps[:5] + steps[2**r - 3 : 2**r + 4] + steps[-5:]
    points = [(x, y) for x in near for y in near]
    values = networks.realize_exact(result.network, points)[:, 0]
    errors = [v - x * y for (x, y), v in zip(points, values, strict=True)]
    assert max(map(abs, errors)) == Fraction(1, 4**r) == Fraction(result.certificate.bound)
    for (x, y), v, error in zip(points, values, errors, strict=True):
        assert abs(v) <= 1
        assert error == 0 or (x * 2 ** (r - 1) % 1 != 0 and y * 2 ** (r - 1) % 1 != 0)
        assert v == 0 or x * y != 0
    rng = np.random.default_rng(r)
    more = rng.uniform(-1, 1, size=(40, 2)).tolist()
    values = networks.realize_exact(result.network, more)[:, 0]
    for (x, y), v in zip(more, values, strict=True):
        assert abs(v - Fraction(x) * Fraction(y)) <= Fraction(1, 4**r) and abs(v) <= 1


@pytest.mark.parametrize("dtype, r", [(np.float32, 10), (np.float64, 24)])
def test_types_hold_what_the_docstring_says(dtype, r):
    rng = np.random.default_rng(0)
    k = np.unique(rng.integers(0, 2 ** (r + 1) + 1, 300))
    xs = (k / 2.0 ** (r + 1)).astype(dtype)[:, None]
    result = two_value_square(levels=r, dtype=dtype)
    assert all(np.asarray(b).dtype == dtype for b in result.network.biases)
    floats = np.asarray(networks.realize(result.network, xs), np.float64)
    assert floats.tolist() == networks.realize_exact(result.network, xs).tolist()
    pairs = rng.integers(-(2**r), 2**r + 1, (100, 2)) / 2.0**r
    product = two_value_product(levels=r, dtype=dtype).network
    floats = np.asarray(networks.realize(product, pairs.astype(dtype)), np.float64)
    assert floats.tolist() == networks.realize_exact(product, pairs).tolist()
    with pytest.raises(ValueError, match="allow_rounding=True"):
        two_value_square(levels=r + 1, dtype=dtype)
    assert (
        two_value_square(levels=r + 1, dtype=dtype, allow_rounding=True).counts.depth == 2 * r + 5
    )


@pytest.mark.parametrize("accuracy", [0.9, 0.1, 1 / 64, 0.01, 1e-6])
def test_accuracy_takes_the_fewest_levels(accuracy):
    for build in (two_value_square, two_value_product):
        result = build(accuracy)
        assert result.certificate.bound <= accuracy
        r = (result.counts.connectivity - 7) // 33 if build is two_value_square else None
        r = (result.counts.connectivity - 135) // 93 if r is None else r
        assert r == 1 or build(levels=r - 1).certificate.bound > accuracy


@pytest.mark.parametrize("build", [two_value_square, two_value_product])
def test_bad_input(build):
    with pytest.raises(ValueError, match="one of the two; got neither"):
        build()
    with pytest.raises(ValueError, match="one of the two; got both"):
        build(0.1, levels=3)
    for accuracy in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="strictly between 0 and 1"):
            build(accuracy)
    with pytest.raises(ValueError, match="at least 1; got 0"):
        build(levels=0)
    with pytest.raises(ValueError, match="float32 or float64"):
        build(levels=3, dtype=np.float16)
