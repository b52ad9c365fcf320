"""Installed models: named, whole or not at all, found by their names."""

from __future__ import annotations

import json
import os
import stat
import unicodedata
import zipfile
from pathlib import Path

import pytest

from geodl_plugin.core.errors import CancelledError, InputError, ModelError
from geodl_plugin.core.packages import store
from geodl_plugin.core.packages.archive import open_package, peek_definition, write_package
from geodl_plugin.core.packages.definition import ModelDefinition
from geodl_plugin.core.packages.installation import install, list_models, pack, uninstall
from geodl_plugin.core.packages.listing import listing_page
from geodl_plugin.core.progress import Progress

VALUES = {
    "ModelType": "ObjectDetection",
    "ModelFile": "weights.safetensors",
    "ImageWidth": 64,
    "ImageHeight": 64,
    "ExtractBands": [0, 1, 2],
    "Classes": [{"Value": 1, "Name": "Tree"}],
}


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    """The folder of the installed models, which does not exist yet."""
    folder = tmp_path / "Modelle ü" / "models"
    monkeypatch.setenv(store.DIRECTORY_VARIABLE, str(folder))
    return folder


@pytest.fixture
def package(tmp_path) -> str:
    path = tmp_path / "trees.dlpk"
    return str(write_package(path, ModelDefinition(VALUES), {"weights.safetensors": b"123"}))


def test_an_installed_model_is_found_by_its_name(models, package):
    assert install(package, "", Progress()) == "trees"
    assert install(package, " Bäume v1.2 ", Progress()) == "Bäume v1.2"
    assert list(store.installed()) == ["Bäume v1.2", "trees"]
    Path(package).unlink()
    assert peek_definition("trees").task == "ObjectDetection"
    with open_package("TREES") as opened:
        assert opened.file("weights.safetensors").read_bytes() == b"123"
    listed = list_models()
    assert [each["name"] for each in listed] == ["Bäume v1.2", "trees"]
    assert listed[1]["summary"].startswith("Detects objects: Tree")
    assert "Detects objects: Tree" in listing_page(listed)
    assert uninstall("Trees") == "trees"
    assert [each.name for each in models.iterdir()] == ["Bäume v1.2.dlpk"]


def test_a_file_goes_before_an_installed_name(models, package, tmp_path, monkeypatch):
    install(package, "other.v2", Progress())
    monkeypatch.chdir(tmp_path)
    write_package(tmp_path / "other.v2", ModelDefinition({"ModelType": "CycleGAN"}), {})
    assert peek_definition("other.v2").task == "CycleGAN"


def test_accents_are_the_same_however_they_are_spelt(models, package):
    parted = unicodedata.normalize("NFD", "Bäume")
    assert parted != "Bäume" and install(package, parted, Progress()) == "Bäume"
    (models / "Bäume.dlpk").rename(models / f"{parted}.dlpk")  # as macOS may do it
    assert peek_definition("bäume").task == "ObjectDetection"
    with pytest.raises(InputError, match="is already installed"):
        install(package, "Bäume", Progress())


def test_an_installed_model_can_be_removed_where_its_source_cannot(models, package):
    """Windows removes no file that cannot be written."""
    Path(package).chmod(0o444)
    install(package, "trees", Progress())
    assert (models / "trees.dlpk").stat().st_mode & stat.S_IWUSR


def test_a_name_is_not_taken_twice(models, package):
    install(package, "trees", Progress())
    with pytest.raises(InputError, match=r"'trees' is already installed. Uninstall it first"):
        install(package, "TREES", Progress())


def test_an_unknown_model_names_those_that_there_are(models, package):
    with pytest.raises(ModelError, match=r"no model 'palms', neither a file.* No models are inst"):
        peek_definition("palms")
    install(package, "trees", Progress())
    with pytest.raises(ModelError, match=r"Installed are: trees. Choose one"):
        open_package("palms")
    with pytest.raises(InputError, match=r"no installed model 'palms'. Installed are: trees"):
        uninstall("palms")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("a/b", "holds '/'"),
        ("..\\b", r"holds '\\\\'"),
        ("..", "must not begin with a dot"),
        (".hidden", "must not begin with a dot"),
        ("trees.", "nor end with a dot"),
        ("{x}", "a brace"),
        ("CON", "Windows keeps"),
        ("lpt1.old", "Windows keeps"),
        ("trees.dlpk", "Leave the extension out"),
        ("a\nb", "holds"),
        ("x" * 81, "81 characters"),
        ("木" * 80, "too long for a file"),
    ],
)
def test_names_that_no_file_may_have_are_refused(models, package, name, sentence):
    with pytest.raises(InputError, match=sentence):
        install(package, name, Progress())
    assert not models.exists()


def test_what_is_no_model_is_not_installed(models, package, tmp_path):
    (tmp_path / "notes.dlpk").write_text("no zip")
    lacking = write_package(tmp_path / "lacking.dlpk", ModelDefinition(VALUES), {})
    unknown = write_package(tmp_path / "poem.dlpk", ModelDefinition({"ModelType": "Poem"}), {})
    with zipfile.ZipFile(tmp_path / "evil.dlpk", "w") as archive:
        archive.writestr("a.emd", "{}")
        archive.writestr("../evil.txt", "x")
    content = bytearray(Path(package).read_bytes())
    name = b"weights.safetensors"
    content[content.index(name) + len(name) + 1] ^= 0xFF
    (tmp_path / "broken.dlpk").write_bytes(content)
    for path, sentence in (
        (tmp_path / "notes.dlpk", "'notes.dlpk' is not a model package"),
        (lacking, "'lacking.dlpk' lacks its file 'weights.safetensors'"),
        (unknown, "the model type 'Poem'"),
        (tmp_path / "evil.dlpk", "'evil.dlpk' holds '../evil.txt'"),
        (tmp_path / "broken.dlpk", "'broken.dlpk' is damaged"),
    ):
        with pytest.raises(ModelError, match=sentence):
            install(str(path), "", Progress())
    with pytest.raises(InputError, match="There is no file"):
        install(str(tmp_path / "none.dlpk"), "", Progress())
    assert list(models.iterdir()) == []


@pytest.mark.parametrize("suffix", ["onnx", "pt", "pt2"])
def test_a_network_alone_is_told_how_to_be_used(models, tmp_path, suffix):
    path = tmp_path / f"net.{suffix}"
    path.touch()
    with pytest.raises(InputError, match=r"is a network alone. Use it by its path, or install a"):
        install(str(path), "", Progress())


def test_a_cancelled_installation_leaves_nothing(models, package):
    class Cancelled(Progress):
        def cancelled(self) -> bool:
            return True

    with pytest.raises(CancelledError):
        install(package, "", Cancelled())
    assert list(models.iterdir()) == []


def test_a_damaged_model_in_the_store_is_listed_with_its_problem(models):
    models.mkdir(parents=True)
    (models / "broken.dlpk").write_bytes(b"no zip")
    (models / ".half.part-1.dlpk").write_bytes(b"")
    (entry,) = list_models()
    assert "not a model package" in entry["problem"]
    assert "not a model package" in listing_page([entry])
    assert uninstall("broken") == "broken"


@pytest.mark.parametrize(
    "odd",
    [
        {"Classes": 5},
        {"Classes": [{"Value": 1, "Name": "a"}, {"Value": 1, "Name": "b"}]},
        {"Classes": [], "GeoDL": {"band_count": "x", "training": 5}},
    ],
)
def test_an_odd_model_in_the_store_does_not_hide_the_others(models, package, odd):
    install(str(package), "Good", Progress())
    with zipfile.ZipFile(store.directory() / "odd.dlpk", "w") as archive:
        archive.writestr("m.emd", json.dumps({"ModelType": "ImageClassification", **odd}))
    found = {each["name"]: each for each in list_models()}
    assert set(found) == {"Good", "odd"} and "problem" not in found["Good"]
    assert listing_page(list(found.values()))


def test_a_definition_is_packed_with_what_it_names(models, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    emd = folder / "palms.emd"
    function = "[Functions]System\\DeepLearning\\ArcGISLearn\\ArcGISObjectDetector.py"
    emd.write_text(json.dumps({**VALUES, "InferenceFunction": function, "Theirs": 1}))
    (folder / "other.txt").write_text("x")
    with pytest.raises(ModelError, match=r"names the file 'weights.safetensors', which is not bes"):
        pack(str(emd), [], str(tmp_path / "a.dlpk"))
    (folder / "weights.safetensors").write_bytes(b"123")
    os.utime(folder / "weights.safetensors", (0, 0))  # before the first year of a zip
    extra = tmp_path / "report.html"
    extra.write_text("<p>")
    path = pack(str(emd), [str(extra)], str(tmp_path / "new" / "palms.dlpk"))
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == ["palms.emd", "report.html", "weights.safetensors"]
    assert peek_definition(path).values["Theirs"] == 1
    assert install(str(emd), "", Progress()) == "palms"


@pytest.mark.parametrize("name", ["_trees", "Bäume im Wald"])
def test_a_definition_keeps_its_name_in_the_store(models, tmp_path, name):
    (tmp_path / "weights.safetensors").write_bytes(b"123")
    (tmp_path / "oaks.emd").write_text(json.dumps(VALUES))
    assert install(str(tmp_path / "oaks.emd"), name, Progress()) == name
    with zipfile.ZipFile(models / f"{name}.dlpk") as archive:
        assert sorted(archive.namelist()) == ["oaks.emd", "weights.safetensors"]


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/hostname"])
def test_a_definition_that_names_what_lies_outside_is_refused(tmp_path, name):
    (tmp_path / "secret.txt").write_text("x")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a.emd").write_text(json.dumps({**VALUES, "ModelFile": name}))
    with pytest.raises(ModelError, match="lies outside its folder"):
        pack(str(folder / "a.emd"), [], str(tmp_path / "a.dlpk"))
    assert not (tmp_path / "a.dlpk").exists()


def test_files_that_cannot_be_packed_are_refused(tmp_path):
    emd = tmp_path / "a.emd"
    emd.write_text(json.dumps({**VALUES, "ModelFile": ""}))
    (tmp_path / "b").mkdir()
    for each in ("x.txt", "b/x.txt", "b/c.emd"):
        (tmp_path / each).write_text("x")
    output = str(tmp_path / "a.dlpk")
    for files, sentence in (
        (["none.txt"], "There is no file 'none.txt'"),
        (["x.txt", "b/x.txt"], "Two files are called 'x.txt'"),
        (["b/c.emd"], "Leave 'c.emd' out"),
    ):
        paths = [str(tmp_path / each) for each in files]
        if files == ["none.txt"]:
            paths = files
        with pytest.raises(InputError, match=sentence):
            pack(str(emd), paths, output)
    (tmp_path / "a.dlpk").write_text("kept")
    with pytest.raises(InputError, match=r"'a\.dlpk' is an input, which the result would replace"):
        pack(str(emd), [output], output)
    assert (tmp_path / "a.dlpk").read_text() == "kept"
    with pytest.raises(InputError, match=r"extension .dlpk"):
        pack(str(emd), [], str(tmp_path / "a.zip"))
    with pytest.raises(InputError, match="no model definition"):
        pack(output, [], output)
