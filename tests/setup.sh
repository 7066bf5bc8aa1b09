#!/bin/sh
# Make the virtual environment $1 with PyTorch as the requirement $2 says, this package and its development tools.
set -eu
venv=$1 torch=$2 log=$1/setup.log

for python in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
    if [ -n "$python" ] && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        found=$python
        break
    fi
done
if [ -z "${found:-}" ]; then
    echo "Python 3.11 or newer is needed and none is on the path; install one, or name it: make PYTHON=/path/to/python" >&2
    exit 1
fi
if [ ! -x "$venv/bin/python" ]; then
    "$found" -m venv "$venv" || {
        echo "$found cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2
        exit 1
    }
fi
quietly() {
    "$@" >>"$log" 2>&1 || {
        tail -n 30 "$log" >&2
        echo "failed: $* (all output in $log)" >&2
        exit 1
    }
}
echo "setting up $venv (a few minutes the first time)"
: >"$log"
quietly "$venv/bin/python" -m pip install --upgrade pip
quietly "$venv/bin/python" -m pip install "$torch"
quietly "$venv/bin/python" -m pip install -e ".[dev]"
