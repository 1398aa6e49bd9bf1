r"""The models of a falling error, each fitted to log errors by variable projection."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

MODELS = ("power", "power_log", "power_floor", "power_correction", "exponential")

# Parameters of each model. The noise level is common to all and not counted, nor is the exponent
# of M in the exponential, which takes two values only.
PARAMETERS = {
    "power": 2,
    "power_log": 3,
    "power_floor": 3,
    "power_correction": 3,
    "two_corrections": 4,
    "exponential": 2,
}


class Candidate(NamedTuple):
    """One model fitted to the sizes from number `start` on, with weights (M / M_max)^decay.

    `influence` is the derivative of gamma with respect to each log error, so that gamma moves by
    `influence @ dy` when the log errors move by `dy`.
    """

    model: str
    start: int
    decay: float
    weights: Float[np.ndarray, " tail"]
    gamma: float
    floor: float
    coefficients: tuple[float, ...]
    residuals: Float[np.ndarray, " tail"]
    influence: Float[np.ndarray, " tail"]

    @property
    def parameters(self) -> int:
        """How many parameters were fitted."""
        return PARAMETERS[self.model]

    @property
    def freedom(self) -> int:
        """Degrees of freedom left to the residuals."""
        return len(self.residuals) - self.parameters

    @property
    def square(self) -> float:
        """Weighted sum of squared residuals."""
        return float(np.sum((self.weights * self.residuals) ** 2))

    @property
    def aicc(self) -> float:
        """Akaike's criterion with the small-sample correction [hurvich1989]."""
        n, k = len(self.residuals), self.parameters
        if n - k - 1 <= 0:
            return np.inf
        # Residuals below 1e-13 are rounding of the logarithms and carry no information.
        mean_square = max(self.square / n, 1e-26)
        log_weights = 2 * float(np.sum(np.log(self.weights)))
        return float(n * np.log(mean_square) - log_weights + 2 * k + 2 * k * (k + 1) / (n - k - 1))


def _linear(columns, y, w):
    """Weighted least squares: coefficients, residuals and the rows d coefficients / d y.

    The columns are scaled to norm 1, which leaves condition numbers below 1e4 for these models, so
    the normal equations keep eight digits; the ridge of 1e-15 only prevents a division by zero.
    """
    scaled = columns * w[:, None]
    scale = np.sqrt(np.einsum("ij,ij->j", scaled, scaled))
    scaled = scaled / scale
    gram = scaled.T @ scaled
    gram.flat[:: len(gram) + 1] += 1e-15
    rows = np.linalg.solve(gram, (scaled * w[:, None]).T) / scale[:, None]
    coefficients = rows @ y
    coefficients = coefficients + rows @ (y - columns @ coefficients)
    return coefficients, y - columns @ coefficients, rows


def _power(m, y, w):
    c, residuals, pseudo = _linear(np.stack([np.ones_like(m), -np.log(m)], 1), y, w)
    return c[1], np.nan, tuple(c), residuals, pseudo[1]


def _power_log(m, y, w):
    if m[0] < 2:
        return None
    x = np.log(m)
    c, residuals, pseudo = _linear(np.stack([np.ones_like(x), -x, np.log(x)], 1), y, w)
    return c[1], np.nan, tuple(c), residuals, pseudo[1]


def _exponential(m, y, w):
    """C exp(-c M^theta) with theta = 1 or 1/2, the better one."""
    fits = []
    for theta in (1.0, 0.5):
        c, residuals, _ = _linear(np.stack([np.ones_like(m), -(m**theta)], 1), y, w)
        fits.append((residuals @ residuals, theta, c, residuals))
    _, theta, c, residuals = min(fits, key=lambda fit: fit[0])
    return np.nan, np.nan, (*c, theta), residuals, np.zeros_like(m)


# Power with correction, y = c - gamma x + log(1 + a u) with u = M_min / M. Given a, the rest is
# linear: with the orthonormal columns Q of (1, x) the residual is (I - Q Q^T)(y - log(1 + a u)), a
# function of a alone. It is minimized on a grid that shrinks around the best point.
def _power_correction(m, y, w):
    u = m[0] / m
    columns = np.stack([np.ones_like(m), -np.log(m)], 1)
    q, _ = np.linalg.qr(columns * w[:, None])

    def residual_square(a):
        z = (y - np.log1p(a[:, None] * u)) * w
        z = z - (z @ q) @ q.T
        return np.einsum("ij,ij->i", z, z)

    # a = exp(s) - 1 covers (-1, infinity): the correction at the smallest size is exp(s).
    low, high = np.log(0.02), np.log(50.0)
    for _ in range(5):
        grid = np.linspace(low, high, 21)
        best = int(np.argmin(residual_square(np.expm1(grid))))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, 20)]
    a = float(np.expm1(grid[best]))
    # One Gauss-Newton step on all three parameters finishes what the grid (1e-4) leaves.
    columns = np.stack([columns[:, 0], columns[:, 1], u / (1 + a * u)], 1)
    (c, gamma, step), _, pseudo = _linear(columns, y - np.log1p(a * u), w)
    a = max(a + step, -0.98)
    residuals = y - columns[:, :2] @ np.array([c, gamma]) - np.log1p(a * u)
    return gamma, np.nan, (c, gamma, a * m[0]), residuals, pseudo[1]


# Power with floor, y = log F + log(1 + exp(-gamma (x - z))): z is the log size at which the falling
# part equals the floor F. log F is linear and is eliminated by centering, which leaves two
# parameters; they start on a grid and are finished by Gauss-Newton steps that are halved while
# they do not help.
def _power_floor(m, y, w):
    x = np.log(m)
    length = x[-1] - x[0]
    gammas = np.geomspace(0.1, 6.0, 20)
    turns = np.linspace(x[0], x[-1] + length, 24)
    z = gammas[:, None, None] * (x - turns[:, None])
    r = y - np.logaddexp(0.0, -z)
    r = r - r.mean(-1, keepdims=True)
    square = np.einsum("ijk,ijk->ij", r, r)
    i, j = np.unravel_index(np.argmin(square), square.shape)
    gamma, turn, best = gammas[i], turns[j], square[i, j]

    def model(gamma, turn):
        h = np.logaddexp(0.0, -gamma * (x - turn))
        fall = -np.expm1(-h)  # share of the falling part in the error
        jacobian = np.stack([np.ones_like(x), -(x - turn) * fall, gamma * fall], 1)
        level = np.mean(y - h)
        return level, y - h - level, jacobian

    level, r, jacobian = model(gamma, turn)
    for _ in range(12):
        step, _, _ = _linear(jacobian, r, w)
        damping = 1.0
        while damping > 1e-3:
            trial = gamma + damping * step[1], turn + damping * step[2]
            if 0 < trial[0] < 20 and abs(trial[1] - x[0]) < 4 * length:
                new = model(*trial)
                if new[1] @ new[1] < best:
                    break
            damping /= 2
        else:
            break
        gain = best - new[1] @ new[1]
        (gamma, turn), (level, r, jacobian) = trial, new
        best = r @ r
        if gain <= 1e-12 * best or best < 1e-27:
            break
    # No floor to speak of (a ten-thousandth of the last error), or nothing but a floor.
    if not 1e-4 < np.exp(-np.logaddexp(0.0, -gamma * (x[-1] - turn))) or turn <= x[1]:
        return None
    _, _, pseudo = _linear(jacobian, r, w)
    return gamma, np.exp(level), (level, gamma, turn), r, pseudo[1]


# Power with two corrections in logarithmic form, c - gamma x + a u + b u^2: linear. It gauges how
# far the one-term correction can be trusted.
def _two_corrections(m, y, w):
    u = m[0] / m
    c, residuals, pseudo = _linear(np.stack([np.ones_like(m), -np.log(m), u, u * u], 1), y, w)
    return c[1], np.nan, (c[0], c[1], c[2] * m[0], c[3] * m[0] ** 2), residuals, pseudo[1]


_FITS = {
    "two_corrections": _two_corrections,
    "power": _power,
    "power_log": _power_log,
    "power_floor": _power_floor,
    "power_correction": _power_correction,
    "exponential": _exponential,
}


def fit_model(model: str, m, y, start: int = 0, decay: float = 0.0):
    """The candidate `model` on the sizes from number `start` on, or None where it has no sense."""
    m, y = m[start:], y[start:]
    if len(m) < PARAMETERS[model] + 1:
        return None
    w = (m / m[-1]) ** decay
    fit = _FITS[model](m, y, w)
    return None if fit is None else Candidate(model, start, decay, w, *fit)


def starts(n: int) -> list[int]:
    """Where tails begin: everywhere for few sizes, at seven places for many."""
    return sorted({int(s) for s in np.linspace(0, n - 4, min(n - 3, 7)).round()})


def bends_up(m, y) -> bool:
    """Whether the log errors bend upwards at the end, as towards a floor."""
    x = np.log(m)
    third = max(len(m) // 3, 1)
    chord = y[0] + (y[-1] - y[0]) * (x[third : 2 * third + 1] - x[0]) / (x[-1] - x[0])
    return bool(np.mean(y[third : 2 * third + 1] - chord) < 0)


def above_floor(fit: Candidate, y) -> int:
    """How many log errors `y` stand above 1.5 times the fitted floor."""
    return int(np.sum(np.exp(y) > 1.5 * fit.floor))


def curve(model: str, coefficients, m):
    """The error of a fitted model at the sizes `m`; NaN where nothing was fitted."""
    if not coefficients:
        return np.full_like(m, np.nan)
    x = np.log(m)
    c, b, *rest = coefficients
    if model == "exponential":
        return np.exp(c - b * m ** rest[0])
    if model == "power_floor":
        return np.exp(c + np.logaddexp(0.0, -b * (x - rest[0])))
    log_error = c - b * x
    if model == "power_log":
        # The power of the logarithm, the term 1 / log M, and corrections.
        power, argument, *rest = *rest, *[0.0] * (len(rest) == 1)
        log_error = log_error + power * np.log(x) + argument / x
    if model == "power_correction" and len(rest) == 1:
        return np.exp(log_error + np.log1p(rest[0] / m))
    u = m**-0.5 if model == "half_correction" else 1 / m
    return np.exp(log_error + sum(a * u**k for k, a in enumerate(rest, start=1)))
