"""`fit_rate` and `slope` on sequences whose rate is known."""

import numpy as np

from qrelu.rates import fit_rate, slope


def test_slope_of_an_exact_power():
    sizes = 2.0 ** np.arange(4, 12)
    np.testing.assert_allclose(slope(sizes, 3 * sizes**-1.5), 1.5, rtol=1e-12)


def test_exact_power_law():
    sizes = 2.0 ** np.arange(4, 12)
    fit = fit_rate(sizes, 3 * sizes**-1.5)
    assert abs(fit.gamma - 1.5) < 1e-9
    assert fit.interval[0] < 1.5 < fit.interval[1]
