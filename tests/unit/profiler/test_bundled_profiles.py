"""The bundled profiles can be made again from the published sweeps."""

import json

import pytest

from profiler.bundled import main
from profiler.document import render

PREFILL = "isl,ttft_ms,thpt_per_gpu\n" + "".join(
    f"{isl},{20 + isl * 0.014},1.0\n" for isl in (100, 1000, 4000, 16000)
)
DECODE = "kv_usage,context_length,itl_ms,thpt_per_gpu\n" + "".join(
    f"0.5,{context},{itl},{batch / itl * 1000}\n"
    for context, itl, batch in ((350, 5, 1), (350, 20, 300), (3000, 9, 50), (9000, 12, 20))
)
ESTIMATES = "model,mode,tp,isl,osl,bs,ttft_ms,tpot_ms,mem_gb,t_call_s\n" + "".join(
    [
        *(
            f"Q,prefill,{tp},{isl},1,1,{(10 + isl * 0.08) / tp},,0,1\n"
            for tp in (1, 2, 4, 8)
            for isl in (256, 1000, 8000)
        ),
        *(
            f"Q,decode,{tp},{isl},150,{bs},,{(18 + bs * 0.1) / tp},0,1\n"
            for tp in (1, 2, 4, 8)
            for isl in (1000, 8000)
            for bs in (1, 16, 256)
        ),
    ]
)


def test_they_are_made_from_the_sweeps(tmp_path):
    (tmp_path / "dynamo_h200_tp1_prefill.csv").write_text(PREFILL)
    (tmp_path / "dynamo_h200_tp1_decode.csv").write_text(DECODE)
    (tmp_path / "aic_h200_qwen3-32b_vllm.csv").write_text(ESTIMATES)
    main(tmp_path, tmp_path)
    llama = json.loads((tmp_path / "llama-3.1-8b-fp8-h200.json").read_text())
    qwen = json.loads((tmp_path / "qwen3-32b-h200.json").read_text())
    decode = llama["engines"][0]["decode"]["points"]
    # Achieved, by Little's law: tokens a second times seconds between tokens.
    assert [point["batch"] for point in decode] == pytest.approx([1, 300, 50, 20], rel=1e-3)
    assert decode[1]["kv_tokens"] == pytest.approx(300 * 350, rel=1e-3)
    assert [engine["tp"] for engine in qwen["engines"]] == [1, 2, 4, 8]
    assert qwen["engines"][0]["decode"]["points"][0]["kv_tokens"] == 1075


def test_a_measured_point_is_one_line():
    text = render({"points": [{"isl": 1, "s": 0.5}, {"isl": 2, "s": 0.6}], "notes": ["a", "b"]})
    assert '  {"isl": 1, "s": 0.5},\n' in text
    assert json.loads(text)["notes"] == ["a", "b"]
