"""How well a ReLU network with M weights of b bits approximates a function, and at what rate.

Nothing heavy is imported until it is used: the names are declared in `__init__.pyi`.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)

__version__ = "0.1.0"
