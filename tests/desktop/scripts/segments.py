"""Runs inside QGIS: segments are clicked on in the dock, by a hand on the map."""

from __future__ import annotations

import os
import sys
from typing import Any

sys.path.insert(0, os.environ["GEODL_TEST_SCRIPTS"])

from driver import Heartbeat, drive, pause, photograph_screen, wait_until
from mouse import Hand
from qgis.PyQt.QtCore import Qt
from qgis.utils import iface
from session import make_layer, open_dock, rows, show_the_scene, type_class

# Middles of discs in the scene, and of the ground between them; parts of width and height.
DISCS = [tuple(map(float, each.split(","))) for each in os.environ["GEODL_TEST_DISCS"].split()]


def click_on_one(dock: Any, hand: Hand, found: dict[str, Any]) -> None:
    """Click once: the disc is a sample as soon as the worker answers."""
    tool = dock.bar.tools["segment"]
    beat = Heartbeat()
    hand.move(*DISCS[0])
    hand.click(*DISCS[0])
    found["busy"] = tool.busy
    found["came"] = wait_until(lambda: len(rows()) == 1, 30)
    found["answered"] = beat.stop()
    found["one"] = rows()


def gather(dock: Any, hand: Hand, found: dict[str, Any]) -> None:
    """Shift gathers two discs, one of them twice; the right button writes them."""
    tool = dock.bar.tools["segment"]
    for disc in (*DISCS[1:3], DISCS[1]):
        hand.click(*disc, modifiers=Qt.KeyboardModifier.ShiftModifier)
        wait_until(lambda: not tool.busy, 30)
    found["gathering"] = len(rows())
    photograph_screen("labelling-segment")
    hand.click(0.5, 0.5, Qt.MouseButton.RightButton)
    pause(0.2)
    found["gathered"] = rows()[1:]


def replace_and_cancel(dock: Any, hand: Hand, found: dict[str, Any]) -> None:
    """A second click takes the place of the first; Esc gives up."""
    tool = dock.bar.tools["segment"]
    hand.click(*DISCS[3])
    hand.click(*DISCS[4])
    wait_until(lambda: not tool.busy, 30)
    pause(0.3)
    found["replaced"] = rows()[3:]
    hand.click(*DISCS[3])
    hand.key(Qt.Key.Key_Escape)
    found["given_up"] = not tool.busy
    pause(1.0)
    found["after_escape"] = len(rows())


def fail(dock: Any, hand: Hand, found: dict[str, Any]) -> None:
    """A click beside the image is a sentence; the circle grows by key and field."""
    tool = dock.bar.tools["segment"]
    hand.click(1.01, 0.5)
    wait_until(lambda: not tool.busy, 30)
    found["sentence"] = dock.notice.text
    before = tool.reach
    hand.key(Qt.Key.Key_Plus)
    field = dock.findChild(object, "geodl_segment_reach")
    found["reaches"] = [before, tool.reach, field.value(), field.isVisible()]
    dock.bar.buttons["rectangle"].trigger()
    found["hidden"] = not field.isVisible()


def steps(found: dict[str, Any]) -> None:
    """Label discs."""
    show_the_scene()
    dock = open_dock()
    type_class(dock, "Disc")
    make_layer(dock)
    layer = dock.sources.raster()
    extent = layer.extent()
    extent.scale(1.1)
    iface.mapCanvas().setExtent(extent)
    pause(0.5)
    hand = Hand()
    dock.bar.buttons["segment"].trigger()
    dock.bar.tools["segment"].set_reach(36)
    click_on_one(dock, hand, found)
    gather(dock, hand, found)
    replace_and_cancel(dock, hand, found)
    fail(dock, hand, found)


drive(steps)
