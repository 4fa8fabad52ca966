"""The compact core's program: decisions (docs/numerics.md)."""

from __future__ import annotations

from golden.arguments import POLICIES, obs_range
from golden.config import (
    DRAW_BITS,
    EXP_FRAC,
    RECIPROCAL_FRAC,
    RECIPROCAL_INDEX_BITS,
    RECIPROCAL_REMAINDER_BITS,
    DeviceConfig,
)
from golden.kernels import ACTION, HIDDEN, OBSERVATION, constants
from golden.protocol import COUNTERS, FLAG_ACTIVITY, FLAG_GIVEN, NONCE_WORDS, POLICY_FLAGS, Section, Status
from golden.rng import DRAWS_PER_BLOCK, PARITY, ROTATIONS, ROUNDS, STREAM_WINNERS
from hdl.compact.assembler import Assembler, Operand, Register
from hdl.compact.frames import Frames
from hdl.compact.instructions import Op
from hdl.compact.places import Places

HALF_WORD = 16
"""Bits of a draw, and those that MULH leaves out below."""


class Inference:
    """Everything between the observations and the winners.

    Golden twin: :mod:`golden.kernels`; routines bear the names of its functions.

    Attributes
    ----------
    events, row_words, passes: of the transaction, so far.
    began: cycles at its beginning.
    """

    def __init__(self, p: Assembler, config: DeviceConfig, places: Places, frames: Frames) -> None:
        self._p, self.config, self.places, self._frames = p, config, places, frames
        self.c = constants(config)
        self.events, self.row_words, self.passes, self.began = p.registers("events row_words passes began")
        self._i, self._j, self._k, self._value, self._other, self._row = p.registers("i j k x y row")
        # Arguments of the routines.
        self._low, self._high, self._total = p.registers("group_low group_high total")
        self._activity, self._first, self._last, self._span_low, self._span_size, self._span_words = p.registers(
            "activity move_first move_last span_low span_size span_words"
        )
        self._groups, self._most, self._finish = p.registers("settle_groups settle_most settle_finish")
        self._reciprocal, self._half, self._shift = p.registers("reciprocal half shift")
        self._nonce = p.registers("nonce0 nonce1")
        (
            self.feed_forward, self.move, self._move_kinds, self.settle, self._exponentials, self._normaliser,
            self._draw_winner, self._make_draws, self._hidden_jump, self._action_probabilities, self._bounds,
        ) = map(p.label, (
            "feed_forward", "move", "move_all", "settle", "exponentials", "reciprocal", "draw_winner", "draw_into",
            "hidden_jump", "probabilities", "bounds",
        ))  # fmt: skip

    # --- what a frame begins with --------------------------------------------------------------------------
    def read_obs(self) -> None:
        """Observations from the frame, checked."""
        p, frames, (low, high) = self._p, self._frames, obs_range(self.config)
        with p.count(self._i, self.places.obs, self.places.obs + self.config.inputs):
            frames.read(signed=True)
            frames.fail_outside(Status.VALUE, low, high)
            p.emit(Op.STORE, None, self._i, frames.value)

    def read_given(self) -> None:
        """Winners of the hidden groups from the frame, checked."""
        p, frames = self._p, self._frames
        with p.count(self._i, self.places.winners, self.places.winners + self.config.groups):
            frames.read()
            frames.fail_outside(Status.VALUE, 0, self.config.group_size - 1)
            p.emit(Op.STORE, None, self._i, frames.value)

    def begin(self) -> None:
        """The transaction begins, once its frame is known to be right."""
        self._p.emit(Op.CYCLES, self.began)

    def elapsed(self, cycles: Register) -> None:
        """Cycles since."""
        self._p.emit(Op.CYCLES, cycles)
        self._p.sub(cycles, cycles, self.began)

    # --- INFER ---------------------------------------------------------------------------------------------
    def infer(self) -> None:
        """The whole command, header apart."""
        p, frames, config, places = self._p, self._frames, self.config, self.places
        policy, given = p.registers("policy given")
        nonce = [*self._nonce]
        p.emit(Op.AND, policy, frames.flags, POLICY_FLAGS)
        p.emit(Op.AND, given, frames.flags, FLAG_GIVEN)
        assert 2 * len(nonce) == NONCE_WORDS
        for word in nonce:
            frames.read_pair()
            p.move(word, frames.value)
        self.read_obs()
        with p.when(Op.BNE, given, 0):
            self.read_given()
        frames.end()
        self.begin()
        p.call(self.feed_forward)
        p.move(self._finish, 0)
        with p.when(Op.BEQ, policy, POLICIES["conditional"]):
            p.move(self._finish, 1)
        self.settling(places.q, config.groups + 1, config.iterations, self._finish)
        greedy, chosen = p.label("greedy"), p.label("chosen")
        p.branch((Op.BEQ, policy, POLICIES["greedy"]), greedy)
        self._sample(policy, given)
        p.jump(chosen)
        p.place(greedy)
        self._largest()
        p.place(chosen)
        cycles = p.register("cycles")
        self.elapsed(cycles)
        self._answer(cycles)

    def _sample(self, policy: Register, given: Register) -> None:
        """Winners by chance."""
        p, places, groups = self._p, self.places, self.config.groups
        done = p.label("drawn")
        p.call(self._make_draws)
        group = p.register("group")
        with p.count(group, 0, groups + 1):
            given_already = p.label("given_already")
            with p.when(Op.BNE, given, 0):
                p.branch((Op.BLT, group, groups), given_already)
            p.emit(Op.LOAD, self._total, group, places.totals)
            p.call(self._draw_winner)
            p.place(given_already)
        p.branch((Op.BNE, policy, POLICIES["conditional"]), done)
        # What is reported is the activity before the jump.
        self.copy(places.q, places.cross)
        self.jump_hidden(places.cross)
        p.move(self._low, self.config.hidden)
        p.move(self._high, self.config.neurons)
        p.call(self._exponentials)
        p.emit(Op.STORE, None, places.totals + groups, self._total)
        p.move(group, groups)
        p.call(self._draw_winner)
        p.place(done)

    def _largest(self) -> None:
        """Winners of the largest potentials."""
        p, places = self._p, self.places
        group, best, at, value = p.registers("group best best_at x")
        with p.count(group, 0, self.config.groups + 1):
            p.call(self._bounds)
            p.emit(Op.LOADP, best, self._low, 0)
            p.move(at, self._low)
            with p.count(self._j, self._low, self._high):
                p.emit(Op.LOADP, value, self._j, 0)
                with p.when(Op.BLT, best, value):
                    p.move(best, value)
                    p.move(at, self._j)
            p.sub(at, at, self._low)
            p.add(self._k, group, places.winners)
            p.emit(Op.STORE, None, self._k, at)

    def _answer(self, cycles: Register) -> None:
        p, frames, config, places = self._p, self._frames, self.config, self.places
        zero, activity = p.registers("zero with_activity")
        p.move(zero, 0)
        p.emit(Op.AND, activity, frames.flags, FLAG_ACTIVITY)
        frames.answer(last=False)
        frames.send(self.passes)
        counters = {"events": self.events, "row_words": self.row_words, "cycles": cycles, "stalls": zero}
        for name in COUNTERS:
            frames.send_pair(counters[name])
        with p.count(self._i, places.winners, places.winners + config.groups + 1):
            p.emit(Op.LOAD, self._value, self._i, 0)
            frames.send(self._value)
        # Those of the action group, its terms being the last that were made.
        p.emit(Op.LOAD, self._total, places.totals + config.groups, 0)
        p.call(self._normaliser)
        self._normalising(config.prob_frac)
        last = p.label("last_probability")
        with p.count(self._i, places.terms + config.hidden, places.terms + config.neurons - 1):
            self._normalised(self._value, self._i, config.prob_frac)
            frames.send(self._value)
        self._normalised(self._value, self._i, config.prob_frac)
        p.branch((Op.BEQ, activity, 0), last)
        frames.send(self._value)
        with p.count(self._i, places.q, places.q + config.neurons - 1):
            p.emit(Op.LOAD, self._value, self._i, 0)
            frames.send(self._value)
        p.emit(Op.LOAD, self._value, self._i, 0)
        p.place(last)
        frames.send(self._value, last=True)

    # --- routines ------------------------------------------------------------------------------------------
    def routines(self) -> None:
        """Their code."""
        self._write_feed_forward()
        self._write_move()
        self._write_settle()
        self._write_softmax()
        self._write_draws()
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
                p.call(self._move_kinds)

    def _write_move(self) -> None:
        """``move_all`` of the activity that ``activity`` points to, of ``settle_groups`` groups."""
        p, c, config, places = self._p, self.c, self.config, self.places
        n, weight = config.neurons, places.start[Section.WEIGHT]
        change, at = p.registers("moved moved_at")
        with p.routine(self.move):
            no_span = p.label("no_span")
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
                p.branch((Op.BEQ, self._span_size, 0), no_span)
                p.emit(Op.SHL, change, change, 1 + c.activity_shift)
                p.emit(Op.ROW, None, self._row, change)
                p.add(self.events, self.events, 1)
                p.add(self.row_words, self.row_words, self._span_words)
                p.place(no_span)
                p.place(same)
                p.add(self._row, self._row, n)
        with p.routine(self._move_kinds):
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
                p.call(self.move)
            p.place(hidden_only)

    def _write_settle(self) -> None:
        """Softmax passes of the activity that ``activity`` points to; ``passes`` counts them."""
        p, config, places = self._p, self.config, self.places
        group, changed, fresh, at = p.registers("group changed fresh x_at")
        with p.routine(self.settle):
            again, done, move = map(p.label, ("again", "settled", "moves"))
            passes = p.register("settle_passes")
            p.move(passes, 0)
            p.place(again)
            p.add(passes, passes, 1)
            p.move(changed, 0)
            with p.count(group, 0, self._groups):
                p.call(self._bounds)
                p.call(self._exponentials)
                p.add(at, group, places.totals)
                p.emit(Op.STORE, None, at, self._total)
                p.call(self._normaliser)
                self._normalising(config.activity_frac)
                with p.count(self._j, self._low, self._high):
                    p.add(at, self._j, places.terms)
                    self._normalised(fresh, at, config.activity_frac)
                    p.add(at, self._j, places.fresh)
                    p.emit(Op.STORE, None, at, fresh)
                    p.emit(Op.LOAD, self._other, self._j, self._activity)
                    p.emit(Op.XOR, self._other, self._other, fresh)
                    p.emit(Op.OR, changed, changed, self._other)
            p.branch((Op.BEQ, changed, 0), done)
            p.branch((Op.BLT, passes, self._most), move)
            p.branch((Op.BNE, self._finish, 0), move)
            # The last pass moves nothing: its activity counts, its events do not.
            p.move(self._last, self._high)
            with p.count(self._i, 0, self._last):
                p.emit(Op.LOAD, self._value, self._i, places.fresh)
                p.add(at, self._i, self._activity)
                p.emit(Op.STORE, None, at, self._value)
            p.jump(done)
            p.place(move)
            p.call(self._move_kinds)
            p.branch((Op.BLT, passes, self._most), again)
            p.place(done)
            p.move(self.passes, passes)

    def _write_softmax(self) -> None:
        p, c, config, places = self._p, self.c, self.config, self.places
        group, top, depth, octaves, term, at = p.registers("group top depth octaves term x_at")
        value = self._value
        with p.routine(self._bounds):
            # Of the group `group`.
            action = p.label("action")
            p.emit(Op.MUL, self._low, group, config.group_size)
            p.add(self._high, self._low, config.actions)
            p.branch((Op.BEQ, group, config.groups), action)
            p.add(self._high, self._low, config.group_size)
            p.place(action)
        fraction = (1 << c.exp_index_bits) - 1
        right, left = max(c.exp_shift, 0), max(-c.exp_shift, 0)
        with p.routine(self._exponentials):
            p.emit(Op.LOADP, top, self._low, 0)
            with p.count(self._j, self._low, self._high):
                p.emit(Op.LOADP, value, self._j, 0)
                p.emit(Op.MAX, top, top, value)
            p.move(self._total, 0)
            p.add(at, self._low, places.terms)
            with p.count(self._j, self._low, self._high):
                p.emit(Op.LOADP, value, self._j, 0)
                p.sub(depth, top, value)
                if right:
                    p.add(depth, depth, 1 << (right - 1))
                    p.emit(Op.SHR, depth, depth, right)
                elif left:
                    p.emit(Op.SHL, depth, depth, left)
                p.add(octaves, depth, fraction)
                p.emit(Op.SHR, octaves, octaves, c.exp_index_bits)
                p.move(term, 0)
                with p.when(Op.BGE, EXP_FRAC, octaves):
                    p.sub(depth, 0, depth)
                    p.emit(Op.AND, depth, depth, fraction)
                    p.emit(Op.LOADT, term, depth, places.table_start("exp"))
                    p.emit(Op.SHR, term, term, octaves)
                    p.add(self._total, self._total, term)
                p.emit(Op.STORE, None, at, term)
                p.add(at, at, 1)
        # Of `total`; leaves `shift`, its exponent, for :meth:`_normalising`.
        mantissa, slope, width = value, self._other, RECIPROCAL_INDEX_BITS + RECIPROCAL_REMAINDER_BITS
        with p.routine(self._normaliser):
            up, whole = p.label("up"), p.label("whole")
            p.emit(Op.LEN, self._shift, self._total)
            p.sub(self._shift, self._shift, 1)
            p.branch((Op.BLT, self._shift, width), up)
            p.sub(slope, self._shift, width)
            p.emit(Op.SHR, mantissa, self._total, slope)
            p.jump(whole)
            p.place(up)
            p.sub(slope, width, self._shift)
            p.emit(Op.SHL, mantissa, self._total, slope)
            p.place(whole)
            p.emit(Op.AND, depth, mantissa, (1 << RECIPROCAL_REMAINDER_BITS) - 1)
            p.emit(Op.SHR, mantissa, mantissa, RECIPROCAL_REMAINDER_BITS)
            p.emit(Op.AND, mantissa, mantissa, (1 << RECIPROCAL_INDEX_BITS) - 1)
            p.emit(Op.LOADT, slope, mantissa, places.table_start("slope"))
            p.emit(Op.MUL, slope, slope, depth)
            p.emit(Op.SHR, slope, slope, RECIPROCAL_REMAINDER_BITS)
            p.emit(Op.LOADT, self._reciprocal, mantissa, places.table_start("base"))
            p.add(self._reciprocal, self._reciprocal, 1)
            p.sub(self._reciprocal, self._reciprocal, slope)

    def _normalising(self, frac: int) -> None:
        """After the reciprocal: outputs of the softmax will have ``frac`` fraction bits.

        Their shift, ``RECIPROCAL_FRAC + exponent - frac``, is above the 16 bits that MULH leaves out, so that rounding
        needs none of these.
        """
        p = self._p
        p.add(self._shift, self._shift, RECIPROCAL_FRAC - frac - HALF_WORD)
        p.sub(self._half, self._shift, 1)
        p.emit(Op.SHL, self._half, 1, self._half)

    def _normalised(self, result: Register, at: Register, frac: int) -> None:
        """The output of a term in the store."""
        p = self._p
        p.emit(Op.LOAD, result, at, 0)
        p.emit(Op.MULH, result, result, self._reciprocal)
        p.add(result, result, self._half)
        p.emit(Op.SHR, result, result, self._shift)
        p.emit(Op.MIN, result, result, 1 << frac)

    def _write_draws(self) -> None:
        p, places, config = self._p, self.places, self.config
        group, threshold, running, at = p.registers("group threshold running x_at")
        value = self._value
        with p.routine(self._draw_winner):
            # Of the group `group`, whose terms sum up to `total`.
            found = p.label("found")
            p.call(self._bounds)
            p.emit(Op.LOAD, threshold, group, places.draws)
            assert DRAW_BITS == HALF_WORD
            p.emit(Op.MULH, threshold, self._total, threshold)
            p.move(running, 0)
            with p.count(self._j, self._low, self._high):
                p.emit(Op.LOAD, value, self._j, places.terms)
                p.add(running, running, value)
                p.branch((Op.BLT, threshold, running), found)
            p.sub(self._j, self._high, 1)
            p.place(found)
            p.sub(self._j, self._j, self._low)
            p.add(at, group, places.winners)
            p.emit(Op.STORE, None, at, self._j)
        x = p.registers("block0 block1")
        keys = p.registers("key0 key1 key2")
        block = p.register("block")
        with p.routine(self._make_draws):
            p.emit(Op.XOR, keys[2], self._nonce[0], self._nonce[1])
            p.emit(Op.XOR, keys[2], keys[2], PARITY)
            key: list[Register] = [*self._nonce, keys[2]]
            p.move(at, places.draws)
            with p.count(block, 0, -(-(config.groups + 1) // DRAWS_PER_BLOCK)):
                p.add(x[0], block, key[0])
                p.add(x[1], key[1], STREAM_WINNERS)
                for number in range(ROUNDS):
                    p.add(x[0], x[0], x[1])
                    p.emit(Op.ROL, x[1], x[1], ROTATIONS[number % len(ROTATIONS)])
                    p.emit(Op.XOR, x[1], x[1], x[0])
                    if number % 4 == 3:
                        step = number // 4 + 1
                        p.add(x[0], x[0], key[step % 3])
                        p.add(x[1], x[1], key[(step + 1) % 3])
                        p.add(x[1], x[1], step)
                for word in x:
                    p.emit(Op.AND, value, word, (1 << HALF_WORD) - 1)
                    p.emit(Op.STORE, None, at, value)
                    p.add(at, at, 1)
                    p.emit(Op.SHR, value, word, HALF_WORD)
                    p.emit(Op.STORE, None, at, value)
                    p.add(at, at, 1)

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
        p.call(self._move_kinds)

    def settling(self, activity: int, groups: int, most: int, finish: Operand) -> None:
        """``settle`` the activity at a place; ``finish`` not 0 adds the events of the last pass too."""
        p = self._p
        p.move(self._activity, activity)
        p.move(self._groups, groups)
        p.move(self._most, most)
        p.move(self._finish, finish)
        p.call(self.settle)

    def action_softmax(self, activity: int) -> None:
        """Activities of the action group of its potentials, to a place."""
        p, config, at, fresh = self._p, self.config, self._p.register("x_at"), self._p.register("fresh")
        p.move(self._low, config.hidden)
        p.move(self._high, config.neurons)
        p.call(self._exponentials)
        p.call(self._normaliser)
        self._normalising(config.activity_frac)
        with p.count(self._j, config.hidden, config.neurons):
            p.add(at, self._j, self.places.terms)
            self._normalised(fresh, at, config.activity_frac)
            p.add(at, self._j, activity)
            p.emit(Op.STORE, None, at, fresh)

    def _write_jump(self) -> None:
        p, config, places = self._p, self.config, self.places
        group = p.register("group")
        with p.routine(self._hidden_jump):
            self.clear_fresh(0, config.hidden)
            p.move(self._low, 0)
            with p.count(group, 0, config.groups):
                p.emit(Op.LOAD, self._value, group, places.winners)
                self.one_hot(self._low, self._value)
                p.add(self._low, self._low, config.group_size)
            p.move(self._groups, config.groups)
            p.call(self._move_kinds)
