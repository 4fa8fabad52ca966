"""``svpg rtl``: the Verilog, and a description that says what is in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.config import DeviceConfig
from golden.parameters import Parameters, to_octaves
from golden.protocol import LAST, MEANINGS, Command, info_values
from golden.server import FrameServer
from hdl.options import CoreOptions
from host.cli import main

SETTINGS = ["--set", "network.groups=2", "--set", "network.group_size=3", "--set", "network.lanes=4"]
TINY = [*SETTINGS[:4], "--set", "critic.hidden=8", "--episodes", "2"]
CONFIG = DeviceConfig(inputs=4, groups=2, group_size=3, actions=5, lanes=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rtl") / "out"
    assert main(["rtl", "inverted-pendulum", "--out", str(path), *SETTINGS, "--multipliers", "7"]) == 0
    return path


@pytest.fixture(scope="module")
def data(folder: Path) -> Any:
    return json.loads((folder / "interface.json").read_text())


def test_a_task_gives_verilog_and_its_description(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {"svpg.v", "interface.md", "interface.json"}


def test_every_port_of_the_verilog_is_described(folder: Path, data: Any) -> None:
    text = (folder / "svpg.v").read_text()
    top = text[text.index("\nmodule svpg(") :]
    declared = re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", top[: top.index("endmodule")], re.MULTILINE)
    described = {(port["direction"], port["bits"], port["name"]) for port in data["ports"]}
    assert described == {(direction, int(high or 0) + 1, name) for direction, high, name in declared}
    assert all(port["is"] for port in data["ports"])


def test_configuration_options_and_information_are_there(data: Any) -> None:
    assert DeviceConfig(**data["configuration"]) == CONFIG
    assert CoreOptions(**data["options"]) == CoreOptions(softmax_lanes=3, in_logic=True)
    assert data["resources"]["multipliers"] == 7
    assert data["info"] == info_values(CONFIG, 3, CoreOptions().abilities)
    assert data["digest"] == f"{CONFIG.digest:08x}"


def test_commands_are_described_word_by_word(data: Any) -> None:
    assert [command["name"] for command in data["commands"]] == ["INFO", "LOAD", "READ", "INFER"]
    for command in data["commands"]:
        for side in ("command", "response"):
            at = 0
            for row in command[side]:
                assert row["first_word"] == at and row["words"] > 0
                at += row["words"]
            assert at == command[f"{side}_words"]
    infer = data["commands"][-1]
    assert [row["name"] for row in infer["command"]] == ["header", "nonce", "obs", "given"]
    assert infer["flags"]["policy conditional"] == 2 and infer["flags"]["activity"] == 8
    assert [status["is"] for status in data["statuses"]] == list(MEANINGS.values())


def test_a_build_that_learns_says_with_what(tmp_path: Path) -> None:
    out = tmp_path / "out"
    learning = ["core.rules=conditional,contrastive", "core.optimisers=sgd"]
    settings = [part for setting in learning for part in ("--set", setting)]
    assert main(["rtl", "inverted-pendulum", "--out", str(out), *SETTINGS, *settings]) == 0
    data = json.loads((out / "interface.json").read_text())
    commands = {command["name"]: command for command in data["commands"]}
    assert list(commands) == [command.name for command in Command]
    assert commands["LEARN"]["flags"] == {"rule conditional": 1, "rule contrastive": 2, "counters": 4}
    assert commands["APPLY"]["flags"] == {"optimiser sgd": 0}
    assert commands["LOAD"]["flags"] == {"section weight": 0, "section acc": 1}
    assert [row["name"] for row in commands["LEARN"]["command"]] == ["header", "modulator", "action", "obs", "given"]
    assert {"modulator", "accumulator"} <= data["formats"].keys() and "moment" not in data["formats"]
    assert (data["info"]["rules"], data["info"]["optimisers"]) == (0b110, 0b001)


def test_a_build_of_spikes_says_what_it_takes(tmp_path: Path) -> None:
    out = tmp_path / "out"
    settings = [*SETTINGS, "--mode", "spike", "--set", "network.steps=9", "--set", "network.window=4"]
    learning = ["--set", "core.rules=published,contrastive", "--set", "core.optimisers=sgd"]
    assert main(["rtl", "inverted-pendulum", "--out", str(out), *settings, *learning]) == 0
    data = json.loads((out / "interface.json").read_text())
    assert DeviceConfig(**data["configuration"]) == CONFIG.replace(mode="spike", steps=9, window=4)
    commands = {command["name"]: command for command in data["commands"]}
    assert commands["INFER"]["flags"] == {"policy sample": 0, "policy greedy": 1, "activity": 8, "spikes": 16}
    assert [row["name"] for row in commands["INFER"]["command"]] == ["header", "nonce", "obs"]
    assert [(row["name"], row["count"]) for row in commands["INFER"]["response"]][-1] == ("spikes", 9 * 3)
    assert commands["LEARN"]["flags"] == {"rule published": 0, "rule contrastive": 2, "counters": 4}
    assert [row["name"] for row in commands["LEARN"]["command"]] == ["header", "nonce", "modulator", "action", "obs"]
    text = (out / "interface.md").read_text()
    assert (
        "`q_raw` is there with the flag of the activity only, `spikes` with its own." in text and "`given`" not in text
    )


def test_memories_are_those_of_the_verilog(data: Any) -> None:
    stores = {store["name"]: store for store in data["resources"]["memories"]}
    weights = stores["svpg.weight.memory"]
    assert (weights["bits"], weights["words"]) == (4 * 16, (CONFIG.sources + 1) * CONFIG.row_words)
    kbit = sum(store["bits"] * store["words"] for store in stores.values()) / 1024
    assert data["resources"]["memory_kbit"] == pytest.approx(kbit, abs=0.01)


def test_the_description_for_people_says_the_same(folder: Path, data: Any) -> None:
    text = (folder / "interface.md").read_text()
    for port in data["ports"]:
        assert f"| `{port['name']}` | {port['direction']} | {port['bits']} |" in text
    for command in data["commands"]:
        assert f"### `{command['name']}` ({command['code']})" in text
        for row in (*command["command"], *command["response"]):
            assert f"| `{row['name']}` | {row['count']} | {row['bits']} |" in text
    assert "7 multipliers" in text and f"| `lanes` | {CONFIG.lanes} |" in text


def test_a_run_gives_the_words_that_load_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main(["train", "inverted-pendulum", "--run", str(run), *TINY]) == 0
    out = tmp_path / "out"
    assert main(["rtl", str(run), "--out", str(out), "--set", "network.lanes=4", "--json"]) == 0
    data = json.loads(capsys.readouterr().out.splitlines()[-1])
    words = np.array([int(line, 16) for line in Path(data["files"]["load.hex"]).read_text().split()], dtype=np.uint32)
    server = FrameServer(CONFIG)
    answers = server.exchange(words)
    assert (answers == (LAST | Command.LOAD)).all() and len(answers) == (CONFIG.sources + 1) * CONFIG.row_words
    weight, bias = to_octaves(CONFIG, Parameters.load(run / "params_best.npz"))
    assert np.array_equal(server.device.weight, weight) and np.array_equal(server.device.bias, bias)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "learning.rate=1"], "unknown section learning"),
        (["--set", "core.softmax_lanes=70"], "give 1 to 69"),
        (["--set", "core.in_logic=1"], "give true or false"),
        (["--multipliers", "69"], "set lanes to 68 at most"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert main(["rtl", "inverted-pendulum", "--out", str(tmp_path / "o"), *more]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["rtl", "inverted-pendulum", "--out", str(tmp_path / "file" / "x"), *SETTINGS]) == 2
    assert "cannot be made" in capsys.readouterr().err
