"""The classes with their tools: add, nest, rename, recolour, remove, files, undo."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QCoreApplication, QPoint, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import (
    QAction,
    QColorDialog,
    QMenu,
    QToolBar,
    QVBoxLayout,
    QWidget,
)

from ..core.errors import GeoDLError, InputError
from ..core.samples.document import SchemaDocument, SchemaNode
from ..core.samples.schema import ClassDefinition
from .schema_menu import SchemaMenu
from .schema_tree import Counts, SchemaTree, add_class
from .undo import QUndoCommand, QUndoStack


class SchemaEditor(QWidget):
    """Edits a schema; every change can be undone."""

    changed = pyqtSignal(object, object)  # the document; {former value: value}
    chosen = pyqtSignal()  # another class
    failed = pyqtSignal(str)
    merge_wanted = pyqtSignal(object, object)  # a class, and the one that takes its samples

    def __init__(self) -> None:
        super().__init__()
        self.document = SchemaDocument()
        self._counts: Counts = {}
        self.undo_stack = QUndoStack(self)
        self.tree = SchemaTree()
        self.tree.edited.connect(self._edit)
        self.tree.arranged.connect(lambda each: self.apply(each, self.tr("Arrange classes")))
        self.tree.chosen.connect(self.chosen)
        self.tree.color_wanted.connect(self.ask_color)
        self.tree.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.tree.customContextMenuRequested.connect(self._show_menu)
        self.bar = QToolBar()
        self.bar.setIconSize(self.bar.iconSize() * 0.75)
        self._fill_bar()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.bar)
        layout.addWidget(self.tree, 1)

    def _fill_bar(self) -> None:
        self.add_action = self._action("symbologyAdd", self.tr("Add a class"), self.add)
        self.inside_action = self._action(
            "mActionAddGroup", self.tr("Add a class inside this one"), self.add_inside
        )
        self._action("symbologyRemove", self.tr("Remove the class"), self.remove)
        self.bar.addSeparator()
        self._action("mActionToggleEditing", self.tr("Rename the class"), self.tree.rename_current)
        self._action("mIconColorPicker", self.tr("Colour of the class…"), self.ask_color)
        self._action("mActionArrowUp", self.tr("Move the class up"), lambda: self.move(-1))
        self._action("mActionArrowDown", self.tr("Move the class down"), lambda: self.move(1))
        self.bar.addSeparator()
        for action, icon in (
            (self.undo_stack.createUndoAction(self, self.tr("Undo")), "mActionUndo"),
            (self.undo_stack.createRedoAction(self, self.tr("Redo")), "mActionRedo"),
        ):
            action.setIcon(QgsApplication.getThemeIcon(f"/{icon}.svg"))
            self.bar.addAction(action)
        self.menu = SchemaMenu(self)
        self.bar.addWidget(self.menu)

    def _action(self, icon: str, text: str, work: Any) -> QAction:
        action = QAction(QgsApplication.getThemeIcon(f"/{icon}.svg"), text, self)
        action.triggered.connect(lambda: work())
        self.bar.addAction(action)
        return action

    def _show_menu(self, place: QPoint) -> None:
        menu = QMenu(self)
        menu.addActions(self.bar.actions()[:-1])
        into = menu.addMenu(self.tr("Merge into"))
        chosen = self.current()
        for node in self.document.walk():
            if chosen is not None and node.value != chosen.value:
                action = add_class(into, node)
                action.triggered.connect(
                    lambda _=False, kind=node.definition: self.merge_wanted.emit(chosen, kind)
                )
        into.setEnabled(not into.isEmpty())
        menu.exec(self.tree.viewport().mapToGlobal(place))
        menu.deleteLater()

    # The document

    def set_document(self, document: SchemaDocument) -> None:
        """Show the classes of another layer; there is nothing to undo then."""
        self.undo_stack.clear()
        self.document = document
        self.tree.show_document(document, None)

    def set_counts(self, counts: Counts) -> None:
        """Tell how many samples and pixels each class has."""
        self._counts = counts
        self.tree.set_counts(counts)

    def current(self) -> ClassDefinition | None:
        """Return the chosen class."""
        node = self.tree.current()
        return None if node is None else node.definition

    def apply(
        self, document: SchemaDocument, text: str, moves: dict[int, int] | None = None
    ) -> bool:
        """Take another document over if it can be one; return whether it was."""
        moves = moves or {}
        try:
            document.check()
            self._require_used(document, moves)
        except GeoDLError as error:
            self.failed.emit(str(error))
            self.tree.show_document(self.document, self._current_value())
            return False
        if document != self.document:
            self.undo_stack.push(_SchemaStep(self, text, self.document, document, moves))
        return True

    def show_step(self, document: SchemaDocument, moves: dict[int, int]) -> None:
        """Show a document that a step back or forth has led to; classes with samples stay."""
        current = self._current_value()
        used = self._used_and_lost(document, moves)
        for node in used:
            name = document.new_class(node.name).name
            document = document.added(SchemaNode(node.value, name, node.color))
        self.document = document
        self.tree.show_document(document, moves.get(current, current))
        self.changed.emit(document, moves)
        if used:
            text = self.tr("'{}' has samples and stays.")
            self.failed.emit(" ".join(text.format(node.name) for node in used))

    def _current_value(self) -> int | None:
        node = self.tree.current()
        return None if node is None else node.value

    def _require_used(self, document: SchemaDocument, moves: dict[int, int]) -> None:
        for lost in self._used_and_lost(document, moves):
            raise InputError(
                f"'{lost.name}' has {self._counts[lost.value][0]} samples. Give them another class "
                "or delete them, then remove it."
            )

    def _used_and_lost(self, document: SchemaDocument, moves: dict[int, int]) -> list[SchemaNode]:
        """Return the classes that have samples and that a document lacks."""
        used = {value for value, (samples, _) in self._counts.items() if samples}
        return [
            node
            for node in self.document.walk()
            if node.value in used and document.find(moves.get(node.value, node.value)) is None
        ]

    # Changes

    def add(self) -> None:
        """Add a class at the end, and open its name."""
        self._add(None)

    def add_inside(self) -> None:
        """Add a class inside the chosen one, and open its name."""
        self._add(self._current_value())

    def _add(self, inside: int | None) -> None:
        node = self.document.new_class(self.tr("Class"))
        if self.apply(self.document.added(node, inside), self.tr("Add a class")):
            self.tree.choose(node.value)
            self.tree.rename_current()

    def remove(self) -> None:
        """Remove the chosen class; the classes inside it stay."""
        node = self.tree.current()
        if node is not None:
            self.apply(self.document.removed(node.value), self.tr("Remove a class"))

    def move(self, step: int) -> None:
        """Move the chosen class up or down."""
        node = self.tree.current()
        if node is not None:
            self.apply(self.document.moved(node.value, step), self.tr("Move a class"))

    def ask_color(self) -> None:
        """Ask for the colour of the chosen class."""
        node = self.tree.current()
        if node is None:
            return
        title = self.tr("Colour of '{}'").format(node.name)
        color = QColorDialog.getColor(QColor(*node.color), self, title)
        if color.isValid():
            tint = (color.red(), color.green(), color.blue())
            self._edit(node.value, ClassDefinition(node.value, node.name, tint))

    def _edit(self, value: int, definition: ClassDefinition) -> None:
        moves = {} if value == definition.value else {value: definition.value}
        document = self.document.replaced(value, definition)
        self.apply(document, self.tr("Change a class"), moves)

    def take_over(self, document: SchemaDocument, text: str) -> None:
        """Replace the classes; samples follow the name of their class to another value."""
        by_name = {node.name: node.value for node in document.walk()}
        moves = {
            node.value: by_name[node.name]
            for node in self.document.walk()
            if node.name in by_name and by_name[node.name] != node.value
        }
        self.apply(document, text, moves)

    def tr(self, text: str) -> str:
        """Translate a literal of the editor."""
        return QCoreApplication.translate("GeoDL", text)


class _SchemaStep(QUndoCommand):
    """From one document to another, and back."""

    def __init__(
        self,
        editor: SchemaEditor,
        text: str,
        before: SchemaDocument,
        after: SchemaDocument,
        moves: dict[int, int],
    ) -> None:
        super().__init__(text)
        self._editor, self._before, self._after, self._moves = editor, before, after, moves

    def redo(self) -> None:
        self._editor.show_step(self._after, self._moves)

    def undo(self) -> None:
        self._editor.show_step(self._before, {new: old for old, new in self._moves.items()})
