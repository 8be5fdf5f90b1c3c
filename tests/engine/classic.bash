# Brings a second engine beside the first, with the image store that most engines before Docker 29 have.

# It shares nothing with the first: its data, its sockets, its names in a containerd, and its bridge. With no bridge at all
# it would delete the first one's. No container of the tests reaches a network, so the machine's own is left as it is.
write_classic_settings() {
    cat >"$classic/daemon.json" <<END
{
    "features": {"containerd-snapshotter": false},
    "data-root": "$classic/data",
    "exec-root": "$classic_run/docker",
    "pidfile": "$classic_run/docker.pid",
    "hosts": ["$classic_host"],
    "containerd-namespace": "envcap-classic",
    "bridge": "$classic_bridge",
    "iptables": false, "ip6tables": false, "ip-forward": false, "ip-masq": false,
    $shared_settings
}
END
}

# The engine gives it addresses that no other network here has.
make_classic_bridge() {
    command -v ip >/dev/null || install iproute2
    ip link show "$classic_bridge" >/dev/null 2>&1 || ip link add "$classic_bridge" type bridge
}

bring_up_classic() {
    if classic_answers; then return 0; fi
    [[ $EUID == 0 ]] || fail "\`docker version\` got no answer from $classic_host: only root can start that second engine"
    mkdir -p "$classic" "$classic_run"
    engine_installed || install_engine
    if already_runs classic classic_answers; then return 0; fi
    any_process_named containerd classic || rm -rf "$classic_run/docker/containerd"
    rm -f "$classic_run"/docker.{pid,sock}
    make_classic_bridge
    write_classic_settings
    # The one setting that Docker 26 does not take from the file.
    start_daemon classic_answers classic/dockerd --config-file "$classic/daemon.json" \
        --containerd-plugins-namespace envcap-classic-plugins
}
