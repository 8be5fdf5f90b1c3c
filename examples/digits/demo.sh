#!/bin/sh
# Freeze, build and verify this example, in an environment of its own. `make demo` calls it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
envcap="${ENVCAP:-$here/../../.venv/bin/envcap}"
environment="$here/.venv"

# The environment that a researcher would have: made once, used again until its requirements change.
if [ ! -e "$environment/.installed" ] || [ "$here/requirements.txt" -nt "$environment/.installed" ]; then
    echo "making the example's environment in examples/digits/.venv …"
    "${PYTHON:-python3}" -m venv --clear "$environment"
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    touch "$environment/.installed"
fi

cd "$here"
say() { printf '\n$ envcap %s\n' "$*"; "$envcap" "$@"; }
say freeze --python .venv
say build
say verify
