# A table in Markdown of what `ncu --csv` prints, a kernel in each column. Its lines begin with a quote, and the first ones are
#   "ID","Process ID",…,"Kernel Name",…,"Metric Name","Metric Unit","Metric Value",…
#   "0","1234",…,"dcn_forward(…)",…,"gpu__time_duration.sum","us","87.10",…
# where some lines, with advice, have no metric.
BEGIN { FS = "\",\"" }
!/^"/ { next }
{ sub(/^"/, ""); sub(/"\r?$/, "") }
!("Metric Name" in column) { for (i = 1; i <= NF; ++i) column[$i] = i; next }
{
    id = $column["ID"]; metric = $column["Metric Name"]; unit = $column["Metric Unit"]
    if (metric == "") next
    if (unit != "") metric = metric " (" unit ")"
    if (!(id in kernel)) {
        kernel[id] = $column["Kernel Name"]
        sub(/^void /, "", kernel[id]); sub(/\(.*/, "", kernel[id])
        ids[++kernels] = id
    }
    if (!(metric in known)) { known[metric]; metrics[++count] = metric }
    value[metric, id] = $column["Metric Value"]
}
END {
    printf "| |"
    for (k = 1; k <= kernels; ++k) printf " %s |", kernel[ids[k]]
    printf "\n|---|"
    for (k = 1; k <= kernels; ++k) printf "---:|"
    printf "\n"
    for (m = 1; m <= count; ++m) {
        printf "| %s |", metrics[m]
        for (k = 1; k <= kernels; ++k) printf " %s |", value[metrics[m], ids[k]]
        printf "\n"
    }
}
