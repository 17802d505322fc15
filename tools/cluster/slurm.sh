#!/usr/bin/env bash
# Several machines of a Slurm cluster:  sbatch tools/cluster/slurm.sh RECIPE --run-dir FOLDER_THAT_ALL_SEE
# Two minutes before its time is up the training is told to stop; it saves, and the same command goes on from there.
#SBATCH --job-name=nmt
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --time=12:00:00
#SBATCH --signal=TERM@120
set -euo pipefail
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
# srun has not taken over --cpus-per-task since Slurm 22.05: without it all the processes of a machine share one core
exec srun --cpus-per-task "$SLURM_CPUS_PER_TASK" \
    torchrun --nnodes "$SLURM_NNODES" --nproc-per-node "$SLURM_GPUS_ON_NODE" \
    --rdzv-backend c10d --rdzv-id "$SLURM_JOB_ID" --rdzv-endpoint "$head:29500" -m nmt train "$@"
