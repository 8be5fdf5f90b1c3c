"""The build context: readable, the same bytes each time, and no text of a lock ever becomes more than a value."""

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.errors import NotRunError, RefusedError
from envcap.model.image import Context
from envcap.model.lock import Lock, OsPackages, Package, Toolkit
from envcap.render.context import default_tag, image_environment, render
from envcap.render.quoting import check_variable_name, exec_form, quote_value

replace = msgspec.structs.replace
LOCK_SHA256 = "9" * 64


def rendered(lock: Lock) -> Context:
    return render(lock, lock_sha256=LOCK_SHA256, needs_base=True)


def dockerfile(lock: Lock) -> str:
    first = rendered(lock).files[0]
    assert first.path == "Dockerfile"
    assert first.content is not None
    return first.content.decode()


def with_environment(lock: Lock, environment: dict[str, str]) -> Lock:
    return replace(lock, system=replace(lock.system, environment=environment))


def with_base(lock: Lock, **changes: Any) -> Lock:
    return replace(lock, base=replace(lock.base, **changes))


# A small parser of our own, after the Dockerfile reference: "Format", "Escape", "Environment replacement", "Shell and
# exec form". It shares nothing with the code that it checks.


class Parsed:
    """The instructions of a Dockerfile, with what its stages end up with."""

    def __init__(self, text: str) -> None:
        self.instructions = [self._split(line) for line in self._logical_lines(text)]
        self.environment: dict[str, str] = {}
        self.labels: dict[str, str] = {}
        for kind, rest in self.instructions:
            if kind == "FROM":
                self.environment, self.labels = {"PATH": "/usr/local/bin:/usr/bin"}, {}
            elif kind == "ENV":
                self.environment.update(self._pairs(rest))
            elif kind == "LABEL":
                self.labels.update(self._pairs(rest))

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.instructions]

    def all(self, kind: str) -> list[str]:
        return [rest for name, rest in self.instructions if name == kind]

    @staticmethod
    def _logical_lines(text: str) -> list[str]:
        lines: list[str] = []
        unfinished = ""
        for line in text.split("\n"):
            if re.match(r"[ \t]*#", line) or not line.strip():
                continue  # comments and empty lines are dropped, between the parts of an instruction too
            continued = re.search(r"\\[ \t]*$", line)
            unfinished += line[: continued.start()] if continued else line
            if not continued:
                lines.append(unfinished.strip())
                unfinished = ""
        assert not unfinished
        return lines

    @staticmethod
    def _split(line: str) -> tuple[str, str]:
        kind, _, rest = line.partition(" ")
        return kind.upper(), rest.strip()

    def _pairs(self, rest: str) -> dict[str, str]:
        pairs = {}
        position = 0
        while position < len(rest):
            name, equals, _ = rest[position:].partition("=")
            assert equals
            assert name.strip()
            value, position = self._word(rest, position + len(name) + 1)
            pairs[name.strip()] = value
            while position < len(rest) and rest[position] in " \t":
                position += 1
        return pairs

    def _word(self, text: str, position: int) -> tuple[str, int]:
        """Read one word with its quotes, escapes and variables; give its value and where it ends."""
        value, quote = "", ""
        while position < len(text):
            character = text[position]
            position += 1
            if quote == "'":
                quote, value = ("", value) if character == "'" else (quote, value + character)
            elif character == "\\":
                following = text[position]
                position += 1
                value += following if not quote or following in '"$\\' else f"\\{following}"
            elif character == "$":
                name = re.compile(r"\{?([A-Za-z_][A-Za-z0-9_]*)\}?").match(text, position)
                assert name is not None
                value += self.environment.get(name[1], "")
                position = name.end()
            elif character == quote:
                quote = ""
            elif not quote and character in "\"'":
                quote = character
            elif not quote and character in " \t":
                return value, position
            else:
                value += character
        assert not quote
        return value, position


def test_the_parser_knows_the_reference() -> None:
    parsed = Parsed(
        '# escape=x\nFROM a AS b\nFROM c\n  # a comment\nENV A=1 B=\'$A \\\' C="\\$A \\"\\\\ \\n" D=a\\ b\n'
        'ENV E=$A-${A} \\\n# in between\n\n  F=2\nRUN ["x"]\n'
    )
    assert parsed.kinds == ["FROM", "FROM", "ENV", "ENV", "RUN"]
    assert parsed.environment == {
        "PATH": "/usr/local/bin:/usr/bin",
        "A": "1",
        "B": "$A \\",
        "C": '$A "\\ \\n',
        "D": "a b",
        "E": "1-1",
        "F": "2",
    }


# What is rendered


def test_the_dockerfile_is_what_a_reviewer_has_read(
    sample_lock: Lock, check_golden: Callable[[str, str], None]
) -> None:
    check_golden("Dockerfile", dockerfile(sample_lock))


def test_the_same_lock_gives_the_same_bytes(sample_lock: Lock) -> None:
    assert rendered(sample_lock) == rendered(sample_lock)
    turned = with_environment(sample_lock, dict(reversed(sample_lock.system.environment.items())))
    assert rendered(turned) == rendered(sample_lock)


def test_the_parts_of_the_context(sample_lock: Lock) -> None:
    context = rendered(sample_lock)
    assert [(file.path, file.sha256) for file in context.files] == [
        ("Dockerfile", None),
        ("image.tar", None),
        ("code.tar", "a" * 64),
        ("layers/01-small-00.tar", None),
        ("layers/02-own.tar", None),
        ("os-packages/install.sh", None),
        ("os-packages/LOCALES", None),
        ("os-packages/SHA256SUMS", None),
        ("os-packages/VERSIONS", None),
        ("os-packages/NAMES", None),
        ("os-packages/000-libgomp1_12.2.0-14_amd64.deb", "3" * 64),
        ("os-packages/001-file_1%3a5.44-3_amd64.deb", "4" * 64),
    ]
    texts = {file.path: (file.content or b"").decode() for file in context.files}
    assert texts["os-packages/SHA256SUMS"] == (
        f"{'3' * 64}  000-libgomp1_12.2.0-14_amd64.deb\n{'4' * 64}  001-file_1%3a5.44-3_amd64.deb\n"
    )
    assert texts["os-packages/VERSIONS"] == "file:amd64=1:5.44-3\nlibgomp1:amd64=12.2.0-14\n"
    assert (context.lock_sha256, context.platform, context.python) == (LOCK_SHA256, "linux/amd64", "3.11.7")
    assert context.tag == "envcap/train:999999999999"
    assert [file.wheels for file in context.files[3:5]] == [("1" * 64,), ("2" * 64,)]
    assert context.installation is not None
    assert context.installation.site == "/opt/env/lib/python3.11/site-packages"


def test_without_os_packages_nothing_is_installed(sample_lock: Lock) -> None:
    plain = replace(sample_lock, os_packages=None)
    assert "os-packages" not in dockerfile(plain)
    assert not [file for file in rendered(plain).files if file.path.startswith("os-packages/")]
    bare = render(sample_lock, lock_sha256=LOCK_SHA256, needs_base=False)
    assert not [file for file in bare.files if file.path.startswith("os-packages/")]


def test_locales_are_compiled_where_a_package_has_their_definitions(sample_lock: Lock) -> None:
    several = {"LC_TIME": "ca_ES.utf8@valencia", "LC_COLLATE": "de_CH.ISO-8859-1"}
    system = replace(sample_lock.system, locale="de_DE.utf8", locale_categories=several)
    added = OsPackages(release="debian 12", locales=["ca_ES.UTF-8@valencia", "de_DE.UTF-8"])
    lock = replace(sample_lock, system=system, os_packages=added)
    texts = {file.path: (file.content or b"").decode() for file in rendered(lock).files if file.path != "image.tar"}
    assert texts["os-packages/LOCALES"] == "ca_ES@valencia ca_ES.utf8@valencia\nde_DE de_DE.utf8\n"
    assert "localedef" in texts["os-packages/install.sh"]
    assert "dpkg" not in texts["os-packages/install.sh"]  # the base has the definitions
    assert "AS system" in texts["Dockerfile"]

    def told(lock: Lock, *, apart: bool) -> dict[str, str]:
        variables = image_environment(lock, apart=apart).items()
        return {name: value for name, value in variables if name.startswith(("LANG", "LC_"))}

    there = {"LANG": "de_DE.utf8", "LC_TIME": several["LC_TIME"]}
    assert told(lock, apart=True) == {**there, "LC_COLLATE": "C.UTF-8"}
    assert told(lock, apart=False) == {**there, "LC_COLLATE": "de_CH.ISO-8859-1"}  # this machine may have it
    without = {"LANG": "C.UTF-8", "LC_COLLATE": "C.UTF-8", "LC_TIME": "C.UTF-8"}
    assert told(replace(lock, os_packages=None), apart=True) == without


def test_cuda_of_the_system_comes_from_nvidias_image(
    sample_lock: Lock, toolkit: Toolkit, check_golden: Callable[[str, str], None]
) -> None:
    lock = replace(sample_lock, toolkit=toolkit)
    context = rendered(lock)
    texts = {file.path: (file.content or b"").decode() for file in context.files if file.path != "image.tar"}
    check_golden("Dockerfile.toolkit", texts["Dockerfile"])
    check_golden("gather.sh", texts["toolkit/gather.sh"])
    assert texts["toolkit/LIBRARIES"] == "libcudart.so.12\nlibcudnn.so.9\n"
    assert "libraries.tar" in texts["os-packages/install.sh"]
    assert context.environment["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert "NVIDIA_VISIBLE_DEVICES" not in image_environment(sample_lock)


def test_cuda_of_the_system_needs_no_os_packages(sample_lock: Lock, toolkit: Toolkit) -> None:
    context = rendered(replace(sample_lock, toolkit=toolkit, os_packages=None))
    texts = {file.path: (file.content or b"").decode() for file in context.files if file.path != "image.tar"}
    assert [path for path in texts if path.startswith("os-packages/")] == ["os-packages/install.sh"]
    assert "dpkg" not in texts["os-packages/install.sh"]
    stages = [rest.rpartition(" AS ")[2] for rest in Parsed(texts["Dockerfile"]).all("FROM")]
    assert stages[:2] == ["toolkit", "system"]


@pytest.mark.parametrize("changes", [{"digest": None}, {"digest": "sha256:x"}, {"reference": "a\nRUN evil"}])
def test_nvidias_image_is_pinned_or_refused(changes: dict[str, Any], sample_lock: Lock, toolkit: Toolkit) -> None:
    with pytest.raises(RefusedError):
        rendered(replace(sample_lock, toolkit=replace(toolkit, image=replace(toolkit.image, **changes))))


def test_an_engine_without_images_needs_no_base(sample_lock: Lock) -> None:
    lock = with_base(sample_lock, digest=None)
    context = render(lock, lock_sha256=LOCK_SHA256, needs_base=False)
    assert [(file.path, file.sha256) for file in context.files] == [
        ("code.tar", "a" * 64),
        ("wheels/alpha-1.0-py3-none-any.whl", "1" * 64),
        ("wheels/beta_tools-2.1.post1+local-cp311-cp311-linux_x86_64.whl", "2" * 64),
    ]
    assert context.installation is None
    assert context.environment == image_environment(sample_lock)
    with pytest.raises(NotRunError, match="not resolved to a digest") as failed:
        rendered(lock)
    assert "--engine venv" in failed.value.hint


def test_a_lock_without_packages(sample_lock: Lock) -> None:
    text = dockerfile(replace(sample_lock, packages=[]))
    assert "layers/" not in text
    assert Parsed(text).kinds[-1] == "LABEL"


def test_no_text_of_the_lock_is_ever_run_by_a_shell(sample_lock: Lock) -> None:
    parsed = Parsed(dockerfile(sample_lock))
    for kind in ("RUN", "CMD", "ADD"):
        for rest in parsed.all(kind):
            assert all(isinstance(word, str) for word in json.loads(rest))
    for rest in parsed.all("COPY"):
        assert json.loads(re.sub(r"^--from=(system|packages) ", "", rest))
    assert not {"SHELL", "ENTRYPOINT", "ARG", "ONBUILD", "HEALTHCHECK"}.intersection(parsed.kinds)


def test_every_builder_can_build_it(sample_lock: Lock) -> None:
    text = dockerfile(sample_lock)
    assert not re.match(r"#\s*[a-zA-Z]+\s*=", text), "no directive: they make builders differ"
    assert "--mount" not in text
    assert "<<" not in text
    assert text.endswith("\n")
    assert text.isascii()


def test_the_environment_of_the_evaluation(sample_lock: Lock) -> None:
    environment = image_environment(sample_lock)
    assert environment == {
        "HOME": "/home/envcap",
        "LANG": "de_DE.UTF-8",
        "LC_NUMERIC": "C",
        "OMP_NUM_THREADS": "4",
        "PYTHONHASHSEED": "0",
        "RUN_LABEL": 'a "quoted" $HOME \\ value',
        "TZ": "Europe/Zurich",
        "USER": "envcap",
        "VIRTUAL_ENV": "/opt/env",
    }
    assert list(environment) == sorted(environment)
    parsed = Parsed(dockerfile(sample_lock))
    assert parsed.environment == {**environment, "PATH": "/opt/env/bin:/usr/local/bin:/usr/bin"}


def test_a_recorded_path_does_not_hide_the_packages(sample_lock: Lock) -> None:
    lock = with_environment(sample_lock, {"PATH": "/home/somebody/bin"})
    assert "PATH" not in image_environment(lock)
    assert Parsed(dockerfile(lock)).environment["PATH"] == "/opt/env/bin:/usr/local/bin:/usr/bin"


@pytest.mark.parametrize(
    ("timezone", "kept"),
    [
        ("UTC", True),
        ("Europe/Zurich", True),
        ("America/Argentina/Buenos_Aires", True),
        ("Etc/GMT+5", True),
        ("CST", False),
        ("", False),
        ("../../etc/passwd", False),
        (":/etc/localtime", False),
        ("Europe/Zurich\nRUN evil", False),
    ],
)
def test_only_a_name_of_a_timezone_is_taken(timezone: str, kept: bool, sample_lock: Lock) -> None:  # noqa: FBT001
    lock = replace(sample_lock, system=replace(sample_lock.system, timezone=timezone))
    assert ("TZ" in image_environment(lock)) is kept


# What is refused


@pytest.mark.parametrize(
    "reference",
    [
        "python:3.11\nRUN evil",
        "python:3.11 AS x",
        "--platform=evil python:3.11",
        "-python",
        "",
        " ",
        "python:3.11 ",
        "python:3.11@sha256:0",
        "$BASE",
        "python:${TAG}",
        "UPPER/Case:1",
        "a//b",
        "python:",
        "python:3.11\\",
        "pythön",
        "registry.example.org:99x/python",
    ],
)
def test_a_base_that_is_no_reference(reference: str, sample_lock: Lock) -> None:
    with pytest.raises(RefusedError, match="not an image reference"):
        rendered(with_base(sample_lock, reference=reference))


@pytest.mark.parametrize(
    "digest",
    ["", "sha256:", "sha256:" + "b" * 63, "sha256:" + "B" * 64, "md5:" + "b" * 64, "sha256:" + "b" * 64 + "\n"],
)
def test_a_base_whose_digest_is_none(digest: str, sample_lock: Lock) -> None:
    with pytest.raises(RefusedError, match="not an image reference"):
        rendered(with_base(sample_lock, digest=digest))


@pytest.mark.parametrize(
    "reference", ["python", "python:3.11-slim", "registry.example.org:5000/team/python_x:1.0", "localhost:5000/a/b-c"]
)
def test_a_base_that_is_one(reference: str, sample_lock: Lock) -> None:
    digest = sample_lock.base.digest
    text = dockerfile(with_base(sample_lock, reference=reference))
    assert Parsed(text).all("FROM") == [f"{reference}@{digest} AS system", f"{reference}@{digest}"]


CONTROL = [chr(number) for number in (*range(32), 0x7F, 0x85, 0x2028, 0x2029)]


def test_control_characters_are_refused_everywhere(sample_lock: Lock) -> None:
    for character in CONTROL:
        text = f"x{character}RUN evil"
        hostile = [
            with_environment(sample_lock, {"A": text}),
            with_environment(sample_lock, {text: "x"}),
            replace(sample_lock, created_at=text),
            replace(sample_lock, code=replace(sample_lock.code, repository=text)),
            replace(sample_lock, code=replace(sample_lock.code, commit=text)),
            replace(sample_lock, name=text),
        ]
        for lock in hostile:
            with pytest.raises(RefusedError):
                pytest.fail(dockerfile(lock))
    for character in "\0\x1b\x7f":
        with pytest.raises(RefusedError):
            rendered(replace(sample_lock, created_by=f"x{character}"))


@pytest.mark.parametrize("name", ["", "1A", "A B", "A=B", "A-B", "A.B", "É", "A\n", "$A", '"A"', "A\\"])
def test_a_name_that_no_variable_has(name: str, sample_lock: Lock) -> None:
    with pytest.raises(RefusedError, match="not a name of an environment variable"):
        rendered(with_environment(sample_lock, {name: "x"}))


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("train", "train"),
        ("Train_2", "train-2"),
        ("a___b", "a-b"),
        ("a_-b", "a-b"),
        ("-x-", "x"),
        ("-", "lock"),
        ("__", "lock"),
        ("x\nRUN evil", "x-run-evil"),
    ],
)
def test_any_name_of_a_lock_gives_a_tag(name: str, tag: str, sample_lock: Lock) -> None:
    given = default_tag(replace(sample_lock, name=name), lock_sha256=LOCK_SHA256)
    assert given == f"envcap/{tag}:999999999999"
    assert re.fullmatch(r"envcap/[a-z0-9]+(-[a-z0-9]+)*:[0-9a-f]{12}", given)


# Properties

no_control = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=CONTROL))
tricky = st.text("a \\\"'$#{}=`<>|&;%!~^*?[](),.:/@+-\t"[:-1], max_size=12)
texts = no_control | tricky
variable_names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)


@given(
    environment=st.dictionaries(variable_names, texts, max_size=4),
    words=st.lists(texts, min_size=1, max_size=4),
    text=texts,
)
def test_any_value_comes_through_as_it_is(
    environment: dict[str, str], words: list[str], text: str, sample_lock: Lock
) -> None:
    lock = with_environment(sample_lock, environment)
    lock = replace(
        lock,
        created_by=f"envcap {text}",
        code=replace(lock.code, repository=f"from {text}", commit=f"commit {text}"),
        declaration=replace(lock.declaration, command=words),
    )
    parsed = Parsed(dockerfile(lock))
    plain = with_environment(sample_lock, dict.fromkeys(environment, "x"))
    assert parsed.kinds == Parsed(dockerfile(plain)).kinds
    expected = image_environment(lock)
    assert {name: value for name, value in parsed.environment.items() if name != "PATH"} == expected
    assert json.loads(parsed.all("CMD")[0]) == words
    assert {name: value for name, value in parsed.labels.items() if name != "dev.envcap.stage"} == {
        "org.opencontainers.image.title": "train",
        "org.opencontainers.image.created": sample_lock.created_at,
        "org.opencontainers.image.source": f"from {text}",
        "org.opencontainers.image.revision": f"commit {text}",
        "org.opencontainers.image.base.name": lock.base.reference,
        "org.opencontainers.image.base.digest": lock.base.digest,
        "dev.envcap.version": f"envcap {text}",
        "dev.envcap.lock.sha256": LOCK_SHA256,
    }


@given(words=st.lists(st.text(), max_size=4))
def test_an_argument_array_is_one_line_of_ascii_and_comes_back(words: list[str]) -> None:
    text = exec_form(words)
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == words


@given(value=st.text())
def test_a_quoted_value_is_one_line_or_refused(value: str) -> None:
    if any(character in CONTROL for character in value):
        with pytest.raises(RefusedError):
            quote_value(value)
    else:
        assert Parsed(f"FROM x\nENV A={quote_value(value)}\n").environment["A"] == value


@given(name=st.text(max_size=6))
def test_a_variable_name_is_checked(name: str) -> None:
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        assert check_variable_name(name) == name
    else:
        with pytest.raises(RefusedError):
            check_variable_name(name)


def test_cuda_from_wheels_asks_the_container_toolkit_for_the_gpu(sample_lock: Lock) -> None:
    wheel = sample_lock.packages[0].wheel
    runtime = Package(name="nvidia-cuda-runtime-cu12", version="12.8.57", wheel=wheel)
    assert "NVIDIA_VISIBLE_DEVICES" not in image_environment(sample_lock)
    environment = image_environment(replace(sample_lock, packages=[*sample_lock.packages, runtime]))
    assert environment["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert environment["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"
