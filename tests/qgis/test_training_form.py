"""The form of a training: the tool's parameters, further ones in a line of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from qgis.core import QgsSettings

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.learning.options import TrainingOptions
from geodl_plugin.gui.training_form import SETTINGS, TrainingForm


@pytest.fixture
def form(provider: Any) -> TrainingForm:
    QgsSettings().remove(SETTINGS)
    return TrainingForm()


def test_the_form_starts_with_the_defaults_of_the_tool(form: TrainingForm) -> None:
    form.set_parameters({"INPUT": "/data", "OUTPUT": "/model"})
    assert form.options() == TrainingOptions("/data", "/model")


def test_further_parameters_are_passed_and_remembered(form: TrainingForm) -> None:
    values = {"INPUT": "a;b", "OUTPUT": "c", "SEED": 7, "MONITOR": "MIOU", "RESUME": False}
    form.set_parameters(values)
    assert form.further.text() == "SEED=7;MONITOR=MIOU" and not form.resume.isChecked()
    options = form.options()
    assert (options.seed, options.monitor, options.resume) == (7, "MIOU", False)
    form.remember()
    again = TrainingForm()
    assert again.options() == options


def test_further_parameters_may_be_lists(form: TrainingForm) -> None:
    form.set_parameters({"INPUT": "a", "OUTPUT": "c"})
    form.further.setText("IGNORE_CLASSES=Road, paved; Tree;EXTRACT_BANDS=3;0;1 ;SEED=7")
    options = form.options()
    assert options.ignore_classes == "Road, paved;Tree" and options.seed == 7
    assert options.extract_bands == "3;0;1"
    form.remember()
    assert TrainingForm().options() == options


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("SPEED=9", "There is no argument 'SPEED'"),
        ("SEED=many", "'many' is no value for 'SEED'"),
        ("EPOCHS", "'EPOCHS' is not an argument"),
    ],
)
def test_what_is_no_parameter_is_one_sentence(form: TrainingForm, text: str, sentence: str) -> None:
    form.set_parameters({"INPUT": "a", "OUTPUT": "c"})
    form.further.setText(text)
    with pytest.raises(InputError, match=sentence):
        form.options()


def test_every_folder_must_be_there(form: TrainingForm, tmp_path: Path) -> None:
    form.set_parameters({"INPUT": f"{tmp_path};{tmp_path}/none", "OUTPUT": "c"})
    assert form.problem().startswith(f"There is no folder '{tmp_path}/none'")


def test_the_chips_are_inspected_as_they_will_be_trained(form: TrainingForm) -> None:
    form.set_parameters({"INPUT": " a ; b", "OUTPUT": "c"})
    assert form.inspection() == {"INPUT": "a", "AUGMENT": True}
    form.further.setText("AUGMENTATION=CUSTOM;AUGMENTATION_PARAMETERS=turn=false;zoom=2;SEED=3")
    assert form.inspection() == {
        "INPUT": "a",
        "AUGMENT": True,
        "SEED": 3,
        "AUGMENTATION": "CUSTOM",
        "AUGMENTATION_PARAMETERS": "turn=false;zoom=2",
    }
    form.remember()
    assert TrainingForm().inspection() == form.inspection()
    assert TrainingForm().options().augmentation_parameters == "turn=false;zoom=2"
