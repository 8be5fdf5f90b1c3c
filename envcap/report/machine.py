"""What a lock says of the machine around the packages, as lines and tables. Model in, strings out."""

from msgspec.structs import asdict

from envcap.cuda import stack_of
from envcap.model.lock import Executable, Library, Lock, WatchedFiles
from envcap.report.table import table_lines
from envcap.surroundings import machine_contents

_KINDS = {"environment": "the environment", "system": "the system", "project": "the project", "data": "other data"}


def around_lines(lock: Lock) -> dict[str, str]:
    """Give the lines of the summary, only those that have something to say."""
    outside = [item for item in lock.libraries if not item.interpreter and item.seen != "absent"]
    absent = [item.name for item in lock.libraries if item.seen == "absent"]
    lines = {}
    if outside:
        loaded = sum(item.seen != "linked" for item in outside)
        text = f"{len(outside)} of the system, {loaded} of them loaded"
        if lock.floor.glibc:
            text += f"; packages need glibc {lock.floor.glibc}"
        lines["libraries"] = text + (f"; {len(absent)} named by optional parts are not there" if absent else "")
    used = [copy for copy in lock.hardware.gpu_libraries if copy.loaded]
    if used:
        lines["gpu stack"] = ", ".join(f"{copy.name} {copy.version or 'of unknown version'}" for copy in used)
    lines |= _cuda(lock)
    if lock.watched != WatchedFiles():
        read = ", ".join(f"{count:,} of {_KINDS.get(kind, kind)}" for kind, count in lock.watched.read.items())
        written = f"; written beside the outputs: {', '.join(lock.watched.written)}" if lock.watched.written else ""
        lines["files"] = f"read: {read or 'none'}{written}"
    if lock.seeds:
        lines["seeds"] = f"set by {len(lock.seeds)} call{'s' if len(lock.seeds) > 1 else ''} in the code"
    if lock.executables:
        lines["programs"] = ", ".join(dict.fromkeys(item.name for item in lock.executables))
    if lock.os_packages is not None and lock.os_packages.packages:
        names = ", ".join(package.name for package in lock.os_packages.packages)
        lines["os-packages"] = f"{len(lock.os_packages.packages)} to install on the base: {names}"
    if lock.os_packages is not None and lock.os_packages.locales:
        lines["locales"] = f"to compile in the image: {', '.join(lock.os_packages.locales)}"
    return lines


def _cuda(lock: Lock) -> dict[str, str]:
    """Say where the image has its CUDA from, and why; nothing for an environment without."""
    toolkit = lock.toolkit
    if toolkit is not None:
        names, image = ", ".join(toolkit.libraries), toolkit.image
        source = f"{image.reference}@{(image.digest or '')[:19]}…"
        return {"cuda": f"{toolkit.release} of the system is used: {names}, which the image takes from {source}"}
    stack = stack_of(lock)
    return {"cuda": f"{stack.cuda}, which the packages bring along ({stack.told_by})"} if stack is not None else {}


def around_tables(lock: Lock) -> list[str]:
    """Give the tables of libraries and programs, and of the OS packages that the image gets."""
    machine = machine_contents(lock.python, lock.system, lock.hardware)
    facts = [(f"{area} {subject}", value) for area, subjects in machine.items() for subject, value in subjects.items()]
    facts += [(f"limit {name}", value) for name, value in lock.system.limits.items()]
    facts += [(f"variable {name}", value) for name, value in lock.system.environment.items()]
    numerics = {"numpy features": " ".join(lock.numerics.features), **lock.numerics.settings}
    facts += [(f"numerics {name}", value) for name, value in numerics.items() if value]
    facts += [(f"floor {name}", version) for name, version in asdict(lock.floor).items() if version]
    lines = ["", *table_lines(("fact", "value"), facts)]
    rows = [(item.name, "started", _owner(item), "") for item in lock.executables]
    rows += [
        (item.name, item.seen, _owner(item), ", ".join(item.needed_by))
        for item in lock.libraries
        if not item.interpreter
    ]
    if rows:
        lines += ["", *table_lines(("library or program", "seen", "OS package", "needed by"), rows)]
    computing = [
        (one.name, one.version or "unknown", one.kernel, str(one.threads or ""), one.path)
        for one in lock.numerics.libraries
    ]
    if computing:
        lines += ["", *table_lines(("BLAS or OpenMP library", "version", "kernel", "threads", "where"), computing)]
    copies = [
        (copy.name, copy.version or "unknown", "loaded" if copy.loaded else "", copy.path)
        for copy in lock.hardware.gpu_libraries
    ]
    if copies:
        lines += ["", *table_lines(("GPU library", "version", "seen", "where"), copies)]
    if lock.settings:
        lines += ["", *table_lines(("setting at the end of the runs", "value"), lock.settings.items())]
    if lock.watched.undeclared:
        lines += ["", *table_lines(("read and not declared",), [(path,) for path in lock.watched.undeclared])]
    if lock.seeds:
        places = [(f"{seed.file}:{seed.line}", seed.call) for seed in lock.seeds]
        lines += ["", *table_lines(("seed set at", "by"), places)]
    packages = [] if lock.os_packages is None else lock.os_packages.packages
    if packages:
        cells = [(item.name, item.version, item.architecture, item.why) for item in packages]
        lines += ["", *table_lines(("installed on the base", "version", "architecture", "why"), cells)]
    return lines


def _owner(item: Library | Executable) -> str:
    return f"{item.package} {item.version}" if item.package else ""
