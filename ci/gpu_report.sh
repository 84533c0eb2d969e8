# What ci/gpu's steps have in common, to be sourced: the time that each may take, and the report, which is complete on disk
# before each step begins. In "$build", report.md grows step by step, and wrong.txt has a line for each wrong result.

# ---- Time -------------------------------------------------------------------------------------------------------------

# schedule: computes the second by which each wanted step ends, from now on. What one leaves over goes to those after it, and one
# that hangs takes nothing from them.
declare -A ends
schedule() {
    local each total=0 so_far=0 now=$SECONDS
    for each in "${table[@]}"; do
        ! wanted "${each%:*}" || total=$((total + ${each#*:}))
    done
    for each in "${table[@]}"; do
        if wanted "${each%:*}"; then
            so_far=$((so_far + ${each#*:}))
            ends[${each%:*}]=$((now + (60 * minutes - now) * so_far / total))
        fi
    done
}

# wanted STEP: whether it is among --steps.
wanted() { [[ ,$steps, == *,$1,* ]]; }

# left: seconds that the current step has left, or the part of it that $part_end ends; at least 0.
part_end=
left() {
    local end=${part_end:-${ends[$current]}}
    echo $((end > SECONDS ? end - SECONDS : 0))
}

# within COMMAND…: runs it until it ends or the step's time does; then its exit status is 124, or 137 if it had to be killed.
within() {
    local seconds
    seconds=$(left)
    timeout -k 5 $((seconds > 0 ? seconds : 1)) "$@"
}

# ---- The report -------------------------------------------------------------------------------------------------------

# say LINE…: appends to the report.
say() { printf '%s\n' "$@" >>"$report"; }

# What the first lines say: of a run that was ended from outside, how far it came.
state="**Not finished**"
timetable=()
step= current=build began=0 wrong=0 skipped= failed=0 unfinished=0 code=0

# verdict: the report's first lines.
verdict() {
    if [ -s "$build/wrong.txt" ]; then
        printf '%s\n' "**Wrong results:**" ""
        sed 's/^/- /' "$build/wrong.txt"
    elif [ $failed != 0 ]; then
        echo "**Something failed**; no wrong result was seen."
    elif [ $unfinished = 0 ] && [ -z "$state" ]; then
        echo "Nothing failed."
    else
        echo "Nothing failed of what was run to its end."
    fi
    [ $unfinished = 0 ] || printf '%s\n' "" "$unfinished of ${#timetable[@]} steps were left out or stopped, as the table says."
    [ -z "$state" ] || printf '%s\n' "" "$state: the last step that began is \"${step:-Build}\"."
}

# shares: of the floors, over the layers of each bench so far.
shares() {
    [ -s "$build/timed.txt" ] || return 0
    printf '%s\n' "" "## Shares of the floor" "" "The floor is the least time that this GPU needs for a layer's loads and bytes; 1 is the best \
possible share. Over the layers of each bench:" "" "| bench | device | pass | layers | median | lowest | highest |" "|---|---|---|---:|---:|---:|---:|"
    LC_ALL=C awk -F '\t' '
        { count = split($2, word, " ")
          for (i = 1; i <= count; ++i) if (word[i] == "forward" || word[i] == "backward") break
          key = $1 " | " word[i + 1] " | " word[i]
          if (!(key in layers)) order[++keys] = key
          share[key, ++layers[key]] = word[count - 1] + 0 }
        END { for (k = 1; k <= keys; ++k) { n = layers[key = order[k]]
                  for (i = 1; i <= n; ++i) for (j = i + 1; j <= n; ++j) if (share[key, j] < share[key, i]) {
                      kept = share[key, i]; share[key, i] = share[key, j]; share[key, j] = kept }
                  printf "| %s | %d | %.3f | %.3f | %.3f |\n", key, n, share[key, int((n + 1) / 2)], share[key, 1], share[key, n] } }' \
        "$build/timed.txt"
}

# keep: writes the report as it is now to its place.
keep() {
    {
        echo "# $gpu"
        echo
        verdict
        echo
        cat "$build/header.md"
        printf '%s\n' "" "## Steps" "" "| step | seconds | result |" "|---|---:|---|" "${timetable[@]}"
        shares
        cat "$report"
    } >"$build/whole.md"
    mkdir -p "$output"
    cp "$build/whole.md" "$output/$name.md"
}

# finish: notes how long the step took and how it went.
finish() {
    [ -z "$skipped" ] || unfinished=$((unfinished + 1))
    [ -z "$step" ] || timetable+=("| $step | $((SECONDS - began)) | $([ $wrong = 0 ] && echo "${skipped:-ok}" || echo '**failed**') |")
}

# begin STEP TITLE WHAT: begins a step of the report, which WHAT explains to a reader, and prints its title. False if the step is
# not wanted, or cannot be run.
begin() {
    wanted "$1" || return 1
    finish
    current=$1 step=$2 began=$SECONDS wrong=0 skipped=
    keep
    echo "ci/gpu: $2 (until $(($(left) + SECONDS)) s, now $SECONDS s)"
    say "" "## $2" "" "$3" ""
    if [ -s "$build/wrong.txt" ] && [[ " $after_wrong " != *" $1 "* ]]; then
        leave_out "the results are wrong, which comes first"
    elif [ "$(left)" -lt 2 ]; then
        leave_out "no time is left"
    fi
}

# leave_out WHY: says that the step is not run; false.
leave_out() {
    skipped="left out: $1"
    say "Not run: $1."
    return 1
}

# stopped WHAT: says that the step's time ended.
stopped() {
    skipped="stopped by its limit"
    say "**$1 was stopped, since the step's time ended; what it printed until then is above.**" ""
}

# run COMMAND…: runs it in the time that the step has left, and appends it and the end of its output, at most $most lines, to the
# report. $code is its exit status, and "$build/printed" has all its output.
run() {
    code=0
    say '```' "\$ ${*//$PWD\//}"
    within "$@" >"$build/printed" 2>&1 || code=$?
    tail -n "$most" "$build/printed" | sed "s|$PWD/||g" >>"$report"
    say '```' ""
}

# late: whether the last command was ended because the step's time was over.
late() { [ $code = 124 ] || { [ $code = 137 ] && [ "$(left)" = 0 ]; }; }

# failure: says that the last command failed; the script will.
failure() {
    say "**Failed with exit status $code.**" ""
    echo "ci/gpu: $step: failed with $code" >&2
    failed=1 wrong=1
}

# shown COMMAND…: runs it, and says whether it was stopped, which is no failure, or failed.
shown() {
    run "$@"
    if late; then
        stopped "This command"
    elif [ $code != 0 ]; then
        failure
    fi
    keep
}

# wrong_result TEXT…: adds lines to the report's head, each once, 12 at most.
wrong_result() {
    printf '%s\n' "$@" | sed "s|[^ ]*/tests/golden/||g" | cat "$build/wrong.txt" - | grep . | awk '!seen[$0]++' | head -n 12 \
        >"$build/wrong.new" || true
    mv "$build/wrong.new" "$build/wrong.txt"
}
