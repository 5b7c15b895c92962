#!/usr/bin/env bash
# A Docker engine beside the machine's own, for tests that stop and kill it:
#
#   second-engine.sh run <command>…   make one, run the command with it, remove every trace of it
#   second-engine.sh start|stop|kill  within such a command: the engine alone
#
# It has its own socket, folders and containerd. Its bridges, rules and mounts are in namespaces
# that end with it, so that the machine's engine notices nothing. The command shares its network.
set -euo pipefail

fail() { printf 'Error: %s\n' "$*" >&2; exit 1; }

folder=${SECOND_ENGINE:-}
socket() { echo "$folder/docker.sock"; }
within() { nsenter --target "$(cat "$folder/holder.pid")" --net --mount "$@"; }
answers() { curl -fsS --max-time 5 --unix-socket "$(socket)" http://localhost/_ping >/dev/null 2>&1; }

# Waits up to 60 s for a condition.
await() { # what, command…
    local what=$1 deadline=$((SECONDS + 60))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || fail "not within 60 s: $what; see $folder/dockerd.log"
        sleep 0.1
    done
}

start() {
    # An engine in a namespace of its own may do with it what it likes.
    within setsid dockerd --host "unix://$(socket)" --data-root "$folder/data" --exec-root "$folder/exec" \
        --pidfile "$folder/docker.pid" --bridge none --containerd-namespace second \
        --containerd-plugins-namespace second-plugins >>"$folder/dockerd.log" 2>&1 </dev/null &
    await "the engine answers" answers
}

runs() { [ -e "/proc/$1" ] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }
gone() { ! runs "$1"; }

end() { # signal
    local pid containerd
    pid=$(cat "$folder/docker.pid")
    containerd=$(cat "$folder/exec/containerd/containerd.pid" 2>/dev/null || echo 0)
    kill "-$1" "$pid"
    await "the engine ended" gone "$pid"
    # It dies with the engine. The next engine would take one that is about to, or that nobody has
    # asked for its exit code yet, for a healthy one.
    await "its containerd ended" test ! -e "/proc/$containerd"
    # The next one does not start where a pidfile names a process that another program may have now.
    rm -f "$folder/docker.pid"
}

# Everything that was started for this engine says so in its command line: the folder's name is unique.
processes() {
    local file
    for file in /proc/[0-9]*/cmdline; do
        # It may have ended since the list was made.
        if { tr '\0' ' ' <"$file"; } 2>/dev/null | grep -qF -- "$folder/exec"; then
            file=${file%/cmdline}
            echo "${file#/proc/}"
        fi
    done
}

none_left() { [ -z "$(processes)" ]; }

remove() {
    local pid
    if answers; then
        DOCKER_HOST="unix://$(socket)" docker ps -aq | DOCKER_HOST="unix://$(socket)" xargs -r docker rm -fv >/dev/null || true
        end TERM
    fi
    for pid in $(processes); do kill -9 "$pid" 2>/dev/null || true; done
    await "its processes ended" none_left
    kill "$(cat "$folder/holder.pid")" 2>/dev/null || true
    rm -rf "$folder"
}

create() {
    folder=$(mktemp -d /tmp/second-engine.XXXXXX)
    export SECOND_ENGINE=$folder DOCKER_HOST="unix://$folder/docker.sock"
    # The namespaces live as long as this process; what is mounted in them is seen nowhere else.
    setsid unshare --net --mount --propagation private sleep infinity &
    echo $! >"$folder/holder.pid"
    trap remove EXIT
    trap 'exit 130' INT TERM
    await "the namespaces are there" within true
    within ip link set lo up
}

# The images of the service types that the tests use: no registry has them.
load() {
    local images
    images=$(env -u DOCKER_HOST docker images --format '{{.Repository}}:{{.Tag}}' |
        grep -E '^dotcloud-local/(base|common|static|redis|mysql):' || true)
    # shellcheck disable=SC2086
    [ -z "$images" ] || env -u DOCKER_HOST docker save $images | docker load >/dev/null
}

case ${1:-} in
    start) start ;;
    stop) end TERM ;;
    kill) end KILL ;;
    run)
        shift
        [ "$(id -u)" = 0 ] || fail "an engine needs root: sudo $0 run $*"
        outer=${DOCKER_HOST:-}
        [ -z "$outer" ] || fail "DOCKER_HOST is set; its engine's images would not be found"
        create
        start
        load
        # Only the network is shared: the mounts are the engine's affair.
        nsenter --target "$(cat "$folder/holder.pid")" --net "$@"
        ;;
    *) fail "usage: $0 run <command>… (or start, stop, kill within it)" ;;
esac
