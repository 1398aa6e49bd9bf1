"""What several calls check in the same words."""

import numbers
from typing import Any

import jax
import numpy as np

from .._misc import warn
from ..targets import AbstractTarget


def check_whole(call: str, name: str, value: Any, least: int = 1) -> None:
    """An error unless the value is a whole number that is large enough."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < least:
        raise ValueError(
            f"`{call}({name}=...)` must be a whole number from {least} on; got {value!r}."
        )


def check_key(call: str, key: Any) -> Any:
    """The key, or an error for what is none."""
    dtype = getattr(key, "dtype", None)
    typed = dtype is not None and jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key)
    if getattr(key, "shape", None) == () and typed:
        return key
    if getattr(key, "shape", None) == (2,) and dtype == np.uint32:
        return key
    raise TypeError(
        f"`{call}(key=...)` must be one JAX key; got {key!r:.60}. Write `jax.random.key(0)`."
    )


def generator(call: str, key: Any) -> np.random.Generator:
    """NumPy's random numbers for a JAX key: the same numbers whatever JAX is set to."""
    words = jax.random.key_data(check_key(call, key))
    return np.random.default_rng(np.asarray(words).ravel().tolist())


def check_real(call: str, dtype: Any) -> None:
    """An error for a model with complex parameters."""
    if not jax.numpy.issubdtype(dtype, np.floating):
        raise TypeError(
            f"`{call}(model, data)` must get a model with real parameters; got {dtype}. Train real "
            "and imaginary parts."
        )


def check_target(call: str, target: Any) -> None:
    """An error unless this is a target."""
    if not isinstance(target, AbstractTarget):
        raise TypeError(
            f"`{call}(target, ...)` must get a target; got {type(target).__name__}. Get one by "
            "name with `targets.get`, or wrap a function in `targets.Function`."
        )


def warn_of_broken(call: str, finite: np.ndarray, cure: str) -> None:
    """Warn the caller's caller's caller of losses that became NaN or infinite."""
    if finite.all():
        return
    which = np.flatnonzero(~finite)
    whose = f" of {which.size} of {finite.size} members, the first one {which[0]}," * finite.ndim
    warn(
        f"`{call}`: the loss{whose} became NaN or infinite, and training ended there with the last "
        f"state whose loss is finite. Use {cure}.",
    )
