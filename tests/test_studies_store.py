"""The store of a study: nothing that was computed is lost, nothing that is wrong is used."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from polars.testing import assert_frame_equal
from test_studies import SMALL, UNIFORM, Counted

from qrelu import families, norms, studies, targets
from qrelu.studies import _files, _identity


@pytest.fixture(scope="module")
def expected():
    return studies.Study(**SMALL).run().table()


@pytest.fixture
def finished(tmp_path):
    studies.Study(**SMALL).run(tmp_path)
    return tmp_path


def _parts(directory):
    return sorted((directory / "parts").iterdir())


def test_stored_and_loaded_is_what_was_computed(finished, expected):
    loaded = studies.load(finished)
    assert_frame_equal(loaded.table(), expected, check_exact=True)
    assert loaded.missing == 0
    assert_frame_equal(loaded.rates(), studies.Study(**SMALL).run().rates(), check_exact=True)


def test_a_finished_study_computes_nothing(finished, expected, monkeypatch):
    monkeypatch.setattr(families.UniformKnot, "fit", None)
    assert_frame_equal(studies.Study(**SMALL).run(finished).table(), expected)


def test_a_stopped_study_continues_where_it_stopped(tmp_path):
    def study(family):
        return studies.Study(SMALL["targets"], [family], SMALL["sizes"], norms.L2())

    class _Stop(list):
        def append(self, fit):
            if len(self) == 3:
                raise KeyboardInterrupt
            super().append(fit)

    first, second = Counted(fits=_Stop()), Counted()
    with pytest.raises(KeyboardInterrupt):
        study(first).run(tmp_path)
    assert len(_parts(tmp_path)) == 3
    partial = studies.load(tmp_path)
    assert (partial.table().height, partial.missing) == (3, 5)
    partial.save(tmp_path)
    result = study(second).run(tmp_path)
    assert second.fits == [("square", 25), ("exp", 49), ("square", 49), ("exp", 97), ("square", 97)]
    assert_frame_equal(result.table(), study(Counted()).run().table(), check_exact=True)


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def _empty(path):
    path.write_bytes(b"")


def _flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def _foreign(path):
    path.write_bytes(b"x,y\n1,2\n")


DAMAGE = {"truncated": _truncate, "empty": _empty, "flipped bit": _flip, "foreign": _foreign}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_part_is_named_set_aside_and_computed_again(finished, expected, kind):
    victim = _parts(finished)[2]
    DAMAGE[kind](victim)
    remains = victim.read_bytes()
    with pytest.raises(ValueError, match="damaged: its bytes are not those that were written"):
        studies.load(finished)
    others = [path.read_bytes() for path in _parts(finished) if path != victim]
    with pytest.raises(ValueError, match=f"part {victim.name} was damaged .*Run the same"):
        studies.Study(**SMALL).run(finished)
    assert (finished / "damaged" / victim.name).read_bytes() == remains
    assert [path.read_bytes() for path in _parts(finished)] == others
    result = studies.Study(**SMALL).run(finished)
    assert_frame_equal(result.table(), expected, check_exact=True)


def test_every_damaged_copy_is_kept(finished):
    for _ in range(3):
        _truncate(_parts(finished)[0])
        with pytest.raises(ValueError, match="damaged"):
            studies.Study(**SMALL).run(finished)
        studies.Study(**SMALL).run(finished)
    assert len(list((finished / "damaged").iterdir())) == 3


def _repackaged(path, other):
    """The bytes of `other` under the name of `path`, with a digest that is right."""
    return path.with_name(
        ".".join([*path.name.split(".")[:-2], other.name.split(".")[-2], "parquet"])
    )


def test_a_whole_file_that_does_not_belong_is_not_used(finished, expected, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("other")
    studies.Study(**{**SMALL, "families": SMALL["families"][:1]}).run(elsewhere)
    mine, foreign = _parts(finished)[0], _parts(elsewhere)[0]
    _repackaged(mine, foreign).write_bytes(foreign.read_bytes())
    mine.unlink()
    second, third = _parts(finished)[1:3]
    _repackaged(second, third).write_bytes(third.read_bytes())
    second.unlink()
    with pytest.raises(ValueError, match=r"it belongs to another study.*so was 1 other"):
        studies.Study(**SMALL).run(finished)
    assert len(list((finished / "damaged").iterdir())) == 2
    result = studies.Study(**SMALL).run(finished)
    assert_frame_equal(result.table(), expected, check_exact=True)


def test_a_part_of_the_same_study_under_another_name_is_not_used(finished):
    second, third = _parts(finished)[1:3]
    _repackaged(second, third).write_bytes(third.read_bytes())
    second.unlink()
    with pytest.raises(ValueError, match="it holds another part"):
        studies.Study(**SMALL).run(finished)


def test_files_of_others_are_left_alone(finished, expected):
    mine = finished / "parts" / "notes.txt"
    mine.write_text("keep")
    assert_frame_equal(studies.Study(**SMALL).run(finished).table(), expected)
    assert mine.read_text() == "keep"


OTHER = {
    "targets": (dict(targets=[targets.get("exp")]), "targets: exp, square there, exp here"),
    "sizes": (dict(sizes=[13, 25]), "sizes: 13, 25, 49, 97 there, 13, 25 here"),
    "seeds": (dict(seeds=[5]), "seeds: 0 there, 5 here"),
    "norm": (dict(norm=norms.L1()), "norm: L2 there, L1 here"),
    "families": (dict(families=[UNIFORM]), "families: uniform-knot, uniform-knot, 6 bits there"),
}


@pytest.mark.parametrize("change", OTHER)
def test_a_directory_of_another_study_is_refused(finished, change):
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    settings, words = OTHER[change]
    with pytest.raises(ValueError, match=f"holds another study .*{words}.*another directory"):
        studies.Study(**{**SMALL, **settings}).run(finished)
    assert before == {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}


def test_a_function_that_changed_is_another_study(tmp_path):
    def study(power):
        own = targets.Function(lambda x: x**power, (0.0, 1.0), name="own")
        return studies.Study([own], [UNIFORM], [13, 25], norms.L2())

    assert study(2).fingerprint == study(2).fingerprint
    study(2).run(tmp_path)
    with pytest.raises(ValueError, match="the definition of own has changed"):
        study(3).run(tmp_path)


def test_numbers_of_other_code_are_read_but_not_mixed_in(tmp_path, monkeypatch, expected):
    monkeypatch.setattr(_identity, "_code", lambda: "another digest")
    studies.Study(**SMALL).run(tmp_path)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="the code of qrelu has changed"):
        studies.Study(**SMALL).run(tmp_path)
    assert_frame_equal(studies.load(tmp_path).table(), expected)


def test_a_record_that_cannot_be_read_is_named(finished):
    (finished / "study.json").write_text("{")
    with pytest.raises(ValueError, match=r"study\.json` must be the record of a study"):
        studies.Study(**SMALL).run(finished)


def test_load_refuses_what_is_no_study(tmp_path):
    with pytest.raises(ValueError, match=r"must be given the directory of a study"):
        studies.load(tmp_path)


def test_leftovers_are_removed_and_never_read(finished, expected):
    for place in (finished, finished / "parts"):
        (place / ".unfinished-0123.tmp").write_bytes(b"half")
    _parts(finished)[1].unlink()
    assert_frame_equal(studies.Study(**SMALL).run(finished).table(), expected)
    assert not list(finished.rglob(".unfinished-*"))


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_is_a_sentence_and_loses_nothing(tmp_path, monkeypatch, expected, step):
    real, calls = getattr(os, step), []

    def fails_later(*arguments):
        calls.append(arguments)
        if len(calls) > 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(os, step, fails_later)
    with pytest.raises(OSError, match="No space left on device. What was computed stays"):
        studies.Study(**SMALL).run(tmp_path)
    monkeypatch.undo()
    kept = studies.load(tmp_path)
    assert 0 < kept.table().height < expected.height
    assert not list(tmp_path.rglob(".unfinished-*"))
    assert_frame_equal(studies.Study(**SMALL).run(tmp_path).table(), expected, check_exact=True)


def test_a_file_in_place_of_the_directory_is_a_sentence(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(OSError, match="must be able to use its directory; it is a file"):
        studies.Study(**SMALL).run(path)
    with pytest.raises(OSError, match="must be able to use its directory"):
        studies.Study(**SMALL).run(path / "below")


def test_a_second_process_is_told_to_wait(tmp_path):
    tmp_path.joinpath("parts").mkdir()
    with _files.locked(tmp_path / "lock") as alone:
        assert alone
        with pytest.raises(ValueError, match="another process is computing there"):
            studies.Study(**SMALL).run(tmp_path)
    studies.Study(**SMALL).run(tmp_path)


def test_the_record_says_what_the_study_is(finished):
    record = json.loads((finished / "study.json").read_text())
    assert record["fingerprint"] == studies.Study(**SMALL).fingerprint
    assert [t["name"] for t in record["study"]["targets"]] == ["exp", "square"]


VICTIM = textwrap.dedent(
    """
    import os, signal, sys
    from qrelu import families, norms, studies, targets
    uniform = families.UniformKnot()
    study = studies.Study(
        targets=[targets.get("exp"), targets.get("square")],
        families=[uniform, families.Quantized(uniform, families.Bits(6))],
        sizes=list(range(13, 213)),
        norm=norms.L2(),
    )
    step, left = sys.argv[2], int(sys.argv[3])
    real = getattr(os, step)

    def dying(*arguments):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments)

    setattr(os, step, dying)
    print("ready", flush=True)
    study.run(sys.argv[1])
    """
)


def _victim(directory, step="replace", at=0):
    command = [sys.executable, "-c", VICTIM, str(directory), step, str(at)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


@pytest.mark.slow
def test_killed_at_any_moment_the_table_is_the_same(tmp_path):
    """kill -9 at random moments and inside a write; benchmarks/study_survives_kill.py has more."""
    moments = random.Random(0)
    disturbed = tmp_path / "disturbed"
    for _ in range(3):
        with _victim(disturbed) as process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(moments.uniform(0.1, 0.4))
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
    for step, at in (("fsync", 5), ("replace", 7), ("replace", 1)):
        with _victim(disturbed, step, at) as process:
            process.stdout.read()
        assert process.returncode == -signal.SIGKILL
        assert len(list(disturbed.rglob(".unfinished-*"))) == 1
    assert 0 < studies.load(disturbed).missing < 400
    for name in ("disturbed", "whole"):
        with _victim(tmp_path / name) as process:
            process.stdout.read()
        assert process.returncode == 0
    tables = [studies.load(tmp_path / name).table() for name in ("disturbed", "whole")]
    assert_frame_equal(*tables, check_exact=True)
    assert not list(disturbed.rglob(".unfinished-*"))
    assert not (disturbed / "damaged").exists()
