#!/bin/bash
# Train on two nodes of a SLURM cluster, with all their GPUs; from the folder that holds recipes/ and configs/:
#
#     sbatch configs/slurm.sh recipes/image_dcgan.py --batch_size 256
#     sbatch --nodes 4 configs/slurm.sh -m multigan train image --dataset my_pictures --batch_size 256
#
# What stands after the script's name is what would stand after `accelerate launch`; leave --output and --resume out.
# The disk must be one that all nodes share. A job that is preempted, or reaches its time limit, finishes its step,
# saves, goes back into the queue, and goes on where it was. This has not been run on a cluster yet.

# The name that squeue shows.
#SBATCH --job-name=multigan
# Two machines ...
#SBATCH --nodes=2
# ... on each of which one launcher is started, which itself starts one process for each GPU.
#SBATCH --ntasks-per-node=1
# GPUs on each machine.
#SBATCH --gpus-per-node=4
# Processor cores for each launcher and its processes: two for each GPU.
#SBATCH --cpus-per-task=8
# The longest that one turn may take, in hours:minutes:seconds.
#SBATCH --time=24:00:00
# Two minutes before that, SIGTERM goes to this script (B), which passes it on; see `stop` below.
#SBATCH --signal=B:TERM@120
# The job may go back into the queue under the same number, when it is preempted, or a node fails.
#SBATCH --requeue
# Where everything said goes; %j is the number of the job.
#SBATCH --output=slurm-%j.log
# A job that comes back from the queue adds to that file instead of starting it anew.
#SBATCH --open-mode=append

# End with an error where a variable is not set, instead of going on with nothing in its place.
set -u

# The run folder is the same each time that the job comes back, because it keeps its number.
folder="runs/slurm-$SLURM_JOB_ID"
# SLURM writes node names short, as in node[07-08]; this writes them out, and takes the first: there processes meet,
address=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
# at a port made of the job's number, so that two jobs on one node do not take the same.
port=$((20000 + SLURM_JOB_ID % 10000))

# Where there is a complete checkpoint (the manifest is written last), the run is gone on with.
if compgen -G "$folder/checkpoints/step-*/manifest.json" > /dev/null; then
    # --resume takes the settings of the run that is there.
    where=(--resume "$folder")
else
    # What was begun, but ended before its first checkpoint, is moved out of the way: --output wants a new folder.
    if [ -e "$folder" ]; then mv "$folder" "$folder-begun-$(date +%s)"; fi
    # A new run.
    where=(--output "$folder")
fi

# What accelerate is told: the file, and what only SLURM knows: how many nodes, how many GPUs in all, where to meet.
launch=(
    --config_file configs/accelerate/multi_host.yaml
    --num_machines "$SLURM_NNODES"
    --num_processes "$((SLURM_NNODES * SLURM_GPUS_ON_NODE))"
    --main_process_ip "$address"
    --main_process_port "$port"
)

# Not yet told to stop.
stopped=""
# Told to stop, pass it on: srun hands the signal to the launcher on each node, and that to its processes, which finish
# their step and save. A launcher gives them 30 seconds for it.
stop() {
    # Remembered, for whether to go back into the queue.
    stopped="yes"
    # The srun that is started below.
    kill -TERM "$steps"
}
# From here on, SIGTERM calls that.
trap stop TERM

# On every node, srun starts this little script, which becomes (exec) a launcher that knows the number of its node. It
# runs in the background (&), because bash answers no signal while it waits for something in the foreground.
srun bash -c 'exec accelerate launch --machine_rank "$SLURM_NODEID" "$@"' launcher "${launch[@]}" "$@" "${where[@]}" &
# Its process number.
steps=$!
# Wait for its end; a signal ends the waiting ...
wait "$steps"
# ... and how it ended is known only if it was waited for to the end.
code=$?
# So after a signal, wait again.
if [ -n "$stopped" ]; then wait "$steps"; code=$?; fi

# Stopped before its last step, the job goes back into the queue; one that is done, or failed, does not.
if [ -n "$stopped" ] && [ "$code" -ne 0 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
# The job ends as the training did.
exit "$code"
