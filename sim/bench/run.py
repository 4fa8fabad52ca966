"""Runs a bench from pytest, and hands it its parameters."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from amaranth.lib import wiring
from cocotb_tools.runner import get_runner

from golden.config import DeviceConfig
from sim.build import CACHE, TOP, build, tail, waves_wanted

ROOT = Path(__file__).resolve().parents[2]

ASSERTIONS = "sim/bench/*.py"
"""Where failed assertions show their values; cocotb would prepare every module that is imported, for seconds."""

_PARAMETERS = "SVPG_BENCH"


class BenchError(AssertionError):
    """A bench found a fault; the message tells where, and how to see it again."""


def _failure(results: Path) -> str:
    """What the first test that failed has found, and how to run it alone with waves; empty if all is well."""
    cases = list(ElementTree.parse(results).iter("testcase"))
    if not cases:
        return "no test has run"
    failed = [case for case in cases if case.find("failure") is not None]
    if not failed:
        return ""
    names = [str(case.get("name")) for case in failed]
    # The test that is running, with its phase behind a space.
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    return (
        f"{', '.join(names)} failed\n{failed[0].findtext('failure')}\n"
        f"once more, with waves: SVPG_WAVES=1 COCOTB_TEST_FILTER={names[0]} .venv/bin/python -m pytest -m '' '{test}'"
    )


def run(component: wiring.Component, bench: str, **parameters: Any) -> None:
    """Build a component and run every test of a bench module on it.

    With ``SVPG_WAVES=1`` in the environment, waveforms go to ``build/sim/waves/BENCH-DESIGN-NUMBER.fst``, where DESIGN
    tells compiled models apart; ``COCOTB_TEST_FILTER`` is a pattern for the names of the tests to run.

    Parameters
    ----------
    component: what to build.
    bench: module name, such as ``sim.bench.rng``.
    parameters: what the bench reads by :func:`parameters`; JSON values and a :class:`DeviceConfig`.

    Raises
    ------
    BenchError: a test of the bench failed, or there was none.
    """
    __tracebackhide__ = True
    waves = waves_wanted()
    model = build(component, waves)
    # The simulator runs elsewhere and takes over this path, which may name the working directory.
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    plain = {name: value.to_dict() if isinstance(value, DeviceConfig) else value for name, value in parameters.items()}
    with tempfile.TemporaryDirectory(prefix="svpg-bench-") as temporary:
        folder = Path(temporary)
        log, results = folder / "bench.log", folder / "results.xml"
        try:
            get_runner("verilator").test(
                test_module=bench,
                hdl_toplevel=TOP,
                hdl_toplevel_lang="verilog",
                build_dir=model,
                test_dir=folder,
                results_xml=str(results),
                extra_env={_PARAMETERS: json.dumps(plain), "COCOTB_REWRITE_ASSERTION_FILES": ASSERTIONS},
                waves=waves,
                log_file=log,
            )
        except (RuntimeError, SystemExit) as error:
            # Under pytest the runner stops by itself when a test has failed.
            if not results.exists():
                raise BenchError(f"{bench}: {error}\n{tail(log)}") from error
        finally:
            for number, wave in enumerate(sorted(folder.glob("*.fst"))):
                (CACHE / "waves").mkdir(parents=True, exist_ok=True)
                shutil.move(wave, CACHE / "waves" / f"{bench.rpartition('.')[2]}-{model.name[:8]}-{number}.fst")
        if failure := _failure(results):
            raise BenchError(f"{bench}: {failure}")


def parameters() -> dict[str, Any]:
    """The parameters of this run; ``config`` is a :class:`DeviceConfig` again."""
    values: dict[str, Any] = json.loads(os.environ[_PARAMETERS])
    if "config" in values:
        values["config"] = DeviceConfig(**values["config"])
    return values
