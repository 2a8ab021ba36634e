"""The gateway: HAProxy in front, straight to vLLM; LiteLLM and Redis behind it for what only they can do."""
