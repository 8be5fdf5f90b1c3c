# Names, folders and small helpers that `up` and `down` share. Nothing here changes the machine.

state=/var/lib/envcap-engine
cache=/var/cache/envcap-engine
registry=127.0.0.1:5000
codename=bookworm

say() { echo "engine: $*" >&2; }

fail() {
    say "$@"
    exit 1
}

machine_release() { (. /etc/os-release && echo "$ID ${VERSION_CODENAME:-}"); }

engine_version() { timeout 20 docker version --format '{{.Server.Version}}' 2>/dev/null; }

# dockerd gives its version also while its image store is away, so that is asked too.
engine_answers() { engine_version && timeout 20 docker image ls --quiet; } >/dev/null 2>&1

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

daemon_runs() { process_is "$(cat "$state/$1.pid" 2>/dev/null)" "$1"; }

any_process_named() {
    local name=$1 file
    for file in $(grep --files-with-matches --line-regexp --no-messages "$name" /proc/[0-9]*/comm); do
        if process_is "$(basename "$(dirname "$file")")" "$name"; then return 0; fi
    done
    return 1
}
