#!/usr/bin/env bash
# Runs bindings/python's tests of the oldest frameworks; 77 if there is no Python that has them.
#   oldest.sh SOURCE_DIR
set -euo pipefail
python=$("$1/ci/oldest") || exit 77
cd "$1/bindings/python/tests"
PYTHONPATH=$1/bindings/python PYTHONDONTWRITEBYTECODE=1 exec "$python" oldest_frameworks.py
