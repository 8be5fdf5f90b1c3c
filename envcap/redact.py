"""The one place where credentials are taken out of text and URLs, and where secret-looking names are known."""

import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

_SECRET_NAME = re.compile(
    r"(?i)(token|secret|passw|passwd|pwd|credential|api_?key|access_?key|private_?key|auth|cookie|session|dsn)"
)
_URL_IN_TEXT = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>`]+")
_USERINFO = re.compile(r"(?<=://)[^/@\s'\"<>`]*@")
# Path segments that carry a token by convention: conda channels write `/t/<token>/`.
_TOKEN_SEGMENT = re.compile(r"/t/[^/]+/")


def is_secret_name(name: str) -> bool:
    """Tell whether a variable or parameter of that name is likely to hold a secret."""
    return _SECRET_NAME.search(name) is not None


def strip_credentials(url: str) -> str:
    """Give `url` without user, password, token path segments and secret-looking query parameters.

    A scheme prefix such as `git+` stays, and so does `git@` of an ssh URL: it names an account, not a secret.
    """
    parts = urlsplit(url)
    network = parts.netloc
    if "@" in network:
        user, _, host = network.rpartition("@")
        network = f"git@{host}" if user == "git" and "ssh" in parts.scheme else host
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(name, value) for name, value in pairs if not is_secret_name(name)]
    query = parts.query if len(kept) == len(pairs) else urlencode(kept)
    return urlunsplit((parts.scheme, network, _TOKEN_SEGMENT.sub("/", parts.path), query, parts.fragment))


def redact_text(text: str) -> str:
    """Give `text` with the credentials of every URL in it replaced by `***`, for messages and logs."""

    def clean(match: re.Match[str]) -> str:
        url = match.group(0)
        return _USERINFO.sub("***@", _TOKEN_SEGMENT.sub("/t/***/", url))

    return _URL_IN_TEXT.sub(clean, text)
