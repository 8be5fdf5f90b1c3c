"""The script that gathers what OS packages bring: run in a real base, with a package whose script does what some do."""

import hashlib
import os
import platform
import subprocess
from pathlib import Path

import pytest

from envcap.render.templates import fill

BASE = f"python:{platform.python_version()}-slim-bookworm"
NAME, VERSION = "envcap-sample", "1.2"
TIME = 1577836800
# A file that is opened and left, one that is replaced by its copy, and a folder in which one came and went; then a
# folder and a file that only change their modes, a file that is written, and a new folder.
SCRIPT = """\
#!/bin/sh
set -e
chmod 600 /srv/opened
cp --preserve=all /srv/copied /srv/new && mv /srv/new /srv/copied
touch /home/new && rm /home/new
chmod 700 /srv/closed /srv/closed-file
echo more >> /srv/written
mkdir /opt/new
"""
PREPARE = f"""\
set -e
mkdir /srv/closed
touch /srv/opened /srv/copied /srv/closed-file /srv/written
chmod 600 /srv/opened
echo old > /srv/brought
touch --date @{TIME} /srv/brought
cp -r /given /os-packages
sh /os-packages/install.sh > /dev/null
cat /os-layer/srv/brought
cd /os-layer && find srv home opt 2> /dev/null | sort
"""


@pytest.mark.engine
def test_gathers_what_changed_and_nothing_else(tmp_path: Path) -> None:
    """Not what only some image stores would see. A brought file may have the size and time of the one before it."""
    given, root = tmp_path / "given", tmp_path / "root"
    (root / "DEBIAN").mkdir(parents=True)
    given.mkdir()
    fields = f"Package: {NAME}\nVersion: {VERSION}\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    (root / "DEBIAN" / "control").write_text(fields)
    (root / "DEBIAN" / "postinst").write_text(SCRIPT)
    (root / "DEBIAN" / "postinst").chmod(0o755)
    (root / "srv").mkdir()
    (root / "srv" / "brought").write_text("new\n")
    os.utime(root / "srv" / "brought", (TIME, TIME))
    words = ["dpkg-deb", "-Zxz", "--root-owner-group", "--build", str(root), str(given / "sample.deb")]
    subprocess.run(words, check=True, capture_output=True)
    digest = hashlib.sha256((given / "sample.deb").read_bytes()).hexdigest()
    told = {"epoch": TIME, "has_os_packages": True, "has_locales": False, "toolkit": False}
    texts = {"SHA256SUMS": f"{digest}  sample.deb\n", "VERSIONS": f"{NAME}:all={VERSION}\n", "NAMES": f"{NAME}:all\n"}
    for name, text in {**texts, "install.sh": fill("install.sh.j2", told)}.items():
        (given / name).write_text(text)
    command = [
        "docker",
        "run",
        "--rm",
        "--network",
        "none",
        "--volume",
        f"{given}:/given:ro",
        BASE,
        "sh",
        "-c",
        PREPARE,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    changed = ["srv", "srv/brought", "srv/closed", "srv/closed-file", "srv/written"]
    assert done.stdout.split() == ["new", "opt", "opt/new", *changed], done.stderr
