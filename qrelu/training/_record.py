"""What a training run returns."""

import platform
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float, Int


class FitResult(NamedTuple):
    r"""A trained model with how it came about. Of an ensemble, numbers have an axis of members.

    **Attributes:**

    - `model`: the model as it is served: with values on the grid if a quantizer was given, the
        best one by validation (on the last grid) if there were such data, otherwise the last one.
    - `latent`: the same model with the trained numbers under the grid.
    - `history`: the loss before every step, of its batch, shape (steps,) or (steps, members).
    - `evaluations`: the validation losses, shape (evaluations,) or (evaluations, members), and
    - `evaluated`: the steps before which they were taken, shape (evaluations,).
    - `loss`: the loss of `model` on all training points.
    - `error`: the error on what was not trained on, `None` if nothing is known;
    - `error_kind`: what it is: "exact distance" to a target of one variable, or "measured distance"
        of several (each a `float` with its `uncertainty` for one model), for ReLU networks and the
        losses "l1", "l2" and "sup"; "validation", the loss there; "loss at other points" of the
        target or function; "none" for data alone.
    - `steps`: how many steps were done.
    - `stopped`: why it ended: "all steps", "no improvement" of the validation, "a loss that is not
        finite", "all rounds" (`alternate`), and of least squares "converged" or "a step that the
        solver could not make".
    - `finite`: whether all losses were finite, of each member.
    - `seconds`: how long it took, compilation included, of this call.
    - `settings`: versions, device, type and options.
    """

    model: Any
    latent: Any
    history: Float[np.ndarray, "steps *members"]
    evaluations: Float[np.ndarray, "evaluations *members"]
    evaluated: Int[np.ndarray, " evaluations"]
    loss: Float[np.ndarray, "*members"]
    error: Any
    error_kind: str
    steps: int
    stopped: str
    finite: np.ndarray
    seconds: float
    settings: dict[str, Any]

    def __str__(self) -> str:
        many = self.loss.size > 1
        lines = [f"{self.steps} steps in {self.seconds:.1f} s, stopped by: {self.stopped}"]
        words = "losses, best member" if many else "loss"
        lines.append(f"  {words} {np.nanmin(self.loss):.6g}")
        if self.error is not None:
            best = float(np.nanmin(np.asarray(self.error, dtype=np.float64)))
            lines.append(f"  error ({self.error_kind}) {best:.6g}")
        return "\n".join(lines)


def settings_of(dtype: Any, **options: Any) -> dict[str, Any]:
    """Versions, device and type beside the options."""
    device = jax.devices()[0]
    return {
        "jax": jax.__version__,
        "equinox": eqx.__version__,
        "python": platform.python_version(),
        "device": f"{device.platform} {device.device_kind}",
        "dtype": str(dtype),
        **options,
    }
