"""What indexes and find-links places offer, asked of a real server on loopback."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from envcap.errors import NotRunError
from envcap.model.progress import Progress
from envcap.pins.configuration import Configuration, place
from envcap.pins.index import look_up
from envcap.pins.pages import Offer, Wanted, read_html, read_json
from envcap.pins.session import open_session

if TYPE_CHECKING:
    from tests.pins.conftest import Index, MakeWheel

DEMO = Wanted(name="demo", version="1.0")


def ask(
    *indexes: str, wanted: Sequence[Wanted] = (DEMO,), said: list[Progress] | None = None, **settings: Any
) -> list[Offer]:
    """Give all offers from these indexes, with two retries only."""
    configuration = Configuration(indexes=[place(index) for index in indexes], retries=2, timeout=5.0, **settings)
    tell = said.append if said is not None else (lambda _: None)
    with open_session(configuration) as session:
        found = look_up(wanted, configuration=configuration, session=session, tell=tell)
    return [offer for release in wanted for offer in found[release]]


@pytest.mark.parametrize("json", [True, False])
def test_an_index_in_either_format(index: Index, make_wheel: MakeWheel, *, json: bool) -> None:
    index.json = json
    sha256 = index.add(make_wheel("demo", "1.0"))
    index.add(make_wheel("demo", "1.0.1"))
    index.files["demo-1.0.tar.gz"] = b"source"
    (offer,) = ask(index.simple)
    name = "demo-1.0-py3-none-any.whl"
    assert (offer.filename, offer.sha256, offer.index) == (name, sha256, index.simple)
    assert offer.url == f"{index.url}/files/{name}"
    assert offer.size == (len(index.files[name]) if json else None)


def test_each_project_is_asked_for_once(index: Index) -> None:
    releases = [Wanted(name=f"demo{number}", version="1") for number in range(30)]
    assert ask(index.simple, wanted=releases) == []
    assert sorted(index.paths()) == sorted(f"/simple/{release.name}/" for release in releases)
    assert all(headers["user-agent"].startswith("envcap/") for _, _, headers in index.asked)


def test_encoding_of_local_versions_stays_as_the_index_has_it() -> None:
    page = b'<a href="demo-1.0%2Bcpu-py3-none-any.whl#md5=00">demo</a><a href="demo-1.0.zip">x</a>'
    (offer,) = read_html(page, url="https://w.example.org/whl/demo/", encoding=None, index=None)
    assert offer.url == "https://w.example.org/whl/demo/demo-1.0%2Bcpu-py3-none-any.whl"
    assert (offer.filename, offer.sha256) == ("demo-1.0+cpu-py3-none-any.whl", None)


def test_versions_that_are_spelt_otherwise_are_found() -> None:
    page = b'<a href="De.Mo-1.0.0-py3-none-any.whl" data-yanked="bad">x</a>'
    offers = read_html(page, url="https://w.example.org/de-mo/", encoding="utf-8", index=None)
    from envcap.pins.pages import wheels_of

    assert [offer.yanked for offer in wheels_of(Wanted(name="de-mo", version="1"), offers)] == ["bad"]
    assert wheels_of(Wanted(name="de-mo", version="1.0.1"), offers) == []
    assert wheels_of(Wanted(name="other", version="1"), offers) == []


@pytest.mark.parametrize(
    "page", [b"", b"[]", b'{"files": 3}', b'{"meta": {"api-version": "2.0"}, "files": []}', b"\xff\xfe"]
)
def test_a_page_that_is_not_as_the_standard_has_it_is_an_error(page: bytes) -> None:
    with pytest.raises(NotRunError, match=r"`https://i\.example\.org`"):
        read_json(page, wanted=DEMO, url="https://i.example.org/demo/", index="https://i.example.org")


def test_a_page_of_an_unknown_version_is_an_error() -> None:
    page = b'<meta name="pypi:repository-version" content="2.0"><a href="demo-1.0-py3-none-any.whl">x</a>'
    with pytest.raises(NotRunError, match=r"2\.0"):
        read_html(page, url="https://i.example.org/demo/", encoding=None, index=None)


def test_a_momentary_failure_is_repeated(index: Index, make_wheel: MakeWheel) -> None:
    index.add(make_wheel("demo", "1.0"))
    index.failing["/simple/demo/"] = 2
    assert len(ask(index.simple)) == 1
    index.failing["/simple/demo/"] = 5
    with pytest.raises(NotRunError, match=r"/simple/` cannot be read: HTTP 503"):
        ask(index.simple)


def test_an_index_that_does_not_answer_is_named(index: Index) -> None:
    with pytest.raises(NotRunError) as caught:
        ask(index.simple, "http://user:c4n4ry-s3cret@127.0.0.1:9/simple/")
    assert "`http://127.0.0.1:9/simple/demo/` cannot be read: no connection" in caught.value.message
    assert "c4n4ry" not in caught.value.message + caught.value.hint
    assert "pip config list" in caught.value.hint


def test_denial_is_an_error_unless_the_index_means_by_it_that_it_has_no_such_project(
    index: Index, make_wheel: MakeWheel
) -> None:
    index.missing = 403
    assert ask(index.simple) == []
    assert index.paths()[-1] == "/simple/"  # its root told
    index.add(make_wheel("demo", "1.0"))
    assert len(ask(index.simple, wanted=[DEMO, Wanted(name="other", version="1")])) == 1
    index.login = ("me", "pw")
    with pytest.raises(NotRunError, match="HTTP 401") as caught:
        ask(index.simple)
    assert "netrc" in caught.value.hint


def test_http_places_come_first_then_folders(index: Index, make_wheel: MakeWheel, tmp_path: Path) -> None:
    wheel = make_wheel("demo", "1.0")
    index.add(wheel)
    project = tmp_path / "index" / "demo"
    project.mkdir(parents=True)
    (project / "index.html").write_text(f'<a href="../../wheels/{wheel.name}#sha256={"0" * 64}">x</a>')
    plain = tmp_path / "plain" / "demo"
    plain.mkdir(parents=True)
    (plain / wheel.name).write_bytes(wheel.read_bytes())
    page = tmp_path / "links.html"
    page.write_text(f'<a href="wheels/{wheel.name}">x</a>')
    links = [str(wheel.parent), str(page), str(wheel), f"{index.url}/simple/", str(tmp_path / "gone")]
    found = ask(
        str(tmp_path / "index"), str(tmp_path / "plain"), index.simple, find_links=[place(one) for one in links]
    )
    http = f"{index.url}/files/{wheel.name}"
    other = (plain / wheel.name).as_uri()
    assert [offer.url for offer in found] == [http, http, wheel.as_uri(), other, *[wheel.as_uri()] * 3]
    assert [offer.index is None for offer in found] == [False, True, False, False, True, True, True]
    assert found[2].sha256 == "0" * 64


def test_a_main_index_that_is_no_folder_is_an_error_and_another_one_is_not(index: Index, tmp_path: Path) -> None:
    with pytest.raises(NotRunError, match="no such folder"):
        ask(str(tmp_path / "gone"))
    assert ask(index.simple, str(tmp_path / "gone")) == []


def test_plain_http_from_elsewhere_is_left_out_as_pip_does() -> None:
    said: list[Progress] = []
    assert ask("http://index.example.org/simple", said=said) == []
    assert [(one.kind, "http://index.example.org/simple" in one.text) for one in said] == [("notice", True)]
