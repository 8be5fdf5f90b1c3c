"""Puts conda archives into place in the first stage of an image. Runs there, apart from envcap, without a network.

`conda.json` beside it says what to install and where. Every archive is checked before the installer sees it: py-rattler
does not check files that it is given by path.
"""

import asyncio
import csv
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from rattler import BuildString, PackageRecord, RepoDataRecord, install

HERE = Path(__file__).resolve().parent
EPOCH = 315532800  # 1980-01-01: the same archives give the same layer
RECORDS = "conda-meta"
# conda itself compiles what is the same for every Python. quiet=2: packages ship files for other Pythons.
COMPILE = """
import compileall, sysconfig
mode = getattr(compileall, "PycInvalidationMode", None)
options = {"invalidation_mode": mode.UNCHECKED_HASH} if mode else {}
compileall.compile_dir(sysconfig.get_paths()["purelib"], quiet=2, **options)
"""


def require_unchanged(entry: dict[str, Any], path: Path) -> None:
    """Raise ValueError unless the archive has the sha256 that was frozen."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    if digest.hexdigest() != entry["sha256"]:
        raise ValueError(f"{path.name} has the sha256 {digest.hexdigest()}, and {entry['sha256']} was frozen")


def record_of(entry: dict[str, Any], path: Path) -> RepoDataRecord:
    """Give the record that the installer takes, with all that a later solve asks of it."""
    record = PackageRecord(
        name=entry["name"],
        version=entry["version"],
        build=BuildString.new_unchecked(entry["build"]),
        build_number=entry["build_number"],
        subdir=entry["subdir"],
        noarch=entry["noarch"],
        depends=entry["depends"],
        constrains=entry["constrains"],
        sha256=bytes.fromhex(entry["sha256"]),
        md5=bytes.fromhex(entry["md5"]) if entry["md5"] else None,
        size=entry["size"],
        python_site_packages_path=entry["site"],
    )
    return RepoDataRecord(record, entry["file"], path.as_uri(), entry["channel"])


def tidy(prefix: Path, entries: list[dict[str, Any]]) -> None:
    """Let each record say where its archive really comes from, and nothing of this place."""
    by_name = {entry["name"]: entry for entry in entries}
    for path in sorted((prefix / RECORDS).glob("*.json")):
        record = json.loads(path.read_bytes())
        entry = by_name[record["name"]]
        for key in ("extracted_package_dir", "package_tarball_full_path", "link"):
            record.pop(key, None)
        record.update(url=entry["url"], channel=entry["channel"], fn=entry["file"])
        record.update(requested_specs=entry["requested"], requested_spec=(entry["requested"] or [None])[0])
        path.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")


def take_out(prefix: Path, names: list[str]) -> None:
    """Remove the distributions that pip's packages take the place of, as pip would: by their lists of files."""
    for site in sorted(prefix.glob("lib/python3*/site-packages")):
        for information in sorted([*site.glob("*.dist-info"), *site.glob("*.egg-info")]):
            name = re.sub(r"[-_.]+", "-", information.stem.partition("-")[0]).lower()
            files = files_of(information) if name in names else None
            if files is None:
                continue
            for file in files:
                if prefix in file.parents and not file.is_dir():
                    file.unlink(missing_ok=True)
                    for made in file.parent.glob(f"__pycache__/{glob.escape(file.stem)}.*.pyc"):
                        made.unlink()
            if information.is_dir():
                shutil.rmtree(information)
            else:
                information.unlink()


def files_of(information: Path) -> list[Path] | None:
    """Give the files of a distribution that pip would remove, None where it would remove nothing of it.

    Source: PEP 376 for RECORD; pip's `UninstallPathSet.from_dist` for what setuptools and distutils leave.
    """
    site = information.parent
    if (information / "RECORD").is_file():
        with (information / "RECORD").open(newline="", encoding="utf-8") as rows:
            return [Path(os.path.normpath(site / row[0])) for row in csv.reader(rows) if row]
    if (information / "installed-files.txt").is_file():
        lines = (information / "installed-files.txt").read_text(encoding="utf-8").splitlines()
        return [Path(os.path.normpath(information / line)) for line in lines if line]
    if information.suffix == ".dist-info":
        return None
    if not (information / "top_level.txt").is_file():
        return []  # the metadata alone, which pip leaves in place only where it installs nothing
    found: list[Path] = []
    for top in (information / "top_level.txt").read_text(encoding="utf-8").split():
        found += [site / f"{top}.py", *site.glob(f"{glob.escape(top)}.*.so"), *(site / top).rglob("*")]
    return found


def put_back(edits: Path, prefix: Path) -> None:
    """Lay the files that were changed after the installation over the installed ones, with their times."""
    for folder, _, files in os.walk(edits):
        target = prefix / Path(folder).relative_to(edits)
        target.mkdir(parents=True, exist_ok=True)
        for name in files:
            (target / name).unlink(missing_ok=True)
            shutil.copy2(Path(folder, name), target / name, follow_symlinks=False)


def compile_modules(prefix: Path) -> None:
    """Make the byte code that no archive has, in one process: what another has loaded changes how it is written."""
    python = prefix / "bin" / "python"
    if python.exists():
        environ = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
        subprocess.run([python, "-s", "-S", "-B", "-c", COMPILE], env=environ, cwd=prefix, check=False)


def move_out(prefix: Path, root: Path) -> None:
    """Move the prefix below `root`, where the folders above it are as they are here: so one step copies them all.

    Builders give a folder that they make for what they copy the present time.
    """
    above = root.joinpath(*prefix.parts[1:-1])
    above.mkdir(parents=True)
    shutil.move(str(prefix), str(above / prefix.name))
    for folder in (above, *above.parents):
        if root not in (folder, *folder.parents):
            break
        here = Path("/", folder.relative_to(root))
        # The plain user of the evaluation must come through, also where it is the home of root.
        folder.chmod(here.stat().st_mode & 0o7777 | 0o111)
        os.chown(folder, here.stat().st_uid, here.stat().st_gid)
        os.utime(folder, (EPOCH, EPOCH))


def settle(prefix: Path, *, started: float) -> None:
    """Let everybody read every file, and give one time to all that was made here.

    Files that came as they are keep their time: byte code beside them states it.
    """
    for folder, folders, files in os.walk(prefix, topdown=False):
        for name in (*files, *folders):
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
            if path.is_dir() or path.lstat().st_mtime >= started:
                os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)
    prefix.chmod(prefix.stat().st_mode | 0o555)
    os.utime(prefix, (EPOCH, EPOCH))


def main() -> None:
    """Check, install, tidy up."""
    plan = json.loads((HERE / "conda.json").read_bytes())
    prefix = Path(plan["prefix"])
    started = time.time() - 1.0  # a file system may count in coarser steps than the clock
    records = []
    for entry in plan["packages"]:
        path = HERE / "conda" / entry["file"]
        require_unchanged(entry, path)
        records.append(record_of(entry, path))
    prefix.mkdir(parents=True)
    work = install(
        records,
        prefix,
        cache_dir=HERE / "cache",
        execute_link_scripts=bool(plan["link_scripts"]),
        show_progress=False,
    )
    asyncio.run(work)
    tidy(prefix, plan["packages"])
    take_out(prefix, plan["replaced"])
    put_back(HERE / "edits", prefix)
    settle(prefix, started=started)  # before compiling, which for old Pythons states the time of the source
    compile_modules(prefix)
    settle(prefix, started=started)
    move_out(prefix, Path(plan["root"]))


if __name__ == "__main__":
    main()
