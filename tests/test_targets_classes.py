"""Classes of functions: who belongs, what is drawn, and by whom that is judged."""

import itertools
import math
import subprocess
import sys

import jax
import numpy as np
import pytest
import pywt

from qrelu import targets

KEY = jax.random.key(7)
CLASSES = [
    targets.Lipschitz(),
    targets.Lipschitz(2.5, (-1.0, 3.0)),
    targets.Hoelder(0.5),
    targets.Hoelder(0.3, 2.0),
    targets.Hoelder(1.5),
    targets.Hoelder(2, 0.5, (0.0, 2.0)),
    targets.Hoelder(2.5),
    targets.Sobolev(1),
    targets.Sobolev(1, 1),
    targets.Sobolev(1, math.inf),
    targets.Sobolev(2, 1.5, radius=3.0, domain=(1.0, 2.5)),
    targets.Sobolev(3, 4.0),
    targets.BoundedVariation(),
    targets.BoundedVariation(4.0, (0.0, 10.0)),
    targets.PiecewiseSmooth(2),
    targets.PiecewiseSmooth(0.7, 3),
    targets.PiecewiseSmooth(1.5, 2, 2.0),
]
BESOV = [targets.Besov(1.0, 1.0, 1.0), targets.Besov(1.5), targets.Besov(0.4, 3.0, math.inf)]
IDS = [c.name for c in CLASSES]


def _dense(function, count=4001):
    """Values at irregular points, ends included."""
    a, b = function.domain
    rng = np.random.default_rng(0)
    x = np.sort(np.concatenate([[a, b], rng.uniform(a, b, count)]))
    x = x[np.append(True, np.diff(x) > 1e-9 * (b - a))]
    return x, np.asarray(function(x))


@pytest.mark.parametrize("cls", CLASSES, ids=IDS)
def test_draws_are_on_the_boundary_and_reproducible(cls):
    first = cls.draws(20, 9, key=KEY)
    again = cls.draws(20, 9, key=KEY)
    other = cls.draws(20, 9, key=jax.random.key(8))
    x = np.linspace(*cls.domain, 257)
    for f, g in zip(first, again, strict=True):
        assert f.name == g.name and np.array_equal(f(x), g(x))
    assert any(not np.array_equal(f(x), g(x)) for f, g in zip(first, other, strict=True))
    for f in first:
        found = cls.examine(f)
        assert found.answer is True, (f.name, found)
        assert found.lower == pytest.approx(cls.radius, rel=1e-4), f.name
    # The same place in a longer list is the same function; another size is another one.
    assert np.array_equal(cls.draws(20, 2, key=KEY)[1](x), first[1](x))
    assert not np.array_equal(cls.draws(21, 1, key=KEY)[0](x), first[0](x))


@pytest.mark.parametrize("cls", CLASSES, ids=IDS)
def test_a_little_more_than_the_ball_is_outside(cls):
    """The norm is exact for piecewise polynomials: 1 % beyond the radius is refuted."""
    smaller = type(cls)(
        **{
            name: getattr(cls, name) * 0.99 if name == "radius" else getattr(cls, name)
            for name in cls.__dataclass_fields__
        }
    )
    for f in cls.draws(12, 6, key=KEY):
        assert smaller.contains(f) is False


@pytest.mark.parametrize("cls", [c for c in CLASSES if isinstance(c, targets.Lipschitz)])
def test_lipschitz_draws_by_pairs(cls):
    for f in cls.draws(30, 8, key=KEY):
        x, y = _dense(f)
        slopes = np.abs(np.diff(y)) / np.diff(x)
        assert slopes.max() <= cls.radius * (1 + 1e-7)
        assert max(slopes.max(), np.abs(y).max()) >= cls.radius * 0.999
        assert np.abs(y).max() <= cls.radius * (1 + 1e-12)


@pytest.mark.parametrize("s, r", [(0.5, 1.0), (0.3, 2.0), (1.0, 1.0)])
def test_hoelder_draws_by_dense_pairs(s, r):
    cls = targets.Hoelder(s, r)
    for f in cls.draws(16, 7, key=KEY):
        x, y = _dense(f, 900)
        gaps = np.abs(x[:, None] - x)
        quotient = np.abs(y[:, None] - y) / np.where(gaps > 0, gaps, 1.0) ** s
        assert quotient.max() <= r * (1 + 1e-9), f.name
        assert quotient.max() >= 0.7 * r, f.name
        assert np.abs(y).max() <= r


def test_the_hoelder_norm_of_a_polygon_is_that_of_its_knots():
    """The claim behind the exact seminorm, against a hundred points between knots."""
    rng = np.random.default_rng(3)
    for s in (0.2, 0.5, 0.9):
        knots = np.sort(np.append(rng.random(7), [0, 1]))
        f = targets.Data(knots, rng.normal(size=9))
        x = np.unique(
            np.concatenate([np.linspace(a, b, 100) for a, b in itertools.pairwise(knots)])
        )
        gaps = np.abs(x[:, None] - x)
        quotient = np.abs(f(x)[:, None] - f(x)) / np.where(gaps > 0, gaps, 1.0) ** s
        found = targets.Hoelder(s, 1e-3).examine(f)
        assert found.lower == pytest.approx(max(quotient.max(), np.abs(f(x)).max()), rel=1e-12)


@pytest.mark.parametrize("m, p", [(1, 1.0), (1, 2.0), (1, math.inf), (2, 1.5), (2, 2.0), (3, 4.0)])
def test_sobolev_draws_by_differences(m, p):
    """The m-th differences on a fine grid, an independent look at the derivative's norm."""
    cls = targets.Sobolev(m, p)
    for f in cls.draws(4, 6, key=KEY):
        n = 2**14 if m == 1 else 2**11
        x = np.linspace(0, 1, n + 1)
        means = np.abs(np.diff(f(x), m)) * float(n) ** m
        norm = means.max() if math.isinf(p) else (np.mean(means**p)) ** (1 / p)
        size = np.abs(f(x)).max() if math.isinf(p) else np.mean(np.abs(f(x)) ** p) ** (1 / p)
        # Means of |f^(m)| lose where it jumps inside a stencil: many small cells do.
        assert max(norm, size) <= 1 + 1e-3, f.name
        assert max(norm, size) >= 0.6, f.name


@pytest.mark.parametrize("m, p", [(1, 2.0), (2, 1.0), (2, 2.0), (2, math.inf)])
def test_draws_on_long_intervals_are_on_the_ball(m, p):
    """There the function itself is what is large, which pieces as long as the interval show."""
    cls = targets.Sobolev(m, p, radius=2.5, domain=(-3.0, 7.0))
    x = np.linspace(-3, 7, 20_001)

    def norm(values):
        return np.abs(values).max() if p == math.inf else np.mean(np.abs(values) ** p) ** (1 / p)

    for function in cls.draws(3, 8, key=KEY):
        values = np.asarray(function(x))
        found = max(norm(values), norm(np.diff(values, m)) / (x[1] - x[0]) ** m)
        assert found * 10 ** (1 / p) == pytest.approx(2.5, rel=0.03), function.name


def test_the_norm_of_a_line_through_zero_between_equal_ends():
    """The integral of (x / 20)^2 over [-5, 5] is 5/24."""
    knots = np.array([-5.0, 5.0])
    line = targets.PiecewisePolynomial(knots, np.array([[-0.25, 0.05]]))
    found = targets.Sobolev(1, 2, domain=(-5.0, 5.0)).examine(line)
    assert found.lower == pytest.approx(math.sqrt(5 / 24), rel=1e-9)
    assert found.upper == pytest.approx(math.sqrt(5 / 24), rel=1e-9)


def test_repeated_integrals_have_the_derivative_that_was_asked_for():
    f = targets.Hoelder(2.5).draw(cells=64, kind=0, key=KEY)
    x = np.linspace(0.01, 0.99, 301)
    h = 1e-4
    second = (f(x + h) - 2 * f(x) + f(x - h)) / h**2
    knots = np.linspace(0, 1, 65)
    nodes = (f(knots[1:-1] + h) - 2 * f(knots[1:-1]) + f(knots[1:-1] - h)) / h**2
    inside = (x > knots[1]) & (x < knots[-2])
    line = np.interp(x[inside], knots[1:-1], nodes)
    np.testing.assert_allclose(second[inside], line, atol=0.02 * np.abs(nodes).max())


@pytest.mark.parametrize("cls", [c for c in CLASSES if isinstance(c, targets.BoundedVariation)])
def test_variation_of_draws(cls):
    for f in cls.draws(10, 9, key=KEY):
        values = f(f.knots)
        assert np.abs(np.diff(values)).sum() == pytest.approx(cls.radius, rel=1e-9)
        _, y = _dense(f, 20000)
        assert np.abs(np.diff(y)).sum() <= cls.radius * (1 + 1e-9)


@pytest.mark.parametrize("cls", BESOV, ids=[c.name for c in BESOV])
def test_besov_coefficients_are_those_of_pywavelets(cls):
    """Inner products with wavelets from PyWavelets' cascade, not by our filters."""
    f = cls.draw(cells=32, kind=0, key=KEY)
    coefficients = _coefficients(f, cls.wavelet)
    _, psi, x = pywt.Wavelet(cls.wavelet).wavefun(12)
    level, length = 5, x[-1]
    dense = np.linspace(0, length, 2**15 + 1)
    wave = np.interp(dense, x, psi)
    ours = coefficients[2**level : 2 ** (level + 1)]
    theirs = []
    for k in range(2**level):
        place = np.mod((dense + k) / 2**level, 1.0)
        integrand = f(place) * wave * 2 ** (level / 2) / 2**level
        theirs.append(np.trapezoid(integrand, dense))
    theirs = np.array(theirs)
    # PyWavelets numbers its wavelets from another place and may flip their sign.
    best = min(
        np.abs(np.roll(sign * theirs, shift) - ours).max()
        for shift in range(2**level)
        for sign in (1, -1)
    )
    assert best <= 0.01 * np.abs(ours).max()


def _coefficients(f, wavelet):
    from qrelu.targets._besov_class import coefficients_of_polygon

    return coefficients_of_polygon(f.values[:-1], wavelet)


@pytest.mark.parametrize("cls", BESOV, ids=[c.name for c in BESOV])
def test_besov_draws(cls):
    for f in cls.draws(10, 5, key=KEY):
        found = cls.examine(f)
        assert found.answer is None and found.lower == pytest.approx(1.0, rel=1e-8)
        values = f.values[:-1]
        # Parseval: the wavelets are an orthonormal basis at the resolution of the polygon.
        v, w = values, np.roll(values, -1)
        square = np.mean((v * v + v * w + w * w) / 3)
        coefficients = _coefficients(f, cls.wavelet)
        assert 0.98 * square <= np.sum(coefficients**2) <= square * (1 + 1e-12)
        assert coefficients[0] == pytest.approx(values.mean(), abs=1e-12)
        twice = targets.Data(f.knots, 2 * f.values)
        assert cls.contains(twice) is False
    assert cls.contains(targets.get("sine")) is None


def test_besov_norm_by_hand():
    cls = targets.Besov(1.0, 1.0, 1.0)
    # |c_0| + sum_j 2^(j/2) ||b_j||_1
    assert cls.norm_of_coefficients(np.array([1.0, 2.0, 3.0, -4.0])) == pytest.approx(
        1 + 2 + math.sqrt(2) * 7
    )
    cls = targets.Besov(1.5, math.inf, math.inf)
    assert cls.norm_of_coefficients(np.array([1.0, 2.0, 3.0, -4.0])) == pytest.approx(16.0)


@pytest.mark.parametrize(
    "cls, name, answer",
    [
        (targets.Lipschitz(3.0), "square", True),  # (1, slope 2)
        (targets.Lipschitz(1.9), "square", False),
        (targets.Lipschitz(2 * math.pi * 1.001), "sine", True),
        (targets.Lipschitz(6.2), "sine", False),
        (targets.Lipschitz(100.0), "sqrt", False),
        (targets.Hoelder(0.5, 1.0), "sqrt", None),
        (targets.Hoelder(0.5, 0.99), "sqrt", False),
        (targets.Hoelder(0.5, 0.99), "takagi", False),
        (targets.Hoelder(2, 40.0), "sine", True),  # |f''| <= 39.5
        (targets.Hoelder(2, 39.0), "sine", False),
        (targets.Hoelder(2, 100.0), "kink", False),
        (targets.Sobolev(1, 2, radius=4.45), "sine", True),  # ||f'||_2 = 2 pi/sqrt 2 = 4.443
        (targets.Sobolev(1, 2, radius=4.44), "sine", False),
        (targets.Sobolev(2, 2, radius=27.95), "sine", True),  # 4 pi^2/sqrt 2 = 27.92
        (targets.Sobolev(2, 2, radius=27.8), "sine", False),
        (targets.Sobolev(2, 1, radius=1e3), "kink", None),  # a kink is in no W^2_1; not seen
        (targets.BoundedVariation(4.01), "sine", True),
        (targets.BoundedVariation(3.999), "sine", False),
        (targets.BoundedVariation(1.001), "sqrt", None),
        (targets.BoundedVariation(0.999), "sqrt", False),
        (targets.BoundedVariation(1.001), "kink", True),
        (targets.PiecewiseSmooth(2, 1, 40.0), "sine", True),
        (targets.PiecewiseSmooth(2, 1, 1.0), "kink", True),
    ],
)
def test_membership_of_known_functions(cls, name, answer):
    assert cls.contains(targets.get(name)) is answer, cls.examine(targets.get(name))


def test_bounds_of_norms_enclose_closed_forms():
    sine = targets.get("sine")
    for cls, value in [
        (targets.Lipschitz(), 2 * math.pi),
        (targets.Hoelder(2), 4 * math.pi**2),
        (targets.Sobolev(1, 1), 4.0),
        (targets.Sobolev(1, 2), 2 * math.pi / math.sqrt(2)),
        (targets.Sobolev(1, math.inf), 2 * math.pi),
        (targets.Sobolev(2, 2), 4 * math.pi**2 / math.sqrt(2)),
        (targets.BoundedVariation(), 4.0),
    ]:
        found = cls.examine(sine)
        assert found.lower <= value * (1 + 1e-9) and value <= found.upper * (1 + 1e-9), cls.name
        assert found.upper <= 1.02 * value and found.lower >= 0.98 * value, cls.name
    # |sin x - sin y| <= 2 sin(|x - y|/2): the largest quotient over t^(1/2) for 2 pi x.
    t = np.linspace(1e-6, 0.5, 200001)
    value = (2 * np.sin(math.pi * t) / np.sqrt(t)).max()
    found = targets.Hoelder(0.5).examine(sine)
    assert found.lower <= value <= found.upper <= 1.2 * value and found.lower >= 0.999 * value


def test_jumps_are_seen():
    step = targets.Function(
        lambda x: np.where(x < 0.3, -0.5, 0.5), (0.0, 1.0), breakpoints=(0.3,), name="step"
    )
    assert targets.Lipschitz(1e6).contains(step) is False
    assert targets.Hoelder(0.5, 1e3).contains(step) is False
    assert targets.Sobolev(1, 2, radius=1e3).contains(step) is False
    assert targets.BoundedVariation(0.9).contains(step) is False
    flat = targets.Function(
        lambda x: np.where(x < 0.3, -0.5, 0.5),
        (0.0, 1.0),
        breakpoints=(0.3,),
        curvature=0.0,
        name="flat",
    )
    assert targets.BoundedVariation().contains(flat) is True
    assert targets.Lipschitz(1e6).contains(flat) is False
    assert targets.PiecewiseSmooth(2).contains(flat) is True
    two = targets.Function(
        lambda x: np.where((x > 0.3) & (x < 0.6), -0.5, 0.5),
        (0.0, 1.0),
        breakpoints=(0.3, 0.6),
        curvature=0.0,
        name="two",
    )
    assert targets.PiecewiseSmooth(2).contains(two) is False
    assert targets.PiecewiseSmooth(2, 2).contains(two) is True
    assert targets.PiecewiseSmooth(0.5, 1).contains(two) is False


@pytest.mark.parametrize("s", [0.01, 0.1, 0.2, 0.25, 0.26, 1.5])
def test_rough_functions_with_jumps_are_drawn_and_recognized(s):
    """Far below one power of the distance, a change within rounding of a place may be large."""
    cls = targets.PiecewiseSmooth(s, 2, 1.5)
    for f in [cls.draw(cells=64, kind=k, key=KEY) for k in range(3)] + [cls.extremal(9, key=KEY)]:
        assert np.abs(f(_dense(f)[0])).max() >= 0.4
        found = cls.examine(f)
        assert found.answer is True and found.lower == pytest.approx(1.5, rel=1e-9)
    for height in (0.2, 0.9):
        step = targets.Function(
            lambda x, height=height: np.where(x < 1 / 3, -height, height),
            (0.0, 1.0),
            breakpoints=(1 / 3,),
            curvature=0.0,
            name="step",
        )
        assert targets.PiecewiseSmooth(s).examine(step).upper == pytest.approx(height, rel=1e-9)


def test_knots_that_are_no_kinks_take_no_point():
    cls = targets.PiecewiseSmooth(2)
    assert cls.contains(targets.Data([0, 0.25, 0.5, 0.75, 1], [0, 0.25, 0.5, 0.25, 0])) is True
    assert cls.contains(targets.Data([0, 0.25, 0.5, 0.75, 1], [0, 0.25, 0.5, 0.25, 0.5])) is False

    def jump_and_kink(x):
        return np.where(x < 0.25, -1, np.where(x < 0.6, 1.0, 1 - (x - 0.6)))

    # Values do not prove that the slope at 0.8 is continuous, and do not refute it.
    cls = targets.PiecewiseSmooth(2, 2, 4.0)
    for places, answer in [((0.25, 0.6), True), ((0.25, 0.6, 0.8), None)]:
        f = targets.Function(jump_and_kink, (0.0, 1.0), breakpoints=places, curvature=0.0)
        assert cls.contains(f) is answer and cls.examine(f).lower == pytest.approx(1.0)


def test_points_that_no_jump_takes_may_stand_anywhere():
    """A line of slope 1.3, cut in n equal parts, has the seminorm 1.3 n^(s - 1)."""
    line = targets.Function(lambda x: 1.3 * x - 0.65, (0.0, 1.0), curvature=0.0, name="line")
    for jumps in (1, 2, 3):
        norm = max(1.3 * (jumps + 1) ** -0.5, 0.65)
        found = targets.PiecewiseSmooth(0.5, jumps).examine(line)
        assert found.lower <= norm * (1 + 1e-9) and norm <= found.upper * (1 + 1e-9)
        assert found.upper <= 1.01 * norm and found.lower >= 0.99 * norm
    # Three kinks: two points are too few, wherever they stand.
    kinks = targets.Function(
        lambda x: np.abs(x - 0.6) + np.abs(x - 0.8) + np.abs(x - 0.9),
        (0.0, 1.0),
        breakpoints=(0.6, 0.8, 0.9),
        curvature=0.0,
        name="kinks",
    )
    answers = [targets.PiecewiseSmooth(2, jumps, 3.1).contains(kinks) for jumps in (1, 2, 3)]
    assert answers == [False, False, True]


def test_an_undeclared_spike_is_not_certified():
    """Without a bound on the second derivative values prove nothing."""
    spike = targets.Function(lambda x: 0.1 * x, (0.0, 1.0), name="line")
    assert targets.Lipschitz().contains(spike) is None
    known = targets.Function(lambda x: 0.1 * x, (0.0, 1.0), curvature=0.0, name="line")
    assert targets.Lipschitz().contains(known) is True


def test_constants_belong_to_hoelder_balls():
    half = targets.Function(lambda x: 0 * x + 0.5, (0.0, 1.0), curvature=0.0, name="half")
    found = targets.Hoelder(0.5).examine(half)
    assert found.answer is True and found.upper == 0.5


@pytest.mark.parametrize("cls", [*CLASSES, *BESOV], ids=[*IDS, *(c.name for c in BESOV)])
def test_extremal_draws_oscillate_more_often_than_they_have_parameters(cls):
    for size in (1, 5, 40):
        f = cls.extremal(size, key=KEY)
        x, y = _dense(f, 8000)
        slopes = np.sign(np.diff(y))
        slopes = slopes[slopes != 0]
        assert np.count_nonzero(np.diff(slopes)) >= size
        assert cls.contains(f) is not False


def test_random_draws_are_rough_at_all_scales():
    """Oscillations over cells of length h fall like h^s from coarse to fine."""
    for s, kinds in ((0.5, (0, 2)), (1.0, (0,))):
        for kind in kinds:
            f = targets.Hoelder(s).draw(cells=4096, kind=kind, key=KEY)
            x = np.linspace(0, 1, 4097)
            values = f(x)
            scales = 2 ** np.arange(3, 10)
            osc = [
                np.ptp(np.lib.stride_tricks.sliding_window_view(values, k + 1), 1).max()
                for k in scales
            ]
            slope = np.polyfit(np.log(scales), np.log(osc), 1)[0]
            assert slope == pytest.approx(s, abs=0.15)


def test_piecewise_polynomials_obey_the_laws_of_targets():
    f = targets.PiecewisePolynomial(
        np.array([0.0, 0.5, 2.0]), np.array([[0.0, 0.0, 1.0], [0.25, 1.0, -1.0]]), name="two"
    )
    assert f.breakpoints == () and f.domain == (0.0, 2.0)
    x = np.linspace(0, 2, 41)
    known = np.where(x < 0.5, x**2, 0.25 + (x - 0.5) - (x - 0.5) ** 2)
    np.testing.assert_allclose(f(x), known, atol=1e-15)
    np.testing.assert_allclose(np.asarray(f(jax.numpy.asarray(x))), known, atol=1e-15)
    np.testing.assert_allclose(f.derivative(x), np.where(x < 0.5, 2 * x, 2 - 2 * x), atol=1e-15)
    assert f.curvature(0.1, 1.0) == pytest.approx(2.0)
    kinked = targets.PiecewisePolynomial(
        np.array([0.0, 1.0, 2.0, 3.0]), np.array([[0.0, 1.0], [1.0, -1.0], [5.0, -1.0]])
    )
    assert kinked.breakpoints == (1.0, 2.0)
    bounds = kinked.curvature(np.array([0.0, 0.5, 2.0]), np.array([1.0, 1.5, 3.0]))
    np.testing.assert_array_equal(bounds, [0.0, math.inf, 0.0])


def test_curvature_bounds_second_differences():
    f = targets.Sobolev(3, 2.0).draw(cells=64, kind=0, key=KEY)
    rng = np.random.default_rng(0)
    ends = np.sort(rng.uniform(0, 1, (200, 2)), axis=1)
    bounds = f.curvature(ends[:, 0], ends[:, 1])
    for (a, b), bound in zip(ends, bounds, strict=True):
        x = np.linspace(a, b, 33)
        second = np.diff(f(x), 2) / (x[1] - x[0]) ** 2
        noise = 1e-15 / (x[1] - x[0]) ** 2
        assert np.abs(second).max() <= bound * (1 + 1e-9) + noise


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: targets.Lipschitz(0.0), "radius=....*positive and finite; got 0"),
        (lambda: targets.Lipschitz(1.0, (1.0, 0.0)), "lower < upper"),
        (lambda: targets.Hoelder(-0.5), "smoothness=....*positive and finite; got -0.5"),
        (lambda: targets.Hoelder(7.0), "at most 6"),
        (lambda: targets.Sobolev(0.5), "whole number of derivatives.*Besov"),
        (lambda: targets.Sobolev(1, 0.5), "p=....*at least 1"),
        (lambda: targets.Sobolev(1, 2.0, 0), "dimension=....*at least 1"),
        (lambda: targets.Besov(1.0, math.nan), "p=....*positive number.*got nan"),
        (lambda: targets.Sobolev(1, 2.0, radius=-1.0), "radius=....*positive"),
        (lambda: targets.Besov(1.5, 0.5), "not compact in L2"),
        (lambda: targets.Besov(0.5, 1.0), "above d max"),
        (lambda: targets.Besov(1.0, 0.0), "p=....*positive"),
        (lambda: targets.Besov(3.0), "below 2.76"),
        (lambda: targets.PiecewiseSmooth(2, 0), "jumps=....*at least 1"),
        (lambda: targets.Cartoon(1.0, 1), "PiecewiseSmooth"),
        (lambda: targets.Cartoon(1.0).draw(key=KEY), "one variable"),
        (lambda: targets.Sobolev(2, 2.0, 2).draws(4, 1, key=KEY), "one variable; this one has 2"),
        (lambda: targets.Sobolev(2, 2.0, 2).contains(targets.get("exp")), "one variable"),
        (lambda: targets.Lipschitz().draws(8, 0, key=KEY), "whole numbers from 1 on; got 0"),
        (lambda: targets.Lipschitz().draws(0, 2, key=KEY), "whole numbers from 1 on; got 0"),
        (lambda: targets.Lipschitz().draw(cells=4, key=KEY), "from 8 on; got 4"),
        (lambda: targets.Lipschitz(domain=(0.0, 2.0)).contains(targets.get("exp")), "domain"),
        (lambda: targets.Besov(1.5).norm_of_coefficients(np.ones(3)), r"2\^J coefficients; got 3"),
        (
            lambda: targets.PiecewisePolynomial(np.array([0.0, 0.0]), np.ones((1, 1))),
            "increasing finite numbers",
        ),
        (
            lambda: targets.PiecewisePolynomial(np.array([0.0, 1.0]), np.ones((2, 1))),
            "one row of finite numbers",
        ),
    ],
)
def test_bad_arguments(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_wrong_types():
    with pytest.raises(TypeError, match=r"JAX key; got 3. Write `jax.random.key\(0\)`"):
        targets.Lipschitz().draw(key=3)
    with pytest.raises(TypeError, match="key"):
        targets.Lipschitz().draws(8, 2)
    with pytest.raises(TypeError, match="must get a target.*targets.Function"):
        targets.Lipschitz().contains(np.sin)
    old = targets.Lipschitz().draw(kind=0, key=jax.random.PRNGKey(7))
    new = targets.Lipschitz().draw(kind=0, key=KEY)
    np.testing.assert_array_equal(old.values, new.values)


# Without the types that this process checks, as at home.
MISTAKES = """
from qrelu.targets import Besov, Hoelder, Sobolev
for call, text in [
    (lambda: Sobolev(2, 2.0, 2.5), "`Sobolev(dimension=...)` must be a whole number"),
    (lambda: Besov(1.0, dimension="2"), "`Besov(dimension=...)` must be a whole number"),
    (lambda: Sobolev(2, "a"), "`Sobolev(p=...)` must be at least 1"),
    (lambda: Besov(1.0, None), "`Besov(p=...)` must be a positive number"),
    (lambda: Besov(1.0, q="a"), "`Besov(q=...)` must be a positive number"),
    (lambda: Hoelder(1j), "`Hoelder(smoothness=...)` must be positive"),
]:
    try:
        call()
    except ValueError as error:
        assert text in str(error) and "got" in str(error), error
    else:
        raise AssertionError(text)
"""


def test_numbers_of_other_kinds():
    done = subprocess.run([sys.executable, "-c", MISTAKES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_classes_by_name():
    known = {
        "lipschitz": targets.Lipschitz(),
        "Hoelder:0.5": targets.Hoelder(0.5),
        "sobolev:2": targets.Sobolev(2.0),
        "sobolev:2,inf": targets.Sobolev(2.0, math.inf),
        "besov:1.5,1,1": targets.Besov(1.5, 1.0, 1.0),
        "bv": targets.BoundedVariation(),
        "piecewise-smooth:2,3": targets.PiecewiseSmooth(2.0, 3),
    }
    for name, cls in known.items():
        assert targets.get_class(name) == cls
    assert {name.partition(":")[0] for name in targets.class_names()} == {
        name.partition(":")[0].lower() for name in known
    }
    for name, text in {
        "continuous": "must name a class of functions: lipschitz, hoelder:s",
        "hoelder": "numbers like hoelder:s; got ''",
        "hoelder:x": "numbers like hoelder:s; got 'x'",
        "lipschitz:2": "numbers like lipschitz; got '2'",
        "hoelder:-1": "positive and finite",
        "piecewise-smooth:2,1.5": "a whole number of jumps; got 1.5",
    }.items():
        with pytest.raises(ValueError, match=text):
            targets.get_class(name)


def test_where_a_class_is_not_compact():
    assert targets.BoundedVariation().why_not_compact(2.0) == ""
    assert "jump" in targets.BoundedVariation().why_not_compact(math.inf)
    assert targets.Sobolev(1, 2).why_not_compact(math.inf) == ""
    assert "above d (1/p - 1/q) = 1" in targets.Sobolev(1, 1).why_not_compact(math.inf)
    assert targets.Sobolev(1, 1).why_not_compact(2.0) == ""
    assert targets.Besov(1.0, 1.0, 1.0).why_not_compact(math.inf) != ""
    assert "jump" in targets.PiecewiseSmooth(1).why_not_compact(math.inf)
