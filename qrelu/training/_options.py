"""What `fit` and `fit_ensemble` share in their calls, checked."""

import dataclasses
import numbers
from collections.abc import Callable
from typing import Any

import jax

from ..quantizers import LSQ, AbstractCalibration, AbstractQuantizer, LearnedStep
from ._checks import check_key


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of a run; `schedule` holds pairs (first step, quantizer or None)."""

    steps: int
    loss: Any
    batch: int | None
    quantizer: Any
    where: Callable[[Any], Any] | None
    backward: str
    patience: int | None
    every: int
    key: Any
    checkpoint: Any
    progress: bool

    def __post_init__(self):
        for name in ("steps", "every"):
            _check_whole(name, getattr(self, name))
        _ = self.schedule, self.random_key  # their errors belong to the call
        for name in ("batch", "patience"):
            if getattr(self, name) is not None:
                _check_whole(name, getattr(self, name))
        if self.backward not in ("quantized", "latent"):
            raise ValueError(
                f'`fit(backward=...)` must be "quantized" or "latent"; got {self.backward!r}.'
            )

    @property
    def schedule(self) -> list[tuple[int, Any]]:
        """The quantizers with their first steps."""
        given = self.quantizer
        if not isinstance(given, list | tuple):
            given = [(0, given)]
        pairs: list[Any] = [p if isinstance(p, list | tuple) else (p,) for p in given]
        starts = [pair[0] for pair in pairs if len(pair) == 2]
        whole = all(isinstance(s, numbers.Integral) for s in starts)
        if not pairs or len(starts) < len(pairs) or not whole or starts[0] != 0:
            raise ValueError(
                "`fit(quantizer=...)` must be a quantizer or pairs (first step, quantizer or "
                f"None) from step 0 on; got {self.quantizer!r}."
            )
        if any(a >= b for a, b in zip(starts[:-1], starts[1:], strict=True)):
            raise ValueError(f"`fit(quantizer=...)` must have increasing steps; got {starts}.")
        if starts[-1] >= self.steps:
            raise ValueError(
                f"`fit(quantizer=...)` must have steps below the {self.steps} of training; got "
                f"{starts[-1]}, from which on no step would see the grid. Take fewer steps before "
                "it or more in all."
            )
        for start, q in pairs:
            if isinstance(q, LSQ | LearnedStep):
                raise TypeError(
                    f"`fit(quantizer=...)` takes grids without trained numbers; {type(q).__name__} "
                    f"at step {start} has some. Pass `quantizers.wrap(model, q)` as the model."
                )
            if not (q is None or isinstance(q, AbstractQuantizer | AbstractCalibration)):
                raise TypeError(
                    "`fit(quantizer=...)` must get quantizers, calibrations or None; got "
                    f"{type(q).__name__} at step {start}. Use, for example, `AbsMax(4)`."
                )
        return [(int(start), q) for start, q in pairs]

    def grid(self, step: int) -> Any:
        """The quantizer of a step."""
        return [q for first, q in self.schedule if first <= step][-1]

    def begun(self, step: int) -> int:
        """The step from which on the quantizer of a step holds."""
        return [first for first, _ in self.schedule if first <= step][-1]

    def until(self, step: int) -> int:
        """Where a dispatch from this step on ends: an evaluation, another grid, or the end."""
        starts = [first for first, _ in self.schedule if first > step]
        return min([self.steps, (step // self.every + 1) * self.every, *starts])

    def check(self, count: int, validated: bool) -> None:
        """What depends on the data."""
        if self.patience is not None and not validated:
            raise ValueError("`fit(patience=...)` needs `validation` data to see improvements on.")
        if self.batch is not None and self.batch > count:
            raise ValueError(
                f"`fit(batch=...)` must be at most the {count} points of the data; got "
                f"{self.batch}."
            )

    @property
    def random_key(self) -> Any:
        """The key, by default that of seed 0."""
        return jax.random.key(0) if self.key is None else check_key("fit", self.key)


def _check_whole(name: str, value: Any) -> None:
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < 1:
        raise ValueError(f"`fit({name}=...)` must be a positive whole number; got {value!r}.")
