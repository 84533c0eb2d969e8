"""The operators as functions of ONNX's own operators, for runtimes without libdcnv4_onnxruntime. A model holds them beside
its nodes; where the library is registered, it is used instead.

They compute in float32. docs/operator.md and docs/ms-deform-attn.md have the formulas."""

from __future__ import annotations

from .._needs import need

onnx = need("onnx", "dcnv4.onnx", "onnx")
need("onnx.parser", "dcnv4.onnx", "onnx")

DOMAIN = "dcnv4"
OPERATORS = ("DCNv4", "MSDeformAttn")
OLDEST_OPSET = 16  # GridSample's first

_CONSTANTS = """
    none = Constant <value_ints = [0]> ()
    single = Constant <value_ints = [1]> ()
    pair = Constant <value_ints = [2]> ()
    triple = Constant <value_ints = [3]> ()
    last = Constant <value_ints = [-1]> ()
    zero = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()
    two = Constant <value_int = 2> ()
    three = Constant <value_int = 3> ()
    no_weight = Constant <value_float = 0.0> ()
    before = Constant <value_float = -1.0> ()
    outside = Constant <value_float = -2.0> ()
    half_place = Constant <value_float = 0.5> ()
"""

# x, y, width, height → counts, and x_in, y_in: the positions, or one outside for points that do not count.
_COUNTS = """
    after_left = Greater (x, before)
    before_right = Less (x, width)
    below_top = Greater (y, before)
    above_bottom = Less (y, height)
    in_columns = And (after_left, before_right)
    in_rows = And (below_top, above_bottom)
    counts = And (in_columns, in_rows)
    x_in = Where (counts, x, outside)
    y_in = Where (counts, y, outside)
"""

# raw → weights: through softmax if the attribute says so, and 0 for points that do not count.
_WEIGHTS = """
    flag = Constant <value_int: int = @softmax> ()
    soft = Cast <to = 9> (flag)
    softened = Softmax <axis = -1> (raw)
    chosen = Where (soft, softened, raw)
    weights = Where (counts, chosen, no_weight)
"""

_DEFORM_CONV = f"""
<opset_import: ["": %(opset)d], domain: "{DOMAIN}">
DCNv4 <group, kernel_size: ints = [3, 3], stride: ints = [1, 1], padding: ints = [1, 1], dilation: ints = [1, 1],
       offset_scale: float = 1.0, remove_center: int = 0, softmax: int = 0>
(value, offset_mask) => (output)
{{
    {_CONSTANTS}
    swap = Constant <value_ints = [1, 0]> ()
    kernel_given = Constant <value_ints: ints = @kernel_size> ()
    stride_given = Constant <value_ints: ints = @stride> ()
    padding_given = Constant <value_ints: ints = @padding> ()
    dilation_given = Constant <value_ints: ints = @dilation> ()
    groups = Constant <value_int: int = @group> ()
    scale = Constant <value_float: float = @offset_scale> ()
    remove_given = Constant <value_int: int = @remove_center> ()
    kernel_hw = Expand (kernel_given, pair)
    stride_hw = Expand (stride_given, pair)
    padding_hw = Expand (padding_given, pair)
    dilation_hw = Expand (dilation_given, pair)

    n = Shape <start = 0, end = 1> (value)
    size = Shape <start = 1, end = 3> (value)
    c = Shape <start = 3, end = 4> (value)
    out_h = Shape <start = 1, end = 2> (offset_mask)
    out_w = Shape <start = 2, end = 3> (offset_mask)
    pixels = Mul (out_h, out_w)
    g = Reshape (groups, single)
    d = Div (c, g)
    images = Mul (n, g)

    kernel_h = Gather (kernel_hw, zero)
    kernel_w = Gather (kernel_hw, one)
    grid_points = Mul (kernel_h, kernel_w)
    points_kept = Sub (grid_points, remove_given)
    every_point = Range (zero, points_kept, one)
    middle_column = Div (kernel_w, two)
    middle_row = Div (kernel_h, two)
    columns_before = Mul (middle_column, kernel_h)
    middle = Add (columns_before, middle_row)
    before_middle = Less (every_point, middle)
    past_middle = Not (before_middle)
    past_middle_whole = Cast <to = 7> (past_middle)
    skipped = Mul (past_middle_whole, remove_given)
    point = Add (every_point, skipped)
    column = Div (point, kernel_h)
    row = Mod (point, kernel_h)
    k = Shape (point)
    k2 = Mul (k, pair)
    k3 = Mul (k, triple)
    used = Mul (k3, g)

    reach = Sub (kernel_hw, one)
    reach_dilated = Mul (reach, dilation_hw)
    halves = Div (reach_dilated, two)
    half_h = Gather (halves, zero)
    half_w = Gather (halves, one)
    dilation_h = Gather (dilation_hw, zero)
    dilation_w = Gather (dilation_hw, one)
    column_dilated = Mul (column, dilation_w)
    row_dilated = Mul (row, dilation_h)
    column_off = Sub (column_dilated, half_w)
    row_off = Sub (row_dilated, half_h)
    grid_x = Cast <to = 1> (column_off)
    grid_y = Cast <to = 1> (row_off)

    padding_h = Gather (padding_hw, zero)
    padding_w = Gather (padding_hw, one)
    stride_h = Gather (stride_hw, zero)
    stride_w = Gather (stride_hw, one)
    shift_h = Sub (half_h, padding_h)
    shift_w = Sub (half_w, padding_w)
    rows = Squeeze (out_h, none)
    columns = Squeeze (out_w, none)
    all_rows = Range (zero, rows, one)
    all_columns = Range (zero, columns, one)
    rows_strided = Mul (all_rows, stride_h)
    columns_strided = Mul (all_columns, stride_w)
    middle_y = Add (rows_strided, shift_h)
    middle_x = Add (columns_strided, shift_w)
    middle_y_float = Cast <to = 1> (middle_y)
    middle_x_float = Cast <to = 1> (middle_x)
    y_axes = Constant <value_ints = [1, 2, 3]> ()
    x_axes = Constant <value_ints = [1, 2]> ()
    base_y = Unsqueeze (middle_y_float, y_axes)
    base_x = Unsqueeze (middle_x_float, x_axes)

    offset_mask_float = Cast <to = 1> (offset_mask)
    blocks = Slice (offset_mask_float, none, used, triple)
    blocks_shape = Concat <axis = 0> (n, out_h, out_w, g, k3)
    by_group = Reshape <allowzero = 1> (blocks, blocks_shape)
    four = Constant <value_ints = [4]> ()
    offsets = Slice (by_group, none, k2, four)
    raw = Slice (by_group, k2, k3, four)
    pairs_shape = Concat <axis = 0> (n, out_h, out_w, g, k, pair)
    pairs = Reshape <allowzero = 1> (offsets, pairs_shape)
    offset_x = Gather <axis = 5> (pairs, zero)
    offset_y = Gather <axis = 5> (pairs, one)
    from_middle_x = Add (offset_x, grid_x)
    from_middle_y = Add (offset_y, grid_y)
    scaled_x = Mul (from_middle_x, scale)
    scaled_y = Mul (from_middle_y, scale)
    x = Add (scaled_x, base_x)
    y = Add (scaled_y, base_y)

    size_float = Cast <to = 1> (size)
    height = Gather (size_float, zero)
    width = Gather (size_float, one)
    {_COUNTS}
    {_WEIGHTS}

    x_edge = Add (x_in, half_place)
    y_edge = Add (y_in, half_place)
    half_width = Mul (width, half_place)
    half_height = Mul (height, half_place)
    x_part = Div (x_edge, half_width)
    y_part = Div (y_edge, half_height)
    grid_part_x = Add (x_part, before)
    grid_part_y = Add (y_part, before)
    five = Constant <value_ints = [5]> ()
    tall_x = Unsqueeze (grid_part_x, five)
    tall_y = Unsqueeze (grid_part_y, five)
    positions = Concat <axis = 5> (tall_x, tall_y)
    positions_by_group = Transpose <perm = [0, 3, 1, 2, 4, 5]> (positions)
    grid_shape = Concat <axis = 0> (images, pixels, k, pair)
    grid = Reshape <allowzero = 1> (positions_by_group, grid_shape)

    value_float = Cast <to = 1> (value)
    value_shape = Concat <axis = 0> (n, size, g, d)
    value_by_group = Reshape <allowzero = 1> (value_float, value_shape)
    value_first = Transpose <perm = [0, 3, 4, 1, 2]> (value_by_group)
    image_shape = Concat <axis = 0> (images, d, size)
    image = Reshape <allowzero = 1> (value_first, image_shape)
    samples = GridSample <mode = "%(mode)s", padding_mode = "zeros", align_corners = 0> (image, grid)

    weights_by_group = Transpose <perm = [0, 3, 1, 2, 4]> (weights)
    weights_shape = Concat <axis = 0> (images, single, pixels, k)
    weights_of_images = Reshape <allowzero = 1> (weights_by_group, weights_shape)
    weighted = Mul (samples, weights_of_images)
    sums = ReduceSum <keepdims = 0> (weighted, triple)
    sums_shape = Concat <axis = 0> (n, g, d, pixels)
    sums_by_group = Reshape <allowzero = 1> (sums, sums_shape)
    sums_last = Transpose <perm = [0, 3, 1, 2]> (sums_by_group)
    output_shape = Concat <axis = 0> (n, out_h, out_w, c)
    output_float = Reshape <allowzero = 1> (sums_last, output_shape)
    output = CastLike (output_float, value)
}}
"""


def _corner(name: str, dy: str, dx: str, by_y: str, by_x: str) -> str:
    """One of the four places around each point, times its bilinear weight; nothing for one outside its level."""
    return f"""
    column_{name} = Add (left, {dx})
    row_{name} = Add (top, {dy})
    column_high_{name} = Less (column_{name}, width)
    column_low_{name} = Greater (column_{name}, before)
    row_high_{name} = Less (row_{name}, height)
    row_low_{name} = Greater (row_{name}, before)
    columns_{name} = And (column_low_{name}, column_high_{name})
    rows_{name} = And (row_low_{name}, row_high_{name})
    inside_{name} = And (columns_{name}, rows_{name})
    column_whole_{name} = Cast <to = 7> (column_{name})
    row_whole_{name} = Cast <to = 7> (row_{name})
    row_start_{name} = Mul (row_whole_{name}, width_whole)
    in_level_{name} = Add (row_start_{name}, column_whole_{name})
    place_there_{name} = Add (in_level_{name}, start)
    place_{name} = Where (inside_{name}, place_there_{name}, zero)
    place_first_{name} = Transpose <perm = [0, 2, 1, 3]> (place_{name})
    index_{name} = Reshape <allowzero = 1> (place_first_{name}, index_shape)
    read_{name} = GatherND <batch_dims = 2> (maps, index_{name})
    part_{name} = Mul ({by_y}, {by_x})
    part_first_{name} = Transpose <perm = [0, 2, 1, 3]> (part_{name})
    part_tall_{name} = Reshape <allowzero = 1> (part_first_{name}, index_shape)
    inside_first_{name} = Transpose <perm = [0, 2, 1, 3]> (inside_{name})
    inside_tall_{name} = Reshape <allowzero = 1> (inside_first_{name}, index_shape)
    times_{name} = Mul (read_{name}, part_tall_{name})
    corner_{name} = Where (inside_tall_{name}, times_{name}, no_weight)
"""


_ATTENTION = f"""
<opset_import: ["": %(opset)d], domain: "{DOMAIN}">
MSDeformAttn <points, unit: int = 0, softmax: int = 0>
(value, spatial_shapes, level_start_index, sampling_locations, attention_weights) => (output)
{{
    {_CONSTANTS}
    counts_of_levels = Constant <value_ints: ints = @points> ()
    unit_given = Constant <value_int: int = @unit> ()
    n = Shape <start = 0, end = 1> (value)
    m = Shape <start = 2, end = 3> (value)
    d = Shape <start = 3, end = 4> (value)
    q = Shape <start = 1, end = 2> (sampling_locations)
    p = ReduceSum <keepdims = 1> (counts_of_levels, none)
    all_points = Squeeze (p, none)

    ends = CumSum (counts_of_levels, zero)
    number = Range (zero, all_points, one)
    number_tall = Unsqueeze (number, single)
    passed = GreaterOrEqual (number_tall, ends)
    passed_whole = Cast <to = 7> (passed)
    level = ReduceSum <keepdims = 0> (passed_whole, single)
    sizes = Gather <axis = 0> (spatial_shapes, level)
    start = Gather <axis = 0> (level_start_index, level)
    height_whole = Gather <axis = 1> (sizes, zero)
    width_whole = Gather <axis = 1> (sizes, one)
    height = Cast <to = 1> (height_whole)
    width = Cast <to = 1> (width_whole)

    locations_float = Cast <to = 1> (sampling_locations)
    locations_shape = Concat <axis = 0> (n, q, m, p, pair)
    locations = Reshape <allowzero = 1> (locations_float, locations_shape)
    given_x = Gather <axis = 4> (locations, zero)
    given_y = Gather <axis = 4> (locations, one)
    edge_x = Mul (given_x, width)
    edge_y = Mul (given_y, height)
    normalized_x = Sub (edge_x, half_place)
    normalized_y = Sub (edge_y, half_place)
    in_places = Equal (unit_given, one)
    x = Where (in_places, given_x, normalized_x)
    y = Where (in_places, given_y, normalized_y)
    {_COUNTS}
    weights_float = Cast <to = 1> (attention_weights)
    weights_shape = Concat <axis = 0> (n, q, m, p)
    raw = Reshape <allowzero = 1> (weights_float, weights_shape)
    {_WEIGHTS}

    left = Floor (x_in)
    top = Floor (y_in)
    by_right = Sub (x_in, left)
    by_bottom = Sub (y_in, top)
    whole = Constant <value_float = 1.0> ()
    by_left = Sub (whole, by_right)
    by_top = Sub (whole, by_bottom)
    samples_per_map = Mul (q, p)
    index_shape = Concat <axis = 0> (n, m, samples_per_map, single)
    value_float = Cast <to = 1> (value)
    maps = Transpose <perm = [0, 2, 1, 3]> (value_float)
    {_corner("00", "no_weight", "no_weight", "by_top", "by_left")}
    {_corner("01", "no_weight", "whole", "by_top", "by_right")}
    {_corner("10", "whole", "no_weight", "by_bottom", "by_left")}
    {_corner("11", "whole", "whole", "by_bottom", "by_right")}
    upper = Add (corner_00, corner_01)
    lower = Add (corner_10, corner_11)
    samples = Add (upper, lower)
    weights_first = Transpose <perm = [0, 2, 1, 3]> (weights)
    weights_tall = Reshape <allowzero = 1> (weights_first, index_shape)
    weighted = Mul (samples, weights_tall)
    points_shape = Concat <axis = 0> (n, m, q, p, d)
    by_point = Reshape <allowzero = 1> (weighted, points_shape)
    sums = ReduceSum <keepdims = 0> (by_point, triple)
    sums_first = Transpose <perm = [0, 2, 1, 3]> (sums)
    channels = Mul (m, d)
    output_shape = Concat <axis = 0> (n, q, channels)
    output_float = Reshape <allowzero = 1> (sums_first, output_shape)
    output = CastLike (output_float, value)
}}
"""


def function(name: str, opset: int) -> onnx.FunctionProto:
    """The function for "DCNv4" or "MSDeformAttn", for models of this version of ONNX's operators."""
    if opset < OLDEST_OPSET:
        raise ValueError(f"dcnv4: opset {opset} has no GridSample, at least {OLDEST_OPSET} is needed")
    text = {"DCNv4": _DEFORM_CONV, "MSDeformAttn": _ATTENTION}[name]
    parsed = onnx.parser.parse_function(text % dict(opset=opset, mode="linear" if opset >= 20 else "bilinear"))
    parsed.doc_string = f"{name} of libdcnv4, in ONNX's own operators"
    return parsed


def attributes_of(name: str) -> set:
    """The names of an operator's attributes."""
    parsed = function(name, OLDEST_OPSET)
    with_points_in_boxes = {"box_scale"} if name == "MSDeformAttn" else set()  # its function has none
    return {*parsed.attribute, *(each.name for each in parsed.attribute_proto)} | with_points_in_boxes


def nodes_of(graph):
    """All nodes of a graph or function, in its subgraphs too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from nodes_of(inner)


def add_functions(model: onnx.ModelProto) -> None:
    """Adds the function of each operator of ours that a model has, so that any runtime can run it."""
    there = {(each.domain, each.name) for each in model.functions}
    everything = [node for part in (model.graph, *model.functions) for node in nodes_of(part)]
    opset = next(each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))
    for name in OPERATORS:
        used = any(node.domain == DOMAIN and node.op_type == name for node in everything)
        if used and (DOMAIN, name) not in there:
            model.functions.append(function(name, opset))
