"""Training one model or an ensemble, in float or on a grid."""

import os
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax

from ._optimizers import check_optimizer, default, is_optimizer
from ._options import Options
from ._record import FitResult
from ._run import run


def fit(
    model: Any,
    data: Any,
    *,
    steps: int = 2000,
    loss: Any = "l2",
    optimizer: Any = None,
    batch: int | None = None,
    quantizer: Any = None,
    where: Callable[[Any], Any] | None = None,
    backward: str = "quantized",
    validation: Any = None,
    patience: int | None = None,
    every: int = 100,
    mask: Any = None,
    key: Any = None,
    checkpoint: str | os.PathLike | None = None,
    progress: bool = False,
) -> FitResult:
    r"""Train a network or any Equinox model by gradients, in float or through a quantizer.

    ```python
    result = training.fit(net, targets.get("exp"), quantizer=AbsMax(4, "channel"))
    result.model, result.error          # on the grid; the exact L2 distance to exp(3x)
    ```

    Hundreds of steps are one compiled program. The forward value in training is the one that is
    served: the grid value, bit for bit.

    **Arguments:**

    - `model`: a `ReLUNetwork`, `eqx.nn.MLP` or any module that maps one point to its values; also
        one from `quantizers.wrap`, which trains as it stands (with `LSQ`, its steps too). All its
        floating-point arrays are trained.
    - `data`: arrays `(x, y)` of shapes (n, inputs) and (n, outputs), where (n,) stands for (n, 1);
        a target; or a pair of a function of nodes and a quadrature, for example
        `norms.GaussLegendre((0, 1), cells=(64, 64))`. A model gets points as floats of its type;
        one that refuses rows of one number gets that number, and one that refuses floats, such as
        an `eqx.nn.Embedding`, whole-number x as they are.
    - `steps`: steps of the optimizer.
    - `loss`: "l2" (mean or integral of squared errors), "l1", an exponent p, "sup" (a smooth
        stand-in, p = 32), "cross_entropy" of logits and whole-number labels, or a function of
        predictions and labels, both of shape (n, outputs), that returns one number; whole-number
        labels of shape (n,) stay as they are for models of several outputs.
    - `optimizer`: any optax optimizer, those that ask for the loss (`lbfgs`,
        `reduce_on_plateau`) or for gradients elsewhere (`contrib.sam`) included; `adam` with a
        cosine schedule from 1e-2 to 0 if None.
    - `batch`: points per step, a new order in each epoch; None takes all points in every step. The
        rest of an epoch that fills no batch is left out.
    - `quantizer`: a quantizer or calibration for all steps, or a schedule: pairs (first step,
        quantizer or None), the first from step 0, for example
        `[(0, None), (500, AbsMax(8)), (1000, AbsMax(4))]`: float steps, then falling bits.
    - `where`, `backward`: which parameters get the grid, and through which weights gradients
        flow, as in `quantizers.wrap`; with stochastic rounding always through the quantized ones.
    - `validation`: data that are not trained on, in the same form; the model that does best on
        them is returned, with a schedule the one that does best on its last grid.
    - `patience`: evaluations without improvement after which training stops, with a schedule those
        on its last grid.
    - `every`: steps between evaluations, and between signs of life.
    - `mask`: which entries may change, from `networks.mask`.
    - `key`: decides the order of the points and stochastic rounding; the same key gives the same
        numbers.
    - `checkpoint`: a file in which the state is kept; if it exists, training goes on from it and
        ends with the same numbers as without interruption. It is whole at any moment, and belongs
        to one problem: data, model, settings and the code of functions are compared.
    - `progress`: whether a line on the terminal shows loss and time left.

    **Returns:**

    A `FitResult`. A loss that becomes NaN or infinite ends training with the last good state and a
    warning.

    **Raises:**

    - `ValueError`: for data with NaN or of different lengths, a batch larger than the data, a
        checkpoint of another problem, a model that takes more than a point, or one whose first
        loss is not finite.
    - `TypeError`: for what is no data, no optimizer, no quantizer or no key, complex parameters,
        and optimizers that need a loop of their own (`lookahead`, `contrib.schedule_free`).

    **Reference:** derived; the gradient through a grid is straight-through, as in `quantizers`.
    """
    options = Options(
        steps, loss, batch, quantizer, where, backward, patience, every, key, checkpoint, progress
    )
    optimizer = default(steps) if optimizer is None else optimizer
    check_optimizer("fit", optimizer)
    return run(model, data, validation, optimizer, None, mask, options, False)


def fit_ensemble(
    models: Any,
    data: Any,
    *,
    steps: int = 2000,
    loss: Any = "l2",
    optimizer: Any = None,
    learning_rates: Any = None,
    batch: int | None = None,
    quantizer: Any = None,
    where: Callable[[Any], Any] | None = None,
    backward: str = "quantized",
    validation: Any = None,
    patience: int | None = None,
    every: int = 100,
    mask: Any = None,
    key: Any = None,
    checkpoint: str | os.PathLike | None = None,
    progress: bool = False,
) -> FitResult:
    r"""Train many models of one form at once: sizes, seeds, learning rates and bits.

    One program moves all members, under `vmap`; with several devices the members are spread over
    as many of them as can have equal parts: 6 members over 3 of 4 devices, 5 on one. Networks of
    different sizes share a form after `networks.pad`, and `networks.mask` keeps the padding at
    zero.

    **Arguments:**

    - `models`: a stack: all arrays have a leading axis of members, as from `networks.stack` or
        `equinox.filter_vmap` of a constructor.
    - `learning_rates`: shape (members,); `optimizer` is then a function of a learning rate such
        as `optax.adam`, its default.
    - `quantizer`: as in `fit`; arrays in it with a leading axis of members, for example
        `AbsMax(jnp.array([2, 3, 4]))`, give each member bits of its own.
    - `mask`: a stack of `networks.mask`.
    - All others as in `fit`. A member whose loss is not finite keeps its last good state, and the
        others go on.

    **Returns:**

    A `FitResult` whose models are stacks.

    **Raises:** as `fit`, and `ValueError` for arrays without a common leading axis.

    **Reference:** derived.
    """
    options = Options(
        steps, loss, batch, quantizer, where, backward, patience, every, key, checkpoint, progress
    )
    rates = None if learning_rates is None else jnp.asarray(learning_rates)
    if rates is None:
        optimizer = default(steps) if optimizer is None else optimizer
        check_optimizer("fit_ensemble", optimizer)
    else:
        optimizer = optax.adam if optimizer is None else optimizer
        if is_optimizer(optimizer) or not callable(optimizer):
            raise TypeError(
                "`fit_ensemble(optimizer=...)` must be a function of a learning rate where there "
                f"are `learning_rates`; got {optimizer!r:.60}. Pass `optax.adam` or "
                "`lambda rate: optax.sgd(rate, momentum=0.9)`."
            )
    return run(models, data, validation, optimizer, rates, mask, options, True)
