"""The orthogonal greedy algorithm for networks of one hidden layer."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import scipy.linalg
from jaxtyping import Float, Int

from ..networks import ReLUNetwork
from ..norms import AbstractQuadrature
from ..targets import AbstractTarget
from ._dictionary import AbstractDictionary, Scores, values

EPS = np.finfo(np.float64).eps
# Rounding errors of an inner product <g, r>, relative to EPS |g| |r|. Measured on atoms that are
# equally good by symmetry: at most 3.1.
_ROUNDING = 16


class GreedyResult(NamedTuple):
    r"""A sequence of networks, one neuron more in every step.

    **Attributes:**

    - `sizes`: the numbers of neurons that were asked for.
    - `errors`: $\|f - f_n\|$ in the quadrature's $L^2$ norm at these sizes.
    - `networks`: the $f_n$ as `ReLUNetwork`s of one hidden layer.
    - `history`: the error after 0, 1, 2, ... neurons, up to the last one that was chosen.
    - `directions`, `biases`: the chosen atoms in order, shapes $(n, d)$ and $(n,)$.
    - `stopped`: why no more neurons were chosen; empty if all sizes were reached. Sizes beyond
        have the last network and its error.
    - `orders`: the orders between one size and the next, shape (sizes - 1,).

    Printed, it is the table of sizes, errors and orders.
    """

    sizes: Int[np.ndarray, " sizes"]
    errors: Float[np.ndarray, " sizes"]
    networks: tuple[ReLUNetwork, ...]
    history: Float[np.ndarray, " steps"]
    directions: Float[np.ndarray, "neurons d"]
    biases: Float[np.ndarray, " neurons"]
    stopped: str

    @property
    def orders(self) -> Float[np.ndarray, " steps"]:
        r"""$\log(e_{i-1} / e_i) / \log(n_i / n_{i-1})$, NaN where both errors are zero."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(self.errors[:-1] / self.errors[1:]) / np.log(
                self.sizes[1:] / self.sizes[:-1]
            )

    def __str__(self) -> str:
        rows = [f"{'n':>7}{'error':>14}{'order':>8}"]
        for n, error, order in zip(self.sizes, self.errors, [None, *self.orders], strict=True):
            rows.append(f"{n:7d}{error:14.6e}" + ("" if order is None else f"{order:8.2f}"))
        return "\n".join(rows + ([self.stopped] if self.stopped else []))


def orthogonal_greedy(
    target: AbstractTarget | Callable[[np.ndarray], Any],
    dictionary: AbstractDictionary,
    sizes: int | Sequence[int] | np.ndarray,
    *,
    quadrature: AbstractQuadrature,
    normalize: bool = False,
    polynomial: Literal[0, 1] | None = None,
) -> GreedyResult:
    r"""The orthogonal greedy algorithm: choose the atom that fits best, project on all chosen ones.

    $$ g_n = \arg\max_{g} |\langle g, r_{n-1}\rangle|, \qquad f_n = P_{g_1, \ldots, g_n} f,
       \qquad r_n = f - f_n, $$

    with the inner product of the quadrature. Of atoms that are equally good up to rounding errors
    the first in the dictionary is taken. There are many: for $\sin(2 \pi x)$ on $[0, 1]$ all atoms
    without a kink inside, in the first step; and once the linear functions are in the span,
    $\rho(x - t)$ and $\rho(t - x)$.

    ```python
    # Neurons that look to the right and to the left, with a kink in every thousandth.
    dictionary = training.ReLUDictionary.product([1, -1], np.linspace(-1, 1, 2001))
    rule = norms.GaussLegendre((0, 1), cells=400, points=5)
    result = training.orthogonal_greedy(
        lambda x: np.sin(2 * np.pi * x), dictionary, 2 ** np.arange(1, 9), quadrature=rule
    )
    print(result)  # n, error and order
    ```

    In two dimensions the directions are `np.stack([np.cos(t), np.sin(t)], axis=1)` for angles `t`.

    **Arguments:**

    - `target`: a target, or a function of the nodes, an array of shape $(n, d)$,
        with values of shape $(n,)$ or $(n, 1)$.
    - `dictionary`: a `ReLUDictionary`, a `RandomReLUDictionary` or an `AbstractDictionary` of
        one's own.
    - `sizes`: numbers of neurons, increasing.
    - `quadrature`: for example `norms.GaussLegendre((0, 1), cells=512, points=5)`.
    - `normalize`: whether atoms are compared by $|\langle g, r\rangle| / \|g\|$; atoms that vanish
        at all nodes are never chosen.
    - `polynomial`: projects on polynomials of this degree from the start: 0 adds constants (the
        output bias), 1 affine functions (a neuron per axis beside the `sizes`); None adds nothing.

    **Returns:**

    A `GreedyResult`.

    **Raises:**

    - `ValueError`: for sizes that are not increasing and positive, dimensions that differ, and
        targets that are not finite or of another shape at the nodes.
    - `TypeError`: for what is no target, dictionary or quadrature.

    **Reference:** [devore1996] for the algorithm, [siegel2023] for its use with ReLU atoms.
    """
    wanted = _sizes(sizes)
    _check(dictionary, quadrature, polynomial)
    nodes, root = quadrature.nodes, np.sqrt(quadrature.weights)
    f = _at(target, nodes)
    fixed = _polynomials(polynomial, nodes, quadrature.lower)
    space = _Span(root * f, len(fixed) + int(wanted[-1]))
    for column in fixed:
        space.add(root * column)
    scores = Scores(dictionary, quadrature)
    directions, biases = np.zeros((0, nodes.shape[1])), np.zeros(0)
    history = [space.error]
    networks: dict[int, ReLUNetwork] = {}
    stopped = ""
    for step in range(int(wanted[-1])):
        best = _best_atom(scores, step, space, root, normalize)
        if best is None:
            stopped = f"after {step} neurons every atom is orthogonal to the residual"
            break
        w, b = best
        if not space.add(root * values(w, b, nodes)[0]):
            stopped = (
                f"after {step} neurons the best atom is a combination of the chosen ones up to "
                "rounding"
            )
            break
        directions, biases = np.concatenate([directions, w]), np.append(biases, b)
        history.append(space.error)
        if step + 1 in wanted:
            networks[step + 1] = _network(
                space, directions, biases, polynomial, quadrature.lower, len(fixed)
            )
    reached = len(biases)
    if stopped:
        last = _network(space, directions, biases, polynomial, quadrature.lower, len(fixed))
        networks.update({int(n): last for n in wanted if n not in networks})
    return GreedyResult(
        wanted,
        np.array([history[min(int(n), reached)] for n in wanted]),
        tuple(networks[int(n)] for n in wanted),
        np.array(history),
        directions,
        biases,
        stopped,
    )


def _best_atom(
    scores: Scores, step: int, space: "_Span", root: np.ndarray, normalize: bool
) -> tuple[np.ndarray, np.ndarray] | None:
    """Direction (1, d) and bias (1,) of the first atom with the largest score, None if all are 0.

    Scores are 0, and equal, up to the rounding errors of their inner products.
    """
    score = np.abs(scores(step, root * space.residual))
    w, b = scores.dictionary.atoms(step)
    unsure = _ROUNDING * EPS * space.error
    if normalize:
        size = scores.norms(step)
        score = np.divide(score, size, out=np.zeros_like(score), where=size > 0)
        unsure = np.full_like(score, unsure)
    else:
        unsure = unsure * _largest(w, b, scores.quadrature)
    best = int(np.argmax(score))
    if not score[best] > unsure[best]:
        return None
    best = int(np.argmax(score + unsure >= score[best] - unsure[best]))
    return w[best : best + 1], b[best : best + 1]


def _largest(w: np.ndarray, b: np.ndarray, quadrature: AbstractQuadrature) -> np.ndarray:
    """Upper bounds of the norms of atoms: their largest values on the box."""
    top = np.maximum(w * quadrature.lower, w * quadrature.upper).sum(axis=1) + b
    return np.maximum(top, 0.0) * np.sqrt(quadrature.weights.sum())


class _Span:
    r"""The projection of a vector on the span of columns that are added one by one.

    The columns are made orthonormal by Gram-Schmidt, twice over, which keeps them orthogonal to
    rounding errors whatever the columns are; the residual is cleaned of the whole basis in each
    step, so that its norm is right relative to itself and not only to the vector.
    """

    def __init__(self, vector: np.ndarray, most: int):
        self.vector = vector
        self.residual = vector.copy()
        self.basis = np.empty((most, len(vector)))
        self.triangle = np.zeros((most, most))
        self.count = 0

    @property
    def error(self) -> float:
        return float(np.linalg.norm(self.residual))

    def add(self, column: np.ndarray) -> bool:
        """Whether the column adds a dimension that rounding errors leave visible."""
        n = self.count
        rest, size = column.copy(), np.linalg.norm(column)
        for _ in range(2):
            part = self.basis[:n] @ rest
            rest -= part @ self.basis[:n]
            self.triangle[:n, n] += part
        left = np.linalg.norm(rest)
        if not left > 16 * EPS * size * np.sqrt(len(column)):
            self.triangle[:n, n] = 0.0
            return False
        self.triangle[n, n] = left
        self.basis[n] = rest / left
        self.count = n + 1
        for _ in range(2):
            self.residual -= (self.basis[: n + 1] @ self.residual) @ self.basis[: n + 1]
        return True

    def coefficients(self) -> np.ndarray:
        """Of the columns, in the order in which they were added."""
        n = self.count
        return scipy.linalg.solve_triangular(self.triangle[:n, :n], self.basis[:n] @ self.vector)


def _network(
    space: _Span,
    directions: np.ndarray,
    biases: np.ndarray,
    polynomial: int | None,
    lower: np.ndarray,
    fixed: int,
) -> ReLUNetwork:
    c = space.coefficients()
    constant, slopes, outer = (c[0] if polynomial is not None else 0.0), c[1:fixed], c[fixed:]
    if len(slopes):  # x_i - lower_i = relu(x_i - lower_i) on the box
        directions = np.concatenate([np.eye(len(lower)), directions])
        biases = np.concatenate([-lower, biases])
        outer = np.concatenate([slopes, outer])
    if not len(outer):  # nothing was chosen: a unit that contributes nothing
        directions, biases, outer = np.zeros((1, len(lower))), np.zeros(1), np.zeros(1)
    return ReLUNetwork([directions, outer[None]], [biases, np.array([constant])])


def _polynomials(degree: int | None, nodes: np.ndarray, lower: np.ndarray) -> list[np.ndarray]:
    if degree is None:
        return []
    constant = [np.ones(len(nodes))]
    return constant if degree == 0 else constant + list((nodes - lower).T)


def _check(dictionary: Any, quadrature: Any, polynomial: Any) -> None:
    """Errors for what the algorithm cannot use."""
    if polynomial not in (None, 0, 1):
        raise ValueError(
            f"`orthogonal_greedy(polynomial=...)` must be None, 0 or 1; got {polynomial!r}."
        )
    if not isinstance(dictionary, AbstractDictionary):
        raise TypeError(
            "`orthogonal_greedy(target, dictionary, ...)` must get a dictionary; got "
            f"{type(dictionary).__name__}. Write `ReLUDictionary(directions, biases)`."
        )
    if not isinstance(quadrature, AbstractQuadrature):
        raise TypeError(
            "`orthogonal_greedy(quadrature=...)` must be a quadrature; got "
            f"{type(quadrature).__name__}. Write, for example, `norms.GaussLegendre((0, 1), 512)`."
        )
    if dictionary.dimension != quadrature.dimension:
        raise ValueError(
            "`orthogonal_greedy(target, dictionary, quadrature=...)` must have one dimension; got "
            f"atoms of {dictionary.dimension} and nodes of {quadrature.dimension} coordinates."
        )


def _sizes(sizes: Any) -> np.ndarray:
    given = np.atleast_1d(np.asarray(sizes))
    whole = given.ndim == 1 and given.size > 0 and np.issubdtype(given.dtype, np.integer)
    if not whole or given[0] < 1 or (np.diff(given) <= 0).any():
        raise ValueError(
            "`orthogonal_greedy(sizes=...)` must be increasing whole numbers of neurons from 1 on; "
            f"got {sizes!r}."
        )
    return given


def _variables(count: int) -> str:
    return "one variable" if count == 1 else f"{count} variables"


def _at(target: Any, nodes: np.ndarray) -> np.ndarray:
    call = "orthogonal_greedy(target, ...)"
    if isinstance(target, AbstractTarget):
        if nodes.shape[1] != target.dimension:
            raise ValueError(
                f"`{call}` got {target.name}, a function of {_variables(target.dimension)}, and "
                f"nodes of {nodes.shape[1]} coordinates. Pass a quadrature on its domain, or a "
                "function of arrays of shape (n, d)."
            )
        f = np.asarray(target(nodes[:, 0] if target.dimension == 1 else nodes), np.float64)
    elif callable(target):
        with jax.enable_x64(True):  # so that functions written with jax.numpy keep float64
            f = np.asarray(target(nodes))
        if f.dtype.kind not in "biuf":
            raise TypeError(f"`{call}` must have real values; got {f.dtype}.")
        f = f.astype(np.float64)
    else:
        raise TypeError(f"`{call}` must get a target or a function; got {type(target).__name__}.")
    if f.shape not in ((len(nodes),), (len(nodes), 1)):
        raise ValueError(
            f"`{call}` must give one value per node: nodes of shape {nodes.shape} gave values of "
            f"shape {f.shape}."
        )
    if not np.isfinite(f).all():
        where = nodes[~np.isfinite(f.reshape(-1))][0]
        raise ValueError(f"`{call}` must be finite; at {where} it is not.")
    return f.reshape(-1)
