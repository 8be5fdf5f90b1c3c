"""What the distribution's archive has of the packages that an image needs: asked through apt, which knows its sources.

The functions that take text are pure; the others start programs.
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from envcap.errors import NotRunError
from envcap.machine.closure import missing_packages, unmet_packages
from envcap.machine.debian import Installed, paragraphs
from envcap.model.gap import Gap
from envcap.model.lock import OsPackage
from envcap.model.struct import Data
from envcap.process import capture
from envcap.redact import strip_credentials

_PURPOSE = "Asking the archive for a package"
_LINE = re.compile(r"'(?P<url>[^']+)' (?P<file>\S+) (?P<size>[0-9]+) SHA256:(?P<sha256>[0-9a-f]{64})")
_MOST_ROUNDS = 5  # a package that moved on may depend on newer ones, and they again


class Offered(Data, frozen=True, kw_only=True):
    """One file of the archive, not downloaded. The address is without credentials."""

    name: str
    version: str
    architecture: str
    file: str
    size: int
    sha256: str
    url: str


def resolve_packages(
    wanted: Mapping[str, str],
    *,
    host: Mapping[str, Installed],
    base: Mapping[str, Installed],
    environ: Mapping[str, str],
) -> tuple[list[OsPackage], list[Gap]]:
    """Give the exact files that the image gets on top of its base, in the order in which they can be installed.

    A package that the archive no longer has at the captured version is taken at its present one, which is a Gap; one
    that no archive has at all is a Gap too.
    """
    known = dict(host)
    offered: dict[str, Offered | None] = {}
    for _ in range(_MOST_ROUNDS):
        chosen = missing_packages(wanted, host=known, base=base)
        unasked = [name for name in chosen if name not in offered]
        try:
            offered.update(_ask(unasked, known, environ))
        except NotRunError as error:
            return [], [_no_archive(chosen, error.message)] if chosen else []
        if not unasked:
            break
    packages, gaps = [], []
    refused = unmet_packages([name for name in chosen if offered.get(name)], known=known, base=base)
    for name, why in chosen.items():
        offer = offered.get(name)
        captured = host[name].version
        if offer is None:
            gaps.append(_nowhere(name, captured))
            continue
        if name in refused:
            gaps.append(_unmet(name, refused[name]))
            continue
        if offer.version != captured:
            gaps.append(_moved_on(name, captured, offer.version))
        packages.append(
            OsPackage(
                name=name,
                version=offer.version,
                architecture=offer.architecture,
                file=offer.file,
                sha256=offer.sha256,
                size=offer.size,
                url=offer.url,
                why=why,
            )
        )
    return packages, gaps


def with_candidates(
    names: Sequence[str], host: Mapping[str, Installed], environ: Mapping[str, str]
) -> dict[str, Installed]:
    """Give the host's packages, and those of `names` that it lacks as its archive would install them."""
    lacking = [name for name in names if name not in host]
    if not lacking:
        return dict(host)
    try:
        held = read_records(_apt(["apt-cache", "show", *lacking], environ))
        candidates = read_candidates(_apt(["apt-cache", "policy", *lacking], environ))
    except NotRunError:  # no apt: what asks for the files tells so
        return dict(host)
    return {**host, **{name: held[name, version] for name, version in candidates.items() if (name, version) in held}}


def _ask(names: Sequence[str], known: dict[str, Installed], environ: Mapping[str, str]) -> dict[str, Offered | None]:
    """Ask for all of them in three calls: each start of apt may read its lists anew, which takes seconds.

    A package that moved on is entered into `known` as it is now.
    """
    if not names:
        return {}
    held = read_records(_apt(["apt-cache", "show", *names], environ))
    candidates = read_candidates(_apt(["apt-cache", "policy", *names], environ))
    wishes: dict[str, str] = {}
    for name in names:
        now = held.get((name, candidates.get(name, "")))
        if (name, known[name].version) in held:
            wishes[name] = known[name].version
        elif now is not None:
            wishes[name] = now.version
            known[name] = now
    words = [f"{name}={version}" for name, version in wishes.items()]
    addresses = read_addresses(_apt(["apt-get", "download", "--print-uris", "-qq", *words], environ)) if words else {}
    offers = {name: addresses.get(name) for name in names}
    return {name: offer if offer and offer.version == wishes.get(name) else None for name, offer in offers.items()}


def _apt(command: Sequence[str], environ: Mapping[str, str]) -> str:
    done = capture(command, purpose=_PURPOSE, env={**environ, "LC_ALL": "C"}, check=False)
    return done.stdout.decode(errors="replace")


def read_records(text: str) -> dict[tuple[str, str], Installed]:
    """Give the packages that `apt-cache show` tells, by name and version: those that can be downloaded."""
    found = {}
    for fields in paragraphs(text):
        if fields.get("Filename") and fields.get("Package"):
            package = Installed(
                name=fields["Package"],
                version=fields.get("Version", ""),
                architecture=fields.get("Architecture", ""),
                depends=", ".join(filter(None, (fields.get("Pre-Depends"), fields.get("Depends")))),
                provides=fields.get("Provides", ""),
            )
            found[package.name, package.version] = package
    return found


def read_candidates(text: str) -> dict[str, str]:
    """Give the version of each package that `apt-cache policy` says would be installed."""
    return dict(
        re.findall(r"^([a-z0-9][a-z0-9+.-]*)(?::[a-z0-9]+)?:\n(?: {2}.*\n)*? {2}Candidate: (\S+)$", text, re.MULTILINE)
    )


def read_addresses(text: str) -> dict[str, Offered]:
    """Read what `apt-get download --print-uris` says, by package; lines of another form or a weak digest are no offer.

    A file's name holds the version, with a `:` written as `%3a`.
    """
    found = {}
    for match in _LINE.finditer(text):
        stem, _, kind = match["file"].rpartition(".")
        parts = stem.split("_")
        if kind == "deb" and len(parts) == 3:
            found[parts[0]] = Offered(
                name=parts[0],
                version=unquote(parts[1]),
                architecture=parts[2],
                file=match["file"],
                size=int(match["size"]),
                sha256=match["sha256"],
                url=strip_credentials(match["url"]),
            )
    return found


def _no_archive(names: Mapping[str, str], reason: str) -> Gap:
    return Gap(
        where="os-packages",
        subject=", ".join(names),
        reason=f"the archive cannot be asked: {reason}",
        consequence="they are not in the image, and the evaluation will miss them there",
    )


def _nowhere(name: str, version: str) -> Gap:
    return Gap(
        where="os-packages",
        subject=name,
        reason=f"no archive that apt knows has {version} or another version (its lists may be old: `apt-get update`)",
        consequence="it is not in the image, and the evaluation will miss it there",
    )


def _unmet(name: str, missing: str) -> Gap:
    return Gap(
        where="os-packages",
        subject=name,
        reason=f"it depends on {missing}, which neither the base nor the archive has in a version that it takes",
        consequence="it is left out, because the build would fail with it, and the evaluation will miss it there",
    )


def _moved_on(name: str, captured: str, current: str) -> Gap:
    return Gap(
        where="os-packages",
        subject=name,
        reason=f"the archive no longer has {captured}, which is installed here; it has {current}",
        consequence=f"the image gets {current}; the archive's dated snapshot from before the change has {captured}",
    )
