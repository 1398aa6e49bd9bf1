"""Interrupted training goes on to the same numbers, and only with its own problem."""

import errno
import functools
import os
import signal
import subprocess
import sys
import textwrap
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from qrelu import networks
from qrelu.quantizers import AbsMax
from qrelu.training import fit
from qrelu.training._checkpoint import fingerprint

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
