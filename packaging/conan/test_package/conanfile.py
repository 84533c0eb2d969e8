"""The user's project of tests/consumers, with Conan's package."""

import os

from conan import ConanFile
from conan.tools.build import can_run
from conan.tools.cmake import CMake, cmake_layout


class UsesDcnv4(ConanFile):
    settings = "os", "arch", "compiler", "build_type"
    generators = "CMakeDeps", "CMakeToolchain"

    def requirements(self):
        self.requires(self.tested_reference_str)

    def layout(self):
        cmake_layout(self)

    def build(self):
        cmake = CMake(self)
        cmake.configure(build_script_folder="../../../tests/consumers/project")
        cmake.build()

    def test(self):
        if can_run(self):
            for name in ("in_c", "in_cpp"):
                self.run(os.path.join(self.cpp.build.bindir, name), env="conanrun")
