#!/usr/bin/env bash
# A whole Slurm on this machine: slurmctld, slurmdbd over MariaDB, and several virtual nodes with GPUs that are none.
#
#   tests/slurm/up.sh DIR && export SLURM_CONF=DIR/slurm.conf        # again on a running one: nothing happens
#   tests/slurm/down.sh DIR
#
# Needs root on Debian or Ubuntu; installs what is missing. Everything lives in DIR but munge, which is the machine's.
# NODES, CPUS, MEMORY (MB) and GPUS are of each node; GRACE is the seconds between a preemption's signal and its kill.
set -euo pipefail
[ $# = 1 ] || { sed -n '2,8p' "$0"; exit 2; }
mkdir -p "$1"
DIR=$(cd "$1" && pwd)
NODES=${NODES:-4} CPUS=${CPUS:-8} MEMORY=${MEMORY:-5000} GPUS=${GPUS:-2} GRACE=${GRACE:-20}
HOST=$(hostname -s)
export DEBIAN_FRONTEND=noninteractive SLURM_CONF=$DIR/slurm.conf

running() { # NAME: whether DIR/NAME.pid is a live process of that program
    local pid
    pid=$(cat "$DIR/$1.pid" 2>/dev/null) && [ -n "$pid" ] && grep -q "^${1%%-*}" "/proc/$pid/comm" 2>/dev/null
}

await() { # COMMAND…: until it succeeds, at most a minute
    for _ in $(seq 300); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.2
    done
    echo "$DIR: gave up waiting for: $*; see $DIR/log" >&2
    exit 1
}

install_packages() {
    local packages=(slurmctld slurmd slurmdbd slurm-client slurm-wlm-basic-plugins slurm-wlm-mysql-plugin munge mariadb-server)
    dpkg -s "${packages[@]}" >/dev/null 2>&1 && return
    # Without this apt would start the machine-wide daemons of these packages where an init system answers.
    local policy=/usr/sbin/policy-rc.d
    [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy; chmod +x $policy; trap "rm -f $policy" EXIT; }
    { apt-get -qq update && apt-get -qq install -y --no-install-recommends "${packages[@]}"; } >"$DIR/log/apt.log" 2>&1 ||
        { tail -n 5 "$DIR/log/apt.log" >&2; exit 1; }
}

free_port() { # the first of a few blocks of ports where nobody listens: another DIR may be up too
    local port
    for port in $(seq 17000 100 17900); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
    echo "no free port from 17000 to 17900" >&2
    exit 1
}

write_configuration() {
    local port node first
    port=$(cat "$DIR/port" 2>/dev/null || free_port)
    echo "$port" >"$DIR/port"
    cat >"$DIR/slurm.conf" <<END
ClusterName=onebox
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
# Also the delay before a requeued job may start again, two minutes by default.
AuthInfo=cred_expire=5
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,bf_interval=5,sched_interval=5
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
ReturnToService=2
KillWait=5
SlurmdTimeout=15
MinJobAge=300
MaxJobCount=20000
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort=$((port + 1))
AccountingStorageEnforce=associations,limits,qos
AccountingStorageTRES=gres/gpu
JobAcctGatherType=jobacct_gather/none
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool.%n
SlurmctldPidFile=$DIR/slurmctld.pid
SlurmdPidFile=$DIR/slurmd-%n.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdLogFile=$DIR/log/slurmd-%n.log
DefMemPerCPU=100
NodeName=n[1-$NODES] NodeHostname=$HOST NodeAddr=127.0.0.1 Port=[$((port + 11))-$((port + 10 + NODES))] CPUs=$CPUS RealMemory=$MEMORY Gres=gpu:$GPUS
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=$GRACE MaxTime=1-0 DefaultTime=60
PartitionName=nograce Nodes=ALL PriorityTier=1 PreemptMode=REQUEUE GraceTime=0 MaxTime=1-0 DefaultTime=60
PartitionName=high Nodes=ALL PriorityTier=10 PreemptMode=OFF MaxTime=1-0 DefaultTime=60
END
    cat >"$DIR/slurmdbd.conf" <<END
DbdHost=localhost
DbdPort=$((port + 1))
SlurmUser=root
AuthType=auth/munge
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((port + 2))
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
LogFile=$DIR/log/slurmdbd.log
PidFile=$DIR/slurmdbd.pid
END
    chmod 600 "$DIR/slurmdbd.conf"
    : >"$DIR/gres.conf"
    for node in $(seq "$NODES"); do
        mkdir -p "$DIR/spool.n$node"
        [ "$GPUS" = 0 ] && continue
        first=$(((node - 1) * GPUS))
        # Only character devices count as GPUs: with plain files CUDA_VISIBLE_DEVICES would stay empty.
        for gpu in $(seq "$first" $((first + GPUS - 1))); do
            [ -e "$DIR/gpu/$gpu" ] || mknod "$DIR/gpu/$gpu" c 1 3
        done
        echo "NodeName=n$node Name=gpu File=$DIR/gpu/[$first-$((first + GPUS - 1))]" >>"$DIR/gres.conf"
    done
}

start_munge() {
    munge -n 2>/dev/null | unmunge >/dev/null 2>&1 && return
    install -d -o munge -g munge -m 755 /run/munge
    [ -s /etc/munge/munge.key ] || runuser -u munge -- /usr/sbin/mungekey --create
    runuser -u munge -- /usr/sbin/munged --force
    cp /run/munge/munged.pid "$DIR/munged.pid"
}

start_database() {
    local socket=$DIR/db/socket
    running mariadbd && return
    if [ ! -d "$DIR/db/mysql" ]; then
        install -d -o mysql "$DIR/db"
        mysql_install_db --no-defaults --user=mysql --datadir="$DIR/db" --skip-test-db >"$DIR/log/mariadb-install.log"
    fi
    setsid mariadbd --no-defaults --user=mysql --datadir="$DIR/db" --socket="$socket" --bind-address=127.0.0.1 \
        --port=$(($(cat "$DIR/port") + 2)) --innodb-lock-wait-timeout=900 >"$DIR/log/mariadb.log" 2>&1 </dev/null &
    echo $! >"$DIR/mariadbd.pid"
    await mysqladmin --socket="$socket" ping
    mysql --socket="$socket" -e "create database if not exists slurm_acct_db;
        create user if not exists slurm@'127.0.0.1' identified by 'slurm';
        grant all on slurm_acct_db.* to slurm@'127.0.0.1'"
}

start_slurm() {
    local node
    running slurmdbd || slurmdbd
    await sacctmgr -n show cluster
    sacctmgr -iQ add cluster onebox >/dev/null 2>&1 || true # each of these exists already the second time
    sacctmgr -iQ add account lab >/dev/null 2>&1 || true
    sacctmgr -iQ add user "$(id -un)" account=lab >/dev/null 2>&1 || true
    running slurmctld || slurmctld
    await scontrol ping
    for node in $(seq "$NODES"); do running "slurmd-n$node" || slurmd -N "n$node"; done
    await all_nodes_up
}

all_nodes_up() { [ "$(sinfo -h -N -t idle,alloc,mix -o %N | sort -u | wc -l)" = "$NODES" ]; }

mkdir -p "$DIR"/{state,log,gpu}
chmod 755 "$DIR"
install_packages
write_configuration
start_munge
start_database
start_slurm
echo "export SLURM_CONF=$DIR/slurm.conf"
