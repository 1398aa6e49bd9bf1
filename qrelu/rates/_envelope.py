r"""The envelope of one deterministic sequence: a hull over tails and admissible models.

What is left over by a model is no coin toss here. Two kinds occur: a level that is the same at
every size (local minima, optimizers), and one that dies like 1/M (M maps to a whole number of
pieces; higher corrections of the expansion). Every model is therefore fitted with both, as weights
(M / M_max)^0 and (M / M_max)^1, and the likelihood decides. Sizes left out at the small end are
given the likelihood of a deviation of `_DROP` = 30 % each, which makes the criteria of different
tails comparable: a tail is shortened only when the fit becomes correspondingly sharper.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from ._models import Candidate, fit_model

ALGEBRAIC = ("power", "power_log", "power_floor", "power_correction")
# Two corrections count as "power_correction"; they gauge how far one correction can be trusted. A
# logarithm with a correction counts as "power_log".
SHORT = (*ALGEBRAIC, "two_corrections")
MODELS = (*SHORT, "log_correction")

_DROP = 0.3
# Models within 2 of the best AICc have substantial support by the usual rule [burnham2002].
_NEAR = 2.0
# A logarithm moves gamma by tenths and is easily imitated by a correction: it has to be better by
# 1.5. Measured: without it 1 in 40 smooth sequences is read as a logarithm, with 3 a tenth of the
# logarithms with 1 % noise is missed.
# A logarithm and a correction together follow nearly any smooth noise, and have to be better by 12.
_COST = {"power_log": 1.5, "log_correction": 12.0}
# Whether the logarithm is that of M or of the pieces then matters by this much.
_ARGUMENT = 0.02
# Errors of nested or greedy sequences are autocorrelated; a correlation of 1/2 along the sizes
# multiplies a standard deviation by sqrt((1 + 1/2) / (1 - 1/2)). Rounding to whole pieces, which
# dies like 1/M, is not.
_AUTOCORRELATION = 3**0.5
# Least half-width, and share of the drift of the pairwise orders that is added to it: what the
# tested families of smooth sequences need to contain the truth (tests and benchmark).
_LEAST = 0.004
_DRIFT = 0.01


class Envelope(NamedTuple):
    """The chosen candidate, and the hull of the gammas of all admissible ones.

    `misfit` says that even the chosen one leaves more than noise, by an F test at 0.9999, where
    replicates tell what the noise is.
    """

    best: Candidate
    gamma: float
    lower: float
    upper: float
    misfit: bool = False


def starts(n: int) -> list[int]:
    """Where tails begin: everywhere for few sizes, at seven places for many."""
    return sorted({int(s) for s in np.linspace(0, n - 4, min(n - 3, 7)).round()})


def _bends_up(m, y) -> bool:
    """Whether the log errors bend upwards at the end, as towards a floor."""
    x = np.log(m)
    third = max(len(m) // 3, 1)
    chord = y[0] + (y[-1] - y[0]) * (x[third : 2 * third + 1] - x[0]) / (x[-1] - x[0])
    return bool(np.mean(y[third : 2 * third + 1] - chord) < 0)


def above_floor(fit: Candidate, y) -> int:
    """How many errors of the tail stand above 1.5 times the fitted floor."""
    return int(np.sum(np.exp(y[fit.start :]) > 1.5 * fit.floor))


def candidates(m, y, models=MODELS, decays=(0.0, 1.0)) -> list[Candidate]:
    """Every model on every tail that leaves it a degree of freedom (power: two)."""
    found = []
    for start in starts(len(m)):
        for model in models:
            if model == "power_floor" and not _bends_up(m[start:], y[start:]):
                continue
            for decay in decays if model != "power_floor" else (0.0,):
                if decay and start > 2:
                    continue
                fit = fit_model(model, m, y, start, decay)
                if fit is None or fit.freedom < (2 if model == "power" else 1):
                    continue
                # A rate above a floor rests on the errors above it; four are the least.
                if model == "power_floor" and above_floor(fit, y) < 4:
                    continue
                found.append(fit)
    return found


def aitken(x, y, noise: float) -> float:
    r"""Limit of the last three pairwise orders p, if they converge geometrically; else NaN.

    With d_1, d_2 their differences and r = d_2 / d_1, Aitken's limit is p_n + d_2 r / (1 - r). On
    sizes in geometric progression it is exact for any correction a M^-beta. It is taken where both
    differences stand eight times above the noise of an order and 0 < r < 0.85.
    """
    h = np.diff(x)
    if len(y) < 5 or np.ptp(h[-3:]) > 0.05 * h[-1]:
        return np.nan
    p = -np.diff(y) / h
    d = np.diff(p[-3:])
    if np.min(np.abs(d)) < 8 * noise / h[-1] or not 0 < d[1] / d[0] < 0.85:
        return np.nan
    ratio = d[1] / d[0]
    return float(p[-1] + d[1] * ratio / (1 - ratio))


def envelope(m, y, models=MODELS) -> Envelope | None:
    """The envelope of the log errors `y`, or None where no model can be fitted."""
    pool = candidates(m, y, models)
    if not pool:
        return None
    cost = np.array(
        [c.aicc + c.start * 2 * (1 + np.log(_DROP)) + _COST.get(c.model, 0.0) for c in pool]
    )
    best = pool[int(np.argmin(cost))]
    inflation = 1.0 if best.decay else _AUTOCORRELATION
    half = inflation * stdtrit(best.freedom, 0.975) * best.deviation + _LEAST
    half += _ARGUMENT * (best.model == "log_correction")
    x = np.log(m)
    if best.model != "power_floor":
        orders = -np.diff(y[best.start :]) / np.diff(x[best.start :])
        half += _DRIFT * float(np.ptp(orders))
    near = [c.gamma for c, k in zip(pool, cost, strict=True) if k <= cost.min() + _NEAR]
    # Aitken adds nothing to a model that leaves no residual at all, and towards a floor the orders
    # converge to zero.
    if best.spread > 1e-6 and best.model != "power_floor":
        noise = min(max(c.spread, 1e-6) * np.sqrt(1 + 4 / c.freedom) for c in pool)
        limit = aitken(x, y, noise)
        if np.isfinite(limit):
            near.append(limit + np.sign(limit - best.gamma) * _LEAST)
    return Envelope(best, best.gamma, min(best.gamma - half, *near), max(best.gamma + half, *near))
