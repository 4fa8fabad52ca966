"""A real bitstream: the smallest pendulum that is a net at all, through every tool, and builds that miss their aims."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hdl.boards.catalogue import BOARDS, Resources
from hdl.boards.flow import Placed
from host import board_build
from host.cli import main
from tests.processes import working_in

TINY = ["network.groups=1", "network.group_size=2", "network.lanes=2", "core.softmax_lanes=1", "core.in_logic=true"]
SETTINGS = [part for setting in TINY for part in ("--set", setting)]
KEYS = {
    "board",
    "luts",
    "multipliers",
    "bram_kbit",
    "fmax_mhz",
    "clock_mhz",
    "cycles_per_decision",
    "us_per_decision",
    "bitstream",
}
PREAMBLE = b"\xff\x00"
"""How a bitstream of an ECP5 begins."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("build") / "out"
    assert main(["build", "ulx3s-25f", "inverted-pendulum", "--clock", "50", "--out", str(path), *SETTINGS]) == 0
    return path


@pytest.fixture(scope="module")
def data(folder: Path) -> Any:
    return json.loads((folder / "report.json").read_text())


def test_a_build_leaves_bitstream_reports_and_logs_and_nothing_else(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert names == {"svpg.bit", "report.json", "report.md", "tools.log", "svpg.tim"}
    assert (folder / "svpg.bit").read_bytes().startswith(PREAMBLE)


def test_the_report_has_what_scripts_rely_on(data: Any, folder: Path) -> None:
    assert data.keys() >= KEYS
    assert data["board"] == "ulx3s-25f" and data["bitstream"] == str(folder / "svpg.bit")
    assert data["fmax_mhz"] >= data["clock_mhz"] == pytest.approx(50)
    assert data["us_per_decision"] == pytest.approx(data["cycles_per_decision"] / data["clock_mhz"], abs=0.01)
    assert (data["lanes"], data["softmax_lanes"], data["rules"]) == (2, 1, [])


def test_the_report_counts_what_place_and_route_counted(data: Any, folder: Path) -> None:
    log = (folder / "svpg.tim").read_text()
    for key, cell in BOARDS["ulx3s-25f"].family.utilisation.items():
        assert f"{cell}: {data[key]:>7}/" in log.replace("\t", " "), cell


def test_the_slowest_path_is_told_in_names_of_the_hardware(data: Any, folder: Path) -> None:
    path = data["critical_path"]
    assert path["ns"] == pytest.approx(1000 / data["fmax_mhz"], rel=0.01)
    assert path["ns"] == pytest.approx(path["logic_ns"] + path["routing_ns"], abs=0.02)
    assert all(
        name.split(".")[0] in {"core", "link", "clock", "receiver", "transmitter", "commands", "responses"}
        for name in path["signals"]
    )
    assert f"1. `{path['from']}`" in (folder / "report.md").read_text()


@pytest.mark.parametrize(
    ("reached", "seed"),
    [([81, 90], 5), ([78, 83, 90], 6), ([78, 77, 76, 90], 5), ([78, 60, 90], 5), ([60, 90], 5)],
    ids=["met", "met by the second", "missed by all", "hopeless then", "hopeless"],
)
def test_a_clock_missed_by_little_is_tried_with_other_seeds_on_one_netlist(
    reached: list[float], seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    left = iter(reached)

    def placed(*arguments: Any) -> Placed:
        return Placed(Resources(0, 0, 0, 0), next(left) * 1e6, 80e6, (), b"")

    monkeypatch.setattr(board_build, "synthesize", lambda *arguments: begun.append("synthesis"))
    monkeypatch.setattr(board_build, "place_and_route", placed)
    best, number = board_build._run_tools(SimpleNamespace(board=None), tmp_path, 5, 3)  # type: ignore[arg-type]
    assert number == seed and best.fmax == reached[seed - 5] * 1e6
    assert begun == ["synthesis"] and list(left)[-1] == 90 and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_build_that_misses_its_clock_leaves_no_bitstream(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "ulx3s-25f", "inverted-pendulum", "--clock", "200", "--out", str(tmp_path), *SETTINGS]) == 1
    assert "but the clock is 200" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.bit")) and not (tmp_path / "report.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_build_that_is_told_to_end_leaves_no_process_and_no_folder(number: signal.Signals, tmp_path: Path) -> None:
    line = [sys.executable, "-m", "host.cli", "build", "ulx3s-25f", "inverted-pendulum", "--out", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    process = subprocess.Popen([*line, *SETTINGS], stderr=subprocess.PIPE, text=True, env=environment)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".tools-*/tools.log")) and time.monotonic() < deadline:
        time.sleep(0.05)
    (folder,) = tmp_path.glob(".tools-*")
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "svpg: interrupted" in said
    assert not folder.exists()
    # A tool that went on would have its folder as working directory, with a mark that it is gone.
    assert not working_in(folder)
