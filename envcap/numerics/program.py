"""Runs under the frozen interpreter, beside numpy and torch where they are, and prints how they compute. Python 3.6+.

Each operation is small, fixed and made from exact inputs, so that its bits depend on the library, its kernels and the
processor alone. Which of them change tells where a difference comes from: another BLAS kernel changes matrix products
and nothing else, another instruction set changes `exp` and `log`.

The arguments are paths of libraries that a run had loaded; `libraries.py`, laid beside this file, tells of them.
"""

import hashlib
import json
import sys

from libraries import END, START, list_libraries  # type: ignore[import-not-found, unused-ignore]  # the file beside this one

TYPE_CHECKING = False  # as in `typing`, which is dear to import
if TYPE_CHECKING:
    from typing import Any

    Document = dict[str, Any]

_SHOWN = 16  # digits of a digest


def main() -> None:
    """Print one JSON document between two lines, whatever the libraries print around it."""
    document = {
        "operations": {},
        "libraries": [],
        "features": [],
        "settings": {},
        "problems": [],
    }  # type: Document
    for describe in (_numpy, _torch):
        try:
            describe(document)
        except Exception as error:  # noqa: BLE001  (a library that fails is an answer, and the other one counts)
            document["problems"].append(f"{describe.__name__[1:]}: {type(error).__name__}: {error}")
    document["libraries"] = list_libraries(sys.argv[1:])
    sys.stdout.write(f"\n{START}\n{json.dumps(document, sort_keys=True)}\n{END}\n")


def _numpy(document: "Document") -> None:
    try:
        import numpy  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return
    if not hasattr(numpy, "ndarray"):  # a leftover folder is imported as an empty namespace
        return
    with numpy.errstate(all="ignore"):
        for name, operation in _numpy_operations(numpy):
            document["operations"]["numpy " + name] = _digest(numpy.ascontiguousarray(operation()).tobytes())
    core = getattr(numpy, "_core", None) or numpy.core
    features = getattr(getattr(core, "_multiarray_umath", None), "__cpu_features__", {})
    document["features"] = sorted(name for name, there in features.items() if there)


def _numpy_operations(numpy: "Any") -> "list[tuple[str, Any]]":
    steps = (numpy.arange(96 * 96, dtype=numpy.uint64) * numpy.uint64(2654435761)) % numpy.uint64(1 << 32)
    flat = steps.astype(numpy.float64) / float(1 << 32) + 0.5 / (1 << 32)  # exact, between 0 and 1
    square = flat.reshape(96, 96)
    single = square.astype(numpy.float32)
    definite = numpy.dot(square, square.T) + 96.0 * numpy.eye(96)
    signs = flat * 12.0 - 6.0
    return [
        ("matmul float64", lambda: numpy.dot(square, square.T)),
        ("matmul float32", lambda: numpy.dot(single, single.T)),
        ("matvec float64", lambda: numpy.dot(square, flat[:96])),
        ("dot float32", lambda: numpy.dot(single.ravel(), single.ravel())),
        ("solve float64", lambda: numpy.linalg.solve(definite, flat[:96])),
        ("eigenvalues float64", lambda: numpy.linalg.eigvalsh(definite)),
        ("exp float64", lambda: numpy.exp(signs)),
        ("exp float32", lambda: numpy.exp(signs.astype(numpy.float32))),
        ("log float64", lambda: numpy.log(flat)),
        ("log float32", lambda: numpy.log(flat.astype(numpy.float32))),
        ("sin float64", lambda: numpy.sin(signs)),
        ("sum float32", lambda: numpy.sum(single)),
        ("fft float64", lambda: numpy.fft.fft(flat[:1000])),
        ("random", lambda: numpy.random.RandomState(0).standard_normal(100)),
    ]


def _torch(document: "Document") -> None:
    try:
        import torch  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return
    if not hasattr(torch, "Tensor"):
        return
    devices = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
    for device in devices:
        for name, operation in _torch_operations(torch, device):
            result = operation().detach().cpu().contiguous().numpy().tobytes()
            document["operations"][f"torch {device} {name}"] = _digest(result)
    settings = {
        "torch threads": torch.get_num_threads(),
        "torch interop threads": torch.get_num_interop_threads(),
    }
    backends = getattr(torch.backends, "cpu", None)  # type: Any
    if hasattr(backends, "get_cpu_capability"):
        settings["torch cpu capability"] = backends.get_cpu_capability()
    if hasattr(torch, "get_float32_matmul_precision"):
        settings["torch matmul precision"] = torch.get_float32_matmul_precision()
    if torch.backends.cudnn.is_available():
        settings["cudnn"] = torch.backends.cudnn.version()
    document["settings"].update({name: str(value) for name, value in settings.items()})


def _torch_operations(torch: "Any", device: str) -> "list[tuple[str, Any]]":
    steps = (torch.arange(96 * 96, dtype=torch.int64) * 2654435761) % (1 << 32)
    flat = ((steps.to(torch.float64) + 0.5) / float(1 << 32)).to(torch.float32).to(device)
    square = flat.reshape(96, 96)
    picture = flat[: 8 * 32 * 32].reshape(1, 8, 32, 32)
    kernel = flat[: 16 * 8 * 9].reshape(16, 8, 3, 3)
    functional = torch.nn.functional
    operations = [
        ("matmul float32", lambda: torch.matmul(square, square.t())),
        ("conv2d float32", lambda: functional.conv2d(picture, kernel)),
        ("exp float32", lambda: torch.exp(flat * 12.0 - 6.0)),
        ("softmax float32", lambda: torch.softmax(square, dim=1)),
        ("layer norm float32", lambda: functional.layer_norm(square, (96,))),
        ("sum float32", lambda: flat.sum()),
    ]
    if device == "cuda" and hasattr(torch, "set_float32_matmul_precision"):
        # With the mode fixed: where only the product above changes, the mode did, and not the GPU.
        operations.append(("matmul with TF32", lambda: _matmul_at(torch, square, "high")))
        operations.append(("matmul without TF32", lambda: _matmul_at(torch, square, "highest")))
    return operations


def _matmul_at(torch: "Any", square: "Any", precision: str) -> "Any":
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        return torch.matmul(square, square.t())
    finally:
        torch.set_float32_matmul_precision(before)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_SHOWN]


if __name__ == "__main__":
    main()
