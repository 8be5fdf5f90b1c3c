"""What can make a result come out otherwise: each suspect with what would confirm it and what to do. Data alone."""

from collections.abc import Mapping

from envcap.model.struct import Data


class Suspect(Data, frozen=True):
    """One kind of cause in words."""

    title: str
    confirm: str
    remedy: str


SUSPECTS: Mapping[str, Suspect] = {
    "code": Suspect(
        "other code was run than was frozen",
        "`envcap build --no-cache` and verify again: the image then holds the frozen code",
        "build the image again; do not change code inside it",
    ),
    "data": Suspect(
        "an input that was not declared as data",
        "compare that file with the one that was there at freeze",
        'declare it (`data = ["…"]`) and freeze again: then every verify checks it',
    ),
    "packages": Suspect(
        "other package versions",
        "`envcap bisect` between two locks finds the package; `envcap diff` lists all changes",
        "`envcap build --no-cache` installs what the lock says; freeze again where the change is meant",
    ),
    "interpreter": Suspect(
        "another Python interpreter",
        "run the evaluation with both interpreters and the same packages",
        "build with the base image that the lock names",
    ),
    "libraries": Suspect(
        "other system libraries",
        "verify in an image whose base has the frozen release",
        "choose a base of the frozen release (`envcap build --base`), or freeze inside the image",
    ),
    "blas": Suspect(
        "another linear-algebra library, or another kernel of it",
        "`OPENBLAS_CORETYPE` set to the frozen kernel brings the frozen bits back",
        "state a tolerance for last digits, or freeze with OPENBLAS_CORETYPE (MKL: MKL_CBWR) set to a kernel that both "
        "processors have",
    ),
    "simd": Suspect(
        "another processor: other instruction sets are used",
        "the instruction sets that were not there when it was frozen, masked",
        "state a tolerance for last digits, or freeze with NPY_DISABLE_CPU_FEATURES set to what not every machine has",
    ),
    "processor": Suspect(
        "another processor architecture",
        "verify on a machine of the frozen architecture",
        "state a tolerance; equal bits are not to be had across architectures",
    ),
    "threads": Suspect(
        "another number of threads or processors",
        "the frozen number of threads brings the frozen value back",
        "freeze with OMP_NUM_THREADS and its kin set, or make the code independent of the number of processors",
    ),
    "gpu": Suspect(
        "another GPU, driver or CUDA library",
        "verify on the frozen GPU model",
        "state a tolerance: vendors promise equal bits for one model and one version only",
    ),
    "tf32": Suspect(
        "another precision of products on the GPU (TF32)",
        "`NVIDIA_TF32_OVERRIDE=0` changes the value",
        "set the precision in the code, or freeze with NVIDIA_TF32_OVERRIDE=0",
    ),
    "hash seed": Suspect(
        "the order of sets and hashes, which changes with every start of Python",
        "two runs with different `PYTHONHASHSEED` differ, two with the same one agree",
        "sort before use, or freeze with PYTHONHASHSEED=0",
    ),
    "listing": Suspect(
        "the order in which a folder's files are listed",
        "sort the listing and compare",
        "sort what listdir, glob or walk give",
    ),
    "locale": Suspect(
        "another locale or text encoding",
        "the frozen locale set inside brings the frozen text back",
        "freeze under C.UTF-8, name encodings in open(), and do not format numbers by locale",
    ),
    "timezone": Suspect(
        "another time zone",
        "`TZ` set to the frozen zone brings the frozen value back",
        "compute in UTC, or name the zone in the code; or freeze with TZ=UTC",
    ),
    "clock": Suspect(
        "the date or time of the run",
        "run it twice at different times",
        "leave times out of what is judged (`ignore = true`), or pass the date as an argument",
    ),
    "variable": Suspect(
        "an environment variable",
        "set it inside as it was when the evaluation was frozen",
        'name it (`environment = ["…"]` in the configuration) and freeze again, so that it is recorded',
    ),
    "randomness": Suspect(
        "the evaluation varies from run to run",
        "the same run, repeated without any change, gives another value",
        "seed every random generator; or freeze with more runs (`--repeat`), so that the spread is known",
    ),
}
