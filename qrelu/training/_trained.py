"""The family of networks that training finds."""

import math
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .._misc import plain
from ..families import AbstractFamily, Approximant
from ..families._family import check_types, checked_size
from ..networks import pieces as exact_pieces
from ..norms import AbstractNorm
from ..targets import AbstractTarget
from ._checks import check_whole
from ._trained_solvers import SOLVERS
from ._trained_widths import AbstractWidths, EqualWidths

# The least connectivity: one neuron with a weight, a bias and an outgoing weight, and the output's.
_LEAST = 4


class Trained(AbstractFamily):
    r"""The networks that a way of training finds, as a family for studies.

    ```python
    study = studies.Study([targets.get("sines2d")], [training.Trained(solver="greedy")],
                          sizes=[25, 49, 97, 193], norm=norms.L2(), seeds=[0, 1, 2])
    ```

    A size M is the connectivity: the network is the largest of the rule's widths that does not
    exceed it. What is random depends on the key, so every seed of a study is a replicate. Whatever
    the norm of the study, training makes the $L^2$ error small; only that norm is measured then.

    | solver | what it does | variables | layers | starts | rounds |
    |---|---|---|---|---|---|
    | "lm" | `fit_deep`: Levenberg-Marquardt in basin hopping | any | any | | of search, 8 |
    | "shallow" | `fit_shallow`: knots to the optimum | 1 | one hidden | 4 | of moves, 12 |
    | "greedy" | `orthogonal_greedy`, 512 random atoms per step | any | one hidden | | |
    | "adam" | Adam on all points, from random kinks | any | any | 4 | steps, 4000 |

    In one variable a network of one hidden layer is held against the best of all: with N neurons it
    has at most N + 1 pieces (N from "shallow"), so its rate and its limit are those of free knots
    with as many pieces.
    """

    widths: AbstractWidths
    solver: str = eqx.field(static=True)
    starts: int = eqx.field(converter=plain, static=True)
    rounds: int = eqx.field(converter=plain, static=True)

    def __init__(
        self,
        widths: AbstractWidths | None = None,
        solver: str = "lm",
        *,
        starts: int | np.integer | None = None,
        rounds: int | np.integer | None = None,
    ):
        r"""**Arguments:**

        - `widths`: the rule for the widths; one hidden layer, `EqualWidths(2)`, if None. Deep
            networks: `EqualWidths(4)` has three hidden layers.
        - `solver`: "lm", "shallow", "greedy" or "adam".
        - `starts`, `rounds`: how long the solver tries; None for the numbers in the table above.

        **Raises:**

        - `ValueError`: for a solver that there is not, one that serves one hidden layer with a rule
            for more, and numbers that are not positive.
        - `TypeError`: for what is no rule for widths.
        """
        widths = EqualWidths() if widths is None else widths
        if not isinstance(widths, AbstractWidths):
            raise TypeError(
                f"`Trained(widths=...)` must be a rule for widths; got {widths!r}. Write "
                "`EqualWidths(4)` for three hidden layers of one width."
            )
        if solver not in SOLVERS:
            names = ", ".join(f'"{name}"' for name in SOLVERS)
            raise ValueError(f"`Trained(solver=...)` must be one of {names}; got {solver!r}.")
        chosen = SOLVERS[solver]
        if chosen.one_layer and widths.depth != 2:
            raise ValueError(
                f'`Trained(widths, solver="{solver}")` has one hidden layer, `EqualWidths(2)`; got '
                f'depth {widths.depth}. Deep networks are trained by "lm" and "adam".'
            )
        self.widths, self.solver = widths, solver
        self.starts = chosen.starts if starts is None else plain(starts)
        self.rounds = chosen.rounds if rounds is None else plain(rounds)
        check_whole("Trained", "starts", self.starts)
        check_whole("Trained", "rounds", self.rounds)

    @property
    def kind(self) -> str:
        """The word "free-knot" for one hidden layer, which is what such networks are, or "deep"."""
        return "free-knot" if self.widths.depth == 2 else "deep"

    @property
    def name(self) -> str:
        """The solver, as in `trained:lm`, and the depth if there are several hidden layers."""
        return ", ".join(filter(None, (f"trained:{self.solver}", self.widths.name)))

    @property
    def minimum_size(self) -> int:
        """The least connectivity in one variable; each further variable asks for one more."""
        size = _LEAST
        while self.widths(1, size) is None:
            size += 1
        return size

    def pieces(self, size: int) -> int:
        """The most linear pieces of a function of one variable: the product of all (N_l + 1).

        A layer of N neurons cuts every piece into at most N + 1.
        """
        size = checked_size(f"{self._call}.pieces(size)", size, self.minimum_size)
        widths = self.widths(1, size)
        return math.prod(n + 1 for n in widths[1:-1]) if widths else 1

    def fit(
        self, target: AbstractTarget, size: int, *, norm: AbstractNorm, key: Any = None
    ) -> Approximant:
        """Train the largest network of connectivity at most `size`.

        **Arguments:**

        - `target`: what is approximated, on its domain, in one variable or several.
        - `size`: connectivity that must not be exceeded.
        - `norm`: not used in training, which is in L^2.
        - `key`: decides everything that is random; that of seed 0 if None.

        **Returns:**

        An `Approximant` with float64 parameters. `pieces` are those of the function in one
        variable, counted exactly, and 0 in several.

        **Raises:**

        - `TypeError`: what is no target, no norm or no whole number.
        - `ValueError`: a size that allows no network, a target with NaN or infinite values, and a
            target of several variables for a solver of one.
        """
        call = f"{self._call}.fit(target, size, norm=...)"
        check_types(call, target, norm, several=not SOLVERS[self.solver].one_variable)
        size = checked_size(f"{self._call}.fit(target, size)", size, self.minimum_size)
        widths = self.widths(target.dimension, size)
        if widths is None:
            raise ValueError(
                f"`{self._call}.fit(target, size)` must allow a network with {target.dimension} "
                f"inputs; {size} nonzero parameters are too few for `{target.name}`. Ask for a "
                "larger size."
            )
        key = jax.random.key(0) if key is None else key
        network, note = SOLVERS[self.solver].run(
            target, widths, starts=self.starts, rounds=self.rounds, key=key
        )
        count = 0
        if target.dimension == 1:
            lower, upper = map(float, target.domain)
            count = len(exact_pieces(network, lower, upper).breakpoints) - 1
        network = jax.tree.map(np.asarray, network)
        return Approximant(network, count, 64.0, network.connectivity, notes=note)

    @property
    def _call(self) -> str:
        return f'Trained(solver="{self.solver}")'
