#!/usr/bin/env bash
# The idea of the product on real containers, in one go: scale, a race that loses updates and one
# that does not, a killed instance, a killed database master. Every claim is checked; the first
# that does not hold ends the demo with exit code 1. The stack is left running.
set -euo pipefail
cd "$(dirname "$0")/.."

export DOTCLOUD_APPLICATION=${DEMO_APP:-counter}
# PROFILE=dev builds in a fraction of the time.
profile=${PROFILE:-release}
binaries=$PWD/target/${profile/#dev/debug}
export PATH="$binaries:$HOME/.cargo/bin:$PATH"

bold=''; plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m'; plain=$'\e[0m'; fi

chapter() { printf '\n%s=== %s%s\n' "$bold" "$*" "$plain"; }
run() { printf '%s$ %s%s\n' "$bold" "$*" "$plain"; "$@"; }
holds() { printf 'ok: %s\n' "$*"; }
broken() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# Looks until a command succeeds; the last argument list is the command.
until_true() { # what, seconds, command...
    local what=$1 deadline=$((SECONDS + $2)); shift 2
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || broken "not within the time: $what"
        sleep 0.1
    done
}

info() { dotcloud info "$@" --json; }

settled() {
    info | jq -e '
        (.holds | length == 0) and ([.services[] |
            ([.instances[] | select(.state == "up")] | length) == .instance_count and
            ((.group == null) or (.group.settled and
                ([.group.members[] | .role == "master" or .state == "synchronized"] | all)))] | all)' >/dev/null
}

# --- asking the web service, as a browser would: through 127.0.0.1 with its name as Host

find_front() {
    local url
    url=$(info www | jq -r '[.urls[] | select(test("localhost"))][0]')
    host=${url#http://}; host=${host%%/*}
    front=http://127.0.0.1:${host##*:}
}
ask() { curl -fsS -H "Host: $host" "$@"; }
counter() { ask "$front/value" | jq .value; }
past() { [ "$(counter)" -gt "$1" ]; }
increment() { ask -X POST --max-time 10 "$front/atomic" >/dev/null 2>&1; }

# --- the demo

chapter "Build"
scripts/bootstrap-engine.sh
run cargo build --profile "$profile" --locked --quiet

chapter "One command starts the stack"
run cat samples/counter/dotcloud.yml
run dotcloud up -d --wait samples/counter
find_front

chapter "Scale: four web instances, a Redis master and a slave"
run dotcloud scale www=4 db=2
until_true "4 instances, 2 synchronised members" 120 settled
run dotcloud info
answers=$(for _ in 1 2 3 4 5 6 7 8; do ask "$front/who"; done)
printf '%s\n' "$answers"
instances=$(jq -r .instance <<<"$answers" | sort -u | wc -l)
[ "$instances" = 4 ] || broken "8 requests were answered by $instances instances"
holds "4 instances answer in turn"

chapter "The race: GET, then SET"
run dotcloud race www /naive --reads /value --requests 1000 --concurrency 20 --expect some
holds "the naive counter lost updates"

chapter "The race: INCR"
run dotcloud race www /atomic --reads /value --requests 1000 --concurrency 20 --expect none
holds "the atomic counter lost none"

chapter "The same while an instance is killed"
before=$(counter)
dotcloud race www /atomic --reads /value --requests 5000 --concurrency 20 --expect none &
racing=$!
until_true "the race is under way" 30 past $((before + 300))
run dotcloud kill www.1
wait "$racing" || broken "an acknowledged increment was lost"
holds "no acknowledged increment was lost while www.1 was killed"
until_true "www.1 is back" 60 settled

chapter "The master of the database is killed"
run dotcloud info db
address=$(info db | jq -r .address)
master=$(info db | jq -r '.group.members[] | select(.role == "master") | .instance_id')
before=$(counter)
run dotcloud kill db.master
until_true "a write is accepted again" 15 increment
[ "$(counter)" -gt "$before" ] || broken "the counter went back from $before to $(counter)"
holds "writes are accepted again, and nothing that was acknowledged before is gone"
until_true "the old master is a synchronised slave" 60 settled
run dotcloud info db
[ "$(info db | jq -r .address)" = "$address" ] || broken "the address changed"
holds "same address"
role=$(info db | jq -r ".group.members[] | select(.instance_id == $master) | .role + \" \" + .state")
[ "$role" = "slave synchronized" ] || broken "the old master db.$master is now: $role"
holds "the old master db.$master is a synchronised slave"
receipt=$(info db | jq -e '.receipts[-1] | select(.resynchronised_ms != null)') || broken "there is no complete receipt"
printf 'The receipt, in milliseconds since the death was detected:\n%s\n' "$receipt"

chapter "It is yours"
info www | jq -r '.urls[]'
cat <<END
The stack keeps running. Try:
  export PATH="$binaries:\$PATH" DOTCLOUD_APPLICATION=$DOTCLOUD_APPLICATION
  dotcloud info db
  dotcloud race www /naive --reads /value
  dotcloud kill db.master
  dotcloud destroy
END
