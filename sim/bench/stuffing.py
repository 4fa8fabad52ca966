"""Bench of :class:`hdl.stuffing.Unstuffer` and :class:`hdl.stuffing.Stuffer`."""

from __future__ import annotations

import itertools
from typing import Any

import cocotb

from golden.link import ESCAPE, FLAG, FLIP, stuff, unstuff
from hdl.stuffing import Stuffer, Unstuffer
from sim.bench.designs import AllPorts
from sim.bench.run import parameters
from sim.bench.streams import Bench, Flow

RUN = parameters()
STUFFS = RUN["part"] == "stuffer"
COMPONENT = AllPorts(Stuffer() if STUFFS else Unstuffer())
SPECIAL = (ESCAPE, FLAG, ESCAPE ^ FLIP, FLAG ^ FLIP)
END = {"data": 0, "end": 1}


def symbols(body: bytes) -> list[dict[str, int]]:
    """Symbols of the bytes between two flags."""
    return [{"data": byte, "end": 0} for byte in body]


def view(symbol: dict[str, int]) -> dict[str, int]:
    """What counts of a symbol."""
    return END if symbol["end"] else symbol


class Model:
    """Drives one component; golden's functions beside it."""

    def __init__(self, dut: Any, into: Flow | None = None, out: Flow | None = None) -> None:
        self.bench = Bench(dut, COMPONENT, RUN["seed"])
        names = ("symbols", "bytes") if STUFFS else ("bytes", "symbols")
        self.into = self.bench.source(names[0], into)
        self.out = self.bench.sink(names[1], out, (lambda byte: byte) if STUFFS else view)

    def body(self) -> bytes:
        """Any bytes, many of them special."""
        rng = self.bench.rng
        return bytes(rng.choice((rng.randrange(256), *SPECIAL)) for _ in range(rng.randrange(12)))

    def send(self, body: bytes) -> None:
        """Queue what lies between two flags, and the second of them."""
        if STUFFS:
            self.into.send(*symbols(body), {"data": self.bench.rng.randrange(256), "end": 1})
            self.out.expect(*stuff(body), FLAG)
        else:
            self.into.send(*body.replace(bytes([FLAG]), b""), FLAG)
            self.out.expect(*symbols(unstuff(body.replace(bytes([FLAG]), b""))), END)


@cocotb.test()
async def every_byte(dut: Any) -> None:
    """Each byte alone, and behind an escape."""
    model = Model(dut)
    await model.bench.reset()
    for byte in range(256):
        model.send(bytes([byte]))
        model.send(bytes([ESCAPE, byte]))
    await model.bench.finish()


@cocotb.test()
async def any_flow(dut: Any) -> None:
    """Any bytes, whatever the flow on either side."""
    for ragged in itertools.product((False, True), repeat=2):
        own = Bench(dut, COMPONENT, f"{RUN['seed']} {ragged}").flow
        # Symbols that come from the line wait for nobody.
        model = Model(dut, own(ragged[0]), own(ragged[1] and STUFFS))
        await model.bench.reset()
        for _ in range(100):
            model.send(model.body())
        await model.bench.finish()


@cocotb.test()
async def time(dut: Any) -> None:
    """Everything in its own cycle: a symbol with its byte, an escape before it in a cycle of its own."""
    model = Model(dut)
    await model.bench.reset()
    for _ in range(20):
        model.send(model.body())
    await model.bench.finish()
    # One side moves in every cycle, the other in some of the same ones, the end of everything among them.
    dense, sparse = (model.out, model.into) if STUFFS else (model.into, model.out)
    assert dense.cycles == list(range(dense.cycles[0], dense.cycles[0] + len(dense.cycles)))
    assert set(sparse.cycles) <= set(dense.cycles) and sparse.cycles[-1] == dense.cycles[-1]


@cocotb.test()
async def reset_forgets_an_escape(dut: Any) -> None:
    """After a reset behind an escape the next byte is as it looks."""
    model = Model(dut)
    await model.bench.reset()
    if STUFFS:
        model.into.send(*symbols(bytes([FLAG])))
    else:
        model.into.send(ESCAPE)
    with model.out.unchecked():
        await model.bench.step(1)
    model.into.forget()
    await model.bench.reset()
    model.send(bytes([1, FLAG if STUFFS else 2]))
    await model.bench.finish()
