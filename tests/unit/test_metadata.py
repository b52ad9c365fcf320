"""What the plugin site and QGIS read about the plugin."""

from __future__ import annotations

import configparser
import importlib.util
import re
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def metadata() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "metadata.txt", encoding="utf-8")
    return parser["general"]


@pytest.fixture
def packaging():
    spec = importlib.util.spec_from_file_location("packaging_script", ROOT / ".ci" / "package.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name",
    [
        "name", "description", "about", "version", "qgisMinimumVersion", "author", "email",
        "tracker", "repository",
    ],
)  # fmt: skip
def test_what_the_plugin_site_requires_is_there(metadata, name):
    assert metadata[name].strip()


def test_what_qgis_needs(metadata):
    assert metadata["hasProcessingProvider"] == "yes"
    assert metadata["qgisMinimumVersion"] == "3.22"
    assert metadata["qgisMaximumVersion"] == "4.99"
    assert re.fullmatch(r"\d+\.\d+\.\d+", metadata["version"])


def test_the_version_is_written_once_and_told_in_the_changes(metadata):
    version = metadata["version"]
    assert f"## {version} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    holders = [
        path.relative_to(ROOT)
        for path in [ROOT / "pyproject.toml", ROOT / "Makefile", *ROOT.glob("geodl_plugin/**/*.py")]
        if re.search(rf"version\W+{re.escape(version)}\b", path.read_text(encoding="utf-8"))
    ]
    assert not holders


def test_the_icon_is_there(metadata):
    assert (ROOT / metadata["icon"]).exists()


def test_the_licence_is_the_whole_gpl():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "GNU GENERAL PUBLIC LICENSE" in text and "END OF TERMS AND CONDITIONS" in text


def test_the_package_is_what_the_plugin_site_wants(packaging, tmp_path):
    path = packaging.archive(tmp_path / "neu ü")
    names = zipfile.ZipFile(path).namelist()
    assert path.stat().st_size < 25e6
    assert {name.split("/")[0] for name in names} == {"geodl_plugin"}
    for each in ("metadata.txt", "LICENSE", "__init__.py", "resources/icons/geodl.svg",
                 "worker/requirements.txt", "worker/__main__.py"):  # fmt: skip
        assert f"geodl_plugin/{each}" in names
    assert not [name for name in names if "__pycache__" in name or "/." in name]


def test_the_package_is_the_same_each_time(packaging, tmp_path):
    first = packaging.archive(tmp_path / "a").read_bytes()
    assert packaging.archive(tmp_path / "b").read_bytes() == first


def test_the_staged_folder_holds_what_the_zip_holds(packaging, tmp_path):
    staged = packaging.stage(tmp_path)
    names = {path.relative_to(staged.parent).as_posix() for path in staged.rglob("*.*")}
    packed = set(zipfile.ZipFile(packaging.archive(tmp_path)).namelist())
    assert {name for name in packed if "." in Path(name).name} <= names


def test_development_tools_are_read_without_a_toml_library():
    spec = importlib.util.spec_from_file_location("tools_script", ROOT / ".ci" / "tools.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tools = module.development_tools((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {"pytest", "ruff", "bandit"} <= {re.split(r"[<>=]", tool)[0] for tool in tools}
