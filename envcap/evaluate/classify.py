"""What kind a file is that a run read or wrote: of environment, system, project, data. Looks at its times alone."""

import os
import re
from collections.abc import Collection, Iterable, Mapping

from envcap.model.observed import Observed
from envcap.model.struct import Data

_SYSTEM = ("/usr/", "/etc/", "/lib/", "/lib64/", "/bin/", "/sbin/", "/var/", "/run/", "/opt/", "/snap/", "/nix/")
_TEMPORARY = ("/tmp/", "/var/tmp/", "/dev/shm/")  # noqa: S108  (names, not places to write to)
# Made again wherever they are missing; models and data sets in the same place are data.
_CACHES = re.compile(
    r"/(__pycache__|\.cache/(matplotlib|fontconfig|pip|uv|mesa_shader_cache|torch/kernels|numba)|\.config|\.nv"
    r"|\.triton|\.git|\.envcap)(/|$)|\.pyc$|/(site|dist)-packages/[^/]+\.pth$|/torchinductor_[^/]+/"
)
# Here people put data too: what belongs to no package of the operating system is theirs.
_SHARED = re.compile(r"/(opt|srv|usr/local|usr/share|var)/")
# Made by the system itself or by its installers, so that no package lists it; or a program, not what one reads.
_GENERATED = re.compile(
    r"/usr/(local/)?share/(applications|bash-completion|ca-certificates|doc|fonts|glib-2\.0|icons|info|locale|man|mime|perl"
    r"|terminfo|texmf|zoneinfo)/|/var/(cache|log|run|lock|spool|mail|backups)/"
    r"|/var/lib/(apt|dbus|dpkg|misc|pam|systemd|ucf|texmf|fontconfig|ca-certificates|containers|docker|nvidia|rpm)/"
    r"|/usr/local/(s?bin|etc|include|lib/(python|pkgconfig|cmake)|cuda[^/]*)/|/opt/(rocm|nvidia|intel)[^/]*/|/s?bin/[^/]+$"
    r"|\.cache$"
)
# What every base has for itself, or what follows a setting that is recorded elsewhere.
_BASE = re.compile(
    r"/usr/share/(base-files|bash-completion|ca-certificates|common-licenses|doc|dpkg|gcc|i18n|icons|info|keyrings|locale|man"
    r"|mime|perl[^/]*|python[^/]*|tabset|terminfo|zoneinfo|X11/locale)/"
    r"|/usr/lib/(locale|mime|os-release|perl[^/]*|python[^/]*|ssl|systemd|terminfo|gcc|[^/]+/(gconv|perl[^/]*|gio))(/|$)"
    r"|\.so(\.[0-9.]+)?$|\.(cache|pyc?|h|o|a)$"
)
_OF_PACKAGES = ("/usr/share/", "/usr/lib/", "/opt/", "/srv/", "/var/lib/", "/usr/local/")
_INDEX_OF_FONTS = re.compile(r"/matplotlib/fontlist[^/]*$")


class Ground(Data, frozen=True, kw_only=True):
    """What a path is held against: real folders, the last two with a slash at the end, and what packages own."""

    project: str
    environment: tuple[str, ...]
    temporary: str
    owned: frozenset[str] | None = None  # of the files that `may_be_owned`; None where no database of packages is


def classify(path: str, ground: Ground, *, made: bool) -> str:
    """Say what a file is: `environment`, `cache`, `project`, `temporary`, `system` or `data`. Paths are real ones.

    `made` tells that the run made or changed it, so that it is no input.
    """
    if path.startswith(ground.environment):
        return "environment"
    if _CACHES.search(path):
        return "cache"
    if path.startswith(f"{ground.project}/"):
        return "project"
    if made and path.startswith((*_TEMPORARY, f"{ground.temporary}/")):
        return "temporary"
    if path.startswith(_SYSTEM) and not path.startswith(_TEMPORARY):
        unknown = ground.owned is None or path in ground.owned
        if unknown or _SHARED.match(path) is None or _GENERATED.search(path):
            return "system"
    return "temporary" if made else "data"


def is_made(path: str, observed: Observed) -> bool:
    """Tell whether a file was made or changed since the watch began, or is gone."""
    try:
        return os.stat(path).st_ctime >= observed.since  # noqa: PTH116
    except OSError:
        return True


def may_be_owned(observed: Observed, ground: Ground) -> list[str]:
    """List what was read outside the environment and the project, where packages of the operating system put files."""
    outside = (*ground.environment, f"{ground.project}/")
    return [path for path in observed.read if path.startswith(_OF_PACKAGES) and not path.startswith(outside)]


def read_of_packages(observed: Observed, owner: Mapping[str, str], candidates: Iterable[str]) -> dict[str, str]:
    """Give the packages whose files a run read as data, each with the first of its files; not what every base has.

    A run that made matplotlib's index of fonts has read every font of the machine, and used few.
    """
    indexed = any(map(_INDEX_OF_FONTS.search, observed.written))
    found: dict[str, str] = {}
    for path in sorted(candidates):
        if path in owner and not _BASE.search(path) and not (indexed and "/fonts/" in path):
            found.setdefault(owner[path], path)
    return found


def count_read(observed: Observed, ground: Ground, inputs: Collection[str]) -> dict[str, int]:
    """Count the files that were read by kind; of byte code its source counts, which a first run reads instead.

    `inputs` are the real paths of what is declared: all below them is data.

    Not counted is what differs from one freeze to the next: what is made anew, and what was seen by chance.
    """
    kinds: dict[str, set[str]] = {}
    held = set(observed.held)
    for path in observed.read:
        source = source_of(path)
        if path in held or not os.path.isfile(source):  # noqa: PTH113
            continue
        declared = any(path == one or path.startswith(f"{one}/") for one in inputs)
        kind = "data" if declared else classify(source, ground, made=is_made(source, observed))
        kinds.setdefault(kind, set()).add(source)
    return {kind: len(kinds[kind]) for kind in ("environment", "system", "project", "data") if kind in kinds}


def source_of(path: str) -> str:
    """Give the source of a file of byte code (PEP 3147), and any other path as it is."""
    folder, name = os.path.split(path)
    parent, cache = os.path.split(folder)
    return os.path.join(parent, f"{name.split('.')[0]}.py") if cache == "__pycache__" else path  # noqa: PTH118
