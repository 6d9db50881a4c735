# OpenVINO's side of a comparison: quantizes with NNCF, or times one file in this process, and tells what ran in which precision.
"""usage: python openvino_run.py time MODEL THREADS ROUNDS 1x32 8x128 …
       python openvino_run.py nncf MODEL FEEDS.json OUT.xml

time: median milliseconds by shape, the precision of the products (from the profile of the compiled model) and the version, as one JSON object. Float parts run in
float32 (INFERENCE_PRECISION_HINT), as they would on a CPU without bfloat16. nncf: NNCF's transformer preset on feeds, one row each.
"""
import json
import sys
import time

import numpy as np
import openvino as ov


def feeds_of(model, batch, length):
    rng = np.random.default_rng(0)
    made = {}
    for port in model.inputs:
        name = port.get_any_name()
        if "mask" in name:
            values = np.ones((batch, length))
        elif "type" in name:
            values = np.zeros((batch, length))
        else:
            values = rng.integers(5, 1000, (batch, length))
        made[name] = values.astype(np.int64)
    return made


# Attention as a whole is compiled into one of OpenVINO's "Subgraph" operators.
KINDS = {"FullyConnected": "layers", "MatMul": "products", "Subgraph": "attention"}


def precisions(request):
    counts = {}
    for node in request.get_profiling_info():
        kind = KINDS.get(node.node_type)
        if kind is not None and node.status != node.Status.NOT_RUN:
            key = kind + (" int8" if node.exec_type.lower().endswith("i8") else " float")
            counts[key] = counts.get(key, 0) + 1
    return counts


def run(path, threads, rounds, shapes):
    core = ov.Core()
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    model = core.read_model(path)
    profiled = core.compile_model(model, "CPU", config | {"PERF_COUNT": True})
    request = profiled.create_infer_request()
    request.infer(feeds_of(model, 2, 16))
    counts = precisions(request)
    del request, profiled
    compiled = core.compile_model(model, "CPU", config)
    request = compiled.create_infer_request()
    medians = {}
    for shape in shapes:
        batch, length = map(int, shape.split("x"))
        feeds = feeds_of(model, batch, length)
        times = []
        for i in range(rounds + 3):
            begin = time.perf_counter()
            request.infer(feeds, share_inputs=True)
            times.append(time.perf_counter() - begin)
        medians[shape] = 1000 * float(np.median(times[3:]))
    return {"ms": medians, "products": counts, "version": ov.__version__}


def nncf(path, feeds, out):
    import nncf as nn

    rows = [
        {name: np.array(values, dtype=np.int64) for name, values in row.items()}
        for row in json.load(open(feeds))
    ]
    data = nn.Dataset(rows)
    model = ov.Core().read_model(path)
    quantized = nn.quantize(
        model, data, model_type=nn.ModelType.TRANSFORMER, subset_size=len(rows)
    )
    ov.save_model(quantized, out, compress_to_fp16=False)
    return {"version": nn.__version__}


if sys.argv[1] == "time":
    _, _, path, threads, rounds, *shapes = sys.argv
    result = run(path, int(threads), int(rounds), shapes)
else:
    result = nncf(*sys.argv[2:])
print(json.dumps(result))
