"""The simulation's own machinery: tools, cache, and checkers that notice faults."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from amaranth import Module, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig
from golden.errors import SvpgError
from hdl.assign import Assigner
from sim import build, tools
from sim.bench.codec import Codec
from sim.bench.run import BenchError, run
from sim.bench.streams import Sink, Source, steady


class Inverter(wiring.Component):
    """The smallest design with a clock."""

    def __init__(self) -> None:
        super().__init__({"a": In(1), "b": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.b.eq(~self.a)
        return m


# --- tools and cache -----------------------------------------------------------------------------------


def test_a_bare_machine_gets_one_line_that_installs_everything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SvpgError) as caught:
        tools.check_system(waves=True)
    message = str(caught.value)
    assert message.endswith("run: sudo apt-get install -y perl g++ make zlib1g-dev liblz4-dev")
    assert "\n" not in message


def test_a_missing_header_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "HEADERS", {"no-such-header.h": "no-such-package"})
    with pytest.raises(SvpgError, match=r"needs no-such-header\.h; run: sudo apt-get install -y no-such-package$"):
        tools.check_system()


def test_a_design_is_compiled_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiled = []

    def compile_nothing(folder: Path, source: Path, waves: bool, runtime: Path) -> None:
        compiled.append(source.read_text())

    monkeypatch.setattr(build, "CACHE", tmp_path)
    monkeypatch.setattr(build, "_compile", compile_nothing)
    first = build.build(Inverter())
    assert build.build(Inverter()) == first
    assert len(compiled) == 1 and "module top(" in compiled[0]
    assert [item.name for item in tmp_path.iterdir()] == [first.name]


def test_verilators_own_objects_are_compiled_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = build.build(Inverter()).parent
    for runtime in before.glob("runtime-*"):
        shutil.copytree(runtime, tmp_path / runtime.name)
    monkeypatch.setattr(build, "CACHE", tmp_path)
    model = build.build(Inverter())
    assert model.parent == tmp_path
    log = (model / "build.log").read_text()
    assert " -o top" in log and "verilated.cpp" not in log


def test_a_compilation_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build, "CACHE", tmp_path)
    monkeypatch.setattr(build, "BUILD_ARGS", ("--no-such-option",))
    with pytest.raises(SvpgError, match="--no-such-option"):
        build.build(Inverter())
    assert not list(tmp_path.iterdir())


def test_a_bench_that_fails_is_an_error() -> None:
    with pytest.raises(BenchError, match="no_such_bench"):
        run(Inverter(), "sim.bench.no_such_bench")


def test_a_bench_that_fails_says_what_and_how_to_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # The bench of another component: it cannot even find its streams.
    monkeypatch.setenv("COCOTB_TEST_FILTER", "any_flow")
    config = DeviceConfig(inputs=1, groups=1, group_size=2, actions=2)
    with pytest.raises(BenchError, match="groups__valid") as caught:
        run(Inverter(), "sim.bench.assign", config=config, lanes=1, groups=1, seed=1)
    *_, last = str(caught.value).splitlines()
    test = "tests/test_sim.py::test_a_bench_that_fails_says_what_and_how_to_see_it"
    assert str(caught.value).startswith("sim.bench.assign: any_flow failed\n")
    assert last.endswith(f"SVPG_WAVES=1 COCOTB_TEST_FILTER=any_flow .venv/bin/python -m pytest -m '' '{test}'")


def test_a_filter_that_leaves_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COCOTB_TEST_FILTER", "no such test")
    config = DeviceConfig(inputs=1, groups=1, group_size=2, actions=2)
    with pytest.raises(BenchError, match="no test has run"):
        run(Inverter(), "sim.bench.assign", config=config, lanes=1, groups=1, seed=1)


# --- waves ---------------------------------------------------------------------------------------------


def test_waves_are_recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    try:
        tools.check_system(waves=True)
    except SvpgError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("SVPG_WAVES", "1")
    monkeypatch.setenv("COCOTB_TEST_FILTER", "every_assignment")
    monkeypatch.setattr("sim.bench.run.CACHE", tmp_path)
    config = DeviceConfig(inputs=1, groups=1, group_size=2, actions=2)
    run(Assigner(config, lanes=1), "sim.bench.assign", config=config, lanes=1, groups=1, seed=1)
    (wave,) = (tmp_path / "waves").iterdir()
    assert wave.name.startswith("assign-") and wave.suffix == ".fst"
    # FST: a header block of 329 bytes, first and last time at 9 and 17, number of signals at 49.
    kind, size, first, last, signals = struct.unpack_from(">BQQQ24xQ", wave.read_bytes())
    ports = 8
    # 2 cycles of reset, 16 beats, 50 cycles in which nothing may come; 2 steps each.
    assert (kind, size, first) == (0, 329, 0) and last >= 2 * (2 + 16 + 50) - 1
    assert signals > 2 * ports, "signals inside are recorded too"


# --- payloads ------------------------------------------------------------------------------------------


def test_payloads_become_bits_and_values_again() -> None:
    pair = data.StructLayout({"low": 3, "high": signed(5)})
    codec = Codec(data.StructLayout({"flag": 1, "value": data.ArrayLayout(pair, 2)}))
    value = {"flag": 1, "value": [{"low": 5, "high": -9}, {"low": 2, "high": 0}]}
    assert codec.pack(value) == 1 | (5 | (32 - 9) << 3) << 1 | 2 << 9
    assert codec.unpack(codec.pack(value)) == value


# --- checkers ------------------------------------------------------------------------------------------


def wires(name: str) -> Any:
    """A design of three signals."""
    return SimpleNamespace(**{f"{name}__{part}": SimpleNamespace(value=0) for part in ("valid", "ready", "payload")})


def watch(offers: list[tuple[int, int]], ready: list[bool], expected: list[int]) -> Sink:
    """Show a sink some cycles of (valid, payload)."""
    dut = wires("o")
    sink = Sink(dut, "o", Codec(8), iter(ready))
    sink.expect(*expected)
    for cycle, (valid, payload) in enumerate(offers):
        dut.o__valid.value, dut.o__payload.value = valid, payload
        sink.drive()
        sink.sample(cycle)
    return sink


def test_sink_accepts_what_is_right() -> None:
    sink = watch([(0, 9), (1, 5), (1, 5), (1, 6)], [True, False, True, True], [5, 6])
    assert sink.cycles == [2, 3] and not sink.pending


@pytest.mark.parametrize(
    ("offers", "ready", "expected", "message"),
    [
        ([(1, 5)], [True], [4], "got 5"),
        ([(1, 5)], [True], [], "unexpected payload"),
        ([(1, 5), (0, 5)], [False, True], [5], "withdrawn"),
        ([(1, 5), (1, 6)], [False, True], [6], "changed"),
    ],
)
def test_sink_notices_faults(
    offers: list[tuple[int, int]], ready: list[bool], expected: list[int], message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        watch(offers, ready, expected)


def test_source_holds_its_offer_until_it_is_taken() -> None:
    dut = wires("i")
    source = Source(dut, "i", Codec(8), iter([False, True]), SimpleNamespace(getrandbits=lambda bits: 77))
    source.send(3)
    seen = []
    for cycle, ready in enumerate((1, 0, 0, 1)):
        dut.i__ready.value = ready
        source.drive()
        seen.append((dut.i__valid.value, dut.i__payload.value))
        source.sample(cycle)
    assert seen == [(0, 77), (1, 3), (1, 3), (1, 3)]
    assert source.cycles == [3] and not source.pending
    assert next(steady())
