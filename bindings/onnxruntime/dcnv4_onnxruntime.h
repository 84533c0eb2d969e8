/* libdcnv4_onnxruntime: DCNv4 and multi-scale deformable attention as operators of ONNX Runtime, 1.16 and newer.
 * SPDX-License-Identifier: MIT
 *
 * Programs need not include this: RegisterCustomOpsLibrary_V2 (C), RegisterCustomOpsLibrary (C++), RegisterCustomOpLibrary
 * (C#) and register_custom_ops_library (Python) take the library's path. A program that links it may pass
 * RegisterCustomOps to RegisterCustomOpsUsingFunction, by its name. docs/onnx.md describes the operators.
 */
#ifndef DCNV4_ONNXRUNTIME_H
#define DCNV4_ONNXRUNTIME_H

#if defined(_WIN32)
#define DCNV4_ONNXRUNTIME_API __declspec(dllexport)
#elif defined(__GNUC__)
#define DCNV4_ONNXRUNTIME_API __attribute__((visibility("default")))
#else
#define DCNV4_ONNXRUNTIME_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct OrtSessionOptions;
struct OrtApiBase;
struct OrtStatus;

/* Adds both operators, for the domain dcnv4, to the sessions that these options make. The number of threads on the CPU is
 * that of the options' entry "dcnv4.threads", of the environment variable DCNV4_THREADS if there is none, else as many
 * as processors. Returns NULL, or an OrtStatus with one sentence. */
DCNV4_ONNXRUNTIME_API struct OrtStatus *RegisterCustomOps(struct OrtSessionOptions *options,
                                                          const struct OrtApiBase *base);

#ifdef __cplusplus
}
#endif

#endif
