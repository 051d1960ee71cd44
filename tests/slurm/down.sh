#!/usr/bin/env bash
# Stop the Slurm that up.sh started in DIR, with every job in it; DIR itself stays. Other daemons are left alone.
set -uo pipefail
[ $# = 1 ] || { sed -n 2p "$0"; exit 2; }
DIR=$(cd "$1" 2>/dev/null && pwd) || exit 0
export SLURM_CONF=$DIR/slurm.conf

stop() { # PIDFILE: a daemon that is still the program its file is named after
    local pid name
    name=$(basename "$1" .pid)
    pid=$(cat "$1" 2>/dev/null)
    if [ -n "$pid" ] && grep -q "^${name%%-*}" "/proc/$pid/comm" 2>/dev/null; then
        kill "$pid"
        for _ in $(seq 100); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
    fi
    rm -f "$1"
}

if scontrol ping >/dev/null 2>&1; then
    scancel --user="$(id -un)" --quiet
    for _ in $(seq 50); do
        [ -z "$(squeue -h -t running,completing)" ] && break
        sleep 0.2
    done
fi
for file in "$DIR"/slurmd-*.pid "$DIR"/slurmctld.pid "$DIR"/slurmdbd.pid "$DIR"/mariadbd.pid "$DIR"/munged.pid; do
    stop "$file"
done
