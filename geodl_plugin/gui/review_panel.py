"""What the section 'Pre-label and review' of the dock shows."""

from __future__ import annotations

from qgis.core import QgsApplication
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import QCoreApplication, Qt
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..core.samples.document import SchemaNode
from .model_widget import ModelField
from .schema_tree import swatch

STEPS = 1000  # of the progress bar
SWATCH = 16  # pixels
WHOLE, VISIBLE = range(2)


class ReviewPanel(QgsCollapsibleGroupBox):
    """A model and what it is let loose on, below it the draft that is looked at."""

    def __init__(self, task: str) -> None:
        super().__init__()
        self.setTitle(self.tr("Pre-label and review"))
        self.setObjectName("geodl_review")
        self.setCollapsed(True)
        self.setSaveCollapsedState(False)
        self.model = ModelField(task)
        self.area = QComboBox()
        self.area.addItems([self.tr("Whole image"), self.tr("What the map shows")])
        self.area.setToolTip(self.tr("Where the model looks for objects."))
        # Long words must not keep the dock from being narrow.
        self.area.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.area.setMinimumWidth(90)
        self.threshold = _percent(50, self.tr("What the model is less sure of is left out."))
        self.threshold.setPrefix(self.tr("from "))
        self.find_button = QPushButton(self.tr("Find objects"))
        self.find_button.setToolTip(self.tr("The model's detections become drafts to review."))
        self.cancel_button = QPushButton(self.tr("Cancel"))
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(10)
        self.status = QLabel()
        self.status.setTextFormat(Qt.TextFormat.PlainText)
        self.status.setWordWrap(True)
        self.count = QLabel()
        self.review_button = QPushButton(self.tr("Review"))
        self.review_button.setCheckable(True)
        self.card = ReviewCard()
        self.limit = _percent(80, self.tr("The confidence from which drafts are accepted."))
        self.accept_all = QPushButton()
        self.reject_all = QPushButton()
        self.accept_all.setToolTip(self.tr("Accept all drafts that are at least as certain."))
        self.reject_all.setToolTip(self.tr("Delete all drafts that are less certain."))
        self.limit.valueChanged.connect(self._name_buttons)
        self._name_buttons()
        self._arrange()
        self.show_busy(False)
        self.show_count(0)

    def _arrange(self) -> None:
        run, told, row = (QHBoxLayout() for _ in range(3))
        run.addWidget(self.area, 1)
        run.addWidget(self.threshold)
        run.addWidget(self.find_button)
        run.addWidget(self.cancel_button)
        told.addWidget(self.count, 1)
        told.addWidget(self.review_button)
        row.addWidget(self.limit)
        row.addWidget(self.accept_all, 1)
        row.addWidget(self.reject_all, 1)
        # Opening, the box shows all that lies in it: only this, which hides what is hidden.
        content = QWidget()
        around = QVBoxLayout(self)
        around.setContentsMargins(6, 4, 6, 6)
        around.addWidget(content)
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.model)
        layout.addLayout(run)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)
        layout.addLayout(told)
        layout.addWidget(self.card)
        layout.addLayout(row)

    def _name_buttons(self) -> None:
        limit = self.limit.value()
        self.accept_all.setText(self.tr("Accept ≥ {} %").format(limit))
        self.reject_all.setText(self.tr("Reject < {} %").format(limit))

    def show_busy(self, busy: bool) -> None:
        """Show that the model is at work, or that it is not."""
        for widget in (self.bar, self.status, self.cancel_button):
            widget.setVisible(busy)
        self.find_button.setVisible(not busy)
        self.cancel_button.setEnabled(busy)
        for widget in (self.model, self.area, self.threshold):
            widget.setEnabled(not busy)
        if busy:
            self.bar.setRange(0, 0)
            self.status.setText(self.tr("Starting the worker"))

    def show_progress(self, fraction: float, message: str) -> None:
        """Show how far the model is."""
        if self.bar.maximum() == 0:
            self.bar.setRange(0, STEPS)
        self.bar.setValue(round(STEPS * fraction))
        if message and self.cancel_button.isEnabled():
            self.status.setText(message)

    def show_count(self, drafts: int) -> None:
        """Show how many drafts there are."""
        text = self.tr("1 draft to review") if drafts == 1 else self.tr("{} drafts to review")
        self.count.setText(text.format(drafts) if drafts else self.tr("No drafts to review"))
        for widget in (self.review_button, self.limit, self.accept_all, self.reject_all):
            widget.setEnabled(bool(drafts))

    def show_reviewing(self, reviewing: bool) -> None:
        """Show the card while there is a review."""
        self.review_button.setChecked(reviewing)
        self.review_button.setText(self.tr("End the review") if reviewing else self.tr("Review"))
        self.card.setVisible(reviewing)

    def tr(self, text: str) -> str:
        """Translate a literal of the panel."""
        return QCoreApplication.translate("GeoDL", text)


class ReviewCard(QFrame):
    """The draft that is looked at, with a button for each decision."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("geodl_review_card")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.color, self.name, self.position = QLabel(), QLabel(), QLabel()
        self.name.setTextFormat(Qt.TextFormat.PlainText)  # a class may be called <b>
        font = self.name.font()
        font.setBold(True)
        self.name.setFont(font)
        self.hint = QLabel()
        self.hint.setWordWrap(True)
        self.buttons: dict[str, QToolButton] = {}
        self._add("back", "mActionArrowLeft", "", self.tr("The draft before (Left)"))
        self._add("accept", "mIconSuccess", self.tr("Accept"), self.tr("Accept (A)"))
        self._add("reject", "mActionDeleteSelected", self.tr("Reject"), self.tr("Delete (R)"))
        self._add("fix", "mActionVertexTool", self.tr("Fix"), self.tr("Move its vertices (F)"))
        self._add("skip", "mActionArrowRight", "", self.tr("Leave it for later (S)"))
        self.buttons["fix"].setCheckable(True)
        top, row = QHBoxLayout(), QHBoxLayout()
        top.addWidget(self.color)
        top.addWidget(self.name, 1)
        top.addWidget(self.position)
        row.setSpacing(2)
        for button in self.buttons.values():
            row.addWidget(button, 1 if button.text() else 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addLayout(top)
        layout.addLayout(row)
        layout.addWidget(self.hint)
        self.hide()

    def _add(self, name: str, icon: str, text: str, tip: str) -> None:
        button = QToolButton()
        button.setObjectName(f"geodl_review_{name}")
        button.setIcon(QgsApplication.getThemeIcon(f"/{icon}.svg"))
        button.setText(text)
        button.setToolTip(tip)
        style = Qt.ToolButtonStyle.ToolButtonTextBesideIcon
        button.setToolButtonStyle(style if text else Qt.ToolButtonStyle.ToolButtonIconOnly)
        policy = button.sizePolicy()
        policy.setHorizontalPolicy(policy.Policy.Expanding if text else policy.Policy.Fixed)
        button.setSizePolicy(policy)
        self.buttons[name] = button

    def show_draft(
        self, node: SchemaNode | None, confidence: float, position: tuple[int, int], fixing: bool
    ) -> None:
        """Show a draft: its class, how sure the model is, which of how many it is."""
        name = self.tr("No class") if node is None else node.name
        self.name.setText(self.tr("{}, {} % sure").format(name, f"{confidence:.0f}"))
        self.position.setText(self.tr("{} of {}").format(*position))
        self.color.setVisible(node is not None)
        if node is not None:
            self.color.setPixmap(swatch(node.color).pixmap(SWATCH, SWATCH))
        self.buttons["fix"].setChecked(fixing)
        text = self.tr(
            "Keys: A accepts, R rejects, 1 to 9 accept it as another class, F fixes, S leaves it "
            "for later, Left goes back, Esc ends."
        )
        if fixing:
            text = self.tr("Move its vertices on the map; A accepts, Esc leaves it a draft.")
        self.hint.setText(text)

    def widgets(self) -> list[QWidget]:
        """Return what may have the focus while keys decide."""
        return [self, *self.buttons.values()]

    def tr(self, text: str) -> str:
        """Translate a literal of the card."""
        return QCoreApplication.translate("GeoDL", text)


def _percent(value: int, tip: str) -> QSpinBox:
    box = QSpinBox()
    box.setRange(1, 100)
    box.setSuffix(" %")
    box.setValue(value)
    box.setToolTip(tip)
    return box
