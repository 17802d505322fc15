#!/usr/bin/env bash
# Several machines without a scheduler; the same command on each of them:
#   NODES=2 HEAD=first.machine tools/cluster/machines.sh RECIPE --run-dir FOLDER_THAT_ALL_SEE
# PROCESSES of each machine: as many as it has GPUs, unless set.
set -euo pipefail
exec torchrun --nnodes "$NODES" --nproc-per-node "${PROCESSES:-gpu}" \
    --rdzv-backend c10d --rdzv-id nmt --rdzv-endpoint "$HEAD:${PORT:-29500}" -m nmt train "$@"
