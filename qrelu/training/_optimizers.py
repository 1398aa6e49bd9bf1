"""Optimizers of optax: which ones train, and what they ask for beside the gradient."""

import functools
import inspect
from typing import Any

import jax
import optax
import optax.contrib

# What an optimizer has in its state tells what it is, also within `optax.chain`.
_OTHER_LOOPS = {
    optax.LookaheadState: "keeps two sets of parameters, of which `fit` trains one",
    optax.contrib.ScheduleFreeState: "trains other parameters than those that it ends with",
    optax.contrib.DifferentiallyPrivateAggregateState: "takes a gradient for every point",
}


@functools.lru_cache(maxsize=64)
def default(steps: int) -> optax.GradientTransformation:
    """Adam with a cosine schedule; the same object for the same steps, so that what is compiled
    for it is found again."""
    return optax.adam(optax.cosine_decay_schedule(1e-2, steps))


def is_optimizer(value: Any) -> bool:
    """Whether this is an optimizer of optax."""
    return hasattr(value, "init") and hasattr(value, "update")


def check_optimizer(call: str, optimizer: Any) -> None:
    """An error for what is no optimizer."""
    if not is_optimizer(optimizer):
        raise TypeError(
            f"`{call}(optimizer=...)` must be an optimizer of optax; got {optimizer!r:.60}. Write, "
            "for example, `optax.adam(1e-2)`."
        )


def check_memory(memory: Any) -> None:
    """An error for the state of an optimizer that needs a loop of its own."""
    kinds = tuple(_OTHER_LOOPS)
    for part in jax.tree.leaves(memory, is_leaf=lambda leaf: isinstance(leaf, kinds)):
        if isinstance(part, kinds):
            raise TypeError(
                f"`fit(optimizer=...)` must take one gradient to one step of the model; the one "
                f"with {type(part).__name__} {_OTHER_LOOPS[type(part)]}. Use another optimizer, "
                "for example `optax.adam`, or a training loop of your own."
            )


def updates_of(
    optimizer: Any, gradients: Any, memory: Any, parameters: Any, loss: Any, loss_of: Any
) -> tuple[Any, Any]:
    """The updates and the new state of the optimizer."""
    # Line searches and plateaus ask for values of the loss, `sam` for gradients elsewhere,
    # estimates of the Hessian for the loss itself.
    offered = {
        "value": loss,
        "grad": gradients,
        # optax hands on what it does not know itself.
        "value_fn": lambda parameters, grad_fn=None, obj_fn=None: loss_of(parameters),
        "grad_fn": lambda parameters, *_: jax.grad(loss_of)(parameters),
        "obj_fn": loss_of,
    }
    update = optax.with_extra_args_support(optimizer).update
    asked = inspect.signature(update).parameters
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in asked.values()):
        offered = {name: given for name, given in offered.items() if name in asked}
    return update(gradients, memory, parameters, **offered)
