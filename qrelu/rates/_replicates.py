"""Student's t over replicates, the model chosen inside."""

import numpy as np
from scipy.special import stdtrit

from ._envelope import candidates


def over_replicates(m, y):
    """(best candidate, gamma, lower, upper) for log errors y of shape (replicates, sizes)."""
    replicates, n = y.shape
    mean = y.mean(0)
    d = y - mean
    nu = (replicates - 1) * n
    square = float(np.sum(d * d)) / nu
    total = replicates * n
    pool = [c for c in candidates(m, mean) if np.isfinite(c.gamma)]

    def criterion(c):
        k = c.parameters + c.start
        misfit = replicates * float(c.residuals @ c.residuals) / square
        if total - k - 1 <= 0:
            return np.inf
        return total * np.log((nu + misfit) / total) + 2 * k + 2 * k * (k + 1) / (total - k - 1)

    scores = np.array([criterion(c) for c in pool])
    simple = [i for i in range(len(pool)) if scores[i] <= scores.min() + 6]
    best = pool[min(simple, key=lambda i: (pool[i].parameters + pool[i].start, scores[i]))]
    gammas = best.gamma + d[:, best.start :] @ best.influence
    half = stdtrit(replicates - 1, 0.975) * gammas.std(ddof=1) / np.sqrt(replicates)
    return best, best.gamma, best.gamma - half, best.gamma + half
