"""Best polynomials in the sup norm, at high degrees, against closed forms and each other."""

import math
import warnings

import numpy as np
import pytest
import scipy.optimize

from qrelu import families, norms, targets
from qrelu.families._remez import best_polynomial

L1, L2, SUP = norms.L1(), norms.L2(), norms.Sup()
Function = targets.Function
# n E_n(|x|) for even n tends to Bernstein's constant, from below like n^-2 (Varga and Carpenter).
BERNSTEIN = 0.2801694990


def _best(target, degree):
    """The measured error of a best polynomial; its distance to the best one must be proven."""
    fitted = families.Polynomial().fit(target, degree + 1, norm=SUP)
    assert fitted.notes == ""
    return float(SUP.distance(fitted.function, target))


@pytest.mark.parametrize("degree", [90, 100, 120, 128, 160, 180, 200, 256, 300, 398])
@pytest.mark.parametrize("lower, upper", [(-1.0, 1.0), (3.0, 7.0)])
def test_bernsteins_constant_at_high_degrees(degree, lower, upper):
    middle, half = (lower + upper) / 2, (upper - lower) / 2
    target = Function(lambda x: np.abs(x - middle) / half, (lower, upper), breakpoints=(middle,))
    scaled = degree * _best(target, degree)
    # 0.28016950 - 0.0439 n^-2 ..., as seen from the degrees 8 to 32.
    assert BERNSTEIN - 0.2 / degree**2 < scaled < BERNSTEIN + 1e-9


@pytest.mark.parametrize("degree", [99, 111, 255, 399])
def test_the_best_polynomial_of_an_even_function_is_that_of_the_even_degree_below(degree):
    target = Function(np.abs, (-1.0, 1.0), breakpoints=(0.0,), name="|x|")
    assert _best(target, degree) == pytest.approx(_best(target, degree - 1), rel=1e-6)
    odd = Function(lambda x: x * np.abs(x), (-1.0, 1.0), breakpoints=(0.0,), name="x|x|")
    assert _best(odd, degree - 1) == pytest.approx(_best(odd, degree - 2), rel=1e-6)


@pytest.mark.parametrize("half", [1, 7, 50, 64, 100, 150, 195])
def test_best_polynomials_of_the_root_and_of_the_absolute_value_are_the_same(half):
    """With x = t^2: E_2m(|t|) on [-1, 1] is E_m(sqrt) on [0, 1]."""
    absolute = Function(np.abs, (-1.0, 1.0), breakpoints=(0.0,), name="|x|")
    root = Function(np.sqrt, (0.0, 1.0), name="sqrt")
    assert _best(absolute, 2 * half) == pytest.approx(_best(root, half), rel=1e-6)
    # The same for t^2 |t|^(1/2), whose root is in the even part.
    fourth = Function(lambda x: x**0.25, (0.0, 1.0), name="x^(1/4)")
    even = Function(lambda x: np.abs(x) ** 0.5, (-1.0, 1.0), breakpoints=(0.0,), name="sqrt|x|")
    assert _best(even, 2 * half) == pytest.approx(_best(fourth, half), rel=1e-6)


@pytest.mark.parametrize("degree", [100, 150, 200, 300, 390])
def test_a_monomial_and_a_pole_at_high_degrees(degree):
    """1/(x - a): (a - sqrt(a^2 - 1))^n / (a^2 - 1); the even part of it is as far away."""
    a = 1.002
    best = (a - math.sqrt(a * a - 1)) ** degree / (a * a - 1)
    pole = Function(lambda x: 1 / (x - a), (-1.0, 1.0), name="pole")
    assert _best(pole, degree) == pytest.approx(best, rel=3e-5, abs=1e-10)
    chebyshev = Function(
        lambda x: np.cos((degree + 1) * np.arccos(np.clip(x, -1, 1))), (-1.0, 1.0), name="T"
    )
    assert _best(chebyshev, degree) == pytest.approx(1.0, abs=1e-10)


CUTS = {
    "three kinks": (
        lambda x: np.abs(x - 0.3) + 0.7 * np.abs(x + 0.55) - 0.2 * np.abs(x - 0.81),
        (-0.55, 0.3, 0.81),
    ),
    "kinks and roots": (
        lambda x: np.sqrt(np.abs(x - 0.2)) + np.abs(x + 0.5) ** 0.3 + np.sin(20 * x),
        (-0.5, 0.2),
    ),
    "undeclared": (lambda x: np.abs(x - 0.123456) - np.abs(x + 0.77) ** 1.5, ()),
    "even, far": (lambda x: np.abs(x * x - 0.25), (-0.5, 0.5)),
    "odd": (np.cbrt, (0.0,)),
}


@pytest.mark.parametrize("name", CUTS)
def test_errors_fall_with_the_degree_for_kinks_anywhere(name):
    function, breakpoints = CUTS[name]
    target = Function(function, (-1.0, 1.0), breakpoints=breakpoints, name=name)
    errors = [_best(target, degree) for degree in (5, 20, 60, 99, 100, 128, 200, 301)]
    assert all(
        after <= before * (1 + 1e-9) for before, after in zip(errors, errors[1:], strict=False)
    )
    # On any interval the best error is the same.
    moved = Function(
        lambda x: function((x - 12) / 3), (9.0, 15.0), breakpoints=[12 + 3 * b for b in breakpoints]
    )
    assert _best(moved, 100) == pytest.approx(errors[4], rel=1e-6)


@pytest.mark.parametrize("degree", [20, 61])
def test_kinks_against_linear_programming(degree):
    """HiGHS on a grid that holds the kinks, which are extrema."""
    kinks = (-0.55, 0.3, 0.81)

    def function(x):
        return np.abs(x[..., None] - np.array(kinks)) @ np.array([0.7, 1.0, -0.2])

    x = np.unique(np.concatenate([-np.cos(np.linspace(0, np.pi, 2001)), kinks]))
    basis = np.polynomial.chebyshev.chebvander(x, degree)
    sides = np.vstack([np.c_[basis, -np.ones(x.size)], np.c_[-basis, -np.ones(x.size)]])
    goal = np.append(np.zeros(degree + 1), 1.0)
    values = np.concatenate([function(x), -function(x)])
    least = scipy.optimize.linprog(goal, sides, values, bounds=(None, None)).fun
    error = _best(Function(function, (-1.0, 1.0), breakpoints=kinks), degree)
    assert least * (1 - 1e-7) <= error <= least * (1 + 1e-3)


def test_an_error_of_one_sign_at_first():
    """A constant for an even function: on two ends the level is zero, and the error positive."""
    runge = Function(lambda x: 1 / (1 + 25 * x * x), (-1.0, 1.0), name="runge")
    assert _best(runge, 0) == pytest.approx((1 - 1 / 26) / 2, abs=1e-12)


def test_nothing_is_worse_than_the_interpolant():
    """A wave that no point sees, of more oscillations than the samples follow."""
    x = np.linspace(-1, 1, 20_001)
    rng = np.random.default_rng(0)
    for degree in (3, 30):
        noise = rng.normal(size=64)

        def function(t, noise=noise):
            return np.cos(1e3 * t) + noise[np.clip((32 * (t + 1)).astype(int), 0, 63)]

        found, factor = best_polynomial(function, degree, np.zeros(1))
        near = np.polynomial.chebyshev.Chebyshev.interpolate(function, degree).coef
        worst = [
            np.max(np.abs(np.polynomial.chebyshev.chebval(x, c) - function(x)))
            for c in (found, near)
        ]
        assert worst[0] <= worst[1] * 1.05 and factor >= 1.0


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300, 1e303])
@pytest.mark.parametrize("norm", [L1, L2, SUP], ids=lambda norm: norm.name)
def test_huge_and_tiny_functions_are_as_good_as_others(scale, norm):
    def error(size, scale):
        wave = Function(lambda x: scale * np.cos(3 * x) * np.exp(x), (0.0, 1.0), name="wave")
        fitted = families.Polynomial().fit(wave, size, norm=norm)
        assert fitted.notes == ""
        return float(norm.distance(fitted.function, wave)) / scale

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for size in (2, 9):
            assert error(size, scale) == pytest.approx(error(size, 1.0), rel=1e-3)
        assert error(29, scale) < 1e-13
