"""The device as a program (docs/compact.md)."""

from __future__ import annotations

from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from golden.config import DeviceConfig
from hdl.compact.firmware import firmware
from hdl.compact.places import Places
from hdl.compact.processor import Processor
from hdl.layouts import WORD
from hdl.options import CoreOptions


class CompactCore(wiring.Component):
    """The whole device behind the streams of :class:`hdl.core.Core`, one step after the other.

    Golden twin: :class:`golden.server.FrameServer`, to the bit, but for the cycles; there are no stalls. Its cycles are
    those of :class:`sim.processor.ProcessorTwin`.

    Takes the words of a frame as its program asks for them, and answers before it takes the next. After power has come
    it sets the parameters to 0, six cycles a word, before it takes the first. A reset in the middle of anything drops
    the transaction; the parameters stay, but for those that an update or a load had changed already.

    Parameters
    ----------
    config: the device; in rate mode, of widths that :func:`hdl.compact.places.check` allows.
    options: what it learns with; those of speed do not apply.

    Members
    -------
    commands: In(stream of :data:`hdl.layouts.WORD`).
    responses: Out(stream of :data:`hdl.layouts.WORD`).

    Raises
    ------
    SvpgError: a device that it cannot be.
    """

    def __init__(self, config: DeviceConfig, options: CoreOptions) -> None:
        self.config, self.options = config, options
        places = Places(config, options.abilities, options.softmax_lanes)
        self._processor = Processor(firmware(places), places.table, places.size, config.neurons)
        super().__init__({"commands": In(stream.Signature(WORD)), "responses": Out(stream.Signature(WORD))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.processor = processor = self._processor
        connect(m, wiring.flipped(self.commands), processor.commands)
        connect(m, processor.responses, wiring.flipped(self.responses))
        return m
