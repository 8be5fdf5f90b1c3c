"""What the configured indexes and find-links places offer for a set of releases. The only module that asks an index."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from envcap.errors import NotRunError
from envcap.model.progress import Progress, Tell
from envcap.model.struct import Data
from envcap.pins.configuration import Configuration, Place
from envcap.pins.pages import ACCEPT, JSON, Offer, Wanted, read_html, read_json, wheels_of
from envcap.pins.threads import run_each
from envcap.redact import strip_credentials

if TYPE_CHECKING:
    import requests

_THREADS = 8
_PIECE = 1 << 20
_LARGEST_PAGE = 1 << 28  # bytes; the largest on public indexes have some 30 MB


class _Question(Data, frozen=True, kw_only=True):
    place: Place
    wanted: Wanted


class _Answer(Data, frozen=True, kw_only=True):
    offers: list[Offer] = []
    status: int = 200


def look_up(
    wanted: Sequence[Wanted], *, configuration: Configuration, session: requests.Session, tell: Tell
) -> dict[Wanted, list[Offer]]:
    """Give the wheels on offer for each release, those of http(s) places first, else in pip's order.

    One request for each project and index. Raises NotRunError, naming the index, when one that pip would ask cannot
    be read: every package would otherwise look as if nobody offered it.
    """
    remote = [place for place in configuration.indexes if not place.local and not _insecure(place, configuration)]
    for place in configuration.indexes:
        if not place.local and place not in remote:
            tell(
                Progress(
                    kind="notice",
                    text=f"`{place.public}` is left out, as pip does: plain HTTP, and not a `trusted-host`.",
                )
            )
    questions = [_Question(place=place, wanted=release) for release in wanted for place in remote]
    answers: dict[_Question, _Answer] = {}

    def ask(question: _Question) -> _Answer:
        return _ask(question, session=session)

    for question, answer in run_each(ask, questions, threads=_THREADS):
        answers[question] = answer
        tell(Progress(kind="count", text="asking the package index", done=len(answers), total=len(questions)))
    for place in remote:
        _check_denials(place, [answer for question, answer in answers.items() if question.place == place], session)
    links = [(place, _read_find_links(place, session=session)) for place in configuration.find_links]
    folders = [place for place in configuration.indexes if place.local]
    if configuration.indexes and configuration.indexes[0].local and not _path(configuration.indexes[0].url).is_dir():
        raise NotRunError(
            f"The main index `{configuration.indexes[0].public}` cannot be read: there is no such folder.",
            hint="`pip config list` shows which index pip uses.",
        )
    return {
        release: [
            *(offer for place in remote for offer in answers[_Question(place=place, wanted=release)].offers),
            *_of(release, links, local=False),
            *(offer for place in folders for offer in _read_folder(place, release)),
            *_of(release, links, local=True),
        ]
        for release in wanted
    }


def _of(release: Wanted, links: Sequence[tuple[Place, list[Offer]]], *, local: bool) -> list[Offer]:
    offers = [offer for place, offers in links if place.local == local for offer in offers]
    return wheels_of(release, offers)


def _ask(question: _Question, *, session: requests.Session) -> _Answer:
    """Ask an index about one project. Some mean by 403 that they have no such project: that is told apart later."""
    response, body = _get(f"{question.place.url.rstrip('/')}/{quote(question.wanted.name)}/", session=session)
    if response.status_code in {403, 404, 410}:
        return _Answer(status=response.status_code)
    if response.status_code != 200:
        raise _refused(response, question.place)
    return _Answer(offers=_read_page(response, body, wanted=question.wanted, index=question.place.public))


def _get(url: str, *, session: requests.Session) -> tuple[requests.Response, bytes]:
    """Give the response and its whole body. Raises NotRunError when there is none."""
    import requests
    import urllib3

    from envcap.pins.session import explain

    try:
        with session.get(url, headers={"Accept": ACCEPT}, stream=True) as response:
            return response, _body(response, url=url)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise explain(error, url=url) from error


def _body(response: requests.Response, *, url: str) -> bytes:
    """Give the whole body, unpacked. Raises NotRunError when it is larger than any page.

    `content` of requests gathers it in pieces of 10 KiB, which takes long for pages of some megabytes.
    """
    pieces: list[bytes] = []
    while piece := response.raw.read(_PIECE, decode_content=True):
        pieces.append(piece)
        if len(pieces) * _PIECE > _LARGEST_PAGE:
            raise NotRunError(
                f"`{strip_credentials(url)}` cannot be read: it is larger than any page of an index.",
                hint="`pip config list` shows which index pip uses.",
            )
    return b"".join(pieces)


def _read_page(response: requests.Response, body: bytes, *, wanted: Wanted, index: str) -> list[Offer]:
    kind, _, parameters = response.headers.get("Content-Type", "").partition(";")
    if kind.strip().lower() == JSON:
        return read_json(body, wanted=wanted, url=response.url, index=index)
    offers = read_html(body, url=response.url, encoding=_charset(parameters), index=index)
    return wheels_of(wanted, offers)


def _charset(parameters: str) -> str | None:
    name, _, value = parameters.strip().partition("=")
    return value.strip("\"' ") or None if name.strip().lower() == "charset" else None


def _check_denials(place: Place, answers: Sequence[_Answer], session: requests.Session) -> None:
    """Raise NotRunError if the index denies us altogether.

    An index kept in a bucket answers 403 for a project that it does not have; then it has answered something else,
    or its root does.
    """
    if all(answer.status != 403 for answer in answers) or any(answer.status == 200 for answer in answers):
        return
    response, _ = _get(place.url.rstrip("/") + "/", session=session)
    if response.status_code != 200:
        raise _refused(response, place)


def _refused(response: requests.Response, place: Place) -> NotRunError:
    from envcap.pins.session import explain_status

    return explain_status(response.status_code, response.reason or "", url=place.url)


def _insecure(place: Place, configuration: Configuration) -> bool:
    """Tell whether pip would pass the index over: plain HTTP from another machine that is not trusted."""
    parts = urlsplit(place.url)
    host = parts.hostname or ""
    if parts.scheme != "http" or host in {"localhost", "::1"} or host.startswith("127."):
        return False
    return not {host, parts.netloc} & set(configuration.trusted_hosts)


def _read_folder(place: Place, wanted: Wanted) -> list[Offer]:
    """Give what an index that is a folder offers: the project's page, or the files in the project's folder."""
    folder = _path(place.url) / wanted.name
    page = folder / "index.html"
    if page.is_file():
        offers = read_html(page.read_bytes(), url=page.as_uri(), encoding=None, index=place.public)
    else:
        offers = _list(folder, index=place.public)
    return wheels_of(wanted, offers)


def _list(folder: Path, *, index: str | None) -> list[Offer]:
    if not folder.is_dir():
        return []
    return [
        Offer(filename=path.name, url=path.as_uri(), size=path.stat().st_size, index=index)
        for path in sorted(folder.iterdir())
        if path.suffix == ".whl" and path.is_file()
    ]


def _read_find_links(place: Place, *, session: requests.Session) -> list[Offer]:
    """Give every wheel of a find-links place: a folder, a page in a file, a page on the web, or a wheel itself.

    A folder or file that is not there is passed over, as pip does.
    """
    if not place.local:
        if place.url.endswith(".whl"):
            return [Offer(filename=unquote(urlsplit(place.url).path.rpartition("/")[2]), url=place.url)]
        response, body = _get(place.url, session=session)
        if response.status_code != 200:
            raise _refused(response, place)
        return read_html(body, url=response.url, encoding=None, index=None)
    path = _path(place.url)
    if path.suffix == ".whl" and path.is_file():
        return [Offer(filename=path.name, url=path.as_uri(), size=path.stat().st_size)]
    if path.is_file():
        return read_html(path.read_bytes(), url=path.as_uri(), encoding=None, index=None)
    return _list(path, index=None)


def _path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))
