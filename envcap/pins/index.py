"""What the configured indexes and find-links places offer for a set of releases. The only module that asks an index."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from envcap.errors import NotRunError
from envcap.model.progress import Progress, Tell
from envcap.model.struct import Data
from envcap.pins.answers import Answer, Answers
from envcap.pins.configuration import Configuration, Place
from envcap.pins.connection import Connection
from envcap.pins.pages import ACCEPT, JSON, Offer, Wanted, read_html, read_json, wheels_of
from envcap.threads import run_each

if TYPE_CHECKING:
    from envcap.pins.direct import Reply

_THREADS = 8
_NOT_HERE = {403, 404, 410}  # some mean by 403 that they have no such project


class _Question(Data, frozen=True, kw_only=True):
    place: Place
    wanted: Wanted


class Found(Data, frozen=True, kw_only=True):
    """The wheels on offer for a release; `recalled` where some index was not asked but had been before."""

    offers: list[Offer]
    recalled: bool = False


def look_up(
    wanted: Sequence[Wanted],
    *,
    connection: Connection,
    tell: Tell,
    answers: Answers | None = None,
    within: float = 0.0,
) -> dict[Wanted, Found]:
    """Give the wheels on offer for each release, those of http(s) places first, else in pip's order.

    One request for each project and index, unless `answers` has one that is not older than `within` seconds; what is
    asked is kept there. Raises NotRunError, naming the index, when one that pip would ask cannot be read: every
    package would otherwise look as if nobody offered it.
    """
    configuration = connection.configuration
    remote = _remote(configuration, tell=tell)
    questions = [_Question(place=place, wanted=release) for release in wanted for place in remote]
    said = _recall(questions, answers, within=within)
    recalled = {question.wanted for question in said}
    unknown = [question for question in questions if question not in said]
    said |= _ask_each(unknown, connection=connection, answers=answers, tell=tell)
    links = [(place, _read_find_links(place, connection=connection)) for place in configuration.find_links]
    folders = [place for place in configuration.indexes if place.local]
    if configuration.indexes and configuration.indexes[0].local and not _path(configuration.indexes[0].url).is_dir():
        raise NotRunError(
            f"The main index `{configuration.indexes[0].public}` cannot be read: there is no such folder.",
            hint="`pip config list` shows which index pip uses.",
        )
    return {
        release: Found(
            offers=[
                *(offer for place in remote for offer in said[_Question(place=place, wanted=release)].offers),
                *_of(release, links, local=False),
                *(offer for place in folders for offer in _read_folder(place, release)),
                *_of(release, links, local=True),
            ],
            recalled=release in recalled,
        )
        for release in wanted
    }


def _remote(configuration: Configuration, *, tell: Tell) -> list[Place]:
    """Give the indexes that are reached over the network."""
    remote = [place for place in configuration.indexes if not place.local and not _insecure(place, configuration)]
    for place in configuration.indexes:
        if not place.local and place not in remote:
            tell(
                Progress(
                    kind="notice",
                    text=f"`{place.public}` is left out, as pip does: plain HTTP, and not a `trusted-host`.",
                )
            )
    return remote


def _recall(questions: Sequence[_Question], answers: Answers | None, *, within: float) -> dict[_Question, Answer]:
    if answers is None or within <= 0:
        return {}
    held = ((question, answers.recall(question.place.url, question.wanted, within=within)) for question in questions)
    return {question: answer for question, answer in held if answer is not None}


def _ask_each(
    questions: Sequence[_Question], *, connection: Connection, answers: Answers | None, tell: Tell
) -> dict[_Question, Answer]:
    said: dict[_Question, Answer] = {}
    for question, answer in run_each(lambda one: _ask(one, connection=connection), questions, threads=_THREADS):
        said[question] = answer
        tell(Progress(kind="count", text="asking the package index", done=len(said), total=len(questions)))
    for place in {question.place.url: question.place for question in questions}.values():
        _check_denials(place, [answer for question, answer in said.items() if question.place == place], connection)
    if answers is not None:
        for question, answer in said.items():
            answers.remember(question.place.url, question.wanted, answer)
    return said


def _of(release: Wanted, links: Sequence[tuple[Place, list[Offer]]], *, local: bool) -> list[Offer]:
    offers = [offer for place, offers in links if place.local == local for offer in offers]
    return wheels_of(release, offers)


def _ask(question: _Question, *, connection: Connection) -> Answer:
    """Ask an index about one project. What is meant by 403 is told apart later."""
    asked_at = time.time()
    reply = connection.read(
        f"{question.place.url.rstrip('/')}/{quote(question.wanted.name)}/", headers={"Accept": ACCEPT}
    )
    if reply.status in _NOT_HERE:
        return Answer(status=reply.status, asked_at=asked_at)
    if reply.status != 200:
        raise _refused(reply, question.place)
    return Answer(offers=_read_page(reply, wanted=question.wanted, index=question.place.public), asked_at=asked_at)


def _read_page(reply: Reply, *, wanted: Wanted, index: str) -> list[Offer]:
    kind, _, parameters = reply.headers.get("content-type", "").partition(";")
    if kind.strip().lower() == JSON:
        return read_json(reply.body, wanted=wanted, url=reply.url, index=index)
    offers = read_html(reply.body, url=reply.url, encoding=_charset(parameters), index=index)
    return wheels_of(wanted, offers)


def _charset(parameters: str) -> str | None:
    name, _, value = parameters.strip().partition("=")
    return value.strip("\"' ") or None if name.strip().lower() == "charset" else None


def _check_denials(place: Place, answers: Sequence[Answer], connection: Connection) -> None:
    """Raise NotRunError if the index denies us altogether.

    An index kept in a bucket answers 403 for a project that it does not have; then it has answered something else,
    or its root does.
    """
    if all(answer.status != 403 for answer in answers) or any(answer.status == 200 for answer in answers):
        return
    reply = connection.read(place.url.rstrip("/") + "/", headers={"Accept": ACCEPT})
    if reply.status != 200:
        raise _refused(reply, place)


def _refused(reply: Reply, place: Place) -> NotRunError:
    from envcap.pins.session import explain_status

    return explain_status(reply.status, reply.reason, url=place.public)


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


def _read_find_links(place: Place, *, connection: Connection) -> list[Offer]:
    """Give every wheel of a find-links place: a folder, a page in a file, a page on the web, or a wheel itself.

    A folder or file that is not there is passed over, as pip does.
    """
    if not place.local:
        if place.url.endswith(".whl"):
            return [Offer(filename=unquote(urlsplit(place.url).path.rpartition("/")[2]), url=place.url)]
        reply = connection.read(place.url, headers={"Accept": ACCEPT})
        if reply.status != 200:
            raise _refused(reply, place)
        return read_html(reply.body, url=reply.url, encoding=None, index=None)
    path = _path(place.url)
    if path.suffix == ".whl" and path.is_file():
        return [Offer(filename=path.name, url=path.as_uri(), size=path.stat().st_size)]
    if path.is_file():
        return read_html(path.read_bytes(), url=path.as_uri(), encoding=None, index=None)
    return _list(path, index=None)


def _path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))
