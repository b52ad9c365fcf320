"""The samples one by one: choose, look at, give another class, delete."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import (
    QAbstractTableModel,
    QCoreApplication,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    Qt,
    pyqtSignal,
)
from qgis.PyQt.QtGui import QIcon, QKeyEvent, QKeySequence
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMenu,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..core.samples.document import SchemaDocument, SchemaNode
from .sample_layer import Sample
from .schema_tree import RIGHT, add_class, swatch

DISPLAY = int(Qt.ItemDataRole.DisplayRole)


class SampleModel(QAbstractTableModel):
    """The rows of the list."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.samples: list[Sample] = []
        self._classes: dict[int | None, tuple[str, QIcon]] = {}
        self._titles = [self.tr("Sample"), self.tr("Class"), self.tr("Pixels")]

    def show(self, samples: list[Sample], document: SchemaDocument) -> None:
        """Show other samples."""
        self.beginResetModel()
        self.samples = samples
        self._classes = {node.value: (node.name, swatch(node.color)) for node in document.walk()}
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        return len(self.samples)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        return len(self._titles)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = DISPLAY) -> Any:  # noqa: N802
        if orientation == Qt.Orientation.Horizontal and role == DISPLAY:
            return self._titles[section]
        return None

    def data(self, index: QModelIndex, role: int = DISPLAY) -> Any:
        sample = self.samples[index.row()]
        name, icon = self._classes.get(sample.value, (self.tr("No class"), QIcon()))
        if sample.confidence is not None:
            name = self.tr("{} · draft, {} %").format(name, f"{sample.confidence:.0f}")
        if role == DISPLAY:
            pixels = f"{sample.pixels:,}".replace(",", " ")
            return (str(sample.feature), name, pixels)[index.column()]
        if role == int(Qt.ItemDataRole.DecorationRole) and index.column() == 1:
            return icon
        if role == int(Qt.ItemDataRole.TextAlignmentRole) and index.column() == 2:
            return RIGHT
        return None

    def tr(self, text: str) -> str:
        """Translate a literal of the list."""
        return QCoreApplication.translate("GeoDL", text)


class SampleTable(QTableView):
    """The table, in which the key Delete works as it does on the map."""

    delete_wanted = pyqtSignal()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        if event.matches(QKeySequence.StandardKey.Delete):
            self.delete_wanted.emit()
        else:
            super().keyPressEvent(event)


class SampleList(QWidget):
    """Lists the samples and leads from one to the next."""

    picked = pyqtSignal(list)  # the features chosen in the list
    visited = pyqtSignal(int)  # a feature that the map is to show
    reassigned = pyqtSignal(list, object)  # features, their new class
    removed = pyqtSignal(list)

    def __init__(self) -> None:
        super().__init__()
        self._samples: list[Sample] = []
        self._document = SchemaDocument()
        self._current: SchemaNode | None = None
        self._quiet = False
        self._make_table()
        self.title = QLabel()
        self.scope = QComboBox()
        self.scope.addItems([self.tr("All classes"), self.tr("Chosen class")])
        self.scope.setToolTip(self.tr("Which samples the list shows."))
        self.scope.currentIndexChanged.connect(self._fill)
        self.previous_button = _button("mActionArrowLeft", self.tr("Previous sample"))
        self.previous_button.clicked.connect(lambda: self.visit(-1))
        self.next_button = _button("mActionArrowRight", self.tr("Next sample"))
        self.next_button.clicked.connect(lambda: self.visit(1))
        self.class_button = _button("rendererCategorizedSymbol", self.tr("Give another class"))
        self.class_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.class_menu = QMenu(self)
        self.class_button.setMenu(self.class_menu)
        self.delete_button = _button("mActionDeleteSelectedFeatures", self.tr("Delete (Del)"))
        self.delete_button.clicked.connect(lambda: self.removed.emit(self.chosen()))
        self.table.delete_wanted.connect(self.delete_button.click)
        self._arrange()
        self._show_state()

    def _make_table(self) -> None:
        self.model = SampleModel(self)
        self.table = SampleTable()
        self.table.setObjectName("geodl_sample_table")
        self.table.setModel(self.model)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setShowGrid(False)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 6)
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        header.resizeSection(0, self.fontMetrics().horizontalAdvance("Sample00"))
        header.resizeSection(2, self.fontMetrics().horizontalAdvance("0 000 000 0"))
        self.table.setMinimumHeight(90)
        self.table.selectionModel().selectionChanged.connect(self._tell_picked)
        self.table.doubleClicked.connect(
            lambda index: self.visited.emit(self.model.samples[index.row()].feature)
        )

    def _arrange(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(2)
        row.addWidget(self.title, 1)
        for widget in (
            self.class_button,
            self.delete_button,
            self.previous_button,
            self.next_button,
            self.scope,
        ):
            row.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row)
        layout.addWidget(self.table, 1)

    def show_samples(self, samples: list[Sample], document: SchemaDocument) -> None:
        """Show the samples of a layer, in the colours of its classes."""
        self._samples, self._document = samples, document
        self.class_menu.clear()
        for node in document.walk():
            action = add_class(self.class_menu, node)
            action.triggered.connect(
                lambda _=False, kind=node.definition: self.reassigned.emit(self.chosen(), kind)
            )
        self._fill()

    def show_class(self, node: SchemaNode | None) -> None:
        """Take over which class is chosen."""
        self._current = node
        if self.scope.currentIndex() == 1:
            self._fill()

    def chosen(self) -> list[int]:
        """Return the chosen features."""
        rows = self.table.selectionModel().selectedRows()
        return [self.model.samples[index.row()].feature for index in rows]

    def choose(self, features: set[int]) -> None:
        """Show which features are chosen on the map."""
        self._quiet = True
        rows = [i for i, each in enumerate(self.model.samples) if each.feature in features]
        chosen = QItemSelection()
        for first, last in _runs(rows):
            chosen.select(self.model.index(first, 0), self.model.index(last, 2))
        mode = QItemSelectionModel.SelectionFlag.ClearAndSelect
        self.table.selectionModel().select(chosen, mode)
        if rows:
            self.table.scrollTo(self.model.index(rows[-1], 0))
        self._quiet = False
        self._show_state()

    def visit(self, step: int) -> None:
        """Choose the next or the previous sample, around the end, and show it on the map."""
        count = len(self.model.samples)
        if not count:
            return
        rows = [index.row() for index in self.table.selectionModel().selectedRows()]
        place = (rows[0] + step) % count if rows else (0 if step > 0 else count - 1)
        self.table.selectRow(place)
        self.visited.emit(self.model.samples[place].feature)

    def _fill(self) -> None:
        shown = self._samples
        if self.scope.currentIndex() == 1 and self._current is not None:
            values = {node.value for node in self._current.walk()}
            shown = [each for each in shown if each.value in values]
        chosen = set(self.chosen())
        self._quiet = True
        self.model.show(shown, self._document)
        self.choose(chosen)

    def _tell_picked(self) -> None:
        self._show_state()
        if not self._quiet:
            self.picked.emit(self.chosen())

    def _show_state(self) -> None:
        count, chosen = len(self.model.samples), len(self.chosen())
        text = self.tr("1 sample") if count == 1 else self.tr("{} samples").format(count)
        if chosen:
            text = self.tr("{} of {} samples").format(chosen, count)
        self.title.setText(text)
        self.class_button.setEnabled(bool(chosen))
        self.delete_button.setEnabled(bool(chosen))
        self.previous_button.setEnabled(bool(count))
        self.next_button.setEnabled(bool(count))

    def tr(self, text: str) -> str:
        """Translate a literal of the list."""
        return QCoreApplication.translate("GeoDL", text)


def _runs(rows: list[int]) -> list[tuple[int, int]]:
    """Return ascending rows as runs from first to last: Qt compares each range with each."""
    starts = [row for before, row in zip([None, *rows], rows) if before != row - 1]
    ends = [row for row, after in zip(rows, [*rows[1:], None]) if after != row + 1]
    return list(zip(starts, ends))


def _button(icon: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setIcon(QgsApplication.getThemeIcon(f"/{icon}.svg"))
    button.setToolTip(tip)
    button.setAutoRaise(True)
    return button
