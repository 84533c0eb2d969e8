/* libdcnv4_libtorch: dcnv4::forward, dcnv4::ms_deform_attn and their backward for PyTorch 2.10 and newer without Python:
 * programs made by torch.export and packages of AOTInductor run in C++ once it is loaded.
 * SPDX-License-Identifier: MIT
 */
#ifndef DCNV4_LIBTORCH_H
#define DCNV4_LIBTORCH_H

#ifdef __cplusplus
extern "C" {
#endif

/* Registers the operators, once, with the PyTorch of this process. Loading the library (dlopen) does so too, if PyTorch
 * is there already. Returns NULL, also if they are registered already, or one sentence. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const char *
dcnv4_libtorch_register(void);

#ifdef __cplusplus
}
#endif

#endif
