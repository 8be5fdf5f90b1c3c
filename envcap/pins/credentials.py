"""Who we are at an index: logins from pip's configuration, netrc and keyring, each for its own origin only."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from envcap.errors import NotRunError
from envcap.pins.configuration import Configuration, Login, Place
from envcap.process import capture

if TYPE_CHECKING:
    import requests


class IndexLogin:
    """Gives a request the login of its origin; asks keyring once when an index answers 401.

    It is the `auth` of a requests session, which drops it on a redirect to another host.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._places = [
            *configuration.indexes,
            *configuration.declared,
            *configuration.find_links,
            *configuration.declared_links,
        ]
        self._keyring = configuration.keyring
        self._found: dict[str, Login | None] = {}  # by origin, from keyring
        self._netrc: dict[str, Login | None] = {}  # by origin
        self._lock = threading.Lock()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign `request` if a login is known for its URL, and stand by for a 401."""
        url = request.url or ""
        login = self._found.get(_origin(url)) or self._configured(url)
        if login is not None:
            _sign(request, login)
        request.hooks.setdefault("response", []).append(self._answer_401)
        return request

    def _configured(self, url: str) -> Login | None:
        """Give the login of the configured place that `url` lies under, or of its origin; else that of netrc."""
        place = self._place(url)
        login = place.login if place else None
        if login is not None and login.password is not None:
            return login
        origin = _origin(url)
        if origin not in self._netrc:
            self._netrc[origin] = _read_netrc(url)
        return self._netrc[origin] or login

    def _place(self, url: str) -> Place | None:
        near = [place for place in self._places if not place.local and _origin(place.url) == _origin(url)]
        near.sort(key=lambda place: (url.startswith(place.url), place.login is not None, len(place.url)), reverse=True)
        return near[0] if near else None

    def _answer_401(self, response: requests.Response, **options: Any) -> requests.Response:
        """Ask once more with what keyring knows."""
        request = response.request
        if response.status_code != 401:
            return response
        login = self._from_keyring(request.url or "")
        if login is None:
            return response
        again = request.copy()
        _sign(again, login)
        if again.headers["Authorization"] == request.headers.get("Authorization"):
            return response
        _ = response.content  # the connection goes back to the pool
        response.close()
        connection: Any = response.connection
        answer: requests.Response = connection.send(again, **options)
        answer.history.append(response)
        answer.request = again
        return answer

    def _from_keyring(self, url: str) -> Login | None:
        origin = _origin(url)
        with self._lock:  # eight threads meet the same 401
            if origin not in self._found:
                place = self._place(url)
                user = place.login.user if place and place.login else None
                services = [*([place.public] if place else []), urlsplit(url).netloc]
                self._found[origin] = next(
                    (login for service in services if (login := _ask_keyring(service, user, provider=self._keyring))),
                    None,
                )
            return self._found[origin]


def _origin(url: str) -> str:
    """Give scheme, host and port: what a login belongs to."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()


def _read_netrc(url: str) -> Login | None:
    from requests.utils import get_netrc_auth

    known = get_netrc_auth(url)
    return Login(user=known[0], password=known[1]) if known else None


def _sign(request: requests.PreparedRequest, login: Login) -> None:
    from requests.auth import HTTPBasicAuth

    HTTPBasicAuth(login.user.encode(), (login.password or "").encode())(request)


def _ask_keyring(service: str, user: str | None, *, provider: str) -> Login | None:
    """Give what keyring holds for `service`: by import where it is installed, else by its command, as pip does."""
    if provider in {"auto", "import"}:
        try:
            keyring: Any = importlib.import_module("keyring")
        except ImportError:
            keyring = None
        if keyring is not None:
            return _ask_module(keyring, service, user)
    command = shutil.which("keyring") if provider in {"auto", "subprocess"} else None
    return _ask_command(command, service, user) if command else None


def _ask_module(keyring: Any, service: str, user: str | None) -> Login | None:
    try:
        credential = keyring.get_credential(service, user)
    except Exception:  # noqa: BLE001  (a back end of keyring may raise anything; it then knows nothing)
        return None
    return Login(user=credential.username or "", password=credential.password) if credential else None


def _ask_command(command: str, service: str, user: str | None) -> Login | None:
    words = ["get", service, user] if user else ["--mode=creds", "--output=json", "get", service]
    try:
        done = capture(
            [command, *words],
            purpose="Asking keyring",
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            timeout=60,
            check=False,
        )
    except NotRunError:
        return None
    text = done.stdout.decode(errors="replace").strip("\r\n")
    if done.returncode != 0 or not text:
        return None
    if user:
        return Login(user=user, password=text)
    try:
        known = json.loads(text)
        return Login(user=str(known["username"] or ""), password=str(known["password"]))
    except (ValueError, KeyError, TypeError):
        return None
