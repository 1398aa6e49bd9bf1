"""`qrelu quantize` and `qrelu verify`: files in, files out, one sentence for every mistake."""

import json
import pathlib
import re

import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

from qrelu import bounds, io, networks, realize
from qrelu._cli import _quantize, app


def _network(widths, dtype=np.float32):
    rng = np.random.default_rng(0)
    shapes = list(zip(widths, widths[1:], strict=False))
    return networks.ReLUNetwork(
        [(rng.normal(size=(n, m)) * (2 / m) ** 0.5).astype(dtype) for m, n in shapes],
        [(rng.normal(size=n) * 0.1).astype(dtype) for _, n in shapes],
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with networks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.setattr(_quantize, "_POINTS", 256)  # feedback takes its time with more
    io.save_network("net.safetensors", _network((1, 6, 5, 1)))
    io.save_network("two.npz", _network((2, 5, 2), np.float64))
    pathlib.Path("text.txt").write_text("no network")
    pathlib.Path("broken.npz").write_bytes(b"PK\3\4 no network")
    return tmp_path


def _run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def _files(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("rounding", ["nearest", "feedback"])
def test_quantize_then_verify(folder, rounding):
    arguments = ["net.safetensors", "--accuracy", "0.05", "--box", "-1", "1", "--per", "layer"]
    done = _run("quantize", *arguments, "--rounding", rounding)
    assert done.exit_code == 0, done.stderr
    place = folder / "net-quantized"
    assert {p.name for p in place.iterdir()} == {
        "packed.safetensors",
        "certificate.json",
        "curve.png",
    }
    packed, net = io.load_packed(place / "packed.safetensors"), io.load_network("net.safetensors")
    x = np.linspace(-1, 1, 1001, dtype=np.float32)[:, None]
    change = float(np.abs(np.asarray(realize(packed.network, x)) - realize(net, x)).max())
    certificate = json.loads((place / "certificate.json").read_text())
    assert change <= certificate["enclosure"]["upper"] <= 0.05
    assert certificate["rounding"] == rounding and certificate["accuracy"] == 0.05
    size = 8 * (place / "packed.safetensors").stat().st_size
    assert packed.bits + certificate["bits"]["header"] == size
    said = " ".join(done.stdout.split())
    assert f"Bits: {packed.bits:,} for the parameters" in said
    printed = re.search(r"by more than (\S+) \(asked: 0.05\)", said)
    assert printed is not None
    # A bound is never printed sharper than it is proven.
    assert 1 <= float(printed[1]) / certificate["enclosure"]["upper"] <= 1 + 1e-5
    assert re.search(r"asks for \d+ bits", said)
    assert (place / "curve.png").read_bytes()[:4] == b"\x89PNG"
    again = _run("verify", "net-quantized/certificate.json")
    assert again.exit_code == 0 and "The certificate holds" in again.stdout
    if rounding == "nearest":  # the same bytes come out again
        before = (place / "packed.safetensors").read_bytes()
        assert _run("quantize", *arguments).exit_code == 0
        assert (place / "packed.safetensors").read_bytes() == before


def test_a_box_per_input_and_given_bits(folder):
    arguments = ["two.npz", "--box", "-1,0", "1,0.5", "--bits", "6", "--per", "channel"]
    done = _run("quantize", *arguments, "--out", "deep/er", "--json")
    assert done.exit_code == 0, done.stderr
    certificate = json.loads(done.stdout)
    assert certificate["enclosure"]["box"] == [[-1.0, 0.0], [1.0, 0.5]]
    found = bounds.certify_bits(
        io.load_network("two.npz"), 6, ([-1, 0], [1, 0.5]), per="channel", curve=False
    )
    assert certificate["enclosure"]["upper"] == found.certificate.upper
    assert certificate["accuracy"] is None and certificate["bits"]["uniform"] == 6
    assert certificate == json.loads((folder / "deep/er/certificate.json").read_text())
    checked = _run("verify", "deep/er/certificate.json", "--json")
    assert json.loads(checked.stdout)["holds"]


def _tampered(path, text, replacement):
    old = path.read_text()
    assert text in old
    path.write_text(old.replace(text, replacement, 1))


def test_verify_fails_loudly(folder):
    arguments = ["net.safetensors", "--bits", "7", "--accuracy", "0.5", "--box", "-1", "1"]
    assert _run("quantize", *arguments, "--out", "q").exit_code == 0
    place = folder / "q"
    whole = _files(folder)
    upper = json.loads(whole[place / "certificate.json"])["enclosure"]["upper"]

    def expect(words):
        done = _run("verify", "q/certificate.json")
        assert (done.exit_code, done.stdout) == (1, "")
        assert words in done.stderr and len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith("qrelu: ")
        for path, data in whole.items():
            path.write_bytes(data)

    _tampered(place / "certificate.json", f'"upper": {upper!r}', f'"upper": {upper / 2!r}')
    expect("was changed since")
    _tampered(place / "certificate.json", '"accuracy": 0.5', '"accuracy": 0.4')
    expect("was changed since")
    (place / "packed.safetensors").write_bytes(whole[place / "packed.safetensors"][:-1] + b"\7")
    expect("packed.safetensors is not the file that was certified")
    (folder / "net.safetensors").write_bytes(whole[folder / "net.safetensors"][:-1] + b"\7")
    expect("net.safetensors is not the file that was certified")
    (folder / "net.safetensors").unlink()
    expect("it is not there. Say where it is now: `--network FILE`")
    (place / "certificate.json").write_bytes(b"{}")
    expect("damaged or of another kind")
    (folder / "net.safetensors").rename(folder / "moved.safetensors")
    moved = _run("verify", "q/certificate.json", "--network", "moved.safetensors")
    assert moved.exit_code == 0, moved.stderr


GOOD = ["net.safetensors", "--accuracy", "0.1", "--box", "0", "1"]
MISTAKES = {
    "no file": (["none.npz", *GOOD[1:]], 2, "`FILE` 'none.npz' cannot be read: No such file"),
    "another kind": (["text.txt", *GOOD[1:]], 2, "`FILE` must have a name that ends in"),
    "damaged": (["broken.npz", *GOOD[1:]], 2, "'broken.npz' must be a whole .npz file"),
    "no goal": (["net.safetensors", "--box", "0", "1"], 2, "`--accuracy` or `--bits`"),
    "no box": (["net.safetensors", "--accuracy", "0.1"], 2, "Missing option '--box'"),
    "zero": ([*GOOD, "--accuracy", "0"], 2, "`--accuracy` must be positive"),
    "unreachable": ([*GOOD, "--accuracy", "1e-12"], 1, "`--accuracy 1e-12` is out of reach"),
    "inverted": ([*GOOD, "--box", "1", "0"], 2, "LO <= HI; got 1 > 0"),
    "unbounded": ([*GOOD, "--box", "0", "inf"], 2, "two finite numbers"),
    "too many ends": ([*GOOD, "--box", "0,0", "1"], 2, "one for each of the 1; got 2"),
    "per": ([*GOOD, "--per", "weight"], 2, "`--per` must be one of network, layer, channel"),
    "rounding": ([*GOOD, "--rounding", "up"], 2, "`--rounding` must be one of"),
    "evaluation": ([*GOOD, "--evaluation", "int8"], 2, "`--evaluation` must be one of exact"),
    "seconds": ([*GOOD, "--seconds", "0"], 2, "`--seconds` must be positive"),
    "one bit": ([*GOOD, "--bits", "1"], 2, "`--bits` must be at least 2"),
    "many bits": ([*GOOD, "--bits", "40"], 2, "`--bits` must be at most 24"),
    "per layer": ([*GOOD, "--bits", "4", "--per", "layer"], 2, "leave `--per layer` out"),
    "too few bits": ([*GOOD, "--bits", "2", "--accuracy", "0.001"], 1, "Without `--bits`"),
    "a file": ([*GOOD, "--out", "text.txt"], 1, "must be a directory; it is a file"),
    "not writable": ([*GOOD, "--out", "/proc/there"], 1, "must be able to take the files"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_and_writes_nothing(folder, mistake):
    arguments, code, words = MISTAKES[mistake]
    before = _files(folder)
    done = _run("quantize", *arguments)
    said = " ".join(done.stderr.replace("│", " ").split())
    assert (done.exit_code, done.stdout) == (code, "")
    assert words in said
    if not said.startswith("Usage:"):  # click's own errors have a frame
        assert done.stderr.startswith("qrelu: ") and len(done.stderr.splitlines()) == 1
    assert _files(folder) == before
    assert {p.name for p in folder.iterdir()} == {p.name for p in before}


def test_results_of_another_network_are_not_replaced(folder):
    assert _run("quantize", *GOOD, "--bits", "6", "--out", "q").exit_code == 0
    before = _files(folder)
    done = _run("quantize", "two.npz", *GOOD[1:], "--out", "q")
    assert done.exit_code == 1 and "it holds a certificate for another one" in done.stderr
    assert _files(folder) == before
    (folder / "packed.safetensors").write_bytes((folder / "net.safetensors").read_bytes())
    done = _run("quantize", "packed.safetensors", *GOOD[1:], "--out", ".")
    assert done.exit_code == 1 and "FILE would be overwritten" in done.stderr


def test_a_full_disk_or_an_interrupt_loses_nothing(folder, monkeypatch):
    assert _run("quantize", *GOOD, "--bits", "6", "--out", "q").exit_code == 0
    before = _files(folder)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        done = _run("quantize", *GOOD, "--bits", "7", "--out", "q")
    assert done.exit_code == 1 and "No space left on device" in done.stderr

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bounds, "certify_bits", interrupt)
        done = _run("quantize", *GOOD, "--bits", "7", "--out", "q")
    assert done.exit_code == 130 and done.stderr == "qrelu: stopped. Nothing was written.\n"
    assert _files(folder) == before
    assert not list(folder.glob(".*"))


def test_time_that_runs_out_is_said(folder):
    io.save_network("four.npz", _network((4, 8, 8, 1)))
    arguments = ["four.npz", "--accuracy", "0.3", "--box", "-1", "1", "--per", "layer"]
    done = _run("quantize", *arguments, "--seconds", "0.01", "--json")
    assert done.exit_code == 0, done.stderr
    assert "`--seconds 0.01` ran out" in done.stderr
    certificate = json.loads(done.stdout)
    assert certificate["finished"] is False
    assert certificate["enclosure"]["upper"] <= 0.3
    assert None in certificate["curve"]["certified"]
    # Bits that were found in time are not called in question where only the curve is not whole.
    done = _run("quantize", "two.npz", "--bits", "5", "--box", "-1", "1", "--seconds", "0.01")
    assert done.exit_code == 0, done.stderr
    assert "before every point of the curve was certified" in done.stderr
    assert "fewer bits may do" not in done.stderr


@pytest.mark.parametrize("dtype, most", [("float16", 11), ("bfloat16", 8)])
def test_parameters_of_two_bytes(folder, dtype, most):
    io.save_network("half.safetensors", _network((1, 4, 1), jnp.dtype(dtype)))
    arguments = ["--box", "0", "1", "--out", "q"]
    done = _run("quantize", "half.safetensors", "--bits", str(most + 1), *arguments)
    assert done.exit_code == 2 and f"`--bits` must be at most {most}" in done.stderr
    done = _run("quantize", "half.safetensors", "--bits", "6", *arguments)
    assert done.exit_code == 0, done.stderr
    assert f"evaluation in {dtype}" in done.stdout
    assert _run("verify", "q/certificate.json").exit_code == 0


def test_help():
    for command in ("quantize", "verify"):
        done = _run(command, "--help")
        assert done.exit_code == 0 and "certificate" in done.stdout.lower()
