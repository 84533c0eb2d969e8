#!/usr/bin/env bash
# Runs files of bindings/python's tests; 77 if there is no Python for them.
#   pytest.sh SOURCE_DIR FILE…
set -euo pipefail
source=$1
shift
python=$("$source/ci/python") || exit 77
export PYTHONPATH=$source/bindings/python PYTHONDONTWRITEBYTECODE=1
cd "$source/bindings/python/tests"
exec "$python" -m pytest -q -p no:cacheprovider "$@"
