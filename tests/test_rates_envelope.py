"""The envelope of one exact sequence holds its rate, whatever logarithm or correction it has."""

import itertools
import math

import numpy as np
import pytest

from qrelu.rates import fit_rate

SIZES = {
    "9 from 16": 16 * 2.0 ** np.arange(9),
    "7 from 16": 16 * 2.0 ** np.arange(7),
    "7 from 24": 24 * 2.0 ** np.arange(7),
    "11 from 16": 16 * 2.0 ** np.arange(11),
}
GAMMAS = (0.5, 1.0, 2.0)
LOGARITHMS = (-2, -1.5, -1, -0.5, 0.5, 1, 1.5, 2, 3)


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("gamma", GAMMAS)
def test_the_envelope_holds_the_truth_or_no_rate_is_claimed(gamma, sizes):
    power = sizes**-gamma
    truths = {f"log^{b}": power * np.log(sizes) ** b for b in LOGARITHMS}
    for a, order in itertools.product((-0.8, 1, 3, 10), (0.5, 1, 2)):
        truths[f"1 + {a} M^-{order}"] = power * (1 + a * sizes**-order)
    truths |= {f"floor {level}": power + level * power[-1] for level in (0.1, 1.0)}
    wrong, none = {}, 0
    for name, errors in truths.items():
        fit = fit_rate(sizes, errors)
        none += math.isnan(fit.gamma)
        if fit.established and not fit.interval[0] <= gamma <= fit.interval[1]:
            wrong[name] = fit
    assert not wrong
    assert none <= 3  # honesty by silence would be cheap


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("gamma", (0.5, 1.0, 1.5, 2.0, 3.0))
@pytest.mark.parametrize("a, order", [(0, 1), (3, 1), (1, 2)])
def test_plain_powers_and_whole_corrections_stay_sharp(sizes, gamma, a, order):
    fit = fit_rate(sizes, sizes**-gamma * (1 + a * sizes**-order))
    assert abs(fit.gamma - gamma) <= 1e-3
    assert fit.interval[0] <= gamma <= fit.interval[1] <= fit.interval[0] + 0.01


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("b", (-2, -1, -0.5))
def test_a_logarithm_with_a_negative_power_is_recognized(gamma, b):
    sizes = SIZES["9 from 16"]
    fit = fit_rate(sizes, sizes**-gamma * np.log(sizes) ** b)
    assert fit.model == "power_log" and f"(log M)^{b:.2f}" in fit.verdict
    assert abs(fit.gamma - gamma) <= 0.01 and fit.interval[1] - fit.interval[0] <= 0.04


def test_a_correction_in_half_powers_is_recognized_and_drawn():
    sizes = SIZES["9 from 16"]
    errors = (1 + 3 * sizes**-0.5) / sizes
    fit = fit_rate(sizes, errors)
    assert fit.model == "half_correction" and abs(fit.gamma - 1) <= 0.01
    np.testing.assert_allclose(fit.curve(sizes), errors, rtol=0.01)
