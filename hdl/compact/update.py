"""The compact core's program: updates (docs/numerics.md, "Update")."""

from __future__ import annotations

from golden.arguments import OPTIMISERS, apply_limits
from golden.protocol import UPDATE_ARGUMENTS, Section, Status
from hdl.compact.assembler import Assembler, Register
from hdl.compact.frames import Frames, dispatch
from hdl.compact.inference import Inference
from hdl.compact.instructions import Op
from hdl.compact.rounding import Rounding
from hdl.compact.softmax import HALF_WORD


class Update:
    """``APPLY`` and ``CLEAR``.

    Golden twin: :func:`golden.plasticity.apply_rows`.
    """

    def __init__(self, p: Assembler, frames: Frames, inference: Inference, rounding: Rounding) -> None:
        self._p, self._frames, self._inference, self._rounding = p, frames, inference, rounding
        self.config, self.places = inference.config, inference.places
        self._arguments: dict[str, Register] = {name: p.register(name) for name in UPDATE_ARGUMENTS}
        self._rows = p.label("apply_rows")
        self._at, self._end, self._rate = p.registers("update_at update_end update_rate")

    def clear(self) -> None:
        """``CLEAR``, header apart."""
        p, cleared = self._p, self.places.cleared
        self._frames.end()
        with p.count(self._at, cleared.start, cleared.stop):
            p.emit(Op.STORE, None, self._at, 0)
        self._frames.answer(last=True)

    def apply(self) -> None:
        """``APPLY``, header apart."""
        p, frames, config, places = self._p, self._frames, self.config, self.places
        optimisers = [name for name in OPTIMISERS if name in places.abilities.optimisers]
        limits = {name: apply_limits(config, name) for name in optimisers}
        high = p.register("limit_high")
        for name, register in self._arguments.items():
            frames.read(signed=True)
            bounds = {limits[optimiser][name] for optimiser in optimisers}
            low = min(bound[0] for bound in bounds)
            assert {bound[0] for bound in bounds} == {low}
            p.move(high, max(bound[1] for bound in bounds))
            for optimiser in optimisers:
                if len(bounds) > 1:
                    with p.when(Op.BEQ, frames.flags, OPTIMISERS[optimiser]):
                        p.move(high, limits[optimiser][name][1])
            frames.fail_outside(Status.VALUE, low, high)
            p.move(register, frames.value)
        frames.end()
        self._inference.begin()
        n, weight = config.neurons, places.start[Section.WEIGHT]
        p.move(self._at, weight)
        for rows, rate in ((n, "rate"), (config.sources, "obs_rate"), (config.sources + 1, "rate")):
            p.move(self._end, weight + rows * n)
            p.move(self._rate, self._arguments[rate])
            p.call(self._rows)
        cycles = p.register("cycles")
        self._inference.elapsed(cycles)
        frames.answer(last=False)
        frames.send_pair(cycles, last=True)

    def routines(self) -> None:
        """Their code."""
        p, config, places, rounding = self._p, self.config, self.places, self._rounding
        optimisers = places.abilities.optimisers
        acc = places.start[Section.ACC]
        gradient, moment, at, x, y = p.registers("gradient moment section_at x y")
        step = rounding.value
        with p.routine(self._rows):
            again, stepped = p.label("synapses"), p.label("stepped")
            p.place(again)
            p.emit(Op.LOAD, step, self._at, acc)
            p.add(at, self._at, acc)
            p.emit(Op.STORE, None, at, 0)
            p.move(rounding.shift, self._arguments["mean_shift"])
            p.call(rounding.entry)
            p.clamp(gradient, step, config.gradient.low, config.gradient.high)
            p.move(step, gradient)
            kinds = {name: p.label(name) for name in OPTIMISERS if name in optimisers}
            last = list(kinds)[-1]
            dispatch(p, self._frames.flags, {OPTIMISERS[name]: label for name, label in kinds.items() if name != last})
            for name in (last, *(name for name in kinds if name != last)):
                p.place(kinds[name])
                if name == "sign":
                    self._sign(step)
                else:
                    p.add(rounding.shift, self._rate, config.acc_frac - config.weight_frac)
                    if name == "rmsprop":
                        self._follow(gradient, moment, x, y)
                    p.call(rounding.entry)
                p.jump(stepped)
            p.place(stepped)
            p.emit(Op.LOAD, x, self._at, 0)
            p.add(x, x, step)
            p.clamp(x, x, config.weight.low, config.weight.high)
            p.emit(Op.STORE, None, self._at, x)
            p.add(self._at, self._at, 1)
            p.branch((Op.BLT, self._at, self._end), again)

    def _sign(self, step: Register) -> None:
        """A step of one size, or none."""
        p, rounding, config = self._p, self._rounding, self.config
        size, zero = p.register("step_size"), p.label("no_step")
        p.sub(rounding.shift, config.acc_frac, self._arguments["grid"])
        p.call(rounding.entry)
        p.sub(size, config.weight_frac, self._rate)
        p.emit(Op.SHL, size, 1, size)
        p.branch((Op.BEQ, step, 0), zero)
        with p.when(Op.BLT, step, 0):
            p.sub(size, 0, size)
        p.move(step, size)
        p.place(zero)

    def _follow(self, gradient: Register, moment: Register, x: Register, y: Register) -> None:
        """The second moment follows; its root goes into the shift."""
        p, rounding, config = self._p, self._rounding, self.config
        first, at = self.places.start[Section.MOMENT], p.register("section_at")
        # The square, less its lowest bits: those from 16 on come from MULH.
        dropped = 2 * config.acc_frac - config.moment_frac
        p.emit(Op.MULH, x, gradient, gradient)
        if dropped < HALF_WORD:
            p.emit(Op.MUL, y, gradient, gradient)
            p.emit(Op.AND, y, y, (1 << HALF_WORD) - 1)
            p.emit(Op.SHR, y, y, dropped)
            p.emit(Op.MIN, x, x, (1 << (31 - HALF_WORD + dropped)) - 1)
            p.emit(Op.SHL, x, x, HALF_WORD - dropped)
            p.emit(Op.OR, x, x, y)
        else:
            p.emit(Op.SHR, x, x, dropped - HALF_WORD)
        p.emit(Op.MIN, x, x, config.moment.high)
        p.emit(Op.LOAD, moment, self._at, first)
        p.sub(x, x, moment)
        p.emit(Op.SAR, x, x, self._arguments["decay"])
        p.add(moment, moment, x)
        p.add(at, self._at, first)
        p.emit(Op.STORE, None, at, moment)
        p.sub(y, config.moment_frac, self._arguments["floor"])
        p.emit(Op.SHL, y, 1, y)
        p.emit(Op.MAX, y, y, moment)
        p.emit(Op.LEN, y, y)
        p.sub(y, y, config.moment_frac)
        p.emit(Op.SAR, y, y, 1)
        p.add(rounding.shift, rounding.shift, y)
