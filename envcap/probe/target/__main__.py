"""The archive's entry. Must parse under any Python, Python 2 included, to tell which one it met."""

import sys

if sys.version_info < (3, 6):
    sys.stdout.write("\n-----ENVCAP PYTHON TOO OLD %d.%d.%d-----\n" % sys.version_info[:3])
else:
    from envcap_probe.isolation import Isolation  # type: ignore[import-not-found]

    with Isolation() as isolation:
        # Only now: this imports from the standard library, which must not be shadowed.
        from envcap_probe.program import run  # type: ignore[import-not-found]

        run(isolation.paths)
