"""Quotients of polynomials in barycentric form."""

import equinox as eqx
import numpy as np
from jaxtyping import Float

from ._formula import AbstractIntervalFormula

_EPS = float(np.finfo(np.float64).eps)
# Cells between two support points, and the least number of cells: the error oscillates there.
_BETWEEN, _LEAST_CELLS = 4, 32


class Barycentric(AbstractIntervalFormula):
    r"""$\sum_j \frac{w_j f_j}{t - t_j} \big/ \sum_j \frac{w_j}{t - t_j}$, t = (x - a)/(b - a).

    - `places`: the support points $t_j$, parts of the domain's length.
    - `values`: $f_j$, taken there.
    - `weights`: $w_j$.
    """

    places: Float[np.ndarray, " terms"]
    values: Float[np.ndarray, " terms"]
    weights: Float[np.ndarray, " terms"]
    domain: tuple[float, float] = eqx.field(static=True)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The values at `x`; NaN where it has none."""
        a, b = self.domain
        t = (np.asarray(x, np.float64) - a) / (b - a)
        flat = t.ravel()[:, None]
        # A term of weight zero is none, also at its own place.
        kept = self.weights != 0
        weights, places, terms = self.weights[kept], self.places[kept], self.values[kept]
        with np.errstate(all="ignore"):
            parts = weights / (flat - places)
            values = (parts @ terms) / parts.sum(axis=1)
        row, column = np.nonzero(flat == places)
        values[row] = terms[column]
        return values.reshape(t.shape)

    @property
    def breakpoints(self) -> np.ndarray:
        """None: smooth where it is finite."""
        return np.zeros(0)

    @property
    def mesh(self) -> np.ndarray:
        """Some cells between any two support points."""
        a, b = self.domain
        places = np.unique(np.concatenate([[0.0], np.clip(self.places, 0, 1), [1.0]]))
        steps = np.arange(_BETWEEN) / _BETWEEN
        inner = (places[:-1, None] + np.diff(places)[:, None] * steps).ravel()
        even = np.linspace(0.0, 1.0, _LEAST_CELLS + 1)
        return a + (b - a) * np.unique(np.concatenate([inner, even]))

    @property
    def roundoff(self) -> float:
        """A few units of the terms, which are larger than their sum where they cancel."""
        a, b = self.domain
        mesh = (self.mesh - a) / (b - a)
        t = (mesh[1:] + mesh[:-1]) / 2
        with np.errstate(all="ignore"):
            parts = self.weights / (t[:, None] - self.places)
            ratio = np.abs(parts).sum(axis=1) / np.abs(parts.sum(axis=1))
        return 8 * _EPS * float(np.max(np.abs(self.values)) * np.max(np.nan_to_num(ratio, nan=1.0)))

    @property
    def sensitivity(self) -> None:
        """No bound: it is not linear in its parameters."""
        return None

    @property
    def position_bits(self) -> float:
        """None: support points are parameters."""
        return 0.0

    @property
    def poles(self) -> np.ndarray:
        """The zeros of the denominator, complex, as parts of the domain's length."""
        from scipy.linalg import eigvals

        weights, places = self.weights, self.places
        kept = weights != 0
        weights, places = weights[kept], places[kept]
        n = weights.size
        if n < 2:
            return np.zeros(0, dtype=np.complex128)
        # The pencil whose finite eigenvalues are the zeros of sum w_j / (t - t_j).
        left = np.zeros((n + 1, n + 1))
        left[0, 1:], left[1:, 0] = weights, 1.0
        left[1:, 1:] = np.diag(places)
        right = np.eye(n + 1)
        right[0, 0] = 0.0
        with np.errstate(all="ignore"):
            found = eigvals(left, right)
        return found[np.isfinite(found)]

    @property
    def bounded(self) -> bool:
        """Whether no pole lies on the domain."""
        if not np.any(self.weights) or np.unique(self.places).size < self.places.size:
            return False
        poles = self.poles
        # A real pole is found with an imaginary part that is rounding.
        real = np.abs(np.imag(poles)) <= 1e-13
        return not bool(np.any(real & (np.real(poles) >= 0) & (np.real(poles) <= 1)))

    def linear_pieces(self) -> None:
        """It is not linear."""
        return None
