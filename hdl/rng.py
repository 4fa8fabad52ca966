"""The generator of random draws: Threefry-2x32 with 20 rounds (docs/numerics.md, "Random numbers")."""

from __future__ import annotations

import math

from amaranth import Array, C, Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.config import DRAW_BITS
from golden.errors import SvpgError
from golden.rng import DRAWS_PER_BLOCK, PARITY, ROTATIONS, ROUNDS

WORD = 32
"""Bits of a word."""

INJECTION_PERIOD = 4
"""Rounds between two additions of the key."""

REQUEST = data.StructLayout({"nonce": 2 * WORD, "stream": WORD, "block": WORD})
"""What draws are asked for: ``block`` b of a nonce and stream holds draws 4b to 4b + 3."""

DRAWS = data.ArrayLayout(DRAW_BITS, DRAWS_PER_BLOCK)
"""The draws of one block, in order."""


def generator_latency(rounds_per_cycle: int) -> int:
    """Cycles from a request to its draws."""
    # With one round per cycle, the injections of the key have cycles of their own.
    injections = ROUNDS // INJECTION_PERIOD if rounds_per_cycle == 1 else 0
    return ROUNDS // rounds_per_cycle + injections + 1


class DrawGenerator(wiring.Component):
    """Four random draws from a nonce, a stream and a block number, by additions, rotations and exclusive-ors.

    Golden twin: :func:`golden.rng.draws`. Every value of every input is allowed.

    A request that is taken in cycle c is answered from cycle c + :attr:`latency` on; the next is taken no earlier than
    in the cycle of that answer, so there is one block in ``latency`` cycles. One block at a time is in work.

    Parameters
    ----------
    rounds_per_cycle: 1, 2, 4 or 20; more rounds make a longer path through two adders each.

    Members
    -------
    requests: In(stream of :data:`REQUEST`).
    draws: Out(stream of :data:`DRAWS`).
    """

    def __init__(self, *, rounds_per_cycle: int = 1) -> None:
        if rounds_per_cycle not in (1, 2, 4, ROUNDS):
            raise SvpgError(f"rounds_per_cycle = {rounds_per_cycle} is not possible; choose 1, 2, 4 or {ROUNDS}")
        self.rounds_per_cycle = rounds_per_cycle
        super().__init__({"requests": In(stream.Signature(REQUEST)), "draws": Out(stream.Signature(DRAWS))})

    @property
    def latency(self) -> int:
        """Cycles from a request to its draws."""
        return generator_latency(self.rounds_per_cycle)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        steps = ROUNDS // self.rounds_per_cycle
        busy, done = Signal(), Signal()
        # At least one bit, because a signal without bits is not Verilog.
        step = Signal(range(steps + 1))
        words = [Signal(WORD, name=f"x{i}") for i in range(2)]
        # keys[0] belongs to the last injection; they rotate, so that the next needs keys[1] and keys[2].
        keys = [Signal(WORD, name=f"k{i}") for i in range(3)]

        x0, x1 = words
        k0, k1, k2 = keys
        # The rotations repeat.
        period = len(ROTATIONS) // math.gcd(len(ROTATIONS), self.rounds_per_cycle)
        for offset in range(self.rounds_per_cycle):
            # The rotations this position in a cycle ever needs, by step.
            amounts = [ROTATIONS[(s * self.rounds_per_cycle + offset) % len(ROTATIONS)] for s in range(period)]
            total, rotated = Signal(WORD, name=f"total{offset}"), Signal(WORD, name=f"rotated{offset}")
            m.d.comb += [
                total.eq(x0 + x1),
                rotated.eq(Array(x1.rotate_left(amount) for amount in amounts)[step % period]),
            ]
            x0, x1 = total, rotated ^ total
            if self.rounds_per_cycle > 1 and (offset + 1) % min(INJECTION_PERIOD, self.rounds_per_cycle) == 0:
                rounds = Signal(range(ROUNDS + 1), name=f"rounds{offset}")
                injected = [Signal(WORD, name=f"injected{i}_{offset}") for i in range(2)]
                rotating = [Signal(WORD, name=f"k{i}_{offset}") for i in range(3)]
                m.d.comb += [
                    rounds.eq(step * self.rounds_per_cycle + (offset + 1)),
                    injected[0].eq(x0),
                    injected[1].eq(x1),
                    *(new.eq(old) for new, old in zip(rotating, (k0, k1, k2), strict=True)),
                ]
                with m.If(rounds % INJECTION_PERIOD == 0):
                    m.d.comb += [
                        injected[0].eq(x0 + k1),
                        injected[1].eq(x1 + k2 + rounds // INJECTION_PERIOD),
                        *(new.eq(old) for new, old in zip(rotating, (k1, k2, k0), strict=True)),
                    ]
                x0, x1 = injected
                k0, k1, k2 = rotating

        with m.If(busy):
            m.d.sync += [
                words[0].eq(x0),
                words[1].eq(x1),
                *(key.eq(value) for key, value in zip(keys, (k0, k1, k2), strict=True)),
                step.eq(step + 1),
            ]
            if self.rounds_per_cycle > 1:
                with m.If(step == steps - 1):
                    m.d.sync += [busy.eq(0), done.eq(1)]
        if self.rounds_per_cycle == 1:
            # A cycle with one adder for a round, and one for an injection, whose keys have been added up by then.
            injecting, last_key = Signal(), Signal(WORD)
            m.d.sync += last_key.eq(keys[2] + step // INJECTION_PERIOD + 1)
            with m.If(busy):
                m.d.sync += injecting.eq(~injecting & (step % INJECTION_PERIOD == INJECTION_PERIOD - 1))
            with m.If(busy & injecting):
                m.d.sync += [
                    words[0].eq(words[0] + keys[1]),
                    words[1].eq(words[1] + last_key),
                    *(new.eq(old) for new, old in zip(keys, (keys[1], keys[2], keys[0]), strict=True)),
                    step.eq(step),
                ]
                with m.If(step == steps):
                    m.d.sync += [busy.eq(0), done.eq(1)]

        m.d.comb += [
            self.draws.valid.eq(done),
            self.draws.payload.eq(Cat(*words)),
            self.requests.ready.eq(~busy & (~done | self.draws.ready)),
        ]
        with m.If(self.draws.ready & done):
            m.d.sync += done.eq(0)
        request = self.requests.payload
        key0, key1 = request.nonce[:WORD], request.nonce[WORD:]
        with m.If(self.requests.valid & self.requests.ready):
            m.d.sync += [
                busy.eq(1),
                step.eq(0),
                keys[0].eq(key0),
                keys[1].eq(key1),
                keys[2].eq(C(PARITY, WORD) ^ key0 ^ key1),
                words[0].eq(request.block + key0),
                words[1].eq(request.stream + key1),
            ]
        return m


class DrawPipeline(wiring.Component):
    """The same draws with a stage for every round: a block in every cycle.

    Golden twin: :func:`golden.rng.draws`. Every value of every input is allowed, but the nonce of a request is that of
    all before it whose draws have not been taken.

    A request that is taken in cycle c is answered from cycle c + :attr:`latency` on; while an answer waits, so does
    everything behind it.

    Members
    -------
    requests: In(stream of :data:`REQUEST`).
    draws: Out(stream of :data:`DRAWS`).
    """

    latency = ROUNDS + 1
    """Cycles from a request to its draws."""

    def __init__(self) -> None:
        super().__init__({"requests": In(stream.Signature(REQUEST)), "draws": Out(stream.Signature(DRAWS))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        request = self.requests.payload
        nonce = Signal(2 * WORD)
        key0, key1 = nonce[:WORD], nonce[WORD:]
        keys = [key0, key1, Signal(WORD, name="k2")]
        m.d.comb += keys[2].eq(C(PARITY, WORD) ^ key0 ^ key1)
        valid = [Signal(name=f"valid{i}") for i in range(ROUNDS + 1)]
        words = [[Signal(WORD, name=f"x{word}_{i}") for word in range(2)] for i in range(ROUNDS + 1)]
        advance = Signal()
        m.d.comb += [
            advance.eq(~valid[-1] | self.draws.ready),
            self.requests.ready.eq(advance),
            self.draws.valid.eq(valid[-1]),
            self.draws.payload.eq(Cat(*words[-1])),
        ]
        with m.If(advance):
            m.d.sync += [
                later.eq(earlier) for earlier, later in zip([self.requests.valid, *valid], valid, strict=False)
            ]
        # A stage without work keeps still, which saves power, and time in simulation.
        with m.If(advance & self.requests.valid):
            m.d.sync += [
                nonce.eq(request.nonce),
                words[0][0].eq(request.block + request.nonce[:WORD]),
                words[0][1].eq(request.stream + request.nonce[WORD:]),
            ]
        for i in range(ROUNDS):
            x0, x1 = words[i]
            total = Signal(WORD, name=f"total{i}")
            m.d.comb += total.eq(x0 + x1)
            mixed = [total, x1.rotate_left(ROTATIONS[i % len(ROTATIONS)]) ^ total]
            injection, rest = divmod(i + 1, INJECTION_PERIOD)
            if rest == 0:
                mixed = [mixed[0] + keys[injection % 3], mixed[1] + keys[(injection + 1) % 3] + injection]
            with m.If(advance & valid[i]):
                m.d.sync += [word.eq(value) for word, value in zip(words[i + 1], mixed, strict=True)]
        return m
