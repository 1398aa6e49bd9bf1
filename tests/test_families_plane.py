"""Families in two variables: projections, isotropic and hyperbolic wavelets, bad input."""

import math

import numpy as np
import pytest
import pywt

from qrelu import families, norms, targets
from qrelu.families._tensor_series import tabulated
from qrelu.families._tensor_wavelet_sum import (
    hyperbolic_analysis,
    isotropic_analysis,
    isotropic_synthesis,
)
from qrelu.norms._box_cells import integral_on_box

L2 = norms.L2()
DISC = targets.Multivariate(
    lambda x: (np.sum((x - 0.47) ** 2, axis=-1) < 0.09) * 1.0, (0, 1), dimension=2, name="disc"
)
SMOOTH = targets.Multivariate(
    lambda x: np.exp(x[:, 0] - 2 * x[:, 1]),
    (np.array([-1.0, 0.0]), np.array([1.0, 3.0])),
    name="smooth",
)
WAVES = targets.Multivariate(
    lambda x: np.sin(2 * np.pi * x[:, 0]) * (1 + np.cos(4 * np.pi * x[:, 1])),
    (0, 1),
    dimension=2,
    name="waves",
)
ALL = [
    families.TensorPolynomial(),
    families.TensorPolynomial("tensor"),
    families.TensorPolynomial("hyperbolic"),
    families.TensorFourier(),
    families.TensorFourier("largest"),
    families.TensorWavelet(),
    families.TensorWavelet("db2"),
    families.TensorWavelet("db3", "periodic"),
    families.TensorWavelet("haar", basis="hyperbolic"),
    families.TensorWavelet("db2", basis="hyperbolic"),
]


@pytest.mark.parametrize("family", ALL, ids=lambda family: f"{family.name}")
def test_sizes_errors_bits_and_rounding(family):
    errors = []
    for size in (16, 64, 150):
        fitted = family.fit(DISC, size, norm=L2)
        assert fitted.connectivity <= size and fitted.pieces <= family.pieces(size)
        assert fitted.bits == 64 * fitted.connectivity + fitted.position_bits
        errors.append(float(L2.distance(fitted.function, DISC)))
    assert errors[0] > errors[1] > errors[2]
    for rule, step in ((families.Bits(10), None), (families.TheoryStep(gamma=0.5), 150**-0.5)):
        rounded = families.Quantized(family, rule).round(fitted, DISC, norm=L2)
        codes = np.rint(rounded.function.coefficients / rounded.quantizer.step)
        np.testing.assert_array_equal(codes * rounded.quantizer.step, rounded.function.coefficients)
        x = np.random.default_rng(0).uniform(size=(500, 2))
        moved = np.max(np.abs(rounded.function(x) - fitted.function(x)))
        assert step is None or moved <= step
        assert float(L2.distance(rounded.function, DISC)) < errors[2] + 0.1
    assert fitted.function(np.zeros((3, 4, 2))).shape == (3, 4)


def test_polynomials_and_waves_are_reproduced_on_any_rectangle():
    target = targets.Multivariate(
        lambda x: 1 + x[:, 0] * x[:, 1] ** 2,
        (np.array([-1.0, 0.0]), np.array([2.0, 3.0])),
        name="cubic",
    )
    fitted = families.TensorPolynomial().fit(target, 10, norm=L2)
    assert float(L2.distance(fitted.function, target)) < 1e-12
    fitted = families.TensorFourier("largest").fit(WAVES, 20, norm=L2)
    assert fitted.connectivity == 2
    assert float(L2.distance(fitted.function, WAVES)) < 1e-12
    assert families.TensorFourier().fit(SMOOTH, 9, norm=L2).notes.startswith("not periodic")
    box = (np.array([-2.0, 1.0]), np.array([5.0, 3.0]))
    bowl = targets.Multivariate(lambda x: (x[..., 0] + 2) * (5 - x[..., 0]), box, name="a bowl")
    assert "kink at the sides" in families.TensorFourier().fit(bowl, 9, norm=norms.Sup()).notes
    # Zero at all sides, up to rounding: continuous as a periodic function, with a kink.
    sines = families.TensorFourier().fit(targets.get("sines2d"), 9, norm=norms.Sup())
    assert sines.notes == "as a periodic function it has a kink at the sides"
    assert families.TensorFourier().fit(WAVES, 9, norm=norms.Sup()).notes == ""
    square = (np.zeros(2), np.ones(2))
    for k in (6, 20, 100):
        wave = targets.Multivariate(
            lambda x, k=k: np.cos(2 * np.pi * k * x[..., 0] + 0.3), square, name="wave"
        )
        assert families.TensorFourier().fit(wave, 9, norm=L2).notes == ""


def test_polynomials_of_a_product_are_products_of_legendre_projections():
    """The judge: the one-dimensional family on each factor."""
    fitted = families.TensorPolynomial("tensor").fit(SMOOTH, 25, norm=L2)
    first = targets.Function(np.exp, (-1.0, 1.0))
    second = targets.Function(lambda x: np.exp(-2 * x), (0.0, 3.0))
    c, d = (families.Polynomial().fit(f, 5, norm=L2).function.coefficients for f in (first, second))
    k, m = fitted.function.terms.T
    np.testing.assert_allclose(fitted.function.coefficients, c[k] * d[m], rtol=1e-8, atol=1e-12)
    x = np.random.default_rng(1).uniform((-1, 0), (1, 3), (50, 2))
    judge = np.polynomial.legendre.legval2d(x[:, 0], 2 * x[:, 1] / 3 - 1, np.outer(c, d))
    np.testing.assert_allclose(fitted.function(x), judge, rtol=0, atol=1e-12)


def test_waves_of_a_table_are_those_of_one_variable():
    t = np.linspace(0, 1, 11)[:-1]
    for count in (1, 2, 5, 8):
        ours = tabulated(t, np.arange(count), "waves")
        for k in range(count):
            wave = families.Waves(np.ones(1), np.array([k]), (0.0, 1.0), True)
            np.testing.assert_allclose(ours[:, k], wave(t), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ["haar", "db2", "db4"])
def test_transforms_are_those_of_pywavelets(name):
    values = np.random.default_rng(2).normal(size=(64, 64))
    ours = isotropic_analysis(values, name)
    depth = 6 - (0 if name == "haar" else (pywt.Wavelet(name).dec_len - 1).bit_length())
    rest, *details = pywt.wavedec2(values, name, mode="periodization", level=depth)
    # PyWavelets gives (horizontal, vertical, diagonal); ours is wavelet in y, in x, in both.
    judge = [rest.ravel()]
    for horizontal, vertical, diagonal in details:
        judge += [vertical.ravel(), horizontal.ravel(), diagonal.ravel()]
    np.testing.assert_allclose(ours, np.concatenate(judge), rtol=0, atol=1e-11)
    np.testing.assert_allclose(isotropic_synthesis(ours, name), values, rtol=0, atol=1e-11)
    along = np.concatenate(pywt.wavedec(values, name, mode="periodization", level=depth, axis=0))
    both = np.concatenate(pywt.wavedec(along, name, mode="periodization", level=depth, axis=1), 1)
    np.testing.assert_allclose(hyperbolic_analysis(values, name), both.ravel(), atol=1e-11)


@pytest.mark.parametrize("basis", ["isotropic", "hyperbolic"])
def test_haar_of_an_aligned_square_is_finite_and_exact(basis):
    """1 on [1/2, 1] x [0, 1/4] needs few terms, and the error of fewer is what they leave."""
    target = targets.Multivariate(
        lambda x: ((x[:, 0] >= 0.5) & (x[:, 1] < 0.25)) * 1.0, (0, 1), dimension=2, name="corner"
    )
    family = families.TensorWavelet("haar", basis=basis)
    fitted = family.fit(target, 100, norm=L2)
    assert fitted.connectivity <= 8
    assert float(L2.distance(fitted.function, target)) < 1e-12
    fewer = family.fit(target, 3, norm=L2)
    rest = 1 / 8 - float(np.sum(fewer.function.coefficients**2))
    assert float(L2.distance(fewer.function, target)) == pytest.approx(math.sqrt(rest), rel=1e-9)


def test_the_edge_of_a_disc_has_the_rate_of_wavelets():
    """M^(-1/2) in L^2 with any wavelet."""
    for name in ("haar", "db2"):
        sizes = (64, 256)
        fits = [families.TensorWavelet(name).fit(DISC, size, norm=L2) for size in sizes]
        errors = [float(L2.distance(fit.function, DISC)) for fit in fits]
        assert 0.4 < math.log2(errors[0] / errors[1]) / 2 < 0.7
        # A curve is a tree of squares: a few bits for each term, not one by one.
        assert fits[1].position_bits < 8 * 256


def test_cells_are_cut_at_jumps_and_the_uncertainty_is_honest():
    lower, upper = np.zeros(2), np.ones(2)

    def disc(x):
        return (np.sum((x - 0.47) ** 2, axis=1) < 0.09) * 1.0

    found = []
    for points in (2**14, 2**17):
        value, gap, largest = integral_on_box(disc, lower, upper, 2, points)
        assert abs(value - 0.09 * math.pi) <= gap and largest == 1.0
        found.append(gap)
    assert found[1] < found[0] / 4
    # Even cells of 2^17 points leave 1.8e-3.
    assert found[1] < 4e-4
    value, gap, _ = integral_on_box(lambda x: np.exp(x[:, 0]), lower, upper, 1, 2**14)
    assert value == pytest.approx(math.e - 1, abs=1e-12) and gap < 1e-10


@pytest.mark.parametrize(
    "family, target, norm, message",
    [
        (families.TensorWavelet(), targets.get("exp"), L2, "two variables.* Use `Wavelet"),
        (families.TensorFourier(), targets.get("gaussian3d"), L2, "has 3. Use a network"),
        (families.TensorPolynomial(), DISC, norms.Sup(), "jumps by 1 near x = .* Use `L1"),
        (families.TensorFourier(), SMOOTH, norms.Sup(), "equal values at opposite sides"),
        (families.Wavelet(), DISC, L2, "one variable"),
        (families.Fourier(), DISC, L2, "one variable"),
        (families.Spline(), DISC, L2, "one variable"),
        (families.Rational(), DISC, L2, "one variable"),
        (families.PiecewiseConstant(), DISC, L2, "one variable"),
        (families.Polynomial(), DISC, L2, "one variable"),
    ],
)
def test_what_cannot_be_approximated_is_refused_with_the_reason(family, target, norm, message):
    with pytest.raises(ValueError, match=message):
        family.fit(target, 16, norm=norm)


@pytest.mark.parametrize("family", ALL[:1] + ALL[3:6], ids=lambda family: f"{family.name}")
@pytest.mark.parametrize("size, error", [(0, ValueError), (-3, ValueError), (2.5, TypeError)])
def test_sizes_that_do_not_exist_are_refused(family, size, error):
    with pytest.raises(error, match="size"):
        family.fit(DISC, size, norm=L2)


def test_settings_that_do_not_exist_are_refused():
    for make in (
        lambda: families.TensorPolynomial("cubic"),
        lambda: families.TensorFourier("some"),
        lambda: families.TensorWavelet("db9"),
        lambda: families.TensorWavelet("db2", "zero"),
        lambda: families.TensorWavelet("db2", basis="curvelet"),
    ):
        with pytest.raises(ValueError, match="must be"):
            make()
    with pytest.raises(ValueError, match=r"shape \(..., 2\)"):
        families.TensorWavelet().fit(DISC, 4, norm=L2).function(np.zeros(3))
    hole = targets.Multivariate(
        lambda x: np.where(np.abs(x[:, 0] - (20 + 0.2113) / 64) < 1e-3, np.nan, 1.0),
        (0, 1),
        dimension=2,
    )
    with pytest.raises(ValueError, match="finite on its box"):
        families.TensorWavelet().fit(hole, 4, norm=L2)


def test_the_cartoon_has_its_norm_and_an_edge():
    """The judge of the closed form: adaptive cells."""
    target = targets.cartoon()
    found = norms.L2(points=2**20).distance(lambda x: np.zeros(len(x)), target)
    assert abs(found - target.l2) <= found.uncertainty < 2e-5
    with pytest.raises(ValueError, match="jumps by"):
        families.TensorWavelet().fit(target, 16, norm=norms.Sup())


@pytest.mark.parametrize("order", ["total", "tensor", "hyperbolic"])
def test_the_first_pairs_are_those_of_a_brute_search(order):
    from qrelu.families._tensor import _ORDERS, _first

    size = 700
    pairs = [(i, j) for i in range(size) for j in range(size)]
    keys = [int(_ORDERS[order](np.array(i), np.array(j))) for i, j in pairs]
    judge = [pair for _, pair in sorted(zip(keys, pairs, strict=True))[:size]]
    assert [tuple(pair) for pair in _first(size, size, _ORDERS[order]).tolist()] == judge
