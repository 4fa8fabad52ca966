"""Training on the RTL gives the bytes that training on golden gives, wherever a run changes from one to the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.client import FrameDevice
from golden.config import DeviceConfig
from golden.errors import SvpgError
from golden.protocol import Command
from host.backend import Update
from host.backends.golden import GoldenBackend
from host.backends.rtl import RtlBackend
from host.cli import main
from tests.test_resume import COMPARED, REPLAY, ROLLOUT, SMALL, arguments

SAME = tuple(name for name in COMPARED if name != "config.toml")
"""Files that do not name the backend."""
LANES = "network.lanes=7"


def train(run: Path, backend: str, *settings: str, episodes: int = 24, more: tuple[str, ...] = ()) -> dict[str, bytes]:
    line = arguments("cartpole", run, *settings, episodes=episodes, more=("--backend", backend, *more))
    assert main(line) == 0
    return {name: (run / name).read_bytes() for name in SAME}


@pytest.mark.parametrize(
    "settings",
    [
        (*REPLAY, "learning.rule=contrastive", "learning.optimiser=rmsprop"),
        # Every rule and optimiser of the core is compared with golden's elsewhere (tests/test_hdl_core.py).
        pytest.param((*REPLAY, "learning.rule=published", "learning.optimiser=sgd"), marks=pytest.mark.slow),
        pytest.param(
            (*ROLLOUT, "learning.rule=conditional", "learning.optimiser=sign", "network.removed=sa"),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["contrastive", "published", "conditional"],
)
def test_the_rtl_trains_to_the_bytes_of_golden(settings: tuple[str, ...], tmp_path: Path) -> None:
    golden = train(tmp_path / "golden", "golden", *SMALL, LANES, *settings)
    rtl = train(tmp_path / "rtl", "rtl", *SMALL, LANES, *settings)
    assert [name for name in SAME if golden[name] != rtl[name]] == []


@pytest.mark.parametrize(("first", "second"), [("golden", "rtl"), ("rtl", "golden")])
def test_a_run_goes_on_where_another_device_left_it(first: str, second: str, tmp_path: Path) -> None:
    # The core of the test above.
    settings = (*SMALL, LANES, *REPLAY, "learning.rule=contrastive", "learning.optimiser=rmsprop")
    whole = train(tmp_path / "whole", "golden", *settings)
    train(tmp_path / "run", first, *settings, episodes=12)
    resumed = train(tmp_path / "run", second, more=("--resume",))
    assert [name for name in SAME if whole[name] != resumed[name]] == []
    assert f'backend = "{second}"' in (tmp_path / "run" / "config.toml").read_text()


def test_the_float_reference_does_not_go_on_with_a_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tmp_path / "run", "golden", *SMALL, *REPLAY, episodes=6)
    line = ["train", "cartpole", "--run", str(tmp_path / "run"), "--resume", "--backend", "float"]
    assert main(line) == 2
    assert "its backend is golden, not float" in capsys.readouterr().err


CONFIG = DeviceConfig(inputs=4, groups=2, group_size=3, actions=2, lanes=7)


def test_devices_of_a_pool_decide_with_what_one_has_learned() -> None:
    """Two compiled cores share decisions; only one learns."""
    rng = np.random.default_rng(0)
    obs, nonce = rng.normal(size=(6, 4)), np.arange(6, dtype=np.uint64)
    golden, rtl = GoldenBackend(CONFIG), RtlBackend(CONFIG, ("contrastive", "sgd"))
    for backend in (golden, rtl):
        backend.restore({name: np.zeros_like(values) for name, values in backend.state().items()})
    for _ in range(3):
        decisions = [backend.infer(obs, nonce) for backend in (golden, rtl)]
        assert all(np.array_equal(*(getattr(d, name) for d in decisions)) for name in ("winners", "q", "action_prob"))
        modulator = rng.permutation([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
        for backend in (golden, rtl):
            backend.learn(obs, decisions[0].winners, modulator, "contrastive")
            backend.apply(Update("sgd", rate=1.0, obs_rate=1.0, batch=8))
    assert not np.allclose(decisions[0].action_prob, 0.5)


def test_samples_that_change_nothing_are_checked_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    obs, nonce = rng.normal(size=(6, 4)), np.arange(6, dtype=np.uint64)
    golden, rtl = GoldenBackend(CONFIG), RtlBackend(CONFIG, ("contrastive", "sgd"))
    winners = golden.infer(obs, nonce).winners
    modulator, sent, ask = np.array([0.0, 1.0, 0.001, -2.0, 0.0, 3.0]), [], FrameDevice._ask

    def watched(self: FrameDevice, command: Command, flags: int, values: Any, count: int | None = None) -> Any:
        if command == Command.LEARN:
            sent.append(len(values["modulator"]))
        return ask(self, command, flags, values, count)

    monkeypatch.setattr(FrameDevice, "_ask", watched)
    for backend in (golden, rtl):
        backend.learn(obs, winners, modulator, "contrastive")
        backend.learn(obs, winners, np.zeros(6), "contrastive")
    # 0.001 is 0 in the modulator's format.
    assert sent == [3, 0]
    states = [backend.state() for backend in (golden, rtl)]
    assert states[0]["acc"].any() and all(np.array_equal(states[0][name], states[1][name]) for name in states[0])
    winners[0, 0] = CONFIG.group_size
    with pytest.raises(SvpgError, match="1 indices lie outside their group"):
        rtl.learn(obs, winners, modulator, "contrastive")


def test_second_moments_do_not_fit_a_device_without() -> None:
    golden, rtl = GoldenBackend(CONFIG), RtlBackend(CONFIG, ("contrastive", "sgd"))
    state = golden.state()
    rtl.restore(state)
    assert all(np.array_equal(values, state[name]) for name, values in rtl.state().items())
    state["moment_bias"] = state["moment_bias"] + 1
    with pytest.raises(SvpgError, match="values in moment_bias, a memory that this device was built without"):
        rtl.restore(state)
