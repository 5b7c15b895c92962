#!/usr/bin/env bash
# Installs what building and running needs and this machine lacks, saying what and why.
# An engine that answers is left alone; one that was chosen and does not answer is an error.
set -euo pipefail

log_file=${DOTCLOUD_DOCKERD_LOG:-/var/log/dotcloud-dockerd.log}
toolchain=1.95

say() { printf '==> %s\n' "$*" >&2; }
fail() { printf 'Error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif have sudo; then sudo "$@"
    else fail "root is needed for: $*"
    fi
}

# --- packages

packages=()
want() { # command, package, reason
    have "$1" && return
    say "$1 is missing: installing $2 ($3)"
    packages+=("$2")
}

install_packages() {
    [ ${#packages[@]} -gt 0 ] || return 0
    have apt-get || fail "this script installs with apt-get only; please install by hand: ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2
    packages=()
}

want_tools() {
    want curl curl "the demo asks the proxy with it, and it fetches the Rust toolchain"
    want jq jq "the demo reads JSON answers with it"
    want cc build-essential "SQLite is compiled into the binary"
    if have apt-get; then
        want mmdebstrap mmdebstrap "makes the base image from Debian packages where no registry answers"
        if [ ! -e /usr/share/keyrings/debian-archive-keyring.gpg ]; then
            say "Debian's archive keys are missing: installing debian-archive-keyring (mmdebstrap checks signatures with it)"
            packages+=(debian-archive-keyring)
        fi
    fi
}

want_rust() {
    have cargo && return
    [ -x "$HOME/.cargo/bin/cargo" ] && return
    say "cargo is missing: installing Rust $toolchain with rustup (Debian's own is too old for this edition)"
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
        sh -s -- -y --no-modify-path --profile minimal -c rustfmt -c clippy --default-toolchain "$toolchain" >&2
}

# --- engine

# The endpoint a client would use: DOCKER_HOST, else the active docker context, else the default socket.
endpoint() {
    if [ -n "${DOCKER_HOST:-}" ]; then
        echo "$DOCKER_HOST"
    elif have docker && docker context inspect >/dev/null 2>&1; then
        docker context inspect --format '{{.Endpoints.docker.Host}}'
    else
        echo unix:///var/run/docker.sock
    fi
}

answers() {
    case "$1" in
        unix://*) curl -fsS --max-time 5 --unix-socket "${1#unix://}" http://localhost/_ping >/dev/null 2>&1 ;;
        tcp://*) curl -fsS --max-time 5 "http://${1#tcp://}/_ping" >/dev/null 2>&1 ;;
        *) have docker && docker version >/dev/null 2>&1 ;;
    esac
}

wait_for_engine() {
    for _ in $(seq 1 120); do
        answers "$1" && return
        sleep 0.5
    done
    return 1
}

start_engine() {
    if [ -d /run/systemd/system ]; then
        as_root systemctl start docker
        return
    fi
    say "starting dockerd, detached from this terminal; its output goes to $log_file"
    as_root sh -c "setsid nohup dockerd >'$log_file' 2>&1 </dev/null &"
}

ensure_engine() {
    local at
    at=$(endpoint)
    answers "$at" && return
    if [ "$at" != unix:///var/run/docker.sock ]; then
        fail "the Docker engine at $at does not answer; start it, or unset DOCKER_HOST or the docker context"
    fi
    if [ -S /var/run/docker.sock ] && [ ! -w /var/run/docker.sock ] && pgrep -x dockerd >/dev/null; then
        fail "a Docker engine runs, but $(id -un) may not use /var/run/docker.sock: join the group docker"
    fi
    if ! have dockerd; then
        say "no Docker engine answers at $at and none is installed: installing docker.io (it runs the containers)"
        packages+=(docker.io iptables)
        install_packages
    else
        say "the Docker engine is installed but does not run"
    fi
    answers "$at" || start_engine
    wait_for_engine "$at" && return
    [ -r "$log_file" ] && tail -n 20 "$log_file" >&2
    fail "dockerd was started but does not answer at $at within 60 s"
}

want_tools
install_packages
want_rust
ensure_engine
