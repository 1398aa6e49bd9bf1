"""Every test runs with float64 available, strict ranks, and the shape annotations executed."""

import jax
from jaxtyping import install_import_hook

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")

_hook = install_import_hook("qrelu", "beartype.beartype")
