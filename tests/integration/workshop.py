"""Where the environments of the matrix are made: installers, small wheels and source trees, a server, one project."""

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

UV = Path(sys.executable).with_name("uv")
BACKEND = """\
import os, zipfile
def build_wheel(folder, *_):
    name = "{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as archive:
        for path, text in {{
            "{name}.py": "VALUE = 7\\n",
            "{name}-{version}.dist-info/METADATA": "Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n",
            "{name}-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
            "{name}-{version}.dist-info/RECORD": "",
        }}.items():
            archive.writestr(path, text)
    return name
"""


class Workshop:
    """One environment in the making. `environ` is what its user has set, `served` what a server gives at `url`."""

    def __init__(
        self, folder: Path, environment: Path, *, url: str, environ: Mapping[str, str], tools: Sequence[Path] = ()
    ) -> None:
        self.folder = folder
        self.environment = environment
        self.served = folder / "served"
        self.served.mkdir(parents=True)
        self.url = url
        self.environ = dict(environ)
        self._tools = tools

    def tool(self, name: str) -> Path:
        """Give an installer that lives in an environment of its own."""
        return next(path for folder in self._tools if (path := folder / "bin" / name).exists())

    @property
    def python(self) -> Path:
        return self.environment / "bin" / "python3"

    @property
    def site(self) -> Path:
        return next(self.environment.glob("lib/python3*/site-packages"))

    def run(self, *words: str | Path, cwd: Path | None = None, **environ: str) -> None:
        """Run a command of the environment's user."""
        done = subprocess.run(
            [*map(str, words)],
            cwd=cwd or self.folder,
            env={**self.environ, "VIRTUAL_ENV": str(self.environment), **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"

    def pip(self, *words: str | Path) -> None:
        self.run(self.python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", *words)

    def uv(self, *words: str | Path) -> None:
        self.run(UV, "pip", "install", "--quiet", "--no-deps", "--python", self.python, *words)

    def published(self, requirement: str) -> Path:
        """Give a published pure wheel as a file."""
        folder = self.folder / "published"
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
        self.run(*command, "--only-binary", ":all:", "--dest", folder, requirement)
        return next(folder.glob(requirement.replace("-", "_").replace("==", "-") + "-*.whl"))

    def wheel(self, name: str, version: str, files: Mapping[str, str] | None = None, *, folder: str = "wheels") -> Path:
        """Make a small real wheel, the same bytes each time; it has one module and `files`."""
        info = f"{name}-{version}.dist-info"
        content = {
            f"{name}.py": "VALUE = 7\n",
            **(files or {}),
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: lab\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        rows = [f"{member},sha256={_digest(text)},{len(text)}\n" for member, text in content.items()]
        content[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"])
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for member, text in content.items():
                archive.writestr(zipfile.ZipInfo(member, (2020, 1, 1, 0, 0, 0)), text)
        path = self.folder / folder / f"{name}-{version}-py3-none-any.whl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stream.getvalue())
        return path

    def source(self, name: str, version: str = "1.0", *, setup: str = "") -> Path:
        """Make a source tree: with a backend of its own, or with a setup.py where `setup` gives further arguments."""
        folder = self.folder / "source" / name
        folder.mkdir(parents=True)
        if not setup:
            (folder / "backend.py").write_text(BACKEND.format(name=name, version=version))
            (folder / "pyproject.toml").write_text(
                '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
            )
            return folder
        (folder / f"{name}.py").write_text("VALUE = 7\ndef main(): print(VALUE)\n")
        (folder / name.upper()).mkdir()
        (folder / name.upper() / "__init__.py").write_text("")
        (folder / "tool").write_text("#!/usr/bin/env python\nprint(7)\n")
        (folder / "setup.py").write_text(
            f"from {'distutils.core' if 'distutils' in setup else 'setuptools'} import setup\n"
            f"setup(name={name!r}, version={version!r}, py_modules=[{name!r}], packages=[{name.upper()!r}], {setup})\n"
        )
        return folder


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


# Runs under the environment's own Python, 3.6 and newer: what is installed, and what its files hold.
EXAMINE = r"""
import csv, hashlib, json, os, sys, zipfile
LEFT_OUT = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json", "uv_build.json"}
def digest(path):
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError:
        return "gone"
    if os.path.basename(os.path.dirname(path)) == "bin" and content.startswith(b"#!"):
        content = content.partition(b"\n")[2]
        if content.startswith(b"'''exec'"):
            content = content.partition(b"\n")[2].partition(b"\n")[2]
    return hashlib.sha256(content).hexdigest()
found = {}
def metadata(folder):
    if folder.endswith(".egg") and os.path.isfile(folder):
        yield "", zipfile.ZipFile(folder).read("EGG-INFO/PKG-INFO").decode("utf-8", "replace")
    elif os.path.isdir(folder):
        for name in sorted(name for name in os.listdir(folder) if not name.startswith("~")):  # pip's leftovers
            info = os.path.join(folder, name)
            for path in (info, info + "/METADATA", info + "/PKG-INFO"):
                if name.endswith((".dist-info", ".egg-info")) or name == "EGG-INFO":
                    if os.path.isfile(path):
                        with open(path, encoding="utf-8", errors="replace") as file:
                            yield info, file.read()
for folder in sys.path:
    for info, text in metadata(folder):
        lines = text.split("\n\n")[0].splitlines()
        told = dict(line.split(": ", 1) for line in reversed(lines) if ": " in line)
        if not (told.get("Name") and told.get("Version")):
            continue
        files = {}
        rows = []
        entry_points = ""
        if os.path.exists(os.path.join(info, "entry_points.txt")):
            with open(os.path.join(info, "entry_points.txt")) as file:
                entry_points = file.read()
        if os.path.exists(os.path.join(info, "RECORD")):
            with open(os.path.join(info, "RECORD"), newline="") as file:
                rows = [row[0] for row in csv.reader(file) if row]
        for row in rows:
            if row.endswith(".pyc") or (".dist-info/" in row and os.path.basename(row) in LEFT_OUT):
                continue
            plain = row.replace("../", "")
            if os.path.basename(os.path.dirname(row)) == "bin" and ".." in row:
                # Each installer makes the scripts of entry points in its own way, `pip3.12` for `pip` among them.
                if os.path.basename(row).rstrip("0123456789.-") not in entry_points:
                    files["bin/" + os.path.basename(row)] = digest(os.path.join(folder, row))
                continue
            files[plain] = digest(os.path.join(folder, row))
        # Debian's RECORD is older than its stripping of symbols.
        rows = [] if folder.startswith("/usr/lib/python3/") else rows
        key = told["Name"].lower().replace("_", "-").replace(".", "-")
        found.setdefault(key, {"version": told["Version"], "folder": folder, "record": bool(rows), "files": files})
print("EXAMINED" + json.dumps(found))
"""


def examined(text: str) -> dict[str, Any]:
    """Give what EXAMINE printed."""
    line = next(line for line in text.splitlines() if line.startswith("EXAMINED"))
    document: dict[str, Any] = json.loads(line.removeprefix("EXAMINED"))
    return document


def examine_host(workshop: Workshop) -> dict[str, Any]:
    script = workshop.folder / "examine" / "examine.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text(EXAMINE)
    done = subprocess.run(
        [workshop.python, "-B", script],
        env={**os.environ, **workshop.environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return examined(done.stdout)
