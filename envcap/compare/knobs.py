"""The one thing that a rerun changes to ask about a suspect, chosen from the causes and both environments. Pure."""

from collections.abc import Mapping

from envcap.locales import locale_words
from envcap.model.cause import Cause
from envcap.model.facts import Facts
from envcap.model.lock import Lock
from envcap.model.numerics import Numerics
from envcap.model.struct import Data

_THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS",
)  # fmt: skip
# numpy's baseline cannot be masked, and naming it is an error.
_TORCH_CAPABILITIES = {"DEFAULT": "default", "AVX2": "avx2", "AVX512": "avx512"}


class Knob(Data, frozen=True, kw_only=True):
    """One setting of one thing. `expected` names what the environment then says of itself, where it can be asked."""

    suspect: str
    words: str  # `TZ=Europe/Berlin`
    environment: dict[str, str] = {}
    cpus: int | None = None
    expected: dict[str, str] = {}  # `timezone` -> `Europe/Berlin`; see `what_applies`
    asks: str = "nothing"  # `probe`, `numerics` or `nothing`: where `expected` is read
    impossible: str = ""  # why it cannot even be tried
    compares: bool = False  # not the frozen value is asked for: two settings are compared with each other
    other: dict[str, str] = {}  # the second setting then


HASH_SEED = Knob(
    suspect="hash seed",
    words="PYTHONHASHSEED=0, and =1",
    environment={"PYTHONHASHSEED": "0"},
    other={"PYTHONHASHSEED": "1"},
    compares=True,
)
_ONE_THREAD = Knob(suspect="threads", words="one processor", environment=dict.fromkeys(_THREADS, "1"), cpus=1)


def knobs_for(causes: list[Cause], *, lock: Lock, facts: Facts, frozen: Numerics, observed: Numerics) -> list[Knob]:
    """Give one knob for each cause that has one, the likeliest cause first; without a cause, the two cheapest."""
    found: list[Knob] = [] if causes else [HASH_SEED, _ONE_THREAD]
    for cause in causes:
        if cause.key == "blas":
            found += _kernel(frozen, observed)
        elif cause.key == "simd":
            found += _instruction_sets(frozen, observed)
        elif cause.key == "threads":
            found += _threads(lock, facts, observed)
        elif cause.key == "locale":
            found += _locale(lock, facts)
        elif cause.key == "timezone":
            found += _timezone(lock, facts)
        elif cause.key == "hash seed":
            found.append(HASH_SEED)
        elif cause.key == "tf32":
            found.append(
                Knob(suspect="tf32", words="NVIDIA_TF32_OVERRIDE=0", environment={"NVIDIA_TF32_OVERRIDE": "0"})
            )
        elif cause.key == "variable":
            found += _variables(lock.system.environment, cause)
    return found


def _kernel(frozen: Numerics, observed: Numerics) -> list[Knob]:
    """Set OpenBLAS back to the frozen kernel; it takes what the processor cannot run as a reason to ignore it."""
    before, after = ({one.name.partition("-")[0]: one.kernel for one in side.libraries} for side in (frozen, observed))
    kernels = {before[name] for name in before.keys() & after.keys() if before[name] and before[name] != after[name]}
    return [
        Knob(
            suspect="blas",
            words=f"OPENBLAS_CORETYPE={kernel}",
            environment={"OPENBLAS_CORETYPE": kernel},
            asks="numerics",
            expected={"kernel": kernel},
        )
        for kernel in sorted(kernels)
    ]


def _instruction_sets(frozen: Numerics, observed: Numerics) -> list[Knob]:
    """Mask what was not there when it was frozen. What is missing now cannot be given back."""
    masked = sorted(set(observed.features) - set(frozen.features))
    lacking = sorted(set(frozen.features) - set(observed.features))
    environment = {"NPY_DISABLE_CPU_FEATURES": " ".join(masked)} if masked else {}
    capability = frozen.settings.get("torch cpu capability", "")
    if capability in _TORCH_CAPABILITIES and capability != observed.settings.get("torch cpu capability"):
        environment["ATEN_CPU_CAPABILITY"] = _TORCH_CAPABILITIES[capability]
    if not environment and not lacking:
        return []
    return [
        Knob(
            suspect="simd",
            impossible=f"this processor has no {' '.join(lacking)}, which the frozen one had" if lacking else "",
            words=" ".join(f"{name}='{value}'" for name, value in environment.items()) or "the frozen instruction sets",
            environment=environment,
            asks="numerics",
            expected={"features": " ".join(frozen.features)},
        )
    ]


def _threads(lock: Lock, facts: Facts, observed: Numerics) -> list[Knob]:
    """Set the frozen number of threads. With fewer processors than that, the libraries are asked whether they obey."""
    recorded = lock.system.environment.get("OMP_NUM_THREADS", "")
    threads = int(recorded) if recorded.isdigit() else lock.hardware.cores
    environment = dict.fromkeys(_THREADS, str(threads))
    words = f"OMP_NUM_THREADS={threads} and its kin"
    if not observed.libraries and facts.hardware.cores < threads:
        lack = f"there are {facts.hardware.cores} processors here, and {threads} when it was frozen"
        return [Knob(suspect="threads", words=words, impossible=lack)]
    if facts.hardware.cores >= threads:
        return [Knob(suspect="threads", words=words, environment=environment, cpus=threads)]
    return [
        Knob(
            suspect="threads", words=words, environment=environment, asks="numerics", expected={"threads": str(threads)}
        )
    ]


def _locale(lock: Lock, facts: Facts) -> list[Knob]:
    frozen = locale_words(lock.system)
    if (frozen, lock.system.encoding) == (locale_words(facts.system), facts.system.encoding):
        return []
    several = {"LC_ALL": "", "LC_CTYPE": lock.system.locale, **lock.system.locale_categories}  # empty as if unset
    variables = several if lock.system.locale_categories else {"LC_ALL": lock.system.locale}
    utf8 = "1" if lock.system.encoding.lower().replace("-", "") == "utf8" else "0"
    return [
        Knob(
            suspect="locale",
            words=" ".join(f"{name}={value}" for name, value in variables.items()),
            environment={**variables, "LANG": lock.system.locale, "PYTHONUTF8": utf8},
            asks="probe",
            expected={"locale": frozen},
        )
    ]


def _timezone(lock: Lock, facts: Facts) -> list[Knob]:
    if lock.system.timezone == facts.system.timezone:
        return []
    zone = lock.system.timezone
    return [
        Knob(
            suspect="timezone",
            words=f"TZ={zone}",
            environment={"TZ": zone},
            asks="probe",
            expected={"timezone": zone},
        )
    ]


def _variables(recorded: Mapping[str, str], cause: Cause) -> list[Knob]:
    """Set the recorded variables back that the evidence names."""
    named = {name: value for name, value in recorded.items() if any(f"`{name}`" in text for text in cause.evidence)}
    return [
        Knob(suspect="variable", words=f"{name} as recorded", environment={name: value})
        for name, value in sorted(named.items())
    ]


def what_applies(*, facts: Facts | None, numerics: Numerics | None) -> dict[str, str]:
    """Give what an environment says of itself, under the names that `expected` uses."""
    said: dict[str, str] = {}
    if facts is not None:
        said |= {"locale": locale_words(facts.system), "timezone": facts.system.timezone}
    if numerics is not None:
        said["features"] = " ".join(numerics.features)
        said["kernel"] = next((one.kernel for one in numerics.libraries if one.kernel), "")
        said["threads"] = str(max((one.threads for one in numerics.libraries), default=0))
    return said
