"""What trains the demo and what assesses it are kept apart."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "demo" / "imagery.py"
WIDTH, HEIGHT = 1000, 1000
LINE_Y = 4978247.2 - 60.0  # 600 rows of 0.1 m


@pytest.fixture(scope="module")
def imagery() -> ModuleType:
    specification = importlib.util.spec_from_file_location("demo_imagery", SOURCE)
    module = importlib.util.module_from_spec(specification)
    sys.modules["demo_imagery"] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def layers(imagery: ModuleType, tmp_path: Path) -> dict[str, list[dict]]:
    """Layers of three trees: above the line, across it with the centre above, and below."""
    trees = [
        imagery.Box(100, 100, 140, 150),
        imagery.Box(300, 570, 340, 620),
        imagery.Box(500, 800, 560, 860),
    ]
    imagery.write_layers(tmp_path, WIDTH, HEIGHT, trees)
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))["features"]
        for path in (tmp_path / "data").glob("*.geojson")
    }


def lowest(feature: dict) -> float:
    return min(y for _, y in feature["geometry"]["coordinates"][0])


def highest(feature: dict) -> float:
    return max(y for _, y in feature["geometry"]["coordinates"][0])


def test_a_tree_belongs_to_the_part_of_its_centre(layers: dict[str, list[dict]]) -> None:
    assert len(layers["trees_upper"]) == 2
    assert len(layers["trees_lower"]) == 1


def test_what_trains_ends_at_the_line(layers: dict[str, list[dict]]) -> None:
    for name in ("trees_upper", "objects_upper"):
        assert min(map(lowest, layers[name])) >= LINE_Y - 1e-6
    assert max(map(highest, layers["objects_lower"])) <= LINE_Y + 1e-6


def test_the_features_to_classify_do_not_carry_the_answer(layers: dict[str, list[dict]]) -> None:
    assert len(layers["features_lower"]) == len(layers["objects_lower"])
    assert {tuple(each["properties"]) for each in layers["features_lower"]} == {("number",)}


def test_the_canopy_of_every_unseen_pixel_is_known(layers: dict[str, list[dict]]) -> None:
    """Ground comes first and covers all of it; the crown across the line lies on top too."""
    ground, *crowns = layers["canopy_lower"]
    assert ground["properties"]["Classvalue"] == 0
    assert (lowest(ground), highest(ground)) == pytest.approx((LINE_Y - 40.0, LINE_Y))
    assert [each["properties"]["Classvalue"] for each in crowns] == [1, 1]


def test_open_ground_keeps_away_from_trees(imagery: ModuleType) -> None:
    tree = imagery.Box(200, 200, 260, 260)
    area = imagery.Box(0, 0, 600, 600)
    squares = imagery.open_ground([tree], area, 50)
    assert squares == imagery.open_ground([tree], area, 50)
    assert len(squares) == 50
    assert not any(square.meets(tree, imagery.GROUND_MARGIN) for square in squares)
    assert all(square.xmin >= 0 and square.ymax <= 600 for square in squares)


def test_an_ellipse_fills_its_box(imagery: ModuleType) -> None:
    ring = imagery.Box(0, 0, 40, 20).ellipse()
    xs, ys = zip(*ring)
    assert (min(xs), max(xs)) == pytest.approx((528000.0, 528004.0))
    assert (min(ys), max(ys)) == pytest.approx((4978245.2, 4978247.2))
