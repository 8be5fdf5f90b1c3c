"""Which files belong to a distribution without a RECORD, by each list that there can be."""

from pathlib import Path

from envcap.pins.debian import InstalledByDpkg
from envcap.pins.listing import list_files
from envcap.pins.unlisted import with_requirements


def write(folder: Path, *names: str, text: str = "") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def nobody(folder: Path) -> InstalledByDpkg:
    return InstalledByDpkg(folder / "no-lists")


def test_dpkgs_list_with_a_script_and_files_elsewhere(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "dist-packages"
    write(site, "demo/__init__.py", "demo-1.egg-info/PKG-INFO", "demo/__pycache__/x.pyc", "other.py")
    write(tmp_path, "share/demo.dat")
    write(tmp_path, "bin/demo", text="#!/usr/bin/python3\n")
    names = ["demo", "demo/__init__.py", "demo/__pycache__/x.pyc", "demo-1.egg-info", "demo-1.egg-info/PKG-INFO"]
    paths = [*(f"{site}/{name}" for name in names), f"{tmp_path}/share/demo.dat", f"{tmp_path}/bin/demo"]
    write(tmp_path, "lists/python3-demo.list", text="\n".join(["/.", *paths, ""]))
    listing = list_files(site / "demo-1.egg-info", dpkg=InstalledByDpkg(tmp_path / "lists"), owned=frozenset())
    assert listing is not None
    assert list(listing.files) == ["demo/__init__.py"]
    assert listing.scripts == [tmp_path / "bin" / "demo"]
    assert listing.outside == [f"{tmp_path}/share/demo.dat"]


def test_a_dpkg_package_with_two_distributions_is_shared_out_by_top_level(tmp_path: Path) -> None:
    site = tmp_path / "dist-packages"
    write(site, "one.py", "two/a.py", "one-1.egg-info/PKG-INFO", "two-1.egg-info/PKG-INFO")
    write(site, "one-1.egg-info/top_level.txt", text="one\n")
    names = ["one.py", "two/a.py", "one-1.egg-info", "two-1.egg-info"]
    write(tmp_path, "lists/both.list", text="\n".join(f"{site}/{name}" for name in names))
    dpkg = InstalledByDpkg(tmp_path / "lists")
    first = list_files(site / "one-1.egg-info", dpkg=dpkg, owned=frozenset())
    assert first is not None
    assert list(first.files) == ["one.py"]
    assert list_files(site / "two-1.egg-info", dpkg=dpkg, owned=frozenset()) is None


def test_top_level_leaves_out_what_others_own_and_links_that_lead_out(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    write(site, "space/mine.py", "space/theirs.py", "fast.cpython-311.so", "demo.egg-info/PKG-INFO")
    write(site, "demo.egg-info/top_level.txt", text="space\nfast\n../outside\n")
    write(tmp_path, "outside.py", "secret")
    (site / "space" / "link.py").symlink_to(tmp_path / "secret")
    owned = frozenset([str(site / "space" / "theirs.py")])
    listing = list_files(site / "demo.egg-info", dpkg=nobody(tmp_path), owned=owned)
    assert listing is not None
    assert list(listing.files) == ["fast.cpython-311.so", "space/mine.py"]


def test_an_egg_and_a_legacy_install(tmp_path: Path) -> None:
    egg = tmp_path / "demo-1-py3.11.egg"
    write(egg, "demo.py", "EGG-INFO/PKG-INFO", "EGG-INFO/scripts/run")
    listing = list_files(egg / "EGG-INFO", dpkg=nobody(tmp_path), owned=frozenset())
    assert listing is not None
    assert (list(listing.files), listing.scripts) == (["demo.py"], [egg / "EGG-INFO" / "scripts" / "run"])
    write(tmp_path, "old.py", "old.egg-info/PKG-INFO")
    write(tmp_path, "old.egg-info/installed-files.txt", text="../old.py\nPKG-INFO\n")
    listing = list_files(tmp_path / "old.egg-info", dpkg=nobody(tmp_path), owned=frozenset())
    assert listing is not None
    assert list(listing.files) == ["old.py"]


def test_without_any_list_there_is_none(tmp_path: Path) -> None:
    write(tmp_path, "old.py", "old.egg-info")
    assert list_files(tmp_path / "old.egg-info", dpkg=nobody(tmp_path), owned=frozenset()) is None


def test_requirements_are_added_to_the_headers_where_there_are_none() -> None:
    told = b"Metadata-Version: 1.0\nName: x\nVersion: 1\n\nText: y\n"
    added = b"Metadata-Version: 1.0\nName: x\nVersion: 1\nRequires-Dist: six>=1\n\nText: y\n"
    assert with_requirements(told, ["six>=1"]) == added
    assert with_requirements(added, ["other"]) == added
    assert with_requirements(told[:-9], ["six>=1"]).endswith(b"\nRequires-Dist: six>=1\n")
