#!/bin/bash
# One node of a run on several without a scheduler. Start it on every node, each with its own NODE_RANK from 0:
#   NODES=2 NODE_RANK=0 FIRST=node0 PER_NODE=8 examples/torchrun_node.sh pretrain /shared/photos --out /shared/runs/a
set -eu
verb=$1
shift
if [ "$verb" = pretrain ]; then
    set -- "$@" --devices "$PER_NODE" --num-nodes "$NODES"
fi
exec "${PYTHON:-python}" -m torch.distributed.run --nnodes "$NODES" --nproc-per-node "$PER_NODE" --node-rank "$NODE_RANK" \
    --master-addr "$FIRST" --master-port "${PORT:-29500}" -m selftaught "$verb" "$@"
