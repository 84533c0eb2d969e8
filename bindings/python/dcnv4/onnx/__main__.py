"""python -m dcnv4.onnx inspect|verify|bench FILE"""

import sys

from ._command import main

sys.exit(main())
