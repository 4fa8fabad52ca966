"""The compact core's program: random numbers, and winners drawn with them (docs/numerics.md)."""

from __future__ import annotations

from golden.config import DRAW_BITS, DeviceConfig
from golden.rng import DRAWS_PER_BLOCK, PARITY, ROTATIONS, ROUNDS, STREAM_WINNERS
from hdl.compact.assembler import Assembler, Register
from hdl.compact.instructions import Op
from hdl.compact.places import Places
from hdl.compact.softmax import HALF_WORD, Softmax


class Draws:
    """A draw per group, and the winners they make.

    Golden twins: :func:`golden.rng.draw_into`, :func:`golden.kernels.draw_winner`.

    Attributes
    ----------
    nonce: two registers, low half first.
    make: routine; all draws of the nonce, into the store.
    winner: routine; that of the group ``softmax.group``, whose terms sum up to ``softmax.total``, into the store.
    """

    def __init__(self, p: Assembler, config: DeviceConfig, places: Places, softmax: Softmax) -> None:
        self._p, self._config, self._places, self._softmax = p, config, places, softmax
        self.nonce = p.registers("nonce0 nonce1")
        self.make, self.winner = map(p.label, ("draw_into", "draw_winner"))

    def routines(self) -> None:
        """Their code."""
        p, places, config, softmax = self._p, self._places, self._config, self._softmax
        threshold, running, j, value, at = p.registers("threshold running j x x_at")
        with p.routine(self.winner):
            found = p.label("found")
            p.call(softmax.bounds)
            p.emit(Op.LOAD, threshold, softmax.group, places.draws)
            assert DRAW_BITS == HALF_WORD
            p.emit(Op.MULH, threshold, softmax.total, threshold)
            p.move(running, 0)
            with p.count(j, softmax.low, softmax.high):
                p.emit(Op.LOAD, value, j, places.terms)
                p.add(running, running, value)
                p.branch((Op.BLT, threshold, running), found)
            p.sub(j, softmax.high, 1)
            p.place(found)
            p.sub(j, j, softmax.low)
            p.add(at, softmax.group, places.winners)
            p.emit(Op.STORE, None, at, j)
        x = p.registers("block0 block1")
        keys = p.registers("key0 key1 key2")
        block = p.register("block")
        with p.routine(self.make):
            p.emit(Op.XOR, keys[2], self.nonce[0], self.nonce[1])
            p.emit(Op.XOR, keys[2], keys[2], PARITY)
            key: list[Register] = [*self.nonce, keys[2]]
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
