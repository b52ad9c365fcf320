"""The fields for a model and its arguments in the dialogs of a real QGIS window."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable

import pytest

from tests.desktop.chips import write_model, write_scene
from tests.desktop.windows import Window

pytestmark = pytest.mark.timeout(150)

DETECTION = ["padding", "threshold", "nms_overlap", "batch_size", "exclude_pad_detections"]


@pytest.fixture(scope="module")
def window(qgis_window: Callable[..., Window], tmp_path_factory: pytest.TempPathFactory) -> Window:
    """Return what the script saw."""
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "trees.dlpk")
    write_model(folder / "fixed.dlpk", SupportsVariableTileSize=False)
    write_model(folder / "pixels.dlpk", "ImageClassification")
    (folder / "notes.dlpk").write_text("no model at all", encoding="ascii")
    with zipfile.ZipFile(folder / "trees.dlpk") as archive:
        definition = archive.read("trees.emd").decode("utf-8")
    (folder / "trees.json").write_text(definition, encoding="utf-8")
    broken = {**json.loads(definition), "Classes": [{"Value": float("inf"), "Name": "a"}]}
    (folder / "broken.emd").write_text(json.dumps(broken), encoding="utf-8")
    strange = {**json.loads(definition), "ImageWidth": "wide"}
    strange["GeoDL"].update(chip_size=0, arguments=[1])
    (folder / "strange.emd").write_text(json.dumps(strange), encoding="utf-8")
    scene = write_scene(folder / "scene.tif")
    variables = {"GEODL_TEST_MODELS": str(folder), "GEODL_TEST_SCENE": str(scene)}
    return qgis_window("widgets", variables)


def test_a_chosen_model_says_what_it_is(window: Window) -> None:
    """The line below tells task, classes, network and bands; the tooltip tells more."""
    assert window.found["typed"]
    assert window.found["said"] == "Detects objects: Tree · SSD, resnet34 · 3 bands"
    assert "Red, Green, Blue" in window.found["tooltip"]
    assert "2025-05-01 10:00" in window.found["tooltip"]


def test_the_form_has_the_tools_arguments(window: Window) -> None:
    """Every argument has its editor, and what is not touched is not written."""
    assert window.found["editors"][:5] == DETECTION
    assert window.found["empty"] == [False, ""]
    assert window.found["untouched"] == ""


def test_only_changes_are_written(window: Window) -> None:
    """The tool gets the path and the two arguments that were changed."""
    assert window.found["changed"]["MODEL"].endswith("trees.dlpk")
    text = window.found["changed"]["ARGUMENTS"]
    assert text == "threshold=0.35;exclude_pad_detections=false"


def test_a_wrong_model_is_one_sentence(window: Window) -> None:
    """The dialog says before the run what the tool would say."""
    refused = window.found["refused"]
    assert refused["notes.dlpk"].startswith("'notes.dlpk' is not a model package")
    assert refused["pixels.dlpk"] == (
        "'pixels.dlpk' classifies pixels. Use the tool 'Classify pixels'."
    )
    assert refused["missing.dlpk"].startswith("There is no model '")
    assert refused["strange.emd"].startswith("'strange.emd' has a definition that cannot be")
    assert refused["broken.emd"].startswith("The class {'Value': inf, 'Name': 'a'} has no value.")


def test_the_model_decides_what_is_its_own(window: Window) -> None:
    """A network of one tile size shows it, unchangeable; with another model it is free again."""
    assert window.found["dropped"]
    enabled, size, text = window.found["fixed"]
    assert not enabled
    assert size == 400
    assert text == "threshold=0.35;exclude_pad_detections=false"
    assert window.found["json"] == ["", "{", True, 0]


def test_no_argument_is_lost(window: Window) -> None:
    """What no editor can show stays as text, for the tool to judge."""
    restored = window.found["restored"].split(";")
    assert sorted(restored) == ["nonsense=3", "padding=0", "threshold=7", "tile_size=512"]
    assert window.found["cleared"] == ""


def test_the_other_tools_have_their_own_forms(window: Window) -> None:
    """Each form is that of its tool, and a detector is refused there."""
    pixels, said = window.found["forms"]["classifypixels"]
    assert "predict_background" in pixels
    assert "threshold" not in pixels
    assert said == "'trees.dlpk' detects objects. Use the tool 'Detect objects'."
    assert "batch_size" in window.found["forms"]["classifyobjects"][0]


def test_the_batch_has_a_line_and_a_chooser(window: Window) -> None:
    """The values of a row come back as they were given."""
    model, arguments = window.found["batch"]
    assert model.endswith("trees.dlpk")
    assert arguments == "threshold=0.4"
    assert window.found["batch_widgets"] == ["geodl_model", True]


def test_the_modeler_takes_the_model_of_a_training(window: Window) -> None:
    """The modeler keeps its own widget, which offers the outputs of other steps."""
    assert window.found["modeler_widgets"] == [True, True]
    assert window.found["modeler"] == ["training", "OUTPUT_MODEL"]
