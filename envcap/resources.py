"""Where the files are that envcap emits or reads as data: in the installed package, or in the checkout."""

from functools import cache
from pathlib import Path


@cache
def template_folder() -> Path:
    """Give the folder of the templates. Raises FileNotFoundError when the installation is broken."""
    package = Path(__file__).resolve().parent
    if (package / "templates" / "Dockerfile.j2").is_file():
        return package / "templates"
    # An editable install has no copy in the package: there they are at the top of the checkout.
    checkout = package.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / "templates" / "Dockerfile.j2").is_file():
        return checkout / "templates"
    raise FileNotFoundError(f"envcap's templates are neither in `{package}` nor beside it")
