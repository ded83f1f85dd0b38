#!/bin/sh
# Runs its arguments under the Node.js that scripts/bootstrap.mjs chose. A shell that replaces itself,
# so that there is one process and signals to npm reach it.
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
if ! IFS= read -r node <"$root/.weir/build/node" && [ -z "$node" ]; then
  echo 'weir: nothing is installed yet: run npm run build first.' >&2
  exit 1
fi
PATH="$(dirname -- "$node"):$PATH"
export PATH
exec "$node" --disable-warning=ExperimentalWarning --disable-warning=TimeoutNegativeWarning "$@"
