/* No number in the file is trusted: each is checked against the file's size. A read past a cursor's end gives 0 and
 * empties the cursor. */
#include "resources.h"

#include <stddef.h>

#include <string.h>

typedef struct cursor {
    const unsigned char *at;
    size_t left;
} cursor;

static cursor piece(cursor of, uint64_t offset, uint64_t length) {
    if (offset > of.left || length > of.left - offset)
        return (cursor){of.at, 0};
    return (cursor){of.at + offset, (size_t)length};
}

static bool take_bytes(cursor *from, void *to, size_t length) {
    memset(to, 0, length);
    if (from->left < length) {
        from->left = 0;
        return false;
    }
    memcpy(to, from->at, length);
    from->at += length, from->left -= length;
    return true;
}

static uint32_t take32(cursor *from) {
    unsigned char b[4];
    take_bytes(from, b, sizeof b);
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint64_t take64(cursor *from) {
    const uint64_t low = take32(from);
    return low | (uint64_t)take32(from) << 32;
}

static void skip(cursor *from, uint64_t length) {
    *from = length > from->left ? (cursor){from->at, 0} : (cursor){from->at + length, from->left - (size_t)length};
}

/* ---- ELF: sections ----------------------------------------------------------------------------------------------- */

enum { SECTION_BYTES = 64, SYMBOL_BYTES = 24, SHT_SYMTAB = 2, SHT_NOTE = 7, SHT_NOBITS = 8 };

typedef struct section {
    uint32_t name, type;
    uint64_t size;
    cursor bytes; /* empty for a section without any */
} section;

typedef struct elf {
    cursor file;
    uint64_t table; /* where the section headers are */
    uint32_t count, names;
} elf;

static section section_of(const elf *e, uint32_t number) {
    cursor header = piece(e->file, e->table + (uint64_t)number * SECTION_BYTES, SECTION_BYTES);
    section s = {.name = take32(&header), .type = take32(&header)};
    skip(&header, 16);
    const uint64_t offset = take64(&header);
    s.size = take64(&header);
    s.bytes = piece(e->file, offset, s.type == SHT_NOBITS ? 0 : s.size);
    return s;
}

/* Whether the string at this offset of a string table is prefix followed by rest. */
static bool is_named(cursor names, uint64_t offset, const char *prefix, const char *rest) {
    const size_t first = strlen(prefix), second = strlen(rest) + 1;
    const cursor name = piece(names, offset, first + second);
    return name.left > 0 && memcmp(name.at, prefix, first) == 0 && memcmp(name.at + first, rest, second) == 0;
}

/* Opens a 64-bit little-endian ELF file with its section headers; *machine is its e_machine. */
static bool open_elf(const dcnv4i_binary *binary, elf *e, unsigned *machine) {
    static const unsigned char magic[] = {0x7f, 'E', 'L', 'F', 2, 1};
    *e = (elf){.file = {binary->bytes, binary->bytes ? binary->size : 0}};
    if (e->file.left < 64 || memcmp(e->file.at, magic, sizeof magic) != 0)
        return false;
    cursor header = piece(e->file, 16, 48);
    *machine = take32(&header) >> 16;
    skip(&header, 20);
    e->table = take64(&header);
    skip(&header, 10);
    const uint32_t size_and_count = take32(&header);
    e->count = size_and_count >> 16;
    e->names = e->file.at[62] | (uint32_t)e->file.at[63] << 8;
    return e->table < e->file.left;
}

/* The section with this name; its type is 0 if there is none. */
static section find_section(const elf *e, const char *prefix, const char *rest) {
    const cursor names = section_of(e, e->names).bytes;
    for (uint32_t i = 0; i < e->count; ++i) {
        const section s = section_of(e, i);
        if (is_named(names, s.name, prefix, rest))
            return s;
    }
    return (section){.type = 0};
}

/* ---- NVIDIA: attributes in .nv.info, of all kernels by their symbols, and in .nv.info.KERNEL --------------------- */

enum { FORM_SIZED = 4, MAX_THREADS = 0x05, FRAME_SIZE = 0x11, REGISTER_COUNT = 0x2f };

/* Finds the next attribute with a value of its own; false at the end. */
static bool next_attribute(cursor *from, unsigned *attribute, cursor *value) {
    while (from->left >= 4) {
        const uint32_t word = take32(from);
        *attribute = word >> 8 & 0xff;
        if ((word & 0xff) != FORM_SIZED)
            continue;
        *value = piece(*from, 0, word >> 16);
        skip(from, word >> 16);
        return true;
    }
    return false;
}

static bool is_symbol(const elf *e, uint32_t number, const char *name) {
    const section symbols = find_section(e, ".symtab", ""), names = find_section(e, ".strtab", "");
    cursor symbol = piece(symbols.bytes, (uint64_t)number * SYMBOL_BYTES, SYMBOL_BYTES);
    return symbol.left > 0 && is_named(names.bytes, take32(&symbol), "", name);
}

static dcnv4i_resources read_cubin(const elf *e, const char *kernel) {
    dcnv4i_resources found = {.known = false};
    cursor all = find_section(e, ".nv.info", "").bytes, own = find_section(e, ".nv.info.", kernel).bytes, value;
    unsigned attribute;
    while (next_attribute(&all, &attribute, &value)) {
        if ((attribute != REGISTER_COUNT && attribute != FRAME_SIZE) || !is_symbol(e, take32(&value), kernel))
            continue;
        const uint32_t number = take32(&value);
        if (attribute == FRAME_SIZE)
            found.spill = number;
        else {
            found.registers = (int32_t)(number & 0xffff);
            found.known = true;
        }
    }
    while (next_attribute(&own, &attribute, &value))
        if (attribute == MAX_THREADS)
            found.work_group = (int32_t)(take32(&value) & 0xffff);
    found.local_memory = (int64_t)(find_section(e, ".nv.shared.", kernel).size & INT32_MAX);
    return found;
}

/* ---- AMD: a note in MessagePack, {"amdhsa.kernels": [{".name": …, ".vgpr_count": …}, …], …} ---------------------- */

typedef enum kind { NUMBER, TEXT, LIST, MAP, OTHER } kind;

typedef struct item {
    kind kind;
    uint64_t number; /* or how many elements or pairs it has */
    cursor text;
} item;

static uint64_t take_big(cursor *from, int bytes) {
    uint64_t number = 0;
    for (unsigned char byte; bytes > 0 && take_bytes(from, &byte, 1); --bytes)
        number = number << 8 | byte;
    return number;
}

static item text_of(cursor *from, kind what, uint64_t length) {
    const item found = {what, length, piece(*from, 0, length)};
    skip(from, length);
    return found;
}

/* The next item; the elements of a list or map follow it. */
static item take_item(cursor *from) {
    unsigned char tag;
    if (!take_bytes(from, &tag, 1))
        return (item){.kind = OTHER};
    if (tag < 0x80 || tag >= 0xe0)
        return (item){.kind = NUMBER, .number = tag < 0x80 ? tag : 0};
    if (tag < 0xa0)
        return (item){.kind = tag < 0x90 ? MAP : LIST, .number = tag & 0xf};
    if (tag < 0xc0)
        return text_of(from, TEXT, tag & 0x1f);
    switch (tag) {
    case 0xc4:
    case 0xc5:
    case 0xc6: return text_of(from, OTHER, take_big(from, 1 << (tag - 0xc4)));
    case 0xca: skip(from, 4); return (item){.kind = OTHER};
    case 0xcb: skip(from, 8); return (item){.kind = OTHER};
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf: return (item){.kind = NUMBER, .number = take_big(from, 1 << (tag - 0xcc))};
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3: return (item){.kind = NUMBER, .number = take_big(from, 1 << (tag - 0xd0))};
    case 0xd9:
    case 0xda:
    case 0xdb: return text_of(from, TEXT, take_big(from, 1 << (tag - 0xd9)));
    case 0xdc:
    case 0xdd: return (item){.kind = LIST, .number = take_big(from, 2 << (tag - 0xdc))};
    case 0xde:
    case 0xdf: return (item){.kind = MAP, .number = take_big(from, 2 << (tag - 0xde))};
    default: return (item){.kind = OTHER};
    }
}

/* Skips one item with all its elements. Counts instead of recursing; every element takes at least a byte, so it
 * ends. */
static void skip_item(cursor *from) {
    for (uint64_t wanted = 1; wanted > 0 && from->left > 0; --wanted) {
        const item i = take_item(from);
        if ((i.kind == LIST || i.kind == MAP) && i.number <= from->left)
            wanted += i.kind == MAP ? 2 * i.number : i.number;
        else if (i.kind == LIST || i.kind == MAP)
            from->left = 0;
    }
}

static bool is_text(const item *i, const char *text) {
    return i->kind == TEXT && i->text.left == strlen(text) && memcmp(i->text.at, text, i->text.left) == 0;
}

/* Reads one kernel's map; returns whether it has this name. */
static bool read_kernel(cursor *from, uint64_t pairs, const char *kernel, dcnv4i_resources *found) {
    static const struct {
        const char *key;
        size_t offset;
        bool wide;
    } fields[] = {
        {".vgpr_count", offsetof(dcnv4i_resources, registers), false},
        {".max_flat_workgroup_size", offsetof(dcnv4i_resources, work_group), false},
        {".group_segment_fixed_size", offsetof(dcnv4i_resources, local_memory), true},
        {".private_segment_fixed_size", offsetof(dcnv4i_resources, spill), true},
    };
    bool named = false;
    *found = (dcnv4i_resources){.known = true};
    for (; pairs > 0 && from->left > 0; --pairs) {
        const item key = take_item(from);
        cursor rest = *from;
        const item value = take_item(&rest);
        skip_item(from);
        named |= is_text(&key, ".name") && is_text(&value, kernel);
        for (size_t f = 0; f < sizeof fields / sizeof *fields; ++f) {
            if (!is_text(&key, fields[f].key) || value.kind != NUMBER)
                continue;
            const int32_t narrow = (int32_t)(value.number & INT32_MAX);
            const int64_t wide = narrow;
            memcpy((char *)found + fields[f].offset, fields[f].wide ? (const void *)&wide : &narrow,
                   fields[f].wide ? sizeof wide : sizeof narrow);
        }
    }
    return named;
}

static dcnv4i_resources read_metadata(cursor from, const char *kernel) {
    dcnv4i_resources found;
    const item top = take_item(&from);
    for (uint64_t pairs = top.kind == MAP ? top.number : 0; pairs > 0 && from.left > 0; --pairs) {
        const item key = take_item(&from);
        if (!is_text(&key, "amdhsa.kernels")) {
            skip_item(&from);
            continue;
        }
        const item list = take_item(&from);
        for (uint64_t kernels = list.kind == LIST ? list.number : 0; kernels > 0 && from.left > 0; --kernels) {
            const item map = take_item(&from);
            if (map.kind == MAP && read_kernel(&from, map.number, kernel, &found))
                return found;
        }
    }
    return (dcnv4i_resources){.known = false};
}

static dcnv4i_resources read_code_object(const elf *e, const char *kernel) {
    enum { METADATA = 32 };
    for (uint32_t i = 0; i < e->count; ++i) {
        const section s = section_of(e, i);
        for (cursor notes = s.bytes; s.type == SHT_NOTE && notes.left >= 12;) {
            const uint32_t name = take32(&notes), length = take32(&notes), type = take32(&notes);
            const cursor owner = piece(notes, 0, name);
            skip(&notes, ((uint64_t)name + 3) / 4 * 4);
            if (type == METADATA && owner.left == 7 && memcmp(owner.at, "AMDGPU", 7) == 0)
                return read_metadata(piece(notes, 0, length), kernel);
            skip(&notes, ((uint64_t)length + 3) / 4 * 4);
        }
    }
    return (dcnv4i_resources){.known = false};
}

dcnv4i_resources dcnv4i_resources_of(const dcnv4i_binary *binary, const char *kernel) {
    enum { NVIDIA = 190, AMD = 224 };
    elf e;
    unsigned machine;
    if (!open_elf(binary, &e, &machine))
        return (dcnv4i_resources){.known = false};
    if (machine == NVIDIA)
        return read_cubin(&e, kernel);
    return machine == AMD ? read_code_object(&e, kernel) : (dcnv4i_resources){.known = false};
}
