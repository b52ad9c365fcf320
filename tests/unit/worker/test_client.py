"""The worker seen from its parent: what goes right, and everything that goes wrong."""

from __future__ import annotations

import errno
import math
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from geodl_plugin.core import errors
from geodl_plugin.core.errors import CancelledError, InputError, MissingLibraryError
from geodl_plugin.worker import client, interpreters
from geodl_plugin.worker.client import WorkerProcess, explain_exit, run_task
from geodl_plugin.worker.runner import as_geodl_error

ROOT = Path(__file__).resolve().parents[3]
BARE_PYTHON = "/usr/bin/python3"
# Seconds: the machine may be busy, and what is cancelled here would take minutes, or for ever.
ENDING = 60.0


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(condition, seconds: float = ENDING) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def sentence_of(python, task, **options) -> str:
    with pytest.raises(errors.GeoDLError) as caught:
        run_task(task, options, python=python)
    message = str(caught.value)
    assert "Traceback" not in message and "\n" not in message and message.endswith(".")
    return message


def test_options_and_result_travel(python):
    options = {"text": "Bäume \u2028 \U0001f333", "list": [1, 2.5, None], "dict": {"a": True}}
    assert run_task("describe", options, python=python)["options"] == options


@pytest.fixture
def qgis(monkeypatch, tmp_path):
    """A QGIS as it lies on macOS, which has named its own files to PROJ and GDAL."""
    contents = tmp_path / "QGIS.app" / "Contents"
    (contents / "MacOS" / "bin").mkdir(parents=True)
    monkeypatch.setattr(sys, "base_prefix", str(contents / "MacOS"))
    for name in ("PROJ_DATA", "GDAL_DATA"):
        monkeypatch.setenv(name, str(contents / "Resources" / name))
    monkeypatch.setenv("GDAL_DRIVER_PATH", "/opt/own drivers")
    return contents


def test_another_python_does_not_see_the_files_of_qgis(python, qgis):
    """With a list of systems of another release PROJ finds none."""
    seen = run_task("describe", {}, python=python)["environment"]
    assert not {"PROJ_DATA", "GDAL_DATA"} & set(seen)
    assert seen["GDAL_DRIVER_PATH"] == "/opt/own drivers"


def test_an_environment_over_the_python_of_qgis_sees_its_files(python, qgis, tmp_path):
    program = tmp_path / "environment" / "bin" / "python"
    program.parent.mkdir(parents=True)
    shutil.copy(python, program)
    text = f"home = {qgis / 'MacOS' / 'bin'}\n"
    (tmp_path / "environment" / "pyvenv.cfg").write_text(text, encoding="utf-8")
    seen = run_task("describe", {}, python=str(program))["environment"]
    assert {"PROJ_DATA", "GDAL_DATA"} <= set(seen)


def test_the_folder_of_qgis_on_windows(monkeypatch):
    monkeypatch.setattr(interpreters, "WINDOWS", True)
    monkeypatch.delenv("OSGEO4W_ROOT", raising=False)
    monkeypatch.setattr(sys, "base_prefix", "/Programs/QGIS/apps/Python312")
    assert interpreters.installation() == Path("/Programs/QGIS")
    monkeypatch.setattr(sys, "base_prefix", "/conda/envs/qgis")
    assert interpreters.installation() == Path("/conda/envs/qgis")


def test_events_reach_the_progress_and_updates_are_throttled(python, recorder):
    assert run_task("tell", {}, recorder, python) == {"steps": 5001}
    assert recorder.said == ["hello"] and recorder.warned == ["careful"]
    assert recorder.epochs[0]["epoch"] == 1 and math.isnan(recorder.epochs[0]["train_loss"])
    assert recorder.updates[0][1] == "Step 0" and recorder.updates[-1] == (1.0, "Step 5000")
    assert len(recorder.updates) < 100


def test_what_is_printed_never_meets_the_events(python):
    assert run_task("chatter", {}, python=python) == {"honest": True}


def test_surroundings_are_clean(python, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    seen = run_task("describe", {}, python=python)
    assert not {"PYTHONHOME", "PYTHONPATH"} & set(seen["environment"])
    assert seen["environment"]["HF_HUB_DISABLE_TELEMETRY"] == "1"
    assert str(ROOT / "geodl_plugin" / "worker") not in seen["path"]
    assert str(ROOT) not in seen["path"]
    assert not {"tasks", "protocol", "client", "torch", "numpy", "osgeo"} & set(seen["modules"])


@pytest.mark.parametrize("kind", ["RasterError", "ModelError", "InputError", "CancelledError"])
def test_an_error_keeps_its_class_and_sentence(python, kind):
    sentence = "ortho.tif has 3 bands. Choose another."
    with pytest.raises(getattr(errors, kind)) as caught:
        run_task("fail", {"kind": kind, "message": sentence}, python=python)
    assert type(caught.value).__name__ == kind and str(caught.value) == sentence


def test_an_unexpected_error_names_the_log_that_has_the_traceback(python):
    message = sentence_of(python, "stumble")
    assert "KeyError: 'a key that no user knows'" in message
    log = Path(message.rpartition(" in ")[2].rstrip("."))
    assert "Traceback" in log.read_text(encoding="utf-8")
    log.unlink()


def test_an_unknown_task_is_refused(python):
    with pytest.raises(InputError, match="There is no task 'fly'"):
        run_task("fly", {}, python=python)


def test_a_killed_worker_is_explained(python):
    message = sentence_of(python, "die", signal=signal.SIGKILL)
    assert "was killed, probably because the machine ran out of memory" in message


def test_a_memory_error_says_what_to_do(python):
    assert "smaller batch size" in sentence_of(python, "exhaust")


def test_a_crash_names_its_signal(python):
    message = sentence_of(python, "die", signal=signal.SIGSEGV)
    assert "crashed (SIGSEGV)" in message and ".log" in message


def test_the_last_words_of_a_silent_death_join_the_error(python):
    message = sentence_of(python, "die", signal=0, status=7)
    assert "ended with status 7 without a result: the last words." in message


def test_a_missing_library_names_the_tool_that_installs_it(python):
    message = sentence_of(python, "need_library")
    assert "a_library_that_nobody_has is not installed in" in message
    assert "'Set up deep learning libraries'" in message


@pytest.mark.skipif(not Path(BARE_PYTHON).exists(), reason="needs a Python without torch")
def test_missing_torch_is_one_sentence():
    with pytest.raises(MissingLibraryError, match=r"^PyTorch is not installed in /usr/bin/pyt"):
        run_task("selftest", {}, python=BARE_PYTHON)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("/no/such/python", "There is no Python at '/no/such/python'"),
        ("/etc/passwd", "cannot be started"),
        ("/usr/bin/yes", "did not start a worker but answered"),
        ("/bin/echo", "did not start a worker but answered"),
    ],
)
def test_no_python_is_one_sentence(program, expected):
    began = time.monotonic()
    assert expected in sentence_of(program, "selftest")
    assert time.monotonic() - began < ENDING


def test_rubbish_without_end_of_line_is_no_worker(make_program):
    program = make_program("printf 'not an event'; exit 3")
    assert 'answered "not an event"' in sentence_of(program, "selftest")


def test_polite_task_ends_without_force(python, recorder, monkeypatch):
    monkeypatch.setattr(client, "GRACE", 1e6)
    began = time.monotonic()
    recorder.stop = lambda: time.monotonic() - began > 0.5
    with pytest.raises(CancelledError):
        run_task("sleep_politely", {}, recorder, python)
    assert time.monotonic() - began < ENDING


def test_force_comes_within_two_seconds_and_not_at_once(python, monkeypatch, tmp_path):
    pids, now = tmp_path / "pids", [100.0]
    worker = WorkerProcess("sleep_deeply", {"pids": str(pids)}, python)
    worker.start()
    assert next(worker.events())["event"] == "info"
    with monkeypatch.context() as stopped:  # the clock: this machine may be slow
        stopped.setattr(client, "time", SimpleNamespace(monotonic=lambda: now[0]))
        worker.cancel()
        now[0] += 1.0
        assert worker.poll(0.2) is None and not worker.ended
        assert all(map(is_alive, map(int, pids.read_text().split())))
        now[0] += 1.0
        assert worker.poll(0.2) is None and worker.ended
    worker.close()
    assert wait_until(lambda: not any(map(is_alive, map(int, pids.read_text().split()))))


def test_stubborn_task_is_cancelled_by_force(python, recorder, tmp_path):
    pids = tmp_path / "pids"
    asked = []

    def stop():
        if recorder.said and not asked:
            asked.append(time.monotonic())
        return bool(asked)

    recorder.stop = stop
    with pytest.raises(CancelledError):
        run_task("sleep_deeply", {"pids": str(pids)}, recorder, python)
    assert time.monotonic() - asked[0] < ENDING
    worker, child = map(int, pids.read_text().split())
    assert wait_until(lambda: not is_alive(worker) and not is_alive(child))


def test_torch_in_the_middle_of_work_is_cancelled(python, recorder):
    pytest.importorskip("torch")
    asked = []

    def stop():
        if recorder.said and not asked:
            asked.append(time.monotonic())
        return bool(asked)

    recorder.stop = stop
    with pytest.raises(CancelledError):
        run_task("compute", {}, recorder, python)
    assert time.monotonic() - asked[0] < ENDING


@pytest.mark.parametrize("task", ["sleep_politely", "sleep_deeply", "compute"])
def test_a_worker_whose_parent_dies_ends_itself(python, task, tmp_path):
    pids = tmp_path / "pids"
    parent = textwrap.dedent(
        f"""
        import sys
        sys.path.insert(0, {str(ROOT)!r})
        from geodl_plugin.worker.client import WorkerProcess
        worker = WorkerProcess({task!r}, {{"pids": {str(pids)!r}}}, {python!r})
        worker.start()
        print(worker._process.pid, flush=True)
        for event in worker.events():
            print(event, flush=True)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    worker = int(process.stdout.readline())
    if task != "sleep_politely":
        assert "event" in process.stdout.readline()
    assert is_alive(worker)
    process.kill()
    process.wait()
    process.stdout.close()
    assert wait_until(lambda: not is_alive(worker), 3.0)
    if pids.exists():
        assert wait_until(lambda: not is_alive(int(pids.read_text().split()[1])), 1.0)


def test_no_process_and_no_log_is_left_behind(python, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = set(tmp_path.iterdir())
    pid = run_task("describe", {}, python=python)["pid"]
    assert not is_alive(pid)
    assert set(tmp_path.iterdir()) == before


def test_the_plugin_may_lie_under_umlauts_and_beside_other_plugins(tmp_path):
    plugins = tmp_path / "Prøfile ä ß" / "plugins"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "geodl_plugin", plugins / "geodl_plugin", ignore=ignore)
    # Another plugin is called like a library that the self-test needs.
    (plugins / "torchvision").mkdir()
    (plugins / "torchvision" / "__init__.py").write_text("raise ImportError('shadowed')")
    code = (
        "import json, sys; sys.path.append(sys.argv[1])\n"
        "from geodl_plugin.worker.client import run_task\n"
        "print(json.dumps(run_task('selftest', {}, python=sys.executable)))"
    )
    pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, "-c", code, str(plugins)], cwd="/", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert '"torchvision"' in done.stdout


def test_cancel_from_another_thread_before_the_first_event(python):
    worker = WorkerProcess("sleep_politely", {}, python)
    worker.start()
    worker.cancel()
    worker.cancel()
    assert list(worker.events()) == []
    with pytest.raises(CancelledError):
        worker.result()
    worker.close()


def test_cancel_does_not_wait_for_a_worker_that_does_not_read(make_program, recorder):
    program = make_program(f"exec sleep {3 * ENDING}")
    began = time.monotonic()
    recorder.stop = lambda: time.monotonic() > began + 0.5
    with pytest.raises(CancelledError):  # more options than a pipe holds
        run_task("selftest", {"sources": ["raster.tif"] * 100_000}, recorder, program)
    assert time.monotonic() - began < ENDING


def test_exit_status_of_a_wrapped_worker_is_explained_too():
    assert "out of memory" in explain_exit(137).what
    assert explain_exit(-9).hint
    assert explain_exit(-signal.SIGABRT).what == "crashed (SIGABRT)"
    assert not explain_exit(3).hint


def test_exit_status_of_windows_is_explained():
    assert explain_exit(0xC0000005).what == "crashed (0xC0000005)"
    assert "out of memory" in explain_exit(0xC000012D).what
    assert "REPAIR" in explain_exit(0xC0000135).hint


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_a_lack_of_memory_is_told_as_such(error):
    where = "graphics card" if "MPS" in str(error) else "machine"
    assert str(as_geodl_error(error)).startswith(f"The memory of the {where} does not suffice.")


def test_a_paging_file_that_is_too_small_is_a_lack_of_memory():
    error = OSError(errno.EINVAL, "The paging file is too small for this operation to complete")
    error.winerror = 1455
    assert "does not suffice" in str(as_geodl_error(error))


def test_a_cancelled_progress_starts_no_worker(recorder):
    recorder.stop = lambda: True
    with pytest.raises(CancelledError):
        run_task("selftest", {}, recorder, "/no/such/python")
