"""The ways to train that `Trained` knows by name."""

from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from ..networks import ReLUNetwork, stack, unstack
from ..targets import AbstractTarget
from ._checks import generator
from ._deep import fit_deep
from ._deep_layers import random_layers, to_network
from ._default_quadrature import rule_of
from ._dictionary import RandomReLUDictionary
from ._fit import fit_ensemble
from ._greedy import orthogonal_greedy
from ._shallow import fit_shallow

# Candidates of each greedy step.
_ATOMS = 512


class Run(Protocol):
    """A way to train: networks are (d, N_1, ..., 1); starts and rounds are the solver's own."""

    def __call__(
        self,
        target: AbstractTarget,
        widths: tuple[int, ...],
        *,
        starts: int,
        rounds: int,
        key: Any,
    ) -> tuple[ReLUNetwork, str]: ...


class Solver(NamedTuple):
    """A way to train, its numbers of starts and rounds by default, and what it can serve."""

    run: Run
    starts: int
    rounds: int
    one_variable: bool
    one_layer: bool


def _search(target, widths, *, starts, rounds, key) -> tuple[ReLUNetwork, str]:
    # Narrower networks are worth their time where layers are combined.
    grow = 2 if len(widths) > 3 else 0
    return fit_deep(target, widths, key=key, rounds=rounds, grow=grow).network, ""


def _shallow(target, widths, *, starts, rounds, key) -> tuple[ReLUNetwork, str]:
    return fit_shallow(target, widths[1], key=key, starts=starts, rounds=rounds).network, ""


def _greedy(target, widths, *, starts, rounds, key) -> tuple[ReLUNetwork, str]:
    seed = int(generator("Trained.fit", key).integers(2**31))
    result = orthogonal_greedy(
        target,
        RandomReLUDictionary(target.domain, _ATOMS, seed=seed),
        widths[1],
        quadrature=rule_of(target),
        normalize=True,
        polynomial=0,
    )
    return result.networks[0], result.stopped


def _adam(target, widths, *, starts, rounds, key) -> tuple[ReLUNetwork, str]:
    rng, rule = generator("Trained.fit", key), rule_of(target)
    box = (rule.lower, rule.upper)
    unit = ((rule.nodes - rule.lower) / (rule.upper - rule.lower)).T
    nets = []
    for _ in range(starts):
        layers = random_layers(widths, unit, rng)
        w, b = layers[-1]
        nets.append(to_network([*layers[:-1], (w / np.sqrt(w.size), b)], box, 0.0, 1.0))
    with jax.enable_x64(True):
        result = fit_ensemble(stack(nets), (target, rule), steps=rounds, key=key)
        trained = unstack(result.model)
    best = trained[int(np.nanargmin(np.where(result.finite, result.loss, np.inf)))]
    note = "" if result.finite.all() else "some starts ended in losses that are not finite"
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), best), note


SOLVERS = {
    "lm": Solver(_search, 1, 8, False, False),
    "shallow": Solver(_shallow, 4, 12, True, True),
    "greedy": Solver(_greedy, 1, 1, False, True),
    "adam": Solver(_adam, 4, 4000, False, False),
}
