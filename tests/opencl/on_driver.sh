#!/bin/sh
# on_driver.sh VENDORS PROGRAM ARGUMENT…: runs a test on the OpenCL driver that the folder VENDORS names, or skips it.
set -eu
ls "$1"/*.icd >/dev/null 2>&1 || {
    echo "skipped: there is no driver in $1; ci/opencl install gets one, where pip or apt-get finds it"
    exit 77
}
shift
exec "$@"
