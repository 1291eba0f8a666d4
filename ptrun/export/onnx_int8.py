"""int8: the linear layers of an ONNX model quantized by onnxruntime, which is smaller and often faster on CPUs.

Weights become 8-bit numbers, one scale for each output. The inputs of these layers are quantized as they come
("dynamic"). Their scale is that of the whole batch, so the outputs of a sample depend a little on its neighbors.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ptrun.errors import ConfigError
from ptrun.export.quiet import quiet

LINEAR_OPERATORS = ("MatMul", "Gemm")
_INTEGER_PRODUCT = "MatMulInteger"


def quantize(model: Any, model_name: str) -> Any:
    """A copy of an ONNX model (a ModelProto) with quantized linear layers.

    Weights are unsigned. With signed ones, sums of two products exceed 16 bits on processors with AVX2 and without VNNI
    and are cut off (onnxruntime's documentation, "When and why do I need to try U8U8"): outputs were wrong by half.
    Raises ConfigError for a model without linear layers.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder, quiet():
        path = Path(folder) / "int8.onnx"
        quantize_dynamic(
            model,
            str(path),
            op_types_to_quantize=list(LINEAR_OPERATORS),
            per_channel=True,
            weight_type=QuantType.QUInt8,
        )
        quantized = onnx.load(str(path))
    if not any(node.op_type == _INTEGER_PRODUCT for node in quantized.graph.node):
        raise ConfigError(
            f"precision: model '{model_name}' has no linear layers, which int8 is for. Use precision=fp16 or bf16."
        )
    return quantized
