"""The compact core's program: which command does what, and the memories' own commands."""

from __future__ import annotations

from golden.arguments import OPTIMISERS, POLICIES, section_format
from golden.config import REMOVABLE
from golden.protocol import (
    FLAG_GIVEN,
    FLAG_SPIKES,
    INFER_FLAGS,
    LEARN_FLAGS,
    POLICY_FLAGS,
    RULE_FLAGS,
    SECTION_NAMES,
    Command,
    Section,
    Status,
    words_of,
)
from hdl.compact.assembler import Assembler, Program, Register
from hdl.compact.frames import Frames, dispatch
from hdl.compact.inference import Inference
from hdl.compact.instructions import Op
from hdl.compact.learning import Learning
from hdl.compact.places import Places
from hdl.compact.rounding import Rounding
from hdl.compact.update import Update


def firmware(places: Places) -> Program:
    """The program of a device.

    Raises
    ------
    SvpgError: it does not fit the processor.
    """
    return _Firmware(places).program()


class _Firmware:
    def __init__(self, places: Places) -> None:
        self._p = p = Assembler()
        self.places, self.config = places, places.config
        self._frames = frames = Frames(p)
        self._inference = inference = Inference(p, places.config, places, frames)
        self._rounding = Rounding(p)
        self._learning = Learning(p, frames, inference, self._rounding)
        self._update = Update(p, frames, inference, self._rounding)
        self._row, self._word, self._column = p.registers("row_number word_number column")

    def program(self) -> Program:
        """All of it."""
        p, frames, abilities = self._p, self._frames, self.places.abilities
        self._clear_once()
        p.place(frames.next)
        frames.header()
        labels = {command: p.label(command.name.lower()) for command in abilities.commands}
        dispatch(p, frames.code, {int(command): label for command, label in labels.items()})
        p.move(frames.status, Status.COMMAND)
        p.jump(frames.refuse)
        for command, label in labels.items():
            p.place(label)
            self._check_flags(command)
            {
                Command.INFO: self._info,
                Command.LOAD: self._load,
                Command.READ: self._read,
                Command.INFER: self._inference.infer,
                Command.LEARN: self._learning.learn,
                Command.APPLY: self._update.apply,
                Command.CLEAR: self._update.clear,
            }[command]()
        frames.routines()
        self._inference.routines()
        if abilities.learns:
            self._rounding.routines()
            self._learning.routines()
            self._update.routines()
        return p.program()

    def _clear_once(self) -> None:
        """The store holds anything when the power comes, and has to stay as it is at every other reset."""
        p, at, cleared = self._p, self._p.register("i"), self._p.register("cleared")
        with p.when(Op.BEQ, cleared, 0):
            with p.count(at, 0, len(self.places.start) * self.places.rows):
                p.emit(Op.STORE, None, at, 0)
            p.move(cleared, 1)

    def _check_flags(self, command: Command) -> None:
        p, frames, abilities = self._p, self._frames, self.places.abilities
        rules, optimisers = abilities.masks
        flags, bit = frames.flags, p.register("x")

        def must_be_in(mask: int, number: Register) -> None:
            p.emit(Op.SHR, bit, mask, number)
            p.emit(Op.AND, bit, bit, 1)
            frames.fail(Status.FLAGS, Op.BEQ, bit, 0)

        match command:
            case Command.INFO | Command.CLEAR:
                frames.fail(Status.FLAGS, Op.BNE, flags, 0)
            case Command.LOAD | Command.READ:
                frames.fail(Status.FLAGS, Op.BGE, flags, len(abilities.sections))
            case Command.APPLY:
                frames.fail(Status.FLAGS, Op.BGE, flags, len(OPTIMISERS))
                must_be_in(optimisers, flags)
            case Command.LEARN:
                frames.fail(Status.FLAGS, Op.BGE, flags, LEARN_FLAGS + 1)
                number = p.register("y")
                p.emit(Op.AND, number, flags, RULE_FLAGS)
                must_be_in(rules, number)
            case Command.INFER:
                number = p.register("y")
                p.emit(Op.AND, bit, flags, ~(INFER_FLAGS & ~FLAG_SPIKES) & 0xFFFF)
                frames.fail(Status.FLAGS, Op.BNE, bit, 0)
                p.emit(Op.AND, number, flags, POLICY_FLAGS)
                frames.fail(Status.FLAGS, Op.BGE, number, len(POLICIES))
                with p.when(Op.BNE, number, POLICIES["conditional"]):
                    p.emit(Op.AND, bit, flags, FLAG_GIVEN)
                    frames.fail(Status.FLAGS, Op.BNE, bit, 0)

    # --- INFO, LOAD, READ ------------------------------------------------------------------------------------
    def _info(self) -> None:
        p, frames, places = self._p, self._frames, self.places
        i, x = p.registers("i x")
        first = places.table_start("info")
        frames.end()
        frames.answer(last=False)
        with p.count(i, first, first + places.info_words - 1):
            p.emit(Op.LOADT, x, i, 0)
            frames.send(x)
        p.emit(Op.LOADT, x, i, 0)
        frames.send(x, last=True)

    def _read_place(self) -> None:
        """Row and word of a frame, checked; ``column`` becomes the first column, ``x_at`` its place in a section."""
        p, frames, config = self._p, self._frames, self.config
        frames.read_pair()
        frames.fail_outside(Status.ADDRESS, 0, config.sources)
        p.move(self._row, frames.value)
        frames.read()
        frames.fail(Status.ADDRESS, Op.BGE, frames.value, config.row_words)
        p.move(self._word, frames.value)
        p.emit(Op.MUL, self._column, self._word, config.lanes)
        at = p.register("x_at")
        p.emit(Op.MUL, at, self._row, config.neurons)
        p.add(at, at, self._column)

    def _section(self) -> None:
        """``section_at`` becomes the place of the row word in the section of the flags."""
        p = self._p
        at = p.register("section_at")
        p.emit(Op.MUL, at, self._frames.flags, self.places.rows)
        p.add(at, at, p.register("x_at"))

    def _wide(self, section: Section) -> bool:
        """Whether a value of a section takes two words."""
        return words_of(section_format(self.config, SECTION_NAMES[section]).bits) > 1

    def _load(self) -> None:
        p, frames, config, places = self._p, self._frames, self.config, self.places
        i, at, x = p.registers("i section_at x")
        low, high, wide = p.registers("value_low value_high wide")
        self._read_place()
        self._section()
        for section in places.abilities.sections:
            number_format = section_format(config, SECTION_NAMES[section])
            with p.when(Op.BEQ, frames.flags, section):
                p.move(low, number_format.low)
                p.move(high, number_format.high)
                p.move(wide, int(self._wide(section)))
        with p.count(i, places.buffer, places.buffer + config.lanes):
            two, whole, good = p.label("two"), p.label("whole"), p.label("good")
            p.branch((Op.BNE, wide, 0), two)
            frames.read()
            with p.when(Op.BLT, low, 0):
                frames.extend()
            p.jump(whole)
            p.place(two)
            frames.read_pair()
            p.place(whole)
            frames.fail_outside(Status.VALUE, low, high)
            p.branch((Op.BEQ, frames.value, 0), good)
            self._must_exist()
            p.place(good)
            p.emit(Op.STORE, None, i, frames.value)
            p.add(self._column, self._column, 1)
        frames.end()
        # The values of a row word that has fewer columns than lanes are 0, and belong nowhere.
        p.sub(self._column, self._column, config.lanes)
        with p.count(i, places.buffer, places.buffer + config.lanes):
            with p.when(Op.BLT, self._column, config.neurons):
                p.emit(Op.LOAD, x, i, 0)
                p.emit(Op.STORE, None, at, x)
            p.add(at, at, 1)
            p.add(self._column, self._column, 1)
        frames.answer(last=True)

    def _must_exist(self) -> None:
        """The frame ends here if there is no synapse of the row to the column."""
        p, frames, config, places = self._p, self._frames, self.config, self.places
        removed, hidden, n = REMOVABLE[config.removed], config.hidden, config.neurons
        exists, from_obs, from_action = map(p.label, ("exists", "obs_row", "action_row"))
        x, y = p.registers("x y")
        column, row, refused = self._column, self._row, p.label("no_synapse")
        p.move(frames.status, Status.VALUE)
        p.branch((Op.BGE, column, n), refused)
        p.branch((Op.BEQ, row, config.sources), exists)
        p.branch((Op.BGE, row, n), from_obs)
        p.emit(Op.LOADT, x, row, places.table_start("group"))
        p.emit(Op.LOADT, y, column, places.table_start("group"))
        p.branch((Op.BEQ, x, y), refused)
        p.branch((Op.BGE, row, hidden), from_action)
        with p.when(Op.BLT, column, hidden):
            p.jump(refused if "hh" in removed else exists)
        p.place(from_action)
        p.jump(refused if "ha" in removed else exists)
        p.place(from_obs)
        with p.when(Op.BLT, column, hidden):
            p.jump(refused if "sh" in removed else exists)
        p.jump(refused if "sa" in removed else exists)
        p.place(refused)
        p.jump(frames.refuse)
        p.place(exists)

    def _read(self) -> None:
        p, frames, config, places = self._p, self._frames, self.config, self.places
        i, at, x, wide = p.registers("i section_at x wide")
        self._read_place()
        frames.end()
        self._section()
        p.move(wide, 0)
        for section in places.abilities.sections:
            if self._wide(section):
                with p.when(Op.BEQ, frames.flags, section):
                    p.move(wide, 1)
        frames.answer(last=False)
        with p.count(i, 1, config.lanes + 1):
            narrow, last = p.label("narrow"), p.label("last_value")
            p.move(x, 0)
            with p.when(Op.BLT, self._column, config.neurons):
                p.emit(Op.LOAD, x, at, 0)
            p.branch((Op.BEQ, wide, 0), narrow)
            frames.send(x)
            p.emit(Op.SHR, x, x, 16)
            p.place(narrow)
            p.branch((Op.BEQ, i, config.lanes), last)
            frames.send(x)
            more = p.label("more")
            p.jump(more)
            p.place(last)
            frames.send(x, last=True)
            p.place(more)
            p.add(at, at, 1)
            p.add(self._column, self._column, 1)
