"""What the lanes do to a row word: multiply, or shift."""

from __future__ import annotations

from amaranth import C, Cat, Module, Mux, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig
from golden.protocol import Section
from hdl.layouts import event_bits, factor_bits, product_bits, row_values


def share_signature(config: DeviceConfig) -> wiring.Signature:
    """The multipliers as learning borrows them, while no event is in work.

    In a cycle in which ``use`` is set, ``columns`` are multiplied by ``factors`` or, with ``square``, by themselves;
    the products are there in the next cycle.
    """
    return wiring.Signature(
        {
            "use": Out(1),
            "square": Out(1),
            "columns": Out(signed(factor_bits(config))).array(config.lanes),
            "factors": Out(signed(event_bits(config))).array(config.lanes),
            "products": In(signed(product_bits(config))).array(config.lanes),
        }
    )


class LaneMultipliers(wiring.Component):
    """One product per lane and cycle: a row word times the value of an event, or what learning asks for.

    Golden twins: the products of :func:`golden.kernels.add_event`, and those of eligibilities and squared gradients in
    :mod:`golden.plasticity`. Every value of the formats is allowed.

    Products come one cycle after their factors, which must come from registers. If ``learns``, they stay while none are
    asked for; otherwise there is one of every cycle, so that registers within a multiplier can hold it, which have no
    enable that all tools know (:mod:`hdl.boards.absorb`).

    Multipliers: ``config.lanes``.

    Parameters
    ----------
    config: formats, ``lanes``.
    learns: learning may borrow them.

    Members
    -------
    weights: In, values: In, signed, by lane: the factors while nobody borrows.
    products: Out.
    use: In: products of those are wanted; share: In(:func:`share_signature`). Both if ``learns``.
    """

    def __init__(self, config: DeviceConfig, *, learns: bool) -> None:
        self.config, self.learns = config, learns
        bits = product_bits(config) if learns else config.weight_bits + event_bits(config)
        super().__init__(
            {
                "weights": In(row_values(config, Section.WEIGHT)),
                "values": In(signed(event_bits(config))).array(config.lanes),
                "products": Out(signed(bits)).array(config.lanes),
                **({"use": In(1), "share": In(share_signature(config))} if learns else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        bits = factor_bits(config)
        other_bits = max(bits, event_bits(config))
        use = self.use | self.share.use if self.learns else C(1)
        for lane in range(config.lanes):
            left, right = self.weights[lane], self.values[lane]
            if self.learns:
                column, share = self.share.columns[lane], self.share
                left, right = Signal(signed(bits), name=f"left{lane}"), Signal(signed(other_bits), name=f"right{lane}")
                m.d.comb += [
                    left.eq(Mux(share.use, column, self.weights[lane])),
                    right.eq(Mux(share.use, Mux(share.square, column, share.factors[lane]), self.values[lane])),
                    share.products[lane].eq(self.products[lane]),
                ]
            # Nobody looks at a product that was not asked for, so a reset need not reach it.
            product = Signal.like(self.products[lane], name=f"product{lane}", reset_less=True)
            m.d.comb += self.products[lane].eq(product)
            with m.If(use):
                m.d.sync += product.eq(left * right)
        return m


class LearningMultipliers(wiring.Component):
    """One product per lane and cycle for learning alone, where there are multipliers enough.

    Golden twins: the products of eligibilities and of squared gradients in :mod:`golden.plasticity`. Every value of the
    formats is allowed.

    Products come one cycle after their factors, which must come from registers, and stay while none are asked for.

    Multipliers: ``config.lanes``.

    Parameters
    ----------
    config: formats, ``lanes``.
    squares: ``square`` may be set.

    Members
    -------
    share: In(:func:`share_signature`).
    """

    def __init__(self, config: DeviceConfig, *, squares: bool) -> None:
        self.config, self.squares = config, squares
        super().__init__({"share": In(share_signature(config))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        share = self.share
        for lane in range(self.config.lanes):
            left, right = share.columns[lane], share.factors[lane]
            product = Signal.like(share.products[lane], name=f"product{lane}", reset_less=True)
            m.d.comb += share.products[lane].eq(product)
            with m.If(share.use):
                m.d.sync += product.eq(left * (Mux(share.square, left, right) if self.squares else right))
        return m


def shift_value(config: DeviceConfig) -> data.StructLayout:
    """A power of two, ``exponent``, or the negative of one."""
    return data.StructLayout({"exponent": range(event_bits(config)), "negative": 1})


def as_shift(value: Value) -> Value:
    """:func:`shift_value` of an event's value that is a power of two, or the negative of one."""
    exponent: Value = C(0, (len(value) - 1).bit_length())
    for bit in reversed(range(len(value))):
        exponent = Mux(value[bit], bit, exponent)
    return Cat(exponent, value[-1])


class LaneShifters(wiring.Component):
    """The same products where values are powers of two or their negatives, without a multiplier.

    Golden twin: :func:`golden.kernels.add_event` for the events of spike mode. Every such value is allowed.

    Products come one cycle after their factors and stay while none are asked for.

    No multipliers.

    Parameters
    ----------
    config: formats, ``lanes``.

    Members
    -------
    weights: In, values: In(:func:`shift_value`), by lane; use: In: their products are wanted.
    products: Out.
    """

    def __init__(self, config: DeviceConfig) -> None:
        self.config = config
        super().__init__(
            {
                "use": In(1),
                "weights": In(row_values(config, Section.WEIGHT)),
                "values": In(shift_value(config)).array(config.lanes),
                "products": Out(signed(config.weight_bits + event_bits(config))).array(config.lanes),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for lane in range(self.config.lanes):
            weight, value = self.weights[lane], self.values[lane]
            factor = Signal(signed(self.config.weight_bits + 1), name=f"factor{lane}")
            m.d.comb += factor.eq(Mux(value.negative, -weight, weight))
            with m.If(self.use):
                m.d.sync += self.products[lane].eq(factor << value.exponent)
        return m
