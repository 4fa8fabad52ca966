"""Golden and hardware side by side: equal devices go on, a single flipped bit stops, and the report tells all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.client import FrameDevice
from golden.config import DeviceConfig
from golden.device import Device
from golden.errors import SvpgError
from golden.parameters import to_octaves
from golden.protocol import FLAG_ACTIVITY, Command, Words, frame_words, response_fields
from golden.server import FrameServer
from golden.start import random_start
from host import hardware as hardware_module
from host.cli import main
from sim.case import COMPARED, Case, Transactions
from sim.lockstep import DivergenceError, Lockstep, replay
from sim.report import write_report

CONFIG = DeviceConfig(inputs=4, groups=2, group_size=3, actions=5, lanes=4)
NETWORK = ["groups=2", "group_size=3", "lanes=4"]
RESPONSE = response_fields(CONFIG, Command.INFER, FLAG_ACTIVITY)


class Faulty:
    """A link to a golden device with one fault.

    Parameters
    ----------
    infers: right answers to ``INFER`` before the fault.
    place: word of the response in which a bit is flipped; -1 gives no answer.
    lasting: the fault stays, as one of the design does, or happens once.
    """

    def __init__(self, infers: int, place: int, lasting: bool = True) -> None:
        self._server = FrameServer(CONFIG)
        self._left, self._place, self._lasting = infers, place, lasting

    def exchange(self, words: Words, responses: int) -> Words:
        answer = self._server.exchange(words, responses).copy()
        size = frame_words(RESPONSE)
        if words[0] & 0xFF != Command.INFER:
            return answer
        rows = answer.reshape(-1, size)
        if self._left < len(rows):
            if self._place < 0:
                raise SvpgError("the device is at fault: nothing has moved")
            rows[self._left : None if self._lasting else self._left + 1, self._place] ^= 1
        self._left = max(0, self._left - len(rows)) if self._lasting else self._left - len(rows) or -1
        return answer


def place(name: str) -> int:
    """First word of a field in a response to ``INFER``."""
    at = 1
    for field in RESPONSE:
        if field.name == name:
            return at
        at += field.words
    raise AssertionError(name)


def golden() -> Device:
    device = Device(CONFIG)
    weight, bias = to_octaves(CONFIG, random_start(CONFIG, 3, 0.7, 0.7))
    device.load("weight", weight)
    device.load("bias", bias)
    return device


def transactions(count: int, policy: str = "sample") -> Transactions:
    rng = np.random.default_rng(1)
    obs = rng.integers(-300, 300, (count, CONFIG.inputs)) * (rng.random((count, CONFIG.inputs)) < 0.8)
    return Transactions(obs, np.arange(count, dtype=np.uint64) + (1 << 63), policy)


def faulty(infers: int, where: int, lasting: bool = True) -> FrameDevice:
    return FrameDevice(CONFIG, Faulty(infers, where, lasting))


def good() -> FrameDevice:
    return FrameDevice(CONFIG, FrameServer(CONFIG))


def diverge(infers: int, where: int, count: int = 40) -> Case:
    """The case of a comparison in two batches that ends at a fault."""
    lockstep = Lockstep(golden(), faulty(infers, where), lambda: faulty(0, where), {"softmax_lanes": 3})
    batch = transactions(count)
    with pytest.raises(DivergenceError) as caught:
        lockstep.infer(batch.rows(0, 15))
        lockstep.infer(batch.rows(15, count))
    return caught.value.case


# --- comparing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["sample", "greedy", "conditional"])
def test_equal_devices_go_on(policy: str) -> None:
    lockstep = Lockstep(golden(), good(), good)
    expected = golden().infer(transactions(30).obs, transactions(30).nonce, policy)
    result = lockstep.infer(transactions(30, policy))
    assert lockstep.decisions == 30 and lockstep.row_words == expected.row_words.sum()
    assert all(np.array_equal(getattr(result, name), getattr(expected, name)) for name in COMPARED)


def test_given_winners_are_compared_too() -> None:
    given = np.array([[0, 2, 0], [1, 1, 0]])
    batch = transactions(2, "conditional")
    lockstep = Lockstep(golden(), good(), good)
    result = lockstep.infer(Transactions(batch.obs, batch.nonce, batch.policy, given))
    assert np.array_equal(result.winners[:, :2], given[:, :2]) and lockstep.decisions == 2


# Rate mode has no spikes to flip; those of spike mode are flipped in tests/test_spike_mode.py.
@pytest.mark.parametrize("name", sorted(set(COMPARED) - {"spikes"}))
def test_one_flipped_bit_of_any_field_stops_at_its_transaction(name: str) -> None:
    case = diverge(23, place(name))
    assert case.number == 23
    assert np.array_equal(case.last.obs, transactions(40).obs[23:24])
    assert case.last.nonce[0] == 23 + (1 << 63)
    assert case.hardware is not None
    a, b = (getattr(side, name).ravel() for side in (case.golden, case.hardware))
    assert a[0] ^ b[0] == 1 and np.array_equal(a[1:], b[1:])
    others = [other for other in COMPARED if other != name]
    assert all(np.array_equal(getattr(case.golden, other), getattr(case.hardware, other)) for other in others)


@pytest.mark.parametrize("name", ["cycles", "stalls"])
def test_counters_that_only_hardware_has_are_not_compared(name: str) -> None:
    lockstep = Lockstep(golden(), faulty(0, place(name)), good)
    lockstep.infer(transactions(5))
    assert lockstep.decisions == 5 and getattr(lockstep, name) == 5


def test_hardware_that_gives_no_answer_is_a_case_too() -> None:
    lockstep = Lockstep(golden(), faulty(20, -1), lambda: faulty(5, -1))
    lockstep.infer(transactions(15))
    with pytest.raises(DivergenceError, match="transaction 20: the device is at fault") as caught:
        lockstep.infer(transactions(25).rows(15, 25))
    case = caught.value.case
    assert case.number == 20 and case.hardware is None and "nothing has moved" in case.fault
    assert np.array_equal(case.last.obs, transactions(25).obs[20:21])


# --- the case --------------------------------------------------------------------------------------------


def test_a_case_survives_its_file(tmp_path: Path) -> None:
    case = diverge(23, place("q_raw"))
    case.save(tmp_path / "case.npz")
    again = Case.load(tmp_path / "case.npz")
    assert (again.config, again.options, again.number) == (CONFIG, {"softmax_lanes": 3}, 23)
    assert np.array_equal(again.weight, golden().weight) and np.array_equal(again.bias, golden().bias)
    assert len(again.transactions) == 9 and np.array_equal(again.transactions.obs, transactions(40).obs[15:24])
    assert again.hardware is not None
    for name in COMPARED:
        assert np.array_equal(getattr(again.golden, name), getattr(case.golden, name))
        assert np.array_equal(getattr(again.hardware, name), getattr(case.hardware, name))


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_other_files_are_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "case.npz"
    if content is None:
        np.savez(path, obs=np.zeros(3))
    else:
        path.write_bytes(content)
    with pytest.raises(SvpgError, match="not a readable transaction"):
        Case.load(path)
    with pytest.raises(SvpgError, match="no such file"):
        Case.load(tmp_path / "none.npz")


def test_a_replay_tells_whether_the_fault_is_there() -> None:
    case = diverge(23, place("winners"))
    assert replay(case, faulty(0, place("winners")), history=False).fields == ["winners"]
    assert not replay(case, good(), history=True).differs
    assert "nothing has moved" in replay(case, faulty(0, -1), history=False).fault
    began = []
    replay(case, good(), history=True, before_last=lambda: began.append(True))
    assert began == [True]


# --- the report ------------------------------------------------------------------------------------------


def text_of(folder: Path, case: Case, fresh: Any) -> str:
    path = write_report(folder / "new" / "report", case, fresh, lambda file: f"replay {file}")
    assert Case.load(path.with_name("transaction.npz")).number == case.number
    return path.read_text()


def test_a_report_names_transaction_arguments_and_differences(tmp_path: Path) -> None:
    case = diverge(23, place("q_raw") + 7)
    text = text_of(tmp_path, case, lambda: faulty(0, place("q_raw") + 7))
    assert "differ in transaction 23" in text
    assert "0x8000000000000017" in text and " ".join(map(str, transactions(40).obs[23])) in text
    a, b = case.golden.q_raw[0, 7], case.hardware.q_raw[0, 7]  # type: ignore[union-attr]
    assert f"q_raw: 1 of 11 values differ\n  [7] (action 1) golden {a}, hardware {b}, bits 0x1" in text
    assert "happens alone" in text
    assert f"replay {tmp_path / 'new' / 'report' / 'transaction.npz'}" in text
    assert json.dumps(CONFIG.to_dict()) in text


def test_a_report_tells_a_fault_that_depends_on_what_came_before(tmp_path: Path) -> None:
    case = diverge(23, place("winners"))
    assert "but not alone" not in text_of(tmp_path, case, good)
    assert "neither alone nor after" in text_of(tmp_path, case, good)
    assert "happens after the 8 transactions before it, not alone" in text_of(
        tmp_path, case, lambda: faulty(8, place("winners"))
    )


def test_a_report_of_no_answer_gives_golden_s(tmp_path: Path) -> None:
    text = text_of(tmp_path, diverge(15, -1), lambda: faulty(0, -1))
    assert "gives no answer" in text and "nothing has moved" in text and "Golden answers" in text


# --- the command -----------------------------------------------------------------------------------------


@pytest.fixture
def hardware(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Puts a device in place of the compiled core; ``make`` makes it."""
    chosen: dict[str, Any] = {"make": good}
    monkeypatch.setattr(hardware_module, "core_pool", lambda *_: chosen["make"]())
    monkeypatch.setattr(hardware_module, "fresh_core", lambda *_: chosen["make"]())
    return chosen


def line(folder: Path, *more: str) -> list[str]:
    settings = [text for setting in NETWORK for text in ("--set", f"network.{setting}")]
    return ["lockstep", "inverted-pendulum", "--out", str(folder / "report"), "--json", *settings, *more]


def last_json(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_command_counts_equal_decisions(
    tmp_path: Path, hardware: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line(tmp_path, "--decisions", "300")) == 0
    data = last_json(capsys)
    assert {"task": "inverted-pendulum", "decisions": 300, "mismatches": 0}.items() <= data.items()
    assert data["decisions_per_s"] > 0 and data["row_words_per_decision"] > 4
    assert not (tmp_path / "report").exists()


def test_the_command_stops_at_a_difference_with_a_report(
    tmp_path: Path, hardware: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    hardware["make"] = lambda: faulty(200, place("prob_raw"))
    assert main(line(tmp_path, "--decisions", "300")) == 1
    data = last_json(capsys)
    assert (data["decisions"], data["mismatches"]) == (201, 1)
    assert data["report"] == str(tmp_path / "report" / "report.txt")
    text = Path(data["report"]).read_text()
    assert "differ in transaction 200" in text and "prob_raw: 1 of 5 values differ" in text
    assert f"svpg lockstep --replay {tmp_path / 'report' / 'transaction.npz'} --waves" in text


def test_the_command_goes_through_the_test_split(
    tmp_path: Path, hardware: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    config = DeviceConfig(inputs=784, groups=2, group_size=2, actions=10, removed="hhsa", lanes=8)
    hardware["make"] = lambda: FrameDevice(config, FrameServer(config))
    settings = [text for key in ("groups", "group_size") for text in ("--set", f"network.{key}=2")]
    assert main(["lockstep", "mnist", "--json", "--set", "network.lanes=8", *settings]) == 0
    assert last_json(capsys)["decisions"] == 1000
    assert main(["lockstep", "mnist", "--json", "--decisions", "1500", "--set", "network.lanes=8", *settings]) == 0
    assert last_json(capsys)["decisions"] == 1500


def test_episodes_follow_from_the_seed(
    tmp_path: Path, hardware: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []
    original = Lockstep.infer

    def watch(self: Lockstep, batch: Transactions) -> Any:
        seen.append(batch.obs)
        return original(self, batch)

    monkeypatch.setattr(Lockstep, "infer", watch)
    for seed in ("1", "1", "2"):
        assert main(line(tmp_path, "--decisions", "1500", "--seed", seed)) == 0
    first, again, other = (np.concatenate(part) for part in np.array_split(np.array(seen, dtype=object), 3))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert len(np.unique(first.astype(np.int64), axis=0)) > 100, "the world moves"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lockstep"], "needs a run folder or a task"),
        (["lockstep", "chess"], "chess: neither a run folder nor a task; the tasks are inverted-pendulum"),
        (["lockstep", "cartpole", "--waves", "w.fst"], "give it with --replay"),
        (["lockstep", "cartpole", "--replay", "none.npz"], "leave the run, task, mode and settings out"),
        (["lockstep", "--replay", "none.npz"], "none.npz: no such file"),
        (["lockstep", "cartpole", "--decisions", "0"], "invalid positive integer"),
        (["lockstep", "cartpole", "--set", "learning.rate=1"], "unknown section learning"),
        (["lockstep", "cartpole", "--set", "core.softmax_lane=1"], "did you mean core.softmax_lanes"),
        (["lockstep", "cartpole", "--seed", "-1"], "seed -1 is out of range"),
    ],
)
def test_bad_input_is_refused(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("svpg: error: ") and message in err and err.count("\n") == 1
