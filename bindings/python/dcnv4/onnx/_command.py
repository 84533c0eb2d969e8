"""The command: which of our operators an ONNX file has, whether its results agree with and without the library, and how
fast both are. Exit status: 0 done; 1 results differ or something failed; 2 bad usage or input."""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from .functions import DOMAIN, OPERATORS, add_functions, attributes_of, nodes_of

UNKNOWN = 64  # for a size that neither the model nor --dim says; 1 for the first axis


class Refused(Exception):
    """Bad usage or input."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dcnv4.onnx", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    helps = {
        "inspect": "list the nodes with operators of the domain dcnv4",
        "verify": "compare the results with the library and with the operators' functions",
        "bench": "time both, alternating",
    }
    for name, text in helps.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("file", help="an ONNX model")
        if name == "inspect":
            continue
        command.add_argument("--dim", action="append", default=[], metavar="NAME=SIZE", help="a dynamic size")
        command.add_argument("--input", action="append", default=[], metavar="NAME=FILE.npy", help="in place of random numbers")
        command.add_argument("--threads", type=int, default=0, help="of ONNX Runtime and of the library; 0: all processors")
        command.add_argument("--seed", type=int, default=0)
        if name == "verify":
            command.add_argument("--bound", type=float, default=1e-4, help="of the error, relative to the largest number")
        else:
            command.add_argument("--runs", type=int, default=20)
    return parser


def _pairs(option: str, given) -> dict:
    for each in given:
        if "=" not in each:
            raise Refused(f"--{option} is {each!r}, NAME=… is needed")
    return dict(each.split("=", 1) for each in given)


def _load(path: str):
    import onnx

    try:
        return onnx.load(path)
    except OSError as error:
        raise Refused(f"cannot read {path}: {error.strerror}") from None
    except Exception as error:
        raise Refused(f"{path} is not an ONNX model: {str(error).splitlines()[0]}") from None


def _ours(model) -> list:
    from itertools import chain

    nodes = chain.from_iterable(nodes_of(part) for part in (model.graph, *model.functions))
    return [node for node in nodes if node.domain == DOMAIN]


def _inspect(options) -> int:
    import onnx

    model = _load(options.file)
    versions = {each.domain or "ai.onnx": each.version for each in model.opset_import}
    print(f"{options.file}: " + ", ".join(f"{name} {version}" for name, version in versions.items()))
    nodes, wrong = _ours(model), []
    for node in nodes:
        attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        print(f"  {node.op_type} {node.name!r} " + " ".join(f"{key}={value}" for key, value in attributes.items()))
        if node.op_type not in OPERATORS:
            wrong.append(f"there is no operator {node.op_type}, but {' and '.join(OPERATORS)}")
        else:
            unknown = sorted(attributes.keys() - attributes_of(node.op_type))
            wrong += [f"{node.op_type} {node.name!r} has the attribute {each}, which is not read" for each in unknown]
    if nodes and versions.get(DOMAIN, 1) != 1:
        wrong.append(f"the model asks for version {versions[DOMAIN]} of {DOMAIN}, the library has version 1")
    functions = sorted(each.name for each in model.functions if each.domain == DOMAIN)
    print(f"{len(nodes)} nodes of {DOMAIN}; functions for runtimes without the library: {', '.join(functions) or 'none'}")
    for each in wrong:
        print(f"wrong: {each}")
    return 1 if wrong else 0


def _shape(given, dims: dict) -> list:
    shape = []
    for axis, size in enumerate(given):
        if not isinstance(size, int):
            size = dims.get(size, 1 if axis == 0 else UNKNOWN)
        try:
            size = int(size)
        except ValueError:
            raise Refused(f"--dim has the size {size!r}, a whole number is needed") from None
        shape.append(size)
    return shape


def _inputs(session, options) -> dict:
    import numpy

    random = numpy.random.default_rng(options.seed)
    dims, files = _pairs("dim", options.dim), _pairs("input", options.input)
    known = {each.name for each in session.get_inputs()}
    symbols = {size for each in session.get_inputs() for size in each.shape if isinstance(size, str)}
    for option, names, allowed in (("input", files, known), ("dim", dims, symbols)):
        for name in names:
            if name not in allowed:
                raise Refused(f"--{option} names {name!r}; the model has {', '.join(sorted(allowed)) or 'none'}")
    types = {"tensor(float)": numpy.float32, "tensor(float16)": numpy.float16, "tensor(double)": numpy.float64}
    inputs = {}
    for each in session.get_inputs():
        if each.name in files:
            try:
                inputs[each.name] = numpy.load(files[each.name])
            except (OSError, ValueError) as error:
                raise Refused(f"cannot read {files[each.name]}: {error}") from None
        elif each.type in types:
            inputs[each.name] = random.standard_normal(_shape(each.shape, dims)).astype(types[each.type])
        else:
            raise Refused(f"input {each.name!r} is a {each.type}: give its numbers with --input {each.name}=FILE.npy")
    return inputs


def _sessions(options) -> dict:
    """The model with the library, and with functions alone."""
    try:
        import onnxruntime
    except ImportError:
        raise Refused("this needs onnxruntime: pip install dcnv4[onnx]") from None
    from . import library

    model = _load(options.file)
    if not _ours(model):
        raise Refused(f"{options.file} has no operator of the domain {DOMAIN}")
    add_functions(model)
    sessions = {}
    for name in ("library", "functions"):
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options.threads
        if name == "library":
            settings.add_session_config_entry("dcnv4.threads", str(options.threads))
            settings.register_custom_ops_library(library())
        sessions[name] = onnxruntime.InferenceSession(
            model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
        )
    return sessions


def _verify(options) -> int:
    import numpy

    sessions = _sessions(options)
    inputs = _inputs(sessions["library"], options)
    found = {name: session.run(None, inputs) for name, session in sessions.items()}
    wrong = 0
    for index, output in enumerate(sessions["library"].get_outputs()):
        first, second = (numpy.asarray(found[name][index], dtype=numpy.float64) for name in ("library", "functions"))
        same = numpy.array_equal(numpy.isfinite(first), numpy.isfinite(second))
        finite = numpy.isfinite(first) & numpy.isfinite(second)
        scale = max(numpy.abs(first[finite]).max(initial=0.0), 1e-30)
        error = numpy.abs(first[finite] - second[finite]).max(initial=0.0) / scale
        good = same and error <= options.bound
        wrong += not good
        print(f"{output.name} {list(first.shape)}: error {error:.2g} {'ok' if good else f'above {options.bound:g}' if same else 'and other numbers are not finite'}")
    return 1 if wrong else 0


def _bench(options) -> int:
    sessions = _sessions(options)
    inputs = _inputs(sessions["library"], options)
    times = {name: [] for name in sessions}
    for each in sessions.values():
        each.run(None, inputs)
    for _ in range(max(options.runs, 1)):
        for name, session in sessions.items():
            begin = time.perf_counter()
            session.run(None, inputs)
            times[name].append(1e3 * (time.perf_counter() - begin))
    for name, each in times.items():
        print(f"{name:9} {min(each):10.3f} ms at best, {statistics.median(each):10.3f} ms in the middle")
    print(f"with the library {min(times['functions']) / min(times['library']):.2f} times faster")
    return 0


def main(arguments=None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return {"inspect": _inspect, "verify": _verify, "bench": _bench}[options.command](options)
    except Refused as error:
        print(f"dcnv4.onnx: {error}", file=sys.stderr)
        return 2
    except Exception as error:
        print(f"dcnv4.onnx: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
