/* Included before a kernel's OpenCL text: a vector load from or store to a named array, a variable or a struct's
 * member, must fit in the array. A simulator detects accesses outside a variable, but not those that run from one
 * member into the next, which some compilers drop. */
#define CHECKED_IS_ARRAY(at) (!__builtin_types_compatible_p(__typeof__(at), __typeof__(&(at)[0])))
#define CHECKED_FITS(count, at) \
    _Static_assert(!CHECKED_IS_ARRAY(at) || sizeof(at) >= (count) * sizeof((at)[0]), "a vector leaves its array")

#define CHECKED_LOAD(count, function, offset, at) \
    ({                                            \
        CHECKED_FITS(count, at);                  \
        function(offset, at);                     \
    })
#define vload2(offset, at) CHECKED_LOAD(2, vload2, offset, at)
#define vload4(offset, at) CHECKED_LOAD(4, vload4, offset, at)
#define vload8(offset, at) CHECKED_LOAD(8, vload8, offset, at)
#define vload16(offset, at) CHECKED_LOAD(16, vload16, offset, at)

#define CHECKED_STORE(count, function, vector, offset, at) \
    ({                                                     \
        CHECKED_FITS(count, at);                           \
        function(vector, offset, at);                      \
    })
#define vstore2(vector, offset, at) CHECKED_STORE(2, vstore2, vector, offset, at)
#define vstore4(vector, offset, at) CHECKED_STORE(4, vstore4, vector, offset, at)
#define vstore8(vector, offset, at) CHECKED_STORE(8, vstore8, vector, offset, at)
#define vstore16(vector, offset, at) CHECKED_STORE(16, vstore16, vector, offset, at)
