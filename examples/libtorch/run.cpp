// Runs an AOTInductor package that has DCNv4 or multi-scale deformable attention, without Python:
//     run model.pt2 libdcnv4_libtorch.so
#include <dlfcn.h>
#include <iostream>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <torch/torch.h>

int main(int argc, char **argv) {
    if (argc != 3 || !dlopen(argv[2], RTLD_NOW)) // registers the operators with the PyTorch that this program links
        return std::cerr << "run MODEL.pt2 libdcnv4_libtorch.so" << std::endl, 2;
    torch::inductor::AOTIModelPackageLoader model(argv[1]);
    const auto outputs = model.run({torch::ones({1, 3, 64, 64})});
    std::cout << outputs[0].sizes() << " " << outputs[0].flatten()[0].item<float>() << std::endl;
}
