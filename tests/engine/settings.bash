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

engine_answers() { engine_version >/dev/null; }

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

# A pid file outlives its daemon, and the number may belong to another process by now.
process_is() {
    local pid=$1 name=$2
    [[ -n $pid && $(cat "/proc/$pid/comm" 2>/dev/null) == "$name" ]]
}

daemon_runs() { process_is "$(cat "$state/$1.pid" 2>/dev/null)" "$1"; }

any_process_named() { grep --quiet --line-regexp --no-messages "$1" /proc/[0-9]*/comm; }
