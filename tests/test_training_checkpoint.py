"""Interrupted training goes on to the same numbers, and only with its own problem."""

import errno
import functools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from beartype import beartype
from jaxtyping import Float, jaxtyped

from qrelu import networks
from qrelu.quantizers import AbsMax, Uniform, wrap
from qrelu.training import fit
from qrelu.training._checkpoint import fingerprint, load, save

KEY = jax.random.key(0)
X = np.linspace(-1, 1, 40)
Y = np.sin(3 * X)


def _net(seed=0, widths=(1, 8, 1)):
    return networks.he_normal(widths, key=jax.random.key(seed))


def _leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]


def test_a_resumed_run_equals_the_undisturbed_one(tmp_path, monkeypatch):
    monkeypatch.setattr("qrelu.training._run._OFTEN", 0.0)
    path = tmp_path / "run.ckpt"
    options = dict(batch=10, steps=50, every=8, validation=(X, Y), key=KEY, quantizer=AbsMax(4))
    whole = fit(_net(), (X, Y), **options)

    class Stop(Exception):
        pass

    from qrelu.training import _run

    save, count = _run.save, []

    def interrupted(*arguments):
        save(*arguments)
        count.append(1)
        if len(count) == 3:
            raise Stop

    monkeypatch.setattr(_run, "save", interrupted)
    with pytest.raises(Stop):
        fit(_net(), (X, Y), checkpoint=path, **options)
    resumed = fit(_net(), (X, Y), checkpoint=path, **options)
    finished = fit(_net(), (X, Y), checkpoint=path, **options)
    for other in (resumed, finished):
        assert np.array_equal(whole.history, other.history)
        assert np.array_equal(whole.evaluations, other.evaluations)
        assert all(
            np.array_equal(a, b)
            for a, b in zip(_leaves(whole.model), _leaves(other.model), strict=True)
        )
    with pytest.raises(ValueError, match="another problem"):
        fit(_net(1), (X, Y), checkpoint=path, **options)
    with pytest.raises(ValueError, match="another problem"):
        fit(_net(), (X, 2 * Y), checkpoint=path, **options)
    whole_file = path.read_bytes()
    path.write_bytes(whole_file[:-8] + bytes(8))
    with pytest.raises(ValueError, match="its numbers have changed"):
        fit(_net(), (X, Y), checkpoint=path, **options)
    path.write_bytes(whole_file[:100])
    with pytest.raises(ValueError, match="damaged"):
        fit(_net(), (X, Y), checkpoint=path, **options)


def test_a_checkpoint_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device", "a temporary name")

    monkeypatch.setattr("qrelu.training._checkpoint.write_atomically", full)
    with pytest.raises(OSError, match="'run.ckpt'.* after step 2: No space left on device. Make"):
        fit(_net(), (X, Y), steps=2, checkpoint=tmp_path / "run.ckpt")


def test_a_checkpoint_belongs_to_one_optimizer_loss_and_model(tmp_path):
    def own(power):
        return lambda p, y: jnp.mean(jnp.abs(p - y) ** power)

    path = tmp_path / "run.ckpt"
    model = eqx.nn.MLP(1, 1, 3, 1, key=KEY)

    def run(model=model, optimizer=None, power=2):
        optimizer = optax.adam(1e-3) if optimizer is None else optimizer
        options = dict(steps=1, loss=own(power), optimizer=optimizer, checkpoint=path)
        return fit(model, (X, Y), **options).history

    first = run()
    assert np.array_equal(first, run())  # new functions, the same code
    tanh = eqx.tree_at(lambda m: m.activation, model, jnp.tanh)
    schedule = optax.cosine_decay_schedule(1e-3, 100)
    for other in (
        dict(optimizer=optax.sgd(1e-3)),
        dict(optimizer=optax.adam(2e-3)),
        dict(optimizer=optax.adam(schedule)),
        dict(power=3),
        dict(model=tanh),
    ):
        with pytest.raises(ValueError, match="another problem"):
            run(**other)


@pytest.mark.parametrize(
    "schedule",
    [
        lambda: optax.cosine_decay_schedule(1e-2, 5),  # keeps its steps as floats once it is used
        lambda: optax.exponential_decay(1e-2, 5, 0.5),  # closes over a name without a value
        lambda: functools.partial(jnp.power, 0.1),
    ],
)
def test_an_optimizer_is_the_same_after_its_use(schedule):
    optimizer = optax.sgd(schedule())
    before = fingerprint(optimizer)
    optimizer.update(jnp.ones(2), optimizer.init(jnp.ones(2)))
    assert fingerprint(optimizer) == before == fingerprint(optax.sgd(schedule()))
    assert fingerprint(optax.sgd(optax.cosine_decay_schedule(1e-2, 6))) != before


@pytest.mark.slow
def test_members_on_several_devices_go_on(tmp_path):
    script = tmp_path / "devices.py"
    script.write_text(
        textwrap.dedent("""
        import sys, jax, numpy as np
        from qrelu import networks
        from qrelu.training import _run, fit_ensemble
        _run._OFTEN = 0.0
        x = np.linspace(-1, 1, 40)
        data = (x, np.sin(3 * x))
        used, advance, save = [], _run.advance, _run.save

        def seen(setting, state, *rest):
            used.append(len(state.alive.sharding.device_set))
            return advance(setting, state, *rest)

        class Stop(Exception):
            pass

        def interrupted(path, name, step, *rest):
            save(path, name, step, *rest)
            if step == 20:
                raise Stop

        _run.advance = seen
        nets = [networks.he_normal((1, 24, 24, 1), key=jax.random.key(i)) for i in range(6)]
        options = dict(steps=200, every=10, validation=data)
        whole = fit_ensemble(networks.stack(nets), data, **options)
        _run.save = interrupted
        try:
            fit_ensemble(networks.stack(nets), data, checkpoint=sys.argv[1], **options)
        except Stop:
            _run.save = save
        resumed = fit_ensemble(networks.stack(nets), data, checkpoint=sys.argv[1], **options)
        assert len(used) == 20 + 2 + 18
        assert set(used) == {3}, used  # the most of four devices that have equal parts
        assert np.array_equal(whole.history, resumed.history)
        assert np.array_equal(whole.evaluations, resumed.evaluations)
        for a, b in zip(*map(jax.tree.leaves, (whole.model, resumed.model)), strict=True):
            assert np.array_equal(a, b)
        """)
    )
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    call = [sys.executable, str(script), str(tmp_path / "run.ckpt")]
    subprocess.run(call, check=True, env=os.environ | flags)


class _Power:
    def __init__(self, p):
        self.p, self.me = p, self  # a cycle
        self.lock = threading.Lock()  # what cannot be copied
        self.words = {"some", "words", "in", "no", "order"}

    def __call__(self, a, b):
        return jnp.mean(jnp.abs(a - b) ** self.p)


class _Slots:
    __slots__ = ("p",)

    def __init__(self, p):
        self.p = p

    def __call__(self, a, b):
        return jnp.mean(jnp.abs(a - b) ** self.p)


class _Module(eqx.Module):
    function: object = eqx.field(static=True)

    def __call__(self, a, b):
        return jnp.mean(self.function(a, b))


def _closure(p):
    return lambda a, b: jnp.mean(jnp.abs(a - b) ** p)


def _times(p):
    @functools.wraps(jnp.abs)
    def scaled(x):
        return p * jnp.abs(x)

    return scaled


def _of_one_name(p):
    class Loss:
        if p == 2:

            def __call__(self, a, b):
                return jnp.mean((a - b) ** 2)
        else:

            def __call__(self, a, b):
                return jnp.mean((a - b) ** 4)

    return Loss()


def _typed(p):
    def loss(a: Float[jax.Array, "n one"], b):
        return jnp.mean(jnp.abs(a - b) ** p)

    return jaxtyped(typechecker=beartype)(loss)


def _steps(p):
    return optax.MultiSteps(optax.adam(10.0**-p), 2)


# Functions and objects that one number tells apart.
MADE = {
    "object": _Power,
    "slots": _Slots,
    "module": lambda p: _Module(_closure(p)),
    "method": lambda p: _Power(p).__call__,
    "closure": _closure,
    "class": _of_one_name,
    "wraps": _times,
    "typed": _typed,
    "partial": lambda p: functools.partial(jnp.power, p),
    "jit": lambda p: jax.jit(_closure(p)),
    "filter_jit": lambda p: eqx.filter_jit(_closure(p)),
    "cache": lambda p: functools.lru_cache(_closure(p)),
    "steps": _steps,
    "steps as transformation": lambda p: _steps(p).gradient_transformation(),
    "objects": lambda p: np.array([_Power(p), None]),
    "grid": lambda p: wrap(_linear(), Uniform(jnp.array([0.1, 0.01 * p]))),
}


def _linear():
    return eqx.nn.Linear(2, 2, key=KEY)


@pytest.mark.parametrize("name", MADE)
def test_a_fingerprint_tells_objects_apart(name):
    make = MADE[name]
    assert fingerprint(make(2)) == fingerprint(make(2)) != fingerprint(make(4))


def test_a_fingerprint_is_the_same_in_every_process():
    call = (
        "from test_training_checkpoint import *; print(*[fingerprint(m(2)) for m in MADE.values()])"
    )
    folder = os.path.dirname(__file__)
    found = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", call],
            check=True,
            capture_output=True,
            cwd=folder,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in "12"
    ]
    assert found[0] == found[1] and len(found[0].split()) == len(MADE)


def test_a_fingerprint_of_what_is_nested_deeply():
    deep = functools.reduce(lambda inner, _: [inner], range(5000), None)
    assert fingerprint(deep) == fingerprint(deep)


@pytest.mark.parametrize(
    "options",
    [
        lambda p: dict(optimizer=_steps(p)),
        lambda p: dict(loss=_Power(p)),
        lambda p: dict(loss=_Power(p).__call__),
    ],
)
def test_a_checkpoint_belongs_to_one_object(tmp_path, options):
    def run(p):
        return fit(_net(), (X, Y), steps=2, checkpoint=tmp_path / "run.ckpt", **options(p)).history

    assert np.array_equal(run(2), run(2))
    with pytest.raises(ValueError, match="another problem"):
        run(4)


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_short_floats_are_read_again(tmp_path, dtype):
    path = tmp_path / "run.ckpt"
    tree = [jnp.linspace(-1, 1, 7).astype(dtype), jnp.asarray(0.5, dtype), jnp.arange(3)]
    save(path, "run", 3, tree, {"history": np.ones(2)}, "")
    step, read, log, _ = load(path, "run", tree)
    assert step == 3 and np.array_equal(log["history"], np.ones(2))
    for a, b in zip(tree, read, strict=True):
        assert a.dtype == b.dtype and np.array_equal(a, b)


def test_a_bfloat16_model_goes_on(tmp_path):
    net = jax.tree.map(lambda p: p.astype(jnp.bfloat16), _net())
    first, second = (fit(net, (X, Y), steps=5, checkpoint=tmp_path / "run.ckpt") for _ in range(2))
    assert np.array_equal(first.history, second.history)
    assert _leaves(second.model)[0].dtype == jnp.bfloat16


@pytest.mark.slow
@pytest.mark.parametrize("members", [0, 3])
def test_a_killed_run_goes_on(tmp_path, members):
    script = tmp_path / "train.py"
    script.write_text(
        f"members = {members}"
        + textwrap.dedent("""
        import sys, jax, numpy as np
        jax.config.update("jax_enable_x64", True)
        from qrelu import networks
        from qrelu.quantizers import AbsMax
        from qrelu.training import _run, fit, fit_ensemble
        _run._OFTEN = 0.0
        x = np.linspace(-1, 1, 40)
        nets = [networks.he_normal((1, 8, 1), key=jax.random.key(i)) for i in range(3)]
        path = None if sys.argv[1] == "none" else sys.argv[1]
        options = dict(batch=10, steps=1000, every=5, checkpoint=path, quantizer=AbsMax(
            5, rounding="stochastic"))
        if members:
            result = fit_ensemble(networks.stack(nets[:members]), (x, np.sin(3 * x)), **options)
        else:
            result = fit(nets[0], (x, np.sin(3 * x)), **options)
        np.save(sys.argv[2], result.history)
        """)
    )
    call = lambda *a: [sys.executable, str(script), *map(str, a)]  # noqa: E731
    subprocess.run(call("none", tmp_path / "whole.npy"), check=True)
    checkpoint = tmp_path / "run.ckpt"

    def written():
        return checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0

    for _ in range(2):
        before = written()
        process = subprocess.Popen(call(checkpoint, tmp_path / "resumed.npy"))
        while written() == before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL  # it was in the middle
    subprocess.run(call(checkpoint, tmp_path / "resumed.npy"), check=True)
    assert np.array_equal(np.load(tmp_path / "whole.npy"), np.load(tmp_path / "resumed.npy"))
