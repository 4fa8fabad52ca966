"""The core behind a serial line, without a board's clock and pins (docs/link.md)."""

from __future__ import annotations

from amaranth import ClockDomain, ClockSignal, DomainRenamer, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from golden.config import DeviceConfig
from golden.link import Buffers
from hdl.device import device
from hdl.layouts import WORD
from hdl.link import Link
from hdl.options import CoreOptions
from hdl.pipeline import StreamBuffer
from hdl.uart import UartReceiver, UartTransmitter

BLINK_HZ = 1
"""Rate at which ``alive`` goes on and off."""

ERROR_SECONDS = 0.25
"""For so long ``error`` stays on."""


class BoardTop(wiring.Component):
    """Everything of a board but its clock and pins: the core, the link and a UART.

    Golden twin: :class:`golden.link_server.LinkServer` around :class:`golden.server.FrameServer`.

    Parameters
    ----------
    config, options: of the core.
    clock_hz: of the domain ``sync``.
    baud: bits per second of the line, 8N1.
    buffers: of the link.

    Members
    -------
    rx: In; the line from the host.
    tx: Out; the line to the host.
    alive: Out; goes on and off as long as there is a clock.
    busy: Out; the core works or the link has something to do.
    error: Out; a packet was damaged or missing a moment ago.

    Raises
    ------
    SvpgError: a baud rate that the clock cannot make, or a device that is not possible in hardware.
    """

    def __init__(
        self, config: DeviceConfig, options: CoreOptions, clock_hz: int, baud: int, buffers: Buffers | None = None
    ) -> None:
        self.config, self.options, self.clock_hz, self.baud = config, options, clock_hz, baud
        self.buffers = buffers or Buffers()
        self._core = device(config, options)
        self._receiver, self._transmitter = UartReceiver(clock_hz, baud), UartTransmitter(clock_hz, baud)
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "alive": Out(1), "busy": Out(1), "error": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.receiver, m.submodules.transmitter = receiver, transmitter = self._receiver, self._transmitter
        m.submodules.link = link = Link(self.buffers)
        # The core has a reset of its own, so that a new session finds it without half a frame. It goes to thousands of
        # places, so it comes from a register.
        m.domains.core = ClockDomain(local=True)
        core_reset = Signal(init=1)
        m.d.sync += core_reset.eq(link.core_reset)
        m.d.comb += [ClockSignal("core").eq(ClockSignal()), ResetSignal("core").eq(core_reset)]
        core = self._core
        m.submodules.core = DomainRenamer("core")(core)
        connect(m, receiver.bytes, link.received)
        connect(m, link.sent, transmitter.bytes)
        # No path goes through from the core to the link, or back. Of the same reset as the core, so that no word of an
        # earlier session is left in them.
        m.submodules.commands = commands = DomainRenamer("core")(StreamBuffer(WORD))
        m.submodules.responses = responses = DomainRenamer("core")(StreamBuffer(WORD))
        connect(m, link.commands, commands.source)
        connect(m, commands.sink, core.commands)
        connect(m, core.responses, responses.source)
        # A cycle before that reset one may still be offered.
        m.d.comb += [
            link.responses.valid.eq(responses.sink.valid & ~core_reset),
            link.responses.payload.eq(responses.sink.payload),
            responses.sink.ready.eq(link.responses.ready),
        ]
        half = self.clock_hz // (2 * BLINK_HZ)
        # Counting up, as counting down breaks the carry chain of an iCE40 into pieces, slower than all of the link.
        glow_cycles = max(int(self.clock_hz * ERROR_SECONDS), 1)
        blink, glow, lost = Signal(range(half)), Signal(range(glow_cycles)), Signal()
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
            self.busy.eq(link.busy),
        ]
        m.d.sync += [blink.eq(blink + 1), lost.eq(link.lost)]
        with m.If(blink == half - 1):
            m.d.sync += [blink.eq(0), self.alive.eq(~self.alive)]
        with m.If(lost):
            m.d.sync += [glow.eq(0), self.error.eq(1)]
        with m.Elif(glow == glow_cycles - 1):
            m.d.sync += self.error.eq(0)
        with m.Else():
            m.d.sync += glow.eq(glow + 1)
        return m
