"""Where the packed probe begins. Must parse under any Python, Python 2 included, to tell which one it met.

The probe is one script that holds its modules as text, not a zip: to run a zip, the interpreter imports `runpy` and
half a dozen modules more before the first line of the probe, and a `types.py` on PYTHONPATH would be among them.
"""

import sys

# The text of each module by its name: filled in by `envcap.probe.handover.pack`.
SOURCES = {}  # type: dict[str, str]


class Embedded:
    """A finder and loader (PEP 451) of the modules that came with the script."""

    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]  # noqa: ARG002, D102
        if name not in SOURCES:
            return None
        from _frozen_importlib import ModuleSpec

        return ModuleSpec(name, self, origin=name, is_package=name == "envcap_probe")  # type: ignore[arg-type]

    def create_module(self, spec):  # type: ignore[no-untyped-def]  # noqa: ARG002, D102
        return None

    def exec_module(self, module):  # type: ignore[no-untyped-def]  # noqa: D102
        name = module.__name__
        exec(compile(SOURCES[name], "<{}>".format(name), "exec"), module.__dict__)  # noqa: S102  (as every loader)


if sys.version_info < (3, 6):
    sys.stdout.write("\n-----ENVCAP PYTHON TOO OLD %d.%d.%d-----\n" % sys.version_info[:3])
else:
    sys.meta_path.insert(0, Embedded())
    from envcap_probe.isolation import Isolation  # type: ignore[import-not-found]

    with Isolation() as isolation:
        # Only now: this imports from the standard library, which must not be shadowed.
        from envcap_probe.program import run  # type: ignore[import-not-found]

        run(isolation.paths)
