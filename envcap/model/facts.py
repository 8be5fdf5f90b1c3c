"""What the probe saw in one environment: on this host at freeze, inside an image at verify."""

from envcap.model.gap import Gap
from envcap.model.struct import Data, Table


class Interpreter(Table, frozen=True, kw_only=True):
    """The Python that runs the evaluation. Its paths are not part of it: they belong to one machine."""

    implementation: str  # `cpython`, `pypy`: sys.implementation.name
    version: str  # `3.11.7`, with `rc1` and the like where there is one
    build: str  # platform.python_build() and the compiler, as the interpreter states them
    abi: str  # SOABI, e.g. `cpython-311-x86_64-linux-gnu`
    tag: str  # the most specific wheel tag of the running platform, e.g. `cp311-cp311-linux_x86_64`
    kind: str  # `venv`, `conda`, `system` or `prefix`
    flags: dict[str, int] = {}  # sys.flags that change results or imports, only those that are not at their default


class DirectUrl(Data, frozen=True, kw_only=True):
    """The direct_url.json of a distribution (PEP 610), flattened. `url` may still hold credentials."""

    url: str
    editable: bool = False
    directory: bool = False
    vcs: str | None = None
    commit: str | None = None
    sha256: str | None = None
    subdirectory: str | None = None


class Distribution(Data, frozen=True, kw_only=True):
    """One installed distribution, as its metadata directory tells it."""

    name: str  # as the metadata spells it; normalise before comparing
    version: str
    path: str  # absolute path of the .dist-info or .egg-info, on the machine that was probed
    layout: str  # `dist-info`, `egg-info` or `egg-link`
    installer: str | None = None
    requested: bool = False  # a REQUESTED file is there (PEP 376); uv writes one for every package
    tags: list[str] = []  # `Tag:` lines of WHEEL, e.g. `cp311-cp311-manylinux_2_17_x86_64`
    build_tag: str | None = None
    direct_url: DirectUrl | None = None
    record: bool = False  # a RECORD file is there
    built_here: bool = False  # the installer left word that it built the wheel from source
    requires: list[str] = []  # `Requires-Dist:` lines as they are written, not yet known to be well-formed
    conda: str | None = None  # the conda package that lists its metadata among its files


class System(Table, frozen=True, kw_only=True):
    """The operating system around the interpreter."""

    distribution: str  # ID of os-release, e.g. `debian`
    version: str  # VERSION_ID, e.g. `12`
    codename: str  # VERSION_CODENAME, e.g. `bookworm`
    kernel: str
    libc: str  # `glibc` or `musl`
    libc_version: str
    architecture: str  # `x86_64`, `aarch64`
    locale: str  # what setlocale(LC_ALL, "") yields for LC_CTYPE, e.g. `C.UTF-8`
    encoding: str
    locale_categories: dict[str, str] = {}  # those that have another locale, e.g. `LC_NUMERIC`
    timezone: str  # an IANA name where one can be told, else the abbreviation
    umask: str  # octal text, e.g. `022`
    limits: dict[str, str] = {}  # soft resource limits and those of control groups; what is unlimited is left out
    environment: dict[str, str] = {}  # allow-listed variables only


class GpuSlice(Table, frozen=True, kw_only=True):
    """One MIG slice of a GPU, which is what a program sees instead of the GPU. Memory in bytes."""

    profile: str  # `1g.10gb`
    memory: int
    multiprocessors: int


class Gpu(Table, frozen=True, kw_only=True):
    """One GPU as its driver tells it: memory in bytes, clocks in MHz, power in watts, None where it does not tell."""

    name: str
    memory: int
    compute_capability: str  # `9.0`; of AMD's the target of its compiler, `gfx90a`; of Apple's nothing
    maker: str = "nvidia"
    mig: bool = False
    ecc: bool | None = None
    uuid_digest: str | None = None  # tells two cards apart and names none: 12 digits of the sha256 of its UUID
    multiprocessors: int | None = None
    compute_mode: str | None = None
    power_limit: int | None = None
    graphics_clock: int | None = None  # the highest it can have
    memory_clock: int | None = None
    pcie_generation: int | None = None  # the highest that card and slot agree on
    pcie_width: int | None = None
    vbios: str | None = None
    slices: list[GpuSlice] = []
    visible: bool | None = True  # to CUDA programs in this environment; None where it cannot be known


class GpuLibrary(Table, frozen=True, kw_only=True):
    """One copy of a library of CUDA or ROCm. `loaded` by a reference run; None where no run was watched."""

    name: str  # `cudnn`, `cuda runtime`, `nccl`, `hip`, ...
    version: str  # as the copy itself tells, empty where it does not
    path: str  # in facts the real one; in a lock from the folder on sys.path that holds it, where one does
    told_by: str  # `library`, `header`, `folder` or `version.json` of a toolkit, `nothing`
    loaded: bool | None = None


class Hardware(Table, frozen=True, kw_only=True):
    """The processor and the accelerators. `gpus` empty is a normal answer."""

    cpu: str
    cores: int  # usable by this process
    affinity: str = ""  # which of them, as `0-3,8`, where it is bound to some
    memory: int  # bytes of physical memory
    instruction_sets: list[str] = []  # those that numeric libraries dispatch on, e.g. `avx2`, `avx512f`
    gpus: list[Gpu] = []
    driver: str | None = None
    cuda_driver: str | None = None  # the highest CUDA the driver supports, e.g. `12.8`
    gpu_libraries: list[GpuLibrary] = []


class CondaRecord(Data, frozen=True, kw_only=True):
    """One file of conda-meta, as it is written. `url`, `channel` and `requested` may still hold credentials."""

    record: str  # absolute path of the file
    name: str
    version: str
    build: str
    build_number: int = 0
    subdir: str = ""
    channel: str = ""
    file: str = ""  # the archive's name
    url: str | None = None
    md5: str | None = None
    sha256: str | None = None
    size: int | None = None
    noarch: str | None = None
    requested: list[str] = []
    depends: list[str] = []
    constrains: list[str] = []
    kept: list[str] = []  # where its archive, or the folder that it was unpacked to, may still be on this machine
    scripts: list[str] = []  # files that run when it is installed or activated


class Conda(Data, frozen=True, kw_only=True):
    """A conda prefix: its packages, who made it, and the names of the variables that activating it sets."""

    tool: str
    records: list[CondaRecord]
    variables: list[str] = []


class Facts(Data, frozen=True, kw_only=True):
    """All that the probe printed. `paths` is sys.path; `prefix` and `executable` tell where things are."""

    format: int
    interpreter: Interpreter
    executable: str
    prefix: str
    base_prefix: str
    paths: list[str]
    distributions: list[Distribution]
    system: System
    hardware: Hardware
    markers: dict[str, str] = {}  # what environment markers (PEP 508) are evaluated with, but for `extra`
    conda: Conda | None = None
    gaps: list[Gap] = []
