"""What a run remembers besides its state."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


class Log:
    """Losses, evaluations, and the best parameters so far, of each member."""

    def __init__(self, parameters: Any, shape: tuple[int, ...]):
        self.best = parameters
        self.best_loss = np.full(shape, np.inf)
        self.history: list[np.ndarray] = []
        self.evaluations: list[np.ndarray] = []
        self.evaluated: list[int] = []
        self.since = 0
        self.stopped = ""

    def add(self, losses: np.ndarray) -> None:
        """The losses of some steps."""
        self.history.append(losses)

    def evaluate(self, step: int, losses: Any, parameters: Any, begun: int) -> None:
        """A validation, and the parameters that it was of; their grid holds from `begun` on.

        What did well on another grid, or in float, says nothing of this one: the best of all is
        sought anew.
        """
        losses = np.asarray(losses, dtype=np.float64)
        if self.evaluated and self.evaluated[-1] == step:
            return  # a run that goes on from its last step
        if self.evaluated and self.evaluated[-1] < begun:
            self.best_loss, self.since = np.full_like(self.best_loss, np.inf), 0
        better = losses < self.best_loss
        self.evaluations.append(losses)
        self.evaluated.append(step)
        self.best_loss = np.where(better, losses, self.best_loss)
        self.since = 0 if better.any() else self.since + 1

        def choose(new: Any, old: Any) -> Any:
            axes = (1,) * (new.ndim - better.ndim)
            return jnp.where(better.reshape(better.shape + axes), new, old)

        self.best = jax.tree.map(choose, parameters, self.best)

    def exhausted(self, patience: int | None) -> bool:
        """Whether there was no improvement for so many evaluations."""
        return patience is not None and self.since >= patience

    @property
    def last(self) -> float:
        """The last loss, of an ensemble the mean over members that are finite."""
        losses = self.history[-1][-1]
        return float(np.mean(losses[np.isfinite(losses)])) if np.isfinite(losses).any() else np.nan

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything but the parameters, as arrays."""
        shape = self.best_loss.shape
        return {
            "history": np.concatenate(self.history) if self.history else np.zeros((0, *shape)),
            "evaluations": np.array(self.evaluations).reshape(-1, *shape),
            "evaluated": np.array(self.evaluated, dtype=np.int64),
            "best_loss": np.array(self.best_loss),
            "since": np.array(self.since),
        }

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """The inverse of `arrays`."""
        self.history = [arrays["history"]] if len(arrays["history"]) else []
        self.evaluations = list(arrays["evaluations"])
        self.evaluated = arrays["evaluated"].tolist()
        self.best_loss = arrays["best_loss"]
        self.since = int(arrays["since"])

    def whole(self, members: int) -> tuple[np.ndarray, int]:
        """All losses up to the first that is not finite, and the steps that were done."""
        history = self.arrays()["history"]
        if members or np.isfinite(history).all():
            return history, len(history)
        broken = int(np.argmin(np.isfinite(history)))
        return history[: broken + 1], broken
