"""A judgement as JUnit XML, for the test view of CI systems (the format of Jenkins and the Surefire schema)."""

from xml.etree import ElementTree

from envcap.model.stress import Stressed
from envcap.model.verdict import Check, Judgement, Verdict
from envcap.report.table import plain
from envcap.report.why import why_summary


def junit_document(judgement: Judgement, *, name: str) -> str:
    """Give one test case a check and a thing that stress varied; a verdict that neither explains is a case of its own.

    DIFFERENT is a failure, NOT-RUN and REFUSED are errors, INCONCLUSIVE is skipped: the exit code says the rest.
    """
    suite = ElementTree.Element("testsuite", name=plain(f"envcap verify {name}"), time=f"{judgement.seconds:.3f}")
    for check in judgement.checks:
        _add_check(suite, check)
    explained = any(check.judged and check.verdict is judgement.verdict for check in judgement.checks)
    culprits = any(_of_stress(one) is Verdict.DIFFERENT for one in judgement.stressed)
    if not explained and not (culprits and judgement.verdict is Verdict.DIFFERENT):  # it comes from elsewhere
        _add_case(suite, "verdict", judgement.verdict, "; ".join(judgement.reasons))
    for one in judgement.stressed:
        _add_stressed(suite, one)
    if judgement.causes or judgement.trials:
        output = ElementTree.SubElement(suite, "system-out")
        output.text = "\n".join(map(plain, ["Why, the likeliest first:", *why_summary(judgement)]))
    for word, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(word, str(len(suite.findall(f"testcase/{kind}"))))
    suite.set("tests", str(len(suite.findall("testcase"))))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_check(suite: ElementTree.Element, check: Check) -> None:
    told = f"frozen {check.frozen}, came back {check.observed}, tolerance {check.tolerance}"
    case = _add_case(suite, check.name, check.verdict if check.judged else None, f"{check.detail} ({told})")
    output = ElementTree.SubElement(case, "system-out")
    output.text = plain(told if check.judged else f"not judged; {told}")


def _of_stress(one: Stressed) -> Verdict | None:
    """Give what one variation says by itself; None where the outputs stood it."""
    if one.outcome in {"changes the result", "fails"}:
        return Verdict.DIFFERENT
    return Verdict.INCONCLUSIVE if one.outcome in {"not exercised", "not told"} else None


def _add_stressed(suite: ElementTree.Element, one: Stressed) -> None:
    told = f"{one.outcome}: {one.detail}" if one.detail else one.outcome
    case = _add_case(suite, f"stress: {one.name}", _of_stress(one), told)
    output = ElementTree.SubElement(case, "system-out")
    output.text = plain(f"set to {one.setting}; {told}" if one.setting else told)


def _add_case(suite: ElementTree.Element, name: str, verdict: Verdict | None, message: str) -> ElementTree.Element:
    case = ElementTree.SubElement(suite, "testcase", classname=str(suite.get("name")), name=plain(name))
    words = {"DIFFERENT": "failure", "NOT-RUN": "error", "REFUSED": "error", "INCONCLUSIVE": "skipped"}
    kind = words.get(verdict.value) if verdict is not None else None
    if kind is not None and verdict is not None:
        ElementTree.SubElement(case, kind, type=verdict.value, message=plain(message))
    return case
