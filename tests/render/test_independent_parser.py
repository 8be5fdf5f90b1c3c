"""No text of an environment or a lock becomes an instruction: what somebody else's parser makes of what is rendered."""

import io
import json
import re
from typing import Any

import msgspec
import pytest
from dockerfile_parse import DockerfileParser
from hypothesis import given, settings
from hypothesis import strategies as st

from envcap.errors import RefusedError
from envcap.model.lock import CondaPackage, CondaPrefix, Lock, Toolkit, Wheel
from envcap.render.context import image_environment, image_labels, render
from envcap.render.portable import portable_dockerfile

replace = msgspec.structs.replace
LOCK_SHA256 = "9" * 64
SHAPES = CondaPackage(
    name="shapes",
    version="1.2",
    build="pyh0_0",
    subdir="noarch",
    channel="https://conda.example.org/main",
    file="shapes-1.2-pyh0_0.conda",
    sha256="8" * 64,
)
PREFIX = CondaPrefix(
    path="/opt/conda", tool="conda", installer=Wheel(name="py_rattler-1-py3-none-any.whl", sha256="c" * 64)
)
EXAMPLES = 10_000 if settings.get_current_profile_name() == "ci" else 1_000


def parsed(text: str) -> DockerfileParser:
    return DockerfileParser(fileobj=io.BytesIO(text.encode()), env_replace=False)


def instructions(parser: DockerfileParser) -> list[tuple[str, str]]:
    """Give what the parser finds, without comments."""
    found = [(item["instruction"], item["value"]) for item in parser.structure]
    return [item for item in found if item[0] != "COMMENT"]


def unescaped(values: dict[str, str]) -> dict[str, str]:
    """Give values as a builder reads them: the parser leaves the other two escapes that are known within quotes."""
    return {name: re.sub(r"\\([\\$])", r"\1", value) for name, value in values.items()}


def of_kind(lock: Lock, template: str, toolkit: Toolkit) -> Lock:
    """Give the lock as one that is rendered with that template."""
    if template == "conda":
        return replace(lock, conda=[SHAPES], conda_prefix=PREFIX)
    return replace(lock, toolkit=toolkit) if template == "toolkit" else lock


def rendered(lock: Lock, template: str) -> str:
    if template == "portable":
        return portable_dockerfile(lock, lock_sha256=LOCK_SHA256)
    return (render(lock, lock_sha256=LOCK_SHA256, needs_base=True).files[0].content or b"").decode()


# Words that would do harm, and every character that could end a line, a quotation or an argument.
harm = st.sampled_from(
    ["\nRUN evil", "\\\nRUN evil", '"\nRUN evil', " \\", "<<EOF", "EOF", "# escape=`", "\r\nUSER 0", "\u2028RUN evil"]
)
hostile = st.lists(harm | st.text(max_size=6) | st.sampled_from("\\\"'$#{}`\n\t "), max_size=4).map("".join)
names = st.from_regex(r"[A-Z_][A-Z0-9_]{0,6}", fullmatch=True) | hostile


def changed(lock: Lock, place: str, text: str, more: str) -> Lock:
    """Give the lock with a stranger's text in one of the places that come into a Dockerfile or near it."""
    package = lock.packages[0]
    others = lock.packages[1:]
    assert lock.os_packages is not None
    os_package = replace(lock.os_packages.packages[0], name=text, version=more, file=text, why=more)
    changes: dict[str, Any] = {
        "variable": {"system": replace(lock.system, environment={text: more})},
        "value": {"system": replace(lock.system, environment={"RUN_LABEL": text})},
        "timezone": {"system": replace(lock.system, timezone=text)},
        "command": {"declaration": replace(lock.declaration, command=[text, more])},
        "name": {"name": text},
        "created": {"created_at": text, "created_by": more},
        "code": {"code": replace(lock.code, repository=text, commit=more)},
        "base": {"base": replace(lock.base, reference=text)},
        "digest": {"base": replace(lock.base, digest=text)},
        "package": {"packages": [replace(package, name=f"x{text}", version=more, index=text), *others]},
        "wheel": {"packages": [replace(package, wheel=replace(package.wheel, name=text, url=more)), *others]},
        "os package": {"os_packages": replace(lock.os_packages, release=text, packages=[os_package])},
    }
    return replace(lock, **changes[place])


PLACES = (
    *("variable", "value", "timezone", "command", "name", "created", "code", "base", "digest"),
    *("package", "wheel", "os package"),
)


TEMPLATES = ("Dockerfile", "portable", "conda", "toolkit")


@pytest.fixture(scope="module")
def ours(sample_lock: Lock, toolkit: Toolkit) -> dict[str, list[tuple[str, str]]]:
    return {
        template: instructions(parsed(rendered(of_kind(sample_lock, template, toolkit), template)))
        for template in TEMPLATES
    }


@settings(max_examples=EXAMPLES)
@given(place=st.sampled_from(PLACES), text=hostile, more=hostile, template=st.sampled_from(TEMPLATES))
def test_whatever_a_lock_says_the_instructions_are_ours(
    sample_lock: Lock,
    toolkit: Toolkit,
    ours: dict[str, list[tuple[str, str]]],
    *,
    place: str,
    text: str,
    more: str,
    template: str,
) -> None:
    lock = changed(of_kind(sample_lock, template, toolkit), place, text, more)
    try:
        parser = parsed(rendered(lock, template))
    except RefusedError:
        return
    assert_same_kinds(ours[template], instructions(parser))
    assert unescaped(parser.labels) == image_labels(lock, lock_sha256=LOCK_SHA256, target="eval")
    assert {name: value for name, value in unescaped(parser.envs).items() if name != "PATH"} == image_environment(lock)


def assert_same_kinds(ours: list[tuple[str, str]], theirs: list[tuple[str, str]]) -> None:
    """See that only values differ, and no value that a shell reads."""
    assert [kind for kind, _ in theirs if kind != "LABEL"] == [kind for kind, _ in ours if kind != "LABEL"]
    for (kind, was), (_, now) in zip(ours, theirs, strict=True):
        if kind in {"ENV", "LABEL"}:
            continue
        if kind in {"CMD", "FROM"}:
            assert kind == "FROM" or all(isinstance(word, str) for word in json.loads(now))
            continue
        assert now == was
