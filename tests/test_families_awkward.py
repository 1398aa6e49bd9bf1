"""Functions of the unfriendly kind: written in JAX, linear, huge, tiny, with jumps."""

import dataclasses
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from qrelu import families, norms, targets
from qrelu.families._jumps import jumps
from qrelu.families._quadrature import quadrature

BASES = [families.FreeKnot(), families.UniformKnot(), families.DyadicTree()]
NORMS = [norms.L1(), norms.L2(), norms.Sup()]


def _name(item):
    return item.name


def _function(fn, domain=(0.0, 1.0), **settings):
    return targets.Function(fn, domain, name="f", **settings)


def _doubled_in_place(x):
    x *= 2
    return x


@pytest.mark.parametrize("norm", NORMS, ids=_name)
@pytest.mark.parametrize("family", BASES, ids=_name)
def test_a_function_of_jax_is_fitted_like_one_of_numpy(family, norm):
    errors = []
    for xp in (jnp, np):
        target = _function(lambda x, xp=xp: xp.exp(xp.sin(4 * x)))
        fitted = family.fit(target, 64, norm=norm)
        errors.append(float(norm.distance(fitted.network, target)))
    np.testing.assert_allclose(errors[0], errors[1], rtol=1e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("norm", NORMS, ids=_name)
@pytest.mark.parametrize("family", BASES, ids=_name)
@pytest.mark.parametrize(
    "fn",
    [lambda x: 2 * x + 1, lambda x: x, _doubled_in_place, lambda x: 0 * x, lambda x: 0 * x + 3],
)
def test_straight_lines_are_reproduced(fn, family, norm):
    target = _function(fn)
    for size in (24, 48, 96, 300):
        fitted = family.fit(target, size, norm=norm)
        assert float(norm.distance(fitted.network, target)) < 1e-14


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e200, 1e-200], ids=str)
@pytest.mark.parametrize("norm", NORMS, ids=_name)
@pytest.mark.parametrize("family", BASES, ids=_name)
def test_the_unit_of_the_values_does_not_matter(family, norm, scale):
    one, other = (
        family.fit(_function(lambda x, s=s: s * np.sin(3 * x)), 48, norm=norm) for s in (1, scale)
    )
    x = np.linspace(0, 1, 999)[:, None]

    def values(network):
        (w, v), (b, c) = network.weights, network.biases
        return np.maximum(x @ w.T + b, 0) @ v.T + c

    if family.name == "dyadic-tree":
        first, last = one.network.biases[-1], other.network.biases[-1]
        np.testing.assert_allclose(last / scale, first, rtol=1e-9)
        first, last = one.network.weights[-1], other.network.weights[-1]
        np.testing.assert_allclose(last / scale, first, rtol=1e-6)
    else:
        np.testing.assert_allclose(
            values(other.network) / scale, values(one.network), rtol=0, atol=1e-6
        )


STEP = 2.0**-0.5
JUMPING = {
    "step": (lambda x: (x > STEP) * 1.0, ()),
    "declared": (lambda x: (x > STEP) * 1.0, (STEP,)),
    "at a grid point": (lambda x: np.where(x < 0.5, 3.0, 1.0), ()),
    "pulse": (lambda x: ((x > 0.4) & (x < 0.41)) * 1.0, ()),
}


@pytest.mark.parametrize("case", JUMPING)
def test_steps_take_steep_pieces_at_every_size(case):
    """A spline with a piece of width w at a jump J is off by at most J w / 4 in L^1."""
    fn, declared = JUMPING[case]
    target = _function(fn, breakpoints=declared)
    for size in (24, 48, 96, 192):
        for norm, most in zip(NORMS[:2], (1e-7, 1e-5), strict=True):
            fitted = families.FreeKnot().fit(target, size, norm=norm)
            assert fitted.connectivity <= size
            assert float(norm.distance(fitted.network, target)) < 2 * most


def test_jumps_leave_the_rest_of_the_function_its_limit():
    smooth = _function(lambda x: np.sin(6 * x))
    target = _function(lambda x: np.sin(6 * x) + (x > 0.3) - 2 * (x > np.pi / 4))
    family, norm = families.FreeKnot(), norms.L2()
    errors = []
    for size in (24, 48, 96, 192, 384):
        errors.append(float(norm.distance(family.fit(target, size, norm=norm).network, target)))
    assert np.all(np.diff(errors) < 0)
    # Two jumps take four pieces and leave a kink each.
    assert errors[-1] <= 1.02 * smooth.limit(norm, family, 384 - 3 * 6).value
    # No continuous function is nearer to a jump of 2 than 1, at any size.
    for network in (family, families.UniformKnot(), families.DyadicTree()):
        with pytest.raises(ValueError, match="jumps by 2 at x = 0.785.*below 1. Use `L1"):
            network.fit(target, 192, norm=norms.Sup())


@pytest.mark.filterwarnings("error")
def test_more_jumps_than_pieces():
    target = _function(lambda x: np.floor(20 * x) % 3)
    norm, errors = norms.L2(), []
    for size in (10, 24, 48, 96, 192):
        fitted = families.FreeKnot().fit(target, size, norm=norm)
        assert fitted.connectivity <= size
        errors.append(float(norm.distance(fitted.network, target)))
    assert np.all(np.diff(errors) < 0) and errors[-1] < 1e-4


def test_jumps_are_told_from_steep_and_singular_places():
    def found(fn, domain=(-1.0, 1.0)):
        return jumps(quadrature(_function(fn, domain)))

    places, sizes = found(lambda x: np.sign(x - 0.3) + 4 * (x >= 0.9))
    np.testing.assert_allclose(places, [0.3, 0.9], rtol=1e-15)
    np.testing.assert_allclose(sizes, [2, 4], rtol=1e-12)
    for fn in (
        lambda x: np.tanh(1e8 * x),
        np.cbrt,
        lambda x: np.sqrt(np.abs(x - 0.2)),
        lambda x: np.where(x == 0, 1.0, x),  # one odd value
        targets.get("weierstrass"),
    ):
        assert found(fn).places.size == 0
    # Neighboring floats at -3 are so far apart that the values there are too.
    for place in (-3.0, 1e6):
        for power in (0.15, 0.3):
            fn = lambda x, place=place, power=power: np.abs(x - place) ** power  # noqa: E731
            assert found(fn, (place, place + 10)).places.size == 0
    for at_end in (0, 1):
        places, sizes = found(lambda x, at_end=at_end: 1.0 * (x == (-3, 7)[at_end]), (-3.0, 7.0))
        assert sizes.tolist() == [(-1.0, 1.0)[at_end]]
        np.testing.assert_allclose(places, (-3, 7)[at_end], rtol=1e-14)


@pytest.mark.parametrize("name", ["free-knot", "cubic-spline-free", "polynomial", "haar"])
def test_a_singular_end_away_from_zero_has_a_sup_error(name):
    """|x + 3|^0.3 is continuous on [-3, 7], and every family gets nearer to it."""
    target = _function(lambda x: np.abs((x + 3) / 10) ** 0.3, (-3.0, 7.0))
    family, norm = families.get(name), norms.Sup()
    few, more = (
        float(norm.distance(family.fit(target, m, norm=norm).function, target)) for m in (8, 32)
    )
    assert more < 0.7 * few


@pytest.mark.parametrize("norm", NORMS, ids=_name)
@pytest.mark.parametrize("family", BASES, ids=_name)
def test_a_value_that_is_not_finite_is_named_with_its_place(family, norm):
    target = _function(lambda x: np.where(np.abs(x - 0.5) < 1e-3, np.nan, x))
    with pytest.raises(ValueError, match=r"f\(0\.[45]\d*\) is nan\. Shrink the domain") as caught:
        family.fit(target, 96, norm=norm)
    place = float(str(caught.value).split("f(")[1].split(")")[0])
    assert np.isnan(target(place))


MISTAKES = """
import numpy as np
from qrelu import families, norms, targets
exp = targets.get("exp")
calls = [
    lambda f: f.fit("exp", 24, norm=norms.L2()),
    lambda f: f.fit(np.sin, 24, norm=norms.L2()),
    lambda f: f.fit(exp, 24, norm="L2"),
    lambda f: f.fit(exp, 24, norm=norms.L2),
    lambda f: f.fit(exp, 24.0, norm=norms.L2()),
]
bases = [families.FreeKnot(), families.UniformKnot(), families.DyadicTree()]
for family in [*bases, families.Quantized(bases[0], families.Bits(4))]:
    for call in calls:
        try:
            call(family)
        except TypeError as error:
            print(error)
for wrong in [(families.FreeKnot, families.Bits(4)), (families.FreeKnot(), 4)]:
    try:
        families.Quantized(*wrong)
    except TypeError as error:
        print(error)
"""


def test_wrong_types_get_one_sentence():
    """In a process of its own: here the annotations are executed and speak first."""
    done = subprocess.run([sys.executable, "-c", MISTAKES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 4 * 5 + 2
    for family in range(4):
        for line, text in zip(
            lines[5 * family : 5 * family + 5],
            (
                "must get a target; got 'exp'. Get one by name with `targets.get`",
                "must get a target; got ufunc.",
                "must get a norm as `norm`; got 'L2'. Pass a norm, for example `norms.L2()`.",
                "must get a norm as `norm`; got the class L2.",
                "must be a whole number of nonzero parameters; got 24.0",
            ),
            strict=True,
        ):
            assert text in line and line.startswith("`")
    assert "must get a family, for example `FreeKnot()`" in lines[-2]
    assert "must get a rule, for example `Bits(8)`; got 4" in lines[-1]


def test_a_term_of_weight_zero_leaves_a_quotient_finite_at_its_place():
    """Weights round to zero: (1 / (t - 0) - 1 / (t - 1)) takes the values 3 and 5, also at 1/2."""
    quotient = families.Barycentric(
        places=np.array([0.0, 0.5, 1.0]),
        values=np.array([3.0, 99.0, 5.0]),
        weights=np.array([1.0, 0.0, -1.0]),
        domain=(-2.0, 2.0),
    )
    np.testing.assert_allclose(quotient(np.array([-2.0, 0.0, 1.0, 2.0])), [3.0, 4.0, 4.5, 5.0])
    assert quotient.bounded
    assert np.isnan(dataclasses.replace(quotient, weights=np.zeros(3))(np.zeros(1))).all()


def test_quotients_of_tiny_values_are_those_of_their_multiples():
    small = targets.Function(lambda x: 2.0**-700 * np.exp(-x), (-2.0, 5.0), name="tiny")
    usual = targets.Function(lambda x: np.exp(-x), (-2.0, 5.0), name="usual")
    tiny, wanted = (
        families.Rational().fit(f, 12, norm=norms.L2()).function for f in (small, usual)
    )
    np.testing.assert_allclose(np.sort(tiny.places), np.sort(wanted.places), rtol=1e-9)
    np.testing.assert_allclose(np.sort(tiny.values) * 2.0**700, np.sort(wanted.values), rtol=1e-9)
