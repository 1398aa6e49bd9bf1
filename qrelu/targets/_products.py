"""The built-in functions of several variables, all on the unit cube."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from ._multivariate import Multivariate

PI = math.pi
# The numbers of variables of every built-in function.
DIMENSIONS = (2, 3, 4, 10)


def _built_in(
    name: str, formula: Callable, d: int, l2: float, description: str, difficulty: str
) -> Multivariate:
    """`formula` maps `(x, xp)` to values, for `xp` NumPy or `jax.numpy`."""

    def fn(x):
        return formula(x, jnp if isinstance(x, jax.Array) else np)

    return Multivariate(
        fn,
        (0.0, 1.0),
        dimension=d,
        name=f"{name}{d}d",
        l2=l2,
        description=description,
        difficulty=difficulty,
    )


def sines(d: int) -> Multivariate:
    # The integral of sin^2(pi t) over [0, 1] is 1/2.
    return _built_in(
        "sines",
        lambda x, xp: xp.prod(xp.sin(PI * x), axis=-1),
        d,
        2 ** (-d / 2),
        "sin(pi x_1) ... sin(pi x_d)",
        "smooth",
    )


def gaussian(d: int) -> Multivariate:
    # With t = x_i - 1/2: the integral of exp(-8 t^2) over [-1/2, 1/2].
    part = math.sqrt(PI / 8) * math.erf(math.sqrt(2))
    return _built_in(
        "gaussian",
        lambda x, xp: xp.exp(-4 * xp.sum((x - 0.5) ** 2, axis=-1)),
        d,
        part ** (d / 2),
        "exp(-4 |x - 1/2|^2)",
        "smooth",
    )


def gabor(d: int) -> Multivariate:
    # cos^2 = (1 + cos(2 .))/2, and with t = x - 1/2 and k = 4 pi / sqrt(d) both parts of the
    # integral of the square are d-th powers, of
    #   A = integral of exp(-16 t^2) over [-1/2, 1/2] = sqrt(pi)/4 erf(2),
    #   B = integral of exp(-16 t^2 + 2 i k t) = sqrt(pi)/4 exp(-k^2/16) Re erf(2 + i k/4).
    k = 4 * PI / math.sqrt(d)
    a = math.sqrt(PI) / 4 * math.erf(2)
    b = math.sqrt(PI) / 4 * math.exp(-(k**2) / 16) * float(np.real(special.erf(2 + 0.25j * k)))
    return _built_in(
        "gabor",
        lambda x, xp: (
            xp.exp(-8 * xp.sum((x - 0.5) ** 2, axis=-1)) * xp.cos(k * xp.sum(x - 0.5, axis=-1))
        ),
        d,
        math.sqrt((a**d + b**d) / 2),
        "exp(-8 |t|^2) cos(4 pi (t_1 + ... + t_d) / sqrt d), t = x - 1/2",
        "oscillating",
    )


def hat(d: int) -> Multivariate:
    # The integral of (1 - |2 t - 1|)^2 over [0, 1] is 1/3.
    return _built_in(
        "hat",
        lambda x, xp: xp.prod(1 - xp.abs(2 * x - 1), axis=-1),
        d,
        3 ** (-d / 2),
        "the product of the hats 1 - |2 x_i - 1|",
        "kinked",
    )
