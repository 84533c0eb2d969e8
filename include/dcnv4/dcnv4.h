/* libdcnv4: deformable convolution v4 (DCNv4) on CPUs and GPUs, with a plain C ABI.
 * SPDX-License-Identifier: MIT
 *
 * Each output pixel samples K points of the input, at positions that the network predicts for that pixel, and sums the
 * samples with weights that the network predicts too (Xiong et al., CVPR 2024, arXiv 2401.06197). docs/operator.md has
 * the formula. A complete example, for a layer of 4 groups of 16 channels on one 64×96 image:
 *
 *     #include <dcnv4/dcnv4.h>
 *     #include <stdio.h>
 *
 *     int aggregate(const float *value, const float *offset_mask, float *output) {
 *         dcnv4_problem problem = DCNV4_PROBLEM_INIT;
 *         problem.batch = 1, problem.height = 64, problem.width = 96;
 *         problem.groups = 4, problem.group_channels = 16;
 *         dcnv4_sizes sizes = DCNV4_SIZES_INIT;
 *         dcnv4_context *context = NULL;
 *         dcnv4_plan *plan = NULL;
 *         dcnv4_status status = dcnv4_problem_sizes(&problem, &sizes);
 *         if (status == DCNV4_SUCCESS) status = dcnv4_context_create("cpu", &context);
 *         if (status == DCNV4_SUCCESS) status = dcnv4_plan_create(context, &problem, &plan);
 *         if (status == DCNV4_SUCCESS) {
 *             dcnv4_buffers buffers = DCNV4_BUFFERS_INIT;
 *             buffers.value = dcnv4_host_buffer((void *)value, sizes.value);
 *             buffers.offset_mask = dcnv4_host_buffer((void *)offset_mask, sizes.offset_mask);
 *             buffers.output = dcnv4_host_buffer(output, sizes.output);
 *             status = dcnv4_forward(plan, &buffers, NULL);
 *         }
 *         if (status != DCNV4_SUCCESS) fprintf(stderr, "%s\n", dcnv4_last_message());
 *         dcnv4_plan_destroy(plan);
 *         dcnv4_context_destroy(context);
 *         return status == DCNV4_SUCCESS ? 0 : 1;
 *     }
 *
 * runtime.h has what all operators share, and the rules that hold for every function; deform_conv.h has DCNv4, and
 * ms_deform_attn.h multi-scale deformable attention.
 */
#ifndef DCNV4_DCNV4_H
#define DCNV4_DCNV4_H

#include <dcnv4/deform_conv.h>
#include <dcnv4/ms_deform_attn.h>
#include <dcnv4/runtime.h>

#endif
