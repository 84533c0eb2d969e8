/* Runs an ONNX model that has DCNv4 or MSDeformAttn, in C, without Python:
 *     cc run.c -I/usr/include/onnxruntime -lonnxruntime -o run
 *     ./run model.onnx libdcnv4_onnxruntime.so
 * Inputs are float32 tensors of ones, with a size of 1 where the model has none. Prints the first output's shape. */
#include <onnxruntime_c_api.h>
#include <stdio.h>
#include <stdlib.h>

static const OrtApi *api;

/* Ends the program with ONNX Runtime's sentence. */
static void check(OrtStatus *status) {
    if (!status)
        return;
    fprintf(stderr, "%s\n", api->GetErrorMessage(status));
    exit(1);
}

static OrtValue *ones(OrtSession *session, size_t index, OrtAllocator *allocator) {
    OrtTypeInfo *type = NULL;
    const OrtTensorTypeAndShapeInfo *tensor = NULL;
    size_t rank = 0, count = 1;
    int64_t shape[8];
    check(api->SessionGetInputTypeInfo(session, index, &type));
    check(api->CastTypeInfoToTensorInfo(type, &tensor));
    check(api->GetDimensionsCount(tensor, &rank));
    if (rank > 8)
        exit(1);
    check(api->GetDimensions(tensor, shape, rank));
    for (size_t axis = 0; axis < rank; ++axis) {
        shape[axis] = shape[axis] < 0 ? 1 : shape[axis];
        count *= (size_t)shape[axis];
    }
    OrtValue *value = NULL;
    void *data = NULL;
    check(api->CreateTensorAsOrtValue(allocator, shape, rank, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value));
    check(api->GetTensorMutableData(value, &data));
    for (size_t k = 0; k < count; ++k)
        ((float *)data)[k] = 1;
    api->ReleaseTypeInfo(type);
    return value;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "run MODEL LIBRARY\n");
        return 2;
    }
    api = OrtGetApiBase()->GetApi(ORT_API_VERSION);
    if (!api) {
        fprintf(stderr, "this is ONNX Runtime %s, older than the header\n", OrtGetApiBase()->GetVersionString());
        return 1;
    }
    OrtEnv *env = NULL;
    OrtSessionOptions *options = NULL;
    OrtSession *session = NULL;
    OrtAllocator *allocator = NULL;
    check(api->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "run", &env));
    check(api->CreateSessionOptions(&options));
    check(api->AddSessionConfigEntry(options, "dcnv4.threads", "2")); /* before the library is registered */
    check(api->RegisterCustomOpsLibrary_V2(options, argv[2]));
    check(api->CreateSession(env, argv[1], options, &session));
    check(api->GetAllocatorWithDefaultOptions(&allocator));

    size_t inputs = 0;
    check(api->SessionGetInputCount(session, &inputs));
    if (inputs > 8)
        return 1;
    char *names[8], *output_name = NULL;
    OrtValue *values[8], *output = NULL;
    for (size_t k = 0; k < inputs; ++k) {
        check(api->SessionGetInputName(session, k, allocator, &names[k]));
        values[k] = ones(session, k, allocator);
    }
    check(api->SessionGetOutputName(session, 0, allocator, &output_name));
    check(api->Run(session, NULL, (const char *const *)names, (const OrtValue *const *)values, inputs,
                   (const char *const *)&output_name, 1, &output));

    OrtTensorTypeAndShapeInfo *info = NULL;
    size_t rank = 0;
    int64_t shape[8] = {0};
    float *numbers = NULL;
    check(api->GetTensorTypeAndShape(output, &info));
    check(api->GetDimensionsCount(info, &rank));
    check(api->GetDimensions(info, shape, rank < 8 ? rank : 8));
    check(api->GetTensorMutableData(output, (void **)&numbers));
    printf("%s [", output_name);
    for (size_t axis = 0; axis < rank && axis < 8; ++axis)
        printf("%s%lld", axis ? ", " : "", (long long)shape[axis]);
    printf("], first number %g\n", numbers[0]);

    api->ReleaseTensorTypeAndShapeInfo(info);
    api->ReleaseValue(output);
    for (size_t k = 0; k < inputs; ++k) {
        api->ReleaseValue(values[k]);
        check(api->AllocatorFree(allocator, names[k]));
    }
    check(api->AllocatorFree(allocator, output_name));
    api->ReleaseSession(session);
    api->ReleaseSessionOptions(options);
    api->ReleaseEnv(env);
    return 0;
}
