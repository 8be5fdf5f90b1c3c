# Brings podman beside Docker: its program, and its service on the socket where podman itself looks for it.

podman_socket=/run/podman/podman.sock

podman_answers() { timeout 20 podman --url "unix://$podman_socket" version >/dev/null 2>&1; }

# What the service reads. Limits as low as any machine allows: podman asks for higher ones by default, and a container
# does not start where they cannot be had. Docker Hub is asked where our registry does not have an image.
write_podman_settings() {
    cat >"$state/containers.conf" <<END
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
END
    cat >"$state/registries.conf" <<END
[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "$registry"
insecure = true
[[registry]]
location = "$registry"
insecure = true
END
}

bring_up_podman() {
    if command -v podman >/dev/null && podman_answers; then return 0; fi
    [[ $EUID == 0 ]] || fail "\`podman version\` got no answer from $podman_socket: as root, \`systemctl start podman.socket\`"
    mkdir -p "$state" "${podman_socket%/*}"
    command -v podman >/dev/null || install podman catatonit
    installed catatonit || install catatonit
    write_podman_settings
    rm -f "$podman_socket"
    export CONTAINERS_CONF=$state/containers.conf CONTAINERS_REGISTRIES_CONF=$state/registries.conf
    start_daemon podman_answers podman system service --time 0 "unix://$podman_socket"
}
