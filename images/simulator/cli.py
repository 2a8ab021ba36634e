"""The command line: vLLM's `serve` flags that are honoured, `--sim-*` of our own, and nothing else.

An unknown flag ends with argparse's message and exit code 2; a combination that vLLM refuses at start, with 1.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from . import VERSION
from .flags import IGNORED
from .settings import ServeSettings, Tls

_DTYPES = ("auto", "half", "float16", "bfloat16", "float", "float32")
_LOG_LEVELS = ("critical", "error", "warning", "info", "debug", "trace")
_MULTIPLIERS = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}

_KV_CACHE_DTYPES = ("auto", "float16", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2", "int8_per_token_head")


def parse(argv: Sequence[str], environment: Mapping[str, str]) -> ServeSettings:
    """Settings of a command line without the program's name. SystemExit 2 or 1 as the module says."""
    parser = _parser()
    args = parser.parse_args([_dashed(argument) for argument in argv])
    settings = _settings(args, environment)
    problem = _problem(settings, args)
    if problem:
        parser.exit(1, f"{parser.prog}: error: {problem}\n")
    return settings


def main(argv: Sequence[str] | None = None) -> int:
    settings = parse(sys.argv[1:] if argv is None else argv, os.environ)
    from .web.server import run  # a wrong flag is answered without loading the web server

    return run(settings)


class _Parser(argparse.ArgumentParser):
    """Says which flags exist only on --help: the usage line would be longer than the error."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="simulator", allow_abbrev=False, description="A vLLM that needs no GPU.")
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(required=True, metavar="serve")
    serve = commands.add_parser("serve", allow_abbrev=False, help="serve a model, as `vllm serve` does")
    serve.add_argument("model")
    _server_flags(serve.add_argument_group("vLLM's server"))
    _engine_flags(serve.add_argument_group("vLLM's engine"))
    _ignored_flags(serve.add_argument_group("vLLM's, without effect here"))
    _simulation_flags(serve.add_argument_group("simulation"))
    return parser


def _server_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--host", default="127.0.0.1", help="vLLM's default is all interfaces")
    group.add_argument("--port", type=_integer(0, 65535), default=8000, help="0 takes a free one and logs it")
    group.add_argument("--api-key", nargs="+", help="one or more; the variable VLLM_API_KEY where it is not given")
    group.add_argument("--served-model-name", nargs="+", help="one or more; the model where it is not given")
    for flag in ("--ssl-keyfile", "--ssl-certfile", "--ssl-ca-certs"):
        group.add_argument(flag)
    group.add_argument("--ssl-cert-reqs", type=_integer(0, 2), default=0)
    group.add_argument("--shutdown-timeout", type=_integer(0), default=0, metavar="SECONDS")
    group.add_argument("--uvicorn-log-level", choices=_LOG_LEVELS, default="info")
    group.add_argument("--disable-uvicorn-access-log", action="store_true")
    group.add_argument("--disable-access-log-for-endpoints", default="", metavar="PATH,PATH")
    group.add_argument("--enable-log-requests", action=argparse.BooleanOptionalAction, default=False)
    group.add_argument("--middleware", action="append", default=[], metavar="MODULE.NAME")
    group.add_argument("--tool-call-parser", metavar="NAME")
    group.add_argument("--enable-auto-tool-choice", action=argparse.BooleanOptionalAction, default=False)
    group.add_argument("--disable-fastapi-docs", action="store_true")
    group.add_argument("--enable-prompt-tokens-details", action=argparse.BooleanOptionalAction, default=False)
    group.add_argument("--enable-force-include-usage", action=argparse.BooleanOptionalAction, default=False)


def _engine_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--max-model-len", type=_length, help="tokens; 32k, 1M, auto are understood")
    group.add_argument("--max-num-seqs", type=_integer(1), default=256)
    group.add_argument("--max-num-batched-tokens", type=_human(1), default=2048)
    group.add_argument("--max-num-queued-reqs", type=_integer(0), help="requests in flight, running ones included")
    group.add_argument("--max-num-queued-tokens", type=_human(0))
    group.add_argument("--data-parallel-size", "-dp", type=_integer(1), default=1)
    group.add_argument("--block-size", type=_integer(1), default=16)
    group.add_argument("--enable-prefix-caching", action=argparse.BooleanOptionalAction, default=True)


def _ignored_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--tensor-parallel-size", "-tp", type=_integer(1))
    group.add_argument("--pipeline-parallel-size", "-pp", type=_integer(1))
    group.add_argument("--gpu-memory-utilization", type=_fraction, default=0.92)
    group.add_argument("--kv-cache-dtype", choices=_KV_CACHE_DTYPES)
    group.add_argument("--dtype", choices=_DTYPES)
    group.add_argument("--quantization", "-q")
    group.add_argument("--seed", type=int)
    for flag in ("--tokenizer", "--revision", "--load-format", "--download-dir", "--generation-config"):
        group.add_argument(flag)
    for flag in ("--trust-remote-code", "--enforce-eager", "--enable-chunked-prefill", "--async-scheduling"):
        group.add_argument(flag, action=argparse.BooleanOptionalAction)
    for flag in ("--reasoning-parser", "--chat-template"):
        group.add_argument(flag)
    for name in IGNORED:
        group.add_argument(f"--{name}", f"--no-{name}", nargs="*", metavar="VALUE")


def _simulation_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--sim-prefill-tokens-per-s", type=_positive, default=20_000.0)
    group.add_argument("--sim-decode-tokens-per-s", type=_positive, default=2_000.0)
    group.add_argument("--sim-sequence-tokens-per-s", type=_positive, default=40.0)
    group.add_argument("--sim-kv-cache-tokens", type=_human(1), default=1_400_000)
    group.add_argument("--sim-context-tokens", type=_human(1), default=131_072, help="the model's own context")
    group.add_argument("--sim-output-tokens", type=_human(1), default=64, help="mean length of an answer")
    group.add_argument("--sim-startup-s", type=_not_negative, default=0.0)
    group.add_argument("--sim-time-scale", type=_not_negative, default=1.0, help="0.1 is ten times as fast")
    group.add_argument("--sim-faults", action="store_true", help="allow POST /sim/faults")
    group.add_argument("--sim-teardown-s", type=_not_negative, default=7.0)
    group.add_argument("--sim-gpu-memory", metavar="FILE", help="locked by the one engine that has the machine's GPUs")
    group.add_argument("--sim-vocabulary", type=_human(1000), default=128_256)
    group.add_argument("--sim-listen-while-draining", action="store_true", help="what it does in any case")


def _settings(args: argparse.Namespace, environment: Mapping[str, str]) -> ServeSettings:
    keys = args.api_key or [environment.get("VLLM_API_KEY", "")]
    excluded = args.disable_access_log_for_endpoints.split(",")
    return ServeSettings(
        model=args.model,
        served_names=tuple(args.served_model_name or [args.model]),
        host=args.host,
        port=args.port,
        api_keys=tuple(key for key in keys if key),
        tls=_tls(args),
        max_model_len=args.max_model_len or args.sim_context_tokens,
        max_num_seqs=args.max_num_seqs,
        max_num_batched_tokens=args.max_num_batched_tokens,
        max_num_queued_reqs=args.max_num_queued_reqs,
        max_num_queued_tokens=args.max_num_queued_tokens,
        data_parallel_size=args.data_parallel_size,
        block_size=args.block_size,
        prefix_caching=args.enable_prefix_caching,
        prompt_tokens_details=args.enable_prompt_tokens_details,
        force_include_usage=args.enable_force_include_usage,
        shutdown_timeout_s=args.shutdown_timeout,
        log_level=args.uvicorn_log_level,
        access_log=not args.disable_uvicorn_access_log,
        access_log_excluded=frozenset(path.strip() for path in excluded if path.strip()),
        log_requests=args.enable_log_requests,
        prefill_tokens_per_s=args.sim_prefill_tokens_per_s,
        decode_tokens_per_s=args.sim_decode_tokens_per_s,
        sequence_tokens_per_s=args.sim_sequence_tokens_per_s,
        kv_cache_tokens=args.sim_kv_cache_tokens,
        output_tokens=args.sim_output_tokens,
        startup_s=args.sim_startup_s,
        time_scale=args.sim_time_scale,
        faults=args.sim_faults,
        keep_alive_s=int(environment.get("VLLM_HTTP_TIMEOUT_KEEP_ALIVE", "5")),
        middleware=tuple(args.middleware),
        docs=not args.disable_fastapi_docs,
        vocabulary=args.sim_vocabulary,
        teardown_s=args.sim_teardown_s,
        tool_parser=args.tool_call_parser is not None,
        automatic_tools=args.enable_auto_tool_choice,
        gpu_memory_file=args.sim_gpu_memory,
        gpu_memory_utilization=args.gpu_memory_utilization,
    )


def _tls(args: argparse.Namespace) -> Tls | None:
    if not args.ssl_certfile:
        return None
    return Tls(args.ssl_keyfile, args.ssl_certfile, args.ssl_ca_certs, args.ssl_cert_reqs)


def _problem(settings: ServeSettings, args: argparse.Namespace) -> str | None:
    """What vLLM refuses at start, too."""
    if settings.max_model_len > args.sim_context_tokens:
        return (
            f"User-specified max_model_len ({settings.max_model_len}) is greater than the derived max_model_len "
            f"(--sim-context-tokens={args.sim_context_tokens})."
        )
    if settings.max_num_batched_tokens < settings.max_num_seqs:
        return (
            f"max_num_batched_tokens ({settings.max_num_batched_tokens}) must be greater than or equal to "
            f"max_num_seqs ({settings.max_num_seqs})."
        )
    blocks = settings.kv_cache_tokens // settings.data_parallel_size // settings.block_size
    if -(-settings.max_model_len // settings.block_size) > blocks:
        return (
            f"To serve at least one request with the model's max seq len ({settings.max_model_len}), more KV cache is "
            f"needed than the {blocks * settings.block_size} tokens of each engine. Lower --max-model-len or raise "
            "--sim-kv-cache-tokens."
        )
    if settings.automatic_tools and not settings.tool_parser:
        return "--enable-auto-tool-choice requires --tool-call-parser"
    if args.ssl_keyfile and not args.ssl_certfile:
        return "--ssl-keyfile needs --ssl-certfile"
    return None


def _dashed(argument: str) -> str:
    """vLLM takes --max_num_seqs for --max-num-seqs; so do we. Values stay as they are."""
    if not argument.startswith("--"):
        return argument
    flag, equals, value = argument.partition("=")
    return flag.replace("_", "-") + equals + value


def _integer(low: int, high: float = math.inf) -> Callable[[str], int]:
    def integer(text: str) -> int:
        if not low <= (value := int(text)) <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return value

    return integer


def _human(low: int) -> Callable[[str], int]:
    """vLLM's numbers: 1k is 1,000, 1K is 1,024, 25.6k is 25,600; binary ones take no decimals."""

    def number(text: str) -> int:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgtKMGT])", text.strip())
        if match is None:
            return _integer(low)(text)
        digits, suffix = match.groups()
        return _integer(low)(str(int((int if suffix.isupper() else float)(digits) * _MULTIPLIERS[suffix])))

    return number


def _length(text: str) -> int:
    return 0 if text.strip().lower() in ("-1", "auto") else _human(1)(text)


def _fraction(text: str) -> float:
    if not 0 < (value := float(text)) <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not in (0, 1]")
    return value


def _positive(text: str) -> float:
    if not 0 < (value := float(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _not_negative(text: str) -> float:
    if not 0 <= (value := float(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is neither zero nor a positive number")
    return value
