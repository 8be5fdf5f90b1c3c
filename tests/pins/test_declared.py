"""What a project names beside pip's own indexes: read from every place, logins apart, and asked for what pip's lack."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.errors import NotRunError
from envcap.pins.configuration import Configuration, Login, Place, place
from envcap.pins.declared import with_declared
from envcap.pins.pip import pin
from envcap.store import Store

if TYPE_CHECKING:
    from tests.pins.conftest import Environment, Index, MakeWheel

PUBLIC = "https://public.example.org/simple/"
CANARY = "c4n4ry-s3cret"


def read(project: Path, *, pip: str = PUBLIC, **environ: str) -> Configuration:
    home = project / "home"
    home.mkdir(exist_ok=True)
    return with_declared(
        Configuration(indexes=[place(pip)]),
        project=project,
        environ={"HOME": str(home), **environ},
        public=PUBLIC,
    )


def test_nothing_declared_changes_nothing(tmp_path: Path) -> None:
    assert read(tmp_path) == Configuration(indexes=[place(PUBLIC)])


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"UV_EXTRA_INDEX_URL": "https://a.example.org/ https://b.example.org/"}, ["a", "b"]),
        ({"UV_INDEX": "mine=https://a.example.org/ https://b.example.org/?x=1"}, ["a", "b"]),
        ({"UV_INDEX": f"{PUBLIC} https://a.example.org/ https://a.example.org"}, ["a"]),
        ({"UV_INDEX": ""}, []),
    ],
)
def test_variables(tmp_path: Path, environ: dict[str, str], expected: list[str]) -> None:
    found = read(tmp_path, **environ)
    assert [one.url.removeprefix("https://").partition(".")[0] for one in found.declared] == expected
    assert found.indexes == [place(PUBLIC)]


@pytest.mark.parametrize("variable", ["UV_DEFAULT_INDEX", "UV_INDEX_URL"])
def test_a_default_index_stands_in_for_the_public_one_only(tmp_path: Path, variable: str) -> None:
    found = read(tmp_path, **{variable: "https://mirror.example.org/simple/"})
    assert ([one.url for one in found.indexes], found.declared) == (["https://mirror.example.org/simple/"], [])
    found = read(tmp_path, pip="https://mine.example.org/", **{variable: "https://mirror.example.org/simple/"})
    assert [one.url for one in found.indexes] == ["https://mine.example.org/"]
    assert [one.url for one in found.declared] == ["https://mirror.example.org/simple/"]


UV = """
extra-index-url = ["https://extra.example.org/"]
[[index]]
name = "my-own"
url = "https://own.example.org/simple"
explicit = true
[[index]]
url = "http://plain.example.org:8080/"
[pip]
index-url = "https://user:{canary}@pip.example.org/"
"""


def test_settings_files_of_uv(tmp_path: Path) -> None:
    project = tmp_path / "work" / "project"
    project.mkdir(parents=True)
    (tmp_path / "work" / "uv.toml").write_text(UV.format(canary=CANARY))
    (project / "pyproject.toml").write_text("[project]\nname = 'x'\n")  # says nothing of uv: the parent counts
    found = read(project, UV_INDEX_MY_OWN_USERNAME="me", UV_INDEX_MY_OWN_PASSWORD=CANARY)
    assert found.indexes == [Place(url="https://pip.example.org/", login=Login(user="user", password=CANARY))]
    hosts = {one.url.split("/")[2]: one.login for one in found.declared}
    assert hosts == {
        "own.example.org": Login(user="me", password=CANARY),
        "plain.example.org:8080": None,
        "extra.example.org": None,
    }
    assert found.trusted_hosts == []
    assert CANARY not in repr(found)
    assert read(project, UV_NO_CONFIG="1").declared == []


def test_pyproject_and_the_settings_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[[tool.uv.index]]\nurl = "https://one.example.org/"\n')
    user = tmp_path / "home" / ".config" / "uv" / "uv.toml"
    user.parent.mkdir(parents=True)
    user.write_text('[[index]]\nurl = "https://two.example.org/"\n')
    assert [one.url for one in read(tmp_path).declared] == ["https://one.example.org/", "https://two.example.org/"]


def test_sources_of_poetry(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[[tool.poetry.source]]\nname = "one"\nurl = "https://one.example.org/"\npriority = "supplemental"\n'
        '[[tool.poetry.source]]\nname = "two.x"\nurl = "https://two.example.org/"\n'
        '[[tool.poetry.source]]\nname = "PyPI"\npriority = "primary"\n'
    )
    logins = tmp_path / "home" / ".config" / "pypoetry" / "auth.toml"
    logins.parent.mkdir(parents=True)
    logins.write_text(f'[http-basic.one]\nusername = "me"\npassword = "{CANARY}"\n')
    found = read(tmp_path, POETRY_HTTP_BASIC_TWO_X_USERNAME="you", POETRY_HTTP_BASIC_TWO_X_PASSWORD="p")  # noqa: S106
    assert [one.login for one in found.declared] == [
        Login(user="me", password=CANARY),
        Login(user="you", password="p"),  # noqa: S106
    ]


def test_sources_of_pdm_with_the_login_in_variables(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[[tool.pdm.source]]\nname = "pypi"\nurl = "https://mirror.example.org/simple"\n'
        '[[tool.pdm.source]]\nname = "one"\nurl = "https://one.example.org/"\n'
        'username = "me"\npassword = "${MY_TOKEN}"\n'
        '[[tool.pdm.source]]\nname = "two"\nurl = "https://${UNSET}@two.example.org/"\n'
        '[[tool.pdm.source]]\nname = "three"\nurl = "https://three.example.org/"\ntype = "find_links"\n'
    )
    found = read(tmp_path, MY_TOKEN=CANARY)
    assert [one.url for one in found.indexes] == ["https://mirror.example.org/simple"]
    assert found.declared == [Place(url="https://one.example.org/", login=Login(user="me", password=CANARY))]


def test_sources_of_pipenv(tmp_path: Path) -> None:
    (tmp_path / "Pipfile").write_text(
        f'[[source]]\nname = "pypi"\nurl = "{PUBLIC}"\n'
        '[[source]]\nname = "own"\nurl = "https://me:${MY_TOKEN}@own.example.org/simple"\n'
    )
    found = read(tmp_path, MY_TOKEN=CANARY)
    assert found.declared == [Place(url="https://own.example.org/simple", login=Login(user="me", password=CANARY))]


REQUIREMENTS = """\
--index-url https://main.example.org/simple  # of the company
--extra-index-url=https://extra.example.org/whl/cu121 \\
    --find-links wheels
-f https://links.example.org/stable.html
-i https://${UNSET}@nowhere.example.org/
# -i https://remark.example.org/
torch==2.1.0+cu121 --hash=sha256:-i
"""


def test_options_of_requirements_files(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "gpu.txt").write_text(REQUIREMENTS)
    (tmp_path / "requirements-data.txt").write_bytes(b"\xff\xfe no text")
    found = read(tmp_path)
    assert found.indexes == [place(PUBLIC)]
    assert [one.url for one in found.declared] == [
        "https://main.example.org/simple",
        "https://extra.example.org/whl/cu121",
    ]
    wheels = (tmp_path / "requirements" / "wheels").as_uri()
    assert [one.url for one in found.declared_links] == [wheels, "https://links.example.org/stable.html"]


@given(st.text())
def test_any_requirements_file_is_read_or_refused(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "requirements.txt").write_text(text, encoding="utf-8", errors="surrogateescape")
        try:
            found = read(Path(folder))
        except NotRunError:
            return
    assert all(isinstance(one, Place) for one in [*found.declared, *found.declared_links])


def test_a_broken_file_is_named_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "uv.toml").write_text(f"index-url = https://user:{CANARY}@example.org/\n")
    with pytest.raises(NotRunError, match=r"uv\.toml") as caught:
        read(tmp_path)
    assert CANARY not in caught.value.message + caught.value.hint


_VALUES = st.recursive(
    st.sampled_from(['"https://a.example.org/"', '"http://["', "1", "true", '""', '"./wheels"', '"u:p@h/"']),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(
            st.tuples(st.sampled_from(["url", "name", "default", "priority"]), inner),
            max_size=3,
            unique_by=lambda x: x[0],
        ).map(lambda items: "{" + ", ".join(f"{key} = {value}" for key, value in items) + "}")
    ),
    max_leaves=6,
)
_KEYS = ["index", "index-url", "extra-index-url", "pip", "tool"]


@given(st.dictionaries(st.sampled_from(_KEYS), _VALUES))
def test_any_settings_are_read_or_refused(settings: dict[str, str]) -> None:
    lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "uv.toml").write_text(lines)
        try:
            found = read(Path(folder))
        except NotRunError:
            return
    assert all(isinstance(one, Place) for one in [*found.indexes, *found.declared])


@pytest.mark.parametrize(
    "setting",
    [
        ("pyproject.toml", '[[tool.uv.index]]\nurl = "{address}"\n'),
        ("requirements.txt", "--extra-index-url {address}\ndemo\n"),
    ],
)
def test_what_came_from_a_declared_index_is_found_there(
    environment: Environment, make_index: object, make_wheel: MakeWheel, tmp_path: Path, setting: tuple[str, str]
) -> None:
    public: Index = make_index()  # type: ignore[operator]
    private: Index = make_index()  # type: ignore[operator]
    private.login = ("user", CANARY)
    wheel, other = make_wheel("demo", "1.0"), make_wheel("other", "1.0")
    private.add(wheel)
    public.add(other)
    environment.install(wheel, other)
    for direct in environment.site.glob("*.dist-info/direct_url.json"):
        direct.unlink()
    project = tmp_path / "project"
    project.mkdir()
    address = private.simple.replace("://", f"://user:{CANARY}@")
    file, text = setting
    (project / file).write_text(text.format(address=address))
    configuration = read(project, pip=public.simple)
    pinned = pin(
        environment.facts(),
        configuration=configuration,
        store=Store(tmp_path / "store"),
        cache=Store(tmp_path / "cache"),
        tell=lambda _: None,
    )
    assert {(one.name, one.index, one.confidence) for one in pinned.packages} == {
        ("demo", private.simple, "proven"),
        ("other", public.simple, "proven"),
    }
    assert not [path for path in private.paths() if "other" in path]  # it is asked for nothing else
    assert CANARY not in repr(pinned)


@pytest.mark.parametrize("again", [False, True])
def test_of_one_name_and_tags_in_both_the_index_that_has_the_installed_file_is_found(
    environment: Environment, make_index: object, make_wheel: MakeWheel, tmp_path: Path, *, again: bool
) -> None:
    public: Index = make_index()  # type: ignore[operator]
    private: Index = make_index()  # type: ignore[operator]
    wheel = make_wheel("demo", "1.0")
    private.add(wheel)
    public.add(make_wheel("demo", "1.0", files={"demo_more.py": "x = 1\n"}, folder=tmp_path / "public"))
    environment.install(wheel)
    next(environment.site.glob("*.dist-info/direct_url.json")).unlink()
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(f'[[tool.uv.index]]\nurl = "{private.simple}"\n')
    for _ in range(1 + again):  # the second time with the answers of the first
        pinned = pin(
            environment.facts(),
            configuration=read(project, pip=public.simple),
            store=Store(tmp_path / "store"),
            cache=Store(tmp_path / "cache"),
            tell=lambda _: None,
        )
        assert [(one.index, one.confidence) for one in pinned.packages] == [(private.simple, "proven")]
        assert pinned.gaps == []


@pytest.mark.parametrize("json", [True, False])
@pytest.mark.parametrize("why", ["it deletes files: see https://user:c4n4ry-s3cret@example.org/", ""])
def test_a_withdrawn_file_is_pinned_with_a_word(
    environment: Environment, index: Index, make_wheel: MakeWheel, tmp_path: Path, why: str, *, json: bool
) -> None:
    wheel = make_wheel("demo", "1.0")
    index.json, index.yanked = json, {wheel.name: why}
    index.add(wheel)
    environment.install(wheel)
    next(environment.site.glob("*.dist-info/direct_url.json")).unlink()
    pinned = pin(
        environment.facts(),
        configuration=Configuration(indexes=[place(index.simple)]),
        store=Store(tmp_path / "store"),
        cache=Store(tmp_path / "cache"),
        tell=lambda _: None,
    )
    assert [one.confidence for one in pinned.packages] == ["proven"]
    (gap,) = pinned.gaps
    assert "yanked: it deletes files" in gap.reason if why else gap.reason.endswith("(yanked)")
    assert CANARY not in gap.reason
