"""Accuracy of what GeoDL trains beside plain loops: every accuracy_….py of this folder.

Usage: python tests/benchmarks/accuracy.py [--quick] [--data FOLDER]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run all parts, each in a process of its own, and return the worst exit code."""
    parts = sorted(Path(__file__).parent.glob("accuracy_*.py"))
    codes = []
    for part in parts:
        print(f"== {part.stem.partition('_')[2]}", flush=True)
        codes.append(subprocess.run([sys.executable, str(part), *sys.argv[1:]]).returncode)
    return max(codes, default=1)


if __name__ == "__main__":
    sys.exit(main())
