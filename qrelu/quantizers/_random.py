"""Random numbers for stochastic rounding, and keys that go with the leaves of a tree."""

import hashlib
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._formats import Format


def check_key(call: str, key: Any) -> None:
    """One random key, as `jax.random.key` or `jax.random.PRNGKey` makes them."""
    if key is None:
        raise ValueError(
            f"`{call}` must get a key for stochastic rounding; got none. Pass "
            "`key=jax.random.key(seed)`, another one for every call."
        )
    dtype = getattr(key, "dtype", None)
    typed = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)
    if not typed and not (dtype == np.uint32 and getattr(key, "ndim", 0) >= 1):
        raise TypeError(
            f"`{call}` must get a key such as `jax.random.key(seed)`; got {type(key).__name__}."
        )
    if key.ndim != (0 if typed else 1):
        raise ValueError(
            f"`{call}` must get one key; got keys of shape {key.shape}. Use `jax.vmap` over keys."
        )


def odd_numbers(key: Any, shape: tuple[int, ...], fmt: Format, numpy: bool) -> Any:
    """Odd integers, uniform below 2^24, or below 2^53 for float64, in the working type."""
    double = fmt.working is np.float64
    shape = (2, *shape) if double else shape
    # The same numbers as for the shape itself, compiled in a quarter of the time on a CPU (measured
    # with JAX 0.10), which is most of the time that stochastic training takes to start.
    words: Any = jax.random.bits(key, (math.prod(shape),), np.uint32).reshape(shape)
    words = np.asarray(words) if numpy else words
    if not double:
        return (2 * (words >> 9) + 1).astype(np.float32)  # 23 random bits
    # 26 random bits of two words each, so that JAX needs no type of 64 bits for NumPy numbers.
    high, low = (words >> 6).astype(np.float64)
    return 2 * (high * 2.0**26 + low) + 1


def key_of(key: Any, path: str) -> Any:
    """A key for the leaf at `path`, which depends on nothing else in the tree."""
    if key is None:
        return None
    # The built-in `hash` differs between processes. Two of 1,000 paths agree in 32 bits of this one
    # with a chance of 1e-4, and would only share their random numbers.
    digest = hashlib.blake2b(path.encode(), digest_size=4).digest()
    return jax.random.fold_in(key, int.from_bytes(digest, "little"))
