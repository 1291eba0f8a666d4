"""int8: the linear layers of an ONNX model quantized by onnxruntime, which is smaller and often faster on CPUs.

Weights become int8, one scale for each output; the inputs of these layers are quantized as they come ("dynamic").
Their scale is that of the whole batch, so the outputs of a sample depend a little on its neighbors.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

LINEAR_OPERATORS = ("MatMul", "Gemm")


def quantize(model: Any) -> Any:
    """A copy of an ONNX model (a ModelProto) with quantized linear layers."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        logging.disable(logging.WARNING)  # it advises a preparation that torch's exporter has done
        try:
            quantize_dynamic(
                model,
                str(path),
                op_types_to_quantize=list(LINEAR_OPERATORS),
                per_channel=True,
                weight_type=QuantType.QInt8,
            )
        finally:
            logging.disable(logging.NOTSET)
        return onnx.load(str(path))
