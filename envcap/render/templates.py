"""Find and fill the templates: in the installed package, or beside the checkout that this code runs from."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import jinja2


@cache
def template_folder() -> Path:
    """Give the folder of the templates. Raises FileNotFoundError when the installation is broken."""
    package = Path(__file__).resolve().parent.parent
    # An editable install has no copy in the package: there they are at the top of the checkout.
    for folder, witness in ((package / "templates", package), (package.parent / "templates", package.parent)):
        if (folder / "Dockerfile.j2").is_file() and (witness is package or (witness / "pyproject.toml").is_file()):
            return folder
    raise FileNotFoundError(f"envcap's templates are neither in `{package}` nor beside it")


def fill(name: str, values: Mapping[str, object]) -> str:
    """Fill a template. Values arrive finished: quoted for the place where they stand. A missing one is an error."""
    # Plain text, not HTML: escaping would corrupt it; the values are quoted by `render/quoting.py`.
    environment = jinja2.Environment(  # noqa: S701
        loader=jinja2.FileSystemLoader(template_folder()),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name).render(values)
