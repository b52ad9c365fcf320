"""The form of a model's arguments follows what the model's maker suggests."""

from __future__ import annotations

from typing import Any

import pytest

from geodl_plugin.core.arguments import arguments_of
from geodl_plugin.core.inference.options import DETECTION_ARGUMENTS, DetectionOptions


@pytest.fixture
def form(provider: Any) -> Any:
    from geodl_plugin.gui.arguments_widget import ArgumentsForm

    return ArgumentsForm(arguments_of(DetectionOptions, DETECTION_ARGUMENTS))


def test_suggestions_are_shown_and_need_no_text(form: Any) -> None:
    form.suggest({"threshold": 0.35, "strange": 1})
    assert form.editors["threshold"].value() == 0.35
    assert form.text() == ""
    # What the tool would take by itself is no longer the tool's own default.
    form.editors["threshold"].take(0.5)
    assert form.text() == "threshold=0.5"
    form.suggest({})
    assert form.editors["threshold"].value() == 0.5


def test_what_was_chosen_stays_when_the_model_changes(form: Any) -> None:
    form.set_text("threshold=0.8")
    form.suggest({"threshold": 0.35})
    assert form.text() == "threshold=0.8"


def test_there_is_a_line_for_what_a_network_does_not_say(form: Any) -> None:
    assert not form.others.isVisibleTo(form)
    form.ask_for_others(True)
    assert form.others.isVisibleTo(form)
    form.set_text("classes=Tree,Car;bands=0,1,2")
    assert form.text() == "classes=Tree,Car;bands=0,1,2"
    form.set_text("")
    form.ask_for_others(False)
    assert not form.others.isVisibleTo(form)


TOLD = [
    {"name": "least", "dataType": "numeric", "value": 50, "description": "Least size."},
    {"name": "Mode", "dataType": "string", "value": "box", "domain": ["box", "turned"]},
    {"name": "split", "dataType": "boolean", "value": True},
    {"name": "größe", "dataType": "string", "value": "a<b>c"},
    {"name": "needed", "dataType": "numeric", "value": None, "required": True},
    {"name": "tiny", "dataType": "numeric", "value": 1e-9},
    {"name": "Threshold", "dataType": "numeric", "value": 0.35},
    {"name": "exclude_pad_detections", "dataType": "string", "value": "False"},
]


@pytest.fixture
def told() -> Any:
    from geodl_plugin.core.packages.function_arguments import arguments_of_function

    return arguments_of_function(TOLD)


def test_a_functions_arguments_have_editors_of_their_kinds(form: Any, told: Any) -> None:
    own = list(form.editors)
    form.show_function(told)
    names = ["least", "Mode", "split", "größe", "needed", "tiny"]
    assert list(form.editors) == own + names  # and those of the tool are there once
    kinds = [type(form.editors[name]).__name__ for name in names]
    assert kinds == [
        "AnyNumberEditor",
        "ChoiceEditor",
        "BooleanEditor",
        "TextEditor",
        "AnyNumberEditor",
        "TextEditor",  # more digits than a box shows
    ]
    assert [form.editors[name].value() for name in names] == [50, "box", True, "a<b>c", None, 1e-9]
    assert form.editors["threshold"].value() == 0.35
    assert form.editors["exclude_pad_detections"].value() is False
    assert "Least size" in form.editors["least"].toolTip()
    # What is not touched is left to the function.
    assert form.text() == ""


def test_what_is_changed_is_written_as_the_function_takes_it(form: Any, told: Any) -> None:
    form.show_function(told)
    form.editors["least"].field.setValue(-100.5)
    form.editors["Mode"].field.setCurrentText("turned")
    form.editors["split"].field.click()
    form.editors["größe"].field.setText("über; alles")
    form.editors["threshold"].field.setValue(0.5)  # the tool's own default
    form.editors["exclude_pad_detections"].field.click()
    text = "threshold=0.5;exclude_pad_detections=true;least=-100.5;Mode=turned;split=false"
    assert form.text().startswith(text)
    form.editors["least"].field.setValue(7)
    assert "least=7;" in form.text()


def test_nobody_types_what_parts_arguments(form: Any, told: Any) -> None:
    from qgis.PyQt.QtTest import QTest

    form.show_function(told)
    form.editors["größe"].field.clear()
    QTest.keyClicks(form.editors["größe"].field, "a;b")
    assert form.text() == "größe=ab"


def test_a_missing_argument_is_marked(form: Any, told: Any) -> None:
    form.show_function(told)
    assert "color" in form._labels["needed"].styleSheet()
    form.editors["needed"].field.setValue(0)
    assert form._labels["needed"].styleSheet() == ""
    assert form.text() == "needed=0"
    form.editors["needed"].field.clear()
    assert form.text() == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "least=101;Mode=turned",
        "threshold=0.5;least=50",  # the defaults of the tool and of the function, but written
        "threshold=0.35",
        "exclude_pad_detections=true;padding=null",
        "least=much;Mode=round;threshold=7;classes=a,b",
        "needed=1;least=1e-9",
        "größe=",
    ],
)
def test_the_text_stays_when_fields_come_and_go(text: str, form: Any, told: Any) -> None:
    form.set_text(text)
    seen = [form.text()]
    for arguments in (told, (), told, told[:2], ()):
        form.show_function(arguments)
        seen.append(form.text())
    assert [sorted(each.split(";")) for each in seen] == [sorted(text.split(";"))] * len(seen)


def test_text_moves_from_the_line_into_the_fields(form: Any, told: Any) -> None:
    form.set_text("LEAST=101;mode=TURNED;other=1")
    form.show_function(told)
    assert form.editors["least"].value() == 101
    assert form.editors["Mode"].value() == "turned"
    assert form.others.text() == "other=1"
    form.editors["least"].field.setValue(50)  # by hand, as by default
    assert form.text() == "Mode=turned;other=1"
    form.show_function(())
    assert form.others.text() == "Mode=turned;other=1"
    assert form.text() == "Mode=turned;other=1"


def test_what_the_model_fixes_stays_the_models(form: Any) -> None:
    from geodl_plugin.core.packages.function_arguments import arguments_of_function

    told = arguments_of_function([{"name": "tile_size", "dataType": "numeric", "value": 64}])
    form.fix({"tile_size": 400})
    form.show_function(told)
    form.fix({"tile_size": 400})
    form.suggest({"threshold": 0.3})
    assert form.editors["tile_size"].value() == 400
    assert not form.editors["tile_size"].isEnabled()
    form.show_function(())
    form.fix({})
    assert form.editors["tile_size"].value() == 0
    assert form.text() == ""


def test_the_function_goes_before_other_suggestions(form: Any, told: Any) -> None:
    form.show_function(told)
    form.suggest({"threshold": 0.2, "nms_overlap": 0.4, "least": 3})
    assert form.editors["threshold"].value() == 0.35
    assert form.editors["nms_overlap"].value() == 0.4
    assert form.editors["least"].value() == 50
    assert form.text() == ""
    form.show_function(())
    assert form.editors["threshold"].value() == 0.2
    assert form.text() == ""
