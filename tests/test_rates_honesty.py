"""`fit_rate` is honest everywhere: the interval holds the truth, or there is no rate."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from qrelu.rates import fit_rate
from qrelu.rates._models import fit_model


def _noise(rng, shape, rho):
    """AR(1) noise of variance 1 along the last axis."""
    z = rng.standard_normal(shape)
    for i in range(1, shape[-1]):
        z[..., i] = rho * z[..., i - 1] + np.sqrt(1 - rho**2) * z[..., i]
    return z


def _draw(rng):
    """A sequence of a random kind with its rate: (kind, gamma, sizes, errors)."""
    sizes = rng.choice([16, 24, 32, 48]) * 2.0 ** np.arange(rng.integers(7, 12))
    pieces = np.floor((sizes - 1) / 3)
    gamma = float(rng.choice([0.5, 1.0, 1.5, 2.0, 3.0]))
    kind = str(rng.choice(["power", "smooth", "noisy smooth", "AR(1)", "logarithm", "floor"]))
    if kind == "smooth" or kind == "noisy smooth":
        errors = pieces**-gamma * (1 + rng.uniform(-1, 4) / pieces + rng.uniform(0, 5) / pieces**2)
        errors = errors * np.exp(0.002 * (kind != "smooth") * _noise(rng, sizes.shape, 0))
    elif kind == "logarithm":
        errors = sizes**-gamma * np.log(sizes) ** rng.uniform(0.5, 1.5)
    elif kind == "floor":
        errors = sizes**-gamma + 2.0 ** -rng.uniform(3, 6) * sizes[0] ** -gamma
    else:
        rho = 0.8 if kind == "AR(1)" else 0.0
        errors = sizes**-gamma * np.exp(rng.uniform(0, 0.05) * _noise(rng, sizes.shape, rho))
    return kind, gamma, sizes, errors


def test_envelopes_hold_the_truth():
    """Of 300 sequences of six kinds, at most 1 in 20 gets a confident wrong rate."""
    rng = np.random.default_rng(0)
    wrong, none = [], 0
    for _ in range(300):
        kind, gamma, sizes, errors = _draw(rng)
        fit = fit_rate(sizes, errors)
        none += math.isnan(fit.gamma)
        if not math.isnan(fit.gamma) and not fit.interval[0] <= gamma <= fit.interval[1]:
            wrong.append((kind, gamma, fit))
    assert len(wrong) <= 15, wrong
    # Honesty by silence would be cheap.
    assert none <= 60


def _coverage(replicates, rho, simulations, seed=0):
    sizes = 24 * 2.0 ** np.arange(8)
    rng = np.random.default_rng(seed)
    hits = 0
    for _ in range(simulations):
        noise = _noise(rng, (replicates, len(sizes)), rho)
        fit = fit_rate(sizes, sizes**-2.0 * np.exp(0.05 * noise))
        assert fit.interval_kind == "t over replicates"
        hits += fit.interval[0] <= 2 <= fit.interval[1]
    return hits


@pytest.mark.parametrize("replicates", [3, 8])
def test_intervals_over_replicates_cover(replicates):
    """Coverage of at least 0.93 is not refuted by 60 simulations (level 1 in 1000)."""
    assert _coverage(replicates, 0.5, 60) >= binom.ppf(0.001, 60, 0.93)


@pytest.mark.slow
@pytest.mark.parametrize("replicates", [3, 5, 8])
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_intervals_over_replicates_cover_at_length(replicates, rho):
    hits = _coverage(replicates, rho, 200, seed=1)
    assert binom.ppf(0.001, 200, 0.93) <= hits <= binom.ppf(0.999, 200, 0.98)


def test_replicates_that_repeat_one_sequence_are_one_sequence():
    sizes = 24 * 2.0 ** np.arange(8)
    errors = sizes**-2.0 * (1 + 10 / sizes)
    alone, repeated = fit_rate(sizes, errors), fit_rate(sizes, np.stack([errors] * 5))
    assert repeated.interval_kind == "envelope"
    np.testing.assert_allclose(repeated.interval, alone.interval, rtol=1e-9)


def test_replicates_sharper_than_any_model_get_an_envelope():
    """A wave that all replicates share is no noise."""
    sizes = 24 * 2.0 ** np.arange(9)
    errors = sizes**-1.5 * (1 + 0.05 * np.sin(4 * np.log(sizes)))
    noise = 1e-4 * np.random.default_rng(0).standard_normal((5, 9))
    fit = fit_rate(sizes, errors * np.exp(noise))
    assert fit.interval_kind == "envelope"
    assert fit.interval[0] <= 1.5 <= fit.interval[1]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(1e-12, 1e3), min_size=2, max_size=9),
    st.floats(0.1, 1e3),
)
def test_any_positive_errors_get_a_verdict(errors, factor):
    """Never an exception; consistent fields; the unit of the error does not matter."""
    sizes = np.arange(1, len(errors) + 1) ** 2
    fit = fit_rate(sizes, errors, magnitude=1e-3)
    assert fit.verdict and len(fit.orders) == len(errors) - 1
    if math.isnan(fit.gamma):
        assert math.isnan(fit.interval[0]) and math.isnan(fit.interval[1])
    else:
        assert 0 < fit.interval[0] <= fit.gamma <= fit.interval[1]
        scaled = fit_rate(sizes, factor * np.array(errors), magnitude=1e-3 * factor)
        np.testing.assert_allclose(scaled.gamma, fit.gamma, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "model", ["power", "power_log", "power_correction", "power_floor", "two_corrections"]
)
@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_influence_is_the_derivative_of_gamma(model, decay):
    m = 2.0 ** np.arange(3, 12)
    y = np.log(m**-1.5 * (1 + 3 / m))
    if model == "power_floor":
        y = np.log(m**-1.5 + 1e-3)
    fit = fit_model(model, m, y, 0, decay)
    for i in range(len(m)):
        d = np.eye(len(m))[i] * 1e-5
        up, down = fit_model(model, m, y + d, 0, decay), fit_model(model, m, y - d, 0, decay)
        numeric = (up.gamma - down.gamma) / 2e-5
        # Gauss-Newton leaves out the curvature of the model times the residual.
        np.testing.assert_allclose(fit.influence[i], numeric, atol=0.05)
