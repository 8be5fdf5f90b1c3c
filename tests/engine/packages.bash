# Installs packages on Debian and Ubuntu. The archive is always the one that the machine already uses.

suite=trixie
suite_source=/etc/apt/sources.list.d/envcap-engine.sources
suite_list=/etc/apt/sources.list.d/envcap-engine.list
suite_preferences=/etc/apt/preferences.d/envcap-engine

installed() { [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# install PACKAGE[/SUITE]...: quiet unless it fails. Old package lists would name files that the archive no longer has.
install() {
    local log=$state/apt.log
    refresh_lists
    say "installing $* (log: $log)"
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends "$@" >"$log" 2>&1 </dev/null || {
        tail -n 20 "$log" >&2
        fail "\`apt-get install $*\` failed"
    }
}

# A source of the user's that is out of order must not stop us: what we need may still be in reach.
refresh_lists() {
    [[ -z ${lists_are_fresh:-} ]] || return 0
    lists_are_fresh=yes
    apt-get update --quiet >"$state/apt.log" 2>&1 </dev/null ||
        say "\`apt-get update\` reported errors (log: $state/apt.log), going on"
}

# debian_target FORMAT: what apt knows about the machine's own Debian archive, its third-party sources left out.
debian_target() {
    local found
    found=$(apt-get indextargets --format "$1" \
        'Created-By: Packages' 'Origin: Debian' "Codename: $codename" 'Component: main')
    [[ -n $found ]] || fail "\`apt-get indextargets\` names no Debian $codename archive: add one to the apt sources"
    echo "${found%%$'\n'*}"
}

# Debian 12 has engine 20.10, whose BuildKit ignores SOURCE_DATE_EPOCH. The packages of Debian 13 install on it.
# The stanza is copied whole, so that options and keys come along; priority 50 keeps all other packages at home.
add_suite() {
    local entry file number
    refresh_lists
    entry=$(debian_target '$(SOURCESENTRY)')
    file=${entry%:*} number=${entry##*:}
    say "adding Debian $suite beside $file, for engine packages only"
    printf 'Package: *\nPin: release n=%s\nPin-Priority: 50\n' "$suite" >"$suite_preferences"
    case $file in
    *.sources)
        awk -v RS= -v number="$number" 'NR == number' "$file" |
            sed -E "s/^(Suites:).*/\1 $suite/; s/^(Types:).*/\1 deb/; s/^(Components:).*/\1 main/" >"$suite_source"
        ;;
    *)
        # deb [options] URI suite components: the options may hold spaces.
        sed -n "${number}p" "$file" |
            sed -E "s/^(deb +(\[[^]]*\] +)?[^ ]+) .*/\1 $suite main/" >"$suite_list"
        ;;
    esac
    lists_are_fresh=
}

install_engine() {
    local release
    release=$(machine_release)
    case $release in
    "debian bookworm")
        [[ -e $suite_source || -e $suite_list ]] || add_suite
        install docker.io/$suite docker-cli/$suite docker-buildx/$suite iptables
        ;;
    *)
        install docker.io iptables
        # Some releases have it under this name, some carry it inside docker.io.
        if apt-cache show docker-buildx >/dev/null 2>&1; then install docker-buildx; fi
        ;;
    esac
    engine_installed || fail "the \`docker.io\` package of $release is older than 23: install Docker Engine 23 or newer"
}

# An engine older than 23 has no BuildKit of its own that we could use.
engine_installed() {
    local version
    version=$(dockerd --version 2>/dev/null) || return 1
    [[ $version =~ version\ ([0-9]+)\. ]] && ((BASH_REMATCH[1] >= 23)) && command -v docker >/dev/null
}
