"""What a request asks for: from JSON to what the engine needs, or to the error that vLLM answers with. Pure."""
