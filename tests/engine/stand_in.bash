# Makes a stand-in for an official `python:X.Y.Z-slim-bookworm` where no public registry is in reach:
# Debian's minimal system, and an interpreter of this machine moved to /usr/local.

# The shared libraries that CPython's own extension modules load, and what the official image has beside them.
libraries=ca-certificates,libssl3,libsqlite3-0,libffi8,zlib1g,libbz2-1.0,liblzma5,libreadline8,libncursesw6
libraries+=,libuuid1,libexpat1,libgdbm6,libnsl2,libcrypt1,netbase,tzdata

system_image=envcap-engine/debian:$codename

# interpreter_prefix VERSION: the folder of a local CPython of exactly that version, the system's own left out:
# Debian spreads its interpreter over /usr and takes ensurepip's wheels away.
interpreter_prefix() {
    local version=$1 command prefix
    local roots=("${PYENV_ROOT:-}" "$(pyenv root 2>/dev/null || true)" "$HOME/.pyenv")
    local commands=("${PYTHON:-python3}" python3 "${roots[@]/%//versions/$version/bin/python3}")
    for command in "${commands[@]}"; do
        prefix=$("$command" -I -c 'import platform, sys; print(platform.python_version(), sys.base_prefix)' 2>/dev/null) || continue
        [[ ${prefix%% *} == "$version" && ${prefix#* } != /usr ]] && echo "${prefix#* }" && return
    done
    return 1
}

make_system() {
    local archive=$cache/debian-$codename.tar uri folder
    if [[ ! -e $archive ]]; then
        installed debootstrap || install debootstrap
        refresh_lists
        uri=$(debian_target '$(REPO_URI)')
        folder=$(mktemp --directory "$cache/system.XXXX")
        say "making a minimal Debian $codename (about half a minute, log: $state/debootstrap.log)"
        debootstrap --variant=minbase --include="$libraries" "$codename" "$folder" "$uri" >"$state/debootstrap.log" 2>&1 || {
            tail -n 20 "$state/debootstrap.log" >&2
            fail "\`debootstrap $codename\` failed"
        }
        # What the official slim images leave out too.
        rm -rf "$folder"/var/cache/apt/* "$folder"/var/lib/apt/lists/* "$folder"/var/log/* \
            "$folder"/usr/share/{doc,man,info,locale,lintian}/*
        tar --create --file "$archive.part" --directory "$folder" --sort=name --numeric-owner --exclude='./dev/*' .
        mv "$archive.part" "$archive"
        rm -rf "$folder"
    fi
    docker image inspect "$system_image" >/dev/null 2>&1 ||
        docker import --message "Debian $codename" "$archive" "$system_image" >/dev/null ||
        fail "\`docker import\` of $archive failed"
}

# copy_interpreter PREFIX X.Y FOLDER: only CPython itself, no package that was installed into it.
copy_interpreter() {
    local prefix=$1 minor=$2 folder=$3 library=$3/lib/python$2
    mkdir -p "$folder"/{bin,lib,include}
    find "$prefix/bin" -maxdepth 1 \( -name 'python3*' -o -name 'pydoc3*' -o -name 'idle3*' -o -name '2to3*' \) \
        ! -name '*gdb.py' -exec cp --archive --target-directory "$folder/bin" {} +
    find "$prefix/lib" -maxdepth 1 -name 'libpython*.so*' -exec cp --archive --target-directory "$folder/lib" {} +
    cp --archive "$prefix/include/python$minor"* "$folder/include"
    tar --create --directory "$prefix/lib" --exclude="python$minor/site-packages" --exclude=__pycache__ \
        --exclude='libpython*.a' --exclude=test --exclude=tests --exclude=idle_test "python$minor" |
        tar --extract --directory "$folder/lib"
    mkdir "$library/site-packages"
    local name
    for name in python pydoc idle; do ln --symbolic "${name}3" "$folder/bin/$name"; done
    ln --symbolic python3-config "$folder/bin/python-config"
    # Scripts and build settings name the old prefix; the compiled files find their library through ldconfig.
    { grep --recursive --files-with-matches --null --binary-files=without-match --fixed-strings "$prefix" \
        "$folder/bin" "$library" || true; } | xargs --null --no-run-if-empty sed --in-place "s|$prefix|/usr/local|g"
    chown --recursive 0:0 "$folder"
}

# What envcap's images need of an interpreter, tried without a network. venv's pip comes from ensurepip's wheels.
check_image() {
    local image=$1 version=$2
    docker run --rm --network none "$image" sh -ec '
        python -c "import bz2, ctypes, lzma, readline, sqlite3, ssl, sys, uuid, zlib; print(sys.version.split()[0])"
        python -m venv /tmp/venv && /tmp/venv/bin/pip --version && pip --version' >"$state/check.log" 2>&1 &&
        [[ $(head -n 1 "$state/check.log") == "$version" ]] || {
        tail -n 20 "$state/check.log" >&2
        fail "the stand-in \`$image\` does not work"
    }
}

# make_stand_in REFERENCE: afterwards the engine has it under its official name with a registry's digest.
make_stand_in() {
    local reference=$1 version prefix folder local_name=$registry/library/$1
    [[ $reference =~ ^python:([0-9]+\.[0-9]+\.[0-9]+)-slim-$codename$ ]] ||
        fail "\`docker pull $reference\` failed, and a stand-in can only be made for python:X.Y.Z-slim-$codename"
    version=${BASH_REMATCH[1]}
    [[ $(machine_release) == "debian $codename" && $EUID == 0 ]] ||
        fail "\`docker pull $reference\` failed, and a stand-in can only be made by root on Debian $codename"
    engine_uses_registry ||
        fail "\`docker pull $reference\` failed, and this engine cannot take a stand-in: its registry-mirrors lack http://$registry"
    prefix=$(interpreter_prefix "$version") ||
        fail "\`docker pull $reference\` failed, and no CPython $version for a stand-in is on this machine (pyenv, PYTHON, python3)"

    mkdir -p "$cache"
    # A run that was cut off leaves its folders; the lock says that nobody uses them now.
    rm -rf "$cache"/system.* "$cache"/image.*
    installed docker-registry || install docker-registry
    registry_answers || start_registry
    make_system
    say "making a stand-in for $reference from $prefix"
    folder=$(mktemp --directory "$cache/image.XXXX")
    mkdir "$folder/local"
    copy_interpreter "$prefix" "${version%.*}" "$folder/local"
    tar --create --file "$folder/python.tar" --directory "$folder/local" --sort=name .
    rm -rf "$folder/local"
    cat >"$folder/Dockerfile" <<END
FROM $system_image
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 PYTHON_VERSION=$version
ADD python.tar /usr/local/
RUN ldconfig && python3 -I -m ensurepip --default-pip && find /usr/local -depth -name __pycache__ -exec rm -rf {} +
CMD ["python3"]
END
    docker build --quiet --tag "$local_name" "$folder" >"$state/build.log" 2>&1 || {
        tail -n 20 "$state/build.log" >&2
        fail "\`docker build\` of the stand-in for $reference failed"
    }
    rm -rf "$folder"
    check_image "$local_name" "$version"
    docker push --quiet "$local_name" >/dev/null || fail "\`docker push $local_name\` failed"
    docker pull --quiet "$reference" >/dev/null || fail "\`docker pull $reference\` failed after its push to $registry"
    docker image rm "$local_name" >/dev/null
}
