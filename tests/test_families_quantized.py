"""Rounded families: values on the grid, bits, the step of the theory, one fit for many rules."""

import math

import jax
import numpy as np
import pytest

from qrelu import bounds, families, networks, norms, quantizers, targets
from qrelu.families._rules import _short

L2 = norms.L2()
EXP = targets.get("exp")
SHALLOW, DEEP = families.FreeKnot(), families.DyadicTree()
RULES = [families.Bits(5), families.MatchedBits(), families.TheoryStep()]


def _leaves(network):
    return jax.tree.leaves(network)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("base", [SHALLOW, families.UniformKnot(), DEEP], ids=lambda f: f.name)
def test_values_are_codes_times_the_step(base, rule):
    fitted = base.fit(EXP, 100, norm=L2)
    family = families.Quantized(base, rule)
    rounded = family.round(fitted, EXP, norm=L2)
    step = float(rounded.quantizer.step)
    for leaf in _leaves(rounded.network):
        codes = np.rint(leaf / step)
        assert np.array_equal(codes * step, leaf)
        assert np.max(np.abs(codes)) <= 2 ** (rounded.bits_per_weight - 1)
    assert rounded.connectivity <= rounded.connectivity_before_rounding == fitted.connectivity
    assert rounded.bits == rounded.bits_per_weight * fitted.connectivity
    assert rounded.pieces == fitted.pieces
    assert family.name == f"{base.name}, {rule.name}"
    assert (family.kind, family.minimum_size) == (base.kind, base.minimum_size)
    # A fit from scratch is the same.
    again = family.fit(EXP, 100, norm=L2)
    for one, other in zip(_leaves(again.network), _leaves(rounded.network), strict=True):
        assert np.array_equal(one, other)


def test_one_bit_makes_parameters_of_zeros_and_counts_them():
    """Most coefficients of an even function are zero; a grid of one bit has no zero."""
    fitted = families.Polynomial().fit(targets.get("runge"), 384, norm=L2)
    rounded = families.Quantized(families.Polynomial(), families.Bits(1)).round(
        fitted, targets.get("runge"), norm=L2
    )
    assert fitted.connectivity < 100
    assert rounded.bits == rounded.connectivity == 384


@pytest.mark.parametrize("base", [SHALLOW, DEEP], ids=lambda f: f.name)
def test_matched_bits_are_the_smallest(base):
    fitted = base.fit(EXP, 100, norm=L2)
    exact = float(L2.distance(fitted.network, EXP))
    matched = families.Quantized(base, families.MatchedBits(factor=1.2))
    rounded = matched.round(fitted, EXP, norm=L2)
    assert float(L2.distance(rounded.network, EXP)) <= 1.2 * exact
    for bits in range(2, int(rounded.bits_per_weight)):
        fewer = families.Quantized(base, families.Bits(bits)).round(fitted, EXP, norm=L2)
        assert float(L2.distance(fewer.network, EXP)) > 1.2 * exact


def test_matched_bits_say_when_no_number_is_enough():
    fitted = SHALLOW.fit(EXP, 300, norm=L2)
    family = families.Quantized(SHALLOW, families.MatchedBits(factor=1.001, most=4))
    rounded = family.round(fitted, EXP, norm=L2)
    assert rounded.bits_per_weight == 4
    assert "no number of bits up to 4 keeps the error within 1.001 times" in rounded.notes


@pytest.mark.parametrize("base, log_power", [(SHALLOW, 1), (DEEP, 2)], ids=["shallow", "deep"])
def test_the_step_of_the_theory_moves_the_function_by_less_than_it_promises(base, log_power):
    bits, sizes = [], [24, 96, 384, 1536]
    # exp(3 x) is farthest below its chord 1 + s x where 3 exp(3 x) = s.
    s = np.exp(3.0) - 1
    scale = 1 + s * np.log(s / 3) / 3 - s / 3
    for size in sizes:
        fitted = base.fit(EXP, size, norm=norms.Sup())
        family = families.Quantized(base, families.TheoryStep(gamma=2.0))
        rounded = family.round(fitted, EXP, norm=norms.Sup())
        x = np.linspace(0, 1, 4001)
        values = [networks.pieces(a.network, 0.0, 1.0)(x) for a in (fitted, rounded)]
        moved = np.max(np.abs(values[0] - values[1]))
        assert 0 < moved <= scale * fitted.connectivity**-2.0
        bits.append(rounded.bits_per_weight)
        # The step is the theorem's, and it is not ten times finer than needed.
        normal = networks.normalize(fitted.network)
        step = bounds.rate_step(normal, 2.0, 1.0, scale=scale)
        # It is taken down to 8 binary digits.
        assert step * (1 - 2**-7) <= float(rounded.quantizer.step) <= step
        assert (float(rounded.quantizer.step) / 2.0 ** (math.frexp(step)[1] - 8)).is_integer()
    # Bits of order (log M)^power: the ratio to that power of log M does not grow.
    ratios = np.array(bits) / np.log2(sizes) ** log_power
    assert np.all(np.diff(ratios) <= 0)
    assert bits == sorted(bits)


def test_a_step_below_float64_is_said_and_its_bits_are_reported():
    fitted = SHALLOW.fit(EXP, 100, norm=L2)
    family = families.Quantized(SHALLOW, families.TheoryStep(gamma=9.0))
    rounded = family.round(fitted, EXP, norm=L2)
    assert rounded.bits_per_weight > 53
    assert "below the float64 resolution" in rounded.notes
    error = [float(L2.distance(a.network, EXP)) for a in (fitted, rounded)]
    np.testing.assert_allclose(error[1], error[0], rtol=1e-9)


def test_a_target_without_a_rate_needs_a_gamma():
    data = targets.Data(np.arange(40.0), np.sin(np.arange(40.0)))
    family = families.Quantized(SHALLOW, families.TheoryStep())
    with pytest.raises(ValueError, match=r"Give it: `TheoryStep\(gamma=2\)`"):
        family.fit(data, 50, norm=L2)
    families.Quantized(SHALLOW, families.TheoryStep(gamma=1.0)).fit(data, 50, norm=L2)


@pytest.mark.parametrize("base", [SHALLOW, families.UniformKnot()], ids=lambda f: f.name)
@pytest.mark.parametrize(
    "fn, domain",
    [
        (lambda x: np.sin(3 * x), (0.0, 1.0)),
        (lambda x: 1e-12 * np.sin(3 * x), (0.0, 1.0)),
        (lambda x: 1e6 * np.sin(3 * x), (0.0, 1.0)),
        (lambda x: np.sin(3e3 * x), (0.0, 1e-3)),
        (lambda x: np.sin(3 * x), (0.0, 1e-3)),  # almost straight
        (lambda x: 1e6 + np.sin(3 * x), (0.0, 1.0)),
    ],
)
def test_the_step_of_the_theory_follows_the_units_of_the_target(fn, domain, base):
    target = targets.Function(fn, domain)
    family = families.Quantized(base, families.TheoryStep(gamma=2.0))
    for norm in (L2, norms.Sup()):
        for size in (48, 192):
            fitted = base.fit(target, size, norm=norm)
            rounded = family.round(fitted, target, norm=norm)
            errors = [float(norm.distance(a.network, target)) for a in (fitted, rounded)]
            assert errors[1] <= 1.5 * errors[0]
            # No more than float64 parameters hold.
            assert rounded.bits_per_weight <= 55


def test_a_line_and_a_constant_have_a_step():
    family = families.Quantized(SHALLOW, families.TheoryStep(gamma=2.0))
    for fn in (lambda x: 1e-9 * x, lambda x: 0 * x + 5, lambda x: 0 * x):
        target = targets.Function(fn, (0.0, 1.0))
        fitted = SHALLOW.fit(target, 24, norm=L2)
        rounded = family.round(fitted, target, norm=L2)
        moved = float(L2.distance(rounded.network, target))
        assert moved <= (1e-9 if fn(1.0) == 1e-9 else 1.0) * fitted.connectivity**-2.0 + 1e-15


def test_a_target_that_is_reproduced_exactly_has_no_rate_to_keep():
    kink = targets.get("kink")
    with pytest.raises(ValueError, match=r"`kink` is reproduced exactly .*TheoryStep\(gamma=2\)"):
        families.Quantized(SHALLOW, families.TheoryStep()).fit(kink, 24, norm=L2)
    families.Quantized(SHALLOW, families.TheoryStep(gamma=2.0)).fit(kink, 24, norm=L2)


@pytest.mark.parametrize("norm", [norms.L1(), L2, norms.Sup()], ids=lambda n: n.name)
def test_matched_bits_at_the_floor_of_the_arithmetic(norm):
    kink = targets.get("kink")
    for size in (7, 24, 48):
        fitted = SHALLOW.fit(kink, size, norm=norm)
        family = families.Quantized(SHALLOW, families.MatchedBits())
        rounded = family.round(fitted, kink, norm=norm)
        # |x - 1/3| has parameters in the ratio 1 : 2 : 3.
        assert rounded.bits_per_weight <= 4
        assert float(norm.distance(rounded.network, kink)) < 1e-14
        assert rounded.notes.endswith("the target is reproduced up to float64 arithmetic")
    line = targets.Function(lambda x: 1.0 + np.sqrt(2) * x, (0.0, 1.0))
    family = families.Quantized(SHALLOW, families.MatchedBits(most=20))
    assert "float64 arithmetic, and no number of bits up to 20" in (
        family.fit(line, 24, norm=norm).notes
    )


def test_fixed_bits_rise_and_the_theory_step_follows():
    sizes = [48, 192, 768]
    target = targets.get("sine")
    fits = [SHALLOW.fit(target, size, norm=L2) for size in sizes]
    exact = [float(L2.distance(f.network, target)) for f in fits]

    def errors(rule):
        family = families.Quantized(SHALLOW, rule)
        return [
            float(L2.distance(family.round(f, target, norm=L2).network, target))
            for f, s in zip(fits, sizes, strict=True)
        ]

    assert np.min(errors(families.Bits(6))) > 100 * exact[-1]
    np.testing.assert_allclose(errors(families.TheoryStep()), exact, rtol=1e-3)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: families.Bits(0), "from 1 to 52; got 0"),
        (lambda: families.Bits(53), "from 1 to 52; got 53"),
        (lambda: families.MatchedBits(factor=1.0), "must be above 1; got 1.0"),
        (lambda: families.TheoryStep(gamma=-1.0), "must be a positive exponent or None"),
        (
            lambda: families.Quantized(families.Quantized(SHALLOW, RULES[0]), RULES[0]),
            "Wrap its inner family",
        ),
    ],
)
def test_bad_rules_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("bits", [1, 2, 5, 11, 30])
def test_steps_have_few_digits_and_are_hardly_coarser(bits):
    """At most 1/128 above magnitude / q, so that the last code stays the largest parameter's."""
    fitted = SHALLOW.fit(EXP, 24, norm=L2)
    magnitude = networks.normalize(fitted.network).magnitude
    exact = quantizers.Uniform.from_bits(bits, magnitude)
    rounded = families.Quantized(SHALLOW, families.Bits(bits)).round(fitted, EXP, norm=L2)
    step = float(rounded.quantizer.step)
    assert exact.step <= step <= exact.step * (1 + 2**-7) and rounded.quantizer.bits == bits
    assert (step * 2.0 ** (8 - math.frexp(step)[1])).is_integer()


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_parameters_on_a_grid_stay_there(bits):
    """|x - 1/3| has parameters in the ratio 1 : 2 : 3, which 3 bits hold exactly."""
    kink = targets.get("kink")
    rounded = families.Quantized(SHALLOW, families.Bits(bits)).fit(kink, 24, norm=L2)
    exact = float(L2.distance(rounded.network, kink)) < 1e-14
    assert exact == (bits == 3)


@pytest.mark.parametrize("step", [5e-324, 1e-310, 2.3e-308, 1.0, 0.1, 1.7e308])
def test_steps_of_any_size_are_shortened_or_left(step):
    up, down = _short(step, math.ceil), _short(step, math.floor)
    assert 0 < down <= step <= up < math.inf
    assert up <= step * (1 + 2**-7) and down >= step * (1 - 2**-7)


def test_a_share_of_the_theory_step_takes_bits_and_adds_as_much_less():
    family = families.UniformKnot()
    fitted = family.fit(EXP, 100, norm=L2)
    whole, part = (
        families.Quantized(family, families.TheoryStep(share=share)).round(fitted, EXP, norm=L2)
        for share in (1.0, 1 / 16)
    )
    assert float(part.quantizer.step) == float(whole.quantizer.step) / 16
    assert part.bits_per_weight == whole.bits_per_weight + 4
    assert families.TheoryStep(2, 1 / 16).name == "theory step, gamma 2, share 0.0625"
    for share in (0, -1, 2, math.nan, True):
        with pytest.raises(ValueError, match=r"`TheoryStep\(share=...\)` must be a number in"):
            families.TheoryStep(share=share)
