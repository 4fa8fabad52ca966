"""New activities become events (docs/numerics.md, "Inference", moves)."""

from __future__ import annotations

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig
from golden.kernels import ACTION, HIDDEN
from hdl.layouts import Scan, activity_beat, all_beats, event, hidden_beats


def turn(learns: bool) -> data.StructLayout:
    """How to take a pass.

    ``silent``: the activities so far count as 0. ``quiet``: no events. ``second``: the new activities are stored apart,
    the first ones stay as they are. ``hidden_only``: the pass ends with the hidden groups. ``scan``: potentials that
    are asked for behind the events (:class:`hdl.layouts.Scan`), if an activity has changed or ``always`` is set.

    If the build learns, ``departs``: a second pass begins from the first activities, else it goes on from the second
    ones; ``action_only``: the pass begins with the action group.
    """
    flags = ["silent", "quiet", "second", "hidden_only", "always", *(["departs", "action_only"] if learns else [])]
    return data.StructLayout({**dict.fromkeys(flags, 1), "scan": 2})


class Mover(wiring.Component):
    """The activities of all neurons; those of a pass that differ become events, in order, and are stored.

    Two sets of activities are kept: those of the free phase, and second ones, that the free phase has been left for (a
    clamped phase, or winners). A build that does not learn forgets the second ones.

    Golden twin: :func:`golden.kernels.move_all`, and the comparison in :func:`golden.kernels.settle`. Every activity up
    to 1.0 is allowed.

    A beat with m events takes max(m, 1) cycles; its first event is offered :attr:`latency` cycle after the beat is
    taken. Neurons whose row reaches no column move without an event. The cycle after the last beat and its events is
    that of the request of a scan, whether there is one or not; when it has passed and the request has been taken, the
    outcome is offered. Beats are taken while a pass runs only, a pass when the outcome of the one before has been.

    No multipliers.

    Parameters
    ----------
    config: sizes and formats.
    lanes: neurons per beat.
    learns: keep the second activities; without, every second pass departs from the first ones.

    Members
    -------
    passes: In(stream of :func:`turn`).
    beats: In(stream of :func:`hdl.layouts.activity_beat`), the groups of a pass in order.
    events: Out(stream of :func:`hdl.layouts.event`).
    outcomes: Out(stream of 1 bit): whether an activity has changed, once per pass.
    before: Out; the stored activities that the next beat is compared with, while a pass runs.
    peek_address: In; peek_data: Out, and peek_second: Out, if ``learns``: the stored activities of a beat, while no
        pass runs.
    """

    latency = 1
    """Cycles from a beat to its first event."""

    def __init__(self, config: DeviceConfig, *, lanes: int, learns: bool = False) -> None:
        self.config, self.lanes, self.learns = config, lanes, learns
        self.depth = all_beats(config, lanes)
        activities = data.ArrayLayout(config.activity.bits, lanes)
        super().__init__(
            {
                "passes": In(stream.Signature(turn(learns))),
                "beats": In(stream.Signature(activity_beat(config, lanes))),
                "events": Out(stream.Signature(event(config))),
                "outcomes": Out(stream.Signature(1)),
                "before": Out(activities),
                "peek_address": In(range(self.depth)),
                "peek_data": Out(activities),
                **({"peek_second": Out(activities)} if learns else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, lanes = self.config, self.lanes
        beat = self.beats.payload
        m.submodules.activity = activity = Memory(shape=self.peek_data.shape(), depth=self.depth, init=[])
        # What others look at has a port of its own, so that the way to the next event does not begin with them.
        old, peek, new = activity.read_port(domain="comb"), activity.read_port(domain="comb"), activity.write_port()

        running, closing, finished = Signal(), Signal(), Signal()
        job = Signal(turn(self.learns))
        address, next_address = Signal(range(self.depth)), Signal(range(self.depth))
        m.d.comb += next_address.eq(address)
        m.d.sync += address.eq(next_address)
        source = Signal(range(config.neurons + lanes))
        # Whether a move was made before the last beat, those of the last beat, and both.
        changed_before, just_moved, changed = Signal(), Signal(lanes), Signal()
        m.d.comb += changed.eq(changed_before | just_moved.any())
        m.d.sync += [changed_before.eq(changed), just_moved.eq(0)]
        # The beat in work: moves that have not become events yet.
        base = Signal.like(source)
        pending = Signal(lanes)
        change = [Signal(signed(config.activity.bits + 1), name=f"change{lane}") for lane in range(lanes)]
        wants_scan = Signal()

        # --- take a pass, then its beats ---------------------------------------------------------------
        final = Signal(range(self.depth))
        clears = Signal()
        m.d.comb += [
            self.passes.ready.eq(~running & ~finished),
            final.eq(Mux(job.hidden_only, hidden_beats(config, lanes) - 1, self.depth - 1)),
            # At most one move is left, and it goes now.
            clears.eq((pending & (pending - 1)[:lanes]) == 0),
            self.beats.ready.eq(running & ~closing & ((pending == 0) | (clears & self.events.ready))),
            old.addr.eq(address),
            peek.addr.eq(self.peek_address),
            self.peek_data.eq(peek.data),
            new.addr.eq(address),
            new.data.eq(beat.activity),
        ]
        before = [old.data[lane] for lane in range(lanes)]
        put_second = Signal()
        if self.learns:
            m.submodules.second = second = Memory(shape=self.peek_data.shape(), depth=self.depth, init=[])
            get, put = second.read_port(domain="comb"), second.write_port()
            peek_second = second.read_port(domain="comb")
            # The same address from a register of its own, for it goes to many places; one that is different at first,
            # before anybody looks, or synthesis would make one of the two.
            second_address = Signal(len(address), init=(1 << len(address)) - 1)
            m.d.sync += second_address.eq(next_address)
            m.d.comb += [
                get.addr.eq(second_address),
                peek_second.addr.eq(self.peek_address),
                put.addr.eq(second_address),
                put.data.eq(beat.activity),
                put.en.eq(put_second),
                self.peek_second.eq(peek_second.data),
            ]
            before = [Mux(job.second & ~job.departs, get.data[lane], old.data[lane]) for lane in range(lanes)]
        for lane in range(lanes):
            m.d.comb += self.before[lane].eq(Mux(job.silent, 0, before[lane]))
        with m.If(self.passes.valid & self.passes.ready):
            m.d.sync += [
                running.eq(1),
                job.eq(self.passes.payload),
                source.eq(0),
                changed_before.eq(0),
            ]
            m.d.comb += next_address.eq(0)
            if self.learns:
                with m.If(self.passes.payload.action_only):
                    m.d.comb += next_address.eq(hidden_beats(config, lanes))
                    m.d.sync += source.eq(config.hidden)

        moves = Signal(lanes)
        spans = config.spans.tolist()
        reaches = Mux(
            source < config.hidden, int(spans[HIDDEN][1] > spans[HIDDEN][0]), int(spans[ACTION][1] > spans[ACTION][0])
        )
        taken = Signal()
        m.d.comb += taken.eq(self.beats.valid & self.beats.ready)
        for lane in range(lanes):
            difference = Signal(signed(config.activity.bits + 1), name=f"difference{lane}")
            # Whether it moves is asked apart, because that does not take a carry chain.
            so_far = self.before[lane]
            m.d.comb += [
                difference.eq(beat.activity[lane] - so_far),
                moves[lane].eq(beat.keep[lane] & (beat.activity[lane] != so_far)),
            ]
            with m.If(taken):
                m.d.sync += change[lane].eq(difference)

        # --- events --------------------------------------------------------------------------------------
        with m.If(self.events.valid & self.events.ready):
            m.d.sync += pending.eq(pending & (pending - 1)[:lanes])
        with m.If(taken):
            m.d.comb += [new.en.eq(~job.second), put_second.eq(job.second), next_address.eq(address + 1)]
            m.d.sync += [
                pending.eq(Mux(reaches & ~job.quiet, moves, 0)),
                base.eq(source),
                source.eq(source + sum(beat.keep[lane] for lane in range(lanes))),
                just_moved.eq(moves),
                closing.eq(address == final),
            ]
        m.d.comb += wants_scan.eq(closing & (job.scan != Scan.NONE) & (changed | job.always))
        shift = config.drive_frac - config.activity_frac + 1
        with m.If(pending.any()):
            m.d.comb += self.events.valid.eq(1)
            for lane in reversed(range(lanes)):
                with m.If(pending[lane]):
                    m.d.comb += [
                        self.events.payload.source.eq(base + lane),
                        self.events.payload.value.eq(change[lane] << shift),
                    ]
        with m.Elif(wants_scan):
            m.d.comb += [self.events.valid.eq(1), self.events.payload.scan.eq(job.scan)]

        # --- end -------------------------------------------------------------------------------------------
        with m.If(closing & ~pending.any() & (~wants_scan | self.events.ready)):
            m.d.sync += [closing.eq(0), running.eq(0), finished.eq(1)]
        m.d.comb += [self.outcomes.valid.eq(finished), self.outcomes.payload.eq(changed)]
        with m.If(finished & self.outcomes.ready):
            m.d.sync += finished.eq(0)
        return m
