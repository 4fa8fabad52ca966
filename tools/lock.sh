#!/usr/bin/env bash
# Write requirements.lock anew: the newest versions that pyproject.toml allows, everything transitive included.
# Run through `make lock`, on the oldest Python that is supported, so that each pin exists for all.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo 'torch==2.13.0' >"$work/constraints.txt"

.venv/bin/pip-compile --quiet --upgrade --strip-extras --allow-unsafe --no-annotate --no-header \
  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options \
  --extra test --constraint "$work/constraints.txt" --output-file "$work/lock.txt" pyproject.toml

{
  cat <<'HEADER'
# Everything a working copy runs and is tested with, on CPython 3.11 to 3.14; written by `make lock`.
# - No hashes: torch's CPU and CUDA builds of one version are different files, and both are welcome.
# - No CUDA packages: torch brings those its build needs, and its CPU build needs none.
# - setuptools is the build backend of the editable install.
HEADER
  # pip stays as the virtual environment has it; a build tag such as +cpu names one machine's file.
  grep -Ev '^(#|$|nvidia-|cuda-|triton==|pip==)' "$work/lock.txt" | sed -E 's/\+[a-z0-9.]+$//'
} >"$work/requirements.lock"
mv "$work/requirements.lock" requirements.lock
