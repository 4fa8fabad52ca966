"""What the package promises: reasons and pins for dependencies, layering, documentation that runs, small files."""

from __future__ import annotations

import ast
import itertools
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from host.cli import build_parser

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MAY_IMPORT = {
    "golden": {"golden"},
    "hdl": {"hdl", "golden"},
    "sim": {"sim", "hdl", "golden"},
    "host": {"host", "sim", "hdl", "golden"},
}
LARGEST_FILE = 8 << 20


def requirements(*extras: str) -> list[Requirement]:
    """The project's own requirements, with those of some extras."""
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


def pins() -> dict[str, Requirement]:
    """Lines of the lock file by canonical name."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    parsed = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert len({canonicalize_name(pin.name) for pin in parsed}) == len(parsed), "a name is pinned twice"
    return {canonicalize_name(pin.name): pin for pin in parsed}


def modules(package: str) -> Iterator[tuple[Path, set[str]]]:
    """Every module of a top-level package with the top-level names it imports, lazily imported ones included."""
    for path in sorted((ROOT / package).rglob("*.py")):
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{path}: relative import"
                names.add((node.module or "").split(".")[0])
        yield path, names


def packages() -> list[str]:
    """Top-level packages that exist."""
    return [name for name in MAY_IMPORT if (ROOT / name).is_dir()]


# --- dependencies --------------------------------------------------------------------------------------


def test_every_dependency_states_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for requirement in itertools.chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()):
        assert re.search(rf'^    "{re.escape(requirement)}",  # \w.+$', text, re.MULTILINE), requirement


def test_every_dependency_states_a_lower_bound() -> None:
    for requirement in requirements(*PROJECT["optional-dependencies"]):
        assert [bound.operator for bound in requirement.specifier] == [">="], requirement


@pytest.mark.parametrize("requirement", requirements("test"), ids=lambda requirement: requirement.name)
def test_lock_file_pins_every_dependency_within_its_range(requirement: Requirement) -> None:
    pin = pins()[canonicalize_name(requirement.name)]
    (exact,) = pin.specifier
    assert exact.operator == "==" and "*" not in exact.version
    assert str(pin.marker) == str(requirement.marker)
    assert requirement.specifier.contains(exact.version)


def test_lock_file_pins_the_build_backend() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    for requirement in map(Requirement, build):
        (exact,) = pins()[canonicalize_name(requirement.name)].specifier
        assert requirement.specifier.contains(exact.version)


@pytest.mark.parametrize("python", PYTHONS)
def test_lock_file_is_closed_under_dependency(python: str) -> None:
    """What a pinned package needs is pinned, apart from pip and what torch's CUDA builds bring along."""
    locked = pins()
    environment = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    for name, pin in locked.items():
        if pin.marker is not None and not pin.marker.evaluate():
            continue  # not installed on this Python
        for line in distribution(name).requires or []:
            needed = Requirement(line)
            wanted = needed.marker is None or needed.marker.evaluate(environment)
            foreign = re.match(r"nvidia-|cuda-|triton$|pip$", canonicalize_name(needed.name))
            assert not wanted or foreign or canonicalize_name(needed.name) in locked, f"{name} needs {needed}"


def test_lock_file_names_no_index_no_build_and_no_cuda() -> None:
    text = (ROOT / "requirements.lock").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert not [line for line in lines if re.search(r"^-|://|\+|^(nvidia|cuda|triton)", line)]


def test_supported_pythons_are_declared() -> None:
    prefix = "Programming Language :: Python :: "
    assert tuple(line.removeprefix(prefix) for line in PROJECT["classifiers"] if line.startswith(prefix)) == PYTHONS
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"


@pytest.mark.parametrize("package", packages())
def test_third_party_imports_are_declared(package: str) -> None:
    declared = {canonicalize_name(requirement.name) for requirement in requirements()}
    providers = packages_distributions()
    for path, names in modules(package):
        for name in names - sys.stdlib_module_names - set(MAY_IMPORT):
            known = {canonicalize_name(provider) for provider in providers.get(name, [name])}
            assert known & declared, f"{path} imports {name}, which pyproject.toml does not declare"


# --- layering ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", packages())
def test_imports_follow_the_layers(package: str) -> None:
    seen = 0
    for path, names in modules(package):
        seen += 1
        strangers = names & set(MAY_IMPORT) - MAY_IMPORT[package]
        assert not strangers, f"{path} imports {', '.join(sorted(strangers))}"
        assert "tests" not in names, f"{path} imports the tests"
    assert seen > 0


def test_packages_that_exist_are_the_packages_that_are_installed() -> None:
    find = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    assert {pattern.rstrip("*") for pattern in find["include"]} == set(packages())


def test_every_folder_of_modules_is_a_package() -> None:
    for package in packages():
        for path, _ in modules(package):
            assert (path.parent / "__init__.py").is_file(), f"{path.parent} lacks __init__.py"


# --- documentation -------------------------------------------------------------------------------------


def documents() -> list[Path]:
    """README and everything in docs."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands() -> list[str]:
    """``svpg`` command lines in code blocks, continuation lines joined."""
    found = []
    for path in documents():
        for block in re.findall(r"^```\w*\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if match := re.match(r"(?:\$ )?(?:\.venv/bin/)?(svpg .*)", line.strip()):
                    found.append(match[1])
    return found


def test_documents_show_commands() -> None:
    assert {shlex.split(command)[1] for command in commands()} >= {"train", "play", "info", "infer", "bench"}


@pytest.mark.parametrize("command", commands())
def test_documented_command_parses(command: str) -> None:
    arguments = build_parser().parse_args(shlex.split(command, comments=True)[1:])
    assert arguments.command == shlex.split(command)[1]


def test_documented_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in documents():
        for target in re.findall(r"(?:^|`)make (?:\w+=\S+ )?([a-z-]+)", path.read_text(), re.MULTILINE):
            assert target in targets, f"{path} mentions make {target}"


def test_links_between_documents_lead_somewhere() -> None:
    for path in documents():
        for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", path.read_text()):
            assert (path.parent / target).exists(), f"{path} links to {target}"


# --- files ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(
    not (ROOT / ".git").exists() or shutil.which("git") is None, reason="not a git working copy, or no git"
)
def test_no_tracked_file_is_large() -> None:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tracked = [ROOT / name for name in listing.split("\0") if name]
    large = [path for path in tracked if path.is_file() and path.stat().st_size > LARGEST_FILE]
    assert not large


@pytest.mark.parametrize("script", ["tools/bootstrap.sh", "tools/lock.sh", ".ci/run"])
def test_scripts_are_executable_and_sound(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111
    assert "set -euo pipefail" in path.read_text()
    subprocess.run(["bash", "-n", str(path)], check=True)


def test_integration_runs_the_test_command_of_the_readme() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text().splitlines()[-1]
    assert "\nmake test\n" in (ROOT / "README.md").read_text()


@pytest.fixture
def bare_copy(tmp_path: Path) -> Path:
    """The set-up script in a folder without a virtual environment."""
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "bootstrap.sh", tmp_path / "tools")
    return tmp_path


def bootstrap(folder: Path, path: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the set-up script with only the programs in ``path``."""
    return subprocess.run(
        [shutil.which("bash") or "bash", "tools/bootstrap.sh", ".venv/.stamp-test"],
        cwd=folder,
        env={"PATH": path, **variables},
        capture_output=True,
        text=True,
    )


def tools(folder: Path, **programs: str) -> str:
    """A PATH with the few programs the script needs and some made for the test."""
    path = folder / "bin"
    path.mkdir()
    for name in ("dirname", "touch", "mkdir", "rm", "env", "grep", "bash"):
        (path / name).symlink_to(shutil.which(name) or name)
    for name, body in programs.items():
        (path / name).write_text(f"#!{shutil.which('bash')}\n{body}\n")
        (path / name).chmod(0o755)
    return str(path)


def test_setup_without_python_prints_the_line_that_helps(bare_copy: Path) -> None:
    result = bootstrap(bare_copy, tools(bare_copy, id="echo 1000"))
    assert result.returncode == 2
    assert result.stderr.strip().endswith("sudo apt-get install -y python3 python3-venv")
    assert len(result.stderr.strip().splitlines()) == 1


def test_setup_without_venv_asks_for_the_package_of_that_python(bare_copy: Path) -> None:
    python = 'case "$2" in *ensurepip*) exit 1;; *print*) echo 3.12;; *) exit 0;; esac'
    result = bootstrap(bare_copy, tools(bare_copy, id="echo 1000", python3=python))
    assert result.returncode == 2
    assert result.stderr.strip().endswith("sudo apt-get install -y python3.12-venv")


def test_setup_that_fails_leaves_no_stamp_and_starts_over(bare_copy: Path) -> None:
    # A Python whose venv is made, whose pip fails.
    python = 'case "$2" in venv) mkdir -p .venv/bin; cp "$0" .venv/bin/python;; pip) exit 1;; esac; exit 0'
    path = tools(bare_copy, python3=python, cp=f'exec {shutil.which("cp")} "$@"')
    (bare_copy / "requirements.lock").write_text("torch==2.13.0\n")
    assert bootstrap(bare_copy, path).returncode == 1
    assert (bare_copy / ".venv" / ".incomplete").exists()
    (bare_copy / ".venv" / "debris").touch()
    again = bootstrap(bare_copy, path)
    assert again.returncode == 1 and "starting over" in again.stderr
    assert not (bare_copy / ".venv" / "debris").exists()
    assert not list((bare_copy / ".venv").glob(".stamp-*"))
