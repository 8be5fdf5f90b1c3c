#!/bin/sh
# Sees to it that the named Python can make virtual environments: Debian and Ubuntu keep a part of that in a package of
# its own. Where we are root it is installed, elsewhere it is named. `make install` calls it.
set -eu
python=$1

if ! command -v "$python" >/dev/null; then
    echo "There is no \`$python\` here: install Python 3.10 or newer, or name one with \`make PYTHON=…\`." >&2
    exit 1
fi
can_make() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }
can_make && exit 0

package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing $package, without which \`$python\` makes no virtual environment …"
    apt-get update --quiet >/dev/null 2>&1 || true # a source of the user's may be out of order
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends "$package" >/dev/null || true
    can_make && exit 0
fi
echo "\`$python\` cannot make virtual environments: it lacks \`ensurepip\`." >&2
echo "On Debian and Ubuntu: \`sudo apt install $package\`; or name another Python with \`make PYTHON=…\`." >&2
exit 1
