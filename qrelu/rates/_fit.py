"""`fit_rate`: from sizes and errors to a rate, an interval and a verdict."""

from typing import Any

import numpy as np

from ._envelope import envelope
from ._models import fit_model
from ._record import RateFit
from ._replicates import over_replicates
from ._usable import check_errors, check_sizes, noise_level, saturation, show

LEAST = 4


def fit_rate(
    sizes,
    errors,
    *,
    floor: float | None = None,
    floor_of: str = "the known floor",
    uncertainties=None,
    magnitude: float | None = None,
    dtype=None,
    counts: str = "connectivity",
    norm: str = "",
    proven: float | None = None,
    source: str = "",
) -> RateFit:
    r"""The rate gamma of errors ~ M^-gamma with an interval, or the reason why there is none.

    **Arguments:**

    - `sizes`: M, positive and strictly increasing.
    - `errors`: shape (sizes,) for one sequence or (replicates, sizes) for independent repetitions.
    - `floor`: a level below which the errors cannot fall; errors below twice that are left out.
    - `floor_of`: what that floor is, for the verdict, for example "the quantizer".
    - `uncertainties`: absolute measurement uncertainty of each error.
    - `magnitude`: scale of the function, for the floor of the arithmetic (default: the largest
      error).
    - `dtype`: the arithmetic that computed the errors (default: the dtype of `errors`).
    - `counts`, `norm`, `proven`, `source`: what `cite()` prints.

    **Returns:**

    A `RateFit`.

    **Raises:**

    - `ValueError`: sizes or errors that are not numbers, not finite, negative, or do not match.
    """
    m = check_sizes(sizes)
    given = np.asarray(errors)
    e = check_errors(errors, len(m))
    if dtype is None:
        dtype = given.dtype if np.issubdtype(given.dtype, np.floating) else np.float64
    about: dict[str, Any] = dict(counts=counts, norm=norm, proven=proven, source=source)
    remarks: list[str] = []
    level = np.nan
    keep = len(m)

    zero = np.any(e == 0, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        y_all = np.log(e)
        mean_all = y_all.mean(0)
        orders = -np.diff(mean_all) / np.diff(np.log(m))
    orders = np.where(np.isfinite(orders), orders, np.nan)
    if zero.any():
        keep = int(np.argmax(zero))
        remarks.append(f"the error is exactly zero from M = {show(m[keep])} on")
    typical = np.exp(mean_all)
    eps = float(np.finfo(dtype).eps)
    bottom = 64 * eps * (typical.max() if magnitude is None else magnitude)
    low = np.flatnonzero(typical[:keep] <= bottom)
    if len(low):
        keep = int(low[0])
        level = bottom
        remarks.append(
            f"the error is at the floor of {np.dtype(dtype).name} arithmetic "
            f"from M = {show(m[keep])} on"
        )
    if floor is not None:
        low = np.flatnonzero(typical[:keep] <= 2 * floor)
        if len(low):
            keep = int(low[0])
            level = floor
            remarks.append(f"the error is at {floor_of} ({floor:.3g}) from M = {show(m[keep])} on")
    if uncertainties is not None:
        u = np.broadcast_to(np.asarray(uncertainties, float), m.shape)
        low = np.flatnonzero(u[:keep] > typical[:keep] / 4)
        if len(low):
            keep = int(low[0])
            level = float(u[keep])
            remarks.append(
                f"the error is within its measurement uncertainty from M = {show(m[keep])} on"
            )

    kind = "t over replicates" if len(e) > 1 else "envelope"

    def none(sentence, model="none"):
        verdict = "; ".join([sentence, *remarks]) if sentence else "; ".join(remarks)
        nan = float("nan")
        return RateFit(
            nan, (nan, nan), kind, model, float(level), orders, m[:keep], verdict, **about
        )

    if keep < LEAST:
        plural = "" if keep == 1 else "s"
        return none(f"only {keep} usable size{plural}; at least {LEAST} are needed")
    m, y, mean = m[:keep], y_all[:, :keep], mean_all[:keep]
    x = np.log(m)
    noise = noise_level(x, mean) if keep >= 12 else 0.0
    if len(e) > 1:
        noise = float(y.std(0, ddof=1).mean() / np.sqrt(len(e)))
    end = saturation(m, mean, noise)
    saturated = None
    if end is not None:
        i, what = end
        if what == "rise":
            level = float(np.exp(mean[i]))
            return none(f"the error rises beyond M = {show(m[i])}")
        level = float(np.exp(np.median(mean[-3:])))
        saturated = f"the error is flat from M = {show(m[i])} on (floor {level:.2g})"
    if np.max(mean) - np.min(mean) <= 1e-12:
        return none("the error does not change with M")
    if saturated:
        fit = fit_model("power_floor", m, mean)
        clean = 0 if fit is None else int(np.sum(np.exp(mean) > 1.5 * fit.floor))
        if fit is None or clean < LEAST or np.max(np.abs(fit.residuals)) > 0.05:
            return none(saturated)
        half = 3 * fit.spread * float(np.linalg.norm(fit.influence)) + 0.002
        if half > 0.1:
            return none(saturated)
        remarks.append(saturated)
        return RateFit(
            float(fit.gamma),
            (float(fit.gamma - half), float(fit.gamma + half)),
            kind,
            fit.model,
            float(fit.floor),
            orders,
            m,
            "; ".join([f"a rate of {fit.gamma:.3f} above a floor of {fit.floor:.3g}", *remarks]),
            fit.coefficients,
            **about,
        )
    exponential = fit_model("exponential", m, mean)
    if len(e) > 1:
        best, gamma, lower, upper = over_replicates(m, y)
    else:
        best, gamma, lower, upper = envelope(m, mean)
    rivals = [
        fit_model(k, m, mean) for k in ("power", "power_log", "power_floor", "power_correction")
    ]
    if (
        exponential is not None
        and exponential.aicc < min((r.aicc for r in rivals if r is not None), default=np.inf) - 4
    ):
        return none("the error falls exponentially; no algebraic rate", "exponential")
    if lower <= 0 or upper - lower > max(0.5, 0.5 * gamma):
        return none(f"no rate stands out of the noise: the interval is [{lower:.2g}, {upper:.2g}]")
    model = "power_correction" if best.model == "two_corrections" else best.model
    tail = m[best.start :]
    return RateFit(
        float(gamma),
        (float(lower), float(upper)),
        kind,
        model,
        float(best.floor),
        orders,
        tail,
        "; ".join([f"the error falls like M^-{gamma:.3f}", *remarks]),
        best.coefficients,
        **about,
    )
