"""A compiled model that speaks frames: the words of many transactions go through it in one call."""

from __future__ import annotations

import ctypes
import enum
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from amaranth.lib import wiring
from numpy.typing import NDArray

from golden.errors import SvpgError
from golden.protocol import LAST
from hdl import verilog
from sim import tools
from sim.build import (
    BUILD_ARGS,
    TOP,
    cached,
    digest,
    keep_runtime,
    quick_models_wanted,
    reuse_runtime,
    tail,
    toolchain,
    variables,
    write_verilog,
)

Words = NDArray[np.uint32]

HARNESS = tuple(Path(__file__).with_name(f"harness.{kind}") for kind in ("v", "cpp"))
"""What is compiled around every design."""

DESIGN = "device"
"""Name of a design's top module within the harness."""

LIBRARY = "model.so"
"""File of a compiled model in its folder; beside it lies the Verilog it was made from."""

COMPILER_FLAGS = ("-fPIC", "-fvisibility=hidden", "-fno-gnu-unique", "-march=native")
"""Models of different designs live in one process: each keeps its symbols to itself. They use all instructions of the
processor, an eighth faster."""

OPTIMISATION = "-O3"

PROFILE_FLAG = "-fprofile-generate"
PROFILE_LIBRARIES = f"{PROFILE_FLAG} -u __gcov_dump"
"""Of a model that notes which ways it goes."""

PROFILED_FLAGS = ("-fprofile-use", "-fprofile-partial-training", "-Wno-missing-profile")
"""Of the same model, compiled again for those ways; what was never passed is as fast as before."""

COVERAGE_ARGS = ("--coverage-line", "--coverage-toggle", "--coverage-max-width", "65536")
"""Of a model that counts which lines are reached and which bits change."""

PATIENCE = 1_000_000
"""Cycles without a transfer after which a model has hung; the longest decision takes far fewer."""


class End(enum.IntEnum):
    """Why an exchange ended."""

    DONE = 0
    CUT = 1
    STUCK = 2
    SURPLUS = 3
    WITHDRAWN = 4
    CHANGED = 5


class DeviceError(SvpgError):
    """The model broke the rules of its streams, or hangs.

    Parameters
    ----------
    message: for people.
    taken: command words it took in this exchange.
    frames: response frames that came whole.
    """

    def __init__(self, message: str, taken: int, frames: int) -> None:
        super().__init__(message)
        self.taken, self.frames = taken, frames


class _Result(ctypes.Structure):
    _fields_ = (("taken", ctypes.c_uint64), ("words", ctypes.c_uint64), ("frames", ctypes.c_uint64))


@dataclass(frozen=True)
class Partial:
    """What became of an exchange that was cut.

    Parameters
    ----------
    taken: command words that were taken.
    words: response words that came.
    """

    taken: int
    words: Words


def _command(folder: Path, log: Path, *command: str) -> None:
    with open(log, "ab") as stream:
        done = subprocess.run(command, cwd=folder, stdout=stream, stderr=subprocess.STDOUT)
    if done.returncode:
        raise SvpgError(f"the model does not compile ({command[0]} failed); the end of its log:\n{tail(log)}")


def library(
    key: str,
    write: Callable[[Path], None],
    waves: bool = False,
    harness: Sequence[Path] = HARNESS,
    practice: Callable[[VerilatedModel], None] | None = None,
    coverage: bool = False,
) -> Path:
    """Compile a design with its harness.

    Parameters
    ----------
    key: text that identifies the design.
    write: writes its Verilog, with top module :data:`DESIGN`, into a file; called where it is not compiled yet.
    waves: compile it so that it can record waveforms.
    harness: what is compiled around it; may include :data:`HARNESS`. Without Verilog the design is :data:`TOP` itself.
    practice: typical work. The model is compiled, does it, and is compiled again for the ways that it went: twice the
        time to compile, and a quarter faster.
    coverage: compile it so that it counts lines and changes of bits, which is slow.

    Returns
    -------
    Folder with :data:`LIBRARY`, in the cache.

    Raises
    ------
    SvpgError: a tool is missing, or the compilation fails.
    """
    tools.check_system(waves)
    counting = COVERAGE_ARGS if coverage else ()
    optimisation = "-O1" if coverage or quick_models_wanted() else OPTIMISATION
    chain = "\0".join((toolchain(waves), tools.processor(), *COMPILER_FLAGS, optimisation, *counting))

    def make(folder: Path) -> None:
        source, log, work = folder / f"{DESIGN}.v", folder / "build.log", folder / "work"
        write(source)
        work.mkdir()
        flags = " ".join((*COMPILER_FLAGS, *(["-DSVPG_WAVES"] if waves else [])))
        with variables(tools.environment()):
            _command(
                folder,
                log,
                *("verilator", "--cc", "--exe", "--Mdir", str(work), "--prefix", "Vtop", "--top-module", TOP),
                *BUILD_ARGS,
                *(["--trace-fst"] if waves else []),
                *counting,
                *("-CFLAGS", flags, "-LDFLAGS", "-shared", "-o", str(folder / LIBRARY), str(source)),
                *(str(path) for path in harness),
            )
            if practice is None:
                runtime = f"runtime-{digest(chain)}"
                _compile(work, log, optimisation, *reuse_runtime(work, runtime))
                keep_runtime(work, runtime)
            else:
                _compile(work, log, f"{optimisation} {PROFILE_FLAG}", f"USER_LDLIBS={PROFILE_LIBRARIES}")
                model = VerilatedModel(folder)
                practice(model)
                model.write_profile()
                # The library stays open until the process ends: the next one is another file.
                (folder / LIBRARY).unlink()
                for item in work.glob("*.o"):
                    item.unlink()
                _compile(work, log, " ".join((optimisation, *PROFILED_FLAGS)))
        _command(folder, log, "rm", "-r", str(work))

    texts = [path.read_text() for path in (*HARNESS, *harness)]
    kind = "model" if practice is None else "profiled"
    return cached(f"{kind}-{digest(chain, *texts, key)}", make)


def _compile(work: Path, log: Path, flags: str, *arguments: str) -> None:
    """Compile what Verilator wrote into a folder, with some flags and arguments of ``make``."""
    _command(work, log, "make", "-f", "Vtop.mk", "-j2", f"OPT_FAST={flags}", f"OPT_GLOBAL={flags}", *arguments)


def design_key(component: wiring.Component, gates_clocks: bool = False) -> str:
    """What identifies a design: a digest of its netlist."""
    return digest(verilog.netlist(component, DESIGN, gates_clocks))


def component_library(component: wiring.Component, waves: bool = False) -> Path:
    """:func:`library` of an Amaranth component."""
    return library(design_key(component), lambda path: write_verilog(component, path, DESIGN), waves)


def _load(folder: Path) -> ctypes.CDLL:
    code = ctypes.CDLL(str(folder / LIBRARY))
    handle, u64 = ctypes.c_void_p, ctypes.c_uint64
    words = np.ctypeslib.ndpointer(np.uint32, ndim=1, flags="C")
    code.svpg_open.restype = handle
    code.svpg_cycles.restype = u64
    for name, arguments in {
        "open": (),
        "close": (handle,),
        "cycles": (handle,),
        "reset": (handle,),
        "exchange": (handle, words, u64, u64, u64, u64, u64, ctypes.c_int32, ctypes.POINTER(_Result)),
        "received": (handle, words),
        "waves_open": (handle, ctypes.c_char_p),
        "waves_close": (handle,),
        "write_profile": (),
        "write_coverage": (handle, ctypes.c_char_p),
    }.items():
        getattr(code, f"svpg_{name}").argtypes = arguments
    return code


class VerilatedModel:
    """One instance of a compiled design with the streams ``commands`` and ``responses``, after a reset.

    Instances share nothing. A call releases Python's lock, so instances run side by side in threads; each serves
    one thread at a time. Implements :class:`golden.client.Transport`.

    Parameters
    ----------
    folder: what :func:`library` gave.
    patience: cycles without a transfer after which it counts as hung.

    Attributes
    ----------
    ragged: offer words and take responses at random times instead of always.
    seed: of those times; every exchange takes the next one.
    """

    def __init__(self, folder: Path, patience: int = PATIENCE) -> None:
        self._code = _load(folder)
        self._handle = ctypes.c_void_p(self._code.svpg_open())
        self._patience = patience
        self.ragged, self.seed = False, 0
        self.reset()

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            self._code.svpg_close(self._handle)

    @property
    def cycles(self) -> int:
        """Clock cycles since it was made, resets included."""
        return int(self._code.svpg_cycles(self._handle))

    def reset(self) -> None:
        """A reset of two cycles. Memories keep what they hold."""
        self._code.svpg_reset(self._handle)

    def exchange(self, words: Words, responses: int) -> Words:
        """Send words and return those of ``responses`` response frames.

        Parameters
        ----------
        words: uint32 (n,), a frame's last word with :data:`golden.protocol.LAST` added.
        responses: frames to wait for. All words are sent, whenever the responses come.

        Raises
        ------
        DeviceError: nothing moves any more, more frames come than that, or an offered word changes.
        """
        end, result, received = self._exchange(words, responses, 0)
        if end is not End.DONE:
            done = f"after {result.taken} of {len(words)} command words and {result.frames} of {responses} responses"
            reason = {
                End.STUCK: f"nothing has moved for {self._patience} cycles",
                End.SURPLUS: "it answers more than it was asked",
                End.WITHDRAWN: "it withdrew a word before it was taken",
                End.CHANGED: "it changed a word before it was taken",
            }[end]
            raise DeviceError(
                f"the device is at fault {done}: {reason}; find out why with svpg lockstep",
                int(result.taken),
                int(result.frames),
            )
        return received

    def exchange_for(self, words: Words, cycles: int) -> Partial:
        """Send words for some cycles at most, and see how far it came; a reset brings the design back."""
        _, result, received = self._exchange(words, np.iinfo(np.int64).max, cycles)
        return Partial(int(result.taken), received)

    def _exchange(self, words: Words, responses: int, limit: int) -> tuple[End, _Result, Words]:
        words = np.ascontiguousarray(words, dtype=np.uint32)
        if words.size and int(words.max()) >= 2 * LAST:
            raise SvpgError(f"a word of {int(words.max()):#x} has more than 16 bits and its mark")
        result = _Result()
        self.seed += 1
        end = self._code.svpg_exchange(
            *(self._handle, words, words.size, responses, limit, self._patience, self.seed, self.ragged),
            ctypes.byref(result),
        )
        received = np.empty(result.words, dtype=np.uint32)
        self._code.svpg_received(self._handle, received)
        return End(end), result, received

    def record(self, path: Path) -> None:
        """Begin to record every signal into an FST file.

        Raises
        ------
        SvpgError: the model was compiled without waves, or the file cannot be written.
        """
        # The recorder itself does not notice a file that it cannot write.
        try:
            path.write_bytes(b"")
        except OSError as error:
            raise SvpgError(f"{path}: cannot be written ({error.strerror}); choose another file") from error
        if not self._code.svpg_waves_open(self._handle, str(path).encode()):
            raise SvpgError(f"{path}: waves cannot be recorded, the model was compiled without; compile it with waves")

    def stop_recording(self) -> None:
        """Close the file."""
        self._code.svpg_waves_close(self._handle)

    def write_profile(self) -> None:
        """Write down which ways the code went, for the compiler; only a model made for it does anything."""
        self._code.svpg_write_profile()

    def write_coverage(self, path: Path) -> None:
        """Write which lines were reached and which bits changed since it was made, in Verilator's format.

        Raises
        ------
        SvpgError: the model was compiled without counting.
        """
        if not self._code.svpg_write_coverage(self._handle, str(path).encode()):
            raise SvpgError(f"{path}: no coverage to write, the model was compiled without; compile it with coverage")
