"""GGUF files of tiny models, written by the package gguf as llama.cpp's converter would, and a wheel around one."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType, quants
from safetensors import safe_open

from pipeline.paths import read_json

NAMES = {"llama": "llama", "smollm3": "smollm3", "qwen2": "qwen2", "qwen3": "qwen3", "gemma3_text": "gemma3"}
PERMUTED, OFFSET = ("llama", "smollm3"), ("gemma3",)
CONTROL, NORMAL = 3, 1


def write(model: Path, file: Path, kind: str = "F32", drop: str = "", **metadata: Any) -> Path:
    """The model in a folder as a GGUF file, its matrices stored as `kind`; `metadata` changes or adds pairs.

    `drop` leaves out the tensor of that name. A pair of value None is left out.
    """
    config = read_json(model / "config.json")
    name = NAMES[config["model_type"]]
    writer = gguf.GGUFWriter(file, name)
    for key, value in (_pairs(name, config) | _tokenizer(model) | metadata).items():
        if value is not None:
            _add(writer, key, value)
    architecture = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == name)
    names = gguf.get_tensor_name_map(architecture, config["num_hidden_layers"])
    for key, values in _tensors(model).items():
        stem, _, suffix = key.rpartition(".")
        place = f"{names.get_name(stem)}.{suffix}"
        if place != drop:
            _add_tensor(writer, place, _as_llama_cpp(name, config, key, values), kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _pairs(name: str, config: dict[str, Any]) -> dict[str, Any]:
    heads = config["num_attention_heads"]
    size = config.get("head_dim") or config["hidden_size"] // heads
    rope = config.get("rope_parameters") or {}
    theta = rope.get("rope_theta") or rope.get("full_attention", {}).get("rope_theta", 10000.0)
    pairs = {
        "context_length": config["max_position_embeddings"],
        "embedding_length": config["hidden_size"],
        "block_count": config["num_hidden_layers"],
        "feed_forward_length": config["intermediate_size"],
        "attention.head_count": heads,
        "attention.head_count_kv": config["num_key_value_heads"],
        "attention.key_length": size,
        "attention.layer_norm_rms_epsilon": float(config["rms_norm_eps"]),
        "rope.freq_base": float(theta),
    }
    if name == "gemma3":
        pairs["attention.sliding_window"] = config["sliding_window"]
        pairs["attention.sliding_window_pattern"] = config["layer_types"].index("full_attention") + 1
    return {f"{name}.{key}": value for key, value in pairs.items()}


def _tokenizer(model: Path) -> dict[str, Any]:
    document, settings = read_json(model / "tokenizer.json"), read_json(model / "tokenizer_config.json")
    vocabulary = dict(document["model"]["vocab"])
    special = {token["content"] for token in document["added_tokens"] if token["special"]}
    vocabulary |= {token["content"]: token["id"] for token in document["added_tokens"]}
    tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
    template = model / "chat_template.jinja"
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [CONTROL if token in special else NORMAL for token in tokens],
        "tokenizer.ggml.merges": [" ".join(pair) for pair in document["model"]["merges"]],
        "tokenizer.ggml.eos_token_id": vocabulary.get(settings.get("eos_token")),
        "tokenizer.ggml.padding_token_id": vocabulary.get(settings.get("pad_token")),
        "tokenizer.chat_template": template.read_text() if template.is_file() else None,
    }


def _add(writer: Any, key: str, value: Any) -> None:
    add = {str: writer.add_string, bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32}
    add.get(type(value), writer.add_array)(key, value)


def _tensors(model: Path) -> dict[str, Any]:
    with safe_open(model / "model.safetensors", "np") as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118


def _as_llama_cpp(name: str, config: dict[str, Any], key: str, values: Any) -> Any:
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    part = next((part for part in heads if part in key), None)
    if part and name in PERMUTED:
        halves = values.reshape(heads[part], 2, values.shape[0] // heads[part] // 2, *values.shape[1:])
        values = halves.swapaxes(1, 2).reshape(values.shape)
    return values + np.float32(1) if name in OFFSET and key.endswith("norm.weight") else values


def _add_tensor(writer: Any, name: str, values: Any, kind: str) -> None:
    values = np.ascontiguousarray(values, np.float32)
    if values.ndim == 1 or kind == "F32":
        writer.add_tensor(name, values)
    elif kind == "F16":
        writer.add_tensor(name, values.astype(np.float16))
    else:
        packed = GGMLQuantizationType[kind]
        writer.add_tensor(name, quants.quantize(values, packed), raw_dtype=packed)


def wheel(folder: Path, package: str, version: str, files: dict[str, bytes]) -> Path:
    """A wheel that holds `files`, and code that must never run."""
    stem = f"{package.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    contents = files | {
        f"{package.replace('-', '_')}/__init__.py": b"raise RuntimeError('the code of a wheel was run')",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_record_hash(data)},{len(data)}\n" for name, data in contents.items())
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in contents.items():
            opened.writestr(name, data)
        opened.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
    return made


def _record_hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
