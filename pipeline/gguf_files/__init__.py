"""GGUF files, as llama.cpp and its friends have models, read and converted. Only `convert` needs heavy libraries."""
