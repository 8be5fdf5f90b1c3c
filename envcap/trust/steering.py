"""Environment variables that decide what is loaded or run before the evaluation starts: no lock may set one. Pure.

From the manuals of the programs: ld.so(8), Python's "Environment variables", environ(7), locale(7), resolv.conf(5),
openssl-env(7), bash(1), git(1), and those of the tool interfaces of CUDA, ROCm, OpenMP, MPI, OpenCL and Vulkan.
What glibc reads from GLIBC_TUNABLES changes numbers and names no file, so it may be frozen.
"""

import re

_NUMBERS_OR_WORDS = (  # the variables of Python that name no file and no module
    "HASHSEED|OPTIMIZE|UTF8|IOENCODING|UNBUFFERED|DONTWRITEBYTECODE|NOUSERSITE|SAFEPATH|DEVMODE|DEBUG|VERBOSE"
    "|FAULTHANDLER|TRACEMALLOC|MALLOC|MALLOCSTATS|ASYNCIODEBUG|INTMAXSTRDIGITS|COERCECLOCALE|GIL|_GIL|_JIT"
    "|NODEBUGRANGES|PERFSUPPORT|_CPU_COUNT|PROFILEIMPORTTIME"
)
_KINDS = (
    r"LD_.*|PATH|IFS|ENV|BASH_ENV|BASHOPTS|SHELLOPTS|PS4|PROMPT_COMMAND",
    rf"PYTHON(?!({_NUMBERS_OR_WORDS})$).*",
    # the C library: modules, catalogues, traces, and where names of hosts come from
    r"GCONV_PATH|LOCPATH|NLSPATH|GETCONF_DIR|NIS_PATH|TZDIR|HOSTALIASES|LOCALDOMAIN|RES_OPTIONS|RESOLV_.*",
    r"MALLOC_(TRACE|CONF)|OPENSSL_(CONF|CONF_INCLUDE|MODULES|ENGINES)|SSLKEYLOGFILE",
    # other interpreters and programs that an evaluation may start
    r"PERL(5LIB|5OPT|LIB|5DB)|RUBY(LIB|OPT)|NODE_(OPTIONS|PATH)|(JAVA_TOOL|_JAVA|JDK_JAVA)_OPTIONS|CLASSPATH",
    r"GIT_.*|PIP_.*|UV_.*|SSH_.*|EDITOR|VISUAL|PAGER|(LESS|MAN)(OPEN|CLOSE|PAGER)",
    # the container runtime, its builder and its hooks
    r"DOCKER_.*|BUILDKIT_.*|BUILDX_.*|CONTAINER_HOST|CONTAINERS_.*|NVIDIA_(?!TF32_OVERRIDE$).*|ENVCAP_.*",
    # plug-ins of numeric and GPU libraries
    r"(CUDA|NVTX)_INJECTION(32|64)_PATH|NCCL_(NET|TUNER|PROFILER|GIN|ENV)_PLUGIN|OMP_TOOL(_LIBRARIES)?|HSA_TOOLS_LIB",
    r"ROCP(ROFILER)?_.*|OCL_ICD_.*|OPENCL_.*|VK_.*|UCX_MODULE_.*|OMPI_MCA_.*|PMIX_MCA_.*|FI_PROVIDER_PATH",
    r"QT_PLUGIN_PATH|GTK_MODULES|GIO_(EXTRA_MODULES|MODULE_DIR)|GST_PLUGIN_.*",
)
_STEERING = re.compile("|".join(_KINDS))


def is_steering(name: str) -> bool:
    """Tell whether a variable decides what is loaded into a process, so that no lock may set it."""
    return _STEERING.fullmatch(name) is not None
