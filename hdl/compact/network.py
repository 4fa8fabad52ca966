"""The compact core's program: events, potentials and activities on their way to rest (docs/numerics.md)."""

from __future__ import annotations

from golden.config import DeviceConfig
from golden.kernels import ACTION, HIDDEN, OBSERVATION, constants
from golden.protocol import Section
from hdl.compact.assembler import Assembler, Operand, Register
from hdl.compact.instructions import Op
from hdl.compact.places import Places
from hdl.compact.softmax import Softmax


class Network:
    """The dynamics that decisions and samples share.

    Golden twin: :mod:`golden.kernels`; routines bear the names of its functions.

    Attributes
    ----------
    feed_forward: routine; the start of a decision.
    events, row_words: of the transaction, so far. passes: of the last :meth:`settling`.
    """

    def __init__(self, p: Assembler, config: DeviceConfig, places: Places, softmax: Softmax) -> None:
        self._p, self.config, self.places, self._softmax = p, config, places, softmax
        self.c = constants(config)
        self.events, self.row_words, self.passes = p.registers("events row_words passes")
        self._i, self._j, self._k, self._value, self._other, self._row = p.registers("i j k x y row")
        # Arguments of the routines.
        self._activity, self._first, self._last, self._span_low, self._span_size, self._span_words = p.registers(
            "activity move_first move_last span_low span_size span_words"
        )
        self._groups, self._most, self._finish = p.registers("settle_groups settle_most settle_finish")
        self.feed_forward, self._move, self._move_all, self._settle, self._hidden_jump = map(
            p.label, ("feed_forward", "move", "move_all", "settle", "hidden_jump")
        )

    def copy(self, source: int, target: int) -> None:
        """An array of one value per neuron."""
        p, at = self._p, self._p.register("x_at")
        with p.count(self._i, source, source + self.config.neurons):
            p.emit(Op.LOAD, self._value, self._i, 0)
            p.add(at, self._i, target - source)
            p.emit(Op.STORE, None, at, self._value)

    def one_hot(self, first: Operand, winner: Register) -> None:
        """The fresh activity of one neuron, ``first + winner``, becomes 1."""
        p, at = self._p, self._p.register("x_at")
        p.add(at, first, winner)
        p.add(at, at, self.places.fresh)
        p.emit(Op.STORE, None, at, 1 << self.c.activity_frac)

    def clear_fresh(self, first: int, last: int) -> None:
        """Fresh activities of some neurons become 0."""
        with self._p.count(self._i, self.places.fresh + first, self.places.fresh + last):
            self._p.emit(Op.STORE, None, self._i, 0)

    def jump_hidden(self, activity: int) -> None:
        """The activity at a place: its hidden groups become those of the winners."""
        p = self._p
        p.move(self._activity, activity)
        p.call(self._hidden_jump)

    def jump_all(self, activity: int) -> None:
        """The activity at a place becomes the fresh one, action group included."""
        p = self._p
        p.move(self._activity, activity)
        p.move(self._groups, self.config.groups + 1)
        p.call(self._move_all)

    def settling(self, activity: int, groups: int, most: int, finish: Operand) -> None:
        """``settle`` the activity at a place; ``finish`` not 0 adds the events of the last pass too."""
        p = self._p
        p.move(self._activity, activity)
        p.move(self._groups, groups)
        p.move(self._most, most)
        p.move(self._finish, finish)
        p.call(self._settle)

    def action_softmax(self, activity: int) -> None:
        """Activities of the action group of its potentials, to a place."""
        p, config, softmax = self._p, self.config, self._softmax
        at, fresh = p.registers("x_at fresh")
        p.move(softmax.low, config.hidden)
        p.move(softmax.high, config.neurons)
        p.call(softmax.exponentials)
        p.call(softmax.reciprocal)
        softmax.normalising(config.activity_frac)
        with p.count(self._j, config.hidden, config.neurons):
            p.add(at, self._j, self.places.terms)
            softmax.normalised(fresh, at, config.activity_frac)
            p.add(at, self._j, activity)
            p.emit(Op.STORE, None, at, fresh)

    # --- routines ------------------------------------------------------------------------------------------
    def routines(self) -> None:
        """Their code."""
        self._write_feed_forward()
        self._write_move()
        self._write_settle()
        self._write_jump()

    def _write_feed_forward(self) -> None:
        p, c, config, places = self._p, self.c, self.config, self.places
        n, weight = config.neurons, places.start[Section.WEIGHT]
        low, high = (int(bound) for bound in c.spans[OBSERVATION])
        with p.routine(self.feed_forward):
            p.move(self.events, 0)
            p.move(self.row_words, 0)
            p.move(self._k, places.q)
            with p.count(self._j, 0, n):
                p.emit(Op.LOAD, self._value, self._j, weight + config.sources * n)
                p.emit(Op.SHL, self._value, self._value, config.drive_frac)
                p.emit(Op.STOREP, None, self._j, self._value)
                p.emit(Op.STORE, None, self._k, 0)
                p.add(self._k, self._k, 1)
            if low < high:
                p.emit(Op.SPAN, None, low, high - low)
                p.move(self._row, weight + n * n + low)
                with p.count(self._i, places.obs, places.obs + config.inputs):
                    p.emit(Op.LOAD, self._value, self._i, 0)
                    with p.when(Op.BNE, self._value, 0):
                        p.emit(Op.SHL, self._value, self._value, c.obs_shift)
                        p.emit(Op.ROW, None, self._row, self._value)
                        p.add(self.events, self.events, 1)
                        p.add(self.row_words, self.row_words, int(c.span_words[OBSERVATION]))
                    p.add(self._row, self._row, n)
            if c.start:
                for first, last, size in (
                    (0, config.hidden, config.group_size),
                    (config.hidden, n, config.actions),
                ):
                    uniform = ((2 << c.activity_frac) + size) // (2 * size)
                    with p.count(self._i, places.fresh + first, places.fresh + last):
                        p.emit(Op.STORE, None, self._i, uniform)
                p.move(self._activity, places.q)
                p.move(self._groups, config.groups + 1)
                p.call(self._move_all)

    def _write_move(self) -> None:
        """``move_all`` of the activity that ``activity`` points to, of ``settle_groups`` groups."""
        p, c, config, places = self._p, self.c, self.config, self.places
        n, weight = config.neurons, places.start[Section.WEIGHT]
        change, at = p.registers("moved moved_at")
        with p.routine(self._move):
            with p.when(Op.BNE, self._span_size, 0):
                p.emit(Op.SPAN, None, self._span_low, self._span_size)
            with p.count(self._i, self._first, self._last):
                p.emit(Op.LOAD, self._value, self._i, places.fresh)
                p.emit(Op.LOAD, self._other, self._i, self._activity)
                p.sub(change, self._value, self._other)
                same = p.label("same")
                p.branch((Op.BEQ, change, 0), same)
                p.add(at, self._i, self._activity)
                p.emit(Op.STORE, None, at, self._value)
                p.branch((Op.BEQ, self._span_size, 0), same)
                p.emit(Op.SHL, change, change, 1 + c.activity_shift)
                p.emit(Op.ROW, None, self._row, change)
                p.add(self.events, self.events, 1)
                p.add(self.row_words, self.row_words, self._span_words)
                p.place(same)
                p.add(self._row, self._row, n)
        with p.routine(self._move_all):
            hidden_only = p.label("hidden_only")
            for kind, first, last in ((HIDDEN, 0, config.hidden), (ACTION, config.hidden, n)):
                low, high = (int(bound) for bound in c.spans[kind])
                if kind == ACTION:
                    p.branch((Op.BGE, config.groups, self._groups), hidden_only)
                p.move(self._first, first)
                p.move(self._last, last)
                p.move(self._row, weight + first * n + low)
                p.move(self._span_low, low)
                p.move(self._span_size, high - low)
                p.move(self._span_words, int(c.span_words[kind]))
                p.call(self._move)
            p.place(hidden_only)

    def _write_settle(self) -> None:
        """Softmax passes of the activity that ``activity`` points to; ``passes`` counts them."""
        p, config, places, softmax = self._p, self.config, self.places, self._softmax
        group = softmax.group
        changed, fresh, at = p.registers("changed fresh x_at")
        with p.routine(self._settle):
            again, done, move = map(p.label, ("again", "settled", "moves"))
            passes = p.register("settle_passes")
            p.move(passes, 0)
            p.place(again)
            p.add(passes, passes, 1)
            p.move(changed, 0)
            with p.count(group, 0, self._groups):
                p.call(softmax.bounds)
                p.call(softmax.exponentials)
                p.add(at, group, places.totals)
                p.emit(Op.STORE, None, at, softmax.total)
                p.call(softmax.reciprocal)
                softmax.normalising(config.activity_frac)
                with p.count(self._j, softmax.low, softmax.high):
                    p.add(at, self._j, places.terms)
                    softmax.normalised(fresh, at, config.activity_frac)
                    p.add(at, self._j, places.fresh)
                    p.emit(Op.STORE, None, at, fresh)
                    p.emit(Op.LOAD, self._other, self._j, self._activity)
                    p.emit(Op.XOR, self._other, self._other, fresh)
                    p.emit(Op.OR, changed, changed, self._other)
            p.branch((Op.BEQ, changed, 0), done)
            p.branch((Op.BLT, passes, self._most), move)
            p.branch((Op.BNE, self._finish, 0), move)
            # The last pass moves nothing: its activity counts, its events do not.
            p.move(self._last, softmax.high)
            with p.count(self._i, 0, self._last):
                p.emit(Op.LOAD, self._value, self._i, places.fresh)
                p.add(at, self._i, self._activity)
                p.emit(Op.STORE, None, at, self._value)
            p.jump(done)
            p.place(move)
            p.call(self._move_all)
            p.branch((Op.BLT, passes, self._most), again)
            p.place(done)
            p.move(self.passes, passes)

    def _write_jump(self) -> None:
        p, config, places, low = self._p, self.config, self.places, self._softmax.low
        group = self._softmax.group
        with p.routine(self._hidden_jump):
            self.clear_fresh(0, config.hidden)
            p.move(low, 0)
            with p.count(group, 0, config.groups):
                p.emit(Op.LOAD, self._value, group, places.winners)
                self.one_hot(low, self._value)
                p.add(low, low, config.group_size)
            p.move(self._groups, config.groups)
            p.call(self._move_all)
