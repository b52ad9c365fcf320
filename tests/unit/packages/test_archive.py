"""Packages: written whole, read as hostile input."""

from __future__ import annotations

import json
import os
import pickle
import random
import stat
import zipfile
from pathlib import Path

import pytest

from geodl_plugin.core.errors import ModelError
from geodl_plugin.core.packages.archive import (
    check_package,
    open_package,
    peek_definition,
    write_package,
)
from geodl_plugin.core.packages.definition import ModelDefinition, read_definition
from tests.unit.inference.foreign.graphs import pixel_onnx

VALUES = {
    "modeltype": "ObjectionDetection",
    "ModelFile": "..\\somewhere\\weights.safetensors",
    "ImageWidth": 256,
    "ExtractBands": [0, 1, 2],
    "Classes": [{"ClassValue": 7, "ClassName": "Tree", "Color": [1, 2, 3]}, {"Value": 2}],
    "Unknown": {"kept": True},
}


def pack(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def test_a_package_returns_what_was_written(tmp_path):
    path = tmp_path / "blank ü" / "trees.dlpk"
    write_package(path, ModelDefinition(VALUES), {"weights.safetensors": b"123"})
    with open_package(path) as package:
        assert package.definition.task == "ObjectDetection"
        assert package.definition.schema.names == ("2", "Tree")
        assert package.definition.values["UNKNOWN"] == {"kept": True}
        weights = package.file(package.definition.model_file)
        assert weights.read_bytes() == b"123"
    assert not weights.exists()
    assert [each.name for each in path.parent.iterdir()] == ["trees.dlpk"]
    assert peek_definition(path).tile_size == 256


def test_a_file_without_a_date_is_packed(tmp_path):
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"123")
    os.utime(weights, (0, 0))  # a zip begins with 1980
    path = write_package(
        tmp_path / "trees.dlpk", ModelDefinition(VALUES), {"weights.safetensors": weights}
    )
    with open_package(path) as package:
        assert package.file(package.definition.model_file).read_bytes() == b"123"


def test_unknown_keys_and_spellings_survive_a_round_trip():
    definition = ModelDefinition.from_json(json.dumps(VALUES))
    definition.values["MODELTYPE"] = "ObjectDetection"
    assert json.loads(definition.to_json()) == {**VALUES, "modeltype": "ObjectDetection"}


def test_json_text_and_emd_are_models_too(tmp_path):
    assert peek_definition(json.dumps(VALUES)).name == "model"
    emd = tmp_path / "trees.emd"
    emd.write_text(json.dumps(VALUES), encoding="utf-8-sig")
    assert read_definition(emd).extract_bands == (0, 1, 2)
    with open_package(emd) as package, pytest.raises(ModelError, match=r"lacks its file 'weights"):
        package.file("weights.safetensors")


def test_text_names_its_files_by_an_absolute_path(tmp_path):
    folder = tmp_path / "blank ü"
    folder.mkdir()
    for name in ("weights.bin", "more.bin"):
        (folder / name).write_bytes(name.encode())
    (folder / "other.emd").write_text("{}")
    named = {"ModelFile": str(folder / "weights.bin")}
    with open_package(json.dumps({**VALUES, **named})) as package:
        assert package.file(named["ModelFile"]).read_bytes() == b"weights.bin"
        assert package.file(package.definition.model_file).read_bytes() == b"weights.bin"
        assert package.file("more.bin").read_bytes() == b"more.bin"
        assert package.definition_file() is None  # the text is, not a file that lies there
        with pytest.raises(ModelError, match=r"has no file '\.\./other\.bin' of its"):
            package.file("../other.bin")
    with (
        open_package(json.dumps(VALUES)) as package,
        pytest.raises(ModelError, match="Write ModelFile as an absolute path, or save the text"),
    ):
        package.file("weights.safetensors")
    # A definition that comes with a model stays in its folder.
    (tmp_path / "stranger.emd").write_text(json.dumps({**VALUES, **named}))
    with (
        open_package(tmp_path / "stranger.emd") as package,
        pytest.raises(ModelError, match="of its own"),
    ):
        package.file("blank ü/../../secret")


@pytest.mark.parametrize("name", ["../evil.emd", "/evil.emd", "a/../../evil.txt", "C:\\evil.txt"])
def test_a_path_that_leaves_the_package_is_refused(tmp_path, name):
    path = pack(tmp_path / "evil.dlpk", [("a.emd", "{}"), (name, "x")])
    with pytest.raises(ModelError, match="would leave the package"):
        open_package(path)
    assert not (tmp_path.parent / "evil.txt").exists()


def test_a_link_is_refused(tmp_path):
    link = zipfile.ZipInfo("weights")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = pack(tmp_path / "evil.dlpk", [("a.emd", "{}"), (link, "/etc/passwd")])
    with pytest.raises(ModelError, match="would leave the package"):
        open_package(path)


def test_a_bomb_is_refused(tmp_path):
    path = pack(tmp_path / "bomb.dlpk", [("a.emd", "{}"), ("weights", b"\0" * 40_000_000)])
    assert path.stat().st_size < 1_000_000
    with pytest.raises(ModelError, match="unpacks to"):
        open_package(path)


def test_a_definition_that_fills_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("geodl_plugin.core.packages.definition.LONGEST", 1000)
    text = json.dumps({**VALUES, "Description": "x" * 1000})
    package = pack(tmp_path / "a.dlpk", [("a.emd", text)])
    alone = tmp_path / "a.emd"
    alone.write_text(text)
    for read in (peek_definition, open_package):
        for path in (package, alone):
            with pytest.raises(ModelError, match=r"'a\.(dlpk|emd)' has a definition of \d+ bytes"):
                read(path)


def test_an_entry_without_a_name_is_refused(tmp_path):
    path = pack(tmp_path / "evil.dlpk", [("a.emd", "{}"), (".", "x")])
    with pytest.raises(ModelError, match="would leave the package"):
        open_package(path)


def test_a_package_with_a_password_is_a_sentence(tmp_path):
    path = pack(tmp_path / "secret.dlpk", [("a.emd", json.dumps(VALUES))])
    content = bytearray(path.read_bytes())
    for place in (content.index(b"PK\x03\x04") + 6, content.index(b"PK\x01\x02") + 8):
        content[place] |= 1  # the bit that says so
    path.write_bytes(content)
    for read in (open_package, peek_definition):
        with pytest.raises(ModelError, match=r"is damaged: .*password"):
            read(path)


def test_weights_that_would_run_code_are_refused(tmp_path):
    """Pickled weights are never unpickled: a .safetensors that is a pickle is no weights."""
    from geodl_plugin.core.inference.loading import load_network
    from geodl_plugin.core.inference.model import read_model
    from geodl_plugin.core.models.registry import Task
    from tests.unit.inference.support import write_model

    trap = tmp_path / "sprung"
    own = open_package(write_model(tmp_path / "own.dlpk", "TEST_PIXELS"))
    weights = pickle.dumps(Trap(str(trap)))
    path = tmp_path / "evil.dlpk"
    with own as package:
        write_package(path, package.definition, {package.definition.model_file: weights})
    with open_package(path) as package:
        model = read_model(package.definition, Task.PIXELS)
        with pytest.raises(ModelError, match=r"weights of 'evil.dlpk' do not fit"):
            load_network(model, package)
    assert not trap.exists()


class Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_packages_of_seven_zip_are_read_where_they_can_be(tmp_path):
    py7zr = pytest.importorskip("py7zr")
    (tmp_path / "a.emd").write_text(json.dumps(VALUES))
    (tmp_path / "weights.safetensors").write_bytes(random.Random(0).randbytes(3_000_000))
    path = tmp_path / "a.dlpk"
    with py7zr.SevenZipFile(path, "w") as archive:
        archive.write(tmp_path / "a.emd", "a.emd")
        archive.write(tmp_path / "weights.safetensors", "weights.safetensors")
    assert peek_definition(path).tile_size == 256
    with open_package(path) as package:
        assert package.file("weights.safetensors").stat().st_size == 3_000_000
    check_package(path, "a.dlpk")
    (tmp_path / "link").symlink_to("a.emd")
    evil = tmp_path / "evil.dlpk"
    with py7zr.SevenZipFile(evil, "w") as archive:
        archive.write(tmp_path / "a.emd", "a.emd")
        archive.write(tmp_path / "link", "link")
    with pytest.raises(ModelError, match="would leave the package"):
        open_package(evil)
    content = bytearray(path.read_bytes())
    content[100] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"cannot be unpacked|is damaged"):
        check_package(path, "a.dlpk")


def test_a_damaged_package_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(unpacked))
    path = write_package(
        tmp_path / "a.dlpk", ModelDefinition(VALUES), {"w": bytes(range(256)) * 99}
    )
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        open_package(path)
    assert list(unpacked.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no zip", "not a model package"),
        (b"7z\xbc\xaf\x27\x1c....", "Unpack it"),
        (b"", "not a model package"),
    ],
)
def test_other_files_are_no_models(tmp_path, content, message):
    path = tmp_path / "a.dlpk"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        open_package(path)


def test_a_package_has_one_definition(tmp_path):
    with pytest.raises(ModelError, match="holds 2 model definitions"):
        open_package(pack(tmp_path / "a.dlpk", [("a.emd", "{}"), ("b.emd", "{}")]))
    with pytest.raises(ModelError, match="There is no model"):
        open_package(tmp_path / "missing.dlpk")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ModelType": "Poetry"}, "model type 'Poetry'"),
        ({"ImageWidth": "e.g. 256"}, "no usable ImageWidth"),
        ({"Classes": ["tree"]}, "has no value"),
        ({}, "names no model file"),
    ],
)
def test_a_definition_that_lacks_something_says_what(values, message):
    definition = ModelDefinition(values, "a.emd")
    with pytest.raises(ModelError, match=message):
        key = next(iter(values), "")
        {
            "ModelType": lambda: definition.task,
            "ImageWidth": lambda: definition.tile_size,
            "Classes": lambda: definition.schema,
            "": lambda: definition.model_file,
        }[key]()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"Classes": 5}', "names no list of classes"),
        ('{"Classes": [{"Value": Infinity, "Name": "a"}]}', "has no value"),
        ('{"Classes": [{"Value": NaN, "Name": "a"}]}', "has no value"),
        ('{"ImageWidth": NaN}', "has no usable ImageWidth: nan"),
        pytest.param(
            '{"a": ' + 200_000 * "[" + 200_000 * "]" + "}", "is no model definition", id="nested"
        ),
    ],
)
def test_an_odd_definition_is_a_sentence(text, message):
    with pytest.raises(ModelError, match=message):
        definition = ModelDefinition.from_json(text)
        assert definition.schema is not None and definition.tile_size


def test_a_colour_that_is_none_is_chosen():
    definition = ModelDefinition({"Classes": [{"Value": 1, "Name": "a", "Color": 5}]})
    assert len(definition.schema.classes[0].color) == 3


@pytest.mark.parametrize("place, byte", [(6, 200), (46, 0xFF)])
def test_a_package_of_another_kind_of_zip_is_a_sentence(tmp_path, place, byte):
    """One says that it needs a newer program, one has a name that is no text."""
    path = tmp_path / "m.dlpk"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ü.emd", "{}")
    content = bytearray(path.read_bytes())
    content[content.find(b"PK\x01\x02") + place] = byte
    path.write_bytes(content)
    for read in (peek_definition, open_package):
        with pytest.raises(ModelError, match=r"'m\.dlpk' is not a model package: .*\. Choose"):
            read(path)


def test_the_wrong_task_names_the_right_tool():
    definition = ModelDefinition({"ModelType": "ObjectDetection"}, "trees.dlpk")
    with pytest.raises(ModelError, match=r"'trees.dlpk' detects objects. Use the tool 'Detect obj"):
        definition.require_task("ImageClassification")


def test_models_of_outlines_serve_detection_and_not_the_other_way_round():
    for spelt, task in (
        ("InstanceDetection", "ObjectDetection"),
        ("instance detection", "InstanceDetection"),
        ("ObjectionDetection", "ObjectDetection"),
    ):
        ModelDefinition({"ModelType": spelt}, "trees.dlpk").require_task(task)
    with pytest.raises(ModelError, match=r"outlines objects. Use the tool 'Detect objects'"):
        ModelDefinition({"ModelType": "InstanceDetection"}, "a").require_task("ImageClassification")
    with pytest.raises(ModelError, match="detects objects"):
        ModelDefinition({"ModelType": "ObjectDetection"}, "a").require_task("InstanceDetection")


def test_a_network_in_a_package_is_unpacked_once_to_be_read(tmp_path, monkeypatch):
    """Each step back within the package would unpack all of it again: half a minute."""
    network = pixel_onnx(tmp_path / "net.onnx", class_names=["Tree", "Car"])
    values = {"ModelType": "ImageClassification", "ModelFile": "net.onnx"}
    path = tmp_path / "trees.dlpk"
    write_package(path, ModelDefinition(values), {"net.onnx": Path(network)})

    def refuse(*_):
        raise AssertionError("a step within the package")

    monkeypatch.setattr(zipfile.ZipExtFile, "seek", refuse)
    assert peek_definition(path).schema.names == ("Tree", "Car")


def test_a_file_outside_the_models_folder_is_refused(tmp_path):
    (tmp_path / "secret.txt").write_text("x")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a.emd").write_text("{}")
    with open_package(folder / "a.emd") as package, pytest.raises(ModelError, match="of its own"):
        package.file("../secret.txt")
