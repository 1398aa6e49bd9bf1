r"""Student's t over replicates, with the choice of the model inside.

Each replicate gets its own gamma under the chosen model: to first order gamma_r = gamma + g (y_r -
ybar), where g is the influence of the log errors on gamma (for models that are linear in the log
errors this is exact). The gammas of the replicates are independent whatever the correlation along
the sizes is, so Student's t holds for AR(1) errors too, where a least-squares interval covers 62 %.

The choice of a model costs coverage when it is made once and forgotten. Here the noise is known
without any model, from the differences between replicates, and so is its correlation rho along the
sizes. AICc of the mean under that noise compares all models on all tails (a size left out counts as
a parameter). The plain power on all sizes stands unless something beats it by `_STAND`; if it
falls, all candidates within `_NEAR` of the best one count with Akaike's weights [burnham2002], and
the interval is the central 95 % of the mixture of their t distributions (the union of their
intervals covers up to 0.995, with twice the width).
"""

import numpy as np
from scipy.special import fdtri, stdtr, stdtrit

from ._envelope import Envelope
from ._models import Candidate, above_floor, bends_up, fit_model, starts

# Two corrections count as "power_correction"; they gauge how far one correction can be trusted.
MODELS = ("power", "power_log", "power_floor", "power_correction", "two_corrections")

# One parameter more wins by 8 with probability P(chi^2_1 > 10) = 0.0016, several tails and models
# with about 0.02: the loss of coverage under a plain power stays below a hundredth.
_STAND = 8.0
# Measured on corrections and logarithms: 3 covers 0.92 to 0.98, 4 covers 0.93 to 0.99.
_NEAR = 3.5


def _correlation(d) -> float:
    """Lag-one correlation along the sizes of the deviations from the mean over replicates."""
    n = d.shape[1]
    rho = np.sum(d[:, 1:] * d[:, :-1]) / np.sum(d * d) * n / (n - 1)
    return float(np.clip(rho, 0.0, 0.95))


def _candidates(m, y, models) -> list[Candidate]:
    """Every model on every tail that leaves it a degree of freedom (power: two)."""
    found = []
    for start in starts(len(m)):
        for model in models:
            if model == "power_floor" and not bends_up(m[start:], y[start:]):
                continue
            fit = fit_model(model, m, y, start)
            if fit is None or fit.freedom < (2 if model == "power" else 1):
                continue
            # A rate above a floor rests on the errors above it; four are the least.
            if model == "power_floor" and above_floor(fit, y[start:]) < 4:
                continue
            found.append(fit)
    return found


def _quantile(weights, means, spreads, freedom: int, level: float) -> float:
    """Quantile of a mixture of Student's t distributions, by bisection."""
    spreads = np.maximum(spreads, 1e-12)
    reach = -stdtrit(freedom, 1e-6) * spreads.max()
    low, high = means.min() - reach, means.max() + reach
    for _ in range(50):
        middle = (low + high) / 2
        if weights @ stdtr(freedom, (middle - means) / spreads) < level:
            low = middle
        else:
            high = middle
    return float((low + high) / 2)


def over_replicates(m, y, models=MODELS) -> Envelope | None:
    """Mean gamma and 95 % interval for log errors `y` of shape (replicates, sizes)."""
    replicates, n = y.shape
    mean = y.mean(0)
    d = y - mean
    rho = _correlation(d)

    def whiten(v):
        rest = v[..., 1:] - rho * v[..., :-1]
        return np.concatenate([v[..., :1] * np.sqrt(1 - rho**2), rest], axis=-1)

    freedom, total = (replicates - 1) * n, replicates * n
    square = float(np.sum(whiten(d) ** 2)) / freedom

    def criterion(c):
        k = c.parameters + c.start
        if total - k - 1 <= 0:
            return np.inf
        misfit = replicates * float(np.sum(whiten(c.residuals) ** 2)) / square
        fit = total * np.log((freedom + misfit) / total)
        return fit + 2 * k + 2 * k * (k + 1) / (total - k - 1)

    pool = sorted(_candidates(m, mean, models), key=criterion)
    if not pool:
        return None
    least = criterion(pool[0])
    plain = [c for c in pool if c.model == "power" and c.start == 0]
    if plain and criterion(plain[0]) <= least + _STAND:
        near = plain
    else:
        near = [c for c in pool if criterion(c) <= least + _NEAR] or pool[:1]
    means = np.array([c.gamma for c in near])
    spreads = np.array([np.std(d[:, c.start :] @ c.influence, ddof=1) for c in near])
    weights = np.exp((least - np.array([criterion(c) for c in near])) / 2)
    mixture = weights / weights.sum(), means, spreads / np.sqrt(replicates), replicates - 1
    lower, upper = _quantile(*mixture, 0.025), _quantile(*mixture, 0.975)
    best = near[0]
    f = replicates * float(np.sum(whiten(best.residuals) ** 2)) / square / best.freedom
    misfit = bool(f > fdtri(best.freedom, freedom, 0.9999))
    return Envelope(best, best.gamma, min(lower, best.gamma), max(upper, best.gamma), misfit)
