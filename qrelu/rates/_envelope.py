r"""The envelope of one deterministic sequence: what gamma can be, weighed by Bayes' rule.

A log error is a power, perhaps a logarithm, a smooth correction and something unresolved:

    y = c - gamma x + b log x + d / x + sum_k a_k u^k + noise,   x = log M,   u = M_min / M,

with k = 1, 2, ... or k = 1/2, 1, 3/2, ...

All of that is linear, so that for given scales (of the corrections, of the noise) the posterior of
gamma is a normal distribution and the evidence of the scales is a determinant: no search, and no
penalty for parameters beyond what the evidence itself charges. The scales run over grids, the noise
over three shapes, the small sizes may be left out, and the envelope is the central 95 % of the
mixture. What tells a logarithm from a correction is how the pairwise orders approach gamma: like
1 / log M or geometrically. The evidence measures just that, at whatever noise there is.

An envelope is no confidence interval: a deterministic sequence is drawn from no distribution, and
the priors below stand for what sequences of approximation errors look like.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from ._models import Candidate, above_floor, bends_up, fit_model

CLASSES = ("smooth", "half", "power_log", "power_floor")

# The powers of u, all with the same scale (relative, at the smallest size). Half powers come from
# grids of M^{1/2} points a side and from singularities; log(1 + a u^{1/2}) needs six of them.
_TERMS = {"smooth": np.arange(1, 5), "half": np.arange(1, 7) / 2, "power_log": np.arange(1, 5)}
_CORRECTIONS = 10.0 ** np.arange(-2.5, 0.51, 0.5)
# Relative noise. Below 1e-5 nothing changes: the least half-width is far larger.
_NOISES = 10.0 ** np.arange(-5.0, 0.0, 0.5)
# Logarithms in approximation rates carry multiples of 1/2: (log N)^{1/p} at a critical exponent in
# L^p, gamma log(log M) where M ~ N log N; negative ones for deep networks, whose errors can be
# (M log M)^-gamma. The power may differ from them by 0.05 (it does not where the sequence says so:
# then the evidence is overwhelming).
_LOG_POWERS = (-2.0, -1.5, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
_LOG_DEVIATION = 0.05
# (log(c M))^b = (log M)^b (1 + b log c / log M + ...): what the logarithm is of is known up to a
# factor e. Its next term, 1 / (log M)^2, moves gamma by about a hundredth.
_ARGUMENT, _NEXT = 1.0, 0.01
# A logarithm moves gamma by tenths, is rare, and over a factor of 60 in M is imitated by a sequence
# that is not yet smooth: one of the ten has to be 2,000 times better. Half powers move it by
# hundredths and have to be better at all. With a larger share they would stand in for logarithms
# under 1 % noise, with a smaller one logarithms for them on seven sizes. Floors are seen directly.
_PRIOR = {"smooth": 1.0, "half": 0.05, "power_log": 0.005, "power_floor": 0.05}
# Classes less likely than this are left out of the envelope.
_NEGLIGIBLE = 0.05
# A size left out at the small end divides the evidence by four, and its error could have been
# anything within a factor of e. At most half of the sizes are left out, at five places.
_DROP, _TAILS = 0.25, 5
# Errors of nested or greedy sequences are autocorrelated along the sizes.
_CORRELATION = 0.7
# Least half-width: the third digit of a measured rate is not claimed.
_LEAST = 0.004


class Envelope(NamedTuple):
    """The best candidate, gamma and its bounds.

    `misfit` says that even the best one leaves more than noise, where replicates tell what it is.
    """

    best: Candidate
    gamma: float
    lower: float
    upper: float
    misfit: bool = False


class Posterior(NamedTuple):
    """Hypotheses of one form: log evidences, means and deviations of gamma over the grids.

    `candidate(index)` gives the most likely coefficients of one of them.
    """

    name: str
    evidence: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    candidate: Callable[[tuple], Candidate]


def _noise_shapes(m):
    """Whitening matrices with log determinants: white, autocorrelated, and dying like 1/M.

    The last one is that of M that maps to whole numbers of pieces.
    """
    white = np.eye(len(m))
    scale = 1 / np.sqrt(1 - _CORRELATION**2)
    chain = scale * (white - _CORRELATION * np.eye(len(m), k=-1))
    chain[0, 0] = 1.0
    decay = m / m[-1]
    yield white, 0.0
    yield chain, (len(m) - 1) * np.log(scale)
    yield np.diag(decay), float(np.sum(np.log(decay)))


def _posteriors(columns, m, ys, fixed, noises):
    """Bayesian linear regression for every noise and every scale of the corrections.

    `ys` (columns of data) share the features. `fixed` holds the prior precisions of the first
    columns (0 for c and gamma, whose prior is flat, equally for all hypotheses); the other columns
    are corrections. Yields log evidences and the mean and deviation of gamma, all of shape (data,
    noises, scales), and a function that takes an index into them to the coefficients, the
    influence of each log error on gamma and the noise.
    """
    n, total = columns.shape
    more = total - len(fixed)
    scales = _CORRECTIONS if more else np.ones(1)
    prior = np.zeros((len(scales), total))
    prior[:, : len(fixed)] = fixed
    prior[:, len(fixed) :] = scales[:, None] ** -2
    for whiten, log_determinant in _noise_shapes(m):
        features, data = whiten @ columns, whiten @ ys
        # Noise as the unit: the precision is F^T F + sigma^2 prior.
        ridge = noises[:, None, None] ** 2 * prior
        precision = features.T @ features + ridge[..., None] * np.eye(total)
        inverse = np.linalg.inv(precision)
        mean = inverse @ (features.T @ data)
        # One step of refinement: the precision is ill-conditioned where the ridge is small.
        rest = data - features @ mean
        mean = mean + inverse @ (features.T @ rest - ridge[..., None] * mean)
        rest = data - features @ mean
        square = np.sum(rest**2, axis=-2) + np.sum(ridge[..., None] * mean**2, axis=-2)
        evidence = (
            log_determinant
            - 0.5 * (n - 2) * np.log(2 * np.pi)
            - (n - total) * np.log(noises)[:, None]
            - 0.5 * np.linalg.slogdet(precision)[1]
            + 0.5 * np.sum(np.log(prior[:, 2:]), axis=-1)
        )[..., None] - 0.5 * square / noises[:, None, None] ** 2
        deviation = noises[:, None] * np.sqrt(np.maximum(inverse[..., 1, 1], 0.0))

        def most_likely(k, i, j, mean=mean, inverse=inverse, features=features, whiten=whiten):
            return mean[i, j, :, k], inverse[i, j, 1] @ features.T @ whiten, noises[i]

        means = np.moveaxis(mean[..., 1, :], -1, 0)
        yield (
            np.moveaxis(evidence, -1, 0),
            means,
            np.broadcast_to(deviation, means.shape),
            most_likely,
        )


def _line_and_corrections(name, m, y, start, noises):
    """The hypotheses `name` on the sizes from number `start` on."""
    x, u, terms, logarithm = np.log(m), m[0] / m, _TERMS[name], name == "power_log"
    fixed, first, powers = np.zeros(2), [np.ones_like(x), -x], np.zeros(1)
    if logarithm:
        first = [*first, np.log(x), 1 / x]
        fixed = np.array([0.0, 0.0, _LOG_DEVIATION**-2, _ARGUMENT**-2])
        powers = np.array(_LOG_POWERS)
    columns = np.stack([*first, *[u**k for k in terms]], axis=1)
    known = np.log(x)[:, None] * powers if logarithm else np.zeros((len(x), 1))

    def candidate(k, mean, influence, noise):
        corrections = mean[len(fixed) :] * m[0] ** terms
        bend = np.ptp(columns[:, len(fixed) :] @ mean[len(fixed) :])
        rest = () if bend <= max(2 * noise, 1e-3) else tuple(corrections)
        model = ("half_correction" if name == "half" else "power_correction") if rest else "power"
        if logarithm:
            model, rest = "power_log", (mean[2] + powers[k], mean[3], *corrections)
        c, gamma = mean[:2]
        residuals = y - known[:, k] - columns @ mean
        weights = np.ones_like(y)
        numbers = (c, gamma, *rest)
        return Candidate(model, start, 0.0, weights, gamma, np.nan, numbers, residuals, influence)

    prior = np.log(_PRIOR[name] / (len(powers) * len(_CORRECTIONS))) + start * np.log(_DROP)
    for evidence, mean, deviation, most_likely in _posteriors(
        columns, m, y[:, None] - known, fixed, noises
    ):
        yield Posterior(
            name,
            evidence + prior,
            mean,
            deviation,
            lambda at, most_likely=most_likely: candidate(at[0], *most_likely(*at)),
        )


def _above_a_floor(m, y, start, noises):
    """The hypothesis "power_floor", linearized at its best fit."""
    fit = fit_model("power_floor", m, y)
    # A rate above a floor rests on the errors above it; four are the least.
    if fit is None or fit.freedom < 1 or above_floor(fit, y) < 4:
        return
    _, gamma, turn = fit.coefficients
    x = np.log(m) - turn
    fall = 1 / (1 + np.exp(gamma * x))
    columns = np.stack([np.ones_like(x), -x * fall, gamma * fall], axis=1)
    data = fit.residuals + gamma * columns[:, 1]
    # Where the floor is met is known within a factor e^2.
    fixed = np.array([0.0, 0.0, 2.0**-2])
    prior = np.log(_PRIOR["power_floor"]) + start * np.log(_DROP)
    fit = fit._replace(start=start)
    for evidence, mean, deviation, _ in _posteriors(columns, m, data[:, None], fixed, noises):
        yield Posterior("power_floor", evidence + prior, mean, deviation, lambda at: fit)


def _hypotheses(m, y, classes, noises):
    """Every class on every tail, with its prior."""
    last = max(min(len(m) // 2, len(m) - 4), 0)
    for start in sorted({int(s) for s in np.linspace(0, last, min(last + 1, _TAILS)).round()}):
        tail, errors = m[start:], y[start:]
        for name in _TERMS:
            if name in classes and (name != "power_log" or tail[0] > 2):
                yield from _line_and_corrections(name, tail, errors, start, noises)
        if "power_floor" in classes and bends_up(tail, errors):
            yield from _above_a_floor(tail, errors, start, noises)


def _quantile(weights, means, deviations, level: float) -> float:
    """Quantile of a mixture of normal distributions, by bisection."""
    deviations = np.maximum(deviations, 1e-9)
    low, high = np.min(means - 9 * deviations), np.max(means + 9 * deviations)
    for _ in range(40):
        middle = (low + high) / 2
        if weights @ ndtr((middle - means) / deviations) < level:
            low = middle
        else:
            high = middle
    return float((low + high) / 2)


def envelope(m, y, classes=CLASSES, least_noise: float = 0.0) -> Envelope | None:
    """The envelope of the log errors `y`, or None where no model can be fitted."""
    noises = _NOISES[_NOISES > least_noise]
    if least_noise > 0:
        noises = np.concatenate([[least_noise], noises])
    pool = list(_hypotheses(m, y, classes, noises))
    if not pool:
        return None
    evidence = np.concatenate([p.evidence.ravel() for p in pool])
    means = np.concatenate([p.mean.ravel() for p in pool])
    deviations = np.concatenate([p.deviation.ravel() for p in pool])
    names = np.repeat([p.name for p in pool], [p.evidence.size for p in pool])
    weights = np.exp(evidence - evidence.max())
    weights = weights / weights.sum()
    share = {name: float(weights[names == name].sum()) for name in classes}
    winner = max(share, key=lambda name: share[name])
    # The best hypothesis of the winning class, and the median of gamma in that class.
    of_winner = np.where(names == winner, weights, 0.0)
    first = max((p for p in pool if p.name == winner), key=lambda p: p.evidence.max())
    best = first.candidate(np.unravel_index(np.argmax(first.evidence), first.evidence.shape))
    kept = of_winner > 1e-9 * of_winner.max()
    of_winner = of_winner[kept] / of_winner[kept].sum()
    gamma = _quantile(of_winner, means[kept], deviations[kept], 0.5)
    likely = np.isin(names, [name for name in classes if share[name] >= _NEGLIGIBLE])
    kept = likely & (weights > 1e-9 * weights.max())
    rest = weights[kept] / weights[kept].sum(), means[kept], deviations[kept]
    half = _LEAST + _NEXT * (winner == "power_log")
    lower, upper = _quantile(*rest, 0.025) - half, _quantile(*rest, 0.975) + half
    return Envelope(best, gamma, min(lower, gamma - half), max(upper, gamma + half))
