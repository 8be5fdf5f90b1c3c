"""Fill the templates, strictly: a value that is missing is an error."""

import functools
from collections.abc import Mapping

import jinja2

from envcap.resources import template_folder


def fill(name: str, values: Mapping[str, object]) -> str:
    """Fill a template. Values arrive finished: quoted by `render/quoting.py` for the place where they stand."""
    return _environment().get_template(name).render(values)


@functools.cache
def _environment() -> jinja2.Environment:
    # Plain text, not HTML: escaping would corrupt it.
    return jinja2.Environment(  # noqa: S701
        loader=jinja2.FileSystemLoader(template_folder()),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
