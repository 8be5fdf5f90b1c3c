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
# As above, found by what is rare: files of many megabytes are searched. A `\\` begins an escape of JSON and programs.
_ADDRESS = re.compile(r"://([^/?#\s\"<>`\\]*@)?[^\s'\"<>`\\]*")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*\Z")
_SECRETS = "user|username|login|password|passwd|passwort|pass|pwd|pw|secret|token|api|access|key|pat|credentials?"
# A name in place of the value, or marks that only a template has.
_PLACEHOLDER = re.compile(
    rf"(?i)((your|my|the|some|a)?[-_]?({_SECRETS})([-_]?({_SECRETS})){{0,2}}([-_]?here)?\d?|x+|\*+|\.+|…|changeme)?"
    r"|\$.*|.*(\$[{(]|\{|\}|\[|%[(sd]|\*\*\*|\.\.\.).*"
)
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
# Hosts of private packages put a token among the segments: `/TOKEN/team/python/simple/`, `/priv/TOKEN/team/x.whl`.
# Elsewhere such a segment names a commit or a document, so only the addresses of indexes and of packages count.
_PACKAGE_PATH = re.compile(r"/(simple|\+simple|pypi)(/|$)|\.(whl|conda|tar\.(gz|bz2)|zip|egg)$")
_SEGMENT = re.compile(r"/([\w.~%+-]{16,})(?=/)", re.ASCII)
_HEX = re.compile(r"[0-9a-fA-F]{16,}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")  # names of projects and feeds, no secrets
_RUN = re.compile(r"[A-Za-z0-9]+")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_SHORTEST_RUN, _LONGEST_WORD = 10, 3.5  # characters: the words of a name are longer on average, those of chance shorter


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
    bare, rest = _split_at_parameters(path)
    kept = _PARAMETERS.sub(_without_secrets, rest)
    bare = _without_tokens(_TOKEN_SEGMENT.sub("", bare), instead="") if network else bare
    return network + bare + re.sub(r"[?#](?=[?#]|$)", "", kept)


def strip_index(url: str) -> str:
    """Give the address of an index as `strip_credentials` does, and without any segment that looks like a token."""
    network, path = _split_at_path(strip_credentials(url))
    bare, rest = _split_at_parameters(path)
    ends = bare if bare.endswith("/") else f"{bare}/"
    clean = _SEGMENT.sub(lambda match: "" if looks_random(match[1]) else match[0], ends) if network else ends
    return f"{network}{clean.removesuffix('/') if ends != bare else clean}{rest}"


def exposed_line(content: bytes) -> int | None:
    """Give the first line of a file with an address that holds a password or token, None where there is none.

    What stands in for one in documentation and templates does not count: `https://user:password@example.org`,
    `https://user:${TOKEN}@example.org`.
    """
    if b"://" not in content:
        return None
    text = content.decode("latin-1")
    for match in _ADDRESS.finditer(text):
        if _is_exposed(_with_scheme(text, match)):
            return text.count("\n", 0, match.start()) + 1
    return None


def strip_exposed(content: bytes) -> bytes:
    """Give a text file with the addresses that `exposed_line` looks for as `strip_credentials` gives them."""
    if exposed_line(content) is None:
        return content
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content
    return _URL_IN_TEXT.sub(
        lambda found: strip_credentials(found[0]) if _is_exposed(found[0]) else found[0], text
    ).encode()


def looks_random(word: str) -> bool:
    """Tell whether a word was drawn by chance rather than named by a person, as far as that can be told."""
    if len(word) < 16 or _UUID.fullmatch(word):
        return False
    run = max(_RUN.findall(word), key=len, default="")
    if len(run) < _SHORTEST_RUN or run.isdigit():
        return False
    if _HEX.fullmatch(run) and not run.isalpha():
        return True
    average = len(run) / len(_WORD.findall(run))
    return average < (_LONGEST_WORD if any(one.isdigit() for one in run) else 2.6)


def redact_text(text: str) -> str:
    """Give `text` with the credentials of every URL in it, and every known token, as `***`, for messages and logs."""

    def clean(match: re.Match[str]) -> str:
        network, path = _split_at_path(_USERINFO.sub("***@", match.group(0)))
        bare, rest = _split_at_parameters(path)
        shown = _without_tokens(_TOKEN_SEGMENT.sub("/t/***", bare), instead="/***")
        return network + shown + _PARAMETERS.sub(_with_stars, _TOKEN_SEGMENT.sub("/t/***", rest))

    return _TOKEN.sub("***", _URL_IN_TEXT.sub(clean, text))


def may_be_key(value: str) -> bool:
    """Tell whether a whole value looks like a key, of whatever service."""
    return _KEY.fullmatch(value) is not None


def holds_credentials(text: str) -> bool:
    """Tell whether `redact_text` would take anything out of `text`."""
    return redact_text(text) != text


def _with_scheme(text: str, match: re.Match[str]) -> str:
    scheme = _SCHEME.search(text[max(0, match.start() - 20) : match.start()])
    return (scheme[0] if scheme else "x") + match[0]


def _is_exposed(url: str) -> bool:
    """Tell whether an address in a file holds what must be taken for a real password or token."""
    network, path = _split_at_path(url)
    userinfo, at, host = network.partition("://")[2].rpartition("@")
    user, _, password = userinfo.partition(":")
    is_login = bool(at) and re.match(r"[\w\[]", host) is not None
    if is_login and password in {"", "x-oauth-basic"}:
        return looks_random(user)  # a name alone is none
    if is_login and password != user and _PLACEHOLDER.fullmatch(password) is None:
        return True
    bare, _ = _split_at_parameters(path)
    channel = any(looks_random(segment.removeprefix("/t/")) for segment in _TOKEN_SEGMENT.findall(bare))
    return channel or _without_tokens(bare, instead="") != bare


def _split_at_path(url: str) -> tuple[str, str]:
    """Split before the path, so that a host is never taken for a segment of it."""
    match = re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]*", url)
    return (url[: match.end()], url[match.end() :]) if match else ("", url)


def _split_at_parameters(path: str) -> tuple[str, str]:
    bare, *rest = re.split(r"(?=[?#])", path, maxsplit=1)
    return bare, "".join(rest)


def _without_tokens(path: str, *, instead: str) -> str:
    """Give the path of an index or a package without tokens; a digest in front of a file's name is none."""
    if _PACKAGE_PATH.search(path) is None:
        return path
    last = path.rfind("/")

    def clean(match: re.Match[str]) -> str:
        is_digest = match.end() == last and not path.endswith("/") and _HEX.fullmatch(match[1]) is not None
        return match[0] if is_digest or not looks_random(match[1]) else instead

    return _SEGMENT.sub(clean, path)


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
