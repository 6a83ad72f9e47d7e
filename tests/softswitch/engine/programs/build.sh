#!/bin/sh
# Compiles every program of this folder into JSON and P4Info, with p4c-bm2-ss from the PATH or $P4C. A compiler
# that is not installed finds core.p4 and v1model.p4 in $P4C_INCLUDE. Argument: the folder to write to.
set -eu
cd "$(dirname "$0")"
compiled=${1:-compiled}
mkdir -p "$compiled"
for source in *.p4; do
    name=${source%.p4}
    "${P4C:-p4c-bm2-ss}" --p4v 16 ${P4C_INCLUDE:+-I "$P4C_INCLUDE"} \
        --p4runtime-files "$compiled/$name.p4info.txtpb" -o "$compiled/$name.json" "$source"
    # Where the compiler's own files lie differs from machine to machine.
    sed -i -E 's#("filename" : ")[^"]*/([^/"]+")#\1\2#' "$compiled/$name.json"
done
