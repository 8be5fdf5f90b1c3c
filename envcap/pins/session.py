"""The HTTP session for indexes and files: pip's certificates, proxy, timeout, retries and logins."""

import importlib.metadata
from typing import Any, Literal
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from envcap.errors import NotRunError
from envcap.pins.configuration import Configuration, with_login
from envcap.pins.credentials import IndexLogin
from envcap.redact import redact_text, strip_credentials

_CONNECTIONS = 8  # kept open for each host: as many as there are threads
_MOMENTARY = (429, 500, 502, 503, 504, 520, 527)


def open_session(configuration: Configuration) -> requests.Session:
    """Give a session that behaves as pip does with this configuration. To be closed by the caller.

    Without a configured certificate, REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE count; without a proxy, the proxy
    variables do.
    """
    session = requests.Session()
    session.headers["User-Agent"] = f"envcap/{importlib.metadata.version('envcap')}"
    session.auth = IndexLogin(configuration)
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Adapter(configuration, verify=configuration.certificate))
    if configuration.trusted_hosts:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the user has asked for it
    for host in configuration.trusted_hosts:
        session.mount(f"https://{host}/", _Adapter(configuration, verify=False))
        if ":" not in host:
            session.mount(f"https://{host}:", _Adapter(configuration, verify=False))
    if configuration.client_certificate is not None:
        session.cert = configuration.client_certificate
    if configuration.proxy is not None:
        address = with_login(configuration.proxy)
        session.proxies = {"http": address, "https": address}
        session.trust_env = False  # else the variables would win over pip's own setting
    return session


def explain(error: Exception, *, url: str) -> NotRunError:
    """Give the error to raise when `url` cannot be read: what failed and why, without credentials, and what helps."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    settings = "`pip config list` shows which index and certificate pip uses."
    if isinstance(error, requests.exceptions.SSLError):
        why, hint = f"TLS with `{host}` failed: {_root(error)}", f"Set pip's `cert` to your CA bundle. {settings}"
    elif isinstance(error, requests.exceptions.ProxyError):
        why, hint = f"the proxy does not let us through: {_root(error)}", f"Check pip's `proxy`. {settings}"
    elif isinstance(error, requests.exceptions.Timeout):
        why, hint = f"`{host}` did not answer in time", f"Raise pip's `timeout`. {settings}"
    elif isinstance(error, requests.exceptions.ConnectionError):
        why, hint = f"no connection to `{host}`: {_root(error)}", f"Is the network up? {settings}"
    else:
        why, hint = _root(error), settings
    return NotRunError(f"`{strip_credentials(url)}` cannot be read: {redact_text(why)}.", hint=hint)


def explain_status(status: int, reason: str, *, url: str) -> NotRunError:
    """Give the error to raise when `url` was answered with an HTTP status that is of no use."""
    hint = "`pip config list` shows which index pip uses."
    if status in {401, 403, 407}:
        hint = "Put the login into pip's `index-url`, a netrc file or keyring. " + hint
    return NotRunError(f"`{strip_credentials(url)}` cannot be read: HTTP {status} {reason}".rstrip() + ".", hint=hint)


def _root(error: BaseException) -> str:
    """Give the innermost reason in one line: libraries wrap it several times."""
    inner: BaseException = error
    for _ in range(6):
        nested = getattr(inner, "reason", None) or next(iter(getattr(inner, "args", ())), None)
        if not isinstance(nested, BaseException):
            break
        inner = nested
    text = str(inner).partition(": ")[2] or str(inner) if "object at 0x" in str(inner) else str(inner)
    return " ".join(text.split()).rstrip(".")[:200]


class _Adapter(HTTPAdapter):
    """Adds pip's timeout to every request, and what to check certificates against: a file, or False for not at all.

    requests lets REQUESTS_CA_BUNDLE win over a session's certificate, so pip's own is put in place here.
    """

    def __init__(self, configuration: Configuration, *, verify: str | Literal[False] | None) -> None:
        self._timeout = configuration.timeout
        self._verify = verify
        retries = Retry(
            total=configuration.retries,
            backoff_factor=0.25,
            status_forcelist=_MOMENTARY,
            raise_on_status=False,
            allowed_methods=["GET", "HEAD"],
        )
        super().__init__(pool_connections=_CONNECTIONS, pool_maxsize=_CONNECTIONS, max_retries=retries)

    def send(self, request: requests.PreparedRequest, *positional: Any, **options: Any) -> requests.Response:
        """Send as requests does."""
        if options.get("timeout") is None:
            options["timeout"] = self._timeout
        if self._verify is not None:
            options["verify"] = self._verify
        return super().send(request, *positional, **options)
