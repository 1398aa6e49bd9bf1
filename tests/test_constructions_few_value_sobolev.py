"""Function-independent networks of few values: errors, topologies, alphabets, counts."""

from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

from qrelu import constructions, networks
from qrelu.constructions import few_value_sobolev, few_value_sobolev_counts, two_value_sobolev


def _sine(x):
    return jnp.sin(x[:, 0])


def _cosine(x):
    return jnp.cos(0.9 * x[:, 0])


def _wave(x):
    return jnp.sin(0.5 * x[:, 0] + 0.8 * x[:, 1])


def _bump(x):
    return jnp.cos(x[:, 0]) * jnp.cos(x[:, 1])


def _saddle(x):
    return jnp.cos(x[:, 0] - x[:, 1]) * jnp.cos(x[:, 2])


def _ridge(x):
    return jnp.sin(0.9 * (x[:, 0] + x[:, 1] + x[:, 2]))


# All partial derivatives up to order 3 are at most 1; sup|f| is at least 0.84.
FUNCTIONS = {1: (_sine, _cosine), 2: (_wave, _bump), 3: (_saddle, _ridge)}
ACCURACY = {1: 0.05, 2: 0.08, 3: 0.4}
SHARE = {1: 0.1, 2: 0.1, 3: 0.5}


def _points(d, cells):
    """Random ones, and midpoints and corners of random cells."""
    rng = np.random.default_rng(d)
    lattice = rng.integers(0, 2 * cells + 1, (150, d)) / (2 * cells)
    return np.concatenate([rng.uniform(size=(250, d)), lattice])


def _values(network, xs):
    """Layer by layer in SciPy, in float64."""
    h = np.asarray(xs, np.float64).T
    for k, (w, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        matrix = w.to_scipy() if isinstance(w, networks.SparseMatrix) else w
        h = matrix @ (np.maximum(h, 0) if k else h) + b[:, None]
    return h[0]


def _check(results, functions, d, cells):
    xs = _points(d, cells)
    for result, function in zip(results, functions, strict=True):
        truth = np.asarray(function(xs))
        values = _values(result.network, xs)
        assert np.abs(values - truth).max() <= result.certificate.bound
        if result.counts.connectivity < 4_000:
            exact = networks.realize_exact(result.network, xs[[0, -1]])[:, 0]
            assert np.allclose(exact.astype(float), values[[0, -1]], rtol=0, atol=1e-12)
        assert constructions.count(result.network) == result.counts
    assert len({constructions.topology(r.network) for r in results}) == 1
    assert len({r.counts.connectivity for r in results}) == 1
    first, second = (np.concatenate([_numbers(w) for w in r.network.weights]) for r in results)
    assert np.any(first != second)


def _numbers(w):
    return w.values if isinstance(w, networks.SparseMatrix) else w[w != 0]


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_two_values(d, n):
    functions, accuracy = FUNCTIONS[d], ACCURACY[d]
    results = [two_value_sobolev(f, accuracy, dimension=d, order=n) for f in functions]
    sizes = few_value_sobolev_counts(accuracy, dimension=d, order=n)
    _check(results, functions, d, sizes.cells)
    for result, function in zip(results, functions, strict=True):
        assert constructions.alphabet(result.network).tolist() == [-0.5, 0.5]
        assert result.certificate.bound <= accuracy
        height = np.abs(np.asarray(function(_points(d, sizes.cells)))).max()
        assert result.certificate.bound <= SHARE[d] * height
        assert result.counts.connectivity == sizes.connectivity
        assert result.counts.depth == sizes.depth
        assert result.certificate.bound == pytest.approx(sizes.bound)


@pytest.mark.parametrize(
    "values, linear, d, n",
    [(3, False, 1, 2), (4, False, 1, 3), (5, False, 2, 1), (3, False, 2, 2), (3, False, 3, 2)]
    + [(2, True, 1, 2), (4, True, 1, 3), (16, True, 2, 1), (8, True, 2, 2), (4, True, 3, 1)]
    + [(2, True, 2, 1), (4, True, 3, 2)],
)
def test_more_values(values, linear, d, n):
    functions, accuracy = FUNCTIONS[d], ACCURACY[d]
    build = dict(dimension=d, order=n, values=values, linear=linear)
    results = [few_value_sobolev(f, accuracy, **build) for f in functions]
    _check(results, functions, d, 8)
    for result in results:
        found = constructions.alphabet(result.network)
        assert result.counts.values == len(found) <= values
        assert result.certificate.bound <= accuracy
        if linear:
            assert set(found) <= {-1.0, *(k / values for k in range(1, values))}
        else:
            assert found[0] == -0.5 and set(np.log2(found[1:]) % 1) == {0.0}


@pytest.mark.parametrize("values", [2, 3, 5])
@pytest.mark.parametrize("d, n", [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1)])
def test_counts_are_the_closed_forms(values, d, n):
    for accuracy in (0.9, 0.3, 0.06) if d == 1 else (0.8, 0.4):
        built = few_value_sobolev(
            lambda x: 0.25 * x.sum(axis=1), accuracy, dimension=d, order=n, values=values
        )
        sizes = few_value_sobolev_counts(accuracy, dimension=d, order=n, values=values)
        assert built.counts.connectivity == sizes.connectivity
        assert built.counts.depth == sizes.depth
        assert built.counts.widths[0] == d and built.counts.widths[-1] == 1


def test_certificate_is_nearly_attained_by_a_constant_and_honest_for_kinks():
    """The rounding of the coefficients adds up for a constant; order 1 allows kinks."""
    sizes = few_value_sobolev_counts(0.1)
    worst = 0.0
    for c in np.linspace(-1, 1, 21):
        result = two_value_sobolev(lambda x, c=c: np.full(len(x), c), 0.1)
        error = np.abs(_values(result.network, np.linspace(0, 1, 301)[:, None]) - c).max()
        assert error <= 2.0**-sizes.digits
        worst = max(worst, error)
    assert worst >= 0.4 * 2.0**-sizes.digits
    for shift in (0.3, 1 / 3, 0.5):
        result = two_value_sobolev(lambda x, s=shift: np.abs(x[:, 0] - s), 0.02)
        xs = np.linspace(0, 1, 3001)
        found = _values(result.network, xs[:, None])
        assert np.abs(found - np.abs(xs - shift)).max() <= result.certificate.bound


def test_derivatives_may_be_given():
    def derivative(nu, x):
        return np.array([np.sin, np.cos, lambda t: -np.sin(t)][nu[0]](x[:, 0]))

    given = two_value_sobolev(lambda x: np.sin(x[:, 0]), 0.05, order=3, derivative=derivative)
    found = two_value_sobolev(_sine, 0.05, order=3)
    for a, b in zip(given.network.weights, found.network.weights, strict=True):
        assert np.array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("values, linear", [(2, False), (4, True)])
def test_scale(values, linear):
    def steep(x):
        return jnp.sin(3 * x[:, 0])

    with pytest.raises(ValueError, match="Take `scale=4`"):
        few_value_sobolev(steep, 0.1, values=values, linear=linear)
    result = few_value_sobolev(steep, 0.1, values=values, linear=linear, scale=4)
    xs = np.linspace(0, 1, 777)[:, None]
    found = _values(result.network, xs)
    assert np.abs(found - np.sin(3 * xs[:, 0])).max() <= result.certificate.bound <= 0.1


def test_odd_linear_alphabet():
    """The network of the nearest floats, read as multiples of 1/3."""
    result = few_value_sobolev(_sine, 0.3, values=3, linear=True, allow_rounding=True)
    xs = [Fraction(k, 18) for k in range(19)]
    h = [[x] for x in xs]
    for k, (w, b) in enumerate(zip(result.network.weights, result.network.biases, strict=True)):
        codes, offsets = (np.rint(3 * np.asarray(a)).astype(int) for a in (w, b))
        assert np.allclose(codes / 3, np.asarray(w), rtol=1e-15) and codes.min() >= -3
        assert codes.max() <= 2 and set(np.unique(offsets)) <= {0, 1, 2}
        h = [[max(v, Fraction(0)) for v in row] if k else row for row in h]
        h = [
            [
                sum((int(c) * row[j] for j, c in enumerate(line) if c), Fraction(int(o))) / 3
                for line, o in zip(codes, offsets, strict=True)
            ]
            for row in h
        ]
    errors = [abs(float(row[0]) - np.sin(float(x))) for row, x in zip(h, xs, strict=True)]
    assert max(errors) <= result.certificate.bound <= 0.3
    assert "multiples of 1/3" in result.certificate.assumptions
    with pytest.raises(ValueError, match="power of two"):
        few_value_sobolev(_sine, 0.3, values=3, linear=True)
    with pytest.raises(ValueError, match="must be even for order 2"):
        few_value_sobolev(_sine, 0.3, order=2, values=3, linear=True, allow_rounding=True)


def test_types_hold_what_they_are_allowed():
    result = two_value_sobolev(_sine, 0.06, dtype=np.float32)
    cells = few_value_sobolev_counts(0.06).cells
    xs = (np.arange(0, 2 * cells + 1, 7) / (2 * cells)).astype(np.float32)[:, None]
    floats = np.asarray(networks.realize(result.network, xs), np.float64)
    assert floats.tolist() == networks.realize_exact(result.network, xs).tolist()
    smooth = two_value_sobolev(_cosine, 0.05, order=3)
    cells = few_value_sobolev_counts(0.05, order=3).cells
    xs = np.arange(2 * cells + 1)[:, None] / (2 * cells)
    floats = _values(smooth.network, xs)
    assert floats.tolist() == networks.realize_exact(smooth.network, xs)[:, 0].tolist()
    with pytest.raises(ValueError, match="binary digits in float32"):
        two_value_sobolev(_cosine, 0.05, order=3, dtype=np.float32)


def test_bad_input():
    for accuracy in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="strictly between 0 and 1"):
            two_value_sobolev(_sine, accuracy)
    with pytest.raises(ValueError, match="from 1 to 3; got 4"):
        two_value_sobolev(_sine, 0.1, order=4)
    with pytest.raises(ValueError, match="from 1 to 3; got 0"):
        two_value_sobolev(_sine, 0.1, dimension=0)
    with pytest.raises(ValueError, match="from 2 to 64; got 1"):
        few_value_sobolev(_sine, 0.1, values=1)
    with pytest.raises(ValueError, match="power of two of at least 1; got 3"):
        two_value_sobolev(_sine, 0.1, scale=3)
    with pytest.raises(ValueError, match="the value of the function"):
        two_value_sobolev(lambda x: 1.5 + 0 * x[:, 0], 0.1)
    with pytest.raises(ValueError, match="the slope of the function along axis 1"):
        two_value_sobolev(lambda x: np.sin(3 * x[:, 1]) / 2, 0.5, dimension=2)
    with pytest.raises(ValueError, match=r"slope of derivative \(2,\) along axis 0"):
        two_value_sobolev(lambda x: jnp.cos(1.9 * x[:, 0]) / 2, 0.1, order=3)
    with pytest.raises(
        ValueError, match="to 33 values, and so must its derivatives; got the shape"
    ):
        two_value_sobolev(lambda x: x[0], 0.05)
    with pytest.raises(ValueError, match="NaN or infinity"):
        two_value_sobolev(lambda x: np.where(x[:, 0] > 0.5, np.nan, 0.0), 0.05)
    with pytest.raises(ValueError, match="JAX can differentiate"):
        two_value_sobolev(lambda x: np.sin(np.asarray(x)[:, 0]), 0.1, order=2)
    with pytest.raises(ValueError, match="Ask for a larger accuracy"):
        two_value_sobolev(_saddle, 1e-3, dimension=3)
