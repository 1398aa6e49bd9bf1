"""The built-in targets against mpmath: values, derivatives, norms, shape, curvature bounds."""

import math

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from qrelu import targets

THIRD = mp.mpf(1 / 3)  # the float, as the targets have it

# Written anew for mpmath: name -> f.
JUDGES = {
    "square": lambda x: x**2,
    "cubic": lambda x: x**3,
    "exp": lambda x: mp.e ** (3 * x),
    "reciprocal": lambda x: 1 / x,
    "sine": lambda x: mp.sinpi(2 * x),
    "gaussian": lambda x: mp.exp(-50 * (x - 0.5) ** 2),
    "runge": lambda x: 1 / (1 + 25 * (2 * x - 1) ** 2),
    "tanh": lambda x: mp.tanh(50 * (x - 0.5)),
    "oscillation": lambda x: mp.sinpi(16 * x),
    "chirp": lambda x: mp.sinpi(16 * x**2),
    "power1.5": lambda x: x ** mp.mpf(1.5),
    "entropy": lambda x: x * mp.log(x) if x else mp.mpf(0),
    "sqrt": mp.sqrt,
    "kink": lambda x: abs(x - THIRD),
    "corners": lambda x: abs(mp.sinpi(3 * x)),
    "cusp": lambda x: mp.sqrt(abs(x - THIRD)),
    "takagi": lambda x: mp.fsum(abs(2**k * x - mp.nint(2**k * x)) / 2**k for k in range(70)),
    "weierstrass": lambda x: mp.fsum(
        mp.cospi(2 * mp.frac(2**k * x)) * mp.mpf(2) ** (-mp.mpf(k) / 2) for k in range(40)
    ),
}
ROUGH = ("takagi", "weierstrass")
SMOOTH = [name for name in JUDGES if name not in ROUGH]


def _points(target, count=40, seed=0):
    lower, upper = target.domain
    return lower + (upper - lower) * np.random.default_rng(seed).random(count)


def test_every_target_has_a_judge():
    assert set(targets.names()) == set(JUDGES)
    assert len(targets.names()) >= 16


def test_the_words_of_the_table_are_told_apart():
    lines = targets.describe()
    assert [line.name for line in lines] == list(targets.names())
    assert len({line.formula for line in lines}) == len(lines)
    assert {line.difficulty for line in lines} == {
        "smooth",
        "steep",
        "oscillating",
        "singular",
        "kinked",
        "rough",
    }


def test_unknown_name_lists_near_matches():
    with pytest.raises(ValueError, match="Did you mean 'runge'"):
        targets.get("rungee")
    with pytest.raises(ValueError, match="For a function of your own use `targets.Function`"):
        targets.get("zzz")


@pytest.mark.parametrize("name", JUDGES)
def test_values(name):
    target = targets.get(name)
    with mp.workdps(40):
        for x in [*target.domain, *_points(target)]:
            truth = JUDGES[name](mp.mpf(float(x)))
            assert abs(float(target(x)) - truth) <= 4e-14 * target.facts.sup


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives(name):
    target = targets.get(name)
    x = _points(target)
    first, second = target.derivative(x), target.second_derivative(x)
    assert first is not None and second is not None
    with mp.workdps(40):
        for i, point in enumerate(x):
            one, two = (float(mp.diff(JUDGES[name], mp.mpf(float(point)), n)) for n in (1, 2))
            assert first[i] == pytest.approx(one, rel=1e-11, abs=1e-11)
            assert second[i] == pytest.approx(two, rel=1e-10, abs=1e-9)


@pytest.mark.parametrize("name", ROUGH)
def test_rough_targets_claim_no_derivative(name):
    target = targets.get(name)
    assert target.derivative(0.3) is None and target.second_derivative(0.3) is None
    assert np.isinf(target.curvature(0.3, 0.3 + 1e-9))


def _zeros(name):
    """Zeros and kinks inside the domain, so that the quadrature sees smooth pieces only."""
    return {
        "sine": [0.5],
        "oscillation": [k / 16 for k in range(1, 16)],
        "chirp": [mp.sqrt(mp.mpf(k) / 16) for k in range(1, 16)],
        "corners": [mp.mpf(1) / 3, mp.mpf(2) / 3],
        "kink": [THIRD],
        "cusp": [THIRD],
        "cubic": [0],
        "tanh": [mp.mpf(0.5)],
        "gaussian": [0.5],
        "runge": [0.5],
    }.get(name, [])


@pytest.mark.parametrize("name", SMOOTH)
def test_norms(name):
    target = targets.get(name)
    cuts = [target.domain[0], *_zeros(name), target.domain[1]]
    with mp.workdps(25):
        one = mp.quad(lambda x: abs(JUDGES[name](x)), cuts)
        two = mp.sqrt(mp.quad(lambda x: JUDGES[name](x) ** 2, cuts))
    assert target.facts.l1 == pytest.approx(float(one), rel=1e-13)
    assert target.facts.l2 == pytest.approx(float(two), rel=1e-13)


def test_norms_of_the_takagi_curve():
    # At odd multiples of 2^-21 the curve is the partial sum of 20 terms up to 2^-21; means over a
    # uniform grid converge like its modulus.
    target = targets.get("takagi")
    y = target((np.arange(2**20) + 0.5) / 2**20)
    assert target.facts.l1 == pytest.approx(y.mean(), abs=1e-6)
    assert target.facts.l2 == pytest.approx(math.sqrt((y * y).mean()), abs=1e-6)


def test_norm_of_the_weierstrass_function():
    # The mean over 2^16 equidistant points is exact for the products of terms below 2^15; the rest
    # of the sum is 2^-15 of the square of the norm and wholly aliased at dyadic points, so the
    # points are shifted by an irrational number and the tail is allowed for.
    target = targets.get("weierstrass")
    y = target(np.arange(2**18) / 2**18 + math.sqrt(2) / 2**19)
    assert target.facts.l2 == pytest.approx(math.sqrt((y * y).mean()), abs=2e-2)
    assert target.facts.l1 is None


@pytest.mark.parametrize("name", JUDGES)
def test_sup(name):
    target = targets.get(name)
    lower, upper = target.domain
    x = np.linspace(lower, upper, 120_001)
    largest = np.abs(target(x)).max()
    assert largest <= target.facts.sup * (1 + 1e-14)
    assert largest >= target.facts.sup * (1 - 1e-5)


@pytest.mark.parametrize("name", SMOOTH)
def test_shape(name):
    target = targets.get(name)
    lower, upper = target.domain
    x = np.linspace(lower, upper, 20_003)[1:-1]
    rises = np.diff(target(x))
    claimed = {1: (rises >= 0).all(), -1: (rises <= 0).all()}
    assert claimed.get(target.facts.monotone, not (claimed[1] or claimed[-1]))
    bends = np.diff(target(x), 2)
    noise = 4e-16 * target.facts.sup
    claimed = {1: (bends >= -noise).all(), -1: (bends <= noise).all()}
    assert claimed.get(target.facts.convex, not (claimed[1] or claimed[-1]))
    # Away from rounding, f'' changes sign at the inflection points and nowhere else.
    second = target.second_derivative(x)
    changes = np.flatnonzero(second[:-1] * second[1:] < 0)
    found = (x[changes] + x[changes + 1]) / 2
    exact = np.array(target.facts.inflections)
    on_grid = np.isin(np.round(exact, 9), np.round(x[second == 0], 9)) if exact.size else []
    assert found.size + np.count_nonzero(on_grid) == exact.size
    for point in found:
        assert np.abs(exact - point).min() < 2 * (x[1] - x[0])


@pytest.mark.parametrize("name", [n for n in SMOOTH if targets.get(n).facts.inflections])
def test_inflections_are_exact(name):
    with mp.workdps(30):
        for point in targets.get(name).facts.inflections:
            below, above = (
                mp.diff(JUDGES[name], mp.mpf(point) + step, 2) for step in (-1e-12, 1e-12)
            )
            assert below * above < 0


@hypothesis.given(st.sampled_from(SMOOTH), st.floats(0, 0.999), st.floats(-14, 0))
@hypothesis.settings(max_examples=250, deadline=None)
def test_curvature_bounds_are_bounds_and_tight(name, where, log_width):
    target = targets.get(name)
    a, b = target.domain
    lower = a + (b - a) * where
    upper = min(b, lower + (b - a) * math.exp(log_width))
    bound = float(target.curvature(lower, upper))
    if any(lower < point < upper for point in target.breakpoints):
        assert bound == math.inf
        return
    inside = lower + (upper - lower) * (np.arange(400) + 0.5) / 400
    second = np.abs(target.second_derivative(inside))
    truth = max(
        float(abs(mp.diff(JUDGES[name], mp.mpf(float(inside[i])), 2))) for i in (0, 200, 399)
    )
    assert bound >= max(second.max(), truth - 1e-9 * (1 + truth))
    ends = np.abs(target.second_derivative(np.array([lower, upper])))
    dense = max(second.max(), *ends)
    scale = float(target.curvature(a, b)) if not target.breakpoints else dense
    room = 1e-2 * dense + 3e-12 * (scale if math.isfinite(scale) else 0.0)
    assert bound <= dense + room or bound == math.inf == dense


def test_curvature_takes_arrays():
    edges = np.linspace(0, 1, 6)
    bound = targets.get("sqrt").curvature(edges[:-1], edges[1:])
    assert bound.shape == (5,) and np.isinf(bound[0]) and np.isfinite(bound[1:]).all()
    assert targets.get("sine").curvature(0.1, edges).shape == (6,)


@pytest.mark.parametrize("name", SMOOTH)
def test_singular_ends_are_where_the_curvature_is_unbounded(name):
    target = targets.get(name)
    a, b = target.domain
    step = 1e-3 * (b - a)
    unbounded = (np.isinf(target.curvature(a, a + step)), np.isinf(target.curvature(b - step, b)))
    assert tuple(map(bool, unbounded)) == target.singular_ends
    for point in target.breakpoints:
        assert np.isinf(target.curvature(point - step, point + step))


@hypothesis.given(
    st.sampled_from([n for n in targets.names() if targets.get(n).modulus(0.1) is not None]),
    st.floats(0, 1),
    st.floats(-20, 0),
)
@hypothesis.settings(max_examples=400, deadline=None)
def test_modulus_of_continuity(name, x, log_distance):
    target = targets.get(name)
    y = min(1.0, x + math.exp(log_distance))
    assert abs(float(target(x) - target(y))) <= float(target.modulus(y - x)) + 1e-13


def test_modulus_is_built_in_wherever_the_curvature_is_unbounded():
    for name in targets.names():
        target = targets.get(name)
        if not np.isfinite(target.curvature(*target.domain)):
            assert target.modulus(1e-3) is not None, name


def test_hoelder_constant_of_the_weierstrass_function():
    h = np.geomspace(1e-9, 1, 2000)
    constant = 2 * math.sqrt(math.pi) * (3 + 2 * math.sqrt(2))
    ratio = targets.get("weierstrass").modulus(h) / np.sqrt(h)
    assert ratio.max() <= constant
    assert ratio[:1000].max() >= 0.99 * constant


@pytest.mark.parametrize("name", JUDGES)
def test_numpy_stays_numpy_and_jax_stays_jax(name):
    target = targets.get(name)
    lower, upper = target.domain
    x = np.linspace(lower, upper, 12)
    y = target(x.reshape(3, 4).astype(np.float32))
    assert type(y) is np.ndarray and y.dtype == np.float64 and y.shape == (3, 4)
    scalar = target(float(x[3]))
    assert type(scalar) is np.ndarray and scalar.shape == ()
    for dtype, close in ((jnp.float32, 3e-4), (jnp.float64, 1e-12)):
        z = jax.jit(target)(jnp.asarray(x, dtype))
        assert isinstance(z, jax.Array) and z.dtype == dtype
        exact = target(np.asarray(jnp.asarray(x, dtype)))
        np.testing.assert_allclose(z, exact, rtol=0, atol=close * target.facts.sup)
    assert jnp.issubdtype(target(jnp.asarray(1)).dtype, jnp.floating)


@pytest.mark.parametrize("name", SMOOTH)
def test_jax_gradient(name):
    target = targets.get(name)
    x = _points(target, 20)
    slopes = jax.vmap(jax.grad(target))(jnp.asarray(x))
    np.testing.assert_allclose(slopes, target.derivative(x), rtol=1e-11, atol=1e-11)


def test_the_evaluation_in_numpy_does_not_touch_jax():
    with jax.transfer_guard("disallow_explicit"):
        with pytest.raises(RuntimeError, match="[Dd]isallowed"):
            jnp.sin(np.linspace(0, 1, 7))
        for name in targets.names():
            target = targets.get(name)
            x = np.linspace(*target.domain, 7)
            target(x), target.derivative(x), target.curvature(x[:-1], x[1:]), target.modulus(x)
