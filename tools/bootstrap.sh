#!/usr/bin/env bash
# Build .venv from requirements.lock; `make` calls this when its stamp is missing.
#
#   tools/bootstrap.sh STAMP    STAMP: file written last, so that an interrupted set-up is done again
#
# PYTHON=... chooses the interpreter. Exit status: 0 done, 1 an installation failed, 2 something is missing
# that only you can install; the line to run is printed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stamp=${1:?usage: tools/bootstrap.sh STAMP}
incomplete=.venv/.incomplete

# 0 if $1 runs and is a Python that the lock file covers.
supported() {
  "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null
}

# 0 if $1 can make virtual environments (Debian packages that part on its own).
complete() {
  "$1" -c 'import ensurepip, venv' 2>/dev/null
}

# Print the interpreter to use: one that can make virtual environments if there is any.
find_python() {
  local candidate fallback=
  for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    supported "$candidate" || continue
    if complete "$candidate"; then
      echo "$candidate"
      return
    fi
    fallback=${fallback:-$candidate}
  done
  echo "$fallback"
}

# Install Debian packages, or say how and stop.
install_system() {
  local as_root=
  if [ "$(id -u)" -ne 0 ]; then
    as_root=sudo
  fi
  if ! command -v apt-get >/dev/null || { [ -n "$as_root" ] && ! sudo -n true 2>/dev/null; }; then
    echo "svpg: a system package is missing; run this once, then try again: sudo apt-get install -y $*" >&2
    exit 2
  fi
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
  if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; then
    echo "svpg: apt-get could not install $*; install it another way, then try again (make PYTHON=... names a CPython)" >&2
    exit 2
  fi
}

if [ -e "$incomplete" ] || { [ -e .venv ] && ! { supported .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; }; }; then
  echo "svpg: the last set-up was interrupted; starting over" >&2
  rm -rf .venv
fi

if [ ! -e .venv ]; then
  python=$(find_python)
  if [ -z "$python" ]; then
    install_system python3 python3-venv
    python=$(find_python)
  elif ! complete "$python"; then
    install_system "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
  fi
  if [ -z "$python" ] || ! complete "$python"; then
    echo "svpg: no CPython 3.11 to 3.14 with venv was found; install one and name it: make PYTHON=/path/to/python3" >&2
    exit 2
  fi
  mkdir .venv
  touch "$incomplete"
  "$python" -m venv .venv
fi
touch "$incomplete"

# torch goes first and alone: it decides between its CPU and CUDA builds, whose further packages the lock omits.
pip=(.venv/bin/python -m pip --disable-pip-version-check install --quiet)
echo "svpg: installing into .venv (a few minutes the first time)" >&2
"${pip[@]}" --constraint requirements.lock "$(grep '^torch==' requirements.lock)"
"${pip[@]}" --requirement requirements.lock
"${pip[@]}" --no-deps --no-build-isolation --editable .

rm -f .venv/.stamp-* "$incomplete"

# Verilator's models are compiled with the system's C++ compiler.
missing=()
command -v g++ >/dev/null || missing+=(g++)
command -v perl >/dev/null || missing+=(perl)
echo '#include <zlib.h>' | g++ -E -x c++ - >/dev/null 2>&1 || missing+=(zlib1g-dev)
if [ "${#missing[@]}" -gt 0 ]; then
  install_system "${missing[@]}"
fi
touch "$stamp"
