#!/usr/bin/env bash
# Runs files of bindings/python's tests; 77 if there is no Python for them.
#   pytest.sh SOURCE_DIR FILE…     DCNV4_TEST_PYTHON: the script of ci/ that says which Python (default python)
set -euo pipefail
source=$1
shift
python=$("$source/ci/${DCNV4_TEST_PYTHON:-python}") || exit 77
export PYTHONPATH=$source/bindings/python PYTHONDONTWRITEBYTECODE=1
# PyTorch's threads would spin while they wait, and slow other tests: as many threads, but they sleep.
export OMP_WAIT_POLICY=passive
cd "$source/bindings/python/tests"
exec "$python" -m pytest -q -p no:cacheprovider "$@"
