"""What runs under the target interpreter: Python 3.6 and newer, the standard library only, nothing installed.

Modules here import each other relatively (in the packed script the package is called `envcap_probe`), quote their
annotations because 3.6 would evaluate them, and avoid what is dear to import: `re`, `typing`, `platform`,
`subprocess`, `importlib.metadata`. Nothing here knows about locks, engines or messages to users.
"""
