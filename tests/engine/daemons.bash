# Starts the engine and the registry without a service manager, and waits until they answer.

# Sessions of their own, so that they outlive `make`; the lock's descriptor stays behind, so that the lock ends with us.
start_daemon() {
    local name=$1
    shift
    (cd / && exec setsid "$@" </dev/null >"$state/$name.log" 2>&1 9>&-) &
}

# wait_for SECONDS NAME PROBE: the daemon's last words are the reason when it does not come.
wait_for() {
    local seconds=$1 name=$2 probe=$3 deadline=$((SECONDS + $1))
    until "$probe"; do
        if ((SECONDS >= deadline)) || ! any_process_named "$name"; then
            "$probe" && return
            tail -n 20 "$state/$name.log" >&2
            fail "\`$name\` did not answer within $seconds seconds (log: $state/$name.log)"
        fi
        sleep 0.2
    done
}

# Daemons that were killed leave pid files and sockets, which their successors would believe.
clear_remains() {
    any_process_named containerd || rm -rf /run/containerd/containerd.sock* /run/docker/containerd
    rm -f /run/docker.pid "$state/dockerd.pid" /run/docker.sock
}

start_engine() {
    if any_process_named dockerd; then
        say "dockerd runs already, waiting for it"
    else
        clear_remains
        # An image store that can write OCI archives, and our registry in front of Docker Hub.
        cat >"$state/daemon.json" <<END
{"features": {"containerd-snapshotter": true}, "registry-mirrors": ["http://$registry"]}
END
        say "starting dockerd (log: $state/dockerd.log)"
        start_daemon dockerd dockerd --config-file "$state/daemon.json" --pidfile "$state/dockerd.pid"
        sleep 0.2
    fi
    wait_for 60 dockerd engine_answers
}

start_registry() {
    cat >"$state/registry.yml" <<END
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $state/registry}, delete: {enabled: true}}
http: {addr: "$registry"}
END
    say "starting a registry on $registry (log: $state/docker-registry.log)"
    start_daemon docker-registry docker-registry serve "$state/registry.yml"
    echo $! >"$state/docker-registry.pid"
    sleep 0.2
    wait_for 20 docker-registry registry_answers
}
