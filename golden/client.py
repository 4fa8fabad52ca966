"""A device behind a link, used like :class:`golden.device.Device`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.arguments import (
    OPTIMISERS,
    POLICIES,
    RULES,
    SECTIONS,
    Apply,
    Observations,
    check_apply,
    check_infer,
    check_learn,
    check_load,
    check_read,
)
from golden.config import DeviceConfig
from golden.device import Inference, Learning
from golden.errors import SvpgError
from golden.protocol import (
    BIAS_NAMES,
    FLAG_ACTIVITY,
    FLAG_COUNTERS,
    FLAG_GIVEN,
    FLAG_SPIKES,
    INFO_ENUMS,
    INFO_HEAD,
    LAST,
    MEANINGS,
    UPDATE_ARGUMENTS,
    WORD_BITS,
    Abilities,
    Command,
    Ints,
    Section,
    Status,
    Words,
    command_fields,
    frame_words,
    header,
    info_values,
    pack,
    parse_header,
    response_fields,
    unpack,
)

WORDS_AT_ONCE = 1 << 20
"""Batches go over the link in parts of about so many words, either way."""

ROWS_OF_RESULT = ("winners", "prob_raw", "q_raw", "spikes")
"""Results of ``INFER`` that are more than one value per decision."""


class Transport(Protocol):
    """A link to a device: a Verilated model, a cable to a board, or :class:`golden.server.FrameServer`."""

    def exchange(self, words: Words, responses: int) -> Words:
        """Send command frames and collect the responses.

        The device answers in order and takes no more commands while nobody takes its responses, so an implementation
        goes on taking them while it sends. It need not understand frames beyond their last words.

        Parameters
        ----------
        words: whole command frames one after the other, uint32 (n,), last words marked with :data:`LAST`.
        responses: how many response frames to wait for: one for each command frame.

        Returns
        -------
        All words of exactly that many response frames, in the same form.

        Raises
        ------
        SvpgError: the link is broken, or the responses do not come in time.
        """
        ...


@dataclass
class TimedInference(Inference):
    """Result of ``INFER`` with the counters that only hardware has (0 from a model); B rows.

    Attributes
    ----------
    q_raw: of shape (B, 0) if the activity was not asked for.
    spikes: of shape (B, 0, G+1) if they were not asked for.
    cycles: int64 (B,), clock cycles from the last word of the command to the result, transfers apart.
    stalls: int64 (B,), cycles of those in which a row word waited and none was read.
    """

    cycles: Ints
    stalls: Ints


@dataclass
class TimedLearning(Learning):
    """Counters of ``LEARN`` with those that only hardware has (0 from a model); int64 (B,) each.

    Attributes
    ----------
    cycles, stalls: as in :class:`TimedInference`.
    """

    cycles: Ints
    stalls: Ints


class FrameDevice:
    """A device seen through frames, with the interface of :class:`golden.device.Device`.

    Arguments are checked before anything is sent, as the model does. Every method raises :class:`SvpgError` if the
    device refuses a command, or if a response is not one to what was asked.

    Parameters
    ----------
    config: what the device must have been built for.
    transport: the link to it. ``INFO`` is asked at once, and a device of another configuration refused.

    The parameters of hardware are undefined until they are loaded, and what it has learned until it is cleared.

    Attributes
    ----------
    rules, optimisers: names of those that the device was built with.
    """

    def __init__(self, config: DeviceConfig, transport: Transport) -> None:
        self.config = config
        self._transport = transport
        info = self.info()
        self.rules, self.optimisers = (
            frozenset(name for name, number in numbers.items() if int(info[what]) >> number & 1)
            for what, numbers in (("rules", RULES), ("optimisers", OPTIMISERS))
        )

    # --- INFO ----------------------------------------------------------------------------------------
    def info(self) -> dict[str, int | str]:
        """``INFO``: what :meth:`golden.device.Device.info` gives, and the protocol version, rules and optimisers (a bit
        for each of their numbers), softmax lanes.

        Raises
        ------
        SvpgError: the device speaks another protocol, keeps another contract, or has another configuration.
        """
        found, expected = ask_info(self.config, self._transport), info_values(self.config, 0)
        differing = [name for name in expected if name not in INFO_HEAD and found[name] != expected[name]]
        if differing or found["digest"] != expected["digest"]:
            shown = [
                f"{name} = {info_name(name, found[name])} (not {info_name(name, expected[name])})" for name in differing
            ]
            raise SvpgError(
                f"the device has another configuration: {', '.join(shown) or 'its digest differs'}; "
                "rebuild the bitstream or model, or use the configuration it was built for"
            )
        return {name: info_name(name, value) for name, value in found.items()}

    # --- LOAD, READ ----------------------------------------------------------------------------------
    def load(self, section: str, values: ArrayLike, start: int = 0) -> None:
        """``LOAD``: write raw integers into a section from flat position ``start`` on.

        Row words that are covered in part are read and written back. What is refused is refused before anything is
        sent; if the link fails on the way, a part may have been written.

        Raises
        ------
        SvpgError: beyond the section, outside its format, or non-zero where no synapse exists.
        """
        data = check_load(self.config, section, values, start)
        memory, first = self._position(section, start)
        if not data.size:
            return
        rows = Rows(self.config, first, first + data.size)
        if rows.partial.size:
            rows.words[rows.partial] = self._read(memory, rows.addresses(rows.partial))
        rows.put(data)
        self._ask(Command.LOAD, memory, {**rows.addresses(), "values": rows.words})

    def read(self, section: str, start: int = 0, count: int | None = None) -> Ints:
        """``READ``: ``count`` raw integers of a section from flat position ``start``, int64 (all by default).

        Raises
        ------
        SvpgError: beyond the section.
        """
        stop = check_read(self.config, section, start, count)
        memory, first = self._position(section, start)
        if start == stop:
            return np.zeros(0, dtype=np.int64)
        rows = Rows(self.config, first, first + stop - start)
        rows.words[:] = self._read(memory, rows.addresses())
        return rows.get()

    def clear_learning(self) -> None:
        """Zero the accumulators and second moments, if the device has any."""
        if self.rules:
            self._ask(Command.CLEAR, 0, {}, 1)

    def _position(self, section: str, start: int) -> tuple[Section, int]:
        """The memory of a section, and the place of a value among its rows, the biases being row P."""
        memory = Section(SECTIONS.index(section) // 2)
        if memory not in self.sections:
            raise SvpgError(f"the device was built without the memory {section}; rebuild it with what learns")
        return memory, start + (self.config.sources * self.config.neurons if section in BIAS_NAMES.values() else 0)

    @property
    def sections(self) -> tuple[Section, ...]:
        """The memories that the device has."""
        return Abilities(self.rules, self.optimisers).sections

    def _read(self, memory: Section, addresses: dict[str, Ints]) -> Ints:
        """Row words, (n, lanes)."""
        return self._ask(Command.READ, memory, addresses)["values"]

    # --- INFER ---------------------------------------------------------------------------------------
    def infer(
        self,
        obs: Observations,
        nonce: NDArray[np.uint64],
        policy: str = "sample",
        given: Ints | None = None,
        activity: bool = True,
        spikes: bool = False,
    ) -> TimedInference:
        """``INFER``: as :meth:`golden.device.Device.infer`.

        Parameters
        ----------
        obs, nonce, policy, given: as there.
        activity: ask for the activity of all neurons as well, which makes the responses longer.
        spikes: ask for every spike as well, which makes them longer still; there are none in rate mode.

        Raises
        ------
        SvpgError: wrong shapes or values.
        """
        obs, nonce, given = check_infer(self.config, obs, nonce, policy, given)
        flags = POLICIES[policy] | (FLAG_ACTIVITY if activity else 0)
        if spikes and self.config.spikes:
            flags |= FLAG_SPIKES
        values = {"nonce": nonce.view(np.int64)[:, None], "obs": obs}
        if given is not None:
            flags |= FLAG_GIVEN
            values["given"] = given[:, : self.config.groups]
        unasked: dict[str, Ints] = {name: np.zeros((len(obs), 0), dtype=np.int64) for name in ("q_raw", "spikes")}
        result = unasked | self._ask(Command.INFER, flags, values)
        steps = self.config.steps if flags & FLAG_SPIKES else 0
        result["spikes"] = result["spikes"].reshape(len(obs), steps, self.config.groups + 1)
        return TimedInference(**{name: a if name in ROWS_OF_RESULT else a[:, 0] for name, a in result.items()})

    # --- LEARN, APPLY --------------------------------------------------------------------------------
    def learn(
        self,
        obs: Observations,
        winners: Ints,
        modulator: Ints,
        rule: str,
        nonce: NDArray[np.uint64] | None = None,
        counters: bool = True,
    ) -> TimedLearning | None:
        """``LEARN``: as :meth:`golden.device.Device.learn`.

        Parameters
        ----------
        obs, winners, modulator, rule, nonce: as there.
        counters: ask for them, else None is returned; without, responses are one word each, and samples whose modulator
            is 0, as PPO's often is, are not sent: they change nothing.

        Raises
        ------
        SvpgError: wrong shapes or values, or a rule that the device was built without.
        """
        obs, winners, modulator, nonce = check_learn(self.config, obs, winners, modulator, rule, nonce)
        self._must_have("rule", rule, self.rules)
        if not counters:
            sent = np.flatnonzero(modulator)
            obs, winners, modulator, nonce = obs[sent], winners[sent], modulator[sent], nonce[sent]
        flags = RULES[rule] | (FLAG_COUNTERS if counters else 0)
        values = {
            "nonce": nonce.view(np.int64)[:, None],
            "modulator": modulator[:, None],
            "action": winners[:, -1:],
            "obs": obs,
            "given": winners[:, :-1],
        }
        result = self._ask(Command.LEARN, flags, values)
        return TimedLearning(**{name: array[:, 0] for name, array in result.items()}) if counters else None

    def apply(self, arguments: Apply) -> int:
        """``APPLY``: as :meth:`golden.device.Device.apply`; returns the clock cycles it took, 0 from a model.

        Raises
        ------
        SvpgError: arguments out of range, or an optimiser that the device was built without.
        """
        check_apply(self.config, arguments)
        self._must_have("optimiser", arguments.optimiser, self.optimisers)
        values = {name: np.array([[getattr(arguments, name)]], dtype=np.int64) for name in UPDATE_ARGUMENTS}
        return int(self._ask(Command.APPLY, OPTIMISERS[arguments.optimiser], values)["cycles"][0, 0])

    def _must_have(self, what: str, name: str, present: frozenset[str]) -> None:
        """Raise unless the device was built with a rule or optimiser."""
        if name not in present:
            raise SvpgError(
                f"the device was built without the {what} {name} (it has {', '.join(sorted(present)) or 'none'}); "
                f"rebuild it with that, or choose another {what}"
            )

    def _ask(
        self, command: Command, flags: int, values: Mapping[str, Ints], count: int | None = None
    ) -> dict[str, Ints]:
        """Values of the responses to n commands, (n, count) each, from those of the commands.

        ``count`` tells n of commands without values.
        """
        asked, answered = command_fields(self.config, command, flags), response_fields(self.config, command, flags)
        total, length = len(next(iter(values.values()))) if count is None else count, frame_words(answered)
        at_once = max(1, WORDS_AT_ONCE // max(frame_words(asked), length))
        # A part of no frames gives the arrays their shapes where nothing is asked.
        parts = [unpack(answered, np.zeros((0, length), dtype=np.uint32))]
        for first in range(0, total, at_once):
            part = {name: array[first : first + at_once] for name, array in values.items()}
            number = min(at_once, total - first)
            frames = pack(header(command, flags), asked, part, number)
            words = self._transport.exchange(frames.ravel(), number)
            check_responses(command, words, number, length, first)
            parts.append(unpack(answered, words.reshape(number, length)))
        return {field.name: np.concatenate([part[field.name] for part in parts]) for field in answered}


class Rows:
    """Consecutive values of the memory as the row words that hold them.

    Parameters
    ----------
    config: sizes.
    first, stop: flat positions among the P + 1 rows of N values, the biases being the last; one value at least.

    Attributes
    ----------
    words: int64 (n, lanes), zero at first.
    partial: which of the n words hold other values as well.
    """

    def __init__(self, config: DeviceConfig, first: int, stop: int) -> None:
        n, lanes = config.neurons, config.lanes
        (low, left), (high, right) = divmod(first, n), divmod(stop - 1, n)
        begin, end = left // lanes, (high - low) * config.row_words + right // lanes + 1
        self._row, self._word = np.divmod(low * config.row_words + np.arange(begin, end), config.row_words)
        self._image = np.zeros((high - low + 1, config.row_words * lanes), dtype=np.int64)
        self._columns = self._image[:, :n]
        self._wanted = slice(first - low * n, stop - low * n)
        self.words = self._image.reshape(-1, lanes)[begin:end]
        right_is_cut = right + 1 != n and (right + 1) % lanes != 0
        self.partial = np.unique([0] * (left % lanes != 0) + [len(self.words) - 1] * right_is_cut).astype(np.int64)

    def addresses(self, which: Ints | None = None) -> dict[str, Ints]:
        """Fields of ``LOAD`` and ``READ`` that address the words, or some of them."""
        chosen = slice(None) if which is None else which
        return {"row": self._row[chosen, None], "word": self._word[chosen, None]}

    def get(self) -> Ints:
        """The values."""
        return self._columns.flatten()[self._wanted]

    def put(self, values: NDArray[np.integer]) -> None:
        """Set the values; others in the same words stay."""
        flat = self._columns.flatten()
        flat[self._wanted] = values
        self._columns[:] = flat.reshape(self._columns.shape)


def ask_info(config: DeviceConfig, transport: Transport) -> dict[str, int]:
    """``INFO`` as it comes, of a device of any configuration; names as in :func:`golden.protocol.info_values`.

    Raises
    ------
    SvpgError: the device speaks another protocol or keeps another contract, or the response is not one to ``INFO``.
    """
    frame = pack(header(Command.INFO, 0), (), {}, 1)
    words = transport.exchange(frame.ravel(), 1)
    # Another version may answer more or fewer values, and is to be told from a faulty link.
    check_responses(Command.INFO, words, 1, None)
    (field,) = response_fields(config, Command.INFO, 0)
    values = field.from_words(words[None, 1:] & (LAST - 1))[0].tolist()
    expected = info_values(config, 0)
    found = dict(zip(expected, values, strict=False))
    for name, what in (("protocol", "protocol"), ("contract", "numeric contract")):
        if found.get(name) != expected[name]:
            raise SvpgError(
                f"the device keeps version {found.get(name, 'none')} of the {what}, this program {expected[name]}; "
                "rebuild the bitstream or model, or use the program it was built with"
            )
    check_responses(Command.INFO, words, 1, 1 + field.words)
    return found


def with_lanes_of(config: DeviceConfig, transport: Transport) -> DeviceConfig:
    """A configuration with the row words of a device: they change no result, only the words that are counted.

    Raises
    ------
    SvpgError: as :func:`ask_info`.
    """
    return config.replace(lanes=ask_info(config, transport)["lanes"])


def info_name(name: str, value: int) -> int | str:
    """A value of ``INFO`` as the configuration has it."""
    names = INFO_ENUMS.get(name, ())
    return names[value] if value < len(names) else value


def check_responses(command: Command, words: Words, count: int, length: int | None, first: int = 0) -> None:
    """Raise unless ``words`` are ``count`` responses of status ``OK`` to a command.

    Parameters
    ----------
    length: words of each, any if None.
    first: number of the first, for the message.

    Raises
    ------
    SvpgError: names the first response that is wrong and what is wrong with it.
    """
    if length is not None and words.size == count * length:
        frames = words.reshape(count, length)
        marked = (frames[:, :-1] < LAST).all() and (frames[:, -1] >> WORD_BITS == 1).all()
        if marked and (frames[:, 0] & (LAST - 1) == header(command, Status.OK)).all():
            return
    mend = "check the link, then reset it and the device"
    if words.size and words.max() >= 2 * LAST:
        raise SvpgError(f"{command.name}: the link gives {words.max():#x}, which is no word of a frame; {mend}")
    ends = np.flatnonzero(words & LAST) + 1
    for number, (start, end) in enumerate(itertools.pairwise([0, *ends.tolist()])):
        which = f"{command.name}: the response to frame {first + number}"
        code, status = parse_header(int(words[start]))
        if code != command:
            raise SvpgError(f"{which} belongs to command {code}, not {command.value}; {mend}")
        if status not in tuple(Status):
            raise SvpgError(f"{which} has status {status}, which does not exist; {mend}")
        if status != Status.OK:
            raise SvpgError(
                f"{command.name}: the device refuses frame {first + number} with status {Status(status).name} "
                f"({MEANINGS[Status(status)]}); {mend}"
            )
        if length not in (None, end - start):
            raise SvpgError(f"{which} has {end - start} words, expected {length}; {mend}")
    whole = int(ends[-1]) if ends.size else 0
    if (ends.size, whole) != (count, words.size):
        raise SvpgError(
            f"{command.name}: the link gives {ends.size} whole responses and {words.size - whole} words of another, "
            f"expected {count}; {mend}"
        )
