# Names, folders and small helpers that `up` and `down` share. Nothing here changes the machine.

state=/var/lib/envcap-engine
cache=/var/cache/envcap-engine
registry=127.0.0.1:5000
codename=bookworm

# The second engine, with the classic image store. Tests name its socket (tests/conftest.py).
classic=$state/classic
classic_run=/run/envcap-classic
classic_host=unix://$classic_run/docker.sock
classic_bridge=envcap-classic

say() { echo "engine: $*" >&2; }

fail() {
    say "$@"
    exit 1
}

machine_release() { (. /etc/os-release && echo "$ID ${VERSION_CODENAME:-}"); }

engine_version() { timeout 20 docker version --format '{{.Server.Version}}' 2>/dev/null; }

# dockerd gives its version also while its image store is away, so that is asked too.
engine_answers() { engine_version && timeout 20 docker image ls --quiet; } >/dev/null 2>&1

on_classic() { DOCKER_HOST=$classic_host "$@"; }

classic_answers() { on_classic engine_answers; }

# Only an engine that asks our registry first can pull a stand-in under its official name.
engine_uses_registry() {
    docker info --format '{{.RegistryConfig.Mirrors}}' | grep --quiet --fixed-strings "http://$registry/"
}

# Asked by hand: a bare machine has bash, but perhaps no curl.
registry_answers() {
    (
        exec 3<>"/dev/tcp/${registry/://}"
        printf 'GET /v2/ HTTP/1.0\r\nHost: %s\r\n\r\n' "$registry" >&3
        timeout 10 grep --quiet --ignore-case '^Docker-Distribution-Api-Version' <&3
    ) 2>/dev/null
}

# A pid file outlives its daemon, and the number may belong to another process by now, or to a dead one not yet reaped.
process_is() {
    local pid=$1 name=$2
    [[ -n $pid && $(cat "/proc/$pid/comm" 2>/dev/null) == "$name" ]] &&
        ! grep --quiet --no-messages '^State:.*zombie' "/proc/$pid/status"
}

# A daemon's name may have a folder before it: that of its state.
daemon_runs() { process_is "$(cat "$state/$1.pid" 2>/dev/null)" "${1##*/}"; }

# The second engine's processes are told from all others by their configuration, which their command lines name.
owner_of() {
    if grep --quiet --no-messages --fixed-strings --regexp "$classic" --regexp "$classic_run" "/proc/$1/cmdline"; then
        echo classic
    else
        echo others
    fi
}

# any_process_named NAME OWNER: whether one runs, the second engine's (`classic`) or one of all `others`.
any_process_named() {
    local name=$1 owner=$2 file pid
    for file in $(grep --files-with-matches --line-regexp --no-messages "$name" /proc/[0-9]*/comm); do
        pid=$(basename "$(dirname "$file")")
        if process_is "$pid" "$name" && [[ $(owner_of "$pid") == "$owner" ]]; then return 0; fi
    done
    return 1
}
