"""Why outputs differ, as text for people."""

from envcap.model.cause import Cause
from envcap.model.verdict import Judgement, Verdict

_MOST_TOLD = 3  # in full; of the others the title alone
WITH_CAUSES = {Verdict.EQUIVALENT, Verdict.DIFFERENT, Verdict.INCONCLUSIVE}
UNKNOWN = (
    "nothing that envcap looks at speaks for a cause: code, packages, interpreter, libraries, processor, threads, "
    "locale, time zone and recorded variables are as frozen, as far as they are known"
)


def why_lines(judgement: Judgement) -> list[str]:
    """Give the ranked causes with their evidence, and what reruns showed; nothing where there was nothing to ask."""
    if not judgement.causes:
        return [f"Why: {UNKNOWN}", ""] if judgement.verdict in WITH_CAUSES else []
    told, others = judgement.causes[:_MOST_TOLD], judgement.causes[_MOST_TOLD:]
    lines = ["Why, the likeliest first:"]
    for number, cause in enumerate(told, 1):
        lines += _cause_lines(number, cause)
    if others:
        lines.append(f"  also: {'; '.join(f'{cause.title} ({cause.strength})' for cause in others)}")
    return [*lines, ""]


def _cause_lines(number: int, cause: Cause) -> list[str]:
    lines = [f"  {number}. {cause.title} ({cause.strength})"]
    lines += [f"     {text}" for text in cause.evidence]
    lines += [f"     tried: {trial.detail}" for trial in cause.trials]
    if cause.strength == "excluded":
        return lines
    if cause.strength != "confirmed":
        lines.append(f"     to confirm: {cause.confirm}")
    return [*lines, f"     what to do: {cause.remedy}"]


def why_summary(judgement: Judgement) -> list[str]:
    """Give the causes in one line each, for reports of tests."""
    return [
        f"{cause.title} ({cause.strength}): {'; '.join([*cause.evidence, *(trial.detail for trial in cause.trials)])}"
        for cause in judgement.causes
    ]
