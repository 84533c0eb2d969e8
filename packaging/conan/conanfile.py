"""A recipe for Conan 2 that builds this tree:  conan create packaging/conan --build=missing"""

import os
import re

from conan import ConanFile
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load


class Dcnv4(ConanFile):
    name = "dcnv4"
    description = "Deformable convolution v4 and multi-scale deformable attention on CPUs and GPUs"
    license = "MIT"
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "fPIC": [True, False]}
    default_options = {"shared": True, "fPIC": True}
    implements = ["auto_shared_fpic"]
    languages = "C"

    @property
    def _root(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        header = load(self, os.path.join(self._root, "include", "dcnv4", "runtime.h"))
        self.version = ".".join(re.findall(r"^#define DCNV4_VERSION_\w+ (\d+)$", header, re.MULTILINE))

    def export_sources(self):
        for pattern in ("CMakeLists.txt", "LICENSE", "backends/*", "cmake/*", "core/*", "include/*"):
            copy(self, pattern, self._root, self.export_sources_folder)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        for part in ("TOOLS", "BINDINGS", "TESTS"):
            toolchain.cache_variables[f"DCNV4_{part}"] = False
        toolchain.generate()
        CMakeDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        CMake(self).install()

    def package_info(self):
        # The names of the package that CMake installs by itself.
        self.cpp_info.set_property("cmake_file_name", "dcnv4")
        self.cpp_info.set_property("cmake_target_name", "dcnv4::dcnv4")
        self.cpp_info.set_property("pkg_config_name", "dcnv4")
        self.cpp_info.libs = ["dcnv4"]
        if not self.options.shared:
            self.cpp_info.defines = ["DCNV4_STATIC"]
            if self.settings.os in ("Linux", "FreeBSD"):
                self.cpp_info.system_libs = ["m", "pthread", "dl"]
