"""Dictionaries of ReLU atoms, from which a greedy algorithm chooses."""

import abc
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float

from .._misc import as_domain
from ..norms import AbstractQuadrature
from ._checks import check_whole

# Values of atoms at nodes that are kept from step to step: 2 GiB. More are computed in each step.
_KEPT = 2**28
# Values that are computed at once: 1 MiB, which stays in the cache and on one core.
_BLOCK = 2**17


class AbstractDictionary(eqx.Module):
    """What a greedy algorithm chooses from: atoms relu(direction . x + bias).

    A dictionary of one's own has the method and the two properties below.
    """

    @abc.abstractmethod
    def atoms(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        r"""The candidates of one step.

        **Arguments:**

        - `step`: how many atoms were chosen before.

        **Returns:**

        Directions of shape $(K, d)$ and biases of shape $(K,)$, float64.
        """

    @property
    @abc.abstractmethod
    def dimension(self) -> int:
        """The number of coordinates."""

    @property
    @abc.abstractmethod
    def fixed(self) -> bool:
        """Whether the candidates are the same in every step."""


class ReLUDictionary(AbstractDictionary):
    r"""The atoms $\rho(w_k \cdot x + b_k)$ of given directions and biases.

    The same in every step; the order decides between atoms that are equally good. Atoms may be
    equal, constant ($w_k = 0$) or zero: what adds nothing is never chosen.
    """

    directions: Float[np.ndarray, "atoms d"]
    biases: Float[np.ndarray, " atoms"]

    def __init__(self, directions: Any, biases: Any):
        r"""**Arguments:**

        - `directions`: the $w_k$, of shape $(K, d)$, or $(K,)$ in one dimension.
        - `biases`: the $b_k$, of shape $(K,)$. One direction for all biases and one bias for all
            directions are repeated; `product` makes all pairs.

        **Raises:**

        - `ValueError`: for shapes that do not fit, no atoms, or no numbers.
        """
        w, b = _numbers("directions", directions), _numbers("biases", biases)
        w = w.reshape(-1, 1) if w.ndim < 2 else w
        b = b.reshape(-1) if b.ndim == 0 else b
        count = max(len(w), len(b))
        if w.ndim != 2 or b.ndim != 1 or not {len(w), len(b)} <= {1, count} or 0 in w.shape:
            raise ValueError(
                "`ReLUDictionary(directions, biases)` must have the shapes (atoms, d) and (atoms,);"
                f" got {np.shape(directions)} and {np.shape(biases)}. `ReLUDictionary.product` "
                "takes every direction with every bias."
            )
        if count == 0 or not len(b):
            raise ValueError("`ReLUDictionary(directions, biases)` must have an atom; got none.")
        if not (np.isfinite(w).all() and np.isfinite(b).all()):
            raise ValueError(
                "`ReLUDictionary(directions, biases)` must be finite; got NaN or infinity."
            )
        self.directions = np.ascontiguousarray(np.broadcast_to(w, (count, w.shape[1])))
        self.biases = np.ascontiguousarray(np.broadcast_to(b, (count,)))

    @staticmethod
    def product(directions: Any, biases: Any) -> "ReLUDictionary":
        r"""Every direction with every bias, the biases of the first direction first.

        **Arguments:**

        - `directions`: shape $(m, d)$, or $(m,)$ in one dimension.
        - `biases`: shape $(n,)$.

        **Returns:**

        A dictionary of $m n$ atoms.
        """
        w, b = _numbers("directions", directions), np.atleast_1d(_numbers("biases", biases))
        w = w.reshape(-1, 1) if w.ndim < 2 else w
        return ReLUDictionary(np.repeat(w, len(b), axis=0), np.tile(b, len(w)))

    def atoms(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """The same atoms in every step."""
        return self.directions, self.biases

    @property
    def dimension(self) -> int:
        """The number of coordinates."""
        return self.directions.shape[1]

    @property
    def fixed(self) -> bool:
        """True."""
        return True


class RandomReLUDictionary(AbstractDictionary):
    r"""New random atoms in every step: unit directions, kinks that meet the box.

    Directions are uniform on the sphere. The bias is uniform on the values of $-w \cdot x$ on the
    box, so that no atom is zero or affine there, or on an interval for all directions.
    """

    lower: Float[np.ndarray, " d"]
    upper: Float[np.ndarray, " d"]
    count: int
    seed: int
    biases: tuple[float, float] | None

    def __init__(
        self,
        domain: Any,
        count: int | np.integer = 1024,
        *,
        dimension: int | np.integer = 1,
        seed: int | np.integer = 0,
        biases: Any = None,
    ):
        r"""**Arguments:**

        - `domain`: the box, as in `norms.GaussLegendre`.
        - `count`: atoms per step.
        - `dimension`: $d$, if `domain` is one interval for all axes.
        - `seed`: the same seed gives the same atoms in the same step.
        - `biases`: the interval of the biases; None for the kinks that meet the box.

        **Raises:**

        - `ValueError`: for a box or an interval that is empty or infinite, a count below 1, and a
            seed below 0.
        """
        check_whole("RandomReLUDictionary", "count", count)
        check_whole("RandomReLUDictionary", "seed", seed, 0)
        self.lower, self.upper = as_domain("RandomReLUDictionary", domain, dimension)
        if biases is not None:
            try:
                low, high = map(float, biases)
            except (TypeError, ValueError):
                low = high = np.nan
            if not (np.isfinite([low, high]).all() and low < high):
                raise ValueError(
                    "`RandomReLUDictionary(biases=...)` must be an interval (low, high) with "
                    f"low < high, both finite; got {biases}."
                )
            biases = (low, high)
        self.count, self.seed, self.biases = int(count), int(seed), biases

    def atoms(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """The draws of this step."""
        rng = np.random.default_rng([self.seed, step])
        w = rng.normal(size=(self.count, self.dimension))
        w /= np.linalg.norm(w, axis=1, keepdims=True)
        if self.biases is not None:
            return w, rng.uniform(*self.biases, size=self.count)
        least = np.minimum(w * self.lower, w * self.upper).sum(axis=1)
        most = np.maximum(w * self.lower, w * self.upper).sum(axis=1)
        return w, -rng.uniform(least, most)

    @property
    def dimension(self) -> int:
        """The number of coordinates."""
        return len(self.lower)

    @property
    def fixed(self) -> bool:
        """False."""
        return False


class Scores:
    r"""Inner products $\langle g_k, r\rangle$ of all candidates with a function on the nodes.

    Atoms come in blocks that stay in memory if all of them fit.
    """

    def __init__(self, dictionary: AbstractDictionary, quadrature: AbstractQuadrature):
        self.dictionary = dictionary
        self.quadrature = quadrature
        self.nodes = quadrature.nodes
        self.kept: list[np.ndarray] | None = None
        self.squares: np.ndarray | None = None

    def __call__(self, step: int, weighted: np.ndarray) -> np.ndarray:
        """Shape $(K,)$; `weighted` holds values at the nodes times their weights."""
        return np.concatenate([block @ weighted for block in self._blocks(step)])

    def norms(self, step: int) -> np.ndarray:
        """The norms of the candidates, shape $(K,)$."""
        if self.squares is None or not self.dictionary.fixed:
            blocks = self._blocks(step)
            self.squares = np.concatenate(
                [np.square(block) @ self.quadrature.weights for block in blocks]
            )
        return np.sqrt(self.squares)

    def _blocks(self, step: int):
        w, b = self.dictionary.atoms(step)
        if self.dictionary.fixed and len(b) * len(self.nodes) <= _KEPT:
            if self.kept is None:
                self.kept = list(self._computed(w, b))
            return self.kept
        return self._computed(w, b)

    def _computed(self, w: np.ndarray, b: np.ndarray):
        rows = max(1, _BLOCK // len(self.nodes))
        for i in range(0, len(b), rows):
            yield values(w[i : i + rows], b[i : i + rows], self.nodes)


def _numbers(name: str, given: Any) -> np.ndarray:
    """The same in float64."""
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"`ReLUDictionary({name}=...)` must be an array of real numbers; got {given!r:.60}."
        ) from None


def values(w: np.ndarray, b: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Atoms at nodes, shape $(K, n)$."""
    found = w @ nodes.T
    found += b[:, None]
    return np.maximum(found, 0.0, out=found)
