"""The update of all parameters from their accumulators (docs/numerics.md, ``APPLY``)."""

from __future__ import annotations

from amaranth import C, Cat, Module, Mux, Signal, signed, unsigned
from amaranth.hdl import Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.arguments import OPTIMISERS, apply_limits
from golden.config import DeviceConfig
from golden.plasticity import OPTIMISER_RMSPROP, OPTIMISER_SIGN
from golden.protocol import SECTION_NAMES, Abilities, Section
from hdl.engine import COUNTER_BITS
from hdl.fixed import bit_length, halves, saturate
from hdl.lanes import share_signature
from hdl.memory import FETCH_LATENCY, fetch_latency, fetch_signature, row_addresses, write_signature
from hdl.pipeline import delay

HANDOVER = 1
"""Cycles in which the memories are handed over to an update before it starts; they count as its own."""


def update(config: DeviceConfig) -> data.StructLayout:
    """What to do: ``clear`` accumulators and second moments, or update with the arguments of ``APPLY``."""
    limits: dict[str, list[int]] = {}
    for optimiser in OPTIMISERS:
        for name, pair in apply_limits(config, optimiser).items():
            limits.setdefault(name, []).extend(pair)
    shapes = {
        name: signed(max(*values, 1).bit_length() + 1) if min(values) < 0 else unsigned(max(*values, 1).bit_length())
        for name, values in limits.items()
    }
    return data.StructLayout({"clear": 1, "optimiser": 2, **shapes})


class Updater(wiring.Component):
    """Updates every parameter, or clears what was learned, one row word per cycle.

    Golden twin: :func:`golden.plasticity.apply_rows`, called as by :meth:`golden.device.Device.apply`, and
    :meth:`golden.device.Device.clear_learning`. Every argument within :func:`golden.arguments.apply_limits` is allowed,
    of the optimisers of the build. Zeros stay zeros, so that nothing need know which synapses exist.

    An update of n row words takes n + :attr:`latency` cycles from its start to the last write, both included; clearing
    takes n. ``done`` is set in the last of them; the next may start in the cycle after.

    Multipliers: those that it borrows, to square gradients for the second moments.

    Parameters
    ----------
    config: sizes and formats.
    abilities: optimisers of the build.
    banked: weights come from banks (:class:`hdl.memory.RowMemory`).

    Members
    -------
    starts: In(stream of :func:`update`).
    weight_fetch, weight_write, acc_fetch, acc_write: Out; the memories; moment_fetch, moment_write: if there are second
        moments. In the attributes ``fetch`` and ``write`` by section as well.
    share: Out(:func:`hdl.lanes.share_signature`).
    done: Out; cycles: Out; those of the last transaction, :data:`HANDOVER` included.
    """

    def __init__(self, config: DeviceConfig, abilities: Abilities, *, banked: bool = False) -> None:
        self.config, self.abilities, self.banked = config, abilities, banked
        # Where registers lie, in cycles from the address of a word: the direction of a sign; the mean gradient, its
        # square, that less the second moment, the moment that follows, its root, the shift that brings a gradient to a
        # step; the step.
        self._at_direction = FETCH_LATENCY + 1
        self._at_gradient = FETCH_LATENCY + 3
        self._at_square, self._at_difference = self._at_gradient + 1, self._at_gradient + 2
        self._at_moment, self._at_root = self._at_gradient + 3, self._at_gradient + 4
        self._at_shift = self._at_gradient + 5 * abilities.has_moments
        # Rounding, shift and saturation of a step each have a register; what a sign steps by takes two.
        self.latency = self._at_shift + 3 if abilities.has_descent else self._at_direction + 2
        ports = {
            f"{SECTION_NAMES[section]}_{name}": Out(signature(config, section))
            for section in abilities.sections
            for name, signature in (("fetch", fetch_signature), ("write", write_signature))
        }
        super().__init__(
            {
                "starts": In(stream.Signature(update(config))),
                "share": Out(share_signature(config)),
                "done": Out(1),
                "cycles": Out(COUNTER_BITS),
                **ports,
            }
        )
        self.fetch = {section: getattr(self, f"{SECTION_NAMES[section]}_fetch") for section in abilities.sections}
        self.write = {section: getattr(self, f"{SECTION_NAMES[section]}_write") for section in abilities.sections}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, abilities = self.config, self.abilities
        has_moments, has_descent = abilities.has_moments, abilities.has_descent
        addresses = row_addresses(config)
        job = Signal(update(config))
        at_gradient, at_square, at_difference = self._at_gradient, self._at_square, self._at_difference
        at_moment, at_root, at_shift, at_step = self._at_moment, self._at_root, self._at_shift, self.latency

        # --- addresses: stage i has the word that was begun i cycles ago --------------------------------------
        valid = [Signal(name=f"valid{i}") for i in range(at_step + 1)]
        address = [Signal(addresses, name=f"address{i}") for i in range(at_step + 1)]
        begins, going, clears, is_final = Signal(), Signal(), Signal(), Signal()
        number = address[0]
        m.d.comb += [
            self.starts.ready.eq(~going & ~Cat(*valid[1:]).any()),
            begins.eq(self.starts.valid & self.starts.ready),
            clears.eq(Mux(begins, self.starts.payload.clear, going & job.clear)),
            valid[0].eq(Mux(begins, ~self.starts.payload.clear, going & ~job.clear)),
            is_final.eq(number == addresses[-1]),
            self.done.eq(Mux(clears, is_final, valid[-1] & (address[-1] == addresses[-1]))),
        ]
        with m.If(begins):
            m.d.sync += [job.eq(self.starts.payload), going.eq(1), self.cycles.eq(1 + HANDOVER)]
        with m.Elif(~self.starts.ready):
            m.d.sync += self.cycles.eq(self.cycles + 1)
        with m.If(begins | going):
            m.d.sync += number.eq(number + 1)
            with m.If(is_final):
                m.d.sync += [number.eq(0), going.eq(0)]
        m.d.sync += [*delay(valid), *delay(address)]

        # Each memory is fetched when its values are wanted, and written when the new ones are there.
        # Weights pass a register.
        wanted = {Section.WEIGHT: at_step - 1, Section.ACC: FETCH_LATENCY, Section.MOMENT: at_square}
        written = {Section.WEIGHT: at_step, Section.ACC: at_step, Section.MOMENT: at_moment}
        for section in abilities.sections:
            fetch, write = self.fetch[section], self.write[section]
            asks = wanted[section] - fetch_latency(self.banked and section == Section.WEIGHT)
            puts = written[section]
            may_clear = clears if section != Section.WEIGHT else 0
            m.d.comb += [
                fetch.en.eq(valid[asks]),
                fetch.address.eq(address[asks]),
                write.en.eq(valid[puts] | may_clear),
                write.address.eq(Mux(may_clear, number, address[puts])),
            ]

        # --- what is common to all lanes ---------------------------------------------------------------------
        # Learning rate of the row: observation rows have one of their own. It is there a cycle before the shift.
        before = at_shift - 2 if has_descent else 1
        first, last = config.neurons * config.row_words, config.sources * config.row_words
        is_observation = (address[before] >= first) & (address[before] < last)
        rate, stride = Signal.like(job.rate), Signal(config.weight_bits)
        next_rate = Mux(is_observation, job.obs_rate, job.rate)
        m.d.sync += rate.eq(next_rate)
        shift = config.acc_frac - config.weight_frac
        # The largest shifts: to the right nothing is left, to the left every step saturates whatever the weight.
        most_right, most_left = config.grad_bits + 1, config.weight_bits
        _, most_mean = apply_limits(config, "sgd")["mean_shift"]
        amount_shape = range(most_left + most_right + 1)

        def amount(right_shift: Value) -> Value:
            """A right shift, negative to the left, as one to the right of what has been shifted to the left."""
            limited = Mux(right_shift < -most_left, -most_left, Mux(right_shift > most_right, most_right, right_shift))
            return (limited + most_left)[: len(Signal(amount_shape))]

        # What does not depend on a word is there before the first of them needs it.
        if has_descent:
            up_half, down_half = (Signal(most_mean, name=name) for name in ("up_half", "down_half"))
            m.d.sync += [
                half.eq(value)
                for half, value in zip((up_half, down_half), halves(job.mean_shift, most_mean), strict=True)
            ]
        if "sign" in abilities.optimisers:
            exponent = Signal(range(config.weight_frac + 5))
            strides = Signal(config.weight_bits)
            m.d.comb += [
                exponent.eq(config.weight_frac - rate),
                # All ones stand for what saturates.
                strides.eq(Mux(exponent >= config.weight_bits, -1, C(1) << exponent)),
            ]
            held = [strides, *(Signal(config.weight_bits, name=f"stride{i}") for i in range(at_step - 2 - before))]
            stride, backward = held[-1], Signal(signed(config.weight_bits + 1))
            still, down = Signal(config.acc_bits), Signal(signed(config.acc_bits + 1))
            m.d.sync += [
                *(bound.eq(value) for bound, value in zip((still, down), self._bounds(job), strict=True)),
                *delay(held),
                backward.eq(Mux(held[-2].all(), -(1 << config.weight_bits), -held[-2])),
            ]
        if has_moments:
            m.d.comb += self.share.use.eq(valid[at_gradient])
            m.d.comb += self.share.square.eq(1)
        is_rmsprop, is_sign = job.optimiser == OPTIMISER_RMSPROP, job.optimiser == OPTIMISER_SIGN

        # --- the lanes ---------------------------------------------------------------------------------------
        def direction(lane: int) -> Value:
            """The step by the sign of the mean gradient, a cycle before it is wanted."""
            accumulated = self.acc_fetch.data[lane]
            ways = [Signal(2, name=f"ways{lane}_{i}") for i in range(at_step - self._at_direction)]
            m.d.sync += [ways[0].eq(Cat(accumulated > still, accumulated <= down)), *delay(ways)]
            return Mux(ways[-1][0], stride, Mux(ways[-1][1], backward, 0))

        def descent(lane: int) -> Value:
            """The step by the mean gradient itself, a cycle before it is wanted."""
            # Gradient of the mean over the batch: rounded, shifted, saturated.
            accumulated = self.acc_fetch.data[lane]
            rounded = Signal(signed(config.acc_bits + 1), name=f"rounded{lane}")
            mean = Signal.like(rounded, name=f"mean{lane}")
            gradient = [
                Signal(signed(config.grad_bits), name=f"gradient{lane}_{i}") for i in range(at_shift - at_gradient + 1)
            ]
            with m.If(valid[at_gradient - 3]):
                m.d.sync += rounded.eq(accumulated + Mux(accumulated < 0, down_half, up_half))
            with m.If(valid[at_gradient - 2]):
                m.d.sync += mean.eq(rounded >> job.mean_shift)
            with m.If(valid[at_gradient - 1]):
                m.d.sync += gradient[0].eq(saturate(mean, config.grad_bits))
            m.d.sync += delay(gradient)
            # Second moment, and the shift by its root.
            right_shift = rate + shift
            if has_moments:
                m.d.comb += self.share.columns[lane].eq(gradient[0])
                squared, moment = Signal(config.moment_bits, name=f"squared{lane}"), self.moment_fetch.data[lane]
                difference = Signal(signed(config.moment_bits + 1), name=f"difference{lane}")
                earlier = Signal(config.moment_bits, name=f"earlier{lane}")
                followed = Signal(config.moment_bits, name=f"moment{lane}")
                product = self.share.products[lane][: 2 * config.grad_bits - 1]
                found = product >> 2 * config.acc_frac - config.moment_frac
                beyond = found[config.moment_bits :].any()
                m.d.comb += [
                    squared.eq(Mux(beyond, config.moment.high, found)),
                    self.moment_write.data[lane].eq(Mux(clears, 0, followed)),
                ]
                with m.If(valid[at_square]):
                    m.d.sync += [difference.eq(squared - moment), earlier.eq(moment)]
                with m.If(valid[at_difference]):
                    m.d.sync += followed.eq(earlier + Mux(is_rmsprop, difference >> job.decay, 0))
                length, least = bit_length(followed), config.moment_frac + 1 - job.floor
                root = Signal(signed(len(length) + 1), name=f"root{lane}")
                with m.If(valid[at_root - 1]):
                    m.d.sync += root.eq((Mux(length > least, length, least) - config.moment_frac) >> 1)
                right_shift = right_shift + Mux(is_rmsprop, root, 0)
            shifts, stepped = Signal(amount_shape, name=f"shift{lane}"), gradient[-1]
            shifts_then = Signal.like(shifts, name=f"shift_then{lane}")
            lifted = stepped << most_left
            rounded_step = Signal(signed(len(lifted) + 1), name=f"rounded_step{lane}")
            shifted_step = Signal.like(rounded_step, name=f"shifted_step{lane}")
            half_up, half_down = halves(shifts, most_left + most_right)
            with m.If(valid[at_shift - 1]):
                m.d.sync += shifts.eq(amount(right_shift))
            with m.If(valid[at_shift]):
                m.d.sync += [rounded_step.eq(lifted + Mux(stepped < 0, half_down, half_up)), shifts_then.eq(shifts)]
            with m.If(valid[at_shift + 1]):
                m.d.sync += shifted_step.eq(rounded_step >> shifts_then)
            return saturate(shifted_step, config.weight_bits + 1)

        for lane in range(config.lanes):
            computed = descent(lane) if has_descent else direction(lane)
            if has_descent and "sign" in abilities.optimisers:
                computed = Mux(is_sign, direction(lane), computed)
            step, weight = (
                Signal(signed(config.weight_bits + 1), name=f"step{lane}"),
                Signal(signed(config.weight_bits), name=f"weight{lane}"),
            )
            with m.If(valid[at_step - 1]):
                m.d.sync += step.eq(computed)
            m.d.sync += weight.eq(self.weight_fetch.data[lane])
            m.d.comb += self.weight_write.data[lane].eq(saturate(weight + step, config.weight_bits))
        return m

    def _bounds(self, job: data.View) -> tuple[Value, Value]:
        """The highest accumulator whose sign does not move a weight up, and the highest that moves it down.

        The mean of a batch is rounded to the grid, halves away from zero: with 2**t for half of the grid's distance (1
        for a grid as fine as the gradient) and s for the shift to the mean, a weight moves for magnitudes from
        2**(t + s) - 2**s / 2 on. One less has ones below bit t + s but for bit s - 1; its complement is the other
        bound. A gradient that is saturated before it is rounded may never come so far.
        """
        config = self.config
        half = Mux(job.grid >= config.acc_frac - 1, 0, (config.acc_frac - 1 - job.grid).as_unsigned())
        reach = half + job.mean_shift
        ones = [(reach > bit) & (job.mean_shift != bit + 1) for bit in range(config.acc_bits + 1)]
        # No accumulator has a magnitude with the highest bit set.
        never = [ones[-1] | ones[-2] | (half > config.gradient.high.bit_length() - 1 + more) for more in (0, 1)]
        highest, lowest = (Cat(*ones[:-2], out_of_reach) for out_of_reach in never)
        return highest, Cat(~lowest, 1).as_signed()
