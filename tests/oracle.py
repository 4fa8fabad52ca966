"""A second implementation of docs/numerics.md in plain Python integers.

Written from that text alone and shared with nothing: of the configuration it reads the field values, everything else
(spans, masks, tables, widths) it derives itself. Potentials are computed densely from scratch before every softmax, not
event by event, so agreement with the golden model also proves that events add up to the full product.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Iterator, Sequence

from golden.config import DeviceConfig

Vector = list[int]
Matrix = list[list[int]]

REMOVED = {"none": (), "hh": ("hh",), "sa": ("sa",), "hhsa": ("hh", "sa"), "ha": ("ha",), "sh": ("sh",)}


# --- arithmetic ------------------------------------------------------------------------------------
def rnd(x: int, n: int) -> int:
    """Rounding shift, to nearest with halves away from zero."""
    if n <= 0:
        return x << -n
    return (x + (1 << (n - 1)) - (1 if x < 0 else 0)) >> n


def sat(x: int, low: int, high: int) -> int:
    """Clamp."""
    return low if x < low else high if x > high else x


def signed_sat(x: int, bits: int) -> int:
    """Clamp to a two's-complement format."""
    return sat(x, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def non_adjacent(v: int) -> Vector:
    """Digits -1, 0, 1 of a value, the lowest first: from odd values, the digit after which two more bits are zero."""
    digits = []
    while v:
        digit = 2 - v % 4 if v % 2 else 0
        digits.append(digit)
        v = (v - digit) // 2
    return digits


# --- random numbers --------------------------------------------------------------------------------
def threefry(key: tuple[int, int], counter: tuple[int, int]) -> tuple[int, int]:
    """Threefry-2x32, 20 rounds."""
    word = 0xFFFFFFFF
    keys = (*key, 0x1BD11BDA ^ key[0] ^ key[1])
    rotations = (13, 15, 26, 6, 17, 29, 16, 24)
    x0, x1 = (counter[0] + keys[0]) & word, (counter[1] + keys[1]) & word
    for number in range(20):
        x0 = (x0 + x1) & word
        r = rotations[number % 8]
        x1 = (((x1 << r) | (x1 >> (32 - r))) & word) ^ x0
        if number % 4 == 3:
            i = number // 4 + 1
            x0 = (x0 + keys[i % 3]) & word
            x1 = (x1 + keys[(i + 1) % 3] + i) & word
    return x0, x1


def draw(nonce: int, index: int, stream: int) -> int:
    """One 16-bit draw."""
    words = threefry((nonce & 0xFFFFFFFF, nonce >> 32), (index >> 2, stream))
    halves = [half for w in words for half in (w & 0xFFFF, w >> 16)]
    return halves[index & 3]


# --- tables ----------------------------------------------------------------------------------------
def _floor_root_of_power(exponent: int, root_bits: int) -> int:
    """floor(2 ** (exponent / 2**root_bits)): nested integer square roots are the exact floor."""
    value = 1 << exponent
    for _ in range(root_bits):
        value = math.isqrt(value)
    return value


@functools.cache
def exp_table(index_bits: int) -> tuple[int, ...]:
    """T: 2**(15 + f/2**t) to nearest."""
    size = 1 << index_bits
    return tuple((_floor_root_of_power(16 * size + f, index_bits) + 1) >> 1 for f in range(size))


@functools.cache
def reciprocal_table() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """B and C: base and fall of each segment of 1/mantissa."""
    b = [(2 * 64 * (1 << 16) + 64 + i) // (2 * (64 + i)) for i in range(65)]
    return tuple(b[:64]), tuple(b[i] - b[i + 1] for i in range(64))


# --- results ---------------------------------------------------------------------------------------
@dataclasses.dataclass
class Inferred:
    """Response of one INFER."""

    winners: Vector
    prob: Vector
    q: Vector
    iterations: int
    events: int
    row_words: int
    spikes: Matrix


@dataclasses.dataclass
class Learned:
    """Counters of one LEARN."""

    iterations: int
    events: int
    row_words: int
    learn_words: int


@dataclasses.dataclass
class Softmax:
    """Terms, their sum and the reciprocal of one group."""

    e: Vector
    total: int
    k: int
    r: int

    def activities(self, frac: int) -> Vector:
        """q with ``frac`` fraction bits."""
        c = 16 + self.k - frac
        return [min((e * self.r + (1 << (c - 1))) >> c, 1 << frac) for e in self.e]

    def pick(self, random: int) -> int:
        """Inverse of the cumulative sum."""
        threshold, running = (random * self.total) >> 16, 0
        for j, e in enumerate(self.e):
            running += e
            if running > threshold:
                return j
        raise AssertionError("the threshold is below the sum")


class Oracle:
    """One device with its memories; every method is one transaction on one sample."""

    def __init__(self, config: DeviceConfig) -> None:
        self.fields = dataclasses.asdict(config)
        f = self.fields
        self.S, self.G, self.K, self.A = f["inputs"], f["groups"], f["group_size"], f["actions"]
        self.H = self.G * self.K
        self.N = self.H + self.A
        self.P = self.N + self.S
        self.F = f["activity_frac"]
        self.D = max(f["obs_frac"], self.F)
        self.removed = REMOVED[f["removed"]]
        self.exists = [[self._exists(i, j) for j in range(self.N)] for i in range(self.P)]
        self.weight = self._zeros()
        self.acc = self._zeros()
        self.moment = self._zeros()
        self.bias = [0] * self.N
        self.acc_bias = [0] * self.N
        self.moment_bias = [0] * self.N

    # --- order and connections ---------------------------------------------------------------------
    def _zeros(self) -> Matrix:
        return [[0] * self.N for _ in range(self.P)]

    def group_of(self, j: int) -> int:
        """Group number of a postsynaptic neuron."""
        return min(j // self.K, self.G)

    def members(self, group: int) -> range:
        """Neurons of a group."""
        return range(self.H, self.N) if group == self.G else range(group * self.K, (group + 1) * self.K)

    def _class(self, i: int) -> str:
        return "h" if i < self.H else "a" if i < self.N else "s"

    def _exists(self, i: int, j: int) -> bool:
        if i < self.N and self.group_of(i) == self.group_of(j):
            return False
        a, b = self._class(i), self._class(j)
        return not (a + b in self.removed or b + a in self.removed)

    def span(self, i: int) -> tuple[int, int]:
        """Columns [first, last) that row i can reach."""
        kind = self._class(i)
        hidden, everything = (0, self.H), (0, self.N)
        if kind == "h":
            low = self.H if "hh" in self.removed or self.G == 1 else 0
            high = self.H if "ha" in self.removed else self.N
            return (low, high) if high > low else (0, 0)
        if kind == "a":
            return (0, 0) if "ha" in self.removed else hidden
        return hidden if "sa" in self.removed else (self.H, self.N) if "sh" in self.removed else everything

    def span_words(self, i: int) -> set[int]:
        """Word numbers that overlap the span of row i."""
        return {j // self.fields["lanes"] for j in range(*self.span(i))}

    # --- potentials and softmax --------------------------------------------------------------------
    @property
    def potential_bits(self) -> int:
        """Stated width of a potential."""
        f = self.fields
        one = 1 << self.F
        worst = (
            (1 << self.D)
            + ((self.S << (f["obs_bits"] - 1)) << (self.D - f["obs_frac"]))
            + ((2 * (self.G * (one + self.K) + one + self.A)) << (self.D - self.F))
        ) << (f["weight_bits"] - 1)
        return worst.bit_length() + 1

    def potentials(self, s: Sequence[int], q: Sequence[int]) -> Vector:
        """u = 2 q W + s W + b, whole and exact."""
        u = [b << self.D for b in self.bias]
        values = [(2 * x) << (self.D - self.F) for x in q] + [x << (self.D - self.fields["obs_frac"]) for x in s]
        for x, row in zip(values, self.weight, strict=True):
            if x:
                for j in range(self.N):
                    u[j] += x * row[j]
        limit = 1 << (self.potential_bits - 1)
        assert all(-limit <= value < limit for value in u), "a settled potential overflows its stated width"
        return u

    def softmax(self, u: Sequence[int]) -> Softmax:
        """Softmax terms of one group."""
        t = self.fields["exp_index_bits"]
        h = self.fields["weight_frac"] + self.D - t
        table, top = exp_table(t), max(u)
        e = []
        for value in u:
            depth = top - value
            depth = (depth + (1 << (h - 1))) >> h if h > 0 else depth << -h
            n, fraction = (depth + (1 << t) - 1) >> t, (-depth) % (1 << t)
            e.append(table[fraction] >> n if n <= 15 else 0)
        total = sum(e)
        k = total.bit_length() - 1
        mantissa = (total << 16) >> k
        base, fall = reciprocal_table()
        index = (mantissa >> 10) % 64
        return Softmax(e, total, k, base[index] - ((fall[index] * (mantissa % 1024)) >> 10))

    def group_softmax(self, u: Sequence[int], group: int) -> Softmax:
        """Softmax of a group within all potentials."""
        return self.softmax([u[j] for j in self.members(group)])

    # --- inference ---------------------------------------------------------------------------------
    def _move(self, counters: dict[str, int], old: Sequence[int], new: Sequence[int]) -> None:
        """Count the events of moves; a neuron that keeps its activity makes none."""
        for i in range(self.N):
            if old[i] != new[i] and self.span_words(i):
                counters["events"] += 1
                counters["row_words"] += len(self.span_words(i))

    def _passes(
        self, s: Sequence[int], q: Vector, groups: range, most: int, counters: dict[str, int]
    ) -> tuple[Vector, Vector, Vector]:
        """Passes over some groups: (potentials of the last pass, activity its events reflect, newest activity)."""
        for number in range(1, most + 1):
            counters["iterations"] += 1
            u = self.potentials(s, q)
            new = list(q)
            for g in groups:
                for j, value in zip(self.members(g), self.group_softmax(u, g).activities(self.F), strict=True):
                    new[j] = value
            if new == q or number == most:
                return u, q, new
            self._move(counters, q, new)
            q = new
        raise AssertionError("there is at least one pass")

    def _settle(self, s: Sequence[int], counters: dict[str, int]) -> tuple[Vector, Vector, Vector]:
        """Steps 1 to 3 of inference."""
        for i, value in enumerate(s):
            if value and self.span_words(self.N + i):
                counters["events"] += 1
                counters["row_words"] += len(self.span_words(self.N + i))
        q = [0] * self.N
        if self.fields["start"] == "uniform":
            sizes = [len(self.members(self.group_of(j))) for j in range(self.N)]
            uniform = [((2 << self.F) + n) // (2 * n) for n in sizes]
            self._move(counters, q, uniform)
            q = uniform
        return self._passes(s, q, range(self.G + 1), self.fields["iterations"], counters)

    def _one_hot(self, q: Sequence[int], winners: Sequence[int], groups: range) -> Vector:
        """q with some groups replaced by their winner."""
        jumped = list(q)
        for g in groups:
            for index, j in enumerate(self.members(g)):
                jumped[j] = (1 << self.F) if index == winners[g] else 0
        return jumped

    def infer(self, s: Sequence[int], nonce: int, policy: str, given: Sequence[int] | None = None) -> Inferred:
        """INFER."""
        counters = {"iterations": 0, "events": 0, "row_words": 0}
        u, reflected, q = self._settle(s, counters)
        terms = [self.group_softmax(u, g) for g in range(self.G + 1)]
        if policy == "greedy":
            own = [[u[j] for j in self.members(g)] for g in range(self.G + 1)]
            winners = [values.index(max(values)) for values in own]
        else:
            winners = [terms[g].pick(draw(nonce, g, 0)) for g in range(self.G + 1)]
        if policy == "conditional":
            if given is not None:
                winners[: self.G] = given[: self.G]
            self._move(counters, reflected, q)
            jumped = self._one_hot(q, winners, range(self.G))
            self._move(counters, q, jumped)
            terms[self.G] = self.group_softmax(self.potentials(s, jumped), self.G)
            winners[self.G] = terms[self.G].pick(draw(nonce, self.G, 0))
        return Inferred(
            winners=winners, prob=terms[self.G].activities(self.fields["prob_frac"]), q=q, spikes=[], **counters
        )

    # --- spikes ------------------------------------------------------------------------------------
    def _seen(self, s: Sequence[int], nonce: int, step: int) -> Vector:
        """Observations as the network sees them before a step, in units of 2**-(obs_frac + window bits)."""
        window = self.fields["window"]
        if self.fields["obs_spikes"] == "analog":
            return [x * window for x in s]
        count = [0] * self.S
        for observed in range(step, step + window):
            for i in self._bernoulli(s, nonce, observed):
                count[i] += 1
        return [x << self.fields["obs_frac"] for x in count]

    def _bernoulli(self, s: Sequence[int], nonce: int, step: int) -> set[int]:
        """Observation neurons that spike in an observation step."""
        frac = self.fields["obs_frac"]
        bits = 8 if frac <= 8 else 16
        places = [i for i in range(self.S) if s[i]]
        per_block = 64 // bits
        spiking = set()
        for k, i in enumerate(places):
            block = step * -(-len(places) // per_block) + k // per_block
            x0, x1 = threefry((nonce & 0xFFFFFFFF, nonce >> 32), (block, 3))
            drawn = ((x1 << 32 | x0) >> (bits * (k % per_block))) & ((1 << bits) - 1)
            if drawn < s[i] << (bits - frac):
                spiking.add(i)
        return spiking

    def _traces(self, fired: Sequence[Vector], groups: range, trace: Vector) -> Vector:
        """Traces after some steps, of some groups; the others keep theirs."""
        window = self.fields["window"]
        new = list(trace)
        if not fired:
            return new
        for g in groups:
            # The first spike stands for those before it.
            recent = [fired[max(t, 0)][g] for t in range(len(fired) - window, len(fired))]
            for index, j in enumerate(self.members(g)):
                new[j] = recent.count(index) * (1 << self.F) // window
        return new

    def _spike(self, s: Vector, trace: Vector, nonce: int, step: int, groups: range) -> tuple[list[Softmax], Vector]:
        """Softmax of some groups in a step, and their spikes."""
        u = self.spike_potentials(s, trace)
        first = step * 4 * -(-(self.G + 1) // 4)
        terms = [self.group_softmax(u, g) for g in groups]
        return terms, [term.pick(draw(nonce, first + g, 2)) for g, term in zip(groups, terms, strict=True)]

    def spike_potentials(self, seen: Sequence[int], trace: Sequence[int]) -> Vector:
        """u of observations in the units of :meth:`_seen`; the window's division is exact."""
        shift = self.D - self.fields["obs_frac"]
        u = self.potentials([0] * self.S, trace)
        for value, row in zip(seen, self.weight[self.N :], strict=True):
            if value:
                exact = value << shift
                assert exact % self.fields["window"] == 0
                for j in range(self.N):
                    u[j] += exact // self.fields["window"] * row[j]
        return u

    def _digits(self, i: int, value: int, counters: dict[str, int]) -> None:
        """Count the events by which a value of row i enters, a power of two each."""
        if self.span_words(i):
            count = sum(digit != 0 for digit in non_adjacent(value))
            counters["events"] += count
            counters["row_words"] += count * len(self.span_words(i))

    def _spike_moves(self, counters: dict[str, int], old: Sequence[int], new: Sequence[int]) -> None:
        """Count the events of traces that change."""
        for i in range(self.N):
            self._digits(i, (2 * (new[i] - old[i])) << (self.D - self.F), counters)

    def _shown(self, old: Sequence[int], new: Sequence[int], counters: dict[str, int]) -> None:
        """Count the events of observations that are seen otherwise than before."""
        window, shift = self.fields["window"], self.D - self.fields["obs_frac"]
        for i in range(self.S):
            self._digits(self.N + i, ((new[i] - old[i]) << shift) // window, counters)

    def _free_steps(
        self, s: Sequence[int], nonce: int, counters: dict[str, int]
    ) -> Iterator[tuple[Vector, list[Softmax], Vector, list[Vector]]]:
        """Each step: traces, softmax, what is seen, all spikes so far; events are counted as the next one begins."""
        everyone, trace, seen, fired = range(self.G + 1), [0] * self.N, [0] * self.S, []
        for step in range(self.fields["steps"]):
            after, view = self._traces(fired, everyone, trace), self._seen(s, nonce, step)
            self._spike_moves(counters, trace, after)
            self._shown(seen, view, counters)
            trace, seen = after, view
            terms, spikes = self._spike(seen, trace, nonce, step, everyone)
            fired.append(spikes)
            yield trace, terms, seen, fired

    def infer_spikes(self, s: Sequence[int], nonce: int, policy: str) -> Inferred:
        """INFER in spike mode."""
        steps, window, frac = self.fields["steps"], self.fields["window"], self.fields["prob_frac"]
        counters = {"iterations": steps, "events": 0, "row_words": 0}
        total = [0] * self.A
        for step, (trace, terms, _, fired) in enumerate(self._free_steps(s, nonce, counters)):
            if step >= steps - window:
                total = [a + b for a, b in zip(total, terms[self.G].activities(frac), strict=True)]
            q, spikes = trace, fired
        prob = [(2 * value + window) // (2 * window) if window > 1 else value for value in total]
        if policy == "greedy":
            action = prob.index(max(prob))
        else:
            action = Softmax(prob, sum(prob), 0, 0).pick(draw(nonce, self.G, 0))
        return Inferred(winners=[*spikes[-1][: self.G], action], prob=prob, q=q, spikes=spikes, **counters)

    def learn_spikes(self, s: Sequence[int], action: int, modulator: int, rule: str, nonce: int) -> Learned:
        """LEARN in spike mode."""
        steps, window = self.fields["steps"], self.fields["window"]
        counters = {"iterations": steps, "events": 0, "row_words": 0}
        words, everyone, hidden = 0, range(self.G + 1), range(self.G)
        for step, (trace, terms, last_seen, fired) in enumerate(self._free_steps(s, nonce, counters)):
            seen = last_seen
            if rule == "published" and step >= steps - window:
                q = [value for term in terms for value in term.activities(self.F)]
                v = self._one_hot(q, [*fired[-1][: self.G], action], everyone)
                change = [a - b for a, b in zip(v, q, strict=True)]
                words += self._accumulate(s, trace, change, trace, trace, 1, modulator, window.bit_length() - 1)
        free = self._traces(fired, everyone, trace)
        self._spike_moves(counters, trace, free)
        if rule == "contrastive":
            trace = self._one_hot(free, [0] * self.G + [action], range(self.G, self.G + 1))
            self._spike_moves(counters, free, trace)
            for step in range(steps, steps + window):
                counters["iterations"] += 1
                _, spikes = self._spike(seen, trace, nonce, step - window, hidden)
                fired.append(spikes)
                after = self._traces(fired, hidden, trace)
                self._spike_moves(counters, trace, after)
                trace = after
            change = [c - f for c, f in zip(trace, free, strict=True)]
            words = self._accumulate(s, free, change, trace, trace, 2, modulator)
        return Learned(learn_words=words, **counters)

    # --- learning ----------------------------------------------------------------------------------
    def learn(self, s: Sequence[int], winners: Sequence[int], modulator: int, rule: str) -> Learned:
        """LEARN."""
        counters = {"iterations": 0, "events": 0, "row_words": 0}
        _, reflected, q = self._settle(s, counters)
        everyone, hidden = range(self.G + 1), range(self.G)
        if rule == "published":
            after = self._one_hot(q, winners, everyone)
            change = [v - x for v, x in zip(after, q, strict=True)]
            trace = cross = q
            factor = 1
        elif rule == "conditional":
            self._move(counters, reflected, q)
            jumped = self._one_hot(q, winners, hidden)
            self._move(counters, q, jumped)
            conditional = self.group_softmax(self.potentials(s, jumped), self.G).activities(self.F)
            after = self._one_hot(q, winners, everyone)
            change = [v - x for v, x in zip(after, q[: self.H] + conditional, strict=True)]
            trace, cross = q, after
            factor = 1
        else:
            self._move(counters, reflected, q)
            clamped = self._one_hot(q, winners, range(self.G, self.G + 1))
            self._move(counters, q, clamped)
            _, _, after = self._passes(s, clamped, hidden, self.fields["clamp_iterations"], counters)
            change = [c - x for c, x in zip(after, q, strict=True)]
            trace = cross = after
            factor = 2
        words = self._accumulate(s, q, change, trace, cross, factor, modulator)
        return Learned(learn_words=words, **counters)

    def _accumulate(
        self,
        s: Sequence[int],
        q: Vector,
        change: Vector,
        trace: Vector,
        cross: Vector,
        factor: int,
        modulator: int,
        more: int = 0,
    ) -> int:
        """Add one sample's eligibility, divided by 2**more, to the accumulators; returns the learn words."""
        if modulator == 0 or not any(change):
            return 0
        f = self.fields
        bits, frac = f["acc_bits"], f["modulator_frac"] - f["acc_frac"] + more
        shift = 2 * self.F + frac

        def amount(i: int, j: int) -> int:
            if i >= self.N:
                return rnd(modulator * s[i - self.N] * change[j], f["obs_frac"] + self.F + frac)
            if i >= self.H:
                i, j = j, i
            source = cross if j >= self.H else trace
            return rnd(factor * modulator * (source[i] * change[j] + change[i] * q[j]), shift)

        for i in range(self.P):
            for j in range(self.N):
                if self.exists[i][j]:
                    self.acc[i][j] = signed_sat(self.acc[i][j] + amount(i, j), bits)
        for j in range(self.N):
            self.acc_bias[j] = signed_sat(self.acc_bias[j] + rnd(modulator * change[j], self.F + frac), bits)

        words = 0
        for i in range(self.P):
            if i < self.N and change[i]:
                words += len(self.span_words(i))
            elif (q[i] if i < self.N else s[i - self.N]) != 0:
                words += len({j // f["lanes"] for j in range(*self.span(i)) if change[j]})
        return words

    def apply(
        self,
        optimiser: str,
        mean_shift: int,
        rate: int,
        obs_rate: int,
        decay: int = 7,
        floor: int = 20,
        grid: int = 10,
    ) -> None:
        """APPLY."""
        f = self.fields
        acc_frac, weight_frac, moment_frac = f["acc_frac"], f["weight_frac"], f["moment_frac"]

        def step(g: int, moment: int, rho: int) -> tuple[int, int]:
            if optimiser == "sgd":
                return rnd(g, acc_frac - weight_frac + rho), moment
            if optimiser == "sign":
                z = rnd(g, acc_frac - grid)
                return ((z > 0) - (z < 0)) * (1 << (weight_frac - rho)), moment
            g2 = min((g * g) >> (2 * acc_frac - moment_frac), (1 << f["moment_bits"]) - 1)
            moment += (g2 - moment) >> decay
            e = (max(moment, 1 << (moment_frac - floor)).bit_length() - moment_frac) >> 1
            return rnd(g, acc_frac - weight_frac + rho + e), moment

        rows = zip(self.weight, self.acc, self.moment, strict=True)
        visits = [(*row, obs_rate if i >= self.N else rate) for i, row in enumerate(rows)]
        visits.append((self.bias, self.acc_bias, self.moment_bias, rate))
        for weight, acc, moment, rho in visits:
            for j in range(self.N):
                g = signed_sat(rnd(acc[j], mean_shift), f["grad_bits"])
                acc[j] = 0
                change, moment[j] = step(g, moment[j], rho)
                weight[j] = signed_sat(weight[j] + change, f["weight_bits"])

    # --- memories, start, identity -----------------------------------------------------------------
    def load(self, section: str, values: Sequence[int], start: int = 0) -> None:
        """LOAD of values that fit (row-major)."""
        memory = getattr(self, section)
        for position, value in enumerate(values, start):
            if section.endswith("bias"):
                memory[position] = value
            else:
                memory[position // self.N][position % self.N] = value

    def read(self, section: str) -> Vector:
        """READ of a whole section."""
        memory = getattr(self, section)
        return list(memory) if section.endswith("bias") else [value for row in memory for value in row]

    def random_start(self, seed: int, recurrent: float, observation: float) -> Matrix:
        """Raw weights of the random start."""
        weight = self._zeros()
        for i in range(self.P):
            sigma = recurrent if i < self.N else observation
            deviation = 65536.0 * math.sqrt(8 / 12)
            scale = round(sigma * 1.4426950408889634 * 2.0 ** self.fields["weight_frac"] * 2.0**32 / deviation)
            for j in range(self.N):
                if self.exists[i][j]:
                    a, b = (j, i) if j < i < self.N else (i, j)
                    first = 8 * (a * self.N + b)
                    z = sum(draw(seed, d, 1) for d in range(first, first + 8)) - 4 * 65535
                    weight[i][j] = rnd(z * scale, 32)
        return weight

    def digest(self, contract: int) -> int:
        """32-bit identity."""
        text = json.dumps({"contract": contract, **self.fields}, sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
