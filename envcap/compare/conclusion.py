"""From single checks to one verdict, and the reasons in words. Pure."""

from envcap.model.verdict import Check, Finding, Verdict

_WORST_FIRST = (Verdict.DIFFERENT, Verdict.INCONCLUSIVE, Verdict.EQUIVALENT, Verdict.IDENTICAL)


def conclude(checks: list[Check], findings: list[Finding]) -> tuple[Verdict, list[str]]:
    """Give the verdict over all checks and findings, with the reasons for it; other hardware lowers it.

    The verdict is earned: with nothing judged there is no verdict but INCONCLUSIVE. Beside a primary metric, what could
    not be told of a check that does not gate is among the reasons and decides nothing.
    """
    fatal = [finding for finding in findings if finding.fatal]
    if fatal:
        return Verdict.REFUSED, [
            f"{item.where} `{item.subject}`: the lock says `{item.frozen}`, inside is `{item.observed}`"
            for item in fatal
        ]
    verdict, reasons = _over_checks(checks)
    return _lowered(verdict, reasons, checks, [item for item in findings if item.where == "hardware"])


def _lowered(
    verdict: Verdict, reasons: list[str], checks: list[Check], hardware: list[Finding]
) -> tuple[Verdict, list[str]]:
    """Lower what was found on other hardware to the strictest that can be claimed there.

    Equal outputs are no more than EQUIVALENT: that they stay equal was seen on the frozen hardware only. With other
    GPUs, a metric outside what was measured on the frozen ones is INCONCLUSIVE; what a stated bound does not allow,
    and what is missing or of another type or shape, stays DIFFERENT.
    """
    told = [f"hardware not as frozen: {item.subject} `{item.frozen}`, here `{item.observed}`" for item in hardware]
    if hardware and verdict is Verdict.IDENTICAL:
        return Verdict.EQUIVALENT, [*reasons, "on other hardware no more than EQUIVALENT can be claimed", *told]
    different = [check for check in checks if check.judged and check.verdict is Verdict.DIFFERENT]
    gpus_differ = any(item.subject == "gpus" for item in hardware)
    if verdict is Verdict.DIFFERENT and gpus_differ and all(map(_measured_there, different)):
        advice = "hardware not comparable: the tolerance was measured on other GPUs; state one, or freeze here"
        return Verdict.INCONCLUSIVE, [advice, *reasons, *told]
    return verdict, [*reasons, *told]


def _measured_there(check: Check) -> bool:
    """Tell whether a metric was held against the frozen runs alone; without a reference it was no number."""
    is_number = check.measured.reference is not None
    return check.kind == "metric" and is_number and (check.mode == "runs" or check.tolerance == "equal")


def _over_checks(checks: list[Check]) -> tuple[Verdict, list[str]]:
    judged = [check for check in checks if check.judged]
    untold = [check for check in judged if check.verdict is Verdict.INCONCLUSIVE and not check.gates]
    if len(untold) == len(judged):
        untold = []  # somebody must decide
    told = [f"{check.kind} `{check.name}` could not be told: {check.detail}" for check in untold]
    judged = [check for check in judged if check not in untold]
    if not judged:
        return Verdict.INCONCLUSIVE, ["nothing was judged: every output is declared as not judged"]
    verdict = next(kind for kind in _WORST_FIRST if any(check.verdict is kind for check in judged))
    if verdict is Verdict.IDENTICAL:
        if told:  # not all outputs are known to be equal
            return Verdict.EQUIVALENT, [f"{len(judged)} of {len(judged) + len(told)} outputs are equal", *told]
        return verdict, ["the one output is equal" if len(judged) == 1 else f"all {len(judged)} outputs are equal"]
    deciding = [check for check in judged if check.verdict is verdict]
    if verdict is Verdict.EQUIVALENT:
        equal = len(judged) - len(deciding)
        words = "the one output is" if len(judged) == 1 else f"{len(judged)} outputs are"
        more = "" if len(judged) == 1 else f", {equal} of them equal"
        return verdict, [f"{words} within tolerance{more}", *told]
    return verdict, [*(f"{check.kind} `{check.name}`: {check.detail}" for check in deciding), *told]
