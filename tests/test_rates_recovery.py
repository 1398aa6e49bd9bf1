"""`fit_rate` on sequences with exact rates: it recovers where it claims to."""

import math
import re
from typing import NamedTuple

import numpy as np
import pytest

from qrelu.rates import fit_rate


class Problem(NamedTuple):
    name: str
    difficulty: str
    sizes: np.ndarray
    errors: np.ndarray
    gamma: float
    model: str
    within: float


def _pieces(sizes):
    """Pieces of a one-hidden-layer network of connectivity M: about three per neuron."""
    return np.floor((sizes - 1) / 3)


def _powers(low, high):
    return 2.0 ** np.arange(low, high + 1)


ALL = np.arange(1.0, 129.0)
DYADIC = _powers(0, 7)
WIDE = _powers(4, 14)
SHORT = 24 * _powers(0, 6)
FLOORED = _powers(2, 10)
LONG = 24 * _powers(0, 9)

PROBLEMS = [
    Problem("power", "easy", WIDE, 3 * WIDE**-0.7, 0.7, "power", 1e-9),
    Problem("sqrt at every N", "curvature", ALL, 1 / (4 * ALL * (ALL + 1)), 2, "", 0.02),
    Problem("sqrt at dyadic N", "curvature", DYADIC, 1 / (4 * DYADIC * (DYADIC + 1)), 2, "", 0.02),
    Problem("correction", "curvature", SHORT, SHORT**-1.5 * (1 + 20 / SHORT), 1.5, "", 0.02),
    Problem("log^0.5", "logarithm", WIDE, np.log2(WIDE) ** 0.5 / WIDE, 1, "power_log", 0.05),
    Problem("log^1", "logarithm", WIDE, np.log2(WIDE) / WIDE, 1, "power_log", 0.05),
    Problem("log^1.5", "logarithm", WIDE, np.log2(WIDE) ** 1.5 / WIDE, 1, "power_log", 0.05),
    Problem(
        "log^0.5 in connectivity",
        "logarithm",
        24 * _powers(0, 7),
        _pieces(24 * _powers(0, 7)) ** -2 * np.log(_pieces(24 * _powers(0, 7))) ** 0.5,
        2,
        "power_log",
        0.05,
    ),
    Problem("floor", "floor", FLOORED, FLOORED**-1.5 + 1e-3, 1.5, "power_floor", 0.05),
    Problem("floor, not yet flat", "floor", FLOORED[:7], FLOORED[:7] ** -1.5 + 1e-3, 1.5, "", 0.05),
    Problem("two powers", "late", LONG, (LONG / 24) ** -2 + (LONG / 24) ** -0.5, 0.5, "", 0.02),
]
IDS = [f"{p.name} ({p.difficulty})" for p in PROBLEMS]


@pytest.mark.parametrize("problem", PROBLEMS, ids=IDS)
def test_recovers_the_exact_rate(problem):
    fit = fit_rate(problem.sizes, problem.errors)
    assert abs(fit.gamma - problem.gamma) <= problem.within
    assert fit.interval[0] <= problem.gamma <= fit.interval[1]
    assert fit.interval[0] <= fit.gamma <= fit.interval[1]
    assert fit.interval_kind == "envelope"
    assert fit.model == (problem.model or fit.model)
    assert "falls like" in fit.verdict


@pytest.mark.parametrize("problem", PROBLEMS, ids=IDS)
def test_recovers_the_rate_under_one_percent_noise(problem):
    """In 8 of 10 draws at least: three parameters are ill-conditioned on few sizes."""
    within = 0.05 if problem.difficulty in ("floor", "late") else 0.02
    if problem.name in ("correction", "floor, not yet flat"):
        within = 0.1  # seven or eight sizes
    if problem.difficulty == "logarithm":
        within = 0.15  # one sequence with that noise is often read as a smaller power
    rng = np.random.default_rng(0)
    draws = np.exp(0.01 * rng.standard_normal((30, len(problem.sizes))))
    gammas = np.array([fit_rate(problem.sizes, problem.errors * draw).gamma for draw in draws])
    assert np.mean(np.abs(gammas - problem.gamma) <= within) >= 0.8


@pytest.mark.parametrize("start", [16, 24, 32, 48])
@pytest.mark.parametrize("count", [7, 9, 11])
@pytest.mark.parametrize("a", [-1.0, 0.0, 1.0, 3.0])
def test_smooth_sequences_in_connectivity(start, count, a):
    """N^-2 (1 + a/N + 1/N^2) with N the pieces that M weights allow: 2, within 0.02."""
    sizes = start * 2 ** np.arange(count)
    pieces = _pieces(sizes)
    fit = fit_rate(sizes, pieces**-2.0 * (1 + a / pieces + 1 / pieces**2))
    assert abs(fit.gamma - 2) <= 0.02
    assert fit.interval[0] <= 2 <= fit.interval[1]
    # Seven sizes from 5 pieces on leave M -> pieces visible in the last orders.
    assert fit.interval[1] - fit.interval[0] <= (0.04 if count > 7 else 0.15)


@pytest.mark.parametrize(
    "ratios",
    [
        [1.250, 1.130, 1.066, 1.034, 1.017, 1.009],
        [0.984, 0.992, 0.996, 0.998, 0.999, 1.000],
    ],
    ids=["sine", "power1.5"],
)
def test_measured_splines(ratios):
    """Error over asymptotic limit of equidistributed splines with 8 to 256 pieces."""
    pieces = 8.0 * 2 ** np.arange(6)
    fit = fit_rate(3 * pieces + 1, pieces**-2 * np.array(ratios))
    assert abs(fit.gamma - 2) <= 0.02
    assert fit.interval[0] <= 2 <= fit.interval[1]


M = 24 * _powers(0, 5)
NO_RATE = [
    ("rise", M, [1e-2, 3e-3, 1e-3, 9e-4, 3e-3, 1e-2], "the error rises beyond M = 192"),
    ("rise at once", M, [1e-3, 2e-3, 3e-3, 4e-3, 5e-3, 6e-3], "rises beyond M = 24"),
    ("flat", M, [1e-2, 2.5e-3, 6e-4, 5.1e-4, 4.7e-4, 4.9e-4], "flat from M = 96 on"),
    # Polynomials of two variables at an edge, whose rate is 1/4.
    (
        "slow",
        16 * _powers(0, 4),
        [0.1225, 0.0765, 0.0534, 0.0451, 0.0362],
        "or falls slowly, .* M\\^-0.28",
    ),
    ("constant", M, [1e-2] * 6, "does not change with M"),
    ("few", M[:3], [1e-2, 3e-3, 1e-3], "only 3 usable sizes; at least 4 are needed"),
    ("zero", M, [1e-2, 3e-3, 1e-3, 0, 0, 0], "the error is exactly zero from M = 192 on"),
    (
        "all zero",
        M,
        [0.0] * 6,
        "^the error is exactly zero from M = 24 on: the function is reproduced$",
    ),
    ("exponential", np.arange(2.0, 12.0), 2.0 ** -np.arange(2, 12), "falls exponentially"),
    ("root exponential", M, np.exp(-0.3 * M**0.5), "falls exponentially"),
    (
        "exponential, hardly begun",
        [8, 16, 32, 64],
        [0.0972411745, 0.0944981497, 0.0888929991, 0.0772067110],
        "^no rate is established: the error falls only by a factor 1.26, faster and faster$",
    ),
    (
        "a zero in between",
        16 * _powers(0, 6),
        [1, 0.5, 0.25, 0, 0.0625, 0.03125, 0.0156],
        "^only 3 usable sizes; .* some errors from M = 128 on are exactly zero and others are not",
    ),
    ("noise", M, [1.0e-2, 4e-3, 1.2e-2, 5e-3, 1.1e-2, 4.5e-3], "noise|flat|any from|rises"),
    (
        "arithmetic",
        np.array([12, 24, 48, 96, 192]),
        [1e-4, 1e-9, 3e-16, 2e-16, 4e-16],
        "at the floor of float64 arithmetic from M = 48 on",
    ),
]


@pytest.mark.parametrize("name, sizes, errors, words", NO_RATE, ids=[c[0] for c in NO_RATE])
def test_no_rate_is_claimed(name, sizes, errors, words):
    fit = fit_rate(sizes, errors)
    assert math.isnan(fit.gamma) and math.isnan(fit.interval[0]) and math.isnan(fit.interval[1])
    assert not fit.established
    assert re.search(words, fit.verdict), fit.verdict


def test_quantizers_at_fixed_bits_never_have_a_rate():
    """Falls like N^-2, then a floor that wanders by 20 % or rises: 200 draws."""
    rng = np.random.default_rng(0)
    sizes = 24 * _powers(0, 6)
    pieces = _pieces(sizes)
    for _ in range(200):
        # The floor is met at the latest at the fourth of the seven sizes.
        ratio = 2.0 ** -rng.uniform(2, 6)
        growth = (pieces / pieces[0]) ** rng.choice([0.0, 0.5, 1.0])
        wander = np.exp(0.2 * rng.standard_normal(len(sizes)))
        errors = np.hypot(pieces**-2.0, ratio * pieces[0] ** -2 * growth * wander)
        fit = fit_rate(sizes, errors)
        assert math.isnan(fit.gamma), (fit, errors)
        assert "flat from" in fit.verdict or "rises beyond" in fit.verdict


# Measured in L^2 with the library's families: M and errors.
RUNGE = (
    [22, 46, 94, 190, 382, 766, 1534],
    [0.00899918, 0.00211241, 0.000520561, 0.000129711, 3.24491e-05, 8.12046e-06, 2.03092e-06],
)
TREE = (
    [23, 51, 107, 219, 443, 891],
    [0.076299, 0.0172561, 0.00413257, 0.00102044, 0.000254277, 6.35158e-05],
)
LATE = (
    [23, 51, 107, 219, 427, 861, 1723, 3443],
    [0.325937, 0.196965, 0.0950818, 0.0271577, 0.00421313, 0.000875563, 0.00021037, 5.20803e-05],
)


@pytest.mark.parametrize("sequence, width", [(RUNGE, 0.04), (TREE, 0.2)], ids=["runge", "sine"])
def test_orders_that_settle_slowly_are_no_logarithm(sequence, width):
    fit = fit_rate(*sequence)
    assert fit.model != "power_log"
    assert abs(fit.gamma - 2) <= 0.02 and fit.interval[0] <= 2 <= fit.interval[1]
    assert fit.interval[1] - fit.interval[0] <= width


@pytest.mark.parametrize("count", [6, 7, 8])
def test_a_late_rate_is_no_exponential(count):
    """tanh(40 x) on a dyadic tree: steep at the middle sizes, then 2."""
    sizes, errors = LATE
    fit = fit_rate(sizes[:count], errors[:count])
    assert fit.model != "exponential"
    assert math.isnan(fit.gamma) or fit.interval[0] <= 2 <= fit.interval[1]


def test_scatter_known_to_the_caller_is_not_read_as_structure():
    """Errors up to 10 % above an exact power: nearly every envelope holds the rate."""
    rng = np.random.default_rng(0)
    sizes = 24 * _powers(0, 6)
    hits = 0
    for _ in range(40):
        errors = sizes**-2.0 * (1 + 0.1 * rng.uniform(size=7))
        fit = fit_rate(sizes, errors, scatter=0.1)
        hits += fit.interval[0] <= 2 <= fit.interval[1]
        assert fit.model in ("power", "power_correction") and math.isnan(fit.floor)
        assert fit.interval[1] - fit.interval[0] < 0.3
    assert hits >= 38
    exact = fit_rate(sizes, sizes**-2.0)
    wide = fit_rate(sizes, sizes**-2.0, scatter=0.1)
    assert wide.interval[0] < exact.interval[0] and wide.interval[1] > exact.interval[1]


def test_slow_floors_have_no_rate():
    """Fixed bits: the error falls at the small sizes and then wanders, is flat or falls slowly."""
    rng = np.random.default_rng(1)
    measured = [0.12, 0.13, 0.093, 0.12, 0.095, 0.085]
    assert math.isnan(fit_rate(24 * _powers(0, 5), measured).gamma)
    claimed = 0
    for _ in range(100):
        sizes = 24 * _powers(0, rng.integers(5, 8))
        floor = rng.uniform(0.1, 1.0) * (sizes / 24) ** -rng.uniform(0.0, 0.2)
        floor = floor * np.exp(rng.uniform(0.1, 0.3) * rng.standard_normal(len(sizes)))
        errors = np.hypot((sizes / 24) ** -2.0, floor)
        claimed += not math.isnan(fit_rate(sizes, errors).gamma)
    assert claimed <= 2


def test_errors_in_float32_stop_at_its_floor():
    sizes = 2 ** np.arange(4, 17)
    errors = (1.0 * sizes**-2.0 + 3e-7).astype(np.float32)
    fit = fit_rate(sizes, errors)
    assert "float32 arithmetic from M = 2048 on" in fit.verdict
    assert fit.tail.max() == 1024
    assert abs(fit.gamma - 2) < 0.05
    assert "float32" not in fit_rate(sizes, errors, magnitude=1e-2).verdict
    assert "float32" in fit_rate(sizes, errors.astype(float), dtype=np.float32).verdict


def test_a_known_floor_is_named_and_left_out():
    sizes = _powers(2, 10)
    errors = np.hypot(sizes**-1.5, 1e-3)
    fit = fit_rate(sizes, errors, floor=1e-3, floor_of="the floor of the quantizer")
    assert "at the floor of the quantizer from M = 64 on" in fit.verdict
    assert fit.floor == 1e-3
    assert abs(fit.gamma - 1.5) < 0.05 and fit.interval[0] < 1.5 < fit.interval[1]


def test_uncertain_errors_are_left_out_and_widen_the_interval():
    sizes = _powers(2, 11)
    errors = sizes**-1.0
    sharp = fit_rate(sizes, errors)
    vague = fit_rate(sizes, errors, uncertainties=3e-4)
    assert "measurement uncertainty from M = 1024 on" in vague.verdict
    assert vague.interval[0] < sharp.interval[0] and vague.interval[1] > sharp.interval[1]
    # The worst that the uncertainties can do to a slope lies inside, up to the second order.
    kept = sizes[:8]
    for sign in (1, -1):
        tilted = errors[:8] + sign * 3e-4 * np.sign(kept - np.exp(np.mean(np.log(kept))))
        slope = -np.polyfit(np.log(kept), np.log(tilted), 1)[0]
        assert vague.interval[0] - 0.002 <= slope <= vague.interval[1] + 0.002


def test_exact_zeros_leave_the_sizes_before_them():
    sizes = _powers(2, 11)
    fit = fit_rate(sizes, np.where(sizes < 1000, sizes**-1.0, 0.0))
    assert abs(fit.gamma - 1) < 1e-6
    assert "exactly zero from M = 1024 on" in fit.verdict
    assert np.isnan(fit.orders[-2:]).all() and np.isfinite(fit.orders[:-2]).all()


def test_zeros_of_one_replicate_do_not_say_that_the_function_is_reproduced():
    errors = M**-1.0 * np.array([[1.0], [1.01]])
    errors[1, 4:] = 0
    fit = fit_rate(M, errors)
    assert abs(fit.gamma - 1) < 1e-6 and fit.tail.max() == M[3]
    assert "some errors from M = 384 on are exactly zero" in fit.verdict
    assert "reproduced" not in fit.verdict


def test_pairwise_orders():
    fit = fit_rate([1, 2, 4, 16, 32], [1.0, 0.5, 0.125, 0.0078125, 0.00390625])
    np.testing.assert_allclose(fit.orders, [1, 2, 2, 1])


def test_the_curve_follows_the_errors():
    for problem in PROBLEMS:
        fit = fit_rate(problem.sizes, problem.errors)
        errors = problem.errors[np.isin(problem.sizes, fit.tail)]
        np.testing.assert_allclose(fit.curve(fit.tail), errors, rtol=0.05)
    assert np.isnan(fit_rate(M, [1.0] * 6).curve(M)).all()
