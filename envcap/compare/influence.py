"""How likely a difference is to move a number: rules, in the order in which they are asked. Pure.

The rules follow what the vendors promise and do not promise: cuDNN and cuBLAS give the same bits only for one version
on one architecture, oneDNN and oneMKL only for one processor type, PyTorch not across releases; numpy chooses
kernels by instruction set; sums in several threads depend on their number.
"""

import re

from envcap.model.difference import Influence

# Packages that compute, or that choose what is computed. By normalised name (PEP 503).
_COMPUTING = re.compile(
    r"numpy|scipy|pandas|polars|pyarrow|torch\w*|tensorflow(-.*)?|keras|jax|jaxlib|flax|scikit-learn|statsmodels|numba|cupy(-.*)?"
    r"|xgboost|lightgbm|catboost|onnxruntime(-.*)?|triton|pytorch-.*|lightning|transformers|tokenizers|sentencepiece|datasets"
    r"|accelerate|peft|diffusers|vllm|flash-attn|bitsandbytes|mkl(-.*)?|intel-openmp|openblas|nvidia-.*|opencv-python(-.*)?|pillow"
    r"|librosa|spacy|nltk|gensim"
)
_DETERMINISM = re.compile(
    r"PYTHONHASHSEED|.*_NUM_THREADS|CUBLAS_WORKSPACE_CONFIG|.*TF32.*|NPY_.*|OPENBLAS_.*|MKL_.*|ATEN_.*|ONEDNN_.*|CUDA_VISIBLE_DEVICES"
)

Rated = tuple[Influence, str]

_BY_SUBJECT: dict[tuple[str, str], Rated] = {
    ("code", "archive"): ("high", "another program was run"),
    ("base", "image"): ("medium", "other system libraries"),
    ("base", "digest"): ("low", "another build of the base image"),
    ("python", "implementation"): ("high", "another interpreter"),
    ("python", "build"): ("low", "compiled another time or by another compiler"),
    ("python", "abi"): ("medium", "another kind of interpreter"),
    ("system", "architecture"): ("high", "every compiled kernel is another one"),
    ("system", "libc"): ("medium", "its mathematical functions may round otherwise"),
    ("system", "locale"): ("medium", "sorting, number formats and default encodings follow it"),
    ("system", "encoding"): ("medium", "text files are read otherwise"),
    ("system", "timezone"): ("medium", "dates and days may shift"),
    ("hardware", "gpus"): ("high", "kernels promise the same bits on one model only"),
    ("hardware", "compute capability"): ("high", "other kernels are chosen"),
    ("hardware", "instruction sets"): ("medium", "numeric libraries choose other kernels, so last digits may change"),
    ("hardware", "cores"): ("medium", "sums in threads are taken in another order"),
    ("hardware", "driver"): ("low", "it compiles kernels that were shipped as PTX"),
}
_BY_AREA: dict[str, Rated] = {
    "code": ("low", "the files themselves are compared as `archive`"),
    "data": ("high", "another input"),
    "evaluation": ("high", "another evaluation was declared"),
    "settings": ("medium", "a recorded variable"),
    "settings at the end": ("medium", "a variable or switch as the runs ended with it"),
    "numerics": ("high", "a small fixed operation computes otherwise, or with another library"),
    "packages": ("low", "not known to compute"),
    "conda": ("low", "not known to compute"),
    "files": ("medium", "one version, but other contents"),
    "watched": ("low", "what the runs were seen to read and write"),
    "python": ("low", "a flag of the interpreter"),
}


def rate(area: str, subject: str, first: str, second: str) -> Rated:
    """Give the influence of one difference, and why."""
    if area in {"packages", "files", "conda"} and _COMPUTING.fullmatch(subject):
        return _rate_computing(area, first, second)
    if area in {"settings", "settings at the end"} and _DETERMINISM.fullmatch(subject):
        return "high", "it decides about kernels, threads or order"
    if (area, subject) == ("python", "version"):
        if _release(first)[:2] == _release(second)[:2]:
            return "low", "a bug-fix release"
        return "medium", "another minor version of the interpreter"
    return _BY_SUBJECT.get((area, subject)) or _BY_AREA.get(area, ("low", "seldom matters to numbers"))


def _rate_computing(area: str, first: str, second: str) -> Rated:
    if area == "files":
        return "high", "it computes, and has other contents under one version"
    if _release(first)[:2] == _release(second)[:2]:
        return "medium", "it computes; a bug-fix release"
    return "high", "it computes, and another release may compute otherwise"


def _release(version: str) -> tuple[int, ...]:
    """Give the numbers that a version begins with; `missing` has none, which equals no release."""
    match = re.match(r"[0-9]+(\.[0-9]+)*", version)
    return tuple(int(number) for number in match[0].split(".")) if match else (-len(version),)
