"""The one place where credentials are taken out of text and URLs, and where secret-looking names are known."""

import re
from urllib.parse import unquote

_SECRET_NAME = re.compile(
    r"(?i)(token(?!iz)|secret|passw|passwd|pwd|credential|api_?key|access_?key|private_?key|auth|cookie|session|dsn)"
)
# In a query even shorter names: presigned addresses have `sig` and `X-Amz-Signature`, many services `key`.
_SECRET_PARAMETER = re.compile(r"(?i)(^|[-_.])(sig|signature|key|code|jwt|pat)$")
# All up to the last `@` before the path: a password that was not encoded may hold one. It may hold a `'` too, which
# elsewhere ends an address in a text.
_URL_IN_TEXT = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,30}://([^/?#\s\"<>`]*@)?[^\s'\"<>`]*")
_USERINFO = re.compile(r"(?<=://)[^/?#]*@")
# Path segments that carry a token by convention: conda channels write `/t/<token>/`.
_TOKEN_SEGMENT = re.compile(r"/t/[^/?#]+(?=[/?#]|$)")
_PARAMETERS = re.compile(r"(?<=[?#])[^?#]*")
# Tokens that say by their beginning what they are, as the services that give them document it.
_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])("
    r"(hf|api_org|gh[pousr]|npm|r8|gsk|[rs]k_live)_[A-Za-z0-9]{16,}"
    r"|(github_pat|glpat|dckr_pat|nvapi|wandb_v1|lsv2_pt|dop_v1)[_-][A-Za-z0-9_-]{16,}"
    r"|sk-(ant|proj|svcacct|or-v1)-[A-Za-z0-9_-]{16,}|sk-[A-Za-z0-9]{32,}"
    r"|(AKIA|ASIA)[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{16,}|dapi[0-9a-f]{32}"
    r"|xox[abeprs]-[A-Za-z0-9-]{10,}|pypi-AgE[A-Za-z0-9_-]{16,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"
    r")(?![A-Za-z0-9])"
)
# A value of nothing but one long word of letters and digits: no setting looks like that, and many keys do.
_KEY = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9+/_-]{32,}={0,2}")


def is_secret_name(name: str) -> bool:
    """Tell whether a variable or parameter of that name is likely to hold a secret."""
    return _SECRET_NAME.search(name) is not None


def strip_credentials(url: str) -> str:
    """Give `url` without user, password, token path segments and secret-looking query parameters.

    A scheme prefix such as `git+` stays, and so does `git@` of an ssh URL: it names an account, not a secret. All
    else stays as it is written, whether it is a URL or not.
    """

    def without_user(match: re.Match[str]) -> str:
        before = url[: match.start()].lower()
        return "git@" if match.group(0) == "git@" and before.endswith("ssh://") else ""

    network, path = _split_at_path(_USERINFO.sub(without_user, url))
    bare, *rest = re.split(r"(?=[?#])", path, maxsplit=1)
    kept = _PARAMETERS.sub(_without_secrets, "".join(rest))
    return network + _TOKEN_SEGMENT.sub("", bare) + re.sub(r"[?#](?=[?#]|$)", "", kept)


def redact_text(text: str) -> str:
    """Give `text` with the credentials of every URL in it, and every known token, as `***`, for messages and logs."""

    def clean(match: re.Match[str]) -> str:
        hidden = _USERINFO.sub("***@", match.group(0))
        return _PARAMETERS.sub(_with_stars, _TOKEN_SEGMENT.sub("/t/***", hidden))

    return _TOKEN.sub("***", _URL_IN_TEXT.sub(clean, text))


def may_be_key(value: str) -> bool:
    """Tell whether a whole value looks like a key, of whatever service."""
    return _KEY.fullmatch(value) is not None


def holds_credentials(text: str) -> bool:
    """Tell whether `redact_text` would take anything out of `text`."""
    return redact_text(text) != text


def _split_at_path(url: str) -> tuple[str, str]:
    """Split before the path, so that a host is never taken for a segment of it."""
    match = re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]*", url)
    return (url[: match.end()], url[match.end() :]) if match else ("", url)


def _is_secret(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    plain = unquote(name)
    return bool(value) and (is_secret_name(plain) or _SECRET_PARAMETER.search(plain) is not None)


def _without_secrets(match: re.Match[str]) -> str:
    parameters = re.split(r"[&;]", match.group(0))
    kept = [parameter for parameter in parameters if not _is_secret(parameter)]
    return match.group(0) if len(kept) == len(parameters) else "&".join(kept)


def _with_stars(match: re.Match[str]) -> str:
    pieces = re.split(r"([&;])", match.group(0))
    return "".join(f"{piece.partition('=')[0]}=***" if _is_secret(piece) else piece for piece in pieces)
