"""Laws that all classical families share: size, bits, rounding, measurement, errors in words."""

import math

import jax
import numpy as np
import pytest

from qrelu import families, networks, norms, rates, studies, targets
from qrelu._cli._targets import CLASSICS, FAMILIES

L2, SUP = norms.L2(), norms.Sup()
NORMS = [norms.L1(), L2, SUP]
STEP = targets.Function(
    lambda x: np.where(x < 1 / 3, 1.0, 2.0), (0.0, 1.0), breakpoints=(1 / 3,), name="step"
)
PERIODIC = targets.get("sine")
DATA = targets.Data(np.linspace(0.0, 2.0, 41), np.cos(np.linspace(0.0, 2.0, 41) * np.pi))
ALL = [families.get(name) for name in CLASSICS]
MORE = [
    families.Polynomial("chebyshev"),
    families.Spline(3),
    families.Spline(3, "free"),
    families.Wavelet("db3", "periodic"),
]


def _name(item):
    return getattr(item, "name", str(item))


@pytest.mark.parametrize("norm", NORMS, ids=_name)
@pytest.mark.parametrize("family", [*ALL, *MORE], ids=_name)
def test_size_is_kept_and_the_error_falls(family, norm):
    errors = []
    for size in (8, 15, 30):
        fitted = family.fit(PERIODIC, size, norm=norm)
        function = fitted.function
        assert fitted.connectivity <= size
        assert fitted.connectivity == fitted.connectivity_before_rounding
        assert 1 <= fitted.pieces <= family.pieces(size)
        assert fitted.neurons == 0
        assert fitted.bits == 64 * fitted.connectivity + fitted.position_bits
        assert np.isfinite(function(np.linspace(0.0, 1.0, 50))).all() and function.bounded
        error = norm.distance(function, PERIODIC)
        assert error.uncertainty <= 1e-5 * error + 1e-11
        errors.append(float(error))
    assert errors[2] <= errors[0] / 1.5 + 1e-12 and errors[1] <= errors[0] * 1.1 + 1e-12


@pytest.mark.parametrize("family", [*ALL, *MORE], ids=_name)
def test_distances_agree_with_a_fine_sum_on_values(family):
    """The judge: sums over 200,001 values of the function and the target."""
    target = targets.get("cusp")
    function = family.fit(target, 20, norm=L2).function
    x = np.linspace(0.0, 1.0, 200_001)
    gap = np.abs(function(x) - target(x))
    middle = (gap[1:] + gap[:-1]) / 2
    # Jumps cost a cell each, the cusp the square root of a cell.
    assert float(norms.L1().distance(function, target)) == pytest.approx(middle.mean(), abs=1e-4)
    square = np.sqrt(np.mean((gap[1:] ** 2 + gap[:-1] ** 2) / 2))
    assert float(L2.distance(function, target)) == pytest.approx(square, abs=1e-4)
    sup = SUP.distance(function, target)
    assert gap.max() <= sup + sup.uncertainty
    assert float(sup) == pytest.approx(gap.max(), abs=4e-3)


@pytest.mark.parametrize("family", [*ALL, *MORE], ids=_name)
def test_data_and_shifted_domains_are_approximated(family):
    target = targets.Function(lambda x: np.cos(x), (3.0, 7.0), name="cos")
    for function in (DATA, target):
        few, many = (family.fit(function, size, norm=L2).function for size in (9, 36))
        assert few.domain == function.domain
        assert float(L2.distance(many, function)) <= float(L2.distance(few, function)) * 1.001


@pytest.mark.parametrize("family", [*ALL, *MORE], ids=_name)
def test_the_least_size_works_and_less_is_refused(family):
    least = family.minimum_size
    assert family.fit(PERIODIC, least, norm=L2).connectivity <= least
    for call in (family.pieces, lambda size: family.fit(PERIODIC, size, norm=L2)):
        with pytest.raises(ValueError, match=f"must be at least {least}"):
            call(least - 1)
        with pytest.raises(TypeError, match="must be a whole number"):
            call(True)


@pytest.mark.parametrize("family", [*ALL, *MORE], ids=_name)
def test_jumps_are_refused_in_the_sup_norm_only(family):
    with pytest.raises(ValueError, match=r"continuous target.*`step` jumps by 1 at x = 0.333333"):
        family.fit(STEP, 20, norm=SUP)
    # No quotient without poles is near a jump.
    most = 1.0 if family.kind == "rational" else 0.5
    assert float(L2.distance(family.fit(STEP, 20, norm=L2).function, STEP)) < most


@pytest.mark.parametrize("family", [*ALL, *MORE], ids=_name)
def test_rounded_functions_lie_on_the_grid(family):
    fitted = family.fit(targets.get("runge"), 24, norm=L2)
    wrapper = families.Quantized(family, families.Bits(10))
    rounded = wrapper.round(fitted, targets.get("runge"), norm=L2)
    values = rounded.function.parameters
    step = float(rounded.quantizer.step)
    codes = np.rint(values / step)
    np.testing.assert_array_equal(codes * step, values)
    assert np.max(np.abs(codes)) <= 2**9 - 1
    assert rounded.bits == 10 * fitted.connectivity + fitted.position_bits
    assert rounded.quantizer is not None and wrapper.pieces(24) == family.pieces(24)
    again = families.Quantized(family, families.Bits(10)).fit(
        targets.get("runge"), 24, norm=L2, key=jax.random.key(3)
    )
    np.testing.assert_array_equal(again.function.parameters, values)


@pytest.mark.parametrize("family", [*ALL, *MORE], ids=_name)
def test_matched_bits_keep_the_error(family):
    target = targets.get("exp")
    fitted = family.fit(target, 12, norm=L2)
    exact = float(L2.distance(fitted.function, target))
    rounded = families.Quantized(family, families.MatchedBits()).round(fitted, target, norm=L2)
    assert float(L2.distance(rounded.function, target)) <= 1.1 * exact + 1e-14
    assert 2 <= rounded.bits_per_weight <= 40


@pytest.mark.parametrize("family", [*ALL, *MORE], ids=_name)
def test_the_theory_step_moves_the_function_by_what_it_says(family):
    target = targets.get("runge")
    fitted = family.fit(target, 24, norm=L2)
    wrapper = families.Quantized(family, families.TheoryStep(gamma=1.5))
    if fitted.function.sensitivity is None:
        with pytest.raises(ValueError, match="no bound is built in. Use `MatchedBits"):
            wrapper.round(fitted, target, norm=L2)
        return
    rounded = wrapper.round(fitted, target, norm=L2)
    x = np.linspace(0.0, 1.0, 4001)
    moved = np.max(np.abs(rounded.function(x) - fitted.function(x)))
    # The scale of runge: the range of the function minus its chord.
    scale = np.ptp(target(x))
    assert 0 < moved <= scale * fitted.connectivity**-1.5 * (1 + 1e-9)


@pytest.mark.parametrize("family", [*ALL, *MORE], ids=_name)
def test_sensitivity_bounds_the_sum_of_what_parameters_move(family):
    function = family.fit(targets.get("runge"), 24, norm=L2).function
    if function.sensitivity is None:
        return
    x = np.linspace(0.0, 1.0, 1501)
    leaves, structure = jax.tree.flatten(function)
    places = [i for i, leaf in enumerate(leaves) if leaf.dtype.kind == "f"]
    (place,) = places
    total, coefficients = np.zeros_like(x), leaves[place]
    for k in range(coefficients.size):
        unit = np.zeros_like(coefficients)
        unit[k] = 1.0
        leaves[place] = unit
        total += np.abs(jax.tree.unflatten(structure, leaves)(x))
    assert total.max() <= function.sensitivity * (1 + 1e-12)


def test_a_constant_and_a_zero_target():
    for value in (0.0, 2.5):
        target = targets.Function(lambda x, v=value: np.full_like(x, v), (0.0, 1.0), name="flat")
        for family in ALL[::2]:
            for norm in (L2, SUP):
                fitted = family.fit(target, 12, norm=norm)
                assert float(norm.distance(fitted.function, target)) <= 1e-13
                rounded = families.Quantized(family, families.Bits(8)).round(
                    fitted, target, norm=norm
                )
                # A rational function also rounds its support points, which change nothing here.
                assert float(norm.distance(rounded.function, target)) <= 0.02


def test_notes_say_what_a_size_or_a_target_costs():
    fourier = families.Fourier()
    assert "23 of 24 parameters" in fourier.fit(PERIODIC, 24, norm=L2).notes
    assert "not periodic" in fourier.fit(targets.get("exp"), 23, norm=L2).notes
    even = targets.Function(np.abs, (-1.0, 1.0), breakpoints=(0.0,), name="abs")
    assert "kink: slopes -1, 1" in fourier.fit(even, 23, norm=L2).notes
    assert fourier.fit(PERIODIC, 23, norm=L2).notes == ""
    for k, shift in [(1, 0.3), (6, 0.0), (20, 1.0), (300, 0.5)]:
        wave = targets.Function(
            lambda x, k=k, s=shift: np.cos(2 * np.pi * k * x + s), (0.0, 1.0), name="wave"
        )
        assert fourier.fit(wave, 9, norm=L2).notes == ""
    with pytest.raises(ValueError, match="equal values at both ends in the sup norm; `exp`"):
        fourier.fit(targets.get("exp"), 23, norm=SUP)
    periodic = families.Wavelet("db2", "periodic")
    assert "not periodic" in periodic.fit(targets.get("exp"), 16, norm=L2).notes
    assert families.Wavelet("db2").fit(targets.get("exp"), 16, norm=L2).notes == ""
    assert "15 of 16" in families.PiecewiseConstant("free").fit(PERIODIC, 16, norm=L2).notes
    for network in (families.FreeKnot(), families.UniformKnot()):
        note = "16 of 18 parameters: a piece takes three"
        assert network.fit(PERIODIC, 18, norm=L2).notes == note
        assert network.fit(PERIODIC, 16, norm=L2).notes == ""
    assert "24 of 51 par" in families.DyadicTree().fit(PERIODIC, 51, norm=L2).notes
    assert families.DyadicTree().fit(PERIODIC, 24, norm=L2).notes == ""
    assert "15 of 16 par" in families.Rational().fit(PERIODIC, 16, norm=L2).notes
    assert "16 of 17" in families.Spline(4, "free").fit(PERIODIC, 17, norm=L2).notes


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: families.Polynomial("remez"), '"best" or "chebyshev"'),
        (lambda: families.Spline(1), "whole number from 2 to 8"),
        (lambda: families.Spline(4, "fixed"), '"uniform" or "free"'),
        (lambda: families.PiecewiseConstant("fixed"), '"uniform" or "free"'),
        (lambda: families.Fourier("best"), '"lowest" or "largest"'),
        (lambda: families.Wavelet("db40"), "one of haar, db2"),
        (lambda: families.Wavelet("db2", "zero"), '"reflected" or "periodic"'),
        (lambda: families.get("spline"), "Did you mean"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_network_is_asked_for_where_there_is_none():
    fitted = families.Polynomial().fit(PERIODIC, 5, norm=L2)
    with pytest.raises(AttributeError, match="OrthogonalSeries. Use `Approximant.function`"):
        _ = fitted.network
    shallow = families.FreeKnot().fit(PERIODIC, 25, norm=L2)
    assert shallow.network is shallow.function and shallow.position_bits == 0


def test_names_are_those_of_the_command_line():
    assert families.names() == (*FAMILIES, *CLASSICS)
    assert [family.name for family in ALL[:1]] == ["piecewise-constant"]
    kinds = {families.get(name).kind for name in families.names()}
    # Linear splines have the words of the networks, which realize the same functions.
    assert len(kinds) == len(families.names()) - 2


def test_a_study_takes_networks_and_classics_side_by_side():
    members = [families.FreeKnot(), families.Polynomial(), families.Fourier("largest")]
    rounded = [families.Quantized(member, families.Bits(8)) for member in members]
    result = studies.Study([PERIODIC], [*members, *rounded], [8, 16, 24, 32], L2).run()
    table = result.table()
    assert table["error"].null_count() == 0
    largest = table.filter(table["family"] == "fourier, largest terms")
    assert (largest["total_bits"] > largest["bits_per_weight"] * largest["connectivity"]).any()
    assert set(table.filter(table["family"] == "polynomial")["neurons"].to_list()) == {0}


def test_linear_splines_are_the_networks_of_the_same_pieces():
    for target in (targets.get("exp"), targets.get("runge")):
        for norm in (L2, SUP):
            network = families.FreeKnot().fit(target, 25, norm=norm)
            spline = families.Spline(2, "free").fit(target, 16, norm=norm)
            assert network.pieces == spline.pieces <= 8
            x = np.linspace(0.0, 1.0, 301)
            values = networks.pieces(network.network, 0.0, 1.0)(x)[:, 0]
            np.testing.assert_allclose(spline.function(x), values, rtol=0, atol=1e-12 * 20)


def test_position_bits_count_the_ways_to_choose():
    """Waves are named among all, wavelets as a tree where that is shorter."""
    fitted = families.Fourier("largest").fit(targets.get("exp"), 9, norm=L2)
    total, size = 1 + 2 * ((int(fitted.function.terms.max()) + 1) // 2), fitted.function.terms.size
    assert fitted.position_bits == pytest.approx(np.log2(math.comb(total, size)), rel=1e-9)
    # Wavelets at one jump are a path of 16: one of Catalan(16) binary trees.
    third = targets.Function(lambda x: (x < 1 / 3) * 1.0, (0.0, 1.0), breakpoints=(1 / 3,))
    fitted = families.Wavelet().fit(third, 17, norm=L2)
    assert fitted.position_bits == pytest.approx(np.log2(math.comb(32, 16) / 17), rel=1e-9)
    # All to the finest level need no names.
    line = targets.Function(lambda x: x + 1, (0.0, 1.0))
    assert families.Wavelet().fit(line, 16, norm=L2).position_bits == 0


def test_known_rates_name_what_they_prove():
    cases = studies.known_rates()
    assert len(cases) >= 24
    assert len({case.name for case in cases}) == len(cases)
    for case in cases:
        assert case.source and case.why_kept and case.gamma > 0
        assert list(case.sizes) == sorted(set(case.sizes)) and len(case.sizes) >= 4
        assert case.sizes[0] >= case.family.minimum_size
        known = case.target.rate(case.family, case.norm)
        if known is not None and not known.estimated:
            assert (known.gamma, known.log_power) == (case.gamma, case.log_power), case.name


QUICK = ("exp, piecewise-constant, L2", "|x|, polynomial, L2", "sqrt, wavelet haar, L2")


@pytest.mark.parametrize("name", QUICK)
def test_known_rates_are_measured(name):
    (case,) = [case for case in studies.known_rates() if case.name == name]
    found = studies.measure_known(case)
    assert found.recovered and abs(found.gamma - case.gamma) <= 0.01
    judge = rates.fit_rate(found.connectivity, found.errors)
    assert abs(judge.gamma - found.gamma) < 0.02
    assert not found._replace(gamma=case.gamma + 0.06).recovered
