"""The envelope of one deterministic sequence: a hull over tails and admissible models."""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from ._models import Candidate, fit_model

ALGEBRAIC = ("power", "power_log", "power_floor", "power_correction")


class Envelope(NamedTuple):
    """The chosen candidate with the hull of all admissible ones."""

    best: Candidate
    gamma: float
    lower: float
    upper: float


def candidates(m, y, models=(*ALGEBRAIC, "two_corrections")) -> list[Candidate]:
    """Every model on every tail that leaves it a degree of freedom (power: two)."""
    found = []
    for start in range(len(m) - 3):
        for model in models:
            fit = fit_model(model, m, y, start)
            if fit is not None and fit.freedom >= (2 if model == "power" else 1):
                found.append(fit)
    return found


def envelope(m, y) -> Envelope:
    """Envelope of the sequence of log errors `y`."""
    pool = [c for c in candidates(m, y) if np.isfinite(c.gamma)]
    by_start: dict[int, list[Candidate]] = {}
    for c in pool:
        by_start.setdefault(c.start, []).append(c)
    spread = {s: min(c.spread for c in group) for s, group in by_start.items()}

    def half_width(c):
        s = max(c.spread, spread.get(c.start - 1, 0.0) / 4)
        return stdtrit(c.freedom, 0.975) * s * float(np.linalg.norm(c.influence))

    widths = np.array([half_width(c) for c in pool])
    best = int(np.argmin(widths))
    near = widths <= 3 * widths[best]
    gammas = np.array([c.gamma for c in pool])
    lower = min((gammas - widths)[best], gammas[near].min())
    upper = max((gammas + widths)[best], gammas[near].max())
    least = 0.002
    return Envelope(
        pool[best], gammas[best], min(lower, gammas[best] - least), max(upper, gammas[best] + least)
    )
