"""A judgement as one self-contained page: no script, nothing loaded from elsewhere."""

import shlex

from envcap import __version__
from envcap.model.facts import Hardware
from envcap.model.lock import Lock
from envcap.model.verdict import Check, Judgement, Verdict
from envcap.report.plot import WIDTH, strip_of
from envcap.report.table import plain
from envcap.report.why import without_causes
from envcap.resources import template_folder

_TONES = {
    "IDENTICAL": "good",
    "EQUIVALENT": "good",
    "DIFFERENT": "bad",
    "REFUSED": "bad",
    "INCONCLUSIVE": "unsure",
    "NOT-RUN": "unsure",
}


def html_document(judgement: Judgement, lock: Lock | None, *, name: str) -> str:
    """Give the page. `lock` is None where it could not be read; `name` is the one it was asked for by."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template_folder()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters["marked"] = _marked
    strips = [
        (_caption(check), strip_of(_caption(check), check.measured))
        for check in judgement.checks
        if check.judged and check.verdict is not Verdict.IDENTICAL  # equal runs need no drawing
    ]
    return environment.get_template("report.html.j2").render(
        judgement=judgement,
        generator=f"envcap {__version__}",
        title=f"{name} verified by envcap",
        tone=_TONES[judgement.verdict.value],
        tones=_TONES,
        strips=[(output, strip) for output, strip in strips if strip is not None],
        width=WIDTH,
        unknown=without_causes(judgement),
        suspects=[cause.key for cause in judgement.causes],
        facts=_facts(judgement, lock),
        lock_name=f"pylock.{name}.toml",
        commands=_commands(judgement, name),
    )


def _caption(check: Check) -> str:
    """Say what the dots are: a metric's values; of a file the share of samples or texts that agree."""
    return check.name if check.kind == "metric" else f"{check.name}: agreement with the frozen runs"


def _marked(text: str) -> str:
    """Set what stands in backticks as code. What is between is escaped as everything else is."""
    from markupsafe import Markup, escape

    parts = [escape(plain(part)) for part in text.split("`")]
    if len(parts) % 2 == 0:  # a backtick without its partner
        return escape(plain(text))
    code = Markup("<code>{}</code>")
    return Markup().join(code.format(part) if number % 2 else part for number, part in enumerate(parts))


def _shown(value: object) -> object:
    """Strangers' words must not carry what a browser would hide or reorder."""
    return plain(value) if type(value) is str else value  # what is markup already was made plain before


def _facts(judgement: Judgement, lock: Lock | None) -> list[tuple[str, str]]:
    facts = [("lock", f"sha256 {judgement.lock}" if judgement.lock else "none was read")]
    if lock is not None:
        python, system, hardware = lock.python, lock.system, lock.hardware
        facts += [
            ("frozen", f"{lock.created_at} by {lock.created_by}"),
            ("command", " ".join(lock.declaration.command)),
            ("reference runs", str(len(lock.runs))),
            ("python", f"{python.implementation} {python.version}"),
            ("packages", str(len(lock.packages))),
            ("system", f"{system.distribution} {system.version}, {system.libc} {system.libc_version}"),
            ("frozen on", _hardware(hardware)),
            *([("commit", lock.code.commit)] if lock.code.commit else []),
            *((f"data {item.path}", f"{item.files} files, sha256 {item.sha256}") for item in lock.data),
        ]
    if judgement.engine:
        where = f"{judgement.engine} {judgement.image}".rstrip()
        facts.append(("engine and image", where if judgement.image else f"{where}, no image yet"))
    if judgement.image_digest:
        facts.append(("image digest", judgement.image_digest))
    if judgement.hardware is not None:
        facts.append(("verified on", _hardware(judgement.hardware)))
    if judgement.started:
        took = f", {judgement.seconds:.1f} s" if judgement.seconds else ""
        facts.append(("verified at", f"{judgement.started}{took}, by {judgement.verifier}"))
    return facts


def _hardware(hardware: Hardware) -> str:
    return ", ".join([hardware.cpu or "unknown processor", *(gpu.name for gpu in hardware.gpus)])


def _commands(judgement: Judgement, name: str) -> list[str]:
    """Give the commands with all options that decided what was run; which engine `auto` took is one."""
    named = [] if name == "envcap" else ["--name", name]
    options = list(judgement.options)
    engine = ["--engine", judgement.engine] if judgement.engine else []
    if "--engine" not in options:
        options = [*engine, *options]
    commands = [["envcap", "verify", *named, *options]]
    if "--image" not in options:
        commands.insert(0, ["envcap", "build", *named, *engine])
    return [shlex.join(words) for words in commands]
