#!/bin/sh
# list_layers.sh DCNV4: the groups and channels of the models' layers, which `dcnv4 bench` knows, a line each.
set -eu
export LC_ALL=C
"$1" bench --list --preset paper,detection,flash_internimage_t,flash_internimage_s,flash_internimage_b,flash_internimage_l \
    --format csv | awk -F, 'NR > 1 { print $5, $6 }' | sort -u -k 2,2n -k 1,1n
