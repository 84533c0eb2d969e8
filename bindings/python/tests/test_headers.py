"""What C declares of XLA's and tvm-ffi's interfaces in its own words has the layout of their headers."""

import importlib.util
import pathlib
import shutil
import subprocess

import pytest
from conftest import ROOT

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")

# Of each struct: ours, theirs, and the fields: ours, or (ours, theirs) where the names differ.
XLA = [
    ("xla_extension", "XLA_FFI_Extension_Base", [("size", "struct_size"), "type", "next"]),
    ("xla_version", "XLA_FFI_Api_Version", [("major", "major_version"), ("minor", "minor_version")]),
    ("xla_metadata", "XLA_FFI_Metadata", [("version", "api_version"), "traits"]),
    ("xla_metadata_extension", "XLA_FFI_Metadata_Extension", ["metadata"]),
    ("xla_buffer", "XLA_FFI_Buffer", ["dtype", "data", "rank", ("shape", "dims")]),
    ("xla_array", "XLA_FFI_Array", ["dtype", ("count", "size"), "data"]),
    ("xla_list", "XLA_FFI_Args", [("count", "size"), "types", ("items", "args")]),
    ("xla_list", "XLA_FFI_Rets", [("count", "size"), "types", ("items", "rets")]),
    ("xla_attributes", "XLA_FFI_Attrs", [("count", "size"), "types", "names", ("items", "attrs")]),
    ("xla_error_request", "XLA_FFI_Error_Create_Args", ["message", ("code", "errc")]),
    ("xla_stream_request", "XLA_FFI_Stream_Get_Args", [("execution", "ctx"), "stream"]),
    (
        "xla_memory_request", "XLA_FFI_DeviceMemory_Allocate_Args",
        [("execution", "ctx"), ("bytes", "size"), "alignment", "data"],
    ),
    ("xla_ordinal_request", "XLA_FFI_DeviceOrdinal_Get_Args", [("execution", "ctx"), ("ordinal", "device_ordinal")]),
    (
        "xla_interface", "XLA_FFI_Api",
        [
            ("version", "api_version"), ("create_error", "XLA_FFI_Error_Create"), ("get_stream", "XLA_FFI_Stream_Get"),
            ("allocate", "XLA_FFI_DeviceMemory_Allocate"), ("get_ordinal", "XLA_FFI_DeviceOrdinal_Get"),
        ],
    ),
    (
        "xla_call", "XLA_FFI_CallFrame",
        [("interface", "api"), ("execution", "ctx"), "stage", ("arguments", "args"), ("results", "rets"), ("attributes", "attrs")],
    ),
]  # fmt: skip
XLA_NUMBERS = {
    "XLA_S64": "XLA_FFI_DataType_S64", "XLA_F16": "XLA_FFI_DataType_F16", "XLA_F32": "XLA_FFI_DataType_F32",
    "XLA_F64": "XLA_FFI_DataType_F64", "XLA_BF16": "XLA_FFI_DataType_BF16",
    "XLA_INVALID_ARGUMENT": "XLA_FFI_Error_Code_INVALID_ARGUMENT",
    "XLA_RESOURCE_EXHAUSTED": "XLA_FFI_Error_Code_RESOURCE_EXHAUSTED", "XLA_INTERNAL": "XLA_FFI_Error_Code_INTERNAL",
    "XLA_IS_BUFFER": "XLA_FFI_ArgType_BUFFER", "XLA_IS_ARRAY": "XLA_FFI_AttrType_ARRAY",
    "XLA_STAGE_EXECUTE": "XLA_FFI_ExecutionStage_EXECUTE", "XLA_METADATA": "XLA_FFI_Extension_Metadata",
}  # fmt: skip
TVM = [
    ("tvm_value", "TVMFFIAny", [("type", "type_index"), ("of", "v_int64")]),
    ("tvm_object", "TVMFFIObject", [("type", "type_index")]),
    ("tvm_shape", "TVMFFIShapeCell", [("numbers", "data"), ("count", "size")]),
    (
        "dl_tensor", "DLTensor",
        ["data", "device", ("axes", "ndim"), "dtype", "shape", "strides", "byte_offset"],
    ),
]  # fmt: skip
TVM_NUMBERS = {
    "TVM_NONE": "kTVMFFINone", "TVM_INT": "kTVMFFIInt", "TVM_BOOL": "kTVMFFIBool", "TVM_FLOAT": "kTVMFFIFloat",
    "TVM_DLTENSOR": "kTVMFFIDLTensorPtr", "TVM_SHAPE": "kTVMFFIShape", "TVM_TENSOR": "kTVMFFITensor",
    "DL_CPU": "kDLCPU", "DL_CUDA": "kDLCUDA", "DL_CUDA_HOST": "kDLCUDAHost", "DL_OPENCL": "kDLOpenCL",
    "DL_ROCM": "kDLROCM", "DL_ROCM_HOST": "kDLROCMHost", "DL_CUDA_MANAGED": "kDLCUDAManaged",
    "DL_INTEGER": "kDLInt", "DL_FLOAT": "kDLFloat", "DL_BFLOAT": "kDLBfloat",
}  # fmt: skip


def check(ours, theirs, folder, structs, numbers):
    lines = ["#include <stddef.h>", f'#include "{ROOT / "bindings" / ours}"', f'#include "{theirs}"']
    for own, other, fields in structs:
        for field in fields:
            mine, name = (field, field) if isinstance(field, str) else field
            lines.append(
                f"_Static_assert(offsetof({own}, {mine}) == offsetof({other}, {name}) && "
                f'sizeof((({own} *)0)->{mine}) == sizeof((({other} *)0)->{name}), "{other}.{name}");'
            )
    lines += [f'_Static_assert((int){own} == (int){other}, "{other}");' for own, other in numbers.items()]
    command = ["gcc", "-std=c11", "-fsyntax-only", f"-I{folder}", "-x", "c", "-"]
    compiled = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True)
    assert compiled.returncode == 0, compiled.stderr


def test_xla():
    jax = pytest.importorskip("jax")
    check("jax/xla_ffi.h", "xla/ffi/api/c_api.h", jax.ffi.include_dir(), XLA, XLA_NUMBERS)


@pytest.mark.skipif(importlib.util.find_spec("tvm_ffi") is None, reason="tvm-ffi is not installed")
def test_tvm_ffi():
    folder = pathlib.Path(importlib.util.find_spec("tvm_ffi").origin).parent / "include"
    check("tvm_ffi/tvm_ffi.h", "tvm/ffi/c_api.h", folder, TVM, TVM_NUMBERS)
