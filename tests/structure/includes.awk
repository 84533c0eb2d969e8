# Checks the includes of the given files, which are all source files of the tree, with paths relative to its root.

# The folder a path is in.
function folder(path) {
    sub(/\/[^\/]*$/, "", path)
    return path
}

# A path without . and ..
function normal(path,    part, parts, n, i, top, result) {
    n = split(path, part, "/")
    top = 0
    for (i = 1; i <= n; ++i)
        if (part[i] == "..")
            top -= top > 0
        else if (part[i] != ".")
            parts[++top] = part[i]
    result = parts[1]
    for (i = 2; i <= top; ++i)
        result = result "/" parts[i]
    return result
}

# What a file may include in quotes, as a regular expression for paths from the root. Any file may include the public
# header, in angle brackets.
function allowed(file) {
    if (file ~ /^core\/platform\//)
        return "^core/(platform[.]h|platform/.*)$"
    if (file ~ /^core\//)
        return "^(core/[^/]*|backends/backends[.]def)$"
    if (file ~ /^tools\/[a-z]+\//)
        return "^tools/(" reach[folder(file)] ")/"
    if (file == "tools/main.c")
        return "^tools/(cli|system)/"
    if (file ~ /^backends\/kernels\//)
        return "^$"
    if (file ~ /^backends\/(cuda|hip)\//)
        return "^(" folder(file) "/.*|backends/(cuda_hip|gpu)/.*|" core ")$"
    if (file ~ /^backends\/(opencl|cuda_hip)\//)
        return "^(" folder(file) "/.*|backends/gpu/.*|" core ")$"
    if (file ~ /^backends\/gpu\/runtime\//)
        return "^(backends/gpu/runtime/.*|" core ")$"
    if (file ~ /^backends\/gpu\//)
        return "^(backends/gpu/.*|backends/kernels/(language/argument_lists|deform_conv/parameters|ms_deform_attn/attention_parameters|roofline_parameters)[.]h|" core ")$"
    if (file ~ /^backends\/cpu\/simd\//)
        return "^(backends/cpu/(simd/.*|rows[.]h)|" core ")$"
    if (file ~ /^backends\/cpu\/sampling\//)
        return "^(backends/cpu/((simd|sampling)/.*|rows[.]h)|" core ")$"
    if (file ~ /^backends\/[a-z]+\//) {
        match(file, /^backends\/[a-z]+\//)
        return "^(" substr(file, 1, RLENGTH) ".*|" core ")$"
    }
    if (file ~ /^bindings\/[a-z_]+\//) # of the library the public headers alone
        return "^(" folder(file) "/.*|bindings/plan_cache/plan_cache[.]h|bindings/calls/calls[.]h)$"
    return "^$"
}

function complain(text) {
    print text
    ++complaints
}

BEGIN {
    core = "core/(backend|deform_conv_problem|ms_deform_attn_problem|operator|operators|status|tensor|element|fork|platform|checked_math)[.](h|def)"
    # The command's folders: each may include itself and those before it.
    folders = split("system output cli tensors operators devices plot check bench tune", folder_name, " ")
    for (i = 1; i <= folders; ++i)
        reach["tools/" folder_name[i]] = seen = seen (i > 1 ? "|" : "") folder_name[i]
    for (i = 1; i < ARGC; ++i)
        there[ARGV[i]] = 1
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, quoted, "\"")
    path = normal(folder(FILENAME) "/" quoted[2])
    ++includes
    if (!(path in there))
        complain(FILENAME " includes " path ", which is not there")
    if (path !~ allowed(FILENAME))
        complain(FILENAME " may not include " path)
}

/^[ \t]*#[ \t]*include[ \t]*</ {
    ++includes
    if (FILENAME ~ /^backends\/kernels\//)
        complain(FILENAME " may not include anything: " $0)
    if ($0 ~ /<dcnv4/ && $0 !~ /<dcnv4\/(dcnv4|runtime|deform_conv|ms_deform_attn)[.]h>/)
        complain(FILENAME " has an include that is not the public header: " $0)
}

# Sampling takes points from any operator, and so must not know a kernel's grid.
FILENAME ~ /^backends\/(cpu|kernels)\/sampling\// && /offset_mask|kernel_[hw]|stride_[hw]|pad_|dilation|DCN_(KERNEL_[HW]|STRIDE|PAD|DILATION|SOFTMAX|POINTS)/ {
    complain(FILENAME " names what is DCNv4's: " $0)
}

END {
    print includes + 0 " includes in " ARGC - 1 " files, " complaints + 0 " complaints"
    exit complaints > 0 || includes == 0
}
