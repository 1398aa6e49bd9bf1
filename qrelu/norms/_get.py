"""Norms by name."""

from ._abstract import AbstractNorm
from ._lp import L1, L2
from ._sup import Sup

_NORMS = {"l1": L1, "l2": L2, "sup": Sup, "linf": Sup, "max": Sup, "uniform": Sup}


def get(name: str) -> AbstractNorm:
    r"""The norm of that name, with its default accuracy.

    **Arguments:**

    - `name`: "L1", "L2" or "Sup"; "linf", "max" and "uniform" mean "Sup". Case does not matter.

    **Returns:**

    The norm.

    **Raises:**

    - `ValueError`: an unknown name.
    """
    key = str(name).lower().replace("^", "")
    if key not in _NORMS:
        raise ValueError(f'`norms.get(name)` must be one of "L1", "L2", "Sup"; got {name!r}.')
    return _NORMS[key]()
