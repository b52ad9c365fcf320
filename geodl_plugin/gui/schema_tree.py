"""The classes as a tree: names, values, colours, and how many samples there are of each."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication, QRectF, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QDropEvent, QIcon, QPainter, QPixmap
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QAction,
    QHeaderView,
    QMenu,
    QTreeWidget,
    QTreeWidgetItem,
)

from ..core.samples.document import SchemaDocument, SchemaNode

NAME, VALUE, SAMPLES, PIXELS, KEY = range(5)
OWN_VALUE = int(Qt.ItemDataRole.UserRole)
OWN_COLOR = OWN_VALUE + 1
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
SWATCH = 14  # pixels
Counts = dict[int, tuple[int, int]]  # samples and pixels of each class value


class SchemaTree(QTreeWidget):
    """Shows a schema; what is changed in it comes out as a signal, to be checked first."""

    edited = pyqtSignal(int, object)  # the value of the class, its new definition
    arranged = pyqtSignal(object)  # the document, after a class was dragged
    chosen = pyqtSignal()
    color_wanted = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("geodl_schema_tree")
        self._document = SchemaDocument()
        self._counts: Counts = {}
        self.setColumnCount(5)
        self.setHeaderLabels(
            [
                self.tr("Class"),
                self.tr("Value"),
                self.tr("Samples"),
                self.tr("Pixels"),
                self.tr("Key"),
            ]
        )
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        for column in (VALUE, SAMPLES, PIXELS, KEY):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
            self.headerItem().setTextAlignment(column, RIGHT)
        self.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setUniformRowHeights(True)
        self.setIndentation(14)
        self.setMinimumHeight(120)
        self.itemChanged.connect(self._tell_edit)
        self.itemDoubleClicked.connect(self._begin_edit)
        self.currentItemChanged.connect(lambda: self.chosen.emit())

    def show_document(self, document: SchemaDocument, current: int | None) -> None:
        """Show a document, with the class of the value ``current`` chosen."""
        self._document = document
        self.blockSignals(True)
        self.clear()
        for node in document.nodes:
            self.addTopLevelItem(_item(node))
        self.expandAll()
        for place, item in enumerate(self.items()[:9]):
            item.setText(KEY, str(place + 1))
        self._show_counts()
        self.choose(current)
        self.blockSignals(False)
        self.chosen.emit()

    def set_counts(self, counts: Counts) -> None:
        """Show how many samples and which share of their pixels each class has."""
        self._counts = counts
        self.blockSignals(True)
        self._show_counts()
        self.blockSignals(False)

    def items(self) -> list[QTreeWidgetItem]:
        """Return the rows from above to below."""
        found: list[QTreeWidgetItem] = []
        waiting = [self.topLevelItem(i) for i in range(self.topLevelItemCount())]
        while waiting:
            item = waiting.pop(0)
            found.append(item)
            waiting = [*(item.child(i) for i in range(item.childCount())), *waiting]
        return found

    def current(self) -> SchemaNode | None:
        """Return the chosen class."""
        item = self.currentItem()
        return None if item is None else self._document.find(item.data(NAME, OWN_VALUE))

    def choose(self, value: int | None) -> None:
        """Choose the class of a value; the first when there is none."""
        items = self.items()
        wanted = [item for item in items if item.data(NAME, OWN_VALUE) == value]
        if wanted or items:
            self.setCurrentItem((wanted or items)[0])

    def choose_place(self, place: int) -> None:
        """Choose the class in a row, counted from 0."""
        items = self.items()
        if place < len(items):
            self.setCurrentItem(items[place])

    def rename_current(self) -> None:
        """Open the name of the chosen class for writing."""
        if self.currentItem() is not None:
            self.editItem(self.currentItem(), NAME)

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        super().dropEvent(event)
        nodes = tuple(_node(self.topLevelItem(i)) for i in range(self.topLevelItemCount()))
        self.arranged.emit(SchemaDocument(nodes, self._document.name))

    def _show_counts(self) -> None:
        whole = sum(pixels for _, pixels in self._counts.values())
        for item in self.items():
            samples, pixels = self._counts.get(item.data(NAME, OWN_VALUE), (0, 0))
            item.setText(SAMPLES, f"{samples:,}".replace(",", " "))
            item.setText(PIXELS, _share(pixels, whole))
            item.setToolTip(PIXELS, self.tr("{} pixels").format(f"{pixels:,}".replace(",", " ")))

    def _begin_edit(self, item: QTreeWidgetItem, column: int) -> None:
        if column == NAME:
            left = self.visualItemRect(item).left()
            place = self.viewport().mapFromGlobal(self.cursor().pos()).x()
            if left <= place <= left + SWATCH + 8:
                self.color_wanted.emit()
                return
        if column in (NAME, VALUE):
            self.editItem(item, column)

    def _tell_edit(self, item: QTreeWidgetItem, column: int) -> None:
        if column in (NAME, VALUE):
            node = _node(item)
            self.edited.emit(item.data(NAME, OWN_VALUE), node.definition)

    def edit(self, *arguments) -> object:
        """Open only names and values for writing."""
        if arguments and hasattr(arguments[0], "column") and arguments[0].column() > VALUE:
            return False
        return super().edit(*arguments)

    def tr(self, text: str) -> str:
        """Translate a literal of the tree."""
        return QCoreApplication.translate("GeoDL", text)


def _share(pixels: int, whole: int) -> str:
    if not whole:
        return "–"
    share = 100.0 * pixels / whole
    return f"{share:.1f} %" if share < 99.95 or pixels < whole else "100 %"


def _item(node: SchemaNode) -> QTreeWidgetItem:
    item = QTreeWidgetItem([node.name])
    item.setData(NAME, OWN_VALUE, node.value)
    item.setData(NAME, OWN_COLOR, list(node.color))
    item.setData(VALUE, int(Qt.ItemDataRole.EditRole), node.value)
    item.setIcon(NAME, swatch(node.color))
    item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
    for column in (VALUE, SAMPLES, PIXELS, KEY):
        item.setTextAlignment(
            column, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        )
    for child in node.children:
        item.addChild(_item(child))
    return item


def _node(item: QTreeWidgetItem) -> SchemaNode:
    """Return the class as it stands in its row, with those below it."""
    return SchemaNode(
        int(item.data(VALUE, int(Qt.ItemDataRole.EditRole))),
        item.text(NAME).strip(),
        tuple(item.data(NAME, OWN_COLOR)),
        tuple(_node(item.child(i)) for i in range(item.childCount())),
    )


def add_class(menu: QMenu, node: SchemaNode) -> QAction:
    """Add a class to a menu and return its entry."""
    name = node.name.replace("&", "&&")  # a single one would underline what follows it
    return menu.addAction(swatch(node.color), name)


def swatch(color: tuple[int, int, int]) -> QIcon:
    """Return a small square of a colour."""
    picture = QPixmap(SWATCH, SWATCH)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QColor(*color).darker(140))
    painter.setBrush(QColor(*color))
    painter.drawRoundedRect(QRectF(0.5, 0.5, SWATCH - 1, SWATCH - 1), 3, 3)
    painter.end()
    icon = QIcon(picture)
    # Qt would tint the colour of the chosen row.
    icon.addPixmap(picture, QIcon.Mode.Selected)
    return icon
