"""Small real wheels with every kind of file that a wheel may bring."""

import base64
import hashlib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

INFO = "sample-1.0.dist-info"
FILES = {
    "sample/__init__.py": "VALUE = {'a', 'b', 'c'}\n\n\ndef main():\n    print('sample')\n",
    "sample/table.txt": "1 2 3\n",
    "sample/old.py": "print 'only Python 2 reads this'\n",
    "sample-1.0.data/scripts/run-sample": "#!python\nprint('run')\n",
    "sample-1.0.data/scripts/plain.sh": "#!/bin/sh\necho plain\n",
    "sample-1.0.data/data/share/sample/readme": "read me\n",
    "sample-1.0.data/headers/sample.h": "int sample;\n",
    "sample-1.0.data/platlib/sample_speed.py": "FAST = True\n",
    f"{INFO}/entry_points.txt": "[console_scripts]\nsample = sample:main\n",
}

MakeWheel = Callable[..., Path]


@pytest.fixture
def make_wheel(tmp_path: Path) -> MakeWheel:
    """Give a function that writes the sample wheel, with further files, in an order of its own."""

    def make(files: Mapping[str, str] | None = None, *, requires: str = ">=3.6", folder: str = "wheels") -> Path:
        target = tmp_path / folder / "sample-1.0-py3-none-any.whl"
        target.parent.mkdir(exist_ok=True)
        metadata = f"Metadata-Version: 2.1\nName: sample\nVersion: 1.0\nRequires-Python: {requires}\n"
        content = {
            **FILES,
            **(files or {}),
            f"{INFO}/METADATA": metadata,
            f"{INFO}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        rows = "".join(f"{name},sha256={digest(text)},{len(text)}\n" for name, text in content.items())
        content[f"{INFO}/RECORD"] = f"{rows}{INFO}/RECORD,,\n"
        with zipfile.ZipFile(target, "w") as archive:
            for name, text in reversed(content.items()):
                entry = zipfile.ZipInfo(name)
                entry.external_attr = (0o100755 if name.endswith((".sh", "run-sample")) else 0o100644) << 16
                archive.writestr(entry, text)
        return target

    return make


def digest(text: str) -> str:
    """Give the digest as RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
