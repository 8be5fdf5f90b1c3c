"""The cases of the matrix: how a distribution can have come into an environment, and what must become of it.

A new origin is one function and one entry of a table.
"""

import shutil
from collections.abc import Callable, Mapping
from typing import NamedTuple

from pypi_simple import PYPI_SIMPLE_ENDPOINT

from tests.integration.workshop import UV, Workshop


class Case(NamedTuple):
    """One origin: `packages` must be in the image with these versions, `gaps` (subject, words of a reason) in the lock.

    `carried` are those of them that no index vouches for; `imports` are imported by the evaluation.
    """

    name: str
    make: Callable[[Workshop], None]
    packages: Mapping[str, str] = {}
    carried: frozenset[str] = frozenset()
    gaps: frozenset[tuple[str, str]] = frozenset()
    imports: tuple[str, ...] = ()


def case(
    name: str,
    make: Callable[[Workshop], None],
    packages: str = "",
    *,
    carried: str = "",
    gaps: tuple[tuple[str, str], ...] = (),
    imports: str = "",
) -> Case:
    """Write a Case in short: words in place of collections. What is carried has a gap that says so."""
    versions = dict(word.split("==") for word in packages.split())
    said = [(f"{word}=={versions[word]}", "") for word in carried.split() if word not in dict(gaps)]
    return Case(
        name=name,
        make=make,
        packages={word.lower().replace("_", "-").replace(".", "-"): version for word, version in versions.items()},
        carried=frozenset(word.lower().replace("_", "-") for word in carried.split()),
        gaps=frozenset([*gaps, *said]),
        imports=tuple(imports.split()),
    )


def by_poetry(shop: Workshop) -> None:
    folder = shop.folder / "by-poetry"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[tool.poetry]\nname = "x"\nversion = "0"\ndescription = ""\nauthors = []\npackage-mode = false\n'
        '[tool.poetry.dependencies]\npython = "^3.9"\ntoolz = "0.12.1"\n'
        f'[[tool.poetry.source]]\nname = "index"\nurl = "{PYPI_SIMPLE_ENDPOINT}"\npriority = "primary"\n'
    )
    shop.run(shop.tool("poetry"), "install", "--no-interaction", "--quiet", cwd=folder)


def by_pdm(shop: Workshop) -> None:
    folder = shop.folder / "by-pdm"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "x"\nversion = "0"\nrequires-python = ">=3.9"\ndependencies = ["tabulate==0.9.0"]\n'
        "[tool.pdm]\ndistribution = false\n"
    )
    shop.run(shop.tool("pdm"), "use", "--quiet", "--first", shop.python, cwd=folder)
    shop.run(shop.tool("pdm"), "install", "--quiet", "--no-self", cwd=folder, PDM_CHECK_UPDATE="0")


def direct_url(shop: Workshop) -> None:
    wheel = shop.wheel("direct", "1.0", folder="served")
    shop.pip(f"{shop.url}/{wheel.name}")


def local_wheel(shop: Workshop) -> None:
    files = {
        "local-1.2.data/scripts/local-run": "#!python\nprint(7)\n",
        "local-1.2.data/data/share/local/table.csv": "a,b\n1,2\n",
        "local-1.2.dist-info/entry_points.txt": "[console_scripts]\nlocal-main = local:main\n",
    }
    shop.pip(shop.wheel("local", "1.2", files))


def vanished_wheel(shop: Workshop) -> None:
    files = {
        "vanished-1.2.data/scripts/vanished-run": "#!python\nprint(7)\n",
        "vanished-1.2.data/data/share/vanished/table.csv": "a,b\n1,2\n",
        "vanished-1.2.data/headers/vanished.h": "int vanished;\n",
        "vanished-1.2.dist-info/entry_points.txt": "[console_scripts]\nvanished-main = vanished:main\n",
    }
    wheel = shop.wheel("vanished", "1.2", files)
    shop.pip(wheel)
    wheel.unlink()


def built_from_source(shop: Workshop) -> None:
    shop.pip("--no-build-isolation", shop.source("built"))
    shop.uv("--no-build-isolation", shop.source("built_by_uv"))


def setup_install(shop: Workshop) -> None:
    folder = shop.source(
        "oldstyle",
        setup="scripts=['tool'], install_requires=['six'], entry_points={'console_scripts': ['oldmain=oldstyle:main']}",
    )
    shop.run(
        *(shop.python, "setup.py", "--quiet", "install", "--single-version-externally-managed"),
        *("--record", folder / "record.txt"),
        cwd=folder,
    )


def eggs(shop: Workshop) -> None:
    main = "entry_points={'console_scripts': ['eggmain=zippedegg:main']}"
    for name, setup in (("zippedegg", f"zip_safe=True, {main}"), ("openegg", "zip_safe=False, scripts=['tool']")):
        folder = shop.source(name, setup=setup)
        shop.run(shop.python, "setup.py", "--quiet", "install", cwd=folder)
    assert next(shop.site.glob("zippedegg*.egg")).is_file()
    assert next(shop.site.glob("openegg*.egg")).is_dir()


def egg_info_file_of_a_published(shop: Workshop) -> None:
    """As distutils wrote it: one file beside the modules, which lists nothing."""
    shutil.unpack_archive(shop.published("six==1.16.0"), shop.folder / "six", "zip")
    shutil.copy(shop.folder / "six" / "six.py", shop.site)
    (shop.site / "six-1.16.0.egg-info").write_text("Metadata-Version: 1.1\nName: six\nVersion: 1.16.0\n")


def egg_info_file_of_a_private(shop: Workshop) -> None:
    (shop.site / "envcap_matrix_private.py").write_text("VALUE = 7\n")
    (shop.site / "envcap_matrix_private-1.egg-info").write_text(
        "Metadata-Version: 1.0\nName: envcap_matrix_private\nVersion: 1\n"
    )


def namespaces(shop: Workshop) -> None:
    shop.pip("zope.event==4.6", "zope.deprecation==5.0")  # pkg_resources, with -nspkg.pth
    shop.pip("backports.tarfile==1.2.0")  # pkgutil
    common = {"spaced/__init__.py": "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"}
    shop.pip(shop.wheel("spaced_one", "1.0", {**common, "spaced/one.py": "", "lab/one.py": ""}))
    shop.pip(shop.wheel("spaced_two", "1.0", {**common, "spaced/two.py": "", "lab/two.py": ""}))  # lab/: PEP 420


def duplicates(shop: Workshop) -> None:
    folder = shop.folder / "older"
    shop.pip("--target", folder, "pluggy==1.4.0")
    shop.pip("pluggy==1.5.0")
    (shop.site / "older.pth").write_text(f"{folder}\n")  # behind site-packages


def half_uninstalled(shop: Workshop) -> None:
    shop.pip("colorama==0.4.6", "tomli==2.0.1")
    next(shop.site.glob("tomli-*.dist-info")).rename(shop.site / "~omli-2.0.1.dist-info")
    (shop.site / "tomli").rename(shop.site / "~omli")
    (shop.site / "colorama" / "win32.py").unlink()
    (shop.site / "ghost-1.0.dist-info").mkdir()


def no_record(shop: Workshop) -> None:
    shop.pip("typing_extensions==4.12.2", "idna==3.7")
    for info in (*shop.site.glob("typing_ext*.dist-info"), *shop.site.glob("idna-*.dist-info")):
        (info / "RECORD").unlink()
    with (shop.site / "idna" / "core.py").open("a") as file:
        file.write("# edited\n")


def no_version(shop: Workshop) -> None:
    info = shop.site / "unversioned-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: unversioned\n")
    (info / "RECORD").write_text("unversioned.py,,\nunversioned-1.0.dist-info/METADATA,,\n")
    (shop.site / "unversioned.py").write_text("")


def strays(shop: Workshop) -> None:
    (shop.site / "stray.py").write_text("VALUE = 7\n")
    (shop.site / "strays").mkdir()
    (shop.site / "strays" / "deep.py").write_text("VALUE = 7\n")
    (shop.site / "switch.pth").write_text("import sys; sys.matrix = 7\n")


def by_pth(shop: Workshop) -> None:
    folder = shop.folder / "by-pth"
    shop.pip("--target", folder, "pygments==2.18.0")  # it has a script, put into another folder than RECORD says
    (folder / "plain.py").write_text("VALUE = 7\n")
    (shop.site / "further.pth").write_text(f"{folder}\n")


def by_pythonpath(shop: Workshop) -> None:
    folder = shop.folder / "by-pythonpath"
    shop.pip("--target", folder, "toml==0.10.2")
    (folder / "bare").mkdir()
    (folder / "bare" / "module.py").write_text("VALUE = 7\n")
    shop.environ["PYTHONPATH"] = f"{folder}:{shop.environ.get('PYTHONPATH', '')}"


# One environment of pip and setuptools as `python -m venv` makes it, with all of these in it.
MANY = (
    case("pip", lambda shop: shop.pip("iniconfig==2.0.0"), "iniconfig==2.0.0", imports="iniconfig"),
    case("pip, compiled", lambda shop: shop.pip("markupsafe==2.1.5"), "markupsafe==2.1.5", imports="markupsafe"),
    case("uv", lambda shop: shop.uv("attrs==23.2.0"), "attrs==23.2.0", imports="attr"),
    case("poetry", by_poetry, "toolz==0.12.1", imports="toolz"),
    case("pdm", by_pdm, "tabulate==0.9.0", imports="tabulate"),
    case("direct URL", direct_url, "direct==1.0", imports="direct"),
    case("local wheel", local_wheel, "local==1.2", imports="local"),
    case("local wheel that is gone", vanished_wheel, "vanished==1.2", carried="vanished", imports="vanished"),
    case(
        "built from source",
        built_from_source,
        "built==1.0 built_by_uv==1.0",
        carried="built built_by_uv",
        imports="built built_by_uv",
    ),
    case(
        "setup.py install, one version",
        setup_install,
        "oldstyle==1.0",
        gaps=(("oldstyle==1.0", "top_level.txt"),),
        carried="oldstyle",
        imports="oldstyle OLDSTYLE",
    ),
    case(
        "easy_install",
        eggs,
        "zippedegg==1.0 openegg==1.0",
        carried="zippedegg openegg",
        imports="zippedegg openegg ZIPPEDEGG",
    ),
    case(
        "egg-info file, published",
        egg_info_file_of_a_published,
        "six==1.16.0",
        gaps=(("six==1.16.0", "no list of its files"),),
        imports="six",
    ),
    case(
        "egg-info file, private",
        egg_info_file_of_a_private,
        gaps=(("envcap_matrix_private==1", "no list of its files"), ("{site}", "envcap_matrix_private.py")),
    ),
    case(
        "namespace packages",
        namespaces,
        "zope.event==4.6 zope.deprecation==5.0 backports.tarfile==1.2.0 spaced_one==1.0 spaced_two==1.0",
        imports="zope.event zope.deprecation backports.tarfile spaced.one spaced.two lab.one lab.two",
    ),
    case("duplicates", duplicates, "pluggy==1.5.0", gaps=(("pluggy", "hides"),), imports="pluggy"),
    case(
        "half uninstalled",
        half_uninstalled,
        "colorama==0.4.6",
        carried="colorama",
        gaps=(
            ("colorama==0.4.6", "missing"),
            ("{site}/~omli-2.0.1.dist-info", "left it behind"),
            ("{site}/ghost-1.0.dist-info", "METADATA cannot be read"),
        ),
    ),
    case(
        "no RECORD",
        no_record,
        "typing_extensions==4.12.2 idna==3.7",
        carried="idna",
        gaps=(("idna==3.7", "other contents"), ("typing_extensions==4.12.2", "no list of its files")),
        imports="typing_extensions idna",
    ),
    case("no version", no_version, gaps=(("{site}/unversioned-1.0.dist-info", "no Version"),)),
    case("stray modules", strays, gaps=(("{site}", "`stray.py`, `strays`, `switch.pth`"),)),
    case(".pth", by_pth, "pygments==2.18.0", gaps=(("{folder}/by-pth", "plain.py"),), imports="pygments"),
    case("PYTHONPATH", by_pythonpath, "toml==0.10.2", gaps=(("{folder}/by-pythonpath", "`bare`"),), imports="toml"),
)


def by_user(shop: Workshop) -> None:
    shop.environ["PYTHONUSERBASE"] = str(shop.folder / "user")
    shop.pip("--user", "pygments==2.18.0")
    shop.pip("--user", shop.wheel("of_user", "1.0"))


# An environment over the base interpreter's own packages, pip and setuptools among them.
LAYERED = (
    case("--system-site-packages", lambda _: None, imports="pip setuptools"),
    case("--user", by_user, "pygments==2.18.0 of_user==1.0", imports="pygments of_user"),
)


def by_uv_alone(shop: Workshop) -> None:
    shop.run(UV, "pip", "install", "--quiet", "--python", shop.python, "iniconfig<2.1", "markupsafe<3.1")


def first_venv(shop: Workshop) -> None:
    """As its own pip, often years old, installs what it likes best."""
    shop.run(shop.python, "-m", "pip", "install", "--quiet", "iniconfig<2.1", "markupsafe<3.1")
