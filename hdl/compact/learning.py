"""The compact core's program: samples (docs/learning.md, docs/numerics.md)."""

from __future__ import annotations

from golden.arguments import RULES
from golden.kernels import ACTION, HIDDEN, OBSERVATION
from golden.protocol import FLAG_COUNTERS, LEARN_COUNTERS, RULE_FLAGS, Section, Status
from hdl.compact.assembler import Assembler, Operand, Register
from hdl.compact.frames import Frames
from hdl.compact.inference import Inference
from hdl.compact.instructions import Op
from hdl.compact.rounding import Rounding


class Learning:
    """``LEARN``.

    Golden twin: :mod:`golden.plasticity`.
    """

    def __init__(self, p: Assembler, frames: Frames, inference: Inference, rounding: Rounding) -> None:
        self._p, self._frames, self._inference, self._rounding = p, frames, inference, rounding
        self.config, self.places, self.c = inference.config, inference.places, inference.network.c
        self._rule, self._action, self._modulator, self._scale, self._words = p.registers(
            "rule action modulator scale learn_words"
        )
        self._own, self._own_change, self._others, self._row, self._low, self._high = p.registers(
            "own own_change others acc_row acc_low acc_high"
        )
        self._accumulate = p.label("accumulate")
        self._i, self._j, self._x, self._y, self._at = p.registers("i j x y x_at")

    def learn(self) -> None:
        """The whole command, header apart."""
        p, frames, inference, config, places = self._p, self._frames, self._inference, self.config, self.places
        rules = places.abilities.rules
        total = p.register("all_passes")
        p.emit(Op.AND, self._rule, frames.flags, RULE_FLAGS)
        frames.read(signed=True)
        frames.fail_outside(Status.VALUE, config.modulator.low, config.modulator.high)
        p.move(self._modulator, frames.value)
        frames.read()
        frames.fail_outside(Status.VALUE, 0, config.actions - 1)
        p.move(self._action, frames.value)
        inference.read_obs()
        with p.when(Op.BNE, self._rule, RULES["contrastive"]):
            inference.read_given()
        frames.end()
        inference.begin()
        p.emit(Op.STORE, None, places.winners + config.groups, self._action)
        p.call(inference.network.feed_forward)
        # Only the published rule does not look at the potentials again.
        finish = p.register("settle_finish")
        p.emit(Op.XOR, finish, self._rule, RULES["published"])
        inference.network.settling(places.q, config.groups + 1, config.iterations, finish)
        p.move(total, inference.network.passes)
        inference.network.copy(places.q, places.trace)
        inference.network.copy(places.q, places.cross)
        known = p.label("change_known")
        if "contrastive" in rules:
            with p.when(Op.BEQ, self._rule, RULES["contrastive"]):
                self._clamp(total)
                p.jump(known)
        if rules - {"contrastive"}:
            if "conditional" in rules:
                with p.when(Op.BEQ, self._rule, RULES["conditional"]):
                    inference.network.jump_hidden(places.cross)
                    inference.network.action_softmax(places.trace)
            self._surprise()
        p.place(known)
        self._sample()
        self._answer(total)

    def _clamp(self, total: Register) -> None:
        """The clamped phase; trace and cross become its activity, the change that from the free one to it."""
        p, inference, config, places = self._p, self._inference, self.config, self.places
        inference.network.copy(places.trace, places.fresh)
        inference.network.clear_fresh(config.hidden, config.neurons)
        inference.network.one_hot(config.hidden, self._action)
        inference.network.jump_all(places.trace)
        inference.network.settling(places.trace, config.groups, config.clamp_iterations, 0)
        p.add(total, total, inference.network.passes)
        inference.network.copy(places.trace, places.cross)
        with p.count(self._i, 0, config.neurons):
            p.emit(Op.LOAD, self._x, self._i, places.trace)
            p.emit(Op.LOAD, self._y, self._i, places.q)
            p.sub(self._x, self._x, self._y)
            p.add(self._at, self._i, places.change)
            p.emit(Op.STORE, None, self._at, self._x)

    def _surprise(self) -> None:
        """The change of the other rules: winners, one-hot, less the activity."""
        p, config, places = self._p, self.config, self.places
        first, winner, group = p.registers("group_low winner group")
        with p.count(self._i, 0, config.neurons):
            p.emit(Op.LOAD, self._x, self._i, places.trace)
            p.sub(self._x, 0, self._x)
            p.add(self._at, self._i, places.change)
            p.emit(Op.STORE, None, self._at, self._x)
        p.move(first, places.change)
        with p.count(group, 0, config.groups + 1):
            p.emit(Op.LOAD, winner, group, places.winners)
            p.add(self._at, first, winner)
            p.emit(Op.LOAD, self._x, self._at, 0)
            p.add(self._x, self._x, 1 << config.activity_frac)
            p.emit(Op.STORE, None, self._at, self._x)
            p.add(first, first, config.group_size)

    # --- accumulation --------------------------------------------------------------------------------------
    def _sample(self) -> None:
        """``accumulate_sample``, both triangles; every synapse that exists gets one amount, so the order is free."""
        p, config, places, c = self._p, self.config, self.places, self.c
        n, acc = config.neurons, places.start[Section.ACC]
        done = p.label("accumulated")
        moved_words = [p.register(f"moved_words{kind}") for kind in range(3)]
        moves = p.register("moves")
        p.move(self._words, 0)
        self._count_moved(moves, moved_words)
        p.branch((Op.BEQ, moves, 0), done)
        p.branch((Op.BEQ, self._modulator, 0), done)
        # The rows of the recurrent block.
        p.move(self._scale, self._modulator)
        if "contrastive" in places.abilities.rules:
            with p.when(Op.BEQ, self._rule, RULES["contrastive"]):
                p.add(self._scale, self._scale, self._scale)
        change, free, group, end = p.registers("change_i q_i group group_end")
        p.move(self._i, 0)
        p.move(self._row, acc)
        rounding = self._rounding
        p.move(rounding.shift, c.shift_recurrent)
        for kind, groups, size in ((HIDDEN, config.groups, config.group_size), (ACTION, 1, config.actions)):
            low, high = (int(bound) for bound in c.spans[kind])
            with p.count(group, 0, groups):
                p.move(p.register("group_begin"), self._i)
                p.add(end, self._i, size)
                again, next_row = p.label("rows"), p.label("next_row")
                p.place(again)
                p.emit(Op.LOAD, change, self._i, places.change)
                p.emit(Op.LOAD, free, self._i, places.q)
                p.emit(Op.OR, self._x, change, free)
                p.branch((Op.BEQ, self._x, 0), next_row)
                p.emit(Op.MUL, self._own_change, self._scale, change)
                words = p.register("row_count")
                p.move(words, moved_words[kind])
                with p.when(Op.BNE, change, 0):
                    p.move(words, int(c.span_words[kind]))
                p.add(self._words, self._words, words)
                if kind == HIDDEN:
                    self._hidden_row(low, high)
                elif high > low:
                    self._segment(places.q, places.cross, low, high)
                p.place(next_row)
                p.add(self._row, self._row, n)
                p.add(self._i, self._i, 1)
                p.branch((Op.BLT, self._i, end), again)
        # Those of the observations, and the biases.
        p.move(self._own_change, 0)
        p.move(self._others, places.q)
        low, high = (int(bound) for bound in c.spans[OBSERVATION])
        if low < high:
            p.move(rounding.shift, c.shift_obs)
            with p.count(self._i, places.obs, places.obs + config.inputs):
                p.emit(Op.LOAD, self._x, self._i, 0)
                with p.when(Op.BNE, self._x, 0):
                    p.add(self._words, self._words, moved_words[OBSERVATION])
                    p.emit(Op.MUL, self._own, self._modulator, self._x)
                    self._columns(low, high)
                p.add(self._row, self._row, n)
        p.move(self._row, acc + config.sources * n)
        p.move(rounding.shift, c.shift_bias)
        p.move(self._own, self._modulator)
        self._columns(0, n)
        p.place(done)

    def _count_moved(self, moves: Register, moved_words: list[Register]) -> None:
        """How many activities change, and in how many row words of each span."""
        p, places, c = self._p, self.places, self.c
        word = [p.register(f"last_word{kind}") for kind in range(3)]
        p.move(moves, 0)
        for kind in range(3):
            p.move(moved_words[kind], 0)
            p.move(word[kind], -1)
        with p.count(self._j, 0, self.config.neurons):
            p.emit(Op.LOAD, self._x, self._j, places.change)
            with p.when(Op.BNE, self._x, 0):
                p.add(moves, moves, 1)
                p.emit(Op.LOADT, self._y, self._j, places.table_start("word"))
                for kind in range(3):
                    outside = p.label("outside")
                    low, high = (int(bound) for bound in c.spans[kind])
                    p.branch((Op.BLT, self._j, low), outside)
                    p.branch((Op.BGE, self._j, high), outside)
                    p.branch((Op.BEQ, self._y, word[kind]), outside)
                    p.move(word[kind], self._y)
                    p.add(moved_words[kind], moved_words[kind], 1)
                    p.place(outside)

    def _hidden_row(self, low: int, high: int) -> None:
        """Synapses of a hidden neuron to those of other hidden groups, and to the action group."""
        p, places, hidden = self._p, self.places, self.config.hidden
        if low == 0 and high > low:
            begin, end = p.registers("group_begin group_end")
            for first, last in ((0, begin), (end, hidden)):
                with p.when(Op.BNE, first, last):
                    self._segment(places.trace, places.q, first, last)
        if high > hidden:
            self._segment(places.cross, places.q, hidden, high)

    def _segment(self, factor: int, others: int, low: Operand, high: Operand) -> None:
        """Columns of one row: the change times ``factor``, and the others' values times the own change."""
        p = self._p
        p.emit(Op.LOAD, self._x, self._i, factor)
        p.emit(Op.MUL, self._own, self._scale, self._x)
        p.move(self._others, others)
        self._columns(low, high)

    def _columns(self, low: Operand, high: Operand) -> None:
        p = self._p
        p.move(self._low, low)
        p.move(self._high, high)
        p.call(self._accumulate)

    def _answer(self, total: Register) -> None:
        p, frames, inference = self._p, self._frames, self._inference
        p.emit(Op.AND, self._x, frames.flags, FLAG_COUNTERS)
        with p.when(Op.BEQ, self._x, 0):
            frames.answer(last=True)
        cycles, zero = p.registers("cycles zero")
        inference.elapsed(cycles)
        p.move(zero, 0)
        counters = {
            "events": inference.network.events,
            "row_words": inference.network.row_words,
            "learn_words": self._words,
            "cycles": cycles,
            "stalls": zero,
        }
        frames.answer(last=False)
        frames.send(total)
        for name in LEARN_COUNTERS:
            frames.send_pair(counters[name], last=name == LEARN_COUNTERS[-1])

    def routines(self) -> None:
        """Their code."""
        p, c, places, rounding = self._p, self.c, self.places, self._rounding
        change, amount, value, at, limit = p.registers("change_j amount accumulated acc_at acc_limit")
        amount = rounding.value
        with p.routine(self._accumulate):
            again, skip, store, down = map(p.label, ("columns", "skip", "store", "down"))
            p.move(self._j, self._low)
            p.place(again)
            p.emit(Op.LOAD, change, self._j, places.change)
            with p.when(Op.BEQ, self._own_change, 0):
                p.branch((Op.BEQ, change, 0), skip)
            p.emit(Op.MUL, amount, self._own, change)
            p.emit(Op.LOAD, value, self._j, self._others)
            p.emit(Op.MUL, value, self._own_change, value)
            p.add(amount, amount, value)
            p.call(rounding.entry)
            p.add(at, self._row, self._j)
            p.emit(Op.LOAD, value, at, 0)
            # The sum saturates: it never leaves 32 bits, because the limit of the other summand does not.
            p.branch((Op.BLT, amount, 0), down)
            p.sub(limit, c.acc_high, amount)
            p.emit(Op.MIN, value, value, limit)
            p.jump(store)
            p.place(down)
            p.sub(limit, c.acc_low, amount)
            p.emit(Op.MAX, value, value, limit)
            p.place(store)
            p.add(value, value, amount)
            p.emit(Op.STORE, None, at, value)
            p.place(skip)
            p.add(self._j, self._j, 1)
            p.branch((Op.BLT, self._j, self._high), again)
