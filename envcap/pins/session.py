"""The HTTP session for indexes and files: pip's certificates, proxy, timeout, retries and logins."""

import re
import ssl
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from envcap import __version__
from envcap.errors import FileRefusedError, NotRunError
from envcap.pins.configuration import Configuration, with_login
from envcap.pins.credentials import IndexLogin
from envcap.pins.tls import trusting, verifying
from envcap.redact import redact_text, strip_credentials

_REFUSALS = (403, 404, 410, 451)  # of one file; 401 and 407 ask for a login, which the user can give
_CONNECTIONS = 8  # kept open for each host: as many as there are threads
_MOMENTARY = (429, 500, 502, 503, 504, 520, 527)


def open_session(configuration: Configuration) -> requests.Session:
    """Give a session that behaves as pip does with this configuration. To be closed by the caller.

    Without a configured certificate, REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE count; without a proxy, the proxy
    variables do.
    """
    session = requests.Session()
    session.headers["User-Agent"] = f"envcap/{__version__}"
    session.auth = IndexLogin(configuration)
    checked = _Adapter(configuration, context=verifying(configuration))
    session.mount("https://", checked)
    session.mount("http://", checked)
    if configuration.trusted_hosts:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the user has asked for it
    for host in configuration.trusted_hosts:
        unchecked = _Adapter(configuration, context=trusting(configuration))
        session.mount(f"https://{host}/", unchecked)
        if ":" not in host:
            session.mount(f"https://{host}:", unchecked)
    if configuration.proxy is not None:
        address = with_login(configuration.proxy)
        session.proxies = {"http": address, "https": address}
    # What else it would look up for each request anew (netrc, certificates) is done here and in IndexLogin.
    session.trust_env = configuration.proxy is None and bool(urllib.request.getproxies())
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
    """Give the error to raise when `url` was answered with an HTTP status that is of no use.

    It is a FileRefusedError where the status speaks of this file alone.
    """
    hint = "`pip config list` shows which index pip uses."
    if status in {401, 403, 407}:
        hint = "Put the login into pip's `index-url`, a netrc file or keyring. " + hint
    kind = FileRefusedError if status in _REFUSALS else NotRunError
    return kind(f"`{strip_credentials(url)}` cannot be read: HTTP {status} {reason}".rstrip() + ".", hint=hint)


def _root(error: BaseException) -> str:
    """Give the innermost reason in one line: libraries wrap it several times."""
    inner: BaseException = error
    for _ in range(6):
        wrapped = [getattr(inner, "reason", None), *inner.args]
        nested = next((one for one in wrapped if isinstance(one, BaseException)), None)
        if nested is None:
            break
        inner = nested
    text = re.sub(r"^\w+\(host=[^)]*\): ", "", str(inner))
    return " ".join(text.split()).rstrip(".")[:200]


class _Adapter(HTTPAdapter):
    """Adds pip's timeout, and one TLS context for all connections: to read a bundle of certificates takes 30 ms."""

    def __init__(self, configuration: Configuration, *, context: ssl.SSLContext) -> None:
        self._timeout = configuration.timeout
        self._context = context
        retries = Retry(
            total=configuration.retries,
            backoff_factor=0.25,
            status_forcelist=_MOMENTARY,
            raise_on_status=False,
            allowed_methods=["GET", "HEAD"],
        )
        super().__init__(pool_connections=_CONNECTIONS, pool_maxsize=_CONNECTIONS, max_retries=retries)

    def init_poolmanager(self, *positional: Any, **options: Any) -> None:
        """Keep connections as requests does, with our context."""
        super().init_poolmanager(*positional, **options, ssl_context=self._context)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Reach servers through a proxy as requests does, with our context."""
        return super().proxy_manager_for(proxy, **options, ssl_context=self._context)

    def build_connection_pool_key_attributes(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> Any:
        """Leave certificates to the context."""
        host, _certificates = super().build_connection_pool_key_attributes(request, verify=True)
        return host, {}

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Leave certificates to the context."""

    def send(self, request: requests.PreparedRequest, *positional: Any, **options: Any) -> requests.Response:
        """Send as requests does."""
        if options.get("timeout") is None:
            options["timeout"] = self._timeout
        return super().send(request, *positional, **options)
