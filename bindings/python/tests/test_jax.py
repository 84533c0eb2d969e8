"""dcnv4.jax: the golden cases, transforms, several devices, and bad input."""

import os
import threading

import attention_cases
import conftest
import numpy as np
import pytest

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"  # before the first array
jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)
jnp = jax.numpy

import dcnv4.jax as ours  # noqa: E402
import dcnv4.numpy  # noqa: E402

P = jax.sharding.PartitionSpec


def close(found, expected, bound=1e-11):
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    difference = np.abs(np.asarray(found, np.float64) - expected).max(initial=0)
    assert difference <= bound * max(1.0, np.abs(expected).max(initial=0))


@pytest.mark.parametrize("name", conftest.golden_names())
def test_golden(name):
    case = conftest.Golden(name)
    value, offset_mask, grad_output = (jnp.asarray(getattr(case, n).numpy()) for n in ("value", "offset_mask", "grad_output"))
    output, pull = jax.vjp(lambda v, o: ours.dcnv4(v, o, **case.arguments), value, offset_mask)
    close(output, case.output)
    for found, expected in zip(pull(grad_output), (case.grad_value, case.grad_offset_mask)):
        close(found, expected)


@pytest.mark.parametrize("name", attention_cases.golden_names())
def test_golden_attention(name):
    case = attention_cases.Golden(name)
    tensors = [jnp.asarray(tensor.numpy()) for tensor in case.tensors]
    shapes, starts = case.spatial_shapes.tolist(), case.level_start_index.numpy()

    def run(value, *others):
        if case.packed:
            return ours.flash_deform_attn(value, shapes, starts, *others, case.points)
        return ours.ms_deform_attn(value, shapes, *others, starts, case.points)

    output, pull = jax.vjp(jax.jit(run), *tensors)
    close(output, case.output)
    for found, expected in zip(pull(jnp.asarray(case.grad_output.numpy())), case.gradients):
        close(found, expected)


def arrays(dtype=jnp.float32, batch=4):
    generator = np.random.default_rng(3)
    value = jnp.asarray(generator.standard_normal((batch, 6, 7, 8)), dtype)
    return value, jnp.asarray(generator.standard_normal((batch, 6, 7, 56)) * 1.5, dtype)


def run(value, offset_mask):
    return ours.dcnv4(value, offset_mask, group=2)


@pytest.mark.parametrize("dtype, bound", [("float64", 1e-12), ("float32", 1e-5), ("float16", 4e-3), ("bfloat16", 3e-2)])
def test_dtypes(dtype, bound):
    value, offset_mask = arrays(dtype)
    exact = dcnv4.numpy.dcnv4(np.asarray(value, np.float64), np.asarray(offset_mask, np.float64), group=2)
    assert run(value, offset_mask).dtype == dtype
    close(run(value, offset_mask), exact, bound)
    assert run(value, offset_mask.astype(jnp.float64)).dtype == dtype  # converted
    gradient = jax.grad(lambda o: run(value, o).sum().astype(jnp.float32))(offset_mask.astype(jnp.float32))
    assert gradient.dtype == jnp.float32


@pytest.mark.parametrize("unit", attention_cases.UNITS)
def test_attention_units_as_numpy(unit):
    call = attention_cases.Call(unit, gap=1)
    value, locations, weights = (getattr(call, name).numpy() for name in ("value", "locations", "weights"))
    references = None if getattr(call, "references", None) is None else call.references.numpy()
    given = [each for each in (value, locations, weights, references) if each is not None]
    expected = dcnv4.numpy.ms_deform_attn(
        value, call.sizes, locations, weights, call.starts, call.points, reference_points=references, unit=unit
    )
    gradients = dcnv4.numpy.ms_deform_attn_backward(
        np.ones_like(expected), value, call.sizes, locations, weights, call.starts, call.points,
        reference_points=references, unit=unit,
    )  # fmt: skip

    def attend(value, locations, weights, references=None):
        return ours.ms_deform_attn(
            value, call.sizes, locations, weights, call.starts, list(call.points), reference_points=references, unit=unit
        )

    close(attend(*given), expected, 0)
    found = jax.grad(lambda *given: attend(*given).sum(), tuple(range(len(given))))(*map(jnp.asarray, given))
    for each, gradient in zip(found, gradients):
        close(each, gradient, 0)


def test_vmap_folds_into_the_batch():
    value, offset_mask = arrays()
    values = jnp.stack([value, 2 * value, -value])
    found = jax.vmap(run, (0, None))(values, offset_mask)
    for k in range(3):
        close(found[k], run(values[k], offset_mask), 0)
    nested = jax.vmap(jax.vmap(run))(values[None], jnp.stack([offset_mask] * 3)[None])
    close(nested[0], found, 0)
    loss = lambda v, o: (run(v, o) ** 2).sum()  # noqa: E731
    gradients = jax.jit(jax.vmap(jax.grad(loss, (0, 1)), (0, None)))(values, offset_mask)
    for k in range(3):
        for each, expected in zip(gradients, jax.grad(loss, (0, 1))(values[k], offset_mask)):
            close(each[k], expected, 1e-6)
    text = jax.jit(jax.vmap(run)).lower(values, jnp.stack([offset_mask] * 3)).as_text()
    assert text.count("dcnv4_conv_forward") == 1 and "while" not in text


def test_scan_remat_and_donation():
    value, offset_mask = arrays()
    loss = lambda v: jax.lax.scan(lambda v, _: (jax.checkpoint(run)(v, offset_mask), None), v, length=3)[0].sum()  # noqa: E731
    thrice = lambda v: run(run(run(v, offset_mask), offset_mask), offset_mask).sum()  # noqa: E731
    close(jax.jit(jax.grad(loss))(value), jax.grad(thrice)(value), 1e-6)
    expected = run(value, offset_mask)
    close(jax.jit(run, donate_argnums=0)(value.copy(), offset_mask), expected, 0)


def test_second_derivatives_are_refused():
    value, offset_mask = arrays(batch=1)
    memory, points = jnp.ones((1, 6, 1, 4)), (jnp.zeros((1, 2, 1, 3, 2)), jnp.ones((1, 2, 1, 3)))
    conv = lambda v, o: run(v, o).sum()  # noqa: E731
    attend = lambda m, l: ours.ms_deform_attn(m, [(2, 3)], l, points[1]).sum()  # noqa: E731
    for function, name, operands in ((conv, "DCNv4", (value, offset_mask)), (attend, "MSDeformAttn", (memory, points[0]))):
        sentence = f"^dcnv4: {name} has first derivatives alone in dcnv4.jax, and those of any order in dcnv4.functional"
        penalty = lambda *given, f=function: (jax.grad(f, 1)(*given) ** 2).sum()  # noqa: E731
        for second in (jax.hessian(function), jax.jacrev(jax.jacrev(function)), jax.grad(penalty), jax.jit(jax.grad(penalty, 1))):
            with pytest.raises(NotImplementedError, match=sentence):
                second(*operands)
        with pytest.raises(TypeError, match="forward-mode"):
            jax.jvp(function, operands, operands)


def mesh_of_two():
    if len(jax.devices()) < 2:
        pytest.skip("JAX was started with one device")
    return jax.sharding.Mesh(np.array(jax.devices()[:2]), ("data",))


def test_jit_on_sharded_operands_computes_each_part_once():
    sharding = jax.sharding.NamedSharding(mesh_of_two(), P("data"))
    value, offset_mask = arrays()
    sharded = jax.device_put(value, sharding), jax.device_put(offset_mask, sharding)
    expected = run(value, offset_mask)
    loss = lambda v, o: (run(v, o) * expected).sum()  # noqa: E731
    for function, results in ((run, expected), (jax.grad(loss, (0, 1)), jax.grad(loss, (0, 1))(value, offset_mask))):
        compiled = jax.jit(function).lower(*sharded).compile()
        text = compiled.as_text()
        assert "all-gather" not in text and "f32[2,6,7,8]" in text
        for found, each in zip(jax.tree.leaves(compiled(*sharded)), jax.tree.leaves(results)):
            assert found.sharding.spec[0] == "data"
            close(found, each, 1e-6)


def test_jit_gathers_what_is_not_along_the_batch():
    mesh = mesh_of_two()
    value, offset_mask = arrays()
    rows = jax.sharding.NamedSharding(mesh, P(None, "data"))
    for found in (
        jax.jit(run)(jax.device_put(value, rows), jax.device_put(offset_mask, jax.sharding.NamedSharding(mesh, P()))),
        jax.jit(run)(jax.device_put(value, rows), jax.device_put(offset_mask, jax.sharding.NamedSharding(mesh, P("data")))),
    ):
        close(found, run(value, offset_mask), 0)


@pytest.mark.skipif(not hasattr(jax, "shard_map"), reason="needs jax.shard_map")
def test_shard_map():
    mesh = mesh_of_two()
    value, offset_mask = arrays()
    each = lambda *specs: jax.shard_map(run, mesh=mesh, in_specs=specs, out_specs=P("data"))  # noqa: E731
    close(jax.jit(each(P("data"), P("data")))(value, offset_mask), run(value, offset_mask), 0)
    # One offset_mask for both devices: its gradient is the sum of both.
    one = offset_mask[:2]
    found = jax.grad(lambda v, o: (each(P("data"), P())(v, o) ** 2).sum(), (0, 1))(value, one)
    expected = jax.grad(lambda v, o: (run(v, jnp.concatenate([o, o])) ** 2).sum(), (0, 1))(value, one)
    close(found[0], expected[0], 1e-6), close(found[1], expected[1], 1e-6)


def test_export():
    checks = [jax.export.DisabledSafetyCheck.custom_call(name) for name in ours.TARGETS]
    value, offset_mask = arrays()
    exported = jax.export.export(jax.jit(run), disabled_checks=checks)(value, offset_mask)
    close(jax.export.deserialize(exported.serialize()).call(value, offset_mask), run(value, offset_mask), 0)


def test_empty_and_not_a_number():
    value, offset_mask = arrays(batch=2)
    assert run(value[:0], offset_mask[:0]).shape == (0, 6, 7, 8)
    value, offset_mask = value.at[1, 0, 0, 0].set(jnp.nan), offset_mask.at[0, 2, 3, 0].set(jnp.nan)
    found = np.asarray(run(value, offset_mask))
    expected = dcnv4.numpy.dcnv4(np.asarray(value), np.asarray(offset_mask), group=2)
    np.testing.assert_array_equal(found, expected)
    assert np.isnan(found).any() and not np.isnan(found[0]).any()


def test_bad_calls():
    value, offset_mask = arrays()
    for arguments, kind, text in (
        ((value[0], offset_mask), ValueError, r"value has shape \[6, 7, 8\], four axes"),
        ((value, offset_mask[:, 1:]), ValueError, r"offset_mask has shape \[4, 5, 7, 56\]"),
        ((value.astype(int), offset_mask), TypeError, "value is of int64, possible are float32"),
        (([1.0], offset_mask), TypeError, "value is of type list, it must be an array"),
        ((value, offset_mask, 3.5), TypeError, "kernel_size is 3.5"),
        ((value, offset_mask, 3, 1, 1, 1, 3), ValueError, "8 channels, which 3 groups"),
        ((value, offset_mask, 3, 1, 1, 1, 2, "x"), TypeError, "offset_scale"),
    ):
        with pytest.raises(kind, match=text):
            ours.dcnv4(*arguments)
        with pytest.raises(kind, match=text):
            jax.jit(ours.dcnv4, static_argnums=range(2, len(arguments)))(*arguments) if kind is ValueError else ours.dcnv4(
                *arguments
            )
    memory, points = jnp.zeros((1, 6, 1, 4)), (jnp.zeros((1, 2, 1, 3, 2)), jnp.zeros((1, 2, 1, 3)))
    for shapes, text in (([(2, 4)], "value_length|8 places"), ([], "no level"), ([(2, 3, 4)], "pairs"), ([(1, 3), (1, 3)], "divide")):
        with pytest.raises(ValueError, match=text):
            ours.ms_deform_attn(memory, shapes, *points)
    with pytest.raises(TypeError, match="spatial_shapes is a traced array"):
        jax.jit(lambda s: ours.ms_deform_attn(memory, s, *points))(jnp.array([[2, 3]]))
    with pytest.raises(ValueError, match="attention_weights has shape"):
        ours.ms_deform_attn(memory, [(2, 3)], points[0], points[1][..., :2])


def test_calls_like_one_before():
    """The second call is found by its arrays' types and its options: those that are equal but of other types are not."""
    value, offset_mask = arrays()
    expected = run(value, offset_mask)
    close(run(value, offset_mask), expected, 0)
    with pytest.raises(TypeError, match="kernel_size is 3.0"):
        ours.dcnv4(value, offset_mask, 3.0, group=2)
    with pytest.raises(ValueError, match="offset_mask has shape"):
        run(value[:, 1:], offset_mask)
    assert run(value.astype(jnp.float16), offset_mask).dtype == jnp.float16
    assert ours.dcnv4(value, offset_mask, group=2, softmax=True)[0, 0, 0, 0] != expected[0, 0, 0, 0]
    close(jax.jit(jax.vmap(run))(value[None], offset_mask[None])[0], expected, 0)
    memory, points, weights = jnp.ones((1, 6, 1, 4)), jnp.full((1, 2, 1, 4, 2), 0.5), jnp.ones((1, 2, 1, 4))
    first = ours.ms_deform_attn(memory, [(2, 2), (1, 2)], points, weights)
    close(ours.ms_deform_attn(memory, [(2, 2), (1, 2)], points, weights), first, 0)
    close(ours.ms_deform_attn(memory, np.array([[2, 2], [1, 2]]), points, weights), first, 0)
    with pytest.raises(ValueError, match="spatial_shapes|level"):
        ours.ms_deform_attn(memory, [(2, 2), (1, 3)], points, weights)
    packed = jnp.concatenate([points.reshape(1, 2, 1, 8), weights], -1)
    close(ours.flash_deform_attn(memory, [(2, 2), (1, 2)], [0, 4], packed, softmax=False), first, 0)


def test_two_threads():
    value, offset_mask = arrays()
    expected, wrong = np.asarray(run(value, offset_mask)), []

    def call():
        for _ in range(100):
            if not np.array_equal(run(value, offset_mask), expected):
                wrong.append(1)

    threads = [threading.Thread(target=call) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong
