"""The device behind frames: client and server against the device itself, and every way a frame can be wrong."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from golden import client, kernels
from golden.arguments import OPTIMISERS, POLICIES, RULES, SECTIONS, Apply, obs_range, section_format
from golden.client import FrameDevice
from golden.config import REMOVABLE, DeviceConfig
from golden.device import Device
from golden.errors import SvpgError
from golden.modes import MODES
from golden.protocol import (
    COUNTERS,
    FLAG_ACTIVITY,
    FLAG_COUNTERS,
    FLAG_GIVEN,
    FLAG_SPIKES,
    HEADER_BITS,
    LAST,
    MEANINGS,
    POLICY_FLAGS,
    PROTOCOL_VERSION,
    RULE_FLAGS,
    Abilities,
    Command,
    Section,
    Status,
    header,
    infer_response_words,
    infer_words,
    info_values,
    load_words,
    split,
    words_of,
)
from golden.server import FrameServer
from tests.protocol_reference import (
    CLEAR_FRAME,
    INFO_FRAME,
    Reference,
    apply_frame,
    array,
    frame,
    infer_frame,
    learn_frame,
    load_frame,
    mark,
    read_frame,
)
from tests.test_golden_oracle import STYLES, configs, fill, fill_matrix

MODEST = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
SMALL = DeviceConfig(inputs=2, groups=2, group_size=3, actions=2, lanes=3, removed="sa")
"""Eight neurons in three row words, so that the last has a column to spare; ten rows and the biases."""
WIDE = SMALL.replace(weight_bits=24, weight_frac=14, obs_bits=18, obs_frac=10, activity_frac=14, prob_frac=16)
"""Weights, observations and probabilities take two words each."""
SPIKING = SMALL.replace(mode="spike", steps=5, window=4)
BERNOULLI = SPIKING.replace(obs_spikes="bernoulli")
Words = NDArray[np.uint32]


# --- links -----------------------------------------------------------------------------------------
class Link:
    """A transport that counts what passes, cuts it into random pieces, and changes responses if told."""

    def __init__(self, server: FrameServer, change: Callable[[list[int]], list[int]] | None = None) -> None:
        self.server, self.change, self.exchanges = server, change, 0
        self.rng = np.random.default_rng(1)

    def exchange(self, words: Words, responses: int) -> Words:
        self.exchanges += 1
        answer = in_pieces(self.server, words, self.rng)
        assert (answer >= LAST).sum() == responses
        return answer if self.change is None else np.array(self.change(answer.tolist()), dtype=np.uint32)


def in_pieces(server: FrameServer, words: Words, rng: np.random.Generator) -> Words:
    """Responses to words that arrive in up to ten pieces."""
    cuts = sorted(rng.integers(0, len(words), rng.integers(10), endpoint=True).tolist())
    pieces = itertools.pairwise([0, *cuts, len(words)])
    return np.concatenate([server.exchange(words[start:stop]) for start, stop in pieces])


def responses_of(words: NDArray[Any]) -> list[list[int]]:
    """Words of each frame; nothing may be left over."""
    frames = np.split(words, np.flatnonzero(words >= LAST) + 1)
    assert frames[-1].size == 0
    return [part.tolist() for part in frames[:-1]]


def parameters(device: Device) -> list[list[int]]:
    return [device.read(section).tolist() for section in SECTIONS]


def random_sections(config: DeviceConfig, style: str, rng: np.random.Generator) -> dict[str, NDArray[np.int64]]:
    """Random values for every section."""
    values: dict[str, NDArray[np.int64]] = {}
    for section in SECTIONS:
        number_format = section_format(config, section)
        if section.endswith("bias"):
            values[section] = fill(number_format, config.neurons, style, rng)
        else:
            values[section] = fill_matrix(config, number_format, style, rng, symmetric=False)
    return values


def loaded(config: DeviceConfig, seed: int = 0, style: str = "wide") -> tuple[Device, FrameServer]:
    """A device and a server with the same random parameters."""
    device, server = Device(config), FrameServer(config)
    for section, values in random_sections(config, style, np.random.default_rng(seed)).items():
        device.load(section, values)
        server.device.load(section, values)
    return device, server


def assert_same(result: Any, expected: Any) -> None:
    for name, values in vars(expected).items():
        assert getattr(result, name).dtype == values.dtype, name
        assert np.array_equal(getattr(result, name), values), name


# --- the device through frames ---------------------------------------------------------------------
@MODEST
@given(config=configs(), style=st.sampled_from(STYLES), seed=st.integers(0, 2**32 - 1))
def test_a_device_through_frames_equals_the_device(config: DeviceConfig, style: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    device = Device(config)
    remote = FrameDevice(config, Link(FrameServer(config)))
    for section, values in random_sections(config, style, rng).items():
        device.load(section, values)
        remote.load(section, values)
        assert np.array_equal(remote.read(section), device.read(section))
    obs = fill(config.obs, (5, config.inputs), style, rng)
    nonce = rng.integers(0, 2**64, 5, dtype=np.uint64)
    winners = rng.integers(0, config.group_size, (5, config.groups + 1))
    winners[:, -1] = -1  # of no group: nobody reads it
    for policy, given_winners in [*((name, None) for name in POLICIES), ("conditional", winners)]:
        expected = device.infer(obs, nonce, policy, given_winners)
        result = remote.infer(obs, nonce, policy, given_winners)
        assert_same(result, expected)
        assert result.cycles.tolist() == result.stalls.tolist() == [0] * 5
        short = remote.infer(obs, nonce, policy, given_winners, activity=False)
        assert short.q_raw.shape == (5, 0)
        expected.q_raw = expected.q_raw[:, :0]
        assert_same(short, expected)


@MODEST
@given(config=configs(), data=st.data())
def test_any_range_of_a_section_can_be_written_and_read(config: DeviceConfig, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    device, server = loaded(config, 1)
    remote = FrameDevice(config, Link(server))
    for _ in range(4):
        section = data.draw(st.sampled_from(SECTIONS))
        size = getattr(device, section).size
        start, stop = sorted(data.draw(st.lists(st.integers(0, size), min_size=2, max_size=2)))
        values = random_sections(config, "wide", rng)[section].ravel()[start:stop]
        for target in (device, remote):
            target.load(section, values, start)
        assert parameters(server.device) == parameters(device)
        got = remote.read(section, start, stop - start)
        assert got.dtype == np.int64
        assert np.array_equal(got, values)
        assert np.array_equal(remote.read(section, start), device.read(section, start))


@pytest.mark.parametrize("style", ["extreme", "wide"])
def test_values_of_two_words_pass_unchanged(style: str) -> None:
    assert [words_of(bits) for bits in (WIDE.weight_bits, WIDE.obs_bits, WIDE.probability.bits)] == [2, 2, 2]
    device, server = loaded(WIDE, 3, style)
    remote = FrameDevice(WIDE, Link(server))
    assert np.array_equal(remote.read("weight"), device.read("weight"))
    obs = fill(WIDE.obs, (50, WIDE.inputs), style, np.random.default_rng(4))
    nonce = np.arange(50, dtype=np.uint64) + np.uint64(2**64 - 50)
    expected = device.infer(obs, nonce, "sample")
    assert_same(remote.infer(obs, nonce, "sample"), expected)
    assert (expected.prob_raw >> 16).any(), "some probability is 1.0 and needs its second word"


def test_only_words_that_are_cut_are_read_before_they_are_written() -> None:
    sent: list[int] = []

    class Watch(Link):
        def exchange(self, words: Words, responses: int) -> Words:
            sent.extend(int(command[0]) % 256 for command in responses_of(words))
            return super().exchange(words, responses)

    remote = FrameDevice(SMALL, Watch(FrameServer(SMALL)))
    n = SMALL.neurons
    for start, stop, reads, loads in [
        (0, 3, 0, 1),
        (6, n, 0, 1),
        (0, 3 * n, 0, 9),
        (n + 1, n + 3, 1, 1),
        (n + 3, n + 5, 1, 1),
        (n + 1, n + 2, 1, 1),
        (n + 1, 2 * n + 4, 2, 5),
        (5, 5, 0, 0),
    ]:
        sent.clear()
        remote.load("weight", np.zeros(stop - start, dtype=np.int64), start)
        assert sent == [Command.READ] * reads + [Command.LOAD] * loads, (start, stop)


def test_batches_go_in_parts_that_a_link_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    device, server = loaded(SMALL)
    link = Link(server)
    remote = FrameDevice(SMALL, link)
    obs, nonce = fill(SMALL.obs, (7, 2), "wide", np.random.default_rng(0)), np.arange(7, dtype=np.uint64)
    expected = device.infer(obs, nonce)
    response = infer_response_words(SMALL, activity=True)
    for limit, exchanges in ((1, 7), (2 * response, 4), (3 * response - 1, 4), (7 * response, 1)):
        monkeypatch.setattr(client, "WORDS_AT_ONCE", limit)
        link.exchanges = 0
        assert_same(remote.infer(obs, nonce), expected)
        assert link.exchanges == exchanges, limit
    monkeypatch.setattr(client, "WORDS_AT_ONCE", 2 * load_words(SMALL))
    link.exchanges = 0
    remote.load("weight", np.zeros(80, dtype=np.int64))
    assert link.exchanges == 10 * 3 / 2, "commands longer than their responses count as well"


@pytest.mark.parametrize("activity", [True, False])
def test_a_batch_of_nothing_needs_no_device(activity: bool) -> None:
    link = Link(FrameServer(SMALL))
    remote = FrameDevice(SMALL, link)
    link.exchanges = 0
    result = remote.infer(np.zeros((0, 2), dtype=np.int64), np.zeros(0, dtype=np.uint64), activity=activity)
    assert link.exchanges == 0
    assert result.winners.shape == (0, 3)
    assert result.prob_raw.shape == (0, 2)
    assert result.q_raw.shape == (0, 8 * activity)
    assert result.iterations.shape == result.cycles.shape == (0,)


@pytest.mark.parametrize(("section", "size"), [("weight", 80), ("bias", 8)])
def test_a_range_of_nothing_needs_no_device(section: str, size: int) -> None:
    link = Link(FrameServer(SMALL))
    remote = FrameDevice(SMALL, link)
    link.exchanges = 0
    for start in range(size + 1):
        assert remote.read(section, start, 0).tolist() == []
        remote.load(section, np.zeros(0, dtype=np.int64), start)
    assert link.exchanges == 0


def test_info_is_that_of_the_device_and_more() -> None:
    config = SMALL.replace(removed="ha", start="uniform")
    abilities = Abilities(frozenset({"published", "contrastive"}), frozenset({"sgd", "sign"}))
    remote = FrameDevice(config, FrameServer(config, 4, abilities))
    own = {"protocol": PROTOCOL_VERSION, "rules": 0b101, "optimisers": 0b101, "softmax_lanes": 4}
    assert remote.info() == {**Device(config).info(), **own}
    assert (remote.rules, remote.optimisers) == (abilities.rules, abilities.optimisers)


def test_counters_of_hardware_reach_the_result() -> None:
    _, server = loaded(SMALL)
    remote = FrameDevice(SMALL, Link(server, set_counters))
    result = remote.infer(np.zeros((3, 2), dtype=np.int64), np.arange(3, dtype=np.uint64))
    assert result.cycles.tolist() == [0x20001] * 3
    assert result.stalls.tolist() == [0x40003] * 3


def set_counters(words: list[int]) -> list[int]:
    """Cycles and stalls as hardware might answer them."""
    responses = responses_of(np.array(words))
    at = 2 + 2 * COUNTERS.index("cycles")
    for response in responses:
        if response[0] == header(Command.INFER, Status.OK):
            response[at : at + 4] = [1, 2, 3, 4]
    return [word for response in responses for word in response]


# --- arguments are refused before anything is sent --------------------------------------------------
@pytest.mark.parametrize(
    "call",
    [
        lambda d: d.load("weights", [0]),
        lambda d: d.load("weight", [0.5]),
        lambda d: d.load("weight", [0], -1),
        lambda d: d.load("weight", np.zeros(81, dtype=int)),
        lambda d: d.load("weight", [0], 80),
        lambda d: d.load("weight", [1 << 15], 3),
        lambda d: d.load("weight", [1]),
        lambda d: d.load("bias", [0, -(1 << 15) - 1]),
        lambda d: d.load("bias", np.zeros(9, dtype=int)),
        lambda d: d.read("biases"),
        lambda d: d.read("weight", 81),
        lambda d: d.read("weight", -1),
        lambda d: d.read("bias", 4, 5),
        lambda d: d.read("bias", 4, -1),
        lambda d: d.infer(np.zeros((1, 2)), np.zeros(1, dtype=np.uint64)),
        lambda d: d.infer(np.zeros((1, 3), dtype=int), np.zeros(1, dtype=np.uint64)),
        lambda d: d.infer(np.full((1, 2), 1 << 11), np.zeros(1, dtype=np.uint64)),
        lambda d: d.infer(np.zeros((1, 2), dtype=int), np.zeros(2, dtype=np.uint64)),
        lambda d: d.infer(np.zeros((1, 2), dtype=int), np.zeros(1, dtype=np.uint64), "best"),
        lambda d: d.infer(np.zeros((1, 2), dtype=int), np.zeros(1, dtype=np.uint64), "greedy", [[0, 0, 0]]),
        lambda d: d.infer(np.zeros((1, 2), dtype=int), np.zeros(1, dtype=np.uint64), "conditional", [[0, 3, 0]]),
        lambda d: d.infer(np.zeros((1, 2), dtype=int), np.zeros(1, dtype=np.uint64), "conditional", [[0, 0]]),
    ],
)
def test_wrong_arguments_are_refused_as_the_device_refuses_them(call: Callable[[Any], object]) -> None:
    link = Link(FrameServer(SMALL))
    remote = FrameDevice(SMALL, link)
    link.exchanges = 0
    with pytest.raises(SvpgError) as expected:
        call(Device(SMALL))
    with pytest.raises(SvpgError) as caught:
        call(remote)
    assert str(caught.value) == str(expected.value)
    assert link.exchanges == 0


WITHOUT = {
    "nothing": Abilities(frozenset(), frozenset()),
    "little": Abilities(frozenset({"contrastive"}), frozenset({"sgd"})),
}
ONE = (np.zeros((1, 2), dtype=np.int64), np.zeros((1, 3), dtype=np.int64), np.ones(1, dtype=np.int64))


@pytest.mark.parametrize(
    ("build", "call", "message"),
    [
        ("nothing", lambda d: d.load("acc", [0]), "the device was built without the memory acc; rebuild"),
        ("nothing", lambda d: d.read("moment_bias"), "without the memory moment_bias; rebuild"),
        ("nothing", lambda d: d.learn(*ONE, "published"), r"without the rule published \(it has none\); rebuild"),
        ("nothing", lambda d: d.apply(Apply("sgd", 0, 5, 5)), r"without the optimiser sgd \(it has none\); rebuild"),
        ("little", lambda d: d.read("moment"), "without the memory moment; rebuild"),
        ("little", lambda d: d.learn(*ONE, "published"), r"without the rule published \(it has contrastive\)"),
        ("little", lambda d: d.apply(Apply("sign", 0, 5, 5)), r"without the optimiser sign \(it has sgd\)"),
    ],
)
def test_what_a_build_lacks_is_refused_by_name(build: str, call: Callable[[Any], object], message: str) -> None:
    link = Link(FrameServer(SMALL, abilities=WITHOUT[build]))
    remote = FrameDevice(SMALL, link)
    link.exchanges = 0
    with pytest.raises(SvpgError, match=message):
        call(remote)
    assert link.exchanges == 0


def test_a_build_that_does_not_learn_has_nothing_to_clear() -> None:
    link = Link(FrameServer(SMALL, abilities=WITHOUT["nothing"]))
    remote = FrameDevice(SMALL, link)
    link.exchanges = 0
    remote.clear_learning()
    assert link.exchanges == 0


# --- responses that are wrong -----------------------------------------------------------------------
def flawed(change: Callable[[list[int]], list[int]]) -> FrameDevice:
    """A device whose link changes every response but that to ``INFO``."""
    _, server = loaded(SMALL)

    def after_info(words: list[int]) -> list[int]:
        return words if words[0] % LAST == header(Command.INFO, Status.OK) else change(words)

    return FrameDevice(SMALL, Link(server, after_info))


def infer_three(remote: FrameDevice) -> object:
    return remote.infer(np.zeros((3, 2), dtype=np.int64), np.arange(3, dtype=np.uint64))


L = 23
"""Words of a response to ``INFER`` of the small device, with activity."""


def second_header(value: int) -> Callable[[list[int]], list[int]]:
    """Replaces the header of the second response."""
    return lambda words: [*words[:L], value, *words[L + 1 :]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (second_header(header(Command.READ, 0)), "response to frame 1 belongs to command 3, not 4"),
        (second_header(header(0x44, 0)), "response to frame 1 belongs to command 68, not 4"),
        (second_header(header(Command.INFER, 77)), "response to frame 1 has status 77, which does not exist"),
        (lambda w: [w[0] + LAST, *w[1:]], "response to frame 0 has 1 words, expected 23"),
        (lambda w: [*w[:5], *w[6:]], "response to frame 0 has 22 words, expected 23"),
        (lambda w: [*w[:30], 7, *w[30:]], "response to frame 1 has 24 words, expected 23"),
        (lambda w: [*w[: L - 1], w[L - 1] - LAST, *w[L:]], "response to frame 0 has 46 words, expected 23"),
        (lambda w: [*w[: L - 2], w[L - 2] + LAST, *w[L - 1 :]], "response to frame 0 has 22 words, expected 23"),
        (lambda w: w[:-1], "gives 2 whole responses and 22 words of another, expected 3"),
        (lambda w: w[:-L], "gives 2 whole responses and 0 words of another, expected 3"),
        (lambda w: [*w, *w[:L]], "gives 4 whole responses and 0 words of another, expected 3"),
        (lambda w: [*w, 5], "gives 3 whole responses and 1 words of another, expected 3"),
        (lambda w: [*w[:-1], w[-1] - LAST], "gives 2 whole responses and 23 words of another, expected 3"),
        (lambda w: [], "gives 0 whole responses and 0 words of another, expected 3"),
        (lambda w: [w[0], w[1] + 2 * LAST, *w[2:]], "gives 0x2000., which is no word of a frame"),
        (lambda w: [*w[:-1], w[-1] + 2 * LAST], "gives 0x3.*, which is no word of a frame"),
    ],
)
def test_a_response_that_is_not_one_is_an_error(change: Callable[[list[int]], list[int]], message: str) -> None:
    assert infer_response_words(SMALL, activity=True) == L
    with pytest.raises(SvpgError, match=f"^INFER: the .*{message}; check the link, then reset it and the device$"):
        infer_three(flawed(change))


@pytest.mark.parametrize("status", [status for status in Status if status != Status.OK])
def test_a_refusal_is_told_with_command_status_and_meaning(status: Status) -> None:
    def refuse(words: list[int]) -> list[int]:
        return [*words[: 2 * L], *frame(Command.INFER, status)]

    with pytest.raises(SvpgError) as caught:
        infer_three(flawed(refuse))
    assert f"INFER: the device refuses frame 2 with status {status.name} ({MEANINGS[status]}); " in str(caught.value)
    with pytest.raises(SvpgError, match=f"^LOAD: the device refuses frame 0 with status {status.name} "):
        flawed(lambda words: frame(Command.LOAD, status)).load("bias", np.zeros(8, dtype=np.int64))


def test_the_frame_of_a_later_part_is_named_by_its_number_in_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = itertools.count()

    def refuse_the_third(words: list[int]) -> list[int]:
        return frame(Command.INFER, Status.VALUE) if next(calls) == 2 else words

    remote = flawed(refuse_the_third)
    monkeypatch.setattr(client, "WORDS_AT_ONCE", 1)
    with pytest.raises(SvpgError, match="refuses frame 2 with status VALUE"):
        infer_three(remote)


def changed_info(**values: int) -> Callable[[list[int]], list[int]]:
    """Replaces values of ``INFO``."""

    def change(words: list[int]) -> list[int]:
        for name, value in values.items():
            at = 1 + 2 * list(info_values(SMALL, 0)).index(name)
            words[at : at + 2] = split(value, 2)
        return mark(words)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed_info(protocol=4), "keeps version 4 of the protocol, this program 3; rebuild the bitstream or model"),
        (changed_info(contract=9), "keeps version 9 of the numeric contract, this program 3; rebuild"),
        (lambda w: mark([w[0], 1, 0]), "keeps version 1 of the protocol"),
        (lambda w: mark([w[0], 3, 0, 4, 0, *[0] * 80]), "keeps version 4 of the numeric contract"),
        (changed_info(digest=1), "another configuration: its digest differs; rebuild"),
        (
            changed_info(inputs=70000, digest=1),
            r"another configuration: inputs = 70000 \(not 2\); rebuild .* or use the",
        ),
        (changed_info(removed=4, lanes=4), r"removed = ha \(not sa\), lanes = 4 \(not 3\)"),
        (changed_info(removed=9, start=1), r"removed = 9 \(not sa\), start = uniform \(not silent\)"),
        (lambda w: mark(w[:-1]), "INFO: the response to frame 0 has 66 words, expected 67"),
        (lambda w: [*w[:-1], w[-1] - LAST, LAST], "INFO: the response to frame 0 has 68 words, expected 67"),
        (lambda w: frame(Command.INFO, Status.COMMAND), r"INFO: .* status COMMAND \(unknown command\)"),
        (lambda w: frame(Command.LOAD, Status.OK), "INFO: the response to frame 0 belongs to command 2, not 1"),
        (lambda w: w[:-1], "INFO: the link gives 0 whole responses and 66 words of another"),
    ],
)
def test_another_device_is_refused_with_what_differs(change: Callable[[list[int]], list[int]], message: str) -> None:
    with pytest.raises(SvpgError, match=message) as caught:
        FrameDevice(SMALL, Link(FrameServer(SMALL), change))
    assert "\n" not in str(caught.value)


def test_more_rules_than_this_program_knows_do_no_harm() -> None:
    remote = FrameDevice(SMALL, Link(FrameServer(SMALL), changed_info(rules=0xFFFF, optimisers=0xFFFF)))
    assert (remote.rules, remote.optimisers) == (frozenset(RULES), frozenset(OPTIMISERS))


# --- commands that are wrong ------------------------------------------------------------------------
KINDS = 13 + 4 + 2 * 3 + 3 + 1
"""Kinds of right frames that :func:`good_frames` gives."""


def good_frames(config: DeviceConfig, rng: np.random.Generator) -> list[list[int]]:
    """One right frame of every kind."""
    sections = random_sections(config, "wide", rng)
    obs = np.clip(fill(config.obs, config.inputs, "wide", rng), *obs_range(config)).tolist()
    nonce = int(rng.integers(0, 2**64, dtype=np.uint64))
    row, word = int(rng.integers(config.sources)), int(rng.integers(config.row_words))
    columns = slice(word * config.lanes, (word + 1) * config.lanes)

    def padded(values: NDArray[np.int64]) -> list[int]:
        return [*values[columns].tolist(), *[0] * config.lanes][: config.lanes]

    winners = rng.integers(0, config.group_size, config.groups).tolist()
    modulator, action = int(fill(config.modulator, 1, "wide", rng)[0]), int(rng.integers(config.actions))
    high = [20, config.weight_frac, config.weight_frac, 15, config.moment_frac, config.acc_frac]
    low = [0, -4, -4, 0, 0, 0]
    loads = [
        load_frame(config, place, word, padded(values), section)
        for section, (synapses, biases) in enumerate(zip(SECTIONS[::2], SECTIONS[1::2], strict=True))
        for place, values in ((row, sections[synapses][row]), (config.sources, sections[biases]))
    ]
    decisions = [(policy | activity, ()) for policy in range(3) for activity in (0, FLAG_ACTIVITY)]
    decisions += [(2 | FLAG_GIVEN | activity, winners) for activity in (0, FLAG_ACTIVITY)]
    samples = [(rule | counters, winners if rule != 2 else ()) for rule in range(3) for counters in (0, FLAG_COUNTERS)]
    if config.spikes:
        decisions = [(flags, ()) for flags in (0, 1, 8, 9, 16, 17, 24, 25)]
        samples = [(flags, ()) for flags in (0, 2, 4, 6, 0, 6)]
    return [
        INFO_FRAME,
        *loads[:2],
        read_frame(row, word),
        read_frame(config.sources, word),
        *(infer_frame(config, obs, nonce, flags, given) for flags, given in decisions),
        *loads[2:],
        *(
            learn_frame(config, obs, flags, modulator, action, given, nonce if config.spikes else None)
            for flags, given in samples
        ),
        *(apply_frame(optimiser, *rng.integers(low, high, endpoint=True).tolist()) for optimiser in range(3)),
        CLEAR_FRAME,
    ]


def test_frames_have_the_stated_lengths() -> None:
    for config in (SMALL, WIDE):
        frames = good_frames(config, np.random.default_rng(0))
        assert len(frames[1]) == load_words(config)
        assert len(frames[5]) == infer_words(config, given=False)
        assert len(frames[12]) == infer_words(config, given=True)
        assert len(frames) == KINDS
    assert load_words(WIDE) == 1 + 2 + 1 + 2 * 3
    assert infer_words(WIDE, given=True) == 1 + 4 + 2 * 2 + 2
    assert infer_response_words(WIDE, activity=False) == 1 + 1 + 4 * 2 + 3 + 2 * 2


def status_of(config: DeviceConfig, words: list[int]) -> Status:
    """Status of the response to one frame, which must be the header alone and change nothing unless it is OK."""
    _, server = loaded(config)
    before = parameters(server.device)
    (response,) = responses_of(server.exchange(array(words)))
    status = Status((response[0] % LAST) >> HEADER_BITS)
    assert response[0] % 256 == words[0] % 256
    if status != Status.OK:
        assert len(response) == 1
        assert parameters(server.device) == before
    return status


@pytest.mark.parametrize("config", [SMALL, WIDE, SPIKING], ids=["one word", "two words", "spikes"])
@pytest.mark.parametrize("kind", range(KINDS))
def test_a_frame_that_ends_early_or_goes_on_is_of_wrong_length(config: DeviceConfig, kind: int) -> None:
    whole = good_frames(config, np.random.default_rng(0))[kind]
    assert status_of(config, whole) == Status.OK
    for length in range(1, len(whole)):
        assert status_of(config, mark(whole[:length])) == Status.LENGTH, length
    for more in (1, 2, 100):
        assert status_of(config, mark([*whole, *[0] * more])) == Status.LENGTH, more


@pytest.mark.parametrize("rest", [[], [0], [0] * 30])
@pytest.mark.parametrize("config", [SMALL, SPIKING], ids=MODES)
def test_commands_and_flags_that_do_not_exist(config: DeviceConfig, rest: list[int]) -> None:
    taken = {
        Command.INFO: {0},
        Command.LOAD: {0, 1, 2},
        Command.READ: {0, 1, 2},
        Command.INFER: {0, 1, 2, 6, 8, 9, 10, 14},
        Command.LEARN: {0, 1, 2, 4, 5, 6},
        Command.APPLY: {0, 1, 2},
        Command.CLEAR: {0},
    }
    if config.spikes:
        taken |= {Command.INFER: {0, 1, 8, 9, 16, 17, 24, 25}, Command.LEARN: {0, 2, 4, 6}}
    server = FrameServer(config)
    for command, flags in itertools.product(range(256), (*range(33), 64, 128, 255)):
        words = mark([header(command, flags), *rest])
        if command not in tuple(Command):
            expected = Status.COMMAND
        elif flags not in taken[Command(command)]:
            expected = Status.FLAGS
        else:
            expected = Status.LENGTH if rest or command not in (Command.INFO, Command.CLEAR) else Status.OK
        (response,) = server.exchange(array(words))[:1].tolist()
        assert (response % 256, response % LAST >> 8) == (command, expected), (command, flags)


@pytest.mark.parametrize("rules", [{"published"}, {"conditional", "contrastive"}])
@pytest.mark.parametrize("optimisers", [{"sgd"}, {"rmsprop", "sign"}])
def test_a_build_takes_its_own_rules_optimisers_and_memories_alone(rules: set[str], optimisers: set[str]) -> None:
    server = FrameServer(SMALL, abilities=Abilities(frozenset(rules), frozenset(optimisers)))
    for words in good_frames(SMALL, np.random.default_rng(0)):
        command, flags = words[0] % 256, words[0] % LAST >> 8
        exists = {
            Command.LEARN: flags & RULE_FLAGS in {RULES[name] for name in rules},
            Command.APPLY: flags in {OPTIMISERS[name] for name in optimisers},
            Command.LOAD: flags != Section.MOMENT or "rmsprop" in optimisers,
        }.get(Command(command), True)
        (response,) = server.exchange(array(words))[:1].tolist()
        assert response % LAST >> 8 == (Status.OK if exists else Status.FLAGS)


def test_a_build_that_does_not_learn_has_no_such_commands() -> None:
    server = FrameServer(SMALL, abilities=Abilities(frozenset(), frozenset()))
    for words in good_frames(SMALL, np.random.default_rng(0)):
        command, flags = words[0] % 256, words[0] % LAST >> 8
        expected = Status.COMMAND if command > Command.INFER else Status.OK
        if command == Command.LOAD and flags:
            expected = Status.FLAGS
        (response,) = server.exchange(array(words))[:1].tolist()
        assert response % LAST >> 8 == expected


def wrong_updates() -> list[list[int]]:
    """Arguments of ``APPLY`` of which one is just out of range, each at either end."""
    low, high = [0, -4, -4, 0, 0, 0], [20, 20, 20, 15, SMALL.moment_frac, SMALL.acc_frac]
    changed = []
    for i, (least, most) in enumerate(zip(low, high, strict=True)):
        for value in (least - 1, most + 1):
            changed.append([*low[:i], value, *low[i + 1 :]])
    return changed


ROW = SMALL.sources
LOW, HIGH = SMALL.weight.low, SMALL.weight.high


@pytest.mark.parametrize(
    ("words", "status"),
    [
        # Rows 0 to 10, 10 the biases; words 0 to 2.
        (read_frame(ROW, 2), Status.OK),
        (read_frame(ROW + 1, 0), Status.ADDRESS),
        (read_frame(1 << 16, 0), Status.ADDRESS),
        (read_frame((1 << 32) - 1, 0), Status.ADDRESS),
        (read_frame(0, 3), Status.ADDRESS),
        (read_frame(0, 0xFFFF), Status.ADDRESS),
        (load_frame(SMALL, ROW + 1, 0, [0, 0, 0]), Status.ADDRESS),
        (load_frame(SMALL, 0, 3, [0, 0, 0]), Status.ADDRESS),
        # Neurons 0 to 2 are one group: from neuron 0 to 3, 4, 5 there are synapses.
        (load_frame(SMALL, 0, 1, [LOW, 0, HIGH]), Status.OK),
        (load_frame(SMALL, 0, 0, [0, 0, 0]), Status.OK),
        (load_frame(SMALL, 0, 0, [1, 0, 0]), Status.VALUE),
        (load_frame(SMALL, 0, 0, [0, 0, -1]), Status.VALUE),
        # `sa` is removed: observations reach neurons 0 to 5, not the action neurons 6 and 7; column 8 is beyond.
        (load_frame(SMALL, 9, 2, [0, 0, 0]), Status.OK),
        (load_frame(SMALL, 9, 2, [0, 1, 0]), Status.VALUE),
        (load_frame(SMALL, 3, 2, [1, 1, 0]), Status.OK),
        (load_frame(SMALL, 3, 2, [1, 1, 1]), Status.VALUE),
        # Every neuron has a bias.
        (load_frame(SMALL, ROW, 0, [LOW, HIGH, 5]), Status.OK),
        (load_frame(SMALL, ROW, 2, [LOW, HIGH, 0]), Status.OK),
        (load_frame(SMALL, ROW, 2, [LOW, HIGH, 1]), Status.VALUE),
        # Observations have 12 bits, sign-extended to 16.
        (infer_frame(SMALL, [-2048, 2047]), Status.OK),
        (infer_frame(SMALL, [-2049, 0]), Status.VALUE),
        (infer_frame(SMALL, [0, 2048]), Status.VALUE),
        (infer_frame(SMALL, [0x0F00, 0]), Status.VALUE),
        # Hidden groups have three neurons.
        (infer_frame(SMALL, [0, 0], flags=6, winners=[2, 2]), Status.OK),
        (infer_frame(SMALL, [0, 0], flags=6, winners=[3, 0]), Status.VALUE),
        (infer_frame(SMALL, [0, 0], flags=6, winners=[0, 0xFFFF]), Status.VALUE),
        # Modulators have 10 bits and both signs reach equally far.
        (learn_frame(SMALL, [0, 0], 2, 511, 0), Status.OK),
        (learn_frame(SMALL, [0, 0], 2, -511, 1), Status.OK),
        (learn_frame(SMALL, [0, 0], 2, 512, 0), Status.VALUE),
        (learn_frame(SMALL, [0, 0], 2, -512, 0), Status.VALUE),
        (learn_frame(SMALL, [0, 0], 2, 0, 2), Status.VALUE),
        (learn_frame(SMALL, [0, 2048], 2, 0, 0), Status.VALUE),
        (learn_frame(SMALL, [0, 0], 2, 0, 0, [0, 0]), Status.LENGTH),
        (learn_frame(SMALL, [0, 0], 0, 0, 0, [2, 2]), Status.OK),
        (learn_frame(SMALL, [0, 0], 1, 0, 0, [2, 3]), Status.VALUE),
        (learn_frame(SMALL, [0, 0], 1, 0, 0), Status.LENGTH),
        # Accumulators have 32 bits, second moments 24 and no sign; both only where synapses are.
        (load_frame(SMALL, 0, 1, [-(1 << 31), 0, (1 << 31) - 1], 1), Status.OK),
        (load_frame(SMALL, 0, 0, [1, 0, 0], 1), Status.VALUE),
        (load_frame(SMALL, ROW, 2, [5, 6, 1], 1), Status.VALUE),
        (load_frame(SMALL, 0, 1, [0, 0, (1 << 24) - 1], 2), Status.OK),
        (load_frame(SMALL, 0, 1, [0, 0, 1 << 24], 2), Status.VALUE),
        (load_frame(SMALL, 0, 1, [0, 0, -1], 2), Status.VALUE),
        (load_frame(SMALL, 0, 0, [0, 0, 1], 2), Status.VALUE),
        # Arguments of APPLY.
        (apply_frame(0, 20, 20, -4, 15, 22, 16), Status.OK),
        (apply_frame(1, 0, -4, 20, 0, 0, 0), Status.OK),
        (apply_frame(2, 0, 11, 11, 0, 0, 0), Status.OK),
        (apply_frame(2, 0, 12, 0, 0, 0, 0), Status.VALUE),
        (apply_frame(2, 0, 0, 12, 0, 0, 0), Status.VALUE),
        *((apply_frame(1, *changed), Status.VALUE) for changed in wrong_updates()),
    ],
)
def test_addresses_and_values_of_the_configuration_alone_are_taken(words: list[int], status: Status) -> None:
    assert status_of(SMALL, words) == status


NARROW = SMALL.replace(weight_bits=12, weight_frac=8)
SHORT = SMALL.replace(acc_bits=28, grad_bits=16)


@pytest.mark.parametrize(
    ("config", "row", "weight", "status"),
    [
        (NARROW, 3, 2047, Status.OK),
        (NARROW, 3, 2048, Status.VALUE),
        (NARROW, 3, -2049, Status.VALUE),
        (NARROW, NARROW.sources, 2048, Status.VALUE),
        (WIDE, 3, (1 << 23) - 1, Status.OK),
        (WIDE, 3, -(1 << 23), Status.OK),
        (WIDE, 3, 1 << 23, Status.VALUE),
        (WIDE, 3, -(1 << 23) - 1, Status.VALUE),
        (WIDE, WIDE.sources, 1 << 30, Status.VALUE),
    ],
)
@pytest.mark.parametrize("lane", range(3))
def test_a_weight_outside_its_format_is_refused_in_every_lane(
    config: DeviceConfig, row: int, weight: int, status: Status, lane: int
) -> None:
    weights = [0, 0, 0]
    weights[lane] = weight
    assert status_of(config, load_frame(config, row, 0, weights)) == status


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ((1 << 27) - 1, Status.OK),
        (-(1 << 27), Status.OK),
        (1 << 27, Status.VALUE),
        (-(1 << 27) - 1, Status.VALUE),
    ],
)
@pytest.mark.parametrize("lane", range(3))
def test_an_accumulator_outside_its_format_is_refused_in_every_lane(value: int, status: Status, lane: int) -> None:
    values = [0, 0, 0]
    values[lane] = value
    assert status_of(SHORT, load_frame(SHORT, SHORT.sources, 0, values, Section.ACC)) == status


@pytest.mark.parametrize(
    ("value", "status"), [(0, Status.OK), (256, Status.OK), (257, Status.VALUE), (-1, Status.VALUE)]
)
def test_an_observation_that_spikes_is_a_probability(value: int, status: Status) -> None:
    assert status_of(BERNOULLI, infer_frame(BERNOULLI, [0, value])) == status
    assert status_of(BERNOULLI, learn_frame(BERNOULLI, [0, value], 2, 0, 0, nonce=1)) == status


def test_all_spikes_come_last_and_only_if_asked_for() -> None:
    device, server = loaded(SPIKING)
    obs, nonce = np.array([[256, 128]]), np.array([9], dtype=np.uint64)
    expected = device.infer(obs, nonce)
    for flags in (0, FLAG_ACTIVITY, FLAG_SPIKES, FLAG_ACTIVITY | FLAG_SPIKES):
        (response,) = responses_of(server.exchange(array(infer_frame(SPIKING, [256, 128], 9, flags))))
        behind = [*expected.q_raw[0]] * bool(flags & FLAG_ACTIVITY) + [*expected.spikes.ravel()] * bool(
            flags & FLAG_SPIKES
        )
        assert len(response) == 1 + 1 + 4 * 2 + 3 + 2 + len(behind)
        assert [word % LAST for word in response[15:]] == behind
    assert expected.spikes.shape == (1, 5, 3)


def test_an_observation_of_two_words_is_refused_beyond_eighteen_bits() -> None:
    for value, status in ((-(1 << 17), Status.OK), (1 << 17, Status.VALUE), (-(1 << 17) - 1, Status.VALUE)):
        assert status_of(WIDE, infer_frame(WIDE, [0, value])) == status


@pytest.mark.parametrize(
    ("words", "status"),
    [
        # The command before the flags, both before the length.
        (mark([header(9, 255)]), Status.COMMAND),
        (mark([header(Command.INFO, 1), 0]), Status.FLAGS),
        (mark([header(Command.READ, 3)]), Status.FLAGS),
        # A value before the length, if it is whole.
        (mark(read_frame(ROW + 1, 0)[:3]), Status.ADDRESS),
        (mark(read_frame(ROW + 1, 0)[:2]), Status.LENGTH),
        (mark([*read_frame(0, 3), 0]), Status.ADDRESS),
        (mark(load_frame(SMALL, 0, 0, [1, 0, 0])[:5]), Status.VALUE),
        (mark(load_frame(SMALL, 0, 0, [0, 0, 1])[:6]), Status.LENGTH),
        (mark([*load_frame(SMALL, 0, 0, [0, 0, 1]), 0]), Status.VALUE),
        (mark(infer_frame(SMALL, [2048, 0])[:6]), Status.VALUE),
        (mark(infer_frame(SMALL, [0, 2048])[:6]), Status.LENGTH),
        (mark([*infer_frame(SMALL, [0, 2048]), 0]), Status.VALUE),
        (mark([*infer_frame(SMALL, [0, 0], flags=6, winners=[0, 3]), 0, 0]), Status.VALUE),
        # The address before the weights.
        (load_frame(SMALL, 0, 3, [1, 0, 0]), Status.ADDRESS),
        (load_frame(SMALL, ROW + 1, 3, [1, 0, 0]), Status.ADDRESS),
    ],
)
def test_the_first_error_in_the_order_of_words_decides(words: list[int], status: Status) -> None:
    assert status_of(SMALL, words) == status


def test_a_value_cut_within_is_not_looked_at() -> None:
    whole = load_frame(WIDE, 3, 0, [1 << 23, 0, 0])
    assert status_of(WIDE, mark(whole[:5])) == Status.LENGTH
    assert status_of(WIDE, mark(whole[:6])) == Status.VALUE
    whole = infer_frame(WIDE, [1 << 17, 0])
    assert status_of(WIDE, mark(whole[:6])) == Status.LENGTH
    assert status_of(WIDE, mark(whole[:7])) == Status.VALUE


# --- streams of frames ------------------------------------------------------------------------------
def spoil(words: list[int], config: DeviceConfig, rng: np.random.Generator) -> list[int]:
    """A frame with something changed that may or may not be an error."""
    match rng.integers(5):
        case 0:
            return mark(words[: rng.integers(1, len(words), endpoint=True)])
        case 1:
            return mark(words + rng.integers(0, LAST, rng.integers(1, 6)).tolist())
        case 2:
            near = [0, 1, 2, 3, config.group_size, config.sources, config.row_words, 0x7FFF, 0x8000, 0xFFFF]
            changed = list(words)
            changed[rng.integers(len(words))] = int(rng.choice([*near, rng.integers(LAST)]))
            return mark(changed)
        case 3:
            return mark([int(rng.integers(LAST)), *words[1:]])
    return mark([header(int(rng.integers(9)), int(rng.integers(64))), *words[1:]])


def stream_of_frames(config: DeviceConfig, rng: np.random.Generator, count: int) -> list[list[int]]:
    """Right and spoiled frames, many of a kind one after the other."""
    frames: list[list[int]] = []
    while len(frames) < count:
        kind = rng.integers(KINDS)
        for _ in range(rng.integers(1, 6)):
            words = good_frames(config, rng)[kind]
            frames.append(spoil(words, config, rng) if rng.random() < 0.3 else words)
    return frames


def check_stream(config: DeviceConfig, seed: int, count: int) -> set[tuple[int, int]]:
    """Compares every response word with the reference; returns the commands and statuses that occurred."""
    rng = np.random.default_rng(seed)
    reference, server = Reference(config), FrameServer(config)
    frames = stream_of_frames(config, rng, count)
    responses = responses_of(in_pieces(server, array(*frames), rng))
    assert len(responses) == len(frames)
    for words, response in zip(frames, responses, strict=True):
        assert response == reference.answer(words), words
    assert parameters(server.device) == parameters(reference.device)
    return {(response[0] % 256, response[0] % LAST >> 8) for response in responses}


@MODEST
@given(config=configs(), seed=st.integers(0, 2**32 - 1))
def test_any_stream_is_answered_as_the_protocol_says_word_by_word(config: DeviceConfig, seed: int) -> None:
    check_stream(config, seed, 40)


@pytest.mark.parametrize(
    "config", [SMALL, WIDE, SPIKING, BERNOULLI], ids=["one word", "two words", "spikes", "spiking observations"]
)
def test_streams_reach_every_status_of_every_command(config: DeviceConfig) -> None:
    seen = check_stream(config, 5, 3000)
    expected = {(command, Status.OK) for command in Command} | {(command, Status.FLAGS) for command in Command}
    expected |= {(command, Status.LENGTH) for command in Command} | {(0, Status.COMMAND), (8, Status.COMMAND)}
    expected |= {(command, Status.ADDRESS) for command in (Command.LOAD, Command.READ)}
    expected |= {(command, Status.VALUE) for command in (Command.LOAD, Command.INFER, Command.LEARN, Command.APPLY)}
    assert expected <= seen


@pytest.mark.slow
@settings(MODEST, max_examples=1000)
@given(config=configs(), seed=st.integers(0, 2**32 - 1))
def test_many_streams(config: DeviceConfig, seed: int) -> None:
    check_stream(config, seed, 100)


@pytest.mark.parametrize("kind", range(KINDS))
def test_bad_frames_between_good_ones_change_nothing(kind: int) -> None:
    rng = np.random.default_rng(kind)
    _, server = loaded(SMALL)
    _, undisturbed = loaded(SMALL)
    good = [good_frames(SMALL, rng)[kind] for _ in range(20)]
    stray = load_frame(SMALL, 0, 0, [0, 0, 1])
    bad = [
        infer_frame(SMALL, [4000, 0], flags=good[0][0] // 256 if 4 < kind < 13 else 0),
        mark(good[0][: len(good[0]) - 1] or [9]),
        mark([*good[0], 0]),
        stray,
    ]
    mixed = array(*itertools.chain.from_iterable(zip(good, itertools.cycle(bad), strict=False)))
    every_other = responses_of(server.exchange(mixed))[::2]
    assert every_other == responses_of(undisturbed.exchange(array(*good)))
    assert parameters(server.device) == parameters(undisturbed.device)


def test_wrong_decisions_within_a_batch_leave_the_others_as_they_are() -> None:
    device, server = loaded(SMALL)
    rng = np.random.default_rng(2)
    obs = fill(SMALL.obs, (200, 2), "wide", rng)
    bad = rng.random(200) < 0.2
    frames = [
        infer_frame(SMALL, [2048, 0] if wrong else row, b, FLAG_ACTIVITY)
        for b, (row, wrong) in enumerate(zip(obs.tolist(), bad, strict=True))
    ]
    responses = responses_of(server.exchange(array(*frames)))
    assert [len(response) == 1 for response in responses] == bad.tolist()
    expected = device.infer(obs, np.arange(200, dtype=np.uint64))
    activity = [response[-8:] for response, wrong in zip(responses, bad, strict=True) if not wrong]
    assert (np.array(activity) % LAST).tolist() == expected.q_raw[~bad].tolist()


def test_a_frame_is_answered_with_its_last_word_and_not_before() -> None:
    server = FrameServer(SMALL)
    for words in (INFO_FRAME, mark([9, 0, 0]), read_frame(99, 0)):
        for word in words[:-1]:
            assert server.exchange(array([word])).size == 0
        assert server.exchange(array(words[-1:])).size > 0


def test_a_reset_drops_what_has_come_of_a_frame_and_keeps_the_parameters() -> None:
    _, server = loaded(SMALL)
    before = parameters(server.device)
    for words in good_frames(SMALL, np.random.default_rng(3)):
        for length in range(1, len(words)):
            assert server.exchange(array(words[:length])).size == 0
            server.reset()
            assert responses_of(server.exchange(array(read_frame(0, 0)))) == [Reference(SMALL).answer(read_frame(0, 0))]
    assert parameters(server.device) == before


def test_a_frame_without_end_is_not_stored() -> None:
    server = FrameServer(SMALL)
    server.exchange(array(infer_frame(SMALL, [2048, 0])[:-1]))
    for _ in range(100):
        assert server.exchange(np.zeros(1000, dtype=np.uint32)).size == 0
    assert server._pending.size < 100
    assert server.exchange(array([LAST])).tolist() == frame(Command.INFER, Status.VALUE)
    longest = infer_frame(SMALL, [0, 0], flags=2 | FLAG_GIVEN, winners=[0, 0])
    for words in (mark([*longest, 0]), mark([*longest, *[0] * 50])):
        assert np.concatenate([server.exchange(array([word])) for word in words]).tolist() == frame(
            Command.INFER, Status.LENGTH
        )


@pytest.mark.parametrize(
    "words",
    [np.array([2 * LAST]), np.array([-1]), np.zeros((1, 2), dtype=np.int64), np.array([0.5])],
    ids=["beyond the mark", "negative", "two dimensions", "not integers"],
)
def test_the_model_takes_words_only(words: NDArray[Any]) -> None:
    with pytest.raises(SvpgError, match="flat array of integers from 0 to 0x1ffff"):
        FrameServer(SMALL).exchange(words)


def test_the_model_refuses_to_wait_for_frames_that_are_not_whole() -> None:
    server = FrameServer(SMALL)
    with pytest.raises(SvpgError, match="1 command frames are whole, not the 2 to be answered; mark last words"):
        server.exchange(array(INFO_FRAME, [header(Command.INFO, 0)]), 2)
    assert len(responses_of(server.exchange(array(INFO_FRAME, INFO_FRAME), 2))) == 2, "nothing had been taken"
    assert server.exchange(np.zeros(0, dtype=np.uint32), 0).size == 0


def test_policies_of_the_protocol_are_those_of_the_kernels() -> None:
    assert POLICIES == {
        "sample": kernels.POLICY_SAMPLE,
        "greedy": kernels.POLICY_GREEDY,
        "conditional": kernels.POLICY_CONDITIONAL,
    }
    assert max(POLICIES.values()) <= POLICY_FLAGS


def test_patterns_and_starts_all_have_a_number() -> None:
    for removed in REMOVABLE:
        for start in ("silent", "uniform"):
            config = SMALL.replace(removed=removed, start=start)
            info = FrameDevice(config, FrameServer(config)).info()
            assert (info["removed"], info["start"]) == (removed, start)
