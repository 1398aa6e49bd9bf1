"""A grid of targets, families, sizes and seeds, computed part by part and resumable."""

import numbers
import os
from collections.abc import Iterable, Sequence
from typing import Any

import equinox as eqx
import polars as pl

from .._misc import plain
from ..families import AbstractFamily
from ..norms import AbstractNorm
from ..targets import AbstractFunctionClass, AbstractTarget
from ._case import SCHEMA, Part, base_of, compute, parts_of, rule_of
from ._class_case import compute_class, describe_class
from ._identity import describe, describe_study, describe_target, environment, fingerprint
from ._progress import reporting
from ._result import StudyResult, joined
from ._store import Store


def _listed(value: Any, word: str, cure: str) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"`Study({word}=...)` must be a list; got {value!r:.80}. {cure}")
    return tuple(value)


def _as_targets(value: Any) -> tuple[AbstractTarget | AbstractFunctionClass, ...]:
    cure = (
        "Write `[targets.get('exp')]`, `[targets.Function(fn, (0, 1))]` for your own, or "
        "`[targets.Lipschitz()]` for a class."
    )
    items = _listed(value, "targets", cure)
    for item in items:
        if not isinstance(item, AbstractTarget | AbstractFunctionClass):
            raise TypeError(f"`Study(targets=...)` must hold targets; got {item!r:.80}. {cure}")
    return items


def _as_families(value: Any) -> tuple[AbstractFamily, ...]:
    cure = "Write `[families.FreeKnot()]`, with the brackets of both."
    items = _listed(value, "families", cure)
    for item in items:
        if not isinstance(item, AbstractFamily):
            raise TypeError(f"`Study(families=...)` must hold families; got {item!r:.80}. {cure}")
    return items


def _as_norm(value: Any) -> AbstractNorm:
    if not isinstance(value, AbstractNorm):
        raise TypeError(
            f"`Study(norm=...)` must be a norm; got {value!r:.80}. Write `norms.L2()`, or "
            "`norms.get('L2')`."
        )
    return value


def _as_sizes(value: Any) -> tuple[int, ...]:
    return _whole(value, "sizes", 1)


def _as_seeds(value: Any) -> tuple[int, ...]:
    return _whole(value, "seeds", 0)


def _whole(value: Any, word: str, least: int) -> tuple[int, ...]:
    items = _listed(value, word, "Write `[24, 48, 96, 192]`." if least else "Write `[0]`.")
    for n in items:
        if isinstance(n, bool) or not isinstance(n, numbers.Integral) or n < least:
            raise ValueError(
                f"`Study({word}=...)` must be whole numbers from {least} on; got {n!r}."
            )
    return tuple(int(n) for n in items)


class Study(eqx.Module):
    r"""How the error of families of networks falls with the size, on several targets.

    One fit for every target, unrounded family, size and seed; every `families.Quantized` copy of
    a family rounds that family's fit, so that rules are compared on the same network.

    A class of functions, such as `targets.Lipschitz()`, may stand among the targets. For every size
    functions are drawn anew that are hard for that size, the same for all families; `error` is then
    the worst error that the algorithm had over the draws. That bounds nothing: the class may hold a
    worse function, and another algorithm may do better. `limit`, beside it, is the proven lower
    bound of the error of the family over the whole class, where `bounds.class_error` knows one.

    **Arguments:**

    - `targets`: the functions to approximate, and classes, with different names.
    - `families`: the families, with different names; `families.Quantized` ones may be among them.
    - `sizes`: the connectivities $M$ asked for, increasing, at least the families' smallest.
    - `norm`: what measures the distance, such as `norms.L2()`.
    - `seeds`: one run per seed; a family without randomness gives the same numbers for each. A
        class is drawn anew for each seed.
    - `draws`: how many functions of a class are drawn for every size and seed.

    **Raises:**

    - `ValueError`: for an empty list, equal names, sizes that do not increase or that a family
        cannot have, no draws, a class of several variables or one that is not compact in the norm.
    - `TypeError`: for what is no list, or not of targets, families and a norm.
    """

    targets: tuple[AbstractTarget | AbstractFunctionClass, ...] = eqx.field(converter=_as_targets)
    families: tuple[AbstractFamily, ...] = eqx.field(converter=_as_families)
    sizes: tuple[int, ...] = eqx.field(converter=_as_sizes, static=True)
    norm: AbstractNorm = eqx.field(converter=_as_norm)
    seeds: tuple[int, ...] = eqx.field(converter=_as_seeds, static=True, default=(0,))
    draws: int = eqx.field(converter=plain, static=True, default=12)

    def __check_init__(self):
        for word in ("targets", "families", "sizes", "seeds"):
            if not getattr(self, word):
                raise ValueError(f"`Study({word}=...)` must name at least one; got none.")
        for word in ("targets", "families"):
            _check_different(word, [item.name for item in getattr(self, word)])
        _check_different("seeds", list(self.seeds))
        if any(a >= b for a, b in zip(self.sizes, self.sizes[1:], strict=False)):
            raise ValueError(
                f"`Study(sizes=...)` must increase; got {list(self.sizes)}. Sort them and name "
                "each once."
            )
        _whole([self.draws], "draws", 1)
        for item in self.targets:
            if isinstance(item, AbstractFunctionClass):
                _check_class(item, self.norm)
        bases = {}
        for family in self.families:
            base = base_of(family)
            if bases.setdefault(base.name, describe(base)) != describe(base):
                raise ValueError(
                    f"`Study(families=...)` must have one definition per name; got two families "
                    f"named {base.name!r} with different settings. Study them one at a time."
                )
            if self.sizes[0] < base.minimum_size:
                raise ValueError(
                    f"`Study(sizes=...)` must be at least {base.minimum_size} for the family "
                    f"{base.name}; got {self.sizes[0]}. Start at a larger size or leave the "
                    "family out."
                )

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that differ between different studies."""
        return fingerprint(self._description())

    def _description(self) -> dict[str, Any]:
        families = [(family, base_of(family).name, rule_of(family)) for family in self.families]
        described = [
            describe_class(item, int(self.draws))
            if isinstance(item, AbstractFunctionClass)
            else describe_target(item)
            for item in self.targets
        ]
        return describe_study(described, families, self.sizes, self.norm, self.seeds)

    def run(
        self, directory: str | os.PathLike | None = None, *, progress: bool | None = None
    ) -> StudyResult:
        """Compute what is not stored yet and return everything.

        Every finished part is written at once and whole, so a run that is stopped at any moment
        (also by a crash or a lost machine) loses the part in hand and nothing else; the same call
        continues it and ends with the same table. A stored part that does not pass its check is
        set aside in `damaged/` and named in an error; everything else stays, and the next call
        computes it anew.

        **Arguments:**

        - `directory`: where the parts are kept; None keeps them in memory only.
        - `progress`: a progress line on stderr; None shows it if stderr is a terminal.

        **Returns:**

        A `StudyResult`.

        **Raises:**

        - `ValueError`: if the directory holds another study or a damaged part, or if another
            process computes there.
        - `OSError`: if the directory cannot be written; what was computed stays.
        """
        description = self._description()
        parts = parts_of(description)
        frames: dict[str, pl.DataFrame] = {}
        if directory is None:
            self._compute(parts, frames, None, fingerprint(description), progress)
            return StudyResult(description, joined(description, frames))
        try:
            store = Store(directory, description)
            frames = {name: frame for name, frame in store.finished(parts)}
            if len(frames) < len(parts):
                with store.writing():
                    frames = {name: frame for name, frame in store.finished(parts, mend=True)}
                    self._compute(parts, frames, store, store.fingerprint, progress)
        except OSError as reason:
            kept = "What was computed stays there: free" if os.path.isdir(directory) else "Free"
            raise OSError(
                f"`Study.run({str(directory)!r})` must be able to use its directory; "
                f"{reason.strerror or reason}. {kept} space, mend the permissions or choose "
                "another directory, and run again."
            ) from reason
        return StudyResult(description, joined(description, frames))

    def _compute(
        self,
        parts: Sequence[Part],
        frames: dict[str, pl.DataFrame],
        store: Store | None,
        study: str,
        progress: bool | None,
    ) -> None:
        """Add to `frames` the parts that are not in it, and to the store as each is finished."""
        left = [part for part in parts if part.name not in frames]
        targets = {target.name: target for target in self.targets}
        around = environment()
        with reporting(left, len(frames), progress) as done:
            for part in left:
                members = [f for f in self.families if base_of(f).name == part.family]
                target = targets[part.target]
                if isinstance(target, AbstractFunctionClass):
                    rows = compute_class(part, target, members, self.norm, int(self.draws))
                else:
                    rows = compute(part, target, members, self.norm)
                beside = {**around, "study": study, "part": part.name}
                frame = pl.DataFrame([{**row, **beside} for row in rows], schema=SCHEMA)
                if store is not None:
                    store.write(part, frame)
                frames[part.name] = frame
                done(part)


def _check_class(function_class: AbstractFunctionClass, norm: AbstractNorm) -> None:
    if function_class.dimension != 1:
        raise ValueError(
            "`Study(targets=...)` must hold classes of functions of one variable; "
            f"{function_class.name} has {function_class.dimension}."
        )
    if why := function_class.why_not_compact(norm.p):
        raise ValueError(
            f"`Study(targets=...)` must hold classes that are compact in the norm; {norm.name} and "
            f"{function_class.name}: {why}. Use another norm, or another class."
        )


def _check_different(word: str, names: Sequence[Any]) -> None:
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise ValueError(
            f"`Study({word}=...)` must have different names; got {twice[0]!r} twice. Name each "
            "once, or give one of them another name."
        )


def load(directory: str | os.PathLike) -> StudyResult:
    """Read a stored study without its targets or families: what is finished, in the same order.

    **Arguments:**

    - `directory`: what `Study.run` was given.

    **Returns:**

    A `StudyResult`; its `missing` counts the fits that are not computed yet.

    **Raises:**

    - `ValueError`: if there is no study, or a stored part is damaged (run the study again: it
        sets the part aside, and the run after that computes it anew).
    """
    store = Store(directory)
    parts = parts_of(store.description)
    frames = {name: frame for name, frame in store.finished(parts, strict=True)}
    return StudyResult(store.description, joined(store.description, frames))
