"""The simulation's own machinery: tools, cache, and checkers that notice faults."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from amaranth import Module, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.errors import SvpgError
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
