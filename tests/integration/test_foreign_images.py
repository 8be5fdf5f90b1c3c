"""An image that somebody changed, or built elsewhere: its files are held against the lock before any of them is run."""

import io
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest

pytestmark = [pytest.mark.engine, pytest.mark.network]
SITE = f"/opt/env/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
Overlay = Callable[..., str]
PROGRAM = b"import json, shelved\njson.dump({'score': shelved.DATA.count('x')}, open('metrics.json', 'w'))\n"


@pytest.fixture
def packaged(small: Any, shelf: Any) -> Any:
    """Give a frozen project with one package from an index."""
    shelf.put("shelved", "1.0", data="xxx")
    environment = small.project.parent / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"), "install", "--quiet"]
    subprocess.run([*pip, "--no-cache-dir", "shelved"], check=True, env={**small.environ, **shelf.pip})
    small.environ |= {"VIRTUAL_ENV": str(environment), **shelf.pip}
    (small.project / "evaluate.py").write_bytes(PROGRAM)
    (small.project / "envcap.toml").write_text('[evaluation]\ncommand = ["python", "evaluate.py"]\nrepeat = 1\n')
    small.ok("freeze")
    return small


@pytest.fixture
def overlay() -> Iterator[Overlay]:
    """Give what lays files over an image, as `docker commit` does: the labels stay."""
    client = docker.from_env()
    made: list[str] = []

    def lay(image: str, files: dict[str, bytes], *changes: str) -> str:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name.lstrip("/"))
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        container = client.containers.create(image, ["true"])
        try:
            container.put_archive("/", stream.getvalue())
            tag, words = str(len(made)), list(changes) or None
            made.append(str(container.commit(repository="overlaid-image", tag=tag, changes=words).id))
        finally:
            container.remove(v=True)
        return f"overlaid-image:{len(made) - 1}"

    yield lay
    for name in ("built", *range(len(made))):
        client.images.remove(f"overlaid-image:{name}", force=True)
    client.close()


def test_what_was_changed_in_an_image_is_refused(packaged: Any, overlay: Overlay, engine_state: Any) -> None:
    image = "overlaid-image:built"
    packaged.ok("build", "--engine", "docker", "--tag", image)
    verify = ("verify", "--engine", "docker", "--json", "--image")
    before = engine_state.look()
    own = packaged.ok(*verify, image).document
    assert own["verdict"] == "IDENTICAL"
    assert own["compared"][1] == "the packages inside: name and version; the image was built here"
    elsewhere = {"ENVCAP_STATE": str(packaged.project.parent / "other-state"), "ENVCAP_TRUST": "1"}
    foreign = packaged.ok(*verify, image, env=elsewhere).document
    assert foreign["verdict"] == "IDENTICAL"
    assert "of 1 packages, file by file" in foreign["compared"][1]
    assert any("was not built here" in note for note in foreign["notes"])
    lies = b"open('metrics.json', 'w').write('{\"score\": 3}')\n"
    changed = {
        "evaluate.py": {"/work/evaluate.py": lies},
        "extra.py": {"/work/extra.py": b""},
        "shelved.py": {f"{SITE}/shelved.py": b"VERSION, DATA = '1.0', 'xxx'\n"},
        "sitecustomize.py": {f"{SITE}/sitecustomize.py": b""},
    }
    for name, files in changed.items():
        refused = packaged(*verify, overlay(image, files))
        assert refused.code == 5, refused.err
        (finding,) = refused.document["findings"]
        assert finding["subject"].endswith(name)
        assert refused.document["checks"] == []  # nothing of it was run
        if name == "shelved.py":  # without the wheel the image's own list tells
            no_wheel = {"ENVCAP_CACHE": str(packaged.project.parent / "no-cache")}
            refused = packaged(*verify, "overlaid-image:2", env=no_wheel)
            assert (refused.code, len(refused.document["findings"])) == (5, 1), refused.err
    between = """ENTRYPOINT ["sh", "-c", "echo '{\\"score\\": 99}' > metrics.json"]"""
    assert packaged.ok(*verify, overlay(image, {}, between)).document["verdict"] == "IDENTICAL"
    assert engine_state.left_since(before) == set()
