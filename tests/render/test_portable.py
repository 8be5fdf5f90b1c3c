"""The other Dockerfile, the definition for Apptainer, and what lies beside them."""

import io
import shlex
import subprocess
import tarfile
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.errors import NotRunError, RefusedError
from envcap.model.lock import CondaPrefix, Lock, Toolkit
from envcap.render.apptainer import apptainer_definition
from envcap.render.context import render
from envcap.render.furnishing import image_archive
from envcap.render.portable import portable_dockerfile, render_portable

replace = msgspec.structs.replace
LOCK_SHA256 = "9" * 64


def definition(lock: Lock) -> str:
    return apptainer_definition(lock, lock_sha256=LOCK_SHA256)


def sections(text: str) -> dict[str, list[str]]:
    """Give the header and the sections of a definition file, by the user guide: a `%` begins one at a line's start."""
    found: dict[str, list[str]] = {"": []}
    name = ""
    for line in text.split("\n"):
        if line.lstrip().startswith("%"):
            name = line.strip().removeprefix("%")
            assert name not in found
            found[name] = []
        elif line.strip() and not line.startswith("#"):
            found[name].append(line.strip())
    return found


def test_the_portable_dockerfile_is_what_a_reviewer_has_read(
    sample_lock: Lock, check_golden: Callable[[str, str], None]
) -> None:
    context = render_portable(sample_lock, lock_sha256=LOCK_SHA256, requirements="alpha==1.0\n", lock_file=b"lock")
    texts = {file.path: (file.content or b"").decode() for file in context.files if file.path != "image.tar"}
    check_golden("Portable.Dockerfile", texts["Dockerfile"])
    assert texts["Dockerfile"] == portable_dockerfile(sample_lock, lock_sha256=LOCK_SHA256)
    assert texts["requirements.txt"] == "alpha==1.0\n"
    assert texts["os-packages/VERSIONS"] == "file:amd64=1:5.44-3\nlibgomp1:amd64=12.2.0-14\n"
    assert texts["os-packages/DATE"] == "20240506T070809Z\n"
    assert context.tag == "envcap/train:999999999999-portable"
    # Only what no index has lies beside.
    assert [file.path for file in context.files if file.sha256] == [
        "code.tar",
        "wheels/beta_tools-2.1.post1+local-cp311-cp311-linux_x86_64.whl",
    ]


def test_without_os_packages_no_archive_is_asked(sample_lock: Lock) -> None:
    plain = replace(sample_lock, os_packages=None)
    text = portable_dockerfile(plain, lock_sha256=LOCK_SHA256)
    assert "os-packages" not in text
    assert "SNAPSHOT" not in text
    hostile = replace(sample_lock, created_at="2024-05-06T07:08:09Z evil")
    with pytest.raises(RefusedError, match="no time"):
        portable_dockerfile(hostile, lock_sha256=LOCK_SHA256)


def test_cuda_of_the_system_has_none(sample_lock: Lock, toolkit: Toolkit) -> None:
    with pytest.raises(NotRunError, match=r"takes CUDA 12\.8 from `nvidia/cuda:") as failed:
        portable_dockerfile(replace(sample_lock, toolkit=toolkit), lock_sha256=LOCK_SHA256)
    assert "--output DIR" in failed.value.hint


def test_a_conda_environment_has_none(sample_lock: Lock) -> None:
    lock = replace(sample_lock, conda_prefix=CondaPrefix(path="/opt/conda", tool="conda"))
    with pytest.raises(NotRunError, match="portable") as failed:
        portable_dockerfile(lock, lock_sha256=LOCK_SHA256)
    assert "conda-explicit" in failed.value.hint


def test_the_script_is_one_that_a_shell_reads(sample_lock: Lock) -> None:
    context = render_portable(sample_lock, lock_sha256=LOCK_SHA256, requirements="")
    scripts = [file.content for file in context.files if file.path == "os-packages/install.sh"]
    subprocess.run(["sh", "-n"], input=scripts[0], check=True)
    subprocess.run(["sh", "-n"], input="\n".join(sections(definition(sample_lock))["post"]).encode(), check=True)


@pytest.mark.parametrize("portable", [False, True], ids=["ordinary", "portable"])
def test_an_image_to_serve_has_all_but_the_code(sample_lock: Lock, *, portable: bool) -> None:
    if portable:
        context = render_portable(sample_lock, lock_sha256=LOCK_SHA256, requirements="", target="serve")
    else:
        context = render(sample_lock, lock_sha256=LOCK_SHA256, needs_base=True, target="serve")
    text = (context.files[0].content or b"").decode()
    assert context.tag.startswith("envcap/train:999999999999-serve")
    assert "code.tar" not in text
    assert "evaluate" not in text
    assert "CMD" not in text
    assert 'dev.envcap.target="serve"' in text
    assert (
        'COPY --from=packages ["/opt/env", "/opt/env"]' if portable else 'ADD ["layers/01-small-00.tar", "/"]'
    ) in text
    assert "code.tar" not in {file.path for file in context.files}


def test_the_home_and_the_lock_of_an_image(sample_lock: Lock) -> None:
    file = image_archive(sample_lock, b"the lock")
    assert file == image_archive(sample_lock, b"the lock")
    with tarfile.open(fileobj=io.BytesIO(file.content or b"")) as archive:
        members = {member.name: (member.type, member.uid, oct(member.mode), member.mtime) for member in archive}
        stream = archive.extractfile("usr/share/envcap/pylock.train.toml")
        assert stream is not None
        assert stream.read() == b"the lock"
    folder, epoch = tarfile.DIRTYPE, 315532800
    assert members == {
        "home": (folder, 0, "0o755", epoch),
        "home/envcap": (folder, 65532, "0o755", epoch),
        "usr": (folder, 0, "0o755", epoch),
        "usr/share": (folder, 0, "0o755", epoch),
        "usr/share/envcap": (folder, 0, "0o755", epoch),
        "usr/share/envcap/pylock.train.toml": (tarfile.REGTYPE, 0, "0o644", epoch),
        "work": (folder, 65532, "0o755", epoch),
    }


# Apptainer


def test_the_definition_is_what_a_reviewer_has_read(
    sample_lock: Lock, check_golden: Callable[[str, str], None]
) -> None:
    text = definition(sample_lock)
    check_golden("Apptainer.def", text)
    found = sections(text)
    assert set(found) == {"", "files", "post", "environment", "labels", "runscript"}
    assert dict(line.split(": ", 1) for line in found[""]) == {
        "Bootstrap": "docker",
        "From": "registry.example.org/library/python@sha256:" + "b" * 64,
    }
    context = render_portable(sample_lock, lock_sha256=LOCK_SHA256, requirements="")
    beside = {file.path.partition("/")[0] for file in context.files} - {"Dockerfile"}
    assert {line.split()[0] for line in found["files"]} == beside


one_line = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])) | st.text("'\"{}%$`\\ #a", max_size=9)


@given(words=st.lists(one_line, min_size=1, max_size=3), value=one_line)
def test_a_definition_says_what_the_lock_says(words: list[str], value: str, sample_lock: Lock) -> None:
    lock = replace(
        sample_lock,
        declaration=replace(sample_lock.declaration, command=words),
        system=replace(sample_lock.system, environment={"RUN_LABEL": value}),
    )
    text = definition(lock)
    found = sections(text)
    plain = sections(definition(sample_lock))
    assert {name for name in found if name not in {"environment", "runscript"}} <= set(plain)
    assert [found[name] for name in ("", "files", "post", "labels")] == [
        plain[name] for name in ("", "files", "post", "labels")
    ]
    assert "{{" not in text.partition("Bootstrap")[2]
    assert shlex.split(found["runscript"][1]) == ["exec", *words, "$@"]
    assert f"RUN_LABEL={value}" in [shlex.split(line)[1] for line in found["environment"]]


def test_what_a_definition_cannot_hold_is_refused(sample_lock: Lock) -> None:
    for hostile in (
        replace(sample_lock, declaration=replace(sample_lock.declaration, command=["x\n%post\nevil"])),
        replace(sample_lock, code=replace(sample_lock.code, repository="https://example.org/{{ evil }}")),
        replace(sample_lock, code=replace(sample_lock.code, repository="https://example.org/\n%post\nevil")),
    ):
        with pytest.raises(RefusedError):
            definition(hostile)
