"""The options of `envcap cache`."""

import os
from typing import Annotated

import typer

from envcap.commands.options import Json
from envcap.report.console import show_result


def cache(
    prune: Annotated[
        bool, typer.Option("--prune", envvar="ENVCAP_PRUNE", help="Remove what nobody used for a while.")
    ] = False,
    older_than: Annotated[
        int, typer.Option("--older-than", envvar="ENVCAP_OLDER_THAN", help="With --prune: for so many days. 0 for all.")
    ] = 90,
    as_json: Json = False,
) -> None:
    """Tell where the user's cache is and how large, and make it smaller.

    Everything in it can be downloaded or learned again, unless its index has withdrawn it.
    """
    from envcap.cache import look_at_cache
    from envcap.report.cache import cache_document, describe_cache

    contents = look_at_cache(os.environ, days=older_than if prune else None)
    show_result((cache_document if as_json else describe_cache)(contents))
