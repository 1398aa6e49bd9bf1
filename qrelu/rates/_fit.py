"""`fit_rate`: from sizes and errors to a rate, an interval and a verdict."""

import functools
from typing import Any

import numpy as np

from ._aitken import aitken
from ._envelope import CLASSES, Envelope, envelope
from ._models import Candidate, above_floor, fit_model
from ._record import RateFit
from ._replicates import MODELS, over_replicates
from ._usable import (
    check_errors,
    check_sizes,
    noise_level,
    per_size,
    saturation,
    show,
    slope_of,
    usable,
)

# A line has two parameters; two more sizes are the least that can contradict it.
_LEAST_SIZES = 4
# Replicates that agree to six digits repeat one deterministic sequence.
_SAME = 1e-6
# An interval wider than half of gamma leaves open what the rate is, but for small gamma (0.1 is
# sharp enough to tell it from zero) and for large (1/2 does not tell 2 from 2.5). Above a floor
# that is 1/4: a floor that wanders leaves a wide interval.
_LEAST_WIDTH, _WIDTH, _FLOOR_WIDTH = 0.1, 0.5, 0.25
# With this slope ten times the size takes 30 % off an error: less looks flat in a figure.
_FLAT = 0.15
# Orders that grow while the error falls by less than a factor 10 do so too where a sequence has not
# met its rate yet: neither that rate nor an exponential is established.
_LEAST_FALL = 10.0


def fit_rate(
    sizes: Any,
    errors: Any,
    *,
    floor: Any = None,
    floor_of: str = "the known floor",
    uncertainties: Any = None,
    scatter: Any = None,
    magnitude: float | None = None,
    dtype: Any = None,
    counts: str = "connectivity",
    norm: str = "",
    proven: Any = None,
    source: str = "",
) -> RateFit:
    r"""The rate gamma of errors ~ M^-gamma with an interval, or the reason why there is none.

    Models of log e are fitted by least squares, the linear parameters inside the nonlinear ones:
    "power" C M^-gamma, "power_log" C M^-gamma (log M)^b, "power_floor" C M^-gamma + F,
    "power_correction" C M^-gamma (1 + a/M), and "exponential" C exp(-c M) or C exp(-c M^{1/2}).

    One sequence gets an **envelope**: the models (b from -2 to 3, corrections up to M^-4, and
    "half_correction" in powers of M^{-1/2} up to M^-3) are weighed by their evidence on every tail
    of the sizes, and the central 95 % of what they say about gamma are the envelope. It is no
    confidence interval. (The evidence stands in for AICc, whose small-sample penalty forbids four
    parameters on seven sizes even where they leave no residual at all.)
    Replicates get Student's **t** over the gammas of the replicates, 95 %, the model chosen inside
    by AICc. Beside both stand the pairwise orders and their Aitken limit.

    **When there is no rate.** `gamma` is NaN and `verdict` says why when

    - fewer than 4 sizes are usable: two parameters need two more sizes to be contradicted;
    - the error rises at the large sizes, by 10 % and by three times its noise: whatever was true
      before, it is not what happens as M grows;
    - it is flat at the large sizes. One case is excepted: at least 4 errors stand above 1.5 times
      the floor, and one formula C M^-gamma + F describes all of them, the flat ones too, within 5 %
      (or three standard errors of the replicates). Then the rate of the falling part is established
      on the points above the floor, and `model` is "power_floor". A quantizer at fixed bits does
      not pass: its error wanders or rises at the floor;
    - an exponential describes the errors better than every algebraic model, and the pairwise orders
      grow to the end as it says (below a fall by a factor 10 it is not named);
    - the interval reaches zero, or is wider than half of gamma (but 0.1 is always enough, and more
      than 1/2 never; 1/4 for a rate above a floor).

    **Arguments:**

    - `sizes`: M, positive and strictly increasing, shape (sizes,).
    - `errors`: shape (sizes,) for one sequence or (replicates, sizes) for independent repetitions.
      An exact zero is allowed; the sizes from there on are left out.
    - `floor`: known level below which the errors cannot fall, a number or one per size; errors
      below four times that are left out.
    - `floor_of`: what that floor is, for the verdict: "the floor of the quantizer".
    - `uncertainties`: absolute measurement uncertainty of the errors, a number or one per size.
      Errors below four times that are left out, and what remains widens the interval.
    - `scatter`: relative width of the band in which the errors lie by how they were made, for
      example 0.1 where bits were chosen so that the error stays within a factor 1.1. No structure
      finer than that is read into one sequence. Replicates show their scatter themselves.
    - `magnitude`: scale of the function, for the floor of the arithmetic (default: largest error).
    - `dtype`: the arithmetic that computed the errors (default: the dtype of `errors`).
    - `counts`, `norm`, `proven`, `source`: for `cite()`: what M counts, the norm, the rate that
      theory gives (a number, or a record with `gamma` and `source`) and where it is proved.

    **Returns:**

    A `RateFit`; its main attribute is `gamma`.

    **Raises:**

    - `ValueError`: sizes or errors that are not numbers, not finite, negative, unsorted, of the
      wrong shape, or fewer than 2.

    **Reference:** AICc and Akaike's weights over replicates: [hurvich1989], [burnham2002]; Aitken's
    limit: [aitken1927]; the evidence and the rules are derived, reasons above the code.
    """
    m = check_sizes(sizes)
    e = check_errors(errors, len(m))
    if dtype is None:
        given = np.asarray(errors).dtype
        dtype = given if np.issubdtype(given, np.floating) else np.float64
    uncertainties = per_size(uncertainties, "uncertainties", m)
    scatters = per_size(scatter, "scatter", m)
    band = 0.0 if scatters is None else float(scatters.max())
    counted = usable(
        m,
        e,
        floor=per_size(floor, "floor", m),
        floor_of=floor_of,
        uncertainties=uncertainties,
        magnitude=magnitude,
        dtype=dtype,
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.log(e)
        orders = -np.diff(y.mean(0)) / np.diff(np.log(m))
    orders = np.where(np.isfinite(orders), orders, np.nan)
    keep = counted.count
    m, y = m[:keep], y[:, :keep]
    if len(y) > 1 and keep and np.max(np.std(y, axis=0)) < _SAME:
        y = y.mean(0, keepdims=True)
    relative = None if uncertainties is None else uncertainties[:keep] / np.exp(y.mean(0))
    gamma, interval, kind, model, level, tail, sentence, coefficients = _judge(m, y, relative, band)
    return RateFit(
        gamma=float(gamma),
        interval=(float(interval[0]), float(interval[1])),
        interval_kind=kind,
        model=model,
        floor=float(level if np.isfinite(level) else counted.floor),
        orders=orders,
        aitken=aitken(m, orders[: max(keep - 1, 0)]),
        tail=tail,
        # Where the error is zero, that says more than how few sizes are left.
        verdict="; ".join(
            [sentence] * (keep >= _LEAST_SIZES or not counted.zero) + [*counted.remarks]
        ),
        coefficients=tuple(float(c) for c in coefficients),
        counts=counts,
        norm=norm,
        proven=proven,
        source=source,
    )


def _judge(m, y, relative, band):
    """Everything about the usable sizes; the order of the checks is the order of the docstring."""
    kind = "t over replicates" if len(y) > 1 else "envelope"
    nan = float("nan")

    def none(sentence, level=nan, model="none", coefficients=()):
        return nan, (nan, nan), kind, model, level, m, sentence, coefficients

    n = len(m)
    if n < _LEAST_SIZES:
        sizes = "size" if n == 1 else "sizes"
        return none(f"only {n} usable {sizes}; at least {_LEAST_SIZES} are needed")
    mean = y.mean(0)
    noise = max(_noise(m, y), band / 2 if len(y) == 1 else 0.0)
    if np.ptp(mean) <= 1e-12:
        return none("the error does not change with M", float(np.exp(mean[-1])))
    end = saturation(m, mean, noise)
    flat = None
    if end is not None and end[1] == "rise":
        return none(f"the error rises beyond M = {show(m[end[0]])}", float(np.exp(mean[end[0]])))
    if end is not None:
        level = float(np.exp(np.median(mean[-3:])))
        flat = f"the error is flat from M = {show(m[end[0]])} on, at about {level:.2g}"
        fit = fit_model("power_floor", m, mean)
        if fit is None or not _clean(fit, mean, noise if len(y) > 1 else 0.0):
            return none(flat, level)
    elif (exponential := _falls_exponentially(m, mean)) is not None:
        if (fall := float(np.exp(mean[0] - mean[-1]))) < _LEAST_FALL:
            only = f"the error falls only by a factor {fall:.2f}, faster and faster"
            return none(f"no rate is established: {only}")
        return none(
            "the error falls exponentially; no algebraic rate",
            model="exponential",
            coefficients=exponential.coefficients,
        )
    # A band of relative width w has a standard deviation of at most w / 2.
    alone = functools.partial(
        envelope, m, mean, ("power_floor",) if flat else CLASSES, least_noise=band / 2
    )
    found = over_replicates(m, y, ("power_floor",) if flat else MODELS) if len(y) > 1 else alone()
    if found is None:
        return none(flat or "no model can be fitted")
    if len(y) > 1 and found.misfit:
        # The replicates agree better with each other than any model with them: what limits the
        # rate is the form of the sequence, and the envelope of the mean speaks about that.
        kind = "envelope"
        found = alone() or found
    found = _widen(found, relative)
    best, lower, upper = found.best, found.lower, found.upper
    widest = _FLOOR_WIDTH if best.model == "power_floor" else _WIDTH
    if lower <= 0 or upper - lower > min(widest, max(_LEAST_WIDTH, found.gamma / 2)):
        # Nothing is claimed, so a weaker sign of flattening is enough to name it as the reason.
        end = saturation(m, mean, noise, share=0.6, slow=np.inf)
        if flat is None and (end is not None or best.model == "power_floor"):
            start = int(np.argmax(mean < mean[-1] + np.log(1.5))) if end is None else end[0]
            still = slope_of(np.log(m[-3:]), mean[-3:])
            slowly = (
                f"falls slowly, at the end like M^-{still:.2f}" if still > _FLAT else "nearly so"
            )
            flat = f"the error is flat from M = {show(m[start])} on, or {slowly}"
        noisy = "the error does not fall by more than its noise"
        wide = f"no rate is established: the errors allow any from {lower:.2f} to {upper:.2f}"
        return none(flat or (noisy if lower <= 0 else wide))
    model = "power_correction" if best.model == "two_corrections" else best.model
    sentence = f"the error falls like M^-{found.gamma:.3f}"
    if model == "power_log":
        sentence += f" (log M)^{best.coefficients[2]:.2f}"
    if model == "power_floor":
        sentence += f" above a floor of {best.floor:.2g}"
    sentence += f" on M = {show(m[best.start])} to {show(m[-1])}"
    if flat:
        sentence += f"; {flat}"
    interval = lower, upper
    tail = m[best.start :]
    return found.gamma, interval, kind, model, best.floor, tail, sentence, best.coefficients


def _noise(m, y) -> float:
    """Noise of the mean log error, where it can be told without a model; 0 where it cannot."""
    if len(y) > 1:
        return float(np.sqrt(np.mean(np.var(y, axis=0, ddof=1)) / len(y)))
    return noise_level(np.log(m), y[0]) if len(m) >= 12 else 0.0


def _falls_exponentially(m, mean) -> Candidate | None:
    """C exp(-c M^theta), if it is better than every power and goes on to the end.

    A sequence that has not met its rate yet may fall like that for a while; then the pairwise
    orders stop growing. The last three have to grow, together, at least by half of what the
    exponential says.
    """
    fit = fit_model("exponential", m, mean)
    rivals = [fit_model(name, m, mean) for name in MODELS if name != "two_corrections"]
    least = min((rival.aicc for rival in rivals if rival is not None), default=np.inf)
    if fit is None or fit.aicc >= least - 4:
        return None
    steps = np.diff(np.log(m))
    orders = -np.diff(mean)[-3:] / steps[-3:]
    said = np.diff(m ** fit.coefficients[2])[-3:] / steps[-3:]
    if orders.min() <= 0:
        return None
    measured, expected = np.diff(np.log(orders)), np.diff(np.log(said))
    goes_on = measured.sum() > expected.sum() / 2 and measured[-1] > expected[-1] / 4
    return fit if goes_on else None


def _clean(fit: Candidate, mean, noise: float) -> bool:
    """Whether C M^-gamma + F describes a flattening sequence well enough to state its rate."""
    enough = above_floor(fit, mean) >= _LEAST_SIZES
    return bool(enough and np.max(np.abs(fit.residuals)) < max(0.05, 3 * noise))


def _widen(found: Envelope, relative) -> Envelope:
    """Add what the measurement uncertainties can do to gamma, to first order and at worst."""
    if relative is None:
        return found
    more = float(np.abs(found.best.influence) @ relative[found.best.start :])
    return found._replace(lower=found.lower - more, upper=found.upper + more)
