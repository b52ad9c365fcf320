"""The classes as people edit them, and where they come from."""

from __future__ import annotations

import pytest
from qgis.core import QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import Qt

from geodl_plugin.algorithms.styling import ClassStyler
from geodl_plugin.core.samples.document import SchemaDocument, SchemaNode
from geodl_plugin.core.samples.schema_files import open_document, save_document
from geodl_plugin.gui.schema_editor import SchemaEditor
from geodl_plugin.gui.schema_menu import named_layers

OAK = SchemaNode(2, "Oak", (10, 120, 30))
DOCUMENT = SchemaDocument(
    (SchemaNode(9, "Tree", (34, 170, 68), (OAK,)), SchemaNode(1, "Road", (200, 30, 30)))
)


@pytest.fixture
def editor(qgis_app):
    """An editor with three classes; what it tells is kept."""
    made = SchemaEditor()
    made.set_document(DOCUMENT)
    made.told, made.problems = [], []
    made.changed.connect(lambda document, moves: made.told.append((document, moves)))
    made.failed.connect(made.problems.append)
    yield made
    made.deleteLater()


def names(editor):
    return [item.text(0) for item in editor.tree.items()]


def test_rows_have_names_values_keys_and_counts(editor):
    editor.set_counts({2: (3, 300), 1: (1, 100)})
    rows = [[item.text(column) for column in range(5)] for item in editor.tree.items()]
    assert rows == [
        ["Tree", "9", "0", "0.0 %", "1"],
        ["Oak", "2", "3", "75.0 %", "2"],
        ["Road", "1", "1", "25.0 %", "3"],
    ]


def test_a_value_that_is_written_renumbers_and_is_undone(editor):
    editor.tree.items()[1].setData(1, int(Qt.ItemDataRole.EditRole), 5)
    assert editor.told[-1][1] == {2: 5}
    assert editor.document.find(5).name == "Oak"
    editor.undo_stack.undo()
    assert editor.told[-1] == (DOCUMENT, {5: 2})
    editor.undo_stack.redo()
    assert editor.document.find(5).name == "Oak"


@pytest.mark.parametrize(
    ("column", "content", "message"),
    [(0, "Road", "two classes 'Road'"), (0, " ", "has no name"), (1, 1, "same value 1")],
)
def test_what_cannot_be_is_refused_and_the_row_as_before(editor, column, content, message):
    editor.tree.items()[1].setData(column, int(Qt.ItemDataRole.EditRole), content)
    assert message in editor.problems[0]
    assert editor.document == DOCUMENT
    assert names(editor) == ["Tree", "Oak", "Road"]
    assert not editor.undo_stack.canUndo()


def test_classes_are_added_nested_moved_and_removed(editor):
    editor.tree.choose(9)
    editor.add_inside()
    editor.tree.choose(1)
    editor.move(-1)
    assert names(editor) == ["Road", "Tree", "Oak", "Class"]
    editor.tree.choose(9)
    editor.remove()
    assert names(editor) == ["Road", "Oak", "Class"]
    while editor.undo_stack.canUndo():
        editor.undo_stack.undo()
    assert editor.document == DOCUMENT


def test_a_class_with_samples_is_not_removed(editor):
    editor.set_counts({2: (3, 300)})
    editor.tree.choose(2)
    editor.remove()
    assert editor.problems == [
        "'Oak' has 3 samples. Give them another class or delete them, then remove it."
    ]
    assert editor.document == DOCUMENT


def test_a_step_back_leaves_classes_with_samples(editor):
    """Or their samples are still in the file, but neither listed nor on the map."""
    editor.add()
    editor.set_counts({10: (2, 50)})
    editor.undo_stack.undo()
    assert names(editor) == ["Tree", "Oak", "Road", "Class"]
    assert editor.told[-1][0].find(10).name == "Class"
    assert editor.problems == ["'Class' has samples and stays."]
    editor.undo_stack.redo()
    assert names(editor) == ["Tree", "Oak", "Road", "Class"]
    editor.set_counts({})
    editor.undo_stack.undo()
    assert names(editor) == ["Tree", "Oak", "Road"]


@pytest.mark.parametrize("suffix", [".json", ".ecs"])
def test_classes_are_saved_and_opened(editor, tmp_path, suffix):
    path = tmp_path / f"schema{suffix}"
    editor.menu.save(str(path))
    assert open_document(path).nodes == DOCUMENT.nodes
    other = SchemaDocument((SchemaNode(4, "Oak", (1, 2, 3)), SchemaNode(7, "Ash", (4, 5, 6))))
    save_document(other, path)
    editor.menu.open(str(path))
    assert names(editor) == ["Oak", "Ash"]
    assert editor.told[-1][1] == {2: 4}  # the samples follow the name


def test_classes_come_from_the_style_of_a_layer(editor, qgis_new_project):
    layer = QgsVectorLayer("Polygon?crs=EPSG:32612&field=kind:string", "drawn", "memory")
    editor.menu.take(layer)
    assert editor.problems == ["'drawn' has no classes. Style it by categories first."]
    ClassStyler("kind", {"pine": (1, 2, 3), "oak": (200, 30, 30)}).apply(layer)
    editor.menu.take(layer)
    assert [(node.name, node.color) for node in editor.document.walk()] == [
        ("pine", (1, 2, 3)),
        ("oak", (200, 30, 30)),
    ]


def test_layers_of_one_name_are_all_offered(qgis_new_project):
    for name in ("samples", "samples", "roads"):
        layer = QgsVectorLayer("Polygon?crs=EPSG:32612&field=kind:string", name, "memory")
        QgsProject.instance().addMapLayer(layer)
    offered = named_layers()
    assert list(offered) == ["roads", "samples", "samples (2)"]
    assert len({each.id() for each in offered.values()}) == 3
