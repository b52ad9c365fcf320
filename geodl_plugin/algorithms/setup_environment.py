"""Set up deep learning libraries: check, install, repair or remove the worker's Python."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputBoolean,
    QgsProcessingOutputString,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterString,
    QgsSettings,
)

from ..core.progress import Progress
from ..worker.environment import (
    ACTIONS,
    DEVICES,
    EnvironmentOptions,
    Status,
    manage,
    managed_directory,
)
from .base import PYTHON_SETTING, GeoDLAlgorithm


class SetupEnvironment(GeoDLAlgorithm):
    """Offers the environment's four actions as a tool."""

    NAME = "setupenvironment"
    LABEL = "Set up deep learning libraries"
    GROUP = "Setup"
    GROUP_ID = "setup"
    SUMMARY = (
        "Checks whether PyTorch and the other libraries are ready, and installs them when asked.\n"
        "They live in an environment of their own, over QGIS's Python; QGIS itself is not "
        "changed. The test reads a raster through GDAL, computes with PyTorch and names the "
        "device. Nothing is installed unasked."
    )

    ACTION = "ACTION"
    DEVICE = "DEVICE"
    PYTHON = "PYTHON"
    WHEELS = "WHEELS"
    OUTPUT = "OUTPUT"
    READY = "READY"
    PYTHON_USED = "PYTHON_USED"
    DEVICES = "DEVICES"
    VERSIONS = "VERSIONS"

    def add_parameters(self) -> None:
        self._add_choice(
            self.ACTION,
            self.tr("Action"),
            ACTIONS,
            self.tr(
                "CHECK tests what is there and changes nothing. INSTALL adds what is missing. "
                "REPAIR installs everything anew. REMOVE deletes the environment."
            ),
        )
        self._add_choice(
            self.DEVICE,
            self.tr("Device"),
            DEVICES,
            self.tr(
                "For which device PyTorch is installed. auto takes the smaller build for the "
                "CPU where there is no NVIDIA card."
            ),
        )
        self.add(
            QgsProcessingParameterString(self.PYTHON, self.tr("Python"), optional=True),
            self.tr(
                "The program of a Python that has PyTorch, to use instead of an environment of "
                "GeoDL's own. INSTALL remembers it when its test passes; INSTALL without one, and "
                "REMOVE, forget it."
            ),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterFile(
                self.WHEELS,
                self.tr("Folder with wheels"),
                behavior=QgsProcessingParameterFile.Behavior.Folder,
                optional=True,
            ),
            self.tr("Installs from the wheels in this folder, without any network."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterFileDestination(
                self.OUTPUT,
                self.tr("Report"),
                self.tr("HTML files (*.html)"),
                optional=True,
            ),
            self.tr("What was found, as a page."),
        )
        self.addOutput(QgsProcessingOutputBoolean(self.READY, self.tr("Ready")))
        self.addOutput(QgsProcessingOutputString(self.PYTHON_USED, self.tr("Python in use")))
        self.addOutput(QgsProcessingOutputString(self.DEVICES, self.tr("Devices (JSON)")))
        self.addOutput(QgsProcessingOutputString(self.VERSIONS, self.tr("Versions (JSON)")))

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        settings = QgsSettings()
        options = EnvironmentOptions(
            action=self.parameterAsString(parameters, self.ACTION, context),
            device=self.parameterAsString(parameters, self.DEVICE, context),
            python=self.text(parameters, self.PYTHON, context),
            wheels=self.text(parameters, self.WHEELS, context),
        )
        status = manage(options, progress, settings.value(PYTHON_SETTING) or None)
        remember_python(options)
        (progress.info if status.ready else progress.warn)(status.message)
        results = {
            self.READY: status.ready,
            self.PYTHON_USED: status.python,
            self.DEVICES: json.dumps(status.devices),
            self.VERSIONS: json.dumps(status.versions),
        }
        report = self.parameterAsFileOutput(parameters, self.OUTPUT, context)
        if report:
            write_report(Path(report), status)
            results[self.OUTPUT] = report
        return results

    def _add_choice(self, name: str, label: str, choices: tuple[str, ...], help_text: str) -> None:
        self.add(
            QgsProcessingParameterEnum(
                name,
                label,
                list(choices),
                defaultValue=choices[0],
                optional=True,
                usesStaticStrings=True,
            ),
            help_text,
        )


def remember_python(options: EnvironmentOptions) -> None:
    """Keep the Python that a successful action named; forget it where another one was installed.

    Else the tools would go on with one that may be gone.
    """
    if options.action in ("INSTALL", "REPAIR") and options.python:
        QgsSettings().setValue(PYTHON_SETTING, options.python)
    elif options.action != "CHECK":
        QgsSettings().remove(PYTHON_SETTING)


def write_report(path: Path, status: Status) -> None:
    """Write what was found as a page that needs nothing else."""
    rows = [
        ("Python", status.python or "–"),
        ("Found through", status.origin or "–"),
        ("Environment that GeoDL manages", str(managed_directory())),
        ("Seconds until PyTorch had computed", f"{status.seconds:g}" if status.ready else "–"),
        *((f"Device {each['name']}", each["label"]) for each in status.devices),
        *status.versions.items(),
    ]
    cells = "\n".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in rows
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PAGE.format(message=html.escape(status.message), rows=cells), encoding="utf-8")


PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Deep learning libraries</title><style>
body {{ font-family: sans-serif; margin: 2em; max-width: 60em }}
th {{ text-align: left; padding-right: 2em; font-weight: normal; color: #555 }}
td, th {{ border-bottom: 1px solid #ddd; padding-top: .3em; padding-bottom: .3em }}
</style></head><body><h1>Deep learning libraries</h1>
<p>{message}</p>
<table>
{rows}
</table></body></html>
"""
