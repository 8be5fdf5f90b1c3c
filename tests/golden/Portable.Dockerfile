# Rendered by envcap 0.1.0 from the lock with sha256 9999999999999999999999999999999999999999999999999999999999999999.
# To build it without envcap, in this folder, with BuildKit:
#
#     docker buildx build --tag envcap/train:999999999999-portable .
#
# Packages are downloaded while it is built: those of Python are checked against their sha256 in requirements.txt,
# those of the operating system against their exact versions. What your network asks for is handed in as secrets,
# which no layer keeps; each may be left out:
#
#     --secret id=pip,src=pip.conf --secret id=netrc,src=.netrc --secret id=ca,src=ca-certificates.crt
#
# An archive keeps only the newest OS packages. Those of 20240506T070809Z are taken from the service of dated
# archives that the base image itself names in its sources, as Debian's do, if it answers. Name another one, which must:
#
#     --build-arg SNAPSHOT=https://snapshot.example.org/archive
#
# or, where its address holds credentials, `--secret id=snapshot,src=FILE` with the address in the file.

# The Python packages, in a virtual environment that a second stage takes without the files they came from.
FROM registry.example.org/library/python:3.11.7-slim-bookworm@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb AS packages
WORKDIR /context
# Packages that no index has.
# Not as published: beta-tools 2.1.post1+local (changed by hand: 3 files).
COPY ["wheels", "wheels/"]
COPY ["requirements.txt", "./"]
RUN ["python3", "-m", "venv", "/opt/env"]
RUN --mount=type=secret,id=pip --mount=type=secret,id=netrc,target=/root/.netrc --mount=type=secret,id=ca \
    if [ -e /run/secrets/pip ]; then export PIP_CONFIG_FILE=/run/secrets/pip; fi; \
    if [ -e /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    exec /opt/env/bin/python -m pip --disable-pip-version-check --no-cache-dir install \
        --no-deps --require-hashes --force-reinstall --requirement requirements.txt
# Part of a new environment, but not of the frozen one.
RUN ["/opt/env/bin/python", "-m", "pip", "--disable-pip-version-check", "uninstall", "--yes", "setuptools", "pip"]

# The image itself: the packages, the frozen code, and what the evaluation is started with.
FROM registry.example.org/library/python:3.11.7-slim-bookworm@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
# Packages of the operating system that the base lacks: exact versions, and a look whether they are what came.
ARG SNAPSHOT=""
COPY ["os-packages", "/os-packages/"]
RUN --mount=type=secret,id=ca --mount=type=secret,id=snapshot SNAPSHOT="$SNAPSHOT" sh /os-packages/install.sh
COPY --from=packages ["/opt/env", "/opt/env"]
# The plain user.
RUN ["python3", "-I", "-B", "-c", "import os, pathlib, re; accounts = {pathlib.Path(path): line for path, line in {'/etc/passwd': b'envcap:x:65532:65532::/home/envcap:/bin/sh\\n', '/etc/group': b'envcap:x:65532:\\n'}.items()}; [path.write_bytes(path.read_bytes() + line) for path, line in accounts.items() if not re.search(br'(?m)^[^:]*:[^:]*:65532:', path.read_bytes())]; [os.utime(path, (315532800, 315532800)) for path in [*accounts, '/etc']]"]
# The home of the plain user, and the lock that all of this was rendered from.
ADD ["image.tar", "/"]
ADD ["code.tar", "/"]
ENV PATH="/opt/env/bin:$PATH" \
    HOME="/home/envcap" \
    LANG="de_DE.UTF-8" \
    LC_NUMERIC="C" \
    OMP_NUM_THREADS="4" \
    PYTHONHASHSEED="0" \
    RUN_LABEL="a \"quoted\" \$HOME \\ value" \
    TZ="Europe/Zurich" \
    USER="envcap" \
    VIRTUAL_ENV="/opt/env"
USER 65532:65532
WORKDIR /work
# A Python that is the first process of a container ignores the usual signal, and ends at this one. There is no init
# process in the image: it would be a foreign program, or one in Python that each start waits for, and engines bring
# their own (`docker run --init`), for programs that leave others behind.
STOPSIGNAL SIGINT
CMD ["python", "evaluate.py", "--split", "test set"]

# Last, so that they never cost a cached step.
LABEL \
    org.opencontainers.image.title="train" \
    org.opencontainers.image.created="2024-05-06T07:08:09Z" \
    org.opencontainers.image.source="https://git.example.org/team/model.git" \
    org.opencontainers.image.revision="0123456789abcdef0123456789abcdef01234567" \
    org.opencontainers.image.base.name="registry.example.org/library/python:3.11.7-slim-bookworm" \
    org.opencontainers.image.base.digest="sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" \
    dev.envcap.version="envcap 0.1.0" \
    dev.envcap.lock.sha256="9999999999999999999999999999999999999999999999999999999999999999"
