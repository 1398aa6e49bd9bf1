"""The sup distance never misses a maximum that a declared curvature allows to exist."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrelu import families, norms, targets

# max |f''| of the bump (1 - z^2)^3, |z| < 1: f'' = -6 (1 - z^2)(1 - 5 z^2), largest at z = 0.
_BEND = 6.0


class Bump:
    """A line and a bump of `height` and half-width `width` at `center`, with zero elsewhere.

    `local`: the curvature bound knows where the bump is; otherwise it is one number for all.
    """

    name, breakpoints, singular_ends, domain = "bump", (), (False, False), (0.0, 1.0)

    def __init__(self, center, width, height, slope=0.0, local=False):
        self.center, self.width, self.height = center, width, height
        self.slope, self.local = slope, local

    def __call__(self, x):
        z = np.minimum(np.abs(x - self.center) / self.width, 1.0)
        return self.slope * x + self.height * (1 - z * z) ** 3

    def curvature(self, lower, upper):
        bound = np.full(lower.shape, _BEND * abs(self.height) / self.width**2 * (1 + 1e-9))
        if self.local:
            far = (lower > self.center + self.width) | (upper < self.center - self.width)
            bound = np.where(far, 1e-300, bound)
        return bound


def sup_error(target, pieces, offset=0.0):
    t = np.linspace(0, 1, pieces + 1)
    return norms.Sup().between(t, target.slope * t + offset, target)


@pytest.mark.parametrize("pieces", [1, 3, 16])
@pytest.mark.parametrize(
    "center",
    [0.5, 1 / 3, 0.1234567, 0.25 + 1e-4, 1 / np.pi, 0.999, 1e-3, 0.5 - 1 / 64, 2**-0.5],
)
@pytest.mark.parametrize("width", [0.2, 1e-2, 1e-3])
def test_a_bump_between_any_samples_is_found(center, width, pieces):
    target = Bump(center, width, 1.0)
    found = sup_error(target, pieces)
    assert float(found) == pytest.approx(1.0, rel=1e-9)
    assert abs(found - 1.0) <= found.uncertainty
    assert found.location == pytest.approx(center, abs=1e-4 * width)
    assert found.assumption == "declared curvature"


@settings(max_examples=150, deadline=None)
@given(
    st.floats(0.0, 1.0),
    st.floats(-4.5, -0.5),
    st.floats(-3.0, 3.0),
    st.sampled_from([-1.0, 1.0]),
    st.floats(-10, 10),
    st.integers(1, 9),
    st.booleans(),
)
def test_no_bump_is_ever_missed(center, width, height, sign, slope, pieces, local):
    """Position, width, height and surroundings are drawn; B is 6 height/width^2."""
    # A bound that is one number for a bump of 1e-4.5 needs 1e5 cells: keep that for local ones.
    width = 10.0 ** (width if local else max(width, -3.0))
    target = Bump(center, width, sign * 10.0**height, slope, local)
    found = sup_error(target, pieces)
    assert abs(found - 10.0**height) <= found.uncertainty
    assert float(found) == pytest.approx(10.0**height, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.02, 0.98), st.floats(-4.0, -1.5), st.floats(-2.0, 2.0), st.integers(1, 9))
def test_a_bump_on_top_of_a_larger_offset(center, width, height, pieces):
    """The bump is a small part of the distance, and still decides where the maximum is."""
    target = Bump(center, 10.0**width, 10.0**height, local=True)
    found = sup_error(target, pieces, offset=-1e2)
    exact = 1e2 + 10.0**height
    assert abs(found - exact) <= found.uncertainty
    if height > -1:
        assert found.location == pytest.approx(center, abs=10.0**width)


def test_the_search_says_when_it_could_not_finish():
    """Too few values for the bump: the declared bound stays in the uncertainty."""
    target = Bump(0.1234567, 1e-3, 1.0)
    found = norms.Sup(points=100).between(np.array([0.0, 1.0]), np.zeros(2), target)
    assert abs(found - 1.0) <= found.uncertainty or found.assumption == "estimated curvature"


def test_local_suprema_find_the_bump_on_its_piece_and_nothing_elsewhere():
    target = Bump(0.37, 5e-3, 2.0, local=True)
    t = np.linspace(0, 1, 11)
    local = norms.Sup().piecewise(t, np.zeros(11), target)
    expected = np.zeros(10)
    expected[3] = 2.0
    assert (np.abs(local.errors - expected) <= local.uncertainty + 1e-15).all()
    assert local.locations[3] == pytest.approx(0.37, abs=1e-6)
    assert local.uncertainty.max() < 4e-6


class Cosine:
    name, breakpoints, singular_ends, domain = "cosine", (), (False, False), (0.0, 1.0)

    def __call__(self, x):
        return np.cos(17 * x) * np.exp(x)

    def curvature(self, lower, upper):
        return None


@pytest.mark.parametrize("pieces", [1, 4, 33])
def test_estimated_curvature_is_named_and_works_on_smooth_targets(pieces):
    target = Cosine()
    t = np.linspace(0, 1, pieces + 1)
    p = np.zeros_like(t)
    found = norms.Sup().between(t, p, target)
    # (e^x cos 17x)' = 0 where tan 17x = 1/17; the last extremum inside is the largest.
    x = (np.arctan(1 / 17) + 5 * np.pi) / 17
    exact = abs(np.cos(17 * x) * np.exp(x))
    assert found.assumption == "estimated curvature"
    assert float(found) == pytest.approx(exact, rel=1e-11)
    assert abs(found - exact) <= found.uncertainty
    assert found.uncertainty < 1e-5


class Power:
    """|x - c|^alpha with its bounds; the modulus of continuity only when asked for."""

    name, singular_ends, domain = "power", (False, False), (0.0, 1.0)

    def __init__(self, alpha, c, with_modulus):
        self.alpha, self.c = alpha, c
        self.breakpoints = (c,) if 0 < c < 1 else ()
        self.singular_ends = (c == 0, c == 1)
        if with_modulus:
            self.modulus = lambda h: h**alpha

    def __call__(self, x):
        return np.abs(x - self.c) ** self.alpha

    def curvature(self, lower, upper):
        d = np.maximum(np.maximum(lower - self.c, self.c - upper), 0.0)
        safe = np.where(d > 0, d, 1.0)
        a = self.alpha
        return np.where(d > 0, a * (1 - a) * safe ** (a - 2), np.inf)


@pytest.mark.parametrize("with_modulus", [True, False])
@pytest.mark.parametrize("c", [0.0, 1 / 3, 1.0])
@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("pieces", [1, 3, 64])
def test_singular_points(alpha, c, with_modulus, pieces):
    """The chord from the singular point over a length h: the gap is h^alpha times a constant."""
    target = Power(alpha, c, with_modulus)
    t = np.union1d(np.linspace(0, 1, pieces + 1), [c])
    found = norms.Sup().between(t, target(t), target)
    h = np.max(np.diff(t)[(t[:-1] == c) | (t[1:] == c)])
    # y^a - y on [0, 1] is largest at y = a^(1/(1 - a)).
    y = alpha ** (1 / (1 - alpha))
    exact = h**alpha * (y**alpha - y)
    assert float(found) == pytest.approx(exact, rel=1e-6)
    assert abs(found - exact) <= found.uncertainty
    # One ulp of 1/3 to the power alpha is what a float cannot resolve next to it.
    assert found.uncertainty <= 1e-6 * exact + 3 * np.spacing(c) ** alpha * 5
    words = "declared curvature and modulus of continuity" if with_modulus else "declared curvature"
    assert found.assumption in (words, "declared curvature")


def test_best_spline_of_sqrt_equioscillates():
    """sqrt on [0, 1], N pieces, knots (i(i+1)/(N(N+1)))^2, shifted by half: 1/(4 N (N + 1))."""
    n = 64
    i = np.arange(n + 1)
    t = (i * (i + 1) / (n * (n + 1))) ** 2
    target = Power(0.5, 0.0, True)
    error = 1 / (4 * n * (n + 1))
    found = norms.Sup(accuracy=1e-9).between(t, np.sqrt(t) + error, target)
    assert float(found) == pytest.approx(error, rel=1e-9)
    assert abs(found - error) <= found.uncertainty
    local = norms.Sup(accuracy=1e-9).piecewise(t, np.sqrt(t) + error, target)
    np.testing.assert_allclose(local.errors, error, rtol=1e-9)


class Rough:
    """Takagi's function: continuous, nowhere differentiable, sup 2/3 at 1/3."""

    name, breakpoints, singular_ends, domain = "takagi", (), (False, False), (0.0, 1.0)

    def __call__(self, x):
        total, scale = np.zeros_like(x), 1.0
        for _ in range(48):
            total += scale * np.abs(x - np.round(x))
            x, scale = 2 * x, scale / 2
        return total

    def curvature(self, lower, upper):
        return np.full_like(lower, np.inf)


@pytest.mark.parametrize("points", [0, 100, 3000, 2**15])
def test_rough_targets_end_with_an_honest_uncertainty(points):
    found = norms.Sup(points=points).between(np.array([0.0, 1.0]), np.zeros(2), Rough())
    assert abs(found - 2 / 3) <= found.uncertainty
    assert math.isfinite(found.uncertainty)
    assert found.assumption == "estimated curvature"


def test_a_declared_bound_is_sharper_than_a_grid():
    """Twice as many grid points never help to find this: the grid sees zero everywhere."""
    c = 1 / 3
    target = Bump(c, 1e-4, 1.0, local=True)
    grid = np.linspace(0, 1, 1024 + 1)
    assert np.abs(target(grid)).max() == 0.0
    assert float(sup_error(target, 1024)) == pytest.approx(1.0, rel=1e-9)


class Kink:
    """rise |x - c|^power before c and fall |x - c|^power after it, with nothing declared."""

    name, breakpoints, singular_ends, domain = "kink", (), (False, False), (5.0, 6.0)

    def __init__(self, rise, fall, power, c):
        self.rise, self.fall, self.power, self.c = rise, fall, power, c

    def __call__(self, x):
        return np.where(x < self.c, self.rise, self.fall) * np.abs(x - self.c) ** self.power

    def curvature(self, lower, upper):
        return None


KINKS = [(1, 1, 1.0), (2, 0.3, 1.0), (0.01, 5, 1.0), (1, 1, 0.9), (1, 1, 0.5), (1, 3, 0.5)]


@pytest.mark.parametrize("rise, fall, power", KINKS)
def test_the_maximum_at_an_undeclared_kink_is_reached(rise, fall, power):
    """99 even places, places next to samples of the search, and next to the ends."""
    rng = np.random.default_rng(0)
    near = 10.0 ** rng.uniform(-13, -2, 30)
    places = [np.linspace(5.01, 5.99, 99), 5 + near[:10], 6 - near[10:20], 5.25 + near[20:]]
    t = np.array([5.0, 5.25, 5.5, 5.75, 6.0])
    for c in np.concatenate(places):
        target = Kink(rise, fall, power, c)
        # The chords of a function that is convex on both sides or concave: the kink sticks out.
        p = target(t) + 0.1 * max(rise, fall)
        found = norms.Sup().between(t, p, target)
        x = np.concatenate([[c], t, np.clip(c + near, 5, 6), np.linspace(5, 6, 501)])
        seen = np.max(np.abs(np.interp(x, t, p) - target(x)))
        assert seen <= found + found.uncertainty
        assert found.uncertainty <= 2e-6 * found
        assert float(found) >= seen * (1 - 1e-6)


def test_a_polynomial_against_a_kink():
    """The best parabola to |x - c|: the kink is one of the places where the error is largest."""
    for c in (5.3, *np.linspace(5.05, 5.95, 7)):
        target = targets.Function(lambda x, c=c: np.abs(x - c), (5, 6))
        function = families.Polynomial("chebyshev").fit(target, 2, norm=norms.Sup()).function
        found = norms.Sup().distance(function, target)
        assert found.assumption == "estimated curvature"
        at = np.array([c, 5.0, 6.0])
        assert np.max(np.abs(function(at) - target(at))) <= found + found.uncertainty


def test_the_largest_error_of_every_piece_at_undeclared_kinks():
    t = np.linspace(5, 6, 4)
    for c in np.linspace(5.01, 5.99, 50):
        target = Kink(1, 1, 1.0, c)
        p = target(t)
        local = norms.Sup().piecewise(t, p, target)
        k = np.searchsorted(t, c) - 1
        exact = np.zeros(3)
        exact[k] = np.interp(c, t, p) - target(np.array([c]))[0]
        assert (np.abs(local.errors - exact) <= local.uncertainty + 1e-15).all()
        assert local.errors[k] == pytest.approx(exact[k], rel=1e-9)
