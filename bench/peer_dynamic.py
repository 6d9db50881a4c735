# onnxruntime's own dynamic quantization, as its documentation has it: the file that ours is measured against.
"""usage: python peer_dynamic.py MODEL OUT [--preprocess]

quantize_dynamic with QInt8 weights, one scale per channel. Shapes that the exporter wrote down are deleted first: quantize_dynamic fails on
them ("Inferred shape and existing shape differ"). --preprocess runs quant_pre_process before, the documented first step; where its symbolic
shape inference fails, without that. Prints one JSON object: seconds by step (`failed`: what a failing first attempt cost), and notes.
"""
import json
import os
import sys
import tempfile
import time

start = time.perf_counter()
import onnx
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process

SECONDS = {"imports": time.perf_counter() - start}
NOTES = []


def timed(step, work):
    begin = time.perf_counter()
    try:
        return work()
    finally:
        SECONDS[step] = SECONDS.get(step, 0) + time.perf_counter() - begin


def without_shapes(model, out):
    # Larger files keep their tensors beside them; those of this size go into one again.
    proto = onnx.load(model)
    if len(proto.graph.value_info) == 0:
        return model
    del proto.graph.value_info[:]
    onnx.save(proto, out)
    return out


def preprocessed(model, out):
    try:
        timed("failed", lambda: quant_pre_process(model, out))
        SECONDS["preprocess"] = SECONDS.pop("failed")
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        NOTES.append(f"quant_pre_process failed ({reason}); run again without symbolic shapes")
        timed("preprocess", lambda: quant_pre_process(model, out, skip_symbolic_shape=True))
    return out


def main(model, out, preprocess):
    onnxruntime.set_default_logger_severity(4)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(out))) as scratch:
        if preprocess:
            model = preprocessed(model, scratch + "/preprocessed.onnx")
        model = timed("strip", lambda: without_shapes(model, scratch + "/stripped.onnx"))
        timed("quantize", lambda: quantize_dynamic(model, out, per_channel=True, weight_type=QuantType.QInt8))
    version = onnxruntime.__version__
    print(json.dumps({"version": version, "seconds": SECONDS, "notes": NOTES, "bytes": os.path.getsize(out)}))


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    if len(arguments) != 2:
        sys.exit(__doc__)
    main(*arguments, preprocess="--preprocess" in sys.argv)
