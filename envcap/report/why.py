"""Why outputs differ, as text for people."""

from envcap.model.cause import Cause, Trial
from envcap.model.verdict import Judgement, Verdict

_MOST_TOLD = 3  # in full; of the others the title alone
_WITH_CAUSES = {Verdict.DIFFERENT, Verdict.INCONCLUSIVE}  # where not knowing why is worth a sentence
_UNKNOWN = (
    "nothing that envcap looks at speaks for a cause: no difference that matters was found in code, packages, "
    "interpreter, libraries, processor, threads, locale, time zone and recorded variables"
)


def why_lines(judgement: Judgement) -> list[str]:
    """Give the ranked causes with their evidence, and what reruns showed; nothing where there was nothing to ask."""
    if not judgement.causes:
        said = without_causes(judgement)
        return [f"Why: {said}", *_tried_lines(judgement.trials), ""] if said else []
    told, others = judgement.causes[:_MOST_TOLD], judgement.causes[_MOST_TOLD:]
    lines = ["Why, the likeliest first:"]
    for number, cause in enumerate(told, 1):
        lines += _cause_lines(number, cause, [one for one in judgement.trials if one.suspect == cause.key])
    if others:
        lines.append(f"  also: {'; '.join(f'{cause.title} ({cause.strength})' for cause in others)}")
    known = {cause.key for cause in told}
    return [*lines, *_tried_lines([trial for trial in judgement.trials if trial.suspect not in known]), ""]


def without_causes(judgement: Judgement) -> str:
    """Say what is to be said where no cause was found; nothing where there was nothing to ask."""
    if judgement.causes or judgement.verdict not in _WITH_CAUSES:
        return ""
    names = [one.name for one in judgement.stressed if one.matters]
    if names:
        return f"the outputs depend on what must not matter, as stress showed: {', '.join(names)}"
    return _UNKNOWN


def _tried_lines(trials: list[Trial]) -> list[str]:
    return [f"  tried besides: {trial.detail}" for trial in trials]


def _cause_lines(number: int, cause: Cause, trials: list[Trial]) -> list[str]:
    lines = [f"  {number}. {cause.title} ({cause.strength})"]
    lines += [f"     {text}" for text in cause.evidence]
    lines += [f"     tried: {trial.detail}" for trial in trials]
    if cause.strength == "excluded":
        return lines
    if cause.strength != "confirmed":
        lines.append(f"     to confirm: {cause.confirm}")
    return [*lines, f"     what to do: {cause.remedy}"]


def why_summary(judgement: Judgement) -> list[str]:
    """Give each cause in one line, and what was tried, for reports of tests."""
    causes = [f"{cause.title} ({cause.strength}): {'; '.join(cause.evidence)}" for cause in judgement.causes]
    return [*causes, *(f"tried: {trial.detail}" for trial in judgement.trials)]
