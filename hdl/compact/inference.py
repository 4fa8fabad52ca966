"""The compact core's program: ``INFER``."""

from __future__ import annotations

from golden.arguments import POLICIES, obs_range
from golden.config import DeviceConfig
from golden.protocol import COUNTERS, FLAG_ACTIVITY, FLAG_GIVEN, NONCE_WORDS, POLICY_FLAGS, Status
from hdl.compact.assembler import Assembler, Register
from hdl.compact.draws import Draws
from hdl.compact.frames import Frames
from hdl.compact.instructions import Op
from hdl.compact.network import Network
from hdl.compact.places import Places
from hdl.compact.softmax import Softmax


class Inference:
    """The command, and what ``LEARN`` has in common with it.

    Golden twin: :func:`golden.kernels.infer_batch`.

    Attributes
    ----------
    network: the dynamics.
    """

    def __init__(self, p: Assembler, config: DeviceConfig, places: Places, frames: Frames) -> None:
        self._p, self.config, self.places, self._frames = p, config, places, frames
        self._softmax = Softmax(p, config, places)
        self.network = Network(p, config, places, self._softmax)
        self._draws = Draws(p, config, places, self._softmax)
        self._began = p.register("began")
        self._i, self._j, self._k, self._value = p.registers("i j k x")

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
        self._p.emit(Op.CYCLES, self._began)

    def elapsed(self, cycles: Register) -> None:
        """Cycles since."""
        self._p.emit(Op.CYCLES, cycles)
        self._p.sub(cycles, cycles, self._began)

    # --- INFER ---------------------------------------------------------------------------------------------
    def infer(self) -> None:
        """The whole command, header apart."""
        p, frames, config, places = self._p, self._frames, self.config, self.places
        policy, given, finish = p.registers("policy given settle_finish")
        nonce = self._draws.nonce
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
        p.call(self.network.feed_forward)
        p.move(finish, 0)
        with p.when(Op.BEQ, policy, POLICIES["conditional"]):
            p.move(finish, 1)
        self.network.settling(places.q, config.groups + 1, config.iterations, finish)
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
        p, places, groups, softmax = self._p, self.places, self.config.groups, self._softmax
        done = p.label("drawn")
        p.call(self._draws.make)
        group = softmax.group
        with p.count(group, 0, groups + 1):
            given_already = p.label("given_already")
            with p.when(Op.BNE, given, 0):
                p.branch((Op.BLT, group, groups), given_already)
            p.emit(Op.LOAD, softmax.total, group, places.totals)
            p.call(self._draws.winner)
            p.place(given_already)
        p.branch((Op.BNE, policy, POLICIES["conditional"]), done)
        # What is reported is the activity before the jump.
        self.network.copy(places.q, places.cross)
        self.network.jump_hidden(places.cross)
        p.move(softmax.low, self.config.hidden)
        p.move(softmax.high, self.config.neurons)
        p.call(softmax.exponentials)
        p.emit(Op.STORE, None, places.totals + groups, softmax.total)
        p.move(group, groups)
        p.call(self._draws.winner)
        p.place(done)

    def _largest(self) -> None:
        """Winners of the largest potentials."""
        p, places, softmax = self._p, self.places, self._softmax
        group = softmax.group
        best, at, value = p.registers("best best_at x")
        with p.count(group, 0, self.config.groups + 1):
            p.call(softmax.bounds)
            p.emit(Op.LOADP, best, softmax.low, 0)
            p.move(at, softmax.low)
            with p.count(self._j, softmax.low, softmax.high):
                p.emit(Op.LOADP, value, self._j, 0)
                with p.when(Op.BLT, best, value):
                    p.move(best, value)
                    p.move(at, self._j)
            p.sub(at, at, softmax.low)
            p.add(self._k, group, places.winners)
            p.emit(Op.STORE, None, self._k, at)

    def _answer(self, cycles: Register) -> None:
        p, frames, config, places = self._p, self._frames, self.config, self.places
        softmax = self._softmax
        zero, activity = p.registers("zero with_activity")
        p.move(zero, 0)
        p.emit(Op.AND, activity, frames.flags, FLAG_ACTIVITY)
        frames.answer(last=False)
        frames.send(self.network.passes)
        counters = {
            "events": self.network.events,
            "row_words": self.network.row_words,
            "cycles": cycles,
            "stalls": zero,
        }
        for name in COUNTERS:
            frames.send_pair(counters[name])
        with p.count(self._i, places.winners, places.winners + config.groups + 1):
            p.emit(Op.LOAD, self._value, self._i, 0)
            frames.send(self._value)
        # Those of the action group, its terms being the last that were made.
        p.emit(Op.LOAD, softmax.total, places.totals + config.groups, 0)
        p.call(softmax.reciprocal)
        softmax.normalising(config.prob_frac)
        last = p.label("last_probability")
        with p.count(self._i, places.terms + config.hidden, places.terms + config.neurons - 1):
            softmax.normalised(self._value, self._i, config.prob_frac)
            frames.send(self._value)
        softmax.normalised(self._value, self._i, config.prob_frac)
        p.branch((Op.BEQ, activity, 0), last)
        frames.send(self._value)
        with p.count(self._i, places.q, places.q + config.neurons - 1):
            p.emit(Op.LOAD, self._value, self._i, 0)
            frames.send(self._value)
        p.emit(Op.LOAD, self._value, self._i, 0)
        p.place(last)
        frames.send(self._value, last=True)

    def routines(self) -> None:
        """Their code."""
        for part in (self.network, self._softmax, self._draws):
            part.routines()
