"""The 15-point Gauss-Kronrod rule on many cells at once, and what its samples say of its error."""

import numpy as np

# Gauss 7, Kronrod 15 on [-1, 1], from QUADPACK (Piessens et al. 1983), routine qk15.
_NODES = np.array(
    [
        0.991455371120812639206854697526329,
        0.949107912342758524526189684047851,
        0.864864423359769072789712788640926,
        0.741531185599394439863864773280788,
        0.586087235467691130294144691693,
        0.405845151377397166906606412076961,
        0.207784955007898467600689403773245,
        0.0,
    ]
)
_KRONROD = np.array(
    [
        0.022935322010529224963732008058970,
        0.063092092629978553290700663189204,
        0.104790010322250183839876322541518,
        0.140653259715525918745189590510238,
        0.169004726639267902826583426598550,
        0.190350578064785409913256402421014,
        0.204432940075298892414161999234649,
        0.209482141084727828012999174891714,
    ]
)
_GAUSS = np.array(
    [
        0.129484966168869693270611432679082,
        0.279705391489276667901467771423780,
        0.381830050505118944950369775488975,
        0.417959183673469387755102040816327,
    ]
)
# On [0, 1]: distances from the left end of the first eight nodes; the rest by symmetry.
LEFT = (1 - _NODES)[:, None] / 2
RIGHT = LEFT[-2::-1]
WEIGHTS = np.concatenate([_KRONROD, _KRONROD[-2::-1]]) / 2
GAUSS = np.concatenate([_GAUSS, _GAUSS[-2::-1]]) / 2
COUNT = len(WEIGHTS)
NODES = np.concatenate([LEFT[:, 0], 1 - RIGHT[:, 0]])

# Coefficients of degree 9 to 14 in the orthonormal Legendre polynomials of [0, 1], and the
# interpolating polynomial's values at 0 and 1, both as matrices on the 15 samples.
_DEGREES = np.arange(COUNT)
_LEGENDRE = np.polynomial.legendre.legvander(2 * NODES - 1, COUNT - 1) * np.sqrt(2 * _DEGREES + 1)
_TAIL = (_LEGENDRE * WEIGHTS[:, None]).T[9:]
_ENDS = np.linalg.solve(
    _LEGENDRE.T,
    np.polynomial.legendre.legvander(np.array([-1.0, 1.0]), COUNT - 1).T
    * np.sqrt(2 * _DEGREES + 1)[:, None],
).T


# The gap of the two rules alone is no error estimate for a function that is not smooth: on the one
# cell with the singular point it is small by accident now and then, and the refinement stops just
# there. Two more looks at the same samples:
#
# * The six highest Legendre coefficients. They fall by a factor r from one half of them to the
#   other; for an analytic function r = rho^-3 and the error of the rule, about rho^-23, is far
#   below them. Where r is above 1/10 they do not fall like that; they cannot all be small by
#   accident, and four times their size was above the error on 8,000 random powers |x - c|^a,
#   0 <= a <= 1.5, at accuracies from 1e-1 to 1e-9 (the largest ratio was 3.2 without the four).
# * The value at each end against the polynomial through the samples. A kink or a jump between the
#   end and the first sample cannot be seen by the samples, but it makes this differ by m; it then
#   hides an area of at most m times that distance.
def error(g: np.ndarray, ends: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Error estimate of the integrals of samples `g` (15, cells); NaN in `ends` is left out."""
    gap = np.abs(h * (WEIGHTS @ g - GAUSS @ g[1::2]))
    tail = _TAIL @ g  # without squares, which overflow before g does
    low, high = np.hypot.reduce(tail[:3], axis=0), np.hypot.reduce(tail[3:], axis=0)
    falls = np.minimum(1.0, 10 * high / np.where(low > 0, low, 1.0))
    mismatch = np.nan_to_num(np.abs(_ENDS @ g - ends), nan=0.0).sum(axis=0)
    return np.maximum(gap, h * np.maximum(4 * high * falls, NODES[0] * mismatch))


# Second divided differences of the samples, times 2: averages of h^2 d'' over three nodes.
_SECOND = np.zeros((COUNT - 2, COUNT))
for _k in range(COUNT - 2):
    _u, _m, _v = NODES[_k : _k + 3]
    _SECOND[_k, _k : _k + 3] = (
        2 / ((_m - _u) * (_v - _u)),
        -2 / ((_m - _u) * (_v - _m)),
        2 / ((_v - _m) * (_v - _u)),
    )
# The largest gap between nodes: a d with |d''| <= B leaves its interpolant by B gap^2/8 there.
_HIDDEN = float(np.diff(NODES).max()) ** 2 / 8


# Two rules that agree may both have missed a bump between their nodes. A declared curvature bound B
# says when that is possible: it is several times what the samples show. What could then hide is
# B gap^2/8 on top of the largest sample.
def hidden(d: np.ndarray, h: np.ndarray, bound: np.ndarray, power: int) -> np.ndarray:
    """What a bump of curvature `bound` between the samples `d` could add to the integral."""
    with np.errstate(over="ignore"):
        scaled = bound * h**2
    seen = np.abs(_SECOND @ d).max(axis=0)
    peak = np.abs(d).max(axis=0)
    possible = np.isfinite(scaled) & (scaled > 4 * seen)
    bump = _HIDDEN * np.where(possible, scaled, 0.0)
    return h * (bump if power == 1 else bump * (2 * peak + bump))
