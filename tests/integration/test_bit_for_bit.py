"""The same lock gives the same image, whoever builds it, where, and with which builder."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.integration.builds import without_buildx
from tests.integration.conftest import Envcap

pytestmark = [pytest.mark.engine, pytest.mark.network]
STARTED = int(time.time())
NAME = f"envcap/bits-{os.getpid()}"  # other runs of these tests may use the engine too
ANOTHER = 23456  # a user that no machine has
YEARS = 11 * 365 * 86_400  # seconds
# A clock that is ahead, for a process and its children.
CLOCK = f"""\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *now) {{
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    if (!failed && clock == CLOCK_REALTIME) now->tv_sec += {YEARS};
    return failed;
}}
"""
LATER = f"""\
import runpy, sys, time
assert time.time() > {int(time.time()) + YEARS}
sys.argv[0] = "envcap"
runpy.run_module("envcap", run_name="__main__")
"""


def build_as_another(project: Envcap, folder: Path, tag: str) -> None:
    """Build a copy in another place, as another user, with another umask, time zone and locale, and empty caches.

    The date is another too: of the copy's files, and of the process.
    """
    copy, home = folder / "elsewhere" / "a copy", folder / "home"
    shutil.copytree(project.project, copy, symlinks=True)
    for path in copy.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    home.mkdir()
    (home / "clock.c").write_text(CLOCK)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", home / "clock.so", home / "clock.c", "-ldl"], check=True)
    for path in (copy.parent, home):
        subprocess.run(["chown", "--recursive", str(ANOTHER), path], check=True)
    env = {name: value for name, value in project.environ.items() if name not in {"TMPDIR", "VIRTUAL_ENV"}}
    env |= {"HOME": str(home), "ENVCAP_CACHE": str(home / "cache"), "TZ": "Pacific/Kiritimati", "LC_ALL": "C"}
    env["LD_PRELOAD"] = str(home / "clock.so")
    socket = Path("/var/run/docker.sock").stat().st_gid
    # It may read what belongs to root: the interpreter and the test's own folder.
    words = ["setpriv", f"--reuid={ANOTHER}", f"--groups={socket}", "--inh-caps=+dac_read_search"]
    words += ["--ambient-caps=+dac_read_search", "--bounding-set=-all,+dac_read_search"]
    words += [sys.executable, "-c", LATER, "build", "--trust", "--engine", "docker", "--no-cache", "--tag", tag]
    done = subprocess.run(words, cwd=copy, env=env, umask=0o077, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def serves_twice(project: Envcap) -> list[str]:
    """Build the image to serve twice, seconds apart; give the names."""
    names = [f"{NAME}:serve", f"{NAME}:serve-again"]
    words = ("build", "--engine", "docker", "--target", "serve", "--no-cache", "--json", "--tag")
    first, second = (project.ok(*words, name).document["image"] for name in names)
    assert (first["promise"], first["identity"]) == ("bit for bit", second["identity"])
    return names


def times_in_layers(image: Any) -> set[int]:
    """Give the times of all members of an image's layers that are kept as they were made; its base's are packed."""
    found: set[int] = set()
    seen: set[str] = set()
    with tempfile.TemporaryFile() as file:
        for piece in image.save():
            file.write(piece)
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            manifest = json.loads(archive.extractfile("manifest.json").read())[0]  # type: ignore[union-attr]
            for name in manifest["Layers"]:
                content = archive.extractfile(name)
                assert content is not None
                digest = f"sha256:{hashlib.sha256(content.read()).hexdigest()}"
                if digest in image.attrs["RootFS"]["Layers"]:
                    seen.add(digest)
                    content.seek(0)
                    with tarfile.open(fileobj=content) as layer:
                        found |= {int(member.mtime) for member in layer}
    assert len(seen) >= 4  # of the system, the environment, the packages, the home, the code
    return found


def test_one_lock_one_image(shelved: Envcap, tmp_path: Path) -> None:
    """The same digest with BuildKit, and the same layers with the classic builder and without envcap.

    So it is for an image to serve, whose working directory no archive of code brings. A locale is compiled while each
    is built, of a package whose script runs.
    """
    frozen = shelved.ok("freeze", "--json", env={"LANG": "de_DE.UTF-8", "LC_ALL": ""}).document["frozen"]
    assert frozen["os_packages"]["locales"] == ["de_DE.UTF-8"]
    first, second = f"{NAME}:first", f"{NAME}:second"
    built = shelved.ok("build", "--engine", "docker", "--no-cache", "--tag", first, "--json").document["image"]
    assert (built["promise"], built["builder"].split()[0]) == ("bit for bit", "BuildKit")
    assert [step for step in built["steps"] if step["step"].startswith("ADD")]
    verified = shelved.ok("verify", "--engine", "docker", "--image", first, "--json").document
    assert verified["verdict"] == "IDENTICAL"
    build_as_another(shelved, tmp_path, second)
    path = without_buildx(tmp_path / "programs", shelved.environ["PATH"])
    older = shelved.ok("build", "--engine", "docker", "--tag", f"{NAME}:classic", "--json", env={"PATH": path})
    image = older.document["image"]
    assert (image["promise"], image["builder"].split(" (")[0]) == ("same content", "Docker's classic builder")
    assert "install the package `docker-buildx-plugin`" in image["note"]
    assert "docker-buildx" in older.err
    assert (built["note"], built["unproven"], built["digest_of"]) == (None, [], image["digest_of"])
    served = serves_twice(shelved)
    shelved.ok("build", "--output", str(tmp_path / "context"))
    by_hand = ["docker", "buildx", "build", "--quiet", "--network", "none", "--tag", f"{NAME}:by-hand"]
    subprocess.run([*by_hand, tmp_path / "context"], check=True, capture_output=True)

    client = docker.from_env()
    references = [first, second, f"{NAME}:classic", f"{NAME}:by-hand"]
    images = [client.images.get(reference) for reference in references]
    layers = [one.attrs["RootFS"]["Layers"] for one in images]
    own = times_in_layers(images[0])
    for reference in [*references, *served]:
        client.images.remove(reference, noprune=True)
    client.close()
    assert max(own) < STARTED  # no file of any layer has a time of the build
    assert images[0].id == images[1].id
    assert layers[0] == layers[1] == layers[3]
    # BuildKit makes an empty layer for the folder that WORKDIR names, the classic builder none.
    assert layers[2] == layers[0][: len(layers[2])]
    assert len(layers[0]) - len(layers[2]) <= 1
