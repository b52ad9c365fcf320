"""Runs the whole road on real imagery and says how good the results are.

Everything goes through ``qgis_process`` on the packaged plugin in a fresh profile. Steps whose
results exist are not run again, unless what they need was or ``--fresh`` is given.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from process import QgisProcess, ToolError
from road import MIN_IOU, Road, Step

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
FOLDER = BUILD / "demo"
QGIS_PYTHON = "/usr/bin/python3"
KEPT = ("download",)  # the imagery need not be fetched anew


def main() -> int:
    """Run the demo; return 0 when every step has done its work, whatever accuracy it reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fresh", action="store_true", help="run every step anew")
    arguments = parser.parse_args()
    if arguments.fresh:
        _clear()
    try:
        package = max(BUILD.glob("geodl_plugin-*.zip"), key=lambda path: path.stat().st_mtime)
    except ValueError:
        print("There is no build/geodl_plugin-*.zip. Run 'make package'.", file=sys.stderr)
        return 1
    try:
        road = Road(QgisProcess(package, BUILD / "demo-qgis"), FOLDER)
        seconds = _walk([*road.steps(), _map_step(road)])
    except (ToolError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    _conclude(road, seconds)
    return 0


def _clear() -> None:
    for path in FOLDER.glob("*"):
        if path.name in KEPT:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _walk(steps: list[Step]) -> dict[str, float]:
    """Run the steps that are not done; return the seconds each of them took, now or earlier."""
    record = FOLDER / "seconds.json"
    seconds: dict[str, float] = {}
    if record.exists():
        seconds = json.loads(record.read_text(encoding="utf-8"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    waiting = _waiting(steps)
    for step in steps:
        if step.name not in waiting:
            print(f"{step.name}: done before", flush=True)
            continue
        print(f"{step.name} …", flush=True)
        began = time.monotonic()
        step.work()
        missing = [path.name for path in step.outputs if not path.exists()]
        if missing:
            raise ToolError(f"The step '{step.name}' did not write {', '.join(missing)}.")
        seconds[step.name] = round(time.monotonic() - began, 1)
        record.write_text(json.dumps(seconds, indent=1), encoding="utf-8")
        print(f"    {seconds[step.name]:.0f} s", flush=True)
    return seconds


def _waiting(steps: list[Step]) -> set[str]:
    """Return the steps that are to be run; what they wrote before is removed."""
    waiting: set[str] = set()
    for step in steps:
        done = all(path.exists() for path in step.outputs)
        if done and not waiting.intersection(step.needs):
            continue
        waiting.add(step.name)
        for path in step.outputs:
            path.unlink(missing_ok=True)
    return waiting


def _map_step(road: Road) -> Step:
    def work() -> None:
        script = Path(__file__).with_name("project.py")
        figures = [f"{road.trees_f1():.2f}", f"{MIN_IOU:g}"]
        subprocess.run([QGIS_PYTHON, str(script), str(FOLDER), *figures], check=True)

    needs = ("assess detections", "assess pixels", "classify objects")
    return Step("project and map", needs, (FOLDER / "demo.qgz", FOLDER / "demo.png"), work)


def _conclude(road: Road, seconds: dict[str, float]) -> None:
    goals = (
        (f"trees, F1 at IoU {MIN_IOU:g}", road.trees_f1(), 0.60),
        ("canopy, IoU", road.canopy_iou(), 0.60),
        ("objects, accuracy", road.objects_accuracy(), 0.85),
    )
    print(f"\n{'step':<28}{'seconds':>8}")
    for name, value in seconds.items():
        print(f"{name:<28}{value:>8.0f}")
    print(f"{'all':<28}{sum(seconds.values()):>8.0f}")
    print(f"\n{'on the part never seen':<28}{'reached':>8}{'goal':>8}")
    for name, value, goal in goals:
        print(f"{name:<28}{value:>8.3f}{goal:>8.2f}  {'yes' if value >= goal else 'MISSED'}")
    reached = {name: round(value, 4) for name, value, _ in goals}
    record = json.dumps({"reached": reached, "seconds": seconds}, indent=1)
    (FOLDER / "results.json").write_text(record, encoding="utf-8")
    print(f"\nResults: {FOLDER}")


if __name__ == "__main__":
    sys.exit(main())
