#!/bin/sh
# Prints the worked example of the public header's first comment: from its includes to the end of its function.
#   extract_example.sh HEADER
awk '{ sub(/^ \*(     )?/, "") } /^#include/ { on = 1 } on { print } on && /^}/ { exit }' "$1"
