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
