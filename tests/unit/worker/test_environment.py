"""Where the worker's Python is looked for, and what the managed environment promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from geodl_plugin.core.errors import (
    CancelledError,
    FileError,
    InputError,
    MissingLibraryError,
    WorkerError,
)
from geodl_plugin.worker import (
    environment,
    indexes,
    installer,
    interpreters,
    pip_install,
    processes,
    requirements,
)
from geodl_plugin.worker.environment import (
    EnvironmentOptions,
    Status,
    find_python,
    is_current,
    is_whole,
    manage,
    read_marker,
    write_marker,
)

BARE_PYTHON = "/usr/bin/python3"
needs_bare_python = pytest.mark.skipif(
    not Path(BARE_PYTHON).exists(), reason="needs a Python that makes environments"
)


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch, tmp_path):
    monkeypatch.delenv("GEODL_PYTHON", raising=False)
    monkeypatch.setenv("GEODL_ENVIRONMENT", str(tmp_path / "Umgebung ü"))
    monkeypatch.setattr(environment, "own_python_has_torch", lambda: False)


@pytest.fixture
def directory(tmp_path) -> Path:
    """A managed environment as far as the eye can see."""
    folder = tmp_path / "Umgebung ü"
    python = interpreters.python_in(folder)
    python.parent.mkdir(parents=True)
    python.touch()
    return folder


def test_the_order_of_the_places(directory, monkeypatch):
    with pytest.raises(MissingLibraryError, match="'Set up deep learning libraries'"):
        find_python()
    write_marker(directory, "ready")
    assert find_python().path == str(interpreters.python_in(directory))
    monkeypatch.setattr(environment, "own_python_has_torch", lambda: True)
    monkeypatch.setattr(environment, "own_python_lacks", list)
    assert find_python().path == interpreters.own_python()
    monkeypatch.setenv("GEODL_PYTHON", "/from/the/variable")
    assert find_python().path == "/from/the/variable"
    assert find_python(" /from/the/setting ").path == "/from/the/setting"
    assert find_python("").path == "/from/the/variable"


def test_a_python_with_torch_alone_does_not_hide_what_was_installed(directory, monkeypatch):
    """As where a user has put torch into QGIS's Python for another plugin."""
    monkeypatch.setattr(environment, "own_python_has_torch", lambda: True)
    monkeypatch.setattr(interpreters, "_library_folders", lambda: {directory})
    assert find_python().path == interpreters.own_python()  # which tells what it lacks
    write_marker(directory, "ready")
    assert find_python().path == str(interpreters.python_in(directory))
    for name in requirements.names():
        facts = directory / f"{name.replace('-', '_')}-1.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n", encoding="utf-8")
    assert find_python().path == interpreters.own_python()


@pytest.fixture
def over_a_base(tmp_path, directory, monkeypatch):
    """Return a function that lets an environment of Windows lie over a Python; and that folder."""
    home = tmp_path / "Program Files" / "Python312"
    home.mkdir(parents=True)
    (home / "python.exe").touch(mode=0o755)
    monkeypatch.setattr(interpreters, "WINDOWS", True)
    python = interpreters.python_in(directory)
    python.parent.mkdir()
    python.touch()

    def build(version: str) -> Path:
        text = f"home = {home}\ninclude-system-site-packages = true\nversion = {version}\n"
        (directory / "pyvenv.cfg").write_text(text, encoding="utf-8")
        write_marker(directory, "ready")
        return home

    return build


def test_an_environment_whose_python_has_gone_is_not_whole(directory, over_a_base):
    """On Windows each release of QGIS lies in a folder of its own, with its Python."""
    home = over_a_base("3.12.4")
    assert is_whole(directory) and find_python().path.endswith("python.exe")
    (home / "python.exe").unlink()
    assert not is_whole(directory)
    with pytest.raises(MissingLibraryError, match="as after an update of QGIS"):
        find_python()


def test_an_environment_of_an_older_python_is_not_whole(directory, over_a_base, monkeypatch):
    here = ".".join(map(str, sys.version_info[:3]))
    home = over_a_base(here)
    monkeypatch.setattr(sys, "executable", str(home / "python.exe"))
    assert is_whole(directory)
    over_a_base("3.8.10")
    assert not is_whole(directory)


@needs_bare_python
def test_install_builds_a_stranded_environment_anew(tmp_path, recorder, monkeypatch):
    target = tmp_path / "neue Umgebung"
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    python = interpreters.python_in(target)
    python.parent.mkdir(parents=True)
    python.symlink_to(tmp_path / "gone")
    (target / "pyvenv.cfg").write_text(f"home = {tmp_path}\nversion = 3.8.1\n", encoding="utf-8")
    (target / "of the old one").touch()
    write_marker(target, "ready")
    options = EnvironmentOptions(
        "INSTALL", wheels=str(wheels), directory=str(target), base=BARE_PYTHON
    )
    with pytest.raises(WorkerError, match="pip could not install the libraries"):
        manage(options, recorder)
    assert python.exists() and not (target / "of the old one").exists()


def test_what_this_python_lacks_is_looked_up_in_its_own_folders(monkeypatch, tmp_path):
    (tmp_path / "segmentation_models_pytorch-0.5.0.dist-info").mkdir()
    monkeypatch.setattr(interpreters, "_library_folders", lambda: {tmp_path})
    monkeypatch.setattr(interpreters, "names", lambda: ["lightning", "segmentation-models-pytorch"])
    assert interpreters.own_python_lacks() == ["lightning"]


@pytest.mark.parametrize(
    ("device", "found", "told"),
    [("cuda", "cpu", True), ("cuda", "cuda:0", False), ("cpu", "cpu", False)],
)
def test_an_installation_for_cuda_without_a_cuda_device_is_told(
    directory, monkeypatch, recorder, device, found, told
):
    status = Status(True, "Ready.", "python", devices=[{"name": found, "label": ""}])
    write_marker(directory, "installing")
    monkeypatch.setattr(installer, "indexes_for", lambda _: [])
    monkeypatch.setattr(installer, "_build", lambda *_: None)
    monkeypatch.setattr(installer, "prove", lambda *_: status)
    manage(EnvironmentOptions("INSTALL", device=device, directory=str(directory)), recorder)
    assert is_whole(directory) and bool(recorder.warned) == told


@pytest.mark.parametrize("named", ["", "/from/the/variable"])
def test_an_installation_tells_when_another_python_stays_in_use(
    directory, monkeypatch, recorder, named
):
    python = str(interpreters.python_in(directory))
    write_marker(directory, "ready")
    monkeypatch.setenv("GEODL_PYTHON", named)
    monkeypatch.setattr(installer, "install", lambda *_: Status(True, "Ready.", python))
    message = manage(EnvironmentOptions("INSTALL"), recorder).message
    more = "The tools go on with /from/the/variable, the variable GEODL_PYTHON, which"
    assert message.startswith("Ready.") and (more in message) == bool(named)


def test_an_environment_that_was_not_finished_does_not_look_whole(directory):
    assert not is_whole(directory)
    write_marker(directory, "installing")
    assert not is_whole(directory)
    (directory / environment.MARKER).write_text("{half", encoding="utf-8")
    assert not is_whole(directory) and read_marker(directory) == {}


def test_new_requirements_make_an_environment_old(directory, monkeypatch):
    write_marker(directory, "ready")
    assert is_current(directory)
    monkeypatch.setattr(requirements, "lines", lambda: ["torch>=99"])
    assert is_whole(directory) and not is_current(directory)


def test_check_installs_nothing(directory, recorder):
    status = manage(EnvironmentOptions(), recorder)
    assert not status.ready and "INSTALL" in status.message
    assert not read_marker(directory)


def test_check_names_what_is_wrong_with_a_named_python(recorder):
    with pytest.raises(WorkerError, match="There is no Python at '/no/python'"):
        manage(EnvironmentOptions(python="/no/python"), recorder)


def test_remove_leaves_alone_what_is_not_ours(directory, recorder, tmp_path):
    with pytest.raises(InputError, match="was not made by GeoDL"):
        manage(EnvironmentOptions("REMOVE"), recorder)
    write_marker(directory, "installing")
    assert "was removed" in manage(EnvironmentOptions("REMOVE"), recorder).message
    assert not directory.exists() and tmp_path.exists()
    assert "Nothing was removed" in manage(EnvironmentOptions("REMOVE"), recorder).message


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (EnvironmentOptions("UPDATE"), "There is no action 'UPDATE'"),
        (EnvironmentOptions(device="tpu"), "There is no device 'tpu'"),
        (EnvironmentOptions("INSTALL", wheels="/no/wheels"), "There is no folder '/no/wheels'"),
    ],
)
def test_unknown_values_are_refused(options, sentence, recorder):
    with pytest.raises(InputError, match=sentence):
        manage(options, recorder)


@pytest.mark.parametrize("action", ["INSTALL", "REPAIR"])
def test_a_folder_of_somebody_else_is_never_built_in(action, tmp_path, recorder):
    (tmp_path / "thesis.odt").touch()
    with pytest.raises(InputError, match="left alone"):
        manage(EnvironmentOptions(action, directory=str(tmp_path)), recorder)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.odt"]


def test_a_full_disk_is_noticed_before_the_first_download(recorder, monkeypatch, tmp_path):
    monkeypatch.setitem(installer.FREE_SPACE, "cpu", 10**9)
    monkeypatch.setitem(installer.FREE_SPACE, "cuda", 10**9)
    with pytest.raises(WorkerError, match="GB free, but the libraries need"):
        manage(EnvironmentOptions("INSTALL", wheels=str(tmp_path)), recorder)


def test_a_place_where_nothing_can_be_written_is_a_sentence(tmp_path, recorder):
    (tmp_path / "file").touch()
    options = EnvironmentOptions(
        "INSTALL", wheels=str(tmp_path), directory=str(tmp_path / "file" / "environment")
    )
    with pytest.raises(FileError, match=r"file' cannot be read or written: .* another place"):
        manage(options, recorder)


@needs_bare_python
def test_an_installation_that_fails_leaves_nothing(tmp_path, recorder):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    target = tmp_path / "neue Umgebung"
    options = EnvironmentOptions(
        "INSTALL", wheels=str(wheels), directory=str(target), base=BARE_PYTHON
    )
    with pytest.raises(WorkerError, match="pip could not install the libraries"):
        manage(options, recorder)
    assert not target.exists()
    assert recorder.updates[0] == (0.0, "Creating the environment")


@needs_bare_python
def test_an_installation_is_cancelled_at_once_and_leaves_nothing(tmp_path, recorder):
    recorder.stop = lambda: True
    target = tmp_path / "neue Umgebung"
    options = EnvironmentOptions(
        "INSTALL", wheels=str(tmp_path), directory=str(target), base=BARE_PYTHON
    )
    with pytest.raises(CancelledError):
        manage(options, recorder)
    assert not target.exists()


@needs_bare_python
def test_numpy_is_held_at_the_version_of_the_base():
    line = pip_install.numpy_constraint(BARE_PYTHON)
    shown = subprocess.run(
        [BARE_PYTHON, "-c", "import numpy; print(numpy.__version__)"],
        capture_output=True,
        text=True,
    )
    assert line == (f"numpy=={shown.stdout.strip()}\n" if shown.returncode == 0 else "")


def test_words_of_pip_become_progress(recorder, tmp_path):
    pip = pip_install.Pip(sys.executable, tmp_path / "c.txt", "", recorder)
    for line in (
        "Collecting torch<3,>=2.0",
        "  Downloading torch-2.9.0-cp311-cp311-manylinux_2_28_x86_64.whl (899.7 MB)",
        "Installing collected packages: torch",
    ):
        pip._tell(line)
    texts = [text for _, text in recorder.updates]
    assert texts[0] == "Downloading torch 2.9.0 (899.7 MB), 0 s"
    assert texts[1].startswith("Installing the downloaded libraries")


def test_own_python_is_a_python():
    python = interpreters.own_python()
    assert python and interpreters.ask(python, "print(6 * 7)") == "42"


def test_inside_qgis_the_program_is_looked_for_near_by(monkeypatch, tmp_path):
    """``sys.executable`` is QGIS itself on Windows and macOS."""
    name = "python3.exe" if os.name == "nt" else "python3"
    python = tmp_path / "bin" / name
    python.parent.mkdir()
    python.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "QGIS"))
    monkeypatch.setattr(sys, "exec_prefix", str(tmp_path))
    assert interpreters.own_python() == str(python)


def test_short_questions_open_no_window_and_need_no_console(monkeypatch):
    """QGIS has no console on Windows: what it starts would open one, or find no input."""
    asked = {}

    def run(command, **options):
        asked[Path(command[0]).stem] = options
        return subprocess.CompletedProcess(command, 0, b"CUDA Version: 12.8", b"")

    monkeypatch.setattr(processes, "NO_WINDOW", 0x08000000)
    monkeypatch.setattr(subprocess, "run", run)
    assert indexes.driver_cuda() == 12.8
    interpreters.ask("python", "print()")
    monkeypatch.setattr(processes, "WINDOWS", True)
    process = SimpleNamespace(pid=1, poll=lambda: None, kill=lambda: None)
    processes.kill_tree(process)  # type: ignore[arg-type]
    assert set(asked) == {"nvidia-smi", "python", "taskkill"}
    for options in asked.values():
        assert options["creationflags"] == 0x08000000
        assert options["stdin"] == subprocess.DEVNULL


def test_torch_of_another_plugin_does_not_count(monkeypatch, tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").touch()
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not interpreters.own_python_has_torch()


def test_every_requirement_has_a_range_and_a_reason():
    text = requirements.LIST.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(text):
        if line in requirements.lines():
            assert ">=" in line and "<" in line
            assert text[number - 1].startswith("# ")
    assert {"torch", "torchvision", "lightning", "safetensors"} <= set(requirements.names())
    assert "numpy" not in requirements.names()


def test_what_this_python_cannot_have_is_not_required(monkeypatch):
    pytest.importorskip("packaging")
    lines = ["torch>=2,<3", 'one>=1,<2; python_version<"3"', 'two>=1,<2; python_version>"3"']
    monkeypatch.setattr(requirements, "lines", lambda: lines)
    assert requirements.names() == ["torch", "two"]


def test_self_test_names_versions_and_devices(recorder):
    pytest.importorskip("torch")
    status = manage(EnvironmentOptions(python=sys.executable), recorder)
    assert status.ready and status.python == sys.executable
    assert {"Python", "torch", "GDAL", "NumPy"} <= set(status.versions)
    assert status.devices[-1]["name"] == "cpu"
    assert "Ready: PyTorch" in status.message


@pytest.mark.parametrize(("driver", "first"), [(12.9, "cu128"), (13.0, "cu130"), (12.0, None)])
def test_windows_gets_the_build_that_its_driver_knows(monkeypatch, driver, first):
    monkeypatch.setattr(indexes, "WINDOWS", True)
    monkeypatch.setattr(indexes, "_reachable", lambda name: True)
    monkeypatch.setattr(indexes, "driver_cuda", lambda: driver)
    found = indexes.indexes_for("cuda")
    assert (found[0].rpartition("/")[2] if found else None) == first


def test_an_index_out_of_reach_is_not_tried(monkeypatch):
    monkeypatch.setattr(indexes, "_reachable", lambda name: False)
    assert indexes.indexes_for("cpu") == indexes.indexes_for("cuda") == []
