"""vLLM's flags that have no effect here, and whose values nothing checks: none, one, several, or JSON."""

_NAMES = """
additional-config attention-backend attention-config chat-template-content-format compilation-config config-format
cpu-offload-gb cudagraph-capture-sizes default-chat-template-kwargs disable-cascade-attn disable-custom-all-reduce
disable-hybrid-kv-cache-manager enable-dbo enable-eplb enable-expert-parallel exclude-tools-when-tool-choice-none
kv-cache-memory-bytes limit-mm-per-prompt logprobs-mode long-prefill-token-threshold max-cudagraph-capture-size
max-logprobs max-parallel-loading-workers mm-processor-cache-gb model-impl moe-backend num-gpu-blocks-override
optimization-level override-generation-config performance-mode prefix-caching-hash-algo quantization-config
renderer-num-workers response-role runner safetensors-load-strategy scheduling-policy skip-mm-profiling
speculative-config stream-interval structured-outputs-config tokenizer-mode tokenizer-revision
"""
IGNORED = tuple(_NAMES.split())
