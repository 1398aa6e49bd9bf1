r"""Filters of Daubechies wavelets, and the transform of a whole period with PyWavelets.

A period has $2^q$ places at level q. With the filters h, g of F coefficients and s = F/2 - 1, which
is how PyWavelets' mode "periodization" counts places,

$$\varphi_{q,k} = \sum_m h_m \varphi_{q+1,2k+m-s}, \qquad
\psi_{q,k} = \sum_m g_m \varphi_{q+1,2k+m-s},$$

so that both live on the places k - s to k + s + 1 of level q, at every level alike.
"""

import functools
from fractions import Fraction

import numpy as np

# Places of the rule for integrals against scaling functions: exact to degree 7.
_MOST_PLACES = 8


@functools.lru_cache(maxsize=32)
def filters(wavelet: str) -> tuple[np.ndarray, np.ndarray]:
    """The filters h (of sum sqrt(2)) and g that reconstruct."""
    from pywt import Wavelet  # type: ignore[attr-defined]

    found = Wavelet(wavelet)
    return np.array(found.rec_lo), np.array(found.rec_hi)


def filter_length(wavelet: str) -> int:
    """Number of coefficients of the wavelet's filter."""
    return filters(wavelet)[0].size


def shift(wavelet: str) -> int:
    """How many places to the left of its number a wavelet begins."""
    return filter_length(wavelet) // 2 - 1


def coarsest(wavelet: str) -> int:
    """The q of the coarsest level: at least as many scaling functions as filter coefficients."""
    return 0 if wavelet == "haar" else (filter_length(wavelet) - 1).bit_length()


def level_ranges(total: int, wavelet: str) -> list[tuple[int, int]]:
    """Where the scaling functions and the wavelets of every level stand among all terms."""
    first = min(1 << coarsest(wavelet), total)
    ranges = [(0, first)]
    while first < total:
        ranges.append((first, 2 * first))
        first *= 2
    return ranges


def analysis(scaling: np.ndarray, wavelet: str) -> np.ndarray:
    """All coefficients, from coarse to fine, of a periodic sequence of scaling coefficients."""
    import pywt

    parts, rest = [], scaling
    for _ in level_ranges(scaling.size, wavelet)[1:]:
        rest, detail = pywt.dwt(rest, wavelet, mode="periodization")
        parts.append(detail)
    return np.concatenate([rest, *parts[::-1]])


def synthesis(coefficients: np.ndarray, wavelet: str) -> np.ndarray:
    """The scaling coefficients of the finest level: the inverse of `analysis`."""
    import pywt

    (_, first), *details = level_ranges(coefficients.size, wavelet)
    rest = coefficients[:first]
    for start, stop in details:
        rest = pywt.idwt(rest, coefficients[start:stop], wavelet, mode="periodization")
    return rest


@functools.lru_cache(maxsize=32)
def at_integers(wavelet: str) -> tuple[float, ...]:
    r"""The scaling function at 0, 1, ...: $\phi(m) = \sqrt2 \sum_k h_k \phi(2m-k)$."""
    h = filters(wavelet)[0] * np.sqrt(2)
    n = h.size
    index = 2 * np.arange(n)[:, None] - np.arange(n)
    matrix = np.where((index >= 0) & (index < n), h[np.clip(index, 0, n - 1)], 0.0)
    # Its values at the integers add up to 1, which singles out the fixed point.
    system = np.vstack([matrix - np.eye(n), np.ones(n)])
    right = np.append(np.zeros(n), 1.0)
    return tuple(np.linalg.lstsq(system, right, rcond=None)[0].tolist())


def center(wavelet: str) -> float:
    r"""The mean of the scaling function, $\int x \phi(x)\,dx = \sum_k k h_k / \sqrt2$."""
    h = filters(wavelet)[0]
    return float(np.arange(h.size) @ h / np.sqrt(2))


# The rule sum_i w_i f(i) over n integers around the mean c of phi has the moments of phi up to
# degree n - 1. With y = x - o, mu_p = int y^p phi and phi(x) = sqrt2 sum_k h_k phi(2x - k):
#   mu_p = 2^-p sum_k h_k/sqrt2 int (y + k - o)^p phi = 2^-p sum_r C(p, r) mu_(p-r) a_r,
# a_r = sum_k h_k/sqrt2 (k - o)^r; the term r = 0 is mu_p itself (a_0 = 1) and goes to the left.
@functools.lru_cache(maxsize=32)
def integration_rule(wavelet: str) -> tuple[int, np.ndarray]:
    r"""First integer and weights of a rule for $\int f \phi$ on integers inside its support."""
    h = [Fraction(float(c)) for c in filters(wavelet)[0] / np.sqrt(2)]
    n = min(len(h), _MOST_PLACES)
    origin = round(center(wavelet))
    start = max(0, min(origin - (n - 1) // 2, len(h) - n))
    moments = [Fraction(1)]
    binomial = [1]
    for p in range(1, n):
        binomial = [1, *(a + b for a, b in zip(binomial, binomial[1:], strict=False)), 1]
        total = sum(
            binomial[r] * moments[p - r] * sum(c * (k - origin) ** r for k, c in enumerate(h))
            for r in range(1, p + 1)
        )
        moments.append(Fraction(total) / (2**p - 1))
    places = np.arange(start, start + n) - origin
    powers = places[None, :] ** np.arange(n)[:, None]
    weights = np.linalg.solve(powers.astype(np.float64), np.array(moments, dtype=np.float64))
    return start, weights
