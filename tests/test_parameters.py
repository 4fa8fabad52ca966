"""The parameter file: what goes in comes out to the bit, and everything else is refused with a reason."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from golden.config import REMOVABLE, DeviceConfig
from golden.errors import SvpgError
from golden.fixed import Format
from golden.parameters import Parameters, from_octaves, to_octaves
from golden.start import random_start

CONFIG = DeviceConfig(inputs=3, groups=2, group_size=3, actions=4)
SHAPE = (CONFIG.sources, CONFIG.neurons)


def random_raw(config: DeviceConfig, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Raw weights over the whole format, symmetric, none where no synapse is, and biases."""
    rng = np.random.default_rng(seed)
    n, number_format = config.neurons, config.weight
    weight = rng.integers(number_format.low, number_format.high, (config.sources, n), endpoint=True)
    weight[:n] = np.triu(weight[:n], 1) + np.triu(weight[:n], 1).T
    return np.where(config.mask, weight, 0), rng.integers(number_format.low, number_format.high, n, endpoint=True)


@pytest.fixture
def parameters() -> Parameters:
    return random_start(CONFIG, 1, 0.5, 0.5)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    weight_bits=st.integers(4, 24),
    weight_frac=st.integers(0, 20),
    removed=st.sampled_from(sorted(REMOVABLE)),
    seed=st.integers(0, 2**32 - 1),
)
def test_quantised_parameters_survive_the_file_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, weight_bits: int, weight_frac: int, removed: str, seed: int
) -> None:
    config = CONFIG.replace(weight_bits=weight_bits, weight_frac=weight_frac, removed=removed)
    weight, bias = random_raw(config, seed)
    path = tmp_path_factory.mktemp("file") / "p.npz"
    from_octaves(config, weight, bias).save(path)
    again_weight, again_bias = to_octaves(config, Parameters.load(path))
    assert np.array_equal(again_weight, weight)
    assert np.array_equal(again_bias, bias)


def test_every_single_integer_of_the_default_format_survives() -> None:
    """Nats and back: two roundings in double precision never move an integer."""
    number_format = CONFIG.weight
    raw = np.arange(number_format.low, number_format.high + 1)
    config = DeviceConfig(inputs=1, groups=1, group_size=2, actions=2)
    for part in np.array_split(raw, raw.size // config.neurons):
        bias = np.resize(part, config.neurons)
        parameters = from_octaves(config, np.zeros((config.sources, config.neurons), dtype=np.int64), bias)
        assert np.array_equal(to_octaves(config, parameters)[1], bias)


def test_all_fields_survive_the_file(parameters: Parameters, tmp_path: Path) -> None:
    parameters = dataclasses.replace(parameters, obs_mean=np.array([0.1, -2.0, 1 / 3]), obs_scale=0.7)
    parameters.save(tmp_path / "p.npz")
    again = Parameters.load(tmp_path / "p.npz")
    for name, value in vars(parameters).items():
        assert np.array_equal(getattr(again, name), value), name
        assert type(getattr(again, name)) is type(value), name


def test_saving_twice_leaves_no_other_file(parameters: Parameters, tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    parameters.save(path)
    parameters.bias[0] = 1.5
    parameters.save(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.npz"]
    assert Parameters.load(path).bias[0] == 1.5


def test_a_failed_save_keeps_the_older_file(
    parameters: Parameters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.npz"
    parameters.save(path)
    before = path.read_bytes()

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full_disk)
    with pytest.raises(SvpgError, match="No space left"):
        parameters.save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.npz"]


def test_a_file_with_the_published_keys_only_is_read(parameters: Parameters, tmp_path: Path) -> None:
    """Weights, biases and sizes are enough, in single precision too; there is no centring then."""
    names = ("groups", "group_size", "actions", "inputs")
    np.savez(
        tmp_path / "p.npz",
        weight=parameters.weight.astype(np.float32),
        bias=parameters.bias.astype(np.float32),
        **{name: getattr(parameters, name) for name in names},
    )
    again = Parameters.load(tmp_path / "p.npz")
    assert np.array_equal(again.weight, parameters.weight.astype(np.float32))
    assert again.obs_scale == 1.0
    assert not again.obs_mean.any()


def test_the_example_policy_is_a_parameter_file() -> None:
    policy = Parameters.load(Path(__file__).parent / "data" / "pendulum_policy.npz")
    assert policy.weight.shape == (73, 69)


# --- refusals --------------------------------------------------------------------------------------
def write(parameters: Parameters, path: Path, **changes: Any) -> Path:
    """A parameter file with some arrays replaced, or removed where None."""
    parameters.save(path)
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files} | changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SvpgError, match=r"absent\.npz: no such parameter file"):
        Parameters.load(tmp_path / "absent.npz")


def test_a_truncated_file_is_refused_wherever_it_ends(parameters: Parameters, tmp_path: Path) -> None:
    parameters.save(tmp_path / "whole.npz")
    whole = (tmp_path / "whole.npz").read_bytes()
    path = tmp_path / "part.npz"
    for size in range(0, len(whole), 37):
        path.write_bytes(whole[:size])
        with pytest.raises(SvpgError, match="not a readable parameter file"):
            Parameters.load(path)


@pytest.mark.filterwarnings("ignore")
def test_a_file_with_one_wrong_byte_is_refused_or_harmless(parameters: Parameters, tmp_path: Path) -> None:
    """Contents carry a checksum; some bytes of the archive's directory mean nothing (times, attributes)."""
    parameters.save(tmp_path / "whole.npz")
    whole = (tmp_path / "whole.npz").read_bytes()
    path, refused = tmp_path / "damaged.npz", 0
    positions = range(0, len(whole), 5)
    for position in positions:
        damaged = bytearray(whole)
        damaged[position] ^= 0x11
        path.write_bytes(damaged)
        try:
            again = Parameters.load(path)
        except SvpgError:
            refused += 1
        else:
            assert np.array_equal(again.weight, parameters.weight)
            assert np.array_equal(again.bias, parameters.bias)
    assert refused > len(positions) / 2


@pytest.mark.parametrize("content", [b"hello, world", b"PK\x03\x04 and then nothing", b"\x93NUMPY\x01\x00v\x00"])
def test_a_file_of_another_kind_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "p.npz").write_bytes(content)
    with pytest.raises(SvpgError, match="not a"):
        Parameters.load(tmp_path / "p.npz")


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    with open(tmp_path / "p.npz", "wb") as stream:
        np.save(stream, np.zeros(3))
    with pytest.raises(SvpgError, match="not a"):
        Parameters.load(tmp_path / "p.npz")


def test_pickled_objects_are_refused(parameters: Parameters, tmp_path: Path) -> None:
    path = write(parameters, tmp_path / "p.npz", bias=np.array([print], dtype=object))
    with pytest.raises(SvpgError, match="not a readable parameter file"):
        Parameters.load(path)


def test_missing_arrays_are_listed(parameters: Parameters, tmp_path: Path) -> None:
    with pytest.raises(SvpgError, match="lacks bias, inputs"):
        Parameters.load(write(parameters, tmp_path / "p.npz", bias=None, inputs=None))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": np.int64(2)}, "format version 2, this program reads version 1"),
        ({"weight": np.zeros((4, 4))}, r"weight has shape \(4, 4\), expected \(13, 10\)"),
        ({"bias": np.zeros(3)}, r"bias has shape \(3,\), expected \(10,\)"),
        ({"inputs": np.int64(4)}, r"expected \(14, 10\)"),
        ({"groups": np.array([1, 2])}, "not an SVPG parameter file"),
        ({"weight": np.full(SHAPE, "x")}, "not an SVPG parameter file"),
        ({"obs_mean": np.zeros(2)}, "obs_mean must be 3 finite numbers"),
        ({"obs_mean": np.array([0.0, np.nan, 0.0])}, "obs_mean must be 3 finite numbers"),
        ({"obs_scale": np.float64(0.0)}, "obs_scale is 0.0, it must be positive"),
        ({"obs_scale": np.float64(np.inf)}, "obs_scale is inf, it must be positive"),
    ],
)
def test_inconsistent_files_are_refused(
    parameters: Parameters, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SvpgError, match=message) as caught:
        Parameters.load(write(parameters, tmp_path / "p.npz", **changes))
    assert "\n" not in str(caught.value)


def test_asymmetry_is_located(parameters: Parameters) -> None:
    parameters.weight[0, 5] += 0.25
    with pytest.raises(SvpgError, match=r"not symmetric, first at \(0, 5\)"):
        to_octaves(CONFIG, parameters)


def test_an_asymmetric_file_is_refused(parameters: Parameters, tmp_path: Path) -> None:
    parameters.weight[7, 1] = -parameters.weight[1, 7] + 1.0
    parameters.save(tmp_path / "p.npz")
    with pytest.raises(SvpgError, match="not symmetric"):
        Parameters.load(tmp_path / "p.npz")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted(parameters: Parameters, value: float) -> None:
    parameters.weight[CONFIG.neurons, :2] = value
    with pytest.raises(SvpgError, match="weight has 2 values that are not finite"):
        to_octaves(CONFIG, parameters)
    parameters.weight[CONFIG.neurons, :2] = 0.0
    parameters.bias[3] = value
    with pytest.raises(SvpgError, match="bias has 1 values that are not finite"):
        to_octaves(CONFIG, parameters)


def test_values_beyond_the_format_are_counted_and_the_largest_named(parameters: Parameters) -> None:
    parameters.weight[CONFIG.neurons, :3] = [12.0, -13.0, 11.5]
    with pytest.raises(SvpgError, match=r"3 of 130 values lie outside \[-16, 15\.9995\], the largest is -18\.7"):
        to_octaves(CONFIG, parameters)


def test_the_ends_of_the_format_are_accepted_and_half_a_step_beyond_is_not() -> None:
    number_format = CONFIG.weight
    ends = np.array([number_format.low, number_format.high + 0.499]) * number_format.lsb
    assert number_format.quantise(ends).tolist() == [number_format.low, number_format.high]
    for beyond in (number_format.low - 0.5, number_format.high + 0.5):
        with pytest.raises(SvpgError, match="1 of 1 values lie outside"):
            number_format.quantise([beyond * number_format.lsb])


def test_halves_round_away_from_zero() -> None:
    number_format = CONFIG.weight
    halves = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]) * number_format.lsb
    assert number_format.quantise(halves).tolist() == [-3, -2, -1, 1, 2, 3]


@pytest.mark.parametrize(
    ("bits", "signed", "container"),
    [
        (2, True, np.int16),
        (16, True, np.int16),
        (17, True, np.int32),
        (32, True, np.int32),
        (33, True, np.int64),
        (15, False, np.int16),
        (16, False, np.int32),
        (32, False, np.int64),
    ],
)
def test_a_container_is_the_smallest_integer_that_holds_both_ends(bits: int, signed: bool, container: Any) -> None:
    number_format = Format("numbers", bits, 0, signed)
    assert number_format.container is container
    assert np.iinfo(container).min <= number_format.low and number_format.high <= np.iinfo(container).max


def test_many_values_are_quantised_or_refused_as_a_whole() -> None:
    number_format, rng = CONFIG.weight, np.random.default_rng(0)
    raw = rng.integers(number_format.low, number_format.high, (5, 1000), endpoint=True)
    values = (raw * number_format.lsb).T
    assert np.array_equal(number_format.quantise(values), raw.T)
    values[-1, -1] = 2 * number_format.high * number_format.lsb
    values[0, 0] = -2 * number_format.high * number_format.lsb
    with pytest.raises(SvpgError, match="2 of 5000 values lie outside"):
        number_format.quantise(values)
    values[-1, 0] = np.nan
    with pytest.raises(SvpgError, match="1 of 5000 values are not finite"):
        number_format.quantise(values)


@pytest.mark.parametrize("name", ["inputs", "groups", "group_size", "actions"])
def test_sizes_of_another_device_are_named(parameters: Parameters, name: str) -> None:
    other = CONFIG.replace(**{name: getattr(CONFIG, name) + 1})
    with pytest.raises(SvpgError, match=f"{name} is {getattr(CONFIG, name)} but the device has {getattr(other, name)}"):
        to_octaves(other, parameters)


@pytest.mark.parametrize("removed", [name for name in sorted(REMOVABLE) if name != "none"])
def test_weights_of_a_removed_pattern_are_counted(removed: str) -> None:
    weight, bias = random_raw(CONFIG, 2)
    weight[CONFIG.mask & (weight == 0)] = 1
    config = CONFIG.replace(removed=removed)
    stray = int((CONFIG.mask & ~config.mask).sum())
    with pytest.raises(SvpgError, match=f"{stray} weights are set where the device has no synapse"):
        to_octaves(config, from_octaves(CONFIG, weight, bias))


def test_a_weight_inside_a_group_is_refused(parameters: Parameters) -> None:
    parameters.weight[0, 1] = parameters.weight[1, 0] = 0.5
    with pytest.raises(SvpgError, match="2 weights are set where the device has no synapse"):
        to_octaves(CONFIG, parameters)


def test_an_unwritable_folder_is_named(parameters: Parameters, tmp_path: Path) -> None:
    with pytest.raises(SvpgError, match="cannot be written"):
        parameters.save(tmp_path / "absent" / "p.npz")
