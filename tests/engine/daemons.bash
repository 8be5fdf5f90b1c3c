# Starts the engine and the registry without a service manager, and waits until they answer.

# start_daemon PROBE NAME ARGUMENT...: returns when the probe succeeds. Before the name may stand the folder of its state.
# A session of its own lets the daemon outlive `make`; without the lock's descriptor, the lock ends with us.
start_daemon() {
    local probe=$1 name=$2 log=$state/$2.log
    say "starting $name (log: $log)"
    (cd / && exec setsid "${name##*/}" "${@:3}" </dev/null >"$log" 2>&1 9>&-) &
    echo "$!" >"$state/$name.pid"
    wait_for "$probe" "$name" "$!"
}

# wait_for PROBE NAME PROCESS: the daemon's last words are the reason when it does not come.
wait_for() {
    local probe=$1 name=$2 process=$3 seconds=60 deadline=$((SECONDS + 60))
    until "$probe"; do
        if ((SECONDS >= deadline)) || ! kill -0 "$process" 2>/dev/null; then
            tail -n 20 "$state/$name.log" >&2
            fail "\`$name\` ended or did not answer within $seconds seconds (log: $state/$name.log)"
        fi
        sleep 0.2
    done
}

# Daemons that were killed leave pid files and sockets, which their successors would believe.
# What containerd noted about its containers stays: it tidies up after them itself.
clear_remains() {
    any_process_named containerd others || rm -f /run/containerd/containerd.sock* /run/docker/containerd/containerd.pid
    rm -f /run/docker.pid /run/docker.sock
}

# Our registry in front of Docker Hub, and an end to what a builder keeps: each run leaves gigabytes of steps that no
# later one takes, and a full disk fails every test.
shared_settings='"registry-mirrors": ["http://'$registry'"],
    "builder": {"gc": {"enabled": true, "defaultKeepStorage": "12GB"}}'

# already_runs OWNER PROBE: whether that dockerd was there before. One that a service manager just started needs a moment;
# a second beside it would take its bridge and data.
already_runs() {
    local owner=$1 probe=$2 deadline=$((SECONDS + 30))
    while any_process_named dockerd "$owner"; do
        if "$probe"; then return 0; fi
        ((SECONDS < deadline)) || fail "a dockerd runs, yet \`docker version\` gets no answer: stop it or look at its log"
        sleep 0.2
    done
    return 1
}

start_engine() {
    if already_runs others engine_answers; then return 0; fi
    clear_remains
    # An image store that can write OCI archives.
    cat >"$state/daemon.json" <<END
{
    "features": {"containerd-snapshotter": true},
    $shared_settings
}
END
    start_daemon engine_answers dockerd --config-file "$state/daemon.json"
}

start_registry() {
    cat >"$state/registry.yml" <<END
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $state/registry}, delete: {enabled: true}}
http: {addr: "$registry"}
END
    start_daemon registry_answers docker-registry serve "$state/registry.yml"
}
